package source

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/api"
)

func TestWhatGitIgnoresStaysOut(t *testing.T) {
	needGit(t)
	home, err := os.UserHomeDir()
	must(t, err)
	dir := filepath.Join(t.TempDir(), "main")
	newRepo(t, dir)
	git(t, dir, "config", "--global", "core.excludesFile", filepath.Join(home, "mine"))
	write(t, filepath.Join(home, "mine"), "*.swp\n")
	write(t, filepath.Join(dir, ".git/info/exclude"), "/local\n")
	write(t, filepath.Join(dir, ".gitignore"), "build/\n*.o\n!keep.o\n")
	write(t, filepath.Join(dir, "b/.gitignore"), "/only-here\n!again.o\n")
	for _, name := range []string{
		"build/x", "build/tracked", "x.o", "keep.o", "b/again.o", "b/only-here", "only-here", "local", "x.swp",
		"new\nline.o", "fine", "b/untracked", "mixed/x.o", "mixed/y",
	} {
		write(t, filepath.Join(dir, name), "")
	}
	git(t, dir, "add", "-f", "build/tracked")
	nested := filepath.Join(dir, "nested")
	newRepo(t, nested)
	write(t, filepath.Join(nested, ".gitignore"), "*.tmp\n")
	write(t, filepath.Join(nested, "x.tmp"), "")
	write(t, filepath.Join(nested, "x.o"), "")
	files := func(names []string) []string {
		return slices.DeleteFunc(names, func(name string) bool {
			return strings.HasSuffix(name, "/") || strings.Contains(name, ".git/")
		})
	}
	want := []string{
		".gitignore", "a", "b/.gitignore", "b/again.o", "b/c", "b/untracked", "build/tracked", "fine", "keep.o",
		"mixed/y", "nested/.gitignore", "nested/a", "nested/b/c", "nested/x.o", "only-here",
	}
	all := packed(t, dir, Options{Gitignore: true})
	if !slices.Contains(all, ".git/HEAD") || !slices.Contains(all, "nested/.git/HEAD") {
		t.Error("the repository is missing")
	}
	if diff := cmp.Diff(all, listed(t, dir, Options{Gitignore: true})); diff != "" {
		t.Errorf("packed and listed differ:\n%s", diff)
	}
	if diff := cmp.Diff(want, files(all)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{".gitignore", "again.o", "c", "untracked"}, packed(t, filepath.Join(dir, "b"), Options{Gitignore: true})); diff != "" {
		t.Errorf("of a directory of the work tree (-want +got):\n%s", diff)
	}
	if without := packed(t, dir, Options{}); !slices.Contains(without, "build/x") {
		t.Error("nobody asked, and build/x is left out")
	}
}

func TestGitignoreNeedsGitAndAWorkTree(t *testing.T) {
	needGit(t)
	dir := filepath.Join(t.TempDir(), "main")
	newRepo(t, dir)
	write(t, filepath.Join(dir, ".gitignore"), "build/\n")
	write(t, filepath.Join(dir, "build/deep/x"), "")
	for name, path := range map[string]string{
		"no work tree":                    t.TempDir(),
		"the repository itself":           filepath.Join(dir, ".git"),
		"a directory that is ignored":     filepath.Join(dir, "build"),
		"below a directory of that kind":  filepath.Join(dir, "build/deep"),
		"a work tree without its own git": brokenTree(t),
	} {
		err := packErr(t, path, Options{Gitignore: true})
		if !errors.Is(err, api.Invalid) || !strings.Contains(err.Error(), "git") || !strings.Contains(api.HintOf(err), "drop --gitignore") {
			t.Errorf("%s: %v, hint %q", name, err, api.HintOf(err))
		}
	}
	t.Setenv("PATH", t.TempDir())
	err := packErr(t, dir, Options{Gitignore: true})
	if !errors.Is(err, api.Unsupported) || !strings.Contains(api.HintOf(err), "install git") {
		t.Errorf("without git: %v", err)
	}
}

func brokenTree(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, ".git"), "gitdir: /nowhere")
	return dir
}

func TestAskingGitRunsNothingOfTheRepository(t *testing.T) {
	needGit(t)
	dir := filepath.Join(t.TempDir(), "main")
	newRepo(t, dir)
	ran := filepath.Join(t.TempDir(), "ran")
	hook := filepath.Join(dir, ".git/evil")
	write(t, hook, "#!/bin/sh\necho > "+ran+"\n")
	must(t, os.Chmod(hook, 0o755))
	for _, name := range []string{"core.fsmonitor", "core.pager", "core.askPass", "core.sshCommand", "filter.f.clean", "filter.f.process", "diff.external"} {
		git(t, dir, "config", name, hook)
	}
	write(t, filepath.Join(dir, ".gitattributes"), "* filter=f\n")
	write(t, filepath.Join(dir, ".gitignore"), "x\n")
	write(t, filepath.Join(dir, "x"), "")
	names := packed(t, dir, Options{Gitignore: true})
	if slices.Contains(names, "x") {
		t.Error("x is not left out")
	}
	if _, err := os.Stat(ran); err == nil {
		t.Error("a program of the repository was run")
	}
}

func TestAskingGitStopsWhenCancelled(t *testing.T) {
	needGit(t)
	dir := filepath.Join(t.TempDir(), "main")
	newRepo(t, dir)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := open(t, dir, Options{Gitignore: true}).Entries(ctx); !errors.Is(err, api.Canceled) {
		t.Errorf("got %v", err)
	}
}
