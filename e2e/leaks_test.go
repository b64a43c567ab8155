package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pyro-sandbox/pyro/internal/leaks"
)

// place is a state directory of its own, with everything that pyro makes for it
// where the test can look.
type place struct {
	dir string // short
	env []string
	ids map[string]bool // of all workspaces that were seen here
}

func newPlace(t *testing.T) *place {
	t.Helper()
	p := &place{dir: shortDir(t), ids: make(map[string]bool)}
	if err := os.Chmod(p.dir, 0o711); err != nil { // sandboxes of root have uids of their own
		t.Fatal(err)
	}
	t.Cleanup(func() { // a test that gave up leaves nothing that runs
		for _, s := range p.processes(" supervise ") {
			_ = syscall.Kill(s.pid, syscall.SIGKILL)
		}
	})
	// The helpers are beside the pyro under test; one with fault points lies elsewhere.
	p.env = append(os.Environ(), "PYRO_LIBDIR="+filepath.Dir(binary(t)))
	p.env = append(p.env, leaks.Place(p.dir).Env()...)
	return p
}

func (p *place) at(name string) string { return filepath.Join(p.dir, name) }

// command is a call of pyro in this place.
func (p *place) command(t *testing.T, pyro string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), pyro, args...)
	cmd.Env = append(slices.Clone(p.env), "PYRO_BINARY="+pyro) // what it starts is the same pyro
	return cmd
}

// ok runs pyro and wants it to succeed. It returns stdout.
func (p *place) ok(t *testing.T, pyro string, args ...string) string {
	t.Helper()
	cmd := p.command(t, pyro, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("pyro %s: %v: %s", strings.Join(args, " "), err, stderr.String()+stdout.String())
	}
	return strings.TrimSpace(stdout.String())
}

// create makes a workspace of the environment host, remembers its id and returns it.
func (p *place) create(t *testing.T, pyro string, flags ...string) string {
	t.Helper()
	id := p.ok(t, pyro, append([]string{"workspace", "create", "host", "--id-only"}, flags...)...)
	p.learn()
	return id
}

// patience is how long anything may take to vanish. It is what pyro promises.
const patience = 5 * time.Second

// wantNothing waits until nothing of this place is left on the machine.
func (p *place) wantNothing(t *testing.T) {
	t.Helper()
	if left := p.await(func() string { return strings.Join(p.leaks(), "\n") }); left != "" {
		t.Errorf("after %v there is still:\n%s", patience, left)
	}
}

// await returns "" as soon as look does, or what it last saw when patience is over.
func (p *place) await(look func() string) string { return awaitFor(patience, look) }

func awaitFor(most time.Duration, look func() string) string {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(most)
	for {
		seen := look()
		if seen == "" {
			return ""
		}
		select {
		case <-ticker.C:
		case <-deadline:
			return seen
		}
	}
}

// leaks names what is left of this place.
func (p *place) leaks() []string { return leaks.Place(p.dir).Left(p.ids) }

// learn remembers the ids of the workspaces that are here now.
func (p *place) learn() {
	for _, id := range leaks.Place(p.dir).IDs() {
		p.ids[id] = true
	}
}

// cgroups are those of the workspaces that were learnt of.
func (p *place) cgroups() []string { return leaks.Cgroups(p.ids) }

// process is one of this machine.
type process struct {
	pid  int
	line string // its command line
}

func (p process) String() string { return fmt.Sprint(p.pid, " ", p.line) }

// processes returns those of this place whose command line has a text in it.
func (p *place) processes(text string) []process {
	var found []process
	for _, other := range leaks.Place(p.dir).Processes(text) {
		found = append(found, process{other.PID, other.Line})
	}
	return found
}

// killSupervisor kills the supervisor of a workspace.
func (p *place) killSupervisor(t *testing.T, id string) {
	t.Helper()
	found := p.processes("supervise " + id)
	if len(found) != 1 {
		t.Fatal(found)
	}
	if err := syscall.Kill(found[0].pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// together runs n calls at the same time and returns when all have ended.
func together(n int, call func(int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { call(i) })
	}
	all.Wait()
}
