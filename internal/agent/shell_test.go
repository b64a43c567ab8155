package agent

import (
	stdcmp "cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// shOnly is an environment in which there is no bash.
func shOnly(t *testing.T) wire.LaxEnv {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"sleep", "stty", "cat", "yes"} {
		path, err := osexec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(path, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return wire.LaxEnv{"PATH": dir}
}

// shellOf is a shell that is closed at the end of the test.
func shellOf(t *testing.T, c *wire.Client, req wire.OpenShellRequest) string {
	t.Helper()
	req.ShellID = wire.LaxString(stdcmp.Or(string(req.ShellID), "s1"))
	req.Cwd = wire.LaxString(stdcmp.Or(string(req.Cwd), "/workspace"))
	if req.Cols == 0 {
		req.Cols, req.Rows = 400, 24 // so that no line wraps
	}
	if req.Env["TERM"] == "" { // on any other, readline prints sequences of its own
		req.Env = maps.Clone(req.Env)
		if req.Env == nil {
			req.Env = wire.LaxEnv{}
		}
		req.Env["TERM"] = "dumb"
	}
	if _, err := c.OpenShell(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	id := string(req.ShellID)
	t.Cleanup(func() { _, _ = c.CloseShell(context.Background(), id) })
	return id
}

func typeIn(t *testing.T, c *wire.Client, id, line string) {
	t.Helper()
	if _, err := c.WriteShell(t.Context(), wire.WriteShellRequest{ShellID: wire.LaxString(id), Input: wire.LaxString(line), AppendNewline: true}); err != nil {
		t.Fatal(err)
	}
}

func readFrom(t *testing.T, c *wire.Client, id string, cursor int64, most int) wire.ReadShellReply {
	t.Helper()
	r, err := c.ReadShell(t.Context(), wire.ReadShellRequest{ShellID: wire.LaxString(id), Cursor: wire.LaxInt(cursor), MaxChars: wire.LaxInt(most)})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func outputOf(t *testing.T, c *wire.Client, id string) string {
	t.Helper()
	return readFrom(t, c, id, 0, api.ShellBufferBytes).Output
}

// awaitOutput waits until a shell has printed text, and returns all that it printed.
func awaitOutput(t *testing.T, c *wire.Client, id, text string) (output string) {
	t.Helper()
	if !eventually(func() bool { output = outputOf(t, c, id); return strings.Contains(output, text) }) {
		t.Fatalf("%q never came, but\n%q", text, output)
	}
	return output
}

// awaitStopped waits until a shell has ended.
func awaitStopped(t *testing.T, c *wire.Client, id string) (r wire.ReadShellReply) {
	t.Helper()
	if !eventually(func() bool {
		r = readFrom(t, c, id, 0, api.ShellBufferBytes)
		return r.State == wire.ShellStopped
	}) {
		t.Fatalf("it runs on: %+v", r)
	}
	return r
}

// said is the last line of an output that begins with a mark.
func said(output, mark string) string {
	_, after, _ := strings.Cut(output, "\n"+mark)
	line, _, _ := strings.Cut(after, "\r")
	return line
}

func TestShellLife(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config, c *wire.Client) {
		id := shellOf(t, c, wire.OpenShellRequest{ShellID: "abc", Cwd: "/workspace/sub", Cols: 100, Rows: 40})
		typeIn(t, c, id, "echo at $PWD; exit 7")
		got := awaitStopped(t, c, id)
		if where := said(got.Output, "at "); where != cfg.Workspace+"/sub" {
			t.Errorf("it ran in %q: %q", where, got.Output)
		}
		code := 7
		want := wire.ShellReply{ShellID: "abc", Cwd: "/workspace/sub", Cols: 100, Rows: 40, State: wire.ShellStopped, ExitCode: &code}
		if diff := cmp.Diff(want, got.ShellReply, cmpopts.IgnoreFields(wire.ShellReply{}, "StartedAt", "EndedAt")); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		if got.EndedAt == nil || *got.EndedAt < got.StartedAt || got.StartedAt == 0 {
			t.Errorf("it ran from %v to %v", got.StartedAt, got.EndedAt)
		}
		closed, err := c.CloseShell(t.Context(), id)
		if err != nil || !closed.Closed || closed.ExitCode == nil || *closed.ExitCode != 7 {
			t.Errorf("closed as %+v, %v", closed, err)
		}
		if _, err := c.CloseShell(t.Context(), id); !errors.Is(err, api.NotFound) || !strings.Contains(err.Error(), "does not exist") {
			t.Errorf("the second close says %v", err)
		}
	})
}

func TestShellEnvironment(t *testing.T) {
	cfg := testConfig(t)
	cfg.Env = []string{"PATH=" + os.Getenv("PATH"), "AGENTS=1", "KEPT=1"}
	c := serve(t, cfg)
	id := shellOf(t, c, wire.OpenShellRequest{Env: wire.LaxEnv{"EXTRA": "a b", "KEPT": "2"}})
	awaitOutput(t, c, id, "pyro$ ")
	typeIn(t, c, id, `echo "=$AGENTS,$PS1,${PROMPT_COMMAND-unset},$EXTRA,$KEPT,$0"; tty >/dev/null && echo =terminal; exit`)
	got := awaitStopped(t, c, id).Output
	if !strings.HasPrefix(got, "pyro$ ") || !strings.Contains(got, "\n=1,pyro$ ,,a b,2,bash\r\n=terminal\r\n") {
		t.Errorf("got %q", got)
	}
	if _, err := c.OpenShell(t.Context(), wire.OpenShellRequest{ShellID: "s3", Cwd: "/workspace", Cols: 80, Rows: 24}); err != nil {
		t.Fatal(err)
	}
	typeIn(t, c, "s3", "exec sh -c 'echo =$TERM'")
	if got := awaitStopped(t, c, "s3").Output; !strings.HasSuffix(got, "\r=xterm-256color\r\n") {
		t.Errorf("a terminal that nobody knows: %q", got)
	}
	id = shellOf(t, c, wire.OpenShellRequest{ShellID: "s2", Env: shOnly(t)})
	awaitOutput(t, c, id, "pyro$ ")
	typeIn(t, c, id, `echo "=$0"; exit`)
	if got := awaitStopped(t, c, id).Output; !strings.Contains(got, "\n=/bin/sh\r\n") {
		t.Errorf("without bash: %q", got)
	}
}

func TestShellRefuses(t *testing.T) {
	c := serve(t, testConfig(t))
	shellOf(t, c, wire.OpenShellRequest{ShellID: "taken"})
	open := func(id, cwd string, cols int) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := c.OpenShell(ctx, wire.OpenShellRequest{ShellID: wire.LaxString(id), Cwd: wire.LaxString(cwd), Cols: wire.LaxInt(cols), Rows: 24})
			return err
		}
	}
	for name, tt := range map[string]struct {
		do   func(context.Context) error
		kind api.Kind
	}{
		"an id that is taken":    {open("taken", "/workspace", 80), api.Exists},
		"no id":                  {open("", "/workspace", 80), api.Invalid},
		"a long id":              {open(strings.Repeat("a", 129), "/workspace", 80), api.Invalid},
		"an id with a line feed": {open("a\nb", "/workspace", 80), api.Invalid},
		"no width":               {open("a", "/workspace", 0), api.Invalid},
		"a huge width":           {open("a", "/workspace", 4097), api.Invalid},
		"no place":               {open("a", "/no/such/place", 80), api.NotFound},
		"a read of none": {func(ctx context.Context) error {
			_, err := c.ReadShell(ctx, wire.ReadShellRequest{ShellID: "none", MaxChars: 1})
			return err
		}, api.NotFound},
		"a read of nothing": {func(ctx context.Context) error {
			_, err := c.ReadShell(ctx, wire.ReadShellRequest{ShellID: "taken"})
			return err
		}, api.Invalid},
		"a write to none": {func(ctx context.Context) error {
			_, err := c.WriteShell(ctx, wire.WriteShellRequest{ShellID: "none"})
			return err
		}, api.NotFound},
		"a write that is too long": {func(ctx context.Context) error {
			_, err := c.WriteShell(ctx, wire.WriteShellRequest{ShellID: "taken", Input: wire.LaxString(strings.Repeat("a", api.MaxShellInput+1))})
			return err
		}, api.Invalid},
		"a signal to none": {func(ctx context.Context) error { _, err := c.SignalShell(ctx, "none", "INT"); return err }, api.NotFound},
		"another signal":   {func(ctx context.Context) error { _, err := c.SignalShell(ctx, "taken", "USR1"); return err }, api.Invalid},
		"a size of none": {func(ctx context.Context) error {
			_, err := c.ResizeShell(ctx, "none", api.TerminalSize{Cols: 1, Rows: 1})
			return err
		}, api.NotFound},
		"a size that is none": {func(ctx context.Context) error {
			_, err := c.ResizeShell(ctx, "taken", api.TerminalSize{Cols: 1})
			return err
		}, api.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			if err := tt.do(t.Context()); api.KindOf(err) != tt.kind {
				t.Errorf("error is %v (%s), want %s", err, api.KindOf(err), tt.kind)
			}
		})
	}
}

func TestEndedShellTakesNothing(t *testing.T) {
	c := serve(t, testConfig(t))
	id := shellOf(t, c, wire.OpenShellRequest{})
	typeIn(t, c, id, "exit")
	awaitStopped(t, c, id)
	_, write := c.WriteShell(t.Context(), wire.WriteShellRequest{ShellID: wire.LaxString(id), Input: "x"})
	_, signal := c.SignalShell(t.Context(), id, "INT")
	_, resize := c.ResizeShell(t.Context(), id, api.TerminalSize{Cols: 1, Rows: 1})
	for name, err := range map[string]error{"write": write, "signal": signal, "resize": resize} {
		if !errors.Is(err, api.Conflict) || !strings.Contains(err.Error(), "is not running") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestShellsAreListedOldestFirst(t *testing.T) {
	c := serve(t, testConfig(t))
	if got, err := c.ListShells(t.Context()); err != nil || len(got.Shells) != 0 {
		t.Errorf("at first there are %+v, %v", got, err)
	}
	var want []string
	for _, id := range []string{"c", "a", "b"} {
		want = append(want, shellOf(t, c, wire.OpenShellRequest{ShellID: wire.LaxString(id)}))
	}
	typeIn(t, c, "a", "exit")
	awaitStopped(t, c, "a")
	list, err := c.ListShells(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got, states []string
	for _, s := range list.Shells {
		got, states = append(got, s.ShellID), append(states, s.State)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if diff := cmp.Diff([]string{wire.ShellRunning, wire.ShellStopped, wire.ShellRunning}, states); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestManyShells(t *testing.T) {
	c := serveMux(t, testConfig(t))
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			id := wire.LaxString(fmt.Sprint("s", i))
			dumb := wire.LaxEnv{"TERM": "dumb"}
			if _, err := c.OpenShell(t.Context(), wire.OpenShellRequest{ShellID: id, Cwd: "/workspace", Cols: 80, Rows: 24, Env: dumb}); err != nil {
				t.Error(err)
				return
			}
			line := wire.LaxString(fmt.Sprintf("echo =$((%d + 1000))=", i))
			if _, err := c.WriteShell(t.Context(), wire.WriteShellRequest{ShellID: id, Input: line, AppendNewline: true}); err != nil {
				t.Error(err)
			}
			want := fmt.Sprintf("\n=%d=", i+1000)
			if !eventually(func() bool {
				got, err := c.ReadShell(t.Context(), wire.ReadShellRequest{ShellID: id, MaxChars: 1000})
				return err == nil && strings.Contains(got.Output, want)
			}) {
				t.Errorf("shell %d never said %q", i, want)
			}
		})
	}
	all.Wait()
	for i := range api.MaxShells - 50 {
		shellOf(t, c, wire.OpenShellRequest{ShellID: wire.LaxString(fmt.Sprint("t", i))})
	}
	if _, err := c.OpenShell(t.Context(), wire.OpenShellRequest{ShellID: "x", Cwd: "/workspace", Cols: 80, Rows: 24}); !errors.Is(err, api.Conflict) {
		t.Errorf("one too many: %v", err)
	}
	for i := range 50 {
		all.Go(func() {
			if _, err := c.CloseShell(t.Context(), fmt.Sprint("s", i)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

func TestShellSize(t *testing.T) {
	c := serve(t, testConfig(t))
	id := shellOf(t, c, wire.OpenShellRequest{Cols: 101, Rows: 41})
	typeIn(t, c, id, "stty size")
	awaitOutput(t, c, id, "\n41 101\r")
	typeIn(t, c, id, "sh -c 'trap \"stty size; exit\" WINCH; echo =ready; while :; do sleep 0.02; done'")
	awaitOutput(t, c, id, "\n=ready")
	got, err := c.ResizeShell(t.Context(), id, api.TerminalSize{Cols: 77, Rows: 33})
	if err != nil || got.Cols != 77 || got.Rows != 33 {
		t.Errorf("resized to %+v, %v", got, err)
	}
	awaitOutput(t, c, id, "\n33 77\r")
}

// A shell that reads nothing costs those their time who type into it, and nobody else.
func TestBlockedShellBlocksNobody(t *testing.T) {
	c := serveMux(t, testConfig(t))
	blocked := shellOf(t, c, wire.OpenShellRequest{ShellID: "blocked"})
	other := shellOf(t, c, wire.OpenShellRequest{ShellID: "other"})
	typeIn(t, c, blocked, "stty -echo; echo =ready; sleep 4030")
	awaitOutput(t, c, blocked, "\n=ready")
	line := wire.LaxString(strings.Repeat("é23456789\n", 100_000)[:api.MaxShellInput-4])
	errs := make(chan error, 10)
	for range cap(errs) {
		go func() { // ends within the time of typing
			_, err := c.WriteShell(t.Context(), wire.WriteShellRequest{ShellID: "blocked", Input: line})
			errs <- err
		}()
	}
	typeIn(t, c, other, "echo =$((1 + 2))=")
	awaitOutput(t, c, other, "\n=3=")
	counted := 0
	for range cap(errs) {
		err := <-errs
		if !errors.Is(err, api.Timeout) {
			t.Fatalf("typing ended with %v", err)
		}
		if _, after, ok := strings.Cut(err.Error(), "its input: "); ok {
			var n, all int
			if _, err := fmt.Sscanf(after, "%d of %d characters", &n, &all); err != nil || n <= 0 || n >= all || all != utf8.RuneCountInString(string(line)) {
				t.Errorf("it says %v", err)
			}
			counted++
		}
	}
	if counted == 0 {
		t.Error("nobody could type anything")
	}
	if _, err := c.SignalShell(t.Context(), blocked, "INT"); err != nil {
		t.Fatal(err)
	}
	if !eventually(func() bool { return !alive("sleep 4030") }) {
		t.Error("it cannot be interrupted")
	}
}
