package source

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/testgate"
)

func TestAPlainRepositoryArrivesAsItIs(t *testing.T) {
	needGit(t)
	dir := filepath.Join(t.TempDir(), "main")
	newRepo(t, dir)
	dirty(t, dir)
	to := arrive(t, dir, Options{})
	sameRepository(t, dir, to)
	works(t, to)
}

func TestAWorktreeArrivesWithItsRepository(t *testing.T) {
	needGit(t)
	tests := []struct {
		name    string
		prepare func(t *testing.T, main, tree string)
	}{
		{"as it was made", func(*testing.T, string, string) {}},
		{"changed", func(t *testing.T, _, tree string) { dirty(t, tree) }},
		{"detached", func(t *testing.T, _, tree string) { git(t, tree, "checkout", "-q", "--detach", "main") }},
		{"packed", func(t *testing.T, main, _ string) { git(t, main, "gc", "-q"); git(t, main, "pack-refs", "--all") }},
		{"in the middle of a merge", func(t *testing.T, main, tree string) {
			write(t, filepath.Join(tree, "a"), "other\n")
			git(t, tree, "commit", "-qam", "conflict")
			if gitCommand(t.Context(), tree, "merge", "main").Run() == nil {
				t.Fatal("no conflict")
			}
		}},
		{"bisecting", func(t *testing.T, main, tree string) { git(t, tree, "bisect", "start", "main", "main~1") }},
		{"sparse", func(t *testing.T, _, tree string) { git(t, tree, "sparse-checkout", "set", "b") }},
		{"split index", func(t *testing.T, _, tree string) { git(t, tree, "update-index", "--split-index") }},
		{"with hooks and other worktrees", func(t *testing.T, main, tree string) {
			git(t, main, "worktree", "add", "-q", "--detach", filepath.Join(main, "..", "third"))
			hook := filepath.Join(main, ".git/hooks/commit-msg")
			write(t, hook, "#!/bin/sh\necho checked >> \"$1\"\n")
			must(t, os.Chmod(hook, 0o755))
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			home := t.TempDir()
			main, tree := filepath.Join(home, "main"), filepath.Join(home, "tree")
			newRepo(t, main)
			git(t, main, "worktree", "add", "-q", tree, "side")
			test.prepare(t, main, tree)
			if diff := cmp.Diff(packed(t, tree, Options{}), listed(t, tree, Options{})); diff != "" {
				t.Errorf("packed and listed differ:\n%s", diff)
			}
			to := arrive(t, tree, Options{})
			sameRepository(t, tree, to)
			works(t, to)
		})
	}
}

func TestAWorktreeOfABareRepositoryArrives(t *testing.T) {
	needGit(t)
	home := t.TempDir()
	main, bare, tree := filepath.Join(home, "main"), filepath.Join(home, "bare.git"), filepath.Join(home, "tree")
	newRepo(t, main)
	git(t, home, "clone", "-q", "--bare", main, bare)
	git(t, bare, "worktree", "add", "-q", tree, "side")
	to := arrive(t, tree, Options{})
	sameRepository(t, tree, to)
	works(t, to)
}

func TestAWorktreeInsideTheSourceArrives(t *testing.T) {
	needGit(t)
	main := filepath.Join(t.TempDir(), "main")
	newRepo(t, main)
	tree := filepath.Join(main, "trees/one")
	git(t, main, "worktree", "add", "-q", tree, "side")
	to := arrive(t, main, Options{})
	sameRepository(t, tree, filepath.Join(to, "trees/one"))
	sameRepository(t, main, to)
	works(t, filepath.Join(to, "trees/one"))
}

// project makes a repository with a submodule, which has one itself.
func project(t *testing.T) string {
	t.Helper()
	home := t.TempDir()
	for _, name := range []string{"inner", "sub", "project"} {
		newRepo(t, filepath.Join(home, name))
	}
	git(t, filepath.Join(home, "sub"), "submodule", "--quiet", "add", filepath.Join(home, "inner"), "in/ner")
	git(t, filepath.Join(home, "sub"), "commit", "-qm", "submodule")
	dir := filepath.Join(home, "project")
	git(t, dir, "submodule", "--quiet", "add", filepath.Join(home, "sub"), "sub")
	git(t, dir, "submodule", "--quiet", "update", "--init", "--recursive")
	git(t, dir, "commit", "-qm", "submodule")
	return dir
}

func TestASubmoduleArrivesWithItsRepository(t *testing.T) {
	needGit(t)
	dir := project(t)
	dirty(t, filepath.Join(dir, "sub/in/ner"))
	to := arrive(t, filepath.Join(dir, "sub"), Options{})
	sameRepository(t, filepath.Join(dir, "sub/in/ner"), filepath.Join(to, "in/ner"))
	sameRepository(t, filepath.Join(dir, "sub"), to)
	works(t, filepath.Join(to, "in/ner"))
	works(t, to)
}

func TestSubmodulesInsideTheSourceStayAsTheyAre(t *testing.T) {
	needGit(t)
	dir := project(t)
	to := arrive(t, dir, Options{})
	for _, sub := range []string{"sub", "sub/in/ner"} {
		text, err := os.ReadFile(filepath.Join(to, sub, ".git"))
		if err != nil || !strings.HasPrefix(string(text), "gitdir: ../") {
			t.Errorf("%s/.git: %q, %v", sub, text, err)
		}
	}
	for _, args := range [][]string{{"status", "--porcelain=v2"}, {"submodule", "status", "--recursive"}} {
		if diff := cmp.Diff(git(t, dir, args...), git(t, to, args...)); diff != "" {
			t.Errorf("git %q (-here +arrived):\n%s", args, diff)
		}
	}
}

func TestASubmoduleOfAWorktreeArrives(t *testing.T) {
	needGit(t)
	dir := project(t)
	tree := filepath.Join(filepath.Dir(dir), "tree")
	git(t, dir, "worktree", "add", "-q", "--detach", tree)
	git(t, tree, "submodule", "--quiet", "update", "--init", "--recursive")
	to := arrive(t, tree, Options{})
	for _, sub := range []string{"sub/in/ner", "sub", "."} {
		sameRepository(t, filepath.Join(tree, sub), filepath.Join(to, sub))
	}
	works(t, filepath.Join(to, "sub/in/ner"))
}

func TestOnlyWhatGitNamesIsTakenOfARepository(t *testing.T) {
	needGit(t)
	home := t.TempDir()
	main, tree := filepath.Join(home, "main"), filepath.Join(home, "tree")
	newRepo(t, main)
	git(t, main, "worktree", "add", "-q", tree, "side")
	write(t, filepath.Join(main, ".git/secret"), "s")
	write(t, filepath.Join(main, ".git/worktrees/tree/secret"), "s")
	write(t, filepath.Join(main, ".git/refs/heads/x.lock"), "")
	write(t, filepath.Join(home, "outside"), "s")
	must(t, os.Symlink(filepath.Join(home, "outside"), filepath.Join(main, ".git/info/link")))
	names := packed(t, tree, Options{Exclude: []string{"/.git/hooks", "main"}})
	for _, name := range names {
		if strings.Contains(name, "secret") || strings.Contains(name, "worktrees") || strings.HasSuffix(name, ".lock") || strings.HasPrefix(name, ".git/hooks") {
			t.Errorf("%s was taken", name)
		}
	}
	for _, name := range []string{".git/", ".git/HEAD", ".git/index", ".git/config", ".git/info/link", ".git/refs/heads/main", ".git/logs/HEAD"} {
		if !slices.Contains(names, name) {
			t.Errorf("%s is missing in %q", name, names)
		}
	}
	to := arrive(t, tree, Options{})
	if target, err := os.Readlink(filepath.Join(to, ".git/info/link")); err != nil || target != filepath.Join(home, "outside") {
		t.Errorf("the link: %q, %v", target, err)
	}
	if config, err := os.ReadFile(filepath.Join(to, ".git/config")); err != nil || strings.Contains(string(config), "bare") {
		t.Errorf("config: %q, %v", config, err)
	}
}

func TestAGitFileCarriesNothingElseAway(t *testing.T) {
	needGit(t)
	home := t.TempDir()
	victim := filepath.Join(home, "victim")
	newRepo(t, victim)
	git(t, victim, "worktree", "add", "-q", filepath.Join(home, "other"), "side")
	plain := filepath.Join(home, "plain")
	write(t, filepath.Join(plain, "id_rsa"), "s")
	tests := []struct{ name, text, says string }{
		{"a directory that is no repository", plain, "no repository"},
		{"the root directory", "/", "no repository"},
		{"the way up", "../../..", "cannot be taken along"},
		{"a file", filepath.Join(plain, "id_rsa"), "cannot be taken along"},
		{"nothing", filepath.Join(home, "missing"), "does not exist"},
		{"a repository of the user's", filepath.Join(victim, ".git"), "does not name this work tree"},
		{"a worktree of another repository", filepath.Join(victim, ".git/worktrees/other"), "does not name this work tree"},
		{"a forged worktree", "@/fake", "no worktree of the repository"},
		{"a forged worktree behind a link", "link/fake", "no worktree of the repository"},
		{"a forged worktree in worktrees", "@/worktrees/fake", "no worktree of the repository"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			seed := filepath.Join(t.TempDir(), "seed")
			for _, fake := range []string{"fake", "worktrees/fake"} {
				write(t, filepath.Join(seed, fake, "HEAD"), "ref: refs/heads/main\n")
				write(t, filepath.Join(seed, fake, "commondir"), filepath.Join(victim, ".git")+"\n")
				write(t, filepath.Join(seed, fake, "gitdir"), filepath.Join(seed, "sub/.git")+"\n")
			}
			must(t, os.MkdirAll(filepath.Join(seed, "sub"), 0o755))
			must(t, os.Symlink("..", filepath.Join(seed, "sub/link")))
			write(t, filepath.Join(seed, "sub/.git"), "gitdir: "+strings.Replace(test.text, "@", seed, 1)+"\n")
			err := packErr(t, seed, Options{})
			if !errors.Is(err, api.Invalid) || !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), "sub/.git") {
				t.Errorf("got %v, want an invalid one that says %q", err, test.says)
			}
			if hint := api.HintOf(err); !strings.Contains(hint, "--exclude /sub/.git") {
				t.Errorf("hint %q", hint)
			}
			must(t, packErr(t, seed, Options{Exclude: []string{"/sub/.git"}}))
			_, _, listErr := open(t, seed, Options{}).Entries(t.Context())
			if listErr == nil || listErr.Error() != err.Error() {
				t.Errorf("Entries says %v", listErr)
			}
		})
	}
}

func TestAGitFileThatLeadsNowhereElseIsAFile(t *testing.T) {
	for _, text := range []string{"", "gitdir:", "gitdir: ", "nothing", "gitdir: ../real\n", "gitdir: missing", "gitdir: /a\x00b", "gitdir: " + strings.Repeat("x/", 8<<10)} {
		seed := t.TempDir()
		write(t, filepath.Join(seed, "sub/.git"), text)
		write(t, filepath.Join(seed, "real/HEAD"), "")
		to := arrive(t, seed, Options{})
		if got, err := os.ReadFile(filepath.Join(to, "sub/.git")); err != nil || string(got) != text {
			t.Errorf("%.20q arrived as %.20q, %v", text, got, err)
		}
	}
}

func TestARepositoryThatCannotWorkIsRefused(t *testing.T) {
	needGit(t)
	tests := []struct {
		name, says string
		spoil      func(t *testing.T, main, tree string)
	}{
		{"borrowed objects", "borrows objects", func(t *testing.T, main, _ string) {
			write(t, filepath.Join(main, ".git/objects/info/alternates"), "/elsewhere\n")
		}},
		{"a broken configuration", "configuration", func(t *testing.T, main, _ string) {
			write(t, filepath.Join(main, ".git/config"), "[core\n")
		}},
		{"moved away", "does not name this work tree", func(t *testing.T, main, _ string) {
			write(t, filepath.Join(main, ".git/worktrees/tree/gitdir"), "/old/place/.git\n")
		}},
		{"objects behind a link", "no repository", func(t *testing.T, main, _ string) {
			must(t, os.Rename(filepath.Join(main, ".git/objects"), filepath.Join(main, "o")))
			must(t, os.Symlink("../o", filepath.Join(main, ".git/objects")))
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			home := t.TempDir()
			main, tree := filepath.Join(home, "main"), filepath.Join(home, "tree")
			newRepo(t, main)
			git(t, main, "worktree", "add", "-q", tree, "side")
			test.spoil(t, main, tree)
			err := packErr(t, tree, Options{})
			if !errors.Is(err, api.Invalid) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v, want one that says %q", err, test.says)
			}
		})
	}
}

func TestARepositoryOfAnotherUserIsRefused(t *testing.T) {
	needGit(t)
	testgate.Require(t, testgate.Root, superuser())
	home := t.TempDir()
	main, tree := filepath.Join(home, "main"), filepath.Join(home, "tree")
	newRepo(t, main)
	git(t, main, "worktree", "add", "-q", tree, "side")
	must(t, os.Chown(filepath.Join(main, ".git"), 12345, 12345))
	if err := packErr(t, tree, Options{}); !errors.Is(err, api.Invalid) || !strings.Contains(err.Error(), "another user") {
		t.Errorf("got %v", err)
	}
	must(t, os.Chown(tree, 12345, 12345))
	must(t, packErr(t, tree, Options{})) // it is the owner's of the source
}

func superuser() error {
	if os.Geteuid() != 0 {
		return errors.New("only root can give a directory away")
	}
	return nil
}

func TestASeparateGitDirectoryHasToNameItsWorkTree(t *testing.T) {
	needGit(t)
	home := t.TempDir()
	tree, dir := filepath.Join(home, "tree"), filepath.Join(home, "repo.git")
	must(t, os.Mkdir(tree, 0o755))
	git(t, tree, "init", "-q", "--separate-git-dir", dir)
	write(t, filepath.Join(tree, "a"), "1\n")
	git(t, tree, "add", "a")
	git(t, tree, "commit", "-qm", "first")
	err := packErr(t, tree, Options{})
	if err == nil || !strings.Contains(api.HintOf(err), "config core.worktree "+tree) {
		t.Fatalf("%v (%s)", err, api.HintOf(err))
	}
	git(t, tree, "config", "core.worktree", tree) // as the hint says
	to := arrive(t, tree, Options{})
	sameRepository(t, tree, to)
	works(t, to)
}

func TestACarriedRepositoryCanBePushedInPart(t *testing.T) {
	needGit(t)
	home := t.TempDir()
	main, tree := filepath.Join(home, "main"), filepath.Join(home, "tree")
	newRepo(t, main)
	git(t, main, "worktree", "add", "-q", tree, "side")
	var names []string
	pr, pw := io.Pipe()
	done := make(chan struct{})
	go func() { // ends when the pipe is closed below
		defer close(done)
		names = members(t, pr)
		_, _ = io.Copy(io.Discard, pr)
	}()
	_, err := open(t, tree, Options{}).PackOnly(t.Context(), pw, func(path string) bool { return path == ".git/HEAD" || path == "a" })
	must(t, errors.Join(err, pw.Close()))
	<-done
	files := slices.DeleteFunc(names, func(name string) bool { return strings.HasSuffix(name, "/") })
	if diff := cmp.Diff([]string{"a", ".git/HEAD"}, files); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}
