package supervisor

import (
	"bytes"
	"context"
	"encoding/binary"
	"net"
	"strings"
	"testing"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/engine"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

func pipe(t *testing.T) (ours, theirs net.Conn) {
	t.Helper()
	ours, theirs = net.Pipe()
	t.Cleanup(func() {
		_ = ours.Close()
		_ = theirs.Close()
	})
	return ours, theirs
}

// liar is a sandbox whose agent answers every request with the same bytes and then
// closes, or floods for ever.
type liar struct {
	answer []byte
	flood  bool
	ended  chan struct{}
}

func (l *liar) Dial(context.Context) (net.Conn, error) {
	host, guest := net.Pipe()
	go func() { // ends when the host closes, or all is said
		defer func() { _ = guest.Close() }()
		buf := make([]byte, 1<<16)
		if _, err := guest.Read(buf); err != nil {
			return
		}
		for {
			if _, err := guest.Write(l.answer); err != nil || !l.flood {
				return
			}
		}
	}()
	return host, nil
}

func (l *liar) Wait(ctx context.Context) (engine.Exit, error) {
	select {
	case <-l.ended:
		return engine.Exit{}, nil
	case <-ctx.Done():
		return engine.Exit{}, ctx.Err()
	}
}

func (l *liar) Stop(context.Context) error { close(l.ended); return nil }
func (l *liar) Limits() api.Limits         { return api.Limits{Enforced: true} }

type lyingEngine struct{ box *liar }

func (e lyingEngine) Info() engine.Info { return engine.Info{Name: "liar", Mode: api.ModeGuestVsock} }

func (e lyingEngine) Start(context.Context, engine.Spec, engine.Ledger) (engine.Sandbox, error) {
	return e.box, nil
}

func frame(t wire.FrameType, payload string) string {
	var b bytes.Buffer
	if err := wire.WriteFrame(&b, t, []byte(payload)); err != nil {
		panic(err)
	}
	return b.String()
}

func head(t wire.FrameType, size uint32) string {
	b := binary.BigEndian.AppendUint32([]byte{byte(t)}, size)
	return string(b)
}

func TestHostileAgent(t *testing.T) {
	for name, answer := range map[string]string{
		"silence":              "",
		"half a head":          "o\x00",
		"cut off":              head(wire.FrameStdout, 100) + "short",
		"oversized":            head(wire.FrameStdout, wire.MaxFrame+1),
		"huge":                 head(wire.FrameExit, 1<<31),
		"unknown frame":        frame('?', "x"),
		"frame of the host":    frame(wire.FrameStdin, "x"),
		"no JSON":              frame(wire.FrameExit, "not json"),
		"no object":            frame(wire.FrameExit, "[]"),
		"exit code 9999":       frame(wire.FrameExit, `{"exit_code":9999}`),
		"exit code -1000":      frame(wire.FrameExit, `{"exit_code":-1000}`),
		"number overflows":     frame(wire.FrameExit, `{"exit_code":1e999}`),
		"negative duration":    frame(wire.FrameExit, `{"exit_code":0,"duration_ms":-5}`),
		"failure without JSON": frame(wire.FrameFail, "\x00"),
		"text instead":         "HTTP/1.1 200 OK\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.cfg.Engines = []engine.Engine{lyingEngine{&liar{answer: []byte(answer), ended: make(chan struct{})}}}
			r := b.start(t, aWorkspace())
			var result api.WorkspaceExec
			f := r.call(t, "POST", "/v1/exec", api.ExecRequest{Argv: []string{"true"}}, &result)
			if f == nil || f.Kind != api.Unavailable {
				t.Errorf("got %+v, result %+v", f, result)
			}
			var ws api.Workspace
			if f := r.call(t, "GET", "/v1/workspace", nil, &ws); f != nil || ws.LastCommand == nil || ws.LastCommand.ExitCode != -1 {
				t.Errorf("the lie was believed: %+v, %+v", ws.LastCommand, f)
			}
			var logs api.WorkspaceLogs
			if f := r.call(t, "GET", "/v1/logs", nil, &logs); f != nil || logs.Count != 1 || *logs.Entries[0].Reason != api.EndedUnknown {
				t.Errorf("logs: %+v, %+v", logs, f)
			}
		})
	}
}

func TestFirstTerminalFrameCounts(t *testing.T) {
	b := newBench(t)
	answer := frame(wire.FrameExit, `{"exit_code":3}`) + frame(wire.FrameStdout, "late") + frame(wire.FrameExit, `{"exit_code":0}`)
	b.cfg.Engines = []engine.Engine{lyingEngine{&liar{answer: []byte(answer), ended: make(chan struct{})}}}
	r := b.start(t, aWorkspace())
	var result api.WorkspaceExec
	if f := r.call(t, "POST", "/v1/exec", api.ExecRequest{Argv: []string{"true"}}, &result); f != nil || result.ExitCode != 3 || result.Stdout != "" {
		t.Errorf("%+v, %+v", result, f)
	}
}

func TestGuestTextIsCut(t *testing.T) {
	b := newBench(t)
	answer := frame(wire.FrameFail, `{"error":"`+strings.Repeat("x", 500_000)+`"}`)
	b.cfg.Engines = []engine.Engine{lyingEngine{&liar{answer: []byte(answer), ended: make(chan struct{})}}}
	r := b.start(t, aWorkspace())
	f := r.call(t, "POST", "/v1/exec", api.ExecRequest{Argv: []string{"true"}}, nil)
	if f == nil || len(f.Error) > 2*maxGuestText || !strings.Contains(f.Error, "truncated") {
		t.Errorf("%d bytes of error", len(f.Error))
	}
}

func TestReasonsAreOurs(t *testing.T) {
	b := newBench(t)
	b.cfg.Engines = []engine.Engine{lyingEngine{&liar{answer: []byte(frame(wire.FrameExit, `{"exit_code":0,"reason":"\u001b[2Jpwned"}`)), ended: make(chan struct{})}}}
	r := b.start(t, aWorkspace())
	var result api.WorkspaceExec
	if f := r.call(t, "POST", "/v1/exec", api.ExecRequest{Argv: []string{"true"}}, &result); f != nil || result.Reason != nil {
		t.Errorf("%+v, %+v", result.Reason, f)
	}
}

// TestFloodIsCapped ends the flood by the capture's cap being reached many times.
func TestFloodIsCapped(t *testing.T) {
	var c capture
	chunk := bytes.Repeat([]byte("a"), wire.MaxFrame)
	for range 100 {
		if err := c.output(wire.FrameStdout, chunk); err != nil {
			t.Fatal(err)
		}
	}
	if held := cap(c.stdout.head) + cap(c.stdout.tail); held > 4*wire.MaxCapture {
		t.Errorf("%d bytes are held", held)
	}
	text, cut := c.stdout.text()
	if !cut || len(text) > wire.MaxCapture+64 || !strings.Contains(text, "truncated") {
		t.Errorf("%d bytes, cut %t", len(text), cut)
	}
}
