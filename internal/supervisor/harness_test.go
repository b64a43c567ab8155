package supervisor

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/engine"
	"github.com/pyro-sandbox/pyro/internal/enginetest"
	"github.com/pyro-sandbox/pyro/internal/store"
	"github.com/pyro-sandbox/pyro/internal/wire"
	"github.com/pyro-sandbox/pyro/internal/workspace"
)

const testID = "0123456789ab"

// bench is a state directory and what a supervisor needs, with the fake engine.
type bench struct {
	store *store.Store
	cfg   Config
}

func newBench(t *testing.T) *bench {
	t.Helper()
	policy := api.DefaultPolicy
	policy.Capacity = 2
	st := enginetest.NewStore(t)
	return &bench{store: st, cfg: Config{
		ID: testID, Store: st, Engines: []engine.Engine{enginetest.NewFake(t)}, Policy: policy, Version: "test", Now: time.Now,
	}}
}

// running is a supervisor in a goroutine, and its client.
type running struct {
	client net.Conn
	lines  *bufio.Reader
	ended  chan error
	http   *http.Client
}

// launch starts a supervisor and returns its answer.
func (b *bench) launch(t *testing.T, cfg Config, launch workspace.Launch) (*running, workspace.Launched) {
	t.Helper()
	return b.launchWith(t, cfg, launch, nil)
}

// startIn is start with a context of its own for the supervisor.
func (b *bench) startIn(t *testing.T, ctx context.Context, launch workspace.Launch) *running {
	t.Helper()
	cfg := b.cfg
	cfg.Settle = nil
	r, launched := b.launchUnder(t, ctx, cfg, launch, nil)
	if launched.Error != nil {
		t.Fatalf("launch: %+v", *launched.Error)
	}
	return r
}

// launchWith lets the client say more after the launch, and hang up; then there is no
// answer.
func (b *bench) launchWith(t *testing.T, cfg Config, launch workspace.Launch, more func(*running)) (*running, workspace.Launched) {
	t.Helper()
	return b.launchUnder(t, t.Context(), cfg, launch, more)
}

func (b *bench) launchUnder(t *testing.T, ctx context.Context, cfg Config, launch workspace.Launch, more func(*running)) (*running, workspace.Launched) {
	t.Helper()
	ours, theirs := net.Pipe()
	cfg.Client = theirs
	r := &running{client: ours, lines: bufio.NewReader(ours), ended: make(chan error, 1)}
	go func() { r.ended <- Run(ctx, cfg) }()
	t.Cleanup(func() { _ = ours.Close() })
	if err := json.NewEncoder(ours).Encode(launch); err != nil {
		t.Fatal(err)
	}
	var launched workspace.Launched
	if more != nil {
		go more(r) // ends when all is said, or the supervisor hangs up
	}
	line, err := r.lines.ReadBytes('\n')
	if err != nil && more != nil {
		return r, launched
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(line, &launched); err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", launched.ControlSocket)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	r.http = &http.Client{Transport: transport}
	return r, launched
}

// start launches one that must come up.
func (b *bench) start(t *testing.T, launch workspace.Launch) *running {
	t.Helper()
	r, launched := b.launch(t, b.cfg, launch)
	if launched.Error != nil {
		t.Fatalf("launch: %+v", *launched.Error)
	}
	return r
}

func aWorkspace() workspace.Launch {
	return workspace.Launch{Kind: workspace.KindWorkspace, Request: api.CreateRequest{Environment: engine.EnvironmentHost}}
}

// wait returns how the supervisor ended.
func (r *running) wait(t *testing.T) error {
	t.Helper()
	select {
	case err := <-r.ended:
		return err
	case <-time.After(30 * time.Second):
		t.Fatal("the supervisor does not end")
		return nil
	}
}

// call makes one request and decodes the answer of either kind.
func (r *running) call(t *testing.T, method, path string, body, into any) *api.ErrorReply {
	t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, "http://pyro"+path, bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := r.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode == http.StatusOK {
		if err := json.Unmarshal(answer, into); err != nil {
			t.Fatalf("%s: %v", answer, err)
		}
		return nil
	}
	var failure api.ErrorReply
	if err := json.Unmarshal(answer, &failure); err != nil {
		t.Fatalf("%s: %v", answer, err)
	}
	if want := failure.Kind.Status(); resp.StatusCode != want {
		t.Errorf("status %d for kind %s, want %d", resp.StatusCode, failure.Kind, want)
	}
	return &failure
}

// upgrade starts a streamed exec by hand and returns its connection.
func (r *running) upgrade(t *testing.T, socket string, req api.ExecRequest) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(req)
	if err != nil {
		t.Fatal(err)
	}
	_, err = fmt.Fprintf(conn, "POST /v1/exec HTTP/1.1\r\nHost: pyro\r\nConnection: Upgrade\r\nUpgrade: %s\r\nContent-Length: %d\r\n\r\n%s", api.Frames, len(body), body)
	if err != nil {
		t.Fatal(err)
	}
	reader := bufio.NewReader(conn)
	resp, err := http.ReadResponse(reader, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v, %v", resp, err)
	}
	return conn, reader
}

// untilEnd reads frames to the terminal one.
func untilEnd(t *testing.T, r io.Reader) (stdout string, last wire.Frame) {
	t.Helper()
	for {
		var buf []byte
		frame, err := wire.ReadFrame(r, &buf)
		if err != nil {
			t.Fatal(err)
		}
		if frame.Type != wire.FrameStdout && frame.Type != wire.FrameStderr {
			return stdout, frame
		}
		stdout += string(frame.Payload)
	}
}
