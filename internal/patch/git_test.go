package patch_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/internal/testgate"
)

// rounds is how often a property is tried; PYRO_PATCH_ROUNDS asks for more.
func rounds(t testing.TB, usual int) int {
	if text := os.Getenv("PYRO_PATCH_ROUNDS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	return usual
}

// git runs git in dir, away from any configuration and repository of the user.
func git(t testing.TB, dir string, stdin []byte, args ...string) ([]byte, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", args...)
	cmd.Dir, cmd.Stdin = dir, bytes.NewReader(stdin)
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CEILING_DIRECTORIES=/",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@b", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@b", "LC_ALL=C",
	}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.Bytes(), fmt.Errorf("git %v: %w: %s", args, err, errs.Bytes())
	}
	return out.Bytes(), nil
}

func needGit(t testing.TB) {
	t.Helper()
	_, err := exec.LookPath("git")
	testgate.Require(t, testgate.Tool, err)
}

func TestGitAppliesWhatIsMade(t *testing.T) {
	needGit(t)
	for seed := range uint64(rounds(t, 30)) {
		old, new := pair(seed)
		made := makePatch(t, old, new)
		if !utf8.Valid(made) {
			t.Fatalf("seed %d: the patch is not UTF-8", seed)
		}
		if len(made) == 0 {
			continue
		}
		dir := t.TempDir()
		if err := old.write(dir); err != nil {
			t.Fatal(err)
		}
		if _, err := git(t, dir, made, "apply", "--whitespace=nowarn"); err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, made)
		}
		got, err := readTree(dir)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(new, got); diff != "" {
			t.Fatalf("seed %d: git made another tree (-want +got):\n%s", seed, diff)
		}
	}
}

func TestGitAppliesToIndexAndThreeWay(t *testing.T) {
	needGit(t)
	for seed := range uint64(rounds(t, 3)) {
		for _, mode := range []string{"--index", "--3way"} {
			old, new := pair(seed)
			made := makePatch(t, old, new)
			if len(made) == 0 {
				continue
			}
			dir := t.TempDir()
			if err := old.write(dir); err != nil {
				t.Fatal(err)
			}
			for _, args := range [][]string{{"init", "-q"}, {"add", "-A", "."}, {"commit", "-qm", "old", "--allow-empty"}} {
				if _, err := git(t, dir, nil, args...); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := git(t, dir, made, "apply", "--whitespace=nowarn", mode); err != nil {
				t.Fatalf("seed %d: %v\n%s", seed, err, made)
			}
			got, err := readTree(dir)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(new, got); diff != "" {
				t.Fatalf("seed %d: git made another tree (-want +got):\n%s", seed, diff)
			}
		}
	}
}
