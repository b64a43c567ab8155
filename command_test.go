package pyro

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// everyByte is no UTF-8.
func everyByte() string {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	return string(all)
}

func reason(s string) *string { return &s }

// echo sends back what comes as stdin.
func echo(p *peer) {
	for {
		frame, err := p.receive()
		if err != nil || frame.Type != wire.FrameStdin {
			return
		}
		if len(frame.Payload) == 0 {
			p.exit(api.WorkspaceExec{})
			return
		}
		if p.send(wire.FrameStdout, string(frame.Payload)) != nil {
			return
		}
	}
}

func TestCmdRequest(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*Cmd)
		want   api.ExecRequest
	}{
		"of a program": {
			func(*Cmd) {},
			api.ExecRequest{Argv: []string{"ls", "-l", "a b"}, TimeoutSeconds: api.DefaultTimeoutSeconds},
		},
		"with everything": {
			func(c *Cmd) {
				c.Env, c.Dir, c.Timeout, c.Stdin = []string{"A=1", "B=x=y", "A=2"}, "/tmp", 1500*time.Millisecond, strings.NewReader("")
			},
			api.ExecRequest{
				Argv: []string{"ls", "-l", "a b"}, Cwd: "/tmp", Env: map[string]string{"A": "2", "B": "x=y"},
				TimeoutSeconds: 2, Stdin: true,
			},
		},
		"of a line": {
			func(c *Cmd) { *c = *c.workspace.ShellCommand(c.ctx, "ls | wc") },
			api.ExecRequest{Command: "ls | wc", TimeoutSeconds: api.DefaultTimeoutSeconds},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got api.ExecRequest
			ws := streaming(t, func(p *peer) {
				got = p.request
				p.exit(api.WorkspaceExec{})
			})
			cmd := ws.Command(t.Context(), "ls", "-l", "a b")
			tc.change(cmd)
			if err := cmd.Run(); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("request (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCmdOutputIsExact(t *testing.T) {
	want := api.WorkspaceExec{WorkspaceID: testID, Command: "prog", Sequence: 7}
	ws := streaming(t, func(p *peer) {
		_ = p.send(wire.FrameStdout, everyByte())
		_ = p.send(wire.FrameStderr, "err\r\n")
		_ = p.send(wire.FrameType('?'), "from a newer supervisor")
		_ = p.send(wire.FrameStdout, "")
		_ = p.send(wire.FrameStdout, "more")
		p.exit(want)
	})
	var stdout, stderr bytes.Buffer
	cmd := ws.Command(t.Context(), "prog")
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if cmd.Result() != nil {
		t.Error("there is a result before the start")
	}
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	if stdout.String() != everyByte()+"more" || stderr.String() != "err\r\n" {
		t.Errorf("stdout %q, stderr %q", &stdout, &stderr)
	}
	if diff := cmp.Diff(&want, cmd.Result()); diff != "" {
		t.Errorf("result (-want +got):\n%s", diff)
	}
}

func TestCmdStdin(t *testing.T) {
	big := strings.Repeat(everyByte(), 20_000) // 5 MB
	t.Run("of a reader", func(t *testing.T) {
		cmd := streaming(t, echo).Command(t.Context(), "cat")
		cmd.Stdin = strings.NewReader(big)
		out, err := cmd.Output()
		if err != nil || string(out) != big {
			t.Errorf("%d bytes came back and %v, want %d", len(out), err, len(big))
		}
	})
	t.Run("that the command does not read", func(t *testing.T) {
		cmd := streaming(t, func(p *peer) { p.exit(api.WorkspaceExec{}) }).Command(t.Context(), "true")
		cmd.Stdin = strings.NewReader(big)
		if err := cmd.Run(); err != nil {
			t.Error(err)
		}
	})
	t.Run("that cannot be read", func(t *testing.T) {
		cmd := streaming(t, echo).Command(t.Context(), "cat")
		broken := errors.New("broken")
		cmd.Stdin = io.MultiReader(strings.NewReader("a"), failing{broken})
		if err := cmd.Run(); !errors.Is(err, broken) {
			t.Errorf("error %v, want %v", err, broken)
		}
		if cmd.Result() == nil {
			t.Error("the command has ended and left no result")
		}
	})
	t.Run("that stays open delays nothing", func(t *testing.T) {
		cmd := streaming(t, func(p *peer) { p.exit(api.WorkspaceExec{}) }).Command(t.Context(), "true")
		read, write, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd.Stdin = read
		if err := cmd.Run(); err != nil {
			t.Error(err)
		}
		_, _ = write.Close(), read.Close()
	})
}

// failing fails, as a reader and as a writer.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error)  { return 0, f.err }
func (f failing) Write([]byte) (int, error) { return 0, f.err }

func TestCmdPipes(t *testing.T) {
	ws := streaming(t, func(p *peer) {
		_ = p.send(wire.FrameStderr, "a little first")
		echo(p)
	})
	cmd := ws.Command(t.Context(), "cat")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(stdin, "ping"); err != nil {
		t.Fatal(err)
	}
	if err := stdin.Close(); err != nil {
		t.Fatal(err)
	}
	out, outErr := io.ReadAll(stdout)
	text, textErr := io.ReadAll(stderr)
	if string(out) != "ping" || string(text) != "a little first" || outErr != nil || textErr != nil {
		t.Errorf("stdout %q (%v), stderr %q (%v)", out, outErr, text, textErr)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

func TestCmdPipesOfACanceledCommand(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cmd := streaming(t, (*peer).awaitHangup).Command(ctx, "cat")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := io.ReadAll(stdout); err != nil {
		t.Errorf("stdout: %v, want its end", err)
	}
	if err := cmd.Wait(); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want it canceled", err)
	}
	if _, err := io.WriteString(stdin, "x"); !errors.Is(err, os.ErrClosed) {
		t.Errorf("write after the end: %v, want it closed", err)
	}
}

func TestCmdOutput(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", 10_000)
	ws := streaming(t, func(p *peer) {
		_ = p.send(wire.FrameStdout, "out ")
		_ = p.send(wire.FrameStderr, long)
		_ = p.send(wire.FrameStdout, "again")
		p.exit(api.WorkspaceExec{ExitCode: 3})
	})
	t.Run("of stdout", func(t *testing.T) {
		out, err := ws.Command(t.Context(), "prog").Output()
		exit, ok := errors.AsType[*ExitError](err)
		if !ok || exit.ExitCode() != 3 || string(out) != "out again" {
			t.Fatalf("Output = %q, %v", out, err)
		}
		head, tail := long[:excerptSide], long[len(long)-excerptSide:]
		if want := head + "\n... 94464 bytes left out ...\n" + tail; string(exit.Stderr) != want {
			t.Errorf("stderr has %d bytes, want %d: head and tail", len(exit.Stderr), len(want))
		}
	})
	t.Run("of both", func(t *testing.T) {
		out, err := ws.Command(t.Context(), "prog").CombinedOutput()
		if _, ok := errors.AsType[*ExitError](err); !ok || string(out) != "out "+long+"again" {
			t.Errorf("CombinedOutput = %d bytes, %v", len(out), err)
		}
	})
}

func TestExitError(t *testing.T) {
	for name, tc := range map[string]struct {
		result api.WorkspaceExec
		text   string
		is     error
	}{
		"status":         {api.WorkspaceExec{ExitCode: 3}, "exit status 3", nil},
		"signal":         {api.WorkspaceExec{ExitCode: -9}, "signal: killed", nil},
		"unknown signal": {api.WorkspaceExec{ExitCode: -40}, "signal: signal 40", nil},
		"timeout":        {api.WorkspaceExec{ExitCode: 124, Reason: reason(api.EndedByTimeout)}, "timed out after 2s", context.DeadlineExceeded},
		"memory":         {api.WorkspaceExec{ExitCode: 137, Reason: reason(api.EndedByOOM)}, "killed: out of memory", nil},
		"cancel":         {api.WorkspaceExec{ExitCode: -9, Reason: reason(api.EndedByCancel)}, "killed: canceled", context.Canceled},
		"status 124":     {api.WorkspaceExec{ExitCode: 124}, "exit status 124", nil},
	} {
		t.Run(name, func(t *testing.T) {
			ws := streaming(t, func(p *peer) { p.exit(tc.result) })
			cmd := ws.Command(t.Context(), "prog")
			cmd.Timeout = 2 * time.Second
			err := cmd.Run()
			if err == nil || err.Error() != tc.text {
				t.Fatalf("error %v, want %q", err, tc.text)
			}
			for _, end := range []error{context.DeadlineExceeded, context.Canceled} {
				if errors.Is(err, end) != (end == tc.is) {
					t.Errorf("errors.Is(%v, %v) = %v", err, end, errors.Is(err, end))
				}
			}
			if cmd.Result() == nil || cmd.Result().ExitCode != tc.result.ExitCode {
				t.Errorf("result %+v", cmd.Result())
			}
		})
	}
}

func TestCmdSignal(t *testing.T) {
	ws := streaming(t, func(p *peer) {
		frame, err := p.receive()
		var signal wire.Signal
		if err != nil || frame.Type != wire.FrameSignal || json.Unmarshal(frame.Payload, &signal) != nil || signal.Name != "TERM" {
			t.Errorf("frame %q %q, %v", byte(frame.Type), frame.Payload, err)
		}
		p.exit(api.WorkspaceExec{ExitCode: -15})
	})
	cmd := ws.Command(t.Context(), "sleep", "60")
	if err := cmd.Signal("TERM"); err == nil {
		t.Error("a command that was not started took a signal")
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Signal("WINCH"); !errors.Is(err, api.Invalid) {
		t.Errorf("unknown signal: %v, want it invalid", err)
	}
	if err := cmd.Signal("sigterm"); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err == nil || err.Error() != "signal: terminated" {
		t.Errorf("error %v", err)
	}
	if err := cmd.Signal("TERM"); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("signal after the end: %v, want %v", err, os.ErrProcessDone)
	}
}

func TestCmdEndsWithItsContext(t *testing.T) {
	for name, tc := range map[string]struct {
		with func(context.Context) (context.Context, context.CancelFunc)
		end  bool // by the test; else by itself
		kind api.Kind
		err  error
	}{
		"canceled": {context.WithCancel, true, api.Canceled, context.Canceled},
		"over": {func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 20*time.Millisecond)
		}, false, api.Timeout, context.DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			killed := make(chan struct{})
			ws := streaming(t, func(p *peer) {
				p.awaitHangup()
				close(killed)
			})
			if err := ws.control.greet(t.Context()); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := tc.with(t.Context())
			defer cancel()
			cmd := ws.Command(ctx, "sleep", "60")
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if tc.end {
				cancel()
			}
			err := cmd.Wait()
			if api.KindOf(err) != tc.kind || !errors.Is(err, tc.err) {
				t.Errorf("error %v, want kind %v and %v", err, tc.kind, tc.err)
			}
			if cmd.Result() != nil {
				t.Errorf("result %+v of a command whose end is unknown", cmd.Result())
			}
			<-killed
		})
	}
}

func TestCmdEndsWithItsWriter(t *testing.T) {
	killed := make(chan struct{})
	ws := streaming(t, func(p *peer) {
		_ = p.send(wire.FrameStdout, "x")
		p.awaitHangup()
		close(killed)
	})
	cmd := ws.Command(t.Context(), "yes")
	cmd.Stdout = failing{io.ErrClosedPipe}
	if err := cmd.Run(); !errors.Is(err, io.ErrClosedPipe) || err.Error() != "write stdout: "+io.ErrClosedPipe.Error() {
		t.Errorf("error %v, want the writer's", err)
	}
	<-killed
}

// gate is a writer that stands still until it is opened.
type gate struct{ open chan struct{} }

func (g gate) Write(p []byte) (int, error) {
	<-g.open
	return len(p), nil
}

func TestCmdSlowWriterHoldsTheCommandUp(t *testing.T) {
	const most = 16 << 20 // more than a process would buffer by oversight
	slow := gate{make(chan struct{})}
	ws := streaming(t, func(p *peer) {
		_ = p.conn.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
		block := strings.Repeat("x", 64<<10)
		sent := 0
		for sent < most && p.send(wire.FrameStdout, block) == nil {
			sent += len(block)
		}
		if sent >= most {
			t.Errorf("%d bytes were taken while nobody read them", sent)
		}
		close(slow.open)
	})
	cmd := ws.Command(t.Context(), "yes")
	cmd.Stdout = slow
	if err := cmd.Run(); !errors.Is(err, api.Unavailable) {
		t.Errorf("error %v, want it cut off", err)
	}
}

func TestCmdFails(t *testing.T) {
	failure, _ := json.Marshal(api.ErrorReply{Error: "exec: cwd is no directory", Kind: api.NotFound, Hint: "make it"})
	for name, tc := range map[string]struct {
		script     func(*peer)
		kind       api.Kind
		text, hint string
	}{
		"in the guest": {
			func(p *peer) { _ = p.send(wire.FrameFail, string(failure)) },
			api.NotFound, "exec: cwd is no directory", "make it",
		},
		"when the supervisor is gone": {
			func(p *peer) { _ = p.send(wire.FrameStdout, "partial") },
			api.Unavailable, "the supervisor is gone: unexpected EOF", "`pyro workspace status " + testID,
		},
		"in the middle of a frame": {
			func(p *peer) { _, _ = p.conn.Write([]byte("o\x00\x00\x00\x05ab")) },
			api.Unavailable, "of 5 bytes: unexpected EOF", "`pyro workspace status " + testID,
		},
		"with too long a frame": {
			func(p *peer) { _, _ = p.conn.Write([]byte("o\xff\xff\xff\xff")) },
			api.Internal, "announces 4294967295 bytes", "",
		},
		"with an exit that is none": {
			func(p *peer) { _ = p.send(wire.FrameExit, "0") },
			api.Internal, "exit frame: json:", "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := streaming(t, tc.script).Command(t.Context(), "prog")
			err := cmd.Run()
			if api.KindOf(err) != tc.kind || cmd.Result() != nil {
				t.Fatalf("error %v of kind %q with result %v, want %q and none", err, api.KindOf(err), cmd.Result(), tc.kind)
			}
			if !strings.Contains(err.Error(), tc.text) || !strings.Contains(api.HintOf(err), tc.hint) {
				t.Errorf("error %q with hint %q, want %q and %q", err, api.HintOf(err), tc.text, tc.hint)
			}
		})
	}
}

func TestCmdIsNotStarted(t *testing.T) {
	for name, tc := range map[string]struct {
		exec http.HandlerFunc
		want api.Kind
	}{
		"refused": {func(w http.ResponseWriter, _ *http.Request) {
			answerError(w, http.StatusConflict, api.Conflict, "busy", "")
		}, api.Conflict},
		"by one that does not stream": {func(w http.ResponseWriter, _ *http.Request) {
			answerJSON(w, http.StatusOK, api.WorkspaceExec{})
		}, api.Unsupported},
		"by one that hangs up":        {hangUp, api.Unavailable},
		"by one with an endless head": {endlessHead, api.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			ws := serve(t, newTestClient(t, ""), supervisorScript{exec: tc.exec})
			cmd := ws.Command(t.Context(), "true")
			if _, err := cmd.StdoutPipe(); err != nil { // closed with the failure
				t.Fatal(err)
			}
			if err := cmd.Start(); api.KindOf(err) != tc.want {
				t.Errorf("error %v of kind %q, want %q", err, api.KindOf(err), tc.want)
			}
		})
	}
}

func endlessHead(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	defer func() { _ = conn.Close() }()
	_, err = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\n")
	for line := "X: " + strings.Repeat("x", 1000) + "\r\n"; err == nil; {
		_, err = io.WriteString(conn, line)
	}
}

func TestCmdMisused(t *testing.T) {
	ws := streaming(t, func(p *peer) { p.exit(api.WorkspaceExec{}) })
	cmd := ws.Command(t.Context(), "true")
	if cmd.Wait() == nil {
		t.Error("Wait before Start succeeded")
	}
	cmd.Env = []string{"NOTHING"}
	if err := cmd.Start(); !errors.Is(err, api.Invalid) {
		t.Errorf("Start with a bad environment: %v, want it invalid", err)
	}
	cmd.Env = nil
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	if cmd.Start() == nil {
		t.Error("the second Start succeeded")
	}
	if cmd.Wait() == nil {
		t.Error("the second Wait succeeded")
	}
	if _, err := cmd.Output(); err == nil {
		t.Error("Output of a command that has ended succeeded")
	}
	if _, err := cmd.StdoutPipe(); err == nil {
		t.Error("StdoutPipe of a command that has ended succeeded")
	}
}

func TestCmdString(t *testing.T) {
	var ws Workspace
	if got, want := ws.Command(t.Context(), "echo", "a b").String(), "echo 'a b'"; got != want {
		t.Errorf("String = %s, want %s", got, want)
	}
	if got, want := ws.ShellCommand(t.Context(), "a | b").String(), "a | b"; got != want {
		t.Errorf("String = %s, want %s", got, want)
	}
}
