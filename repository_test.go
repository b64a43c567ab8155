package pyro

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/testgate"
)

// gitRepository is one with a commit of one file.
func gitRepository(t *testing.T) (dir, commit string) {
	t.Helper()
	_, err := exec.LookPath("git")
	testgate.Require(t, testgate.Tool, err)
	dir = filepath.Join(t.TempDir(), "r")
	run := func(args ...string) string {
		cmd := exec.CommandContext(t.Context(), "git", args...)
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1",
			"GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@example.org", "GIT_COMMITTER_NAME=A", "GIT_COMMITTER_EMAIL=a@example.org")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v: %s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	run("init", "-q", "-b", "main", dir)
	if err := os.WriteFile(filepath.Join(dir, "a"), []byte("a"), 0o644); err != nil {
		t.Fatal(err)
	}
	run("-C", dir, "add", "a")
	run("-C", dir, "commit", "-q", "-m", "first")
	return dir, run("-C", dir, "rev-parse", "HEAD")
}

func TestARepositoryIsASeed(t *testing.T) {
	dir, commit := gitRepository(t)
	c := newTestClient(t, "")
	seed, origin, err := c.openSeed(t.Context(), &Source{Repository: &Repository{URL: "file://" + dir, Ref: "main"}, Gitignore: true})
	if err != nil {
		t.Fatal(err)
	}
	kind, ref := api.OriginRepository, "file://"+dir+"@main"
	want := &api.Seed{Mode: api.SeedDirectory, Destination: api.WorkspacePath, OriginKind: &kind, OriginRef: &ref, OriginCommit: &commit}
	if diff := cmp.Diff(want, origin); diff != "" {
		t.Errorf("recorded (-want +got):\n%s", diff)
	}
	info, err := os.Stat(filepath.Dir(seed.Path()))
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("clones lie in a directory with mode %v: %v", info.Mode(), err)
	}
	if got, err := c.Resolve(t.Context(), Repository{URL: "file://" + dir}); err != nil || got != commit {
		t.Errorf("resolved to %s, %v", got, err)
	}
}

func TestAPathIsASeed(t *testing.T) {
	dir := directory(t, "a")
	c := newTestClient(t, "")
	for _, row := range []struct{ origin, want string }{{"", api.OriginManual}, {api.OriginCheckout, api.OriginCheckout}} {
		_, origin, err := c.openSeed(t.Context(), &Source{Path: dir, Origin: row.origin})
		if err != nil {
			t.Fatal(err)
		}
		want := &api.Seed{Mode: api.SeedDirectory, SeedPath: &dir, Destination: api.WorkspacePath, OriginKind: &row.want, OriginRef: &dir}
		if diff := cmp.Diff(want, origin); diff != "" {
			t.Errorf("recorded (-want +got):\n%s", diff)
		}
	}
}

func TestRepositoriesThatAreRefused(t *testing.T) {
	dir, _ := gitRepository(t)
	c := newTestClient(t, "")
	for name, row := range map[string]struct {
		from Source
		kind api.Kind
	}{
		"no address":     {Source{Repository: &Repository{URL: "ext::sh"}}, api.Invalid},
		"no ref":         {Source{Repository: &Repository{URL: "file://" + dir, Ref: "-x"}}, api.Invalid},
		"no branch":      {Source{Repository: &Repository{URL: "file://" + dir, Ref: "gone"}}, api.NotFound},
		"a path as well": {Source{Path: dir, Repository: &Repository{URL: "file://" + dir}}, api.Invalid},
		"bad patterns":   {Source{Exclude: []string{"a\x00b"}, Repository: &Repository{URL: "file://" + dir}}, api.Invalid},
	} {
		if _, _, err := c.openSeed(t.Context(), &row.from); !errors.Is(err, row.kind) {
			t.Errorf("%s: %v, want %s", name, err, row.kind)
		}
	}
	if _, err := c.openSource(&Source{Repository: &Repository{URL: "file://" + dir}}); !errors.Is(err, api.Unsupported) {
		t.Errorf("a push: %v", err)
	}
}

func TestARepositoryIsShownWithoutItsLogin(t *testing.T) {
	for r, want := range map[Repository]string{
		{URL: "https://me:secret@example.org/a.git", Ref: "v1"}: "https://example.org/a.git@v1",
		{URL: "https://token@example.org/a.git"}:                "https://example.org/a.git",
		{URL: "me:secret"}:                                      "me:secret", // host and path
		{URL: "ftp://me:secret@example.org/a"}:                  "a repository",
	} {
		if got := r.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
