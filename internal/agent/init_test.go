package agent

import (
	"net"
	"os"
	osexec "os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/pyro-sandbox/pyro/internal/sys"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// startInit runs an agent that reaps for others in a process of its own. The second
// result waits for its end and returns how it came.
func startInit(t *testing.T) (*wire.Client, net.Conn, func() error, int) {
	t.Helper()
	ours, theirs := socketpair(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := osexec.Command(self)
	cmd.Env = append(os.Environ(), roleEnv+"=init", "PYRO_AGENT_TEST_WORKSPACE="+t.TempDir())
	cmd.Stderr = os.Stderr
	control := os.NewFile(uintptr(theirs), "control")
	cmd.ExtraFiles = []*os.File{control, control} // the second is one too many, as packets would be
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = control.Close()
	wait := sync.OnceValue(cmd.Wait)
	t.Cleanup(func() {
		_ = ours.Close()
		_ = wait()
	})
	return muxClient(t, ours), ours, wait, cmd.Process.Pid
}

func zombiesOf(pid int) (n int) {
	for _, p := range sys.Tasks() {
		if p.Parent == pid && p.Ended {
			n++
		}
	}
	return n
}

func TestInitReapsOrphans(t *testing.T) {
	c, _, _, pid := startInit(t)
	for range 20 {
		if got := exec(t, c, "(setsid sh -c 'sleep 0.01 & sleep 0.02 &' &); exit 3"); got.ExitCode != 3 {
			t.Fatalf("got %+v", got)
		}
	}
	if !eventually(func() bool { return zombiesOf(pid) == 0 }) {
		t.Errorf("%d zombies", zombiesOf(pid))
	}
}

// Every command gets its own status, however many end at the same time and however
// many orphans end among them.
func TestInitMixesUpNoStatus(t *testing.T) {
	c, _, _, pid := startInit(t)
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			for i := range 25 {
				code := (worker*25 + i) % 120
				s, err := c.Stream(t.Context(), wire.StreamRequest{Argv: []string{"/bin/sh", "-c", "(sleep 0 & sleep 0 &); exit $0", strconv.Itoa(code)}})
				if err != nil {
					t.Error(err)
					return
				}
				if got, err := collect(t, s); err != nil || got.Exit.Code != code {
					t.Errorf("got %+v, %v, want %d", got, err, code)
				}
				_ = s.Close()
			}
		})
	}
	all.Wait()
	if !eventually(func() bool { return zombiesOf(pid) == 0 }) {
		t.Errorf("%d zombies", zombiesOf(pid))
	}
}

func TestInitKillsWholeGroup(t *testing.T) {
	c, _, _, pid := startInit(t)
	got, err := c.Exec(t.Context(), wire.ExecRequest{Command: "(setsid sh -c 'setsid sleep 3080 & sleep 3080' &); sleep 0.2; sleep 3080", TimeoutSeconds: 1})
	if err != nil || got.ExitCode != 124 {
		t.Errorf("got %+v, %v", got, err)
	}
	if alive("sleep 3080") {
		t.Error("some of it lives on")
	}
	if !eventually(func() bool { return zombiesOf(pid) == 0 }) {
		t.Errorf("%d zombies", zombiesOf(pid))
	}
}

func TestCommandsInheritNothing(t *testing.T) {
	c, _, _, _ := startInit(t)
	got, err := collect(t, open(t, c, wire.StreamRequest{Argv: []string{"ls", "/proc/self/fd"}}))
	if err != nil || got.Stdout != "0\n1\n2\n3\n" { // 3 is the directory that ls reads
		t.Errorf("descriptors: %+v, %v", got, err)
	}
	got, err = collect(t, open(t, c, wire.StreamRequest{Argv: []string{"grep", "-E", "Cap(Inh|Amb)", "/proc/self/status"}}))
	if err != nil || strings.Trim(strings.NewReplacer("CapInh:", "", "CapAmb:", "").Replace(got.Stdout), "0\t\n") != "" {
		t.Errorf("capabilities: %+v, %v", got, err)
	}
}

func TestInitEndsWithControlSocket(t *testing.T) {
	_, conn, wait, _ := startInit(t)
	_ = conn.Close()
	if err := wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
}
