package agent

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/pyro-sandbox/pyro/internal/wire"
)

// What interrupts a command interrupts it, whichever shell started it and whether or not
// that gives it a group of its own.
func TestShellSignalReachesForeground(t *testing.T) {
	c := serve(t, testConfig(t))
	for name, env := range map[string]wire.LaxEnv{"bash": nil, "sh": shOnly(t)} {
		for _, tt := range []struct {
			signal string
			status int
		}{{"INT", 130}, {"int", 130}, {"TERM", 143}, {"KILL", 137}, {"HUP", 129}} {
			t.Run(name+" "+tt.signal, func(t *testing.T) {
				id := shellOf(t, c, wire.OpenShellRequest{Env: env})
				defer func() { _, _ = c.CloseShell(t.Context(), id) }()
				typeIn(t, c, id, "sleep 4010")
				if !livesOn("sleep 4010") {
					t.Fatal("it never began")
				}
				sent, err := c.SignalShell(t.Context(), id, tt.signal)
				if err != nil || sent.Signal != strings.ToUpper(tt.signal) {
					t.Fatalf("sent %+v, %v", sent, err)
				}
				if !eventually(func() bool { return !alive("sleep 4010") }) {
					t.Fatal("it runs on")
				}
				typeIn(t, c, id, "echo =$?")
				awaitOutput(t, c, id, fmt.Sprintf("=%d\r", tt.status))
			})
		}
	}
}

func TestShellSignalReachesShellThatWaits(t *testing.T) {
	c := serve(t, testConfig(t))
	for signal, code := range map[string]int{"HUP": -1, "KILL": -9} {
		t.Run(signal, func(t *testing.T) {
			id := shellOf(t, c, wire.OpenShellRequest{ShellID: wire.LaxString(signal)})
			awaitOutput(t, c, id, "pyro$ ")
			if _, err := c.SignalShell(t.Context(), id, signal); err != nil {
				t.Fatal(err)
			}
			if got := awaitStopped(t, c, id); *got.ExitCode != code {
				t.Errorf("it ended with %d", *got.ExitCode)
			}
		})
	}
}

// A shell that has stopped has said everything: the last line is there whenever that is
// seen, however much comes before it.
func TestShellStopsAfterItsLastOutput(t *testing.T) {
	c := serve(t, testConfig(t))
	for i := range 20 {
		id := shellOf(t, c, wire.OpenShellRequest{ShellID: wire.LaxString(fmt.Sprint("s", i))})
		typeIn(t, c, id, "exec sh -c 'head -c 300000 /dev/zero | tr \"\\0\" x; echo =the end'")
		got := awaitStopped(t, c, id).Output
		if strings.Count(got, "x") < 300000 || !strings.HasSuffix(got, "=the end\r\n") {
			t.Fatalf("%d bytes came, the last are %q", len(got), got[max(0, len(got)-20):])
		}
		if _, err := c.CloseShell(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCloseShellKillsWhatLeftIt(t *testing.T) {
	c := serve(t, testConfig(t))
	id := shellOf(t, c, wire.OpenShellRequest{})
	typeIn(t, c, id, "setsid sleep 4020 & nohup sleep 4021 >/dev/null & sleep 4022 | sleep 4022")
	for _, line := range []string{"sleep 4020", "sleep 4021", "sleep 4022"} {
		if !livesOn(line) {
			t.Fatalf("%s never began", line)
		}
	}
	got, err := c.CloseShell(t.Context(), id)
	if err != nil || got.State != wire.ShellStopped {
		t.Errorf("closed as %+v, %v", got, err)
	}
	for _, line := range []string{"sleep 4020", "sleep 4021", "sleep 4022"} {
		if alive(line) {
			t.Errorf("%s lives on", line)
		}
	}
}

func TestCloseShellThatIgnoresHangup(t *testing.T) {
	c := serve(t, testConfig(t))
	id := shellOf(t, c, wire.OpenShellRequest{})
	typeIn(t, c, id, "exec sh -c 'trap \"\" HUP TERM; echo =ready; while :; do sleep 0.1; done'")
	awaitOutput(t, c, id, "\n=ready")
	got, err := c.CloseShell(t.Context(), id)
	if err != nil || got.ExitCode == nil || *got.ExitCode != -9 {
		t.Errorf("closed as %+v, %v", got, err)
	}
}

// Processes that a shell leaves behind do not keep it from being over.
func TestShellLeavesProcessesBehind(t *testing.T) {
	c := serve(t, testConfig(t))
	id := shellOf(t, c, wire.OpenShellRequest{})
	typeIn(t, c, id, "(trap '' HUP; while echo =again; do sleep 0.05; done) & exit 3")
	if got := awaitStopped(t, c, id); *got.ExitCode != 3 {
		t.Errorf("it ended with %d", *got.ExitCode)
	}
	if _, err := c.CloseShell(t.Context(), id); err != nil {
		t.Fatal(err)
	}
}

func TestShellEndsWithAgent(t *testing.T) {
	l := newPipeListener()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, l, testConfig(t)) }() // ends with ctx
	c := &wire.Client{Dial: func(context.Context) (net.Conn, error) { return l.dial(), nil }}
	if _, err := c.OpenShell(t.Context(), wire.OpenShellRequest{ShellID: "s1", Cwd: "/workspace", Cols: 80, Rows: 24}); err != nil {
		t.Fatal(err)
	}
	typeIn(t, c, "s1", "setsid sleep 4040 & sleep 4041")
	if !livesOn("sleep 4040") || !livesOn("sleep 4041") {
		t.Fatal("they never began")
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Serve returned %v", err)
	}
	if alive("sleep 4040") || alive("sleep 4041") {
		t.Error("something outlived the agent")
	}
}

// The memory watch finds a shell as it finds a command, and all that came from it.
func TestShellKilledForMemory(t *testing.T) {
	cfg := testConfig(t)
	a := newAgent(cfg)
	reply, err := a.openShell(&wire.OpenShellRequest{ShellID: "s1", Cwd: "/workspace", Cols: 80, Rows: 24})
	if err != nil {
		t.Fatal(err)
	}
	s, err := a.sessions.get(wire.LaxString(reply.ShellID))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.enter([]byte("setsid sleep 4050 &\n")); err != nil {
		t.Fatal(err)
	}
	if !livesOn("sleep 4050") {
		t.Fatal("it never began")
	}
	a.killForMemory(group{leader: s.p.pid})
	<-s.done
	got := s.read(0, 10_000)
	if *got.ExitCode != -9 || !strings.HasSuffix(got.Output, "memory of the workspace is used up\r\n") {
		t.Errorf("it ended as %+v", got)
	}
	if alive("sleep 4050") {
		t.Error("what left it lives on")
	}
	if a.running.get(s.p.pid) != nil {
		t.Error("it is still among those that run")
	}
	s.close()
}

// Killing a shell while others read it gives everybody the same end.
func TestShellIsKilledWhileItIsRead(t *testing.T) {
	c := serveMux(t, testConfig(t))
	id := shellOf(t, c, wire.OpenShellRequest{})
	typeIn(t, c, id, "exec yes")
	awaitOutput(t, c, id, "y\r\ny\r\n")
	var readers sync.WaitGroup
	ends := make([]int64, 8)
	for i := range ends {
		readers.Go(func() {
			for cursor := int64(0); ; {
				got, err := c.ReadShell(t.Context(), wire.ReadShellRequest{ShellID: wire.LaxString(id), Cursor: wire.LaxInt(cursor), MaxChars: 100_000})
				if err != nil {
					t.Error(err)
					return
				}
				if got.NextCursor-got.Cursor != int64(utf8.RuneCountInString(got.Output)) {
					t.Errorf("cursors %d to %d for %d code points", got.Cursor, got.NextCursor, utf8.RuneCountInString(got.Output))
				}
				cursor = got.NextCursor
				if got.State == wire.ShellStopped && !got.Truncated {
					ends[i] = cursor
					return
				}
			}
		})
	}
	if _, err := c.SignalShell(t.Context(), id, "KILL"); err != nil {
		t.Fatal(err)
	}
	readers.Wait()
	for _, end := range ends {
		if end != ends[0] || end == 0 {
			t.Fatalf("they ended at %v", ends)
		}
	}
}
