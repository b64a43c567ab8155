package leaks

import (
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMain(m *testing.M) {
	if os.Getenv("LEAKS_TEST_CHILD") != "" { // a process that is there until its stdin ends
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// child starts a process with further words in its environment.
func child(t *testing.T, env ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "lingers")
	cmd.Env = append(env, "LEAKS_TEST_CHILD=1")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stdin.Close(); _ = cmd.Wait() })
	return cmd
}

// short makes a place whose sockets have paths short enough.
func short(t *testing.T) Place {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "lk")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return Place(dir)
}

func TestNothingIsLeftOfAnEmptyPlace(t *testing.T) {
	p := short(t)
	child(t, "PYRO_STATE_DIR="+string(p)+"/some-other-place")
	for _, dir := range []string{State + "/workspaces", State + "/trash", State + "/gone", Run + "/hash", Sandbox + "/hash"} {
		if err := os.MkdirAll(p.At(dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if left := p.Left(map[string]bool{"0123456789ab": true}); len(left) > 0 {
		t.Errorf("left is %q", left)
	}
}

func TestLeftNamesEachThing(t *testing.T) {
	const id = "0123456789ab"
	for name, leave := range map[string]struct {
		make func(*testing.T, Place)
		want string
	}{
		"workspace":         {directory("s/workspaces/" + id), "s/workspaces/" + id},
		"half removed":      {directory("s/trash/" + id), "s/trash/" + id},
		"broken":            {directory("s/broken/" + id), "s/broken/" + id},
		"run directory":     {directory("r/hash/" + id), "r/hash/" + id},
		"sandbox directory": {directory("x/hash/" + id), "x/hash/" + id},
		"bound socket":      {socket("r/k.sock"), "r/k.sock"},
		"process": {func(t *testing.T, p Place) {
			t.Helper()
			child(t, p.Env()...)
		}, " lingers "},
	} {
		t.Run(name, func(t *testing.T) {
			p := short(t)
			leave.make(t, p)
			left := p.Left(nil)
			if len(left) != 1 || !strings.Contains(left[0], leave.want) {
				t.Errorf("left is %q, want one line with %q", left, leave.want)
			}
		})
	}
}

func directory(name string) func(*testing.T, Place) {
	return func(t *testing.T, p Place) {
		t.Helper()
		if err := os.MkdirAll(p.At(name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
}

func socket(name string) func(*testing.T, Place) {
	return func(t *testing.T, p Place) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(p.At(name)), 0o700); err != nil {
			t.Fatal(err)
		}
		var config net.ListenConfig
		l, err := config.Listen(t.Context(), "unix", p.At(name))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
	}
}

func TestIDsAreTheWorkspaces(t *testing.T) {
	p := short(t)
	directory("s/workspaces/a")(t, p)
	directory("s/workspaces/b")(t, p)
	directory("s/trash/c")(t, p)
	if diff := cmp.Diff([]string{"a", "b"}, p.IDs()); diff != "" {
		t.Errorf("ids (-want +got):\n%s", diff)
	}
}

func TestProcessesAreFoundByATextOfTheirCommandLine(t *testing.T) {
	p := short(t)
	cmd := child(t, p.Env()...)
	for text, want := range map[string]int{"": 1, "lingers": 1, " supervise ": 0} {
		found := p.Processes(text)
		if len(found) != want || want == 1 && found[0].PID != cmd.Process.Pid {
			t.Errorf("with %q: %v, want %d of process %d", text, found, want, cmd.Process.Pid)
		}
	}
}

func TestCountSeesAChild(t *testing.T) {
	if n := Count(); n.Processes < 1 || n.Mounts < 1 {
		t.Errorf("counted %v, but this process runs, and from a file system", n)
	}
	cmd := child(t)
	if got := stateOf(cmd.Process.Pid); got == "" || got == "Z" {
		t.Errorf("a process that runs has state %q", got)
	}
}
