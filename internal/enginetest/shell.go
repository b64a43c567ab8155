package enginetest

import (
	"strings"
	"testing"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/engine"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// testShell needs a kernel with terminals whose foreground can be told.
func testShell(t *testing.T, s Subject) {
	box := Start(t, s)
	c := &wire.Client{Dial: box.Dial}
	if _, err := c.OpenShell(t.Context(), wire.OpenShellRequest{
		ShellID: "a", Cwd: "/workspace", Cols: 70, Rows: 20, Env: wire.LaxEnv{"TERM": "dumb"},
	}); err != nil {
		t.Fatal(err)
	}
	awaitOutput(t, c, "pyro$ ")
	for signal, status := range map[string]string{"INT": "130", "TERM": "143"} {
		typeLine(t, c, "sh -c 'echo =ready for "+signal+"; exec sleep 600'")
		awaitOutput(t, c, "\n=ready for "+signal+"\r")
		if _, err := c.SignalShell(t.Context(), "a", signal); err != nil {
			t.Fatal(err)
		}
		typeLine(t, c, "echo =$?")
		awaitOutput(t, c, "="+status+"\r")
	}
	if _, err := c.ResizeShell(t.Context(), "a", api.TerminalSize{Cols: 90, Rows: 30}); err != nil {
		t.Fatal(err)
	}
	typeLine(t, c, "stty size")
	awaitOutput(t, c, "\n30 90\r")
	closed, err := c.CloseShell(t.Context(), "a")
	if err != nil || closed.State != wire.ShellStopped {
		t.Errorf("closed as %+v, %v", closed, err)
	}
	onTerminal(t, box)
}

func onTerminal(t *testing.T, box engine.Sandbox) {
	t.Helper()
	r := Exec(t, box, "", wire.StreamRequest{Argv: []string{"stty", "size"}, TTY: &api.TerminalSize{Cols: 71, Rows: 21}})
	if r.Code != 0 || r.Stdout != "21 71\r\n" {
		t.Errorf("on a terminal: %+v", r)
	}
}

func typeLine(t *testing.T, c *wire.Client, line string) {
	t.Helper()
	if _, err := c.WriteShell(t.Context(), wire.WriteShellRequest{ShellID: "a", Input: wire.LaxString(line), AppendNewline: true}); err != nil {
		t.Fatal(err)
	}
}

// awaitOutput waits until the shell has printed text.
func awaitOutput(t *testing.T, c *wire.Client, text string) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); time.Now().Before(end); <-tick.C {
		r, err := c.ReadShell(t.Context(), wire.ReadShellRequest{ShellID: "a", MaxChars: 100_000})
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(r.Output, text) {
			return
		}
	}
	t.Fatalf("%q never came", text)
}
