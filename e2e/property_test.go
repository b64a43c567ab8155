package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/pyro-sandbox/pyro/api"
)

// What was done inside comes back the same on every way: as files, as a patch that git
// applies or another workspace, and into the project. Each round is a random tree with
// random edits; many lie side by side in one workspace, since it is the workspaces that take long.

const (
	roundsOfOne = 250 // in one workspace: a patch may have 10,000 files
	growth      = 14  // things in a tree before the edits
	edits       = 6   // in each of the two waves
)

// fromEnv reads a number that a lane, or whoever repeats a failure, may set.
func fromEnv(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

func TestEveryWayBackGivesTheSame(t *testing.T) {
	t.Parallel()
	pyro := binary(t)
	requireSandboxes(t, pyro)
	tools(t, "git", "tar", "cp", "find")
	rounds, seed := fromEnv(t, "PYRO_PROPERTY_ROUNDS", 60), fromEnv(t, "PYRO_PROPERTY_SEED", 1)
	for first := 0; first < rounds; first += roundsOfOne {
		p := &ways{place: newPlace(t), pyro: pyro, seed: seed, first: first, end: min(first+roundsOfOne, rounds)}
		t.Logf("PYRO_PROPERTY_SEED=%d PYRO_PROPERTY_ROUNDS=%d repeats this", seed, rounds)
		p.all(t)
	}
}

// ways are the ways back of some rounds.
type ways struct {
	*place
	pyro             string
	seed, first, end int
	id               string
}

// each does something in every tree below a directory. The numbers are those of seed,
// round and what is done: a round is the same, whatever others there are.
func (w *ways) each(t *testing.T, root string, what uint64, do func(f *forest, top string) error) {
	t.Helper()
	for round := w.first; round < w.end; round++ {
		numbers := rand.New(rand.NewPCG(uint64(w.seed), uint64(round)<<8|what)) //nolint:gosec // they must repeat
		f := &forest{root: w.at(root), rand: numbers, made: int(what) * 1000}
		if err := do(f, fmt.Sprintf("r%04d", round)); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
	}
}

func (w *ways) copied(t *testing.T, from, to string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "cp", "-a", w.at(from), w.at(to)).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

func (w *ways) all(t *testing.T) {
	if err := os.Mkdir(w.at("seed"), 0o755); err != nil {
		t.Fatal(err)
	}
	w.each(t, "seed", 0, func(f *forest, top string) error { return f.grow(top, growth) })
	w.id = w.create(t, w.pyro, "--seed-path", w.at("seed"))
	w.copied(t, "seed", "wave0")
	for wave := 1; wave <= 2; wave++ { // the second diff builds on what the first has seen
		before, after := fmt.Sprint("wave", wave-1), fmt.Sprint("wave", wave)
		w.copied(t, before, after)
		w.each(t, after, uint64(wave), func(f *forest, top string) error { return f.change(top, edits) })
		w.push(t, before, after)
		w.byGit(t, after)
	}
	w.ok(t, w.pyro, "workspace", "export", w.id, ".", "--output", w.at("export"))
	sameTrees(t, "the export", w.at("wave2"), w.at("export"), exactly)
	w.byApply(t)
	w.byPatchApply(t)
	w.ok(t, w.pyro, "workspace", "delete", w.id)
	w.wantNothing(t)
}

// push makes of one tree inside the other.
func (w *ways) push(t *testing.T, from, to string) {
	t.Helper()
	var come bytes.Buffer
	gone, err := travel(w.at(from), w.at(to), &come)
	if err != nil {
		t.Fatal(err)
	}
	w.feed(t, gone, "workspace", "exec", w.id, "-i", "--", "xargs", "-0", "-r", "rm", "-rf", "--")
	w.feed(t, come.Bytes(), "workspace", "exec", w.id, "-i", "--timeout-seconds", "300", "--", "tar", "-xpf", "-")
}

// feed runs pyro with a stdin and returns its stdout.
func (w *ways) feed(t *testing.T, in []byte, args ...string) []byte {
	t.Helper()
	cmd := w.command(t, w.pyro, args...)
	var said bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("pyro %q: %v: %.2000s", args, err, said.String())
	}
	return out
}

// byGit wants git to make of the seed, by the patch, what was pushed.
func (w *ways) byGit(t *testing.T, want string) {
	t.Helper()
	to := want + "-by-git"
	w.copied(t, "seed", to)
	pruned := exec.CommandContext(t.Context(), "find", w.at(to), "-type", "d", "-empty", "-delete") // as in any checkout of git
	if out, err := pruned.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	cmd := exec.CommandContext(t.Context(), "git", "apply", "--whitespace=nowarn", "-")
	cmd.Dir = w.at(to)
	cmd.Env = append(w.env, "GIT_CEILING_DIRECTORIES="+w.dir, "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1")
	patch := w.feed(t, nil, "workspace", "diff", w.id, "--patch")
	cmd.Stdin = bytes.NewReader(patch)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git apply of %d bytes: %v: %.2000s", len(patch), err, out)
	}
	sameTrees(t, "what git apply made", w.at(want), w.at(to), toGit)
}

// byApply wants the same of apply, empty directories and modes too, but for what the
// umask takes of new files; and nothing to do afterwards.
func (w *ways) byApply(t *testing.T) {
	t.Helper()
	counts := maskedBy(w.umask(t))
	w.copied(t, "seed", "project")
	w.ok(t, w.pyro, "workspace", "apply", w.id, w.at("project"))
	sameTrees(t, "what apply made", w.at("export"), w.at("project"), counts)
	var again api.Apply
	if err := json.Unmarshal([]byte(w.ok(t, w.pyro, "workspace", "apply", w.id, w.at("project"), "--json")), &again); err != nil {
		t.Fatal(err)
	}
	if again.Changed {
		t.Errorf("apply for the second time: %+v", again)
	}
	sameTrees(t, "what apply left for the second time", w.at("export"), w.at("project"), counts)
}

func (w *ways) umask(t *testing.T) fs.FileMode {
	t.Helper()
	if err := os.Mkdir(w.at("masked"), 0o777); err != nil { //nolint:gosec // to see what becomes of it
		t.Fatal(err)
	}
	info, err := os.Stat(w.at("masked"))
	if err != nil {
		t.Fatal(err)
	}
	return 0o777 &^ info.Mode().Perm()
}

// byPatchApply wants another workspace to take the patch as git does.
func (w *ways) byPatchApply(t *testing.T) {
	t.Helper()
	patch := w.feed(t, nil, "workspace", "diff", w.id, "--patch")
	other := w.create(t, w.pyro, "--seed-path", w.at("seed"))
	w.feed(t, patch, "workspace", "patch", "apply", other, "--patch-file", "-", "--max-bytes", strconv.Itoa(64<<20))
	if again := w.feed(t, nil, "workspace", "diff", other, "--patch"); !bytes.Equal(again, patch) {
		t.Errorf("the patch of the patched has %d bytes, and not %d", len(again), len(patch))
	}
	w.ok(t, w.pyro, "workspace", "export", other, ".", "--output", w.at("export-patched"))
	sameTrees(t, "what patch apply made", w.at("export"), w.at("export-patched"), toGit)
	w.ok(t, w.pyro, "workspace", "delete", other)
}
