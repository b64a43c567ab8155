package patch_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/pyro-sandbox/pyro/internal/patch"
)

// gitDiff is what git itself prints for two trees.
func gitDiff(t *testing.T, old, new tree, options ...string) []byte {
	t.Helper()
	dir := t.TempDir()
	run := func(args ...string) []byte {
		out, err := git(t, dir, nil, args...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	run("init", "-q")
	for _, side := range []tree{old, new} {
		if _, err := git(t, dir, nil, "rm", "-rq", "--ignore-unmatch", "."); err != nil {
			t.Fatal(err)
		}
		if err := side.write(dir); err != nil {
			t.Fatal(err)
		}
		run("add", "-A", ".")
		run("commit", "-qm", "side", "--allow-empty")
	}
	return run(append([]string{"diff"}, append(options, "HEAD~1", "HEAD")...)...)
}

func TestPlanTakesWhatGitPrints(t *testing.T) {
	needGit(t)
	all := [][]string{
		{"--binary"},
		{"--binary", "-U0"},
		{"--binary", "-M", "-C", "--find-copies-harder"},
		{"--binary", "-M20%", "-U1"},
		{"--binary", "--no-prefix"},
		{"--binary", "--full-index", "-B", "--no-renames"},
		{"--binary", "--src-prefix=i/", "--dst-prefix=w/", "--no-renames"},
		{"--binary", "--stat", "-p", "--patience", "-U8"},
	}
	for seed := range uint64(rounds(t, len(all))) {
		old, new := pair(seed)
		options := all[seed%uint64(len(all))]
		printed := gitDiff(t, old, new, options...)
		if len(printed) == 0 {
			continue
		}
		changes, err := patch.Plan(printed, old, patch.DefaultLimits)
		if err != nil {
			t.Fatalf("seed %d %v: %v\n%s", seed, options, err, printed)
		}
		if diff := cmp.Diff(new, old.applied(changes), cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("seed %d %v: another tree (-want +got):\n%s\n%s", seed, options, diff, printed)
		}
	}
}

// few makes lines of which many are the same, so that hunks fit in several places.
func few(r *rand.Rand, count int) []string {
	lines := make([]string, count)
	for i := range lines {
		lines[i] = string(rune('a' + r.IntN(4)))
	}
	return lines
}

// TestPlanMovesHunksNoFurtherThanGit changes the file before the patch is applied. What
// git refuses must be refused; where git finds a place, it is that or none. A hunk without
// lines of context at its end is taken where it says, which git does with --unidiff-zero.
func TestPlanMovesHunksNoFurtherThanGit(t *testing.T) {
	needGit(t)
	dir, moved, refused := t.TempDir(), 0, 0
	for seed := range uint64(rounds(t, 30)) {
		r := rand.New(rand.NewPCG(seed, 3))
		lines := few(r, 6+r.IntN(30))
		text := func(lines []string) string { return strings.Join(lines, "\n") + "\n" }
		old := tree{"x": {Kind: patch.File, Content: text(lines)}}
		edited := append([]string(nil), lines...)
		for range 1 + r.IntN(3) {
			edited[r.IntN(len(edited))] = fmt.Sprint("new", r.IntN(9))
		}
		made := makePatch(t, old, tree{"x": {Kind: patch.File, Content: text(edited)}})
		at := r.IntN(len(lines))
		lines = append(lines[:at:at], append(few(r, r.IntN(4)), lines[at+r.IntN(2):]...)...)
		found := tree{"x": {Kind: patch.File, Content: text(lines)}}
		if err := os.WriteFile(dir+"/x", []byte(found["x"].Content), 0o644); err != nil {
			t.Fatal(err)
		}
		_, gitErr := git(t, dir, made, "apply", "--whitespace=nowarn")
		if gitErr != nil {
			_, gitErr = git(t, dir, made, "apply", "--whitespace=nowarn", "--unidiff-zero")
		}
		changes, err := patch.Plan(made, found, patch.DefaultLimits)
		if err != nil {
			refused++
			continue
		}
		moved++
		if gitErr != nil {
			t.Errorf("seed %d: git refuses it: %v\n%s", seed, gitErr, made)
		}
		got, err := readTree(dir)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(got, found.applied(changes)); diff != "" {
			t.Errorf("seed %d: git finds another place (-git +plan):\n%s\n%s", seed, diff, made)
		}
	}
	if moved == 0 || refused == 0 {
		t.Errorf("%d applied, %d refused: the cases do not tell anything", moved, refused)
	}
}
