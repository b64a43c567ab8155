package pyro

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

func reason(s string) *string { return &s }

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
			if err := ws.control.greet(t.Context(), answerTime); err != nil {
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
