package e2e

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pyro-sandbox/pyro/internal/testgate"
)

// desk is a terminal that somebody sits at.
type desk struct {
	keys, tty *os.File
	before    *unix.Termios
	mu        sync.Mutex
	shown     strings.Builder
}

func sitDown(t *testing.T) *desk {
	t.Helper()
	keys, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	testgate.Require(t, testgate.Terminal, err)
	t.Cleanup(func() { _ = keys.Close() })
	if err := unix.IoctlSetPointerInt(int(keys.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(keys.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	tty, err := os.OpenFile(fmt.Sprint("/dev/pts/", n), os.O_RDWR|unix.O_NOCTTY, 0)
	testgate.Require(t, testgate.Terminal, err)
	t.Cleanup(func() { _ = tty.Close() })
	d := &desk{keys: keys, tty: tty}
	if d.before, err = unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS); err != nil {
		t.Fatal(err)
	}
	go func() { // ends when the terminal is closed
		buf := make([]byte, 4096)
		for {
			n, err := keys.Read(buf)
			d.mu.Lock()
			d.shown.Write(buf[:n])
			d.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return d
}

// screen is all that was shown.
func (d *desk) screen() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.shown.String()
}

// await waits until a text is shown.
func (d *desk) await(t *testing.T, text string) {
	t.Helper()
	if seen := awaitFor(30*time.Second, func() string {
		if seen := d.screen(); !strings.Contains(seen, text) {
			return fmt.Sprintf("%q is not shown: %q", text, seen)
		}
		return ""
	}); seen != "" {
		t.Fatal(seen)
	}
}

// run makes a command sit at the desk.
func (d *desk) run(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = d.tty, d.tty, d.tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
}

// wantRestored wants the terminal to be as it was.
func (d *desk) wantRestored(t *testing.T) {
	t.Helper()
	now, err := unix.IoctlGetTermios(int(d.tty.Fd()), unix.TCGETS)
	if err != nil || *now != *d.before {
		t.Errorf("the terminal is left as %+v, %v; it was %+v", now, err, d.before)
	}
}

// TestKillAmidTerminals kills the supervisor while somebody sits at a shell or a command.
// The client says so, gives the terminal back, and the next command is right.
func TestKillAmidTerminals(t *testing.T) {
	pyro := binary(t)
	requireSandboxes(t, pyro)
	for name, args := range map[string]func(id, shell string) []string{
		"a shell of one's own":    func(id, _ string) []string { return []string{"shell", "attach", id} },
		"a shell that was there":  func(id, shell string) []string { return []string{"shell", "attach", id, shell} },
		"a command on a terminal": func(id, _ string) []string { return []string{"exec", id, "-it", "--", "bash", "--norc", "-i"} },
		"a terminal without stdin": func(id, _ string) []string {
			return []string{"exec", id, "-t", "--", "sh", "-c", "echo sum5; sleep 1000"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			id := p.create(t, pyro)
			shell := p.ok(t, pyro, "workspace", "shell", "open", id, "--id-only")
			d := sitDown(t)
			cmd := p.command(t, pyro, append([]string{"workspace"}, args(id, shell)...)...)
			d.run(t, cmd)
			if !strings.Contains(name, "without") {
				d.await(t, "\x1b[?2004h") // bash waits for a line
				if _, err := io.WriteString(d.keys, "echo sum$((2+3))\r"); err != nil {
					t.Fatal(err)
				}
			}
			d.await(t, "sum5")
			p.killSupervisor(t, id)
			_ = cmd.Wait()
			if code := cmd.ProcessState.ExitCode(); code != 1 {
				t.Errorf("the client ended with %d", code)
			}
			d.await(t, "[error]")
			d.await(t, "[hint]")
			d.wantRestored(t)
			p.wantState(t, pyro, id, "supervisor_lost")
			p.ok(t, pyro, "workspace", "start", id)
			if got := p.ok(t, pyro, "workspace", "exec", id, "--", "echo", "again"); got != "again" {
				t.Errorf("after a start: %q", got)
			}
			p.ok(t, pyro, "workspace", "delete", id)
			p.wantNothing(t)
		})
	}
}

// TestKillAmidConnection kills the supervisor while a published port is used. What passes
// through ends, nobody listens any more, and the port can be had again.
func TestKillAmidConnection(t *testing.T) {
	pyro := binary(t)
	requireSandboxes(t, pyro)
	p := newPlace(t)
	id := p.create(t, pyro)
	start := func(publish string) int {
		t.Helper()
		out := p.ok(t, pyro, "workspace", "service", "start", id, "s", "--publish", publish, "--ready-tcp", "127.0.0.1:8000", "--json", "--", "python3", "-c", asyncServer)
		_, rest, _ := strings.Cut(out, `"host_port": `)
		var port int
		if _, err := fmt.Sscan(strings.TrimRight(strings.SplitN(rest, "\n", 2)[0], ","), &port); err != nil {
			t.Fatalf("%s: %v", out, err)
		}
		return port
	}
	port := start("8000")
	conn, err := net.Dial("tcp4", fmt.Sprint("127.0.0.1:", port))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	if _, err := io.WriteString(conn, "half of it"); err != nil {
		t.Fatal(err)
	}
	p.killSupervisor(t, id)
	if got, err := io.ReadAll(conn); len(got) > 0 || os.IsTimeout(err) {
		t.Errorf("the connection went on: %q, %v", got, err)
	}
	if again, err := net.Dial("tcp4", fmt.Sprint("127.0.0.1:", port)); err == nil {
		_ = again.Close()
		t.Error("somebody listens still")
	}
	p.wantState(t, pyro, id, "supervisor_lost")
	p.ok(t, pyro, "workspace", "start", id)
	if got := start(fmt.Sprint(port, ":8000")); got != port {
		t.Errorf("port %d, want %d", got, port)
	}
	p.ok(t, pyro, "workspace", "delete", id)
	p.wantNothing(t)
}
