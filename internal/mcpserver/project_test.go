package mcpserver

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro"
	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/testgate"
)

// git runs git in a directory, with no configuration but its own.
func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		testgate.Require(t, testgate.Tool, err)
	}
	cmd := exec.CommandContext(t.Context(), "git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_ALLOW_PROTOCOL=file",
		"GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@example.org", "GIT_COMMITTER_NAME=A", "GIT_COMMITTER_EMAIL=a@example.org")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v: %s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// checkout is a git work tree with a commit, a file that git ignores, and a directory.
func checkout(t *testing.T) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	dir = filepath.Join(dir, "tree")
	for name, content := range map[string]string{"main.c": "int main;", ".gitignore": "*.env\n", "secret.env": "TOKEN=1", "sub/x": "x"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	git(t, dir, "init", "-q", "-b", "main")
	git(t, dir, "add", "-A")
	git(t, dir, "commit", "-q", "-m", "first")
	return dir
}

func TestTheCheckoutThatAServerStandsIn(t *testing.T) {
	tree := checkout(t)
	linked := tree + "-linked"
	git(t, tree, "worktree", "add", "-q", linked)
	git(t, tree, "submodule", "--quiet", "add", "file://"+tree, "module")
	module := filepath.Join(tree, "module")
	plain := t.TempDir()
	fake := filepath.Join(tree, "sub", "fake")
	if err := os.MkdirAll(filepath.Join(fake, ".git"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct{ name, at, home, want string }{
		{"in it", tree, "/home/x", tree},
		{"below it", filepath.Join(tree, "sub"), "/home/x", tree},
		{"a linked work tree", linked, "", linked},
		{"a submodule", module, "", module},
		{"a .git that is none", fake, "", tree},
		{"no checkout", plain, "", ""},
		{"it is the home directory", filepath.Join(tree, "sub"), tree, ""},
		{"the home directory lies in it", filepath.Join(tree, "sub"), filepath.Join(tree, "sub"), ""},
		{"it lies in the home directory", tree, filepath.Dir(tree), tree},
		{"the root", "/", "", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := checkoutOf(row.at, row.home); got != row.want {
				t.Errorf("%q, want %q", got, row.want)
			}
		})
	}
}

func TestFindProject(t *testing.T) {
	tree, plain := checkout(t), t.TempDir()
	link := filepath.Join(plain, "link")
	if err := os.Symlink(tree, link); err != nil {
		t.Fatal(err)
	}
	t.Chdir(tree)
	t.Setenv("HOME", filepath.Dir(tree))
	for _, row := range []struct {
		name string
		o    ProjectOptions
		says string
		kind api.Kind
	}{
		{"nothing said", ProjectOptions{}, " Without seed_path /workspace holds " + tree + ", without what git ignores.", ""},
		{"none", ProjectOptions{None: true}, "", ""},
		{"a path", ProjectOptions{Path: plain}, " Without seed_path /workspace holds " + plain + ".", ""},
		{"a link to a checkout", ProjectOptions{Path: link}, " Without seed_path /workspace holds " + tree + ", without what git ignores.", ""},
		{"a path below home", ProjectOptions{Path: "~/tree"}, " Without seed_path /workspace holds " + tree + ", without what git ignores.", ""},
		{"no such path", ProjectOptions{Path: filepath.Join(plain, "gone")}, "", api.NotFound},
		{"a repository", ProjectOptions{URL: "https://me:secret@example.org/a.git", Ref: "main"}, " Without seed_path /workspace holds https://example.org/a.git@main.", ""},
		{"no address", ProjectOptions{URL: "ext::sh -c true"}, "", api.Invalid},
		{"no ref", ProjectOptions{URL: "https://example.org/a.git", Ref: "--upload-pack=x"}, "", api.Invalid},
	} {
		t.Run(row.name, func(t *testing.T) {
			p, err := FindProject(row.o)
			if row.kind == "" && err != nil || row.kind != "" && !errors.Is(err, row.kind) {
				t.Fatalf("%v, want %s", err, row.kind)
			}
			if diff := cmp.Diff(row.says, p.says()); err == nil && diff != "" {
				t.Errorf("says (-want +got):\n%s", diff)
			}
		})
	}
}

// made makes a workspace without a seed_path, and returns what it was seeded with, and what
// git says in it.
func made(t *testing.T, p Project) (seed api.Seed, files string) {
	t.Helper()
	session := connect(t, Options{Open: newPlace(t).open, Project: p}, nil)
	ws := must[api.Workspace](t, session, "workspace_create", map[string]any{"environment": "host"})
	ran := must[execAnswer](t, session, "workspace_exec", map[string]any{"workspace_id": ws.WorkspaceID, "command": "ls -A; git log --format=%s; git status --short"})
	return ws.WorkspaceSeed, ran.Stdout
}

func TestAWorkspaceHoldsTheCheckout(t *testing.T) {
	tree := checkout(t)
	linked := tree + "-linked"
	git(t, tree, "worktree", "add", "-q", linked)
	for _, at := range []string{tree, linked} {
		t.Chdir(at)
		t.Setenv("HOME", t.TempDir())
		p, err := FindProject(ProjectOptions{})
		if err != nil {
			t.Fatal(err)
		}
		seed, files := made(t, p)
		if *seed.OriginKind != api.OriginCheckout || *seed.OriginRef != at || *seed.SeedPath != at || seed.OriginCommit != nil {
			t.Errorf("seed %+v", seed)
		}
		if files != ".git\n.gitignore\nmain.c\nsub\nfirst\n" {
			t.Errorf("%s: %q", at, files)
		}
	}
}

func TestAWorkspaceHoldsTheProject(t *testing.T) {
	tree := checkout(t)
	for _, row := range []struct{ path, files string }{
		{tree, ".git\n.gitignore\nmain.c\nsub\nfirst\n"},
		{filepath.Join(tree, "sub"), "x\n"},
	} {
		p, err := FindProject(ProjectOptions{Path: row.path})
		if err != nil {
			t.Fatal(err)
		}
		seed, files := made(t, p)
		if *seed.OriginKind != api.OriginProject || *seed.OriginRef != row.path || files != row.files {
			t.Errorf("%s: seed %+v with %q", row.path, seed, files)
		}
	}
}

func TestAllWorkspacesHoldTheSameCommit(t *testing.T) {
	tree := checkout(t)
	first := git(t, tree, "rev-parse", "HEAD")
	p, err := FindProject(ProjectOptions{URL: "file://" + tree, Ref: "main"})
	if err != nil {
		t.Fatal(err)
	}
	session := connect(t, Options{Open: newPlace(t).open, Project: p}, nil)
	ref, kind := "file://"+tree+"@main", api.OriginRepository
	want := api.Seed{Mode: api.SeedDirectory, OriginKind: &kind, OriginRef: &ref, OriginCommit: &first, Destination: api.WorkspacePath}
	for range 2 {
		seed := must[api.Workspace](t, session, "workspace_create", map[string]any{"environment": "host"}).WorkspaceSeed
		seed.EntryCount, seed.BytesWritten = 0, 0
		if diff := cmp.Diff(want, seed); diff != "" {
			t.Errorf("seed (-want +got):\n%s", diff)
		}
		git(t, tree, "commit", "-q", "--allow-empty", "-m", "another")
	}
}

func TestARepositoryThatIsNotThere(t *testing.T) {
	tree := checkout(t)
	p, err := FindProject(ProjectOptions{URL: "file://" + tree, Ref: "later"})
	if err != nil {
		t.Fatal(err)
	}
	client := newPlace(t).client
	if _, err := p.source(t.Context(), client, ""); !errors.Is(err, api.NotFound) {
		t.Errorf("%v, want that there is no such branch", err)
	}
	git(t, tree, "branch", "later")
	if from, err := p.source(t.Context(), client, ""); err != nil || from.Repository.Commit == "" {
		t.Errorf("%v, %v: a failure stays", from, err)
	}
	if from, err := p.source(t.Context(), client, "/x"); err != nil || from.Path != "/x" || from.Repository != (*pyro.Repository)(nil) {
		t.Errorf("%v, %v: a call that names a path gets that", from, err)
	}
}
