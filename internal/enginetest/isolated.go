package enginetest

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/engine"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// runIsolated has what holds only behind a wall. One sandbox serves all of it.
func runIsolated(t *testing.T, s Subject) {
	box := Start(t, s)
	for _, test := range []struct {
		name string
		run  func(*testing.T, engine.Sandbox)
	}{
		{"RootInside", rootInside},
		{"OwnProcesses", ownProcesses},
		{"HostUntouched", hostUntouched},
		{"SyntheticEtc", syntheticEtc},
		{"NoNetwork", noNetwork},
		{"NothingInherited", nothingInherited},
		{"DiskIsLimited", diskIsLimited},
		{"GreedyCommandDiesAlone", greedyCommand},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, box) })
	}
	t.Run("ForkBombIsHeld", func(t *testing.T) { forkBomb(t, s) })
	t.Run("AgentKilled", func(t *testing.T) { agentKilled(t, s) })
}

func rootInside(t *testing.T, box engine.Sandbox) {
	if got := Shell(t, box, "id -u; pwd; cd /workspace && echo x >f && cat f"); got != "0\n/workspace\nx\n" && got != "0\n/\nx\n" {
		t.Errorf("got %q", got)
	}
}

func ownProcesses(t *testing.T, box engine.Sandbox) {
	if n := strings.Count(Shell(t, box, "ls -d /proc/[0-9]*"), "\n"); n > 10 {
		t.Errorf("the guest sees %d processes", n)
	}
}

// hostUntouched writes and deletes where the host's own files lie below.
func hostUntouched(t *testing.T, box engine.Sandbox) {
	const victim = "/usr/bin/env"
	before, err := os.ReadFile(victim)
	if err != nil {
		t.Fatal(err)
	}
	Shell(t, box, "rm "+victim+" && ! test -e "+victim+" && mkdir -p /usr/local/pyro-test && echo x >/usr/local/pyro-test/f && cat /usr/local/pyro-test/f")
	after, err := os.ReadFile(victim)
	if err != nil || string(after) != string(before) {
		t.Errorf("%s on the host changed: %v", victim, err)
	}
	if _, err := os.Stat("/usr/local/pyro-test"); err == nil {
		t.Error("a directory made in the guest is on the host")
	}
}

func syntheticEtc(t *testing.T, box engine.Sandbox) {
	for _, private := range []string{"/etc/shadow", "/etc/machine-id", "/var/lib/dpkg/status", "/root/.bashrc", "/home/*"} {
		if r := Exec(t, box, "", sh("ls -d "+private)); r.Code == 0 {
			t.Errorf("%s of the host is there", private)
		}
	}
}

func noNetwork(t *testing.T, box engine.Sandbox) {
	if got := Shell(t, box, "tail -n +3 /proc/net/dev | grep -v ' *lo:' || true"); got != "" {
		t.Errorf("the guest has a network device: %s", got)
	}
}

func nothingInherited(t *testing.T, box engine.Sandbox) {
	if got := Shell(t, box, "ls /proc/self/fd | sort -n | tr '\\n' ' '"); got != "0 1 2 3 " { // 3 is the directory being listed
		t.Errorf("open descriptors: %s", got)
	}
	got := Shell(t, box, "env | cut -d= -f1 | sort | tr '\\n' ' '")
	for name := range strings.FieldsSeq(got) {
		switch name {
		case "HOME", "LANG", "PATH", "PWD", "OLDPWD", "SHLVL", "_":
		default:
			if !strings.HasPrefix(name, "PYRO_") {
				t.Errorf("variable %s is set", name)
			}
		}
	}
}

// diskIsLimited relies on the suite's Spec having a small disk.
func diskIsLimited(t *testing.T, box engine.Sandbox) {
	r := Exec(t, box, "", sh("head -c 500000000 /dev/zero >/workspace/big"))
	if r.Code == 0 || !strings.Contains(r.Stderr, "No space left") {
		t.Errorf("500 MB fit on a disk of %d MiB: %+v", DiskMiB, r)
	}
	Shell(t, box, "rm /workspace/big && echo x >/workspace/small")
}

// Sizes of the sandboxes in this suite.
const (
	DiskMiB = 128
	MemMiB  = 256
	PIDs    = 200
)

// greedyCommand outgrows the memory; its sandbox and the files in it live on.
func greedyCommand(t *testing.T, box engine.Sandbox) {
	Shell(t, box, "echo precious >/workspace/kept")
	r := Exec(t, box, "", wire.StreamRequest{Argv: []string{"/bin/sh", "-c", "head -c 2000000000 /dev/zero | tail"}})
	if r.Reason != api.EndedByOOM || r.Code != 137 {
		t.Errorf("got %+v, want exit 137 and reason %s", r.Exit, api.EndedByOOM)
	}
	if got := Shell(t, box, "cat /workspace/kept"); got != "precious\n" {
		t.Errorf("the files are gone: %q", got)
	}
}

// forkBomb starts more processes than are allowed. Some fail; the sandbox lives.
func forkBomb(t *testing.T, s Subject) {
	box := Start(t, s)
	line := fmt.Sprintf("i=0; while [ $i -lt %d ]; do sleep 1000 & i=$((i+1)); done; echo through", 2*PIDs)
	if r := Exec(t, box, "", sh(line)); r.Code == 0 {
		t.Errorf("%d processes were started, allowed are %d", 2*PIDs, PIDs)
	}
	if got := Shell(t, box, "echo still here"); got != "still here\n" { // a builtin, which needs no process
		t.Errorf("afterwards: %q", got)
	}
}

// agentKilled ends PID 1 from inside, as root of the guest can.
func agentKilled(t *testing.T, s Subject) {
	box := Start(t, s)
	_, _ = exec(t.Context(), box, "", sh("kill -9 1"))
	exit, err := box.Wait(t.Context())
	if err != nil || exit.Reason != engine.EndedByLoss {
		t.Errorf("%+v, %v, want reason %s", exit, err, engine.EndedByLoss)
	}
}
