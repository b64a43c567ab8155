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
	p.env = append(os.Environ(),
		"PYRO_LIBDIR="+filepath.Dir(binary(t)),
		"PYRO_STATE_DIR="+p.at("s"), "PYRO_CACHE_DIR="+p.at("c"), "PYRO_RUN_DIR="+p.at("r"), "PYRO_SANDBOX_DIR="+p.at("x"),
	)
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
func (p *place) await(look func() string) string {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(patience)
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

// leaks names what is left of this place: processes, mounts, workspaces, sockets,
// sandbox directories, reserved user ids, cgroups.
func (p *place) leaks() []string {
	var left []string
	for _, pattern := range []string{"s/workspaces/*", "s/trash/*", "s/broken/*", "r/*/*", "x/*/*"} {
		found, _ := filepath.Glob(p.at(pattern))
		left = append(left, found...)
	}
	for _, process := range p.processes("") {
		left = append(left, process.String()+" "+process.state())
	}
	uids, _ := filepath.Glob("/var/lib/pyro/uid/*")
	for _, entry := range uids {
		if owner, err := os.Readlink(entry); err == nil && strings.HasPrefix(owner, p.dir+"/") {
			left = append(left, entry+" -> "+owner)
		}
	}
	mounts, _ := os.ReadFile("/proc/self/mounts")
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, p.dir+"/") {
			left = append(left, line)
		}
	}
	return append(left, p.cgroups()...)
}

// learn remembers the ids of the workspaces that are here now.
func (p *place) learn() {
	found, _ := filepath.Glob(p.at("s/workspaces/*"))
	for _, dir := range found {
		p.ids[filepath.Base(dir)] = true
	}
}

// cgroups are those of the workspaces that were learnt of.
func (p *place) cgroups() []string {
	var left []string
	for id := range p.ids {
		found, _ := filepath.Glob("/sys/fs/cgroup/*/pyro/" + id)
		left = append(left, found...)
	}
	return left
}

// process is one of this machine.
type process struct {
	pid  int
	line string // its command line
}

func (p process) String() string { return fmt.Sprint(p.pid, " ", p.line) }

// processes returns those of this place whose command line begins with a program's
// name. They name the place in their arguments or in their environment.
func (p *place) processes(program string) []process {
	var found []process
	names, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, name := range names {
		var pid int
		if _, err := fmt.Sscanf(name, "/proc/%d/", &pid); err != nil || pid == os.Getpid() {
			continue
		}
		args, _ := os.ReadFile(name)
		environ, _ := os.ReadFile(filepath.Join(filepath.Dir(name), "environ"))
		line := string(bytes.ReplaceAll(args, []byte{0}, []byte{' '}))
		if strings.Contains(line, program) && (strings.Contains(line, p.dir+"/") || bytes.Contains(environ, []byte("PYRO_STATE_DIR="+p.at("s")))) {
			found = append(found, process{pid, line})
		}
	}
	return found
}

// together runs n calls at the same time and returns when all have ended.
func together(n int, call func(int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { call(i) })
	}
	all.Wait()
}

// state is what a process that should be gone does instead.
func (p process) state() string {
	var said []string
	for _, name := range []string{"wchan", "syscall"} {
		tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/%s", p.pid, name))
		for _, task := range tasks {
			text, _ := os.ReadFile(task)
			said = append(said, strings.TrimSpace(string(text)))
		}
	}
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.pid))
	_, status, _ = bytes.Cut(status, []byte(") "))
	return fmt.Sprintf("%.1s %q", status, said)
}
