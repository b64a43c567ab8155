package e2e

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var updateClaims = flag.Bool("update-claims", false, "write what was found into testdata/claims, to be reviewed")

// plan tells the probe what to attack. See e2e/probe.
type plan struct {
	Mark    string   `json:"mark"`
	Files   []string `json:"files"`
	Shown   []string `json:"shown"`
	Places  []string `json:"places"`
	PIDs    []int    `json:"pids"`
	TCP     []string `json:"tcp"`
	UDP     []string `json:"udp"`
	Unix    []string `json:"unix"`
	FIFOs   []string `json:"fifos"`
	Devices []string `json:"devices"`
	Vsock   uint32   `json:"vsock"`
}

// finding is what came of one attempt of the probe.
type finding struct{ Try, Got string }

// siege is a place with something to attack, and the probe that will.
type siege struct {
	*place
	pyro string
	id   string // of the workspace with the probe, once it is there
	mark string // what canaries contain
	plan plan
}

// newSiege returns a place without a workspace. All that is added to the plan has to
// be there before besiege.
func newSiege(t *testing.T) *siege {
	t.Helper()
	pyro := binary(t)
	requireSandboxes(t, pyro)
	s := &siege{place: newPlace(t), pyro: pyro, mark: fmt.Sprintf("canary-%016x", rand.Uint64())}
	backwards := []byte(s.mark)
	slices.Reverse(backwards)
	s.plan.Mark = string(backwards)
	copyFile(t, probeProgram(t), s.at("seed/probe"), 0o755)
	return s
}

// besiege makes a workspace with the probe in it.
func (s *siege) besiege(t *testing.T, flags ...string) {
	t.Helper()
	data, err := json.Marshal(s.plan)
	if err != nil {
		t.Fatal(err)
	}
	s.write(t, "seed/plan.json", string(data))
	s.id = s.create(t, s.pyro, append(flags, "--seed-path", s.at("seed"))...)
	s.learn()
	t.Cleanup(func() {
		cmd := exec.Command(s.pyro, "workspace", "delete", s.id) // the test's context has ended
		cmd.Env = s.env
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("delete: %v: %s", err, out)
		}
	})
}

// probe runs a group of attempts in the workspace.
func (s *siege) probe(t *testing.T, group string) map[string]string {
	t.Helper()
	return findings(t, s.command(t, s.pyro, "workspace", "exec", s.id, "--timeout-seconds", "120", "--", "/workspace/probe", group))
}

// inside runs a program in the workspace and returns its output.
func (s *siege) inside(t *testing.T, args ...string) string {
	t.Helper()
	return s.ok(t, s.pyro, append([]string{"workspace", "exec", s.id, "--"}, args...)...)
}

// findings runs a probe and reads what it says.
func findings(t *testing.T, cmd *exec.Cmd) map[string]string {
	t.Helper()
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s%s", err, out, stderr.String())
	}
	found := make(map[string]string)
	lines := bufio.NewScanner(strings.NewReader(string(out)))
	for lines.Scan() {
		var f finding
		if err := json.Unmarshal(lines.Bytes(), &f); err != nil {
			t.Fatalf("%v: %s", err, lines.Text())
		}
		found[f.Try] = f.Got
	}
	if len(found) == 0 {
		t.Fatal("the probe tried nothing")
	}
	return found
}

// wantOnly wants each attempt that begins with a prefix to end in one of the ways.
func wantOnly(t *testing.T, found map[string]string, prefix string, ways ...string) {
	t.Helper()
	seen := 0
	for try, got := range found {
		if !strings.HasPrefix(try, prefix) {
			continue
		}
		seen++
		if !slices.Contains(ways, got) {
			t.Errorf("%s: %s, want one of %q", try, got, ways)
		}
	}
	if seen == 0 {
		t.Errorf("nothing was tried that begins with %q", prefix)
	}
}

// want wants one attempt to end in one way.
func want(t *testing.T, found map[string]string, try, got string) {
	t.Helper()
	if found[try] != got {
		t.Errorf("%s: %q, want %q", try, found[try], got)
	}
}

// golden compares lines with a reviewed file.
func golden(t *testing.T, name string, got []string) {
	t.Helper()
	path := filepath.Join("testdata", "claims", name)
	if *updateClaims {
		if err := os.WriteFile(path, []byte(strings.Join(got, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got; -update-claims writes it anew):\n%s", path, diff)
	}
}

// table turns findings into sorted lines.
func table(found map[string]string) []string {
	var lines []string
	for try, got := range found {
		lines = append(lines, fmt.Sprintf("%-42s %s", try, strings.TrimSpace(got)))
	}
	slices.Sort(lines)
	return lines
}

// canary puts a file with the mark into a directory of the host, open to everybody,
// so that nothing but the sandbox keeps the guest from it. It returns "" where the
// user may not write.
func (s *siege) canary(t *testing.T, dir string) string {
	t.Helper()
	f, err := os.CreateTemp(dir, ".pyro-canary-*")
	if err != nil {
		return ""
	}
	t.Cleanup(func() { _ = os.Remove(f.Name()) })
	if _, err := f.WriteString(s.mark + "\n"); err != nil {
		t.Fatal(err)
	}
	if err := f.Chmod(0o666); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}

// probeProgram is the probe: PYRO_PROBE, or one that is built here.
func probeProgram(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("PYRO_PROBE"); path != "" {
		return path
	}
	path := filepath.Join(t.TempDir(), "probe")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-buildvcs=false", "-o", path, "./probe")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v: %s", err, out)
	}
	return path
}

func copyFile(t *testing.T, from, to string, mode os.FileMode) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, data, mode); err != nil {
		t.Fatal(err)
	}
}

func (p plan) write(t *testing.T, to string) {
	t.Helper()
	data, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, data, 0o644); err != nil {
		t.Fatal(err)
	}
}
