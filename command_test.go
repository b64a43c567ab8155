package pyro

import (
	"bytes"
	"context"
	"errors"
	"io"
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
	t.Run("of a reader that does not return holds up for a moment only", func(t *testing.T) {
		cmd := streaming(t, func(p *peer) { p.exit(api.WorkspaceExec{}) }).Command(t.Context(), "true")
		read, write := io.Pipe()
		cmd.Stdin = read
		if err := cmd.Run(); err != nil {
			t.Error(err)
		}
		_ = write.Close()
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
