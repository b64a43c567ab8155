package supervisor

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/engine"
	"github.com/pyro-sandbox/pyro/internal/enginetest"
	"github.com/pyro-sandbox/pyro/internal/journal"
	"github.com/pyro-sandbox/pyro/internal/wire"
	"github.com/pyro-sandbox/pyro/internal/workspace"
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

// script is what a hostile agent does with one connection, which is closed when it
// returns.
type script func(conn net.Conn)

// evilBox is a sandbox whose agent is hostile.
type evilBox struct {
	play    script
	dialled atomic.Int32
	scripts sync.WaitGroup
	ended   chan struct{}
}

func newEvil(play script) *evilBox { return &evilBox{play: play, ended: make(chan struct{})} }

func (e *evilBox) Dial(context.Context) (net.Conn, error) {
	host, guest := net.Pipe()
	e.dialled.Add(1)
	e.scripts.Go(func() { // ends with the script, which the host's end of the pipe ends
		defer func() { _ = guest.Close() }()
		e.play(guest)
	})
	return host, nil
}

func (e *evilBox) Wait(ctx context.Context) (engine.Exit, error) {
	select {
	case <-e.ended:
		return engine.Exit{}, nil
	case <-ctx.Done():
		return engine.Exit{}, ctx.Err()
	}
}

func (e *evilBox) Stop(context.Context) error { close(e.ended); return nil }
func (e *evilBox) Limits() api.Limits         { return api.Limits{Enforced: true} }

type evilEngine struct{ box *evilBox }

func (e evilEngine) Info() engine.Info { return engine.Info{Name: "evil", Mode: api.ModeGuestVsock} }

func (e evilEngine) Start(context.Context, engine.Spec, engine.Ledger) (engine.Sandbox, error) {
	return e.box, nil
}

// answering takes all that comes at once and sends the same bytes whatever was asked.
func answering(answer string) script {
	data := []byte(answer)
	return func(conn net.Conn) {
		takeRequest(conn)
		_, _ = conn.Write(data) // a host that has read enough closes
	}
}

// takeRequest reads a request and, of a tree, all frames.
func takeRequest(conn net.Conn) {
	in := bufio.NewReader(conn)
	line, err := wire.ReadLine(in, wire.MaxRequestLine)
	if err != nil || bytes.Contains(line, []byte(wire.ActionStream)) || bytes.Contains(line, []byte(wire.ActionHello)) {
		return
	}
	var buf []byte
	for {
		if f, err := wire.ReadFrame(in, &buf); err != nil || f.Type == wire.FrameEnd {
			return
		}
	}
}

func frame(t wire.FrameType, payload string) string {
	var b bytes.Buffer
	if err := wire.WriteFrame(&b, t, []byte(payload)); err != nil {
		panic(err)
	}
	return b.String()
}

func head(t wire.FrameType, size uint32) string {
	return string(binary.BigEndian.AppendUint32([]byte{byte(t)}, size))
}

// haunted is a supervisor in the middle of its life whose sandbox is hostile. It has
// everything but sockets, so that it can live in a bubble whose clock the test turns.
func haunted(t *testing.T, evil *evilBox) *supervisor {
	t.Helper()
	s := aSupervisor(24 * time.Hour)
	t.Cleanup(func() { s.expiry.Stop() })
	s.Store, s.begun = enginetest.NewStore(t), make(map[number]bool)
	var err error
	if s.held, err = s.Store.Create(testID); err != nil {
		t.Fatal(err)
	}
	if s.journal, err = journal.Open(s.held.Path(), 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		wantOurFiles(t, s.held.Path())
		_ = s.journal.Close()
		_ = s.held.Unlock()
	})
	s.boxes.current.Store(&box{Sandbox: evil, engine: evilEngine{evil}, part: s.held.Part(0)})
	s.record = workspace.NewRecord(testID, aWorkspace(), s.box().engine.Info(), time.Now())
	s.record.State = api.StateStarted
	return s
}

// wantOurFiles finds what a guest may have named.
func wantOurFiles(t *testing.T, dir string) {
	t.Helper()
	names, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	ours := []string{"lock", "ledger.jsonl", "journal.jsonl", "record.json", "baseline", "saved", "snapshots", "forks"}
	for _, entry := range names {
		if !slices.Contains(ours, entry.Name()) {
			t.Errorf("%s is in the workspace's directory", entry.Name())
		}
	}
}

// ask is something that a supervisor does with the agent. It returns the answer of the
// API: what came of it, or why nothing did.
type ask func(t *testing.T, s *supervisor) (answer []byte, refused *api.ErrorReply)

// asks are all requests that the HTTP API turns into one to the agent.
func asks() map[string]ask {
	entry := `{"p":"YQ==","k":"file","m":420,"s":3,"t":1,"l":null}` + "\n"
	return map[string]ask{
		"exec captured": over(http.MethodPost, "/v1/exec", `{"argv":["true"],"timeout_seconds":60}`),
		"exec streamed": streamed(api.ExecRequest{Argv: []string{"true"}, TimeoutSeconds: 60}),
		"push tree":     over(http.MethodPut, "/v1/sync?packed_at=1&destination=x", strings.Repeat("an archive", 100)),
		"compare tree":  over(http.MethodPost, "/v1/sync/compare?destination=x", entry),
		"seed":          seedOver,
		"hello":         helloOver,
	}
}

// over asks by HTTP.
func over(method, target, body string) ask {
	return func(t *testing.T, s *supervisor) ([]byte, *api.ErrorReply) {
		t.Helper()
		w := httptest.NewRecorder()
		s.routes().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body)))
		return outcomeOf(t, w.Body.Bytes(), w.Code != http.StatusOK)
	}
}

func outcomeOf(t *testing.T, answer []byte, failed bool) ([]byte, *api.ErrorReply) {
	t.Helper()
	if !failed {
		return answer, nil
	}
	var refused api.ErrorReply
	if err := json.Unmarshal(answer, &refused); err != nil {
		t.Fatalf("%q: %v", answer, err)
	}
	return answer, &refused
}

// hijacked lets a handler take over one end of a pipe.
type hijacked struct {
	*httptest.ResponseRecorder
	conn net.Conn
}

// Hijack implements http.Hijacker.
func (h hijacked) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.conn, bufio.NewReadWriter(bufio.NewReader(h.conn), bufio.NewWriter(h.conn)), nil
}

// streamed asks for an exec over frames, and sends a signal every second while that
// lasts.
func streamed(req api.ExecRequest) ask {
	return func(t *testing.T, s *supervisor) ([]byte, *api.ErrorReply) {
		t.Helper()
		body, err := json.Marshal(req)
		if err != nil {
			t.Fatal(err)
		}
		ours, theirs := net.Pipe()
		served := make(chan struct{})
		defer func() { _ = ours.Close(); <-served }()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/exec", bytes.NewReader(body))
		r.Header.Set("Upgrade", api.Frames)
		go func() { // ends with the stream
			defer close(served)
			s.routes().ServeHTTP(hijacked{httptest.NewRecorder(), theirs}, r)
		}()
		in := bufio.NewReader(ours)
		if resp, err := http.ReadResponse(in, r); err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
			t.Fatalf("%v, %v", resp, err)
		}
		over := make(chan struct{})
		defer close(over)
		go signalOften(ours, over)
		_, last := untilEnd(t, in)
		return outcomeOf(t, bytes.Clone(last.Payload), last.Type == wire.FrameFail)
	}
}

// signalOften ends with over, or when nobody reads.
func signalOften(conn net.Conn, over chan struct{}) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-over:
			return
		case <-tick.C:
			if wire.WriteFrame(conn, wire.FrameSignal, []byte(`{"name":"TERM"}`)) != nil {
				return
			}
		}
	}
}

// seedOver brings a project as create does.
func seedOver(t *testing.T, s *supervisor) ([]byte, *api.ErrorReply) {
	t.Helper()
	archive := archiveOf(t, map[string]string{"a": "one", "b": "two"})
	ours, theirs := net.Pipe()
	s.Client = theirs
	go func() { // ends when all is sent, or the pipe is closed
		for _, p := range piecesOf(archive) {
			if wire.WriteFrame(ours, p.t, p.data) != nil {
				return
			}
		}
	}()
	err := s.seed(t.Context(), aSeededWorkspace(), bufio.NewReader(theirs))
	_, _ = ours.Close(), theirs.Close()
	if err == nil {
		return nil, nil
	}
	if s.recorded().Baseline != nil {
		t.Error("the record has the baseline of a seed that failed")
	}
	refused := api.ReplyTo(err)
	return []byte(refused.Error), &refused
}

// helloOver asks who answers, as engines do.
func helloOver(t *testing.T, s *supervisor) ([]byte, *api.ErrorReply) {
	t.Helper()
	client := wire.Client{Dial: s.box().Dial}
	if _, err := client.Hello(t.Context()); err != nil {
		refused := api.ReplyTo(err)
		return []byte(refused.Error), &refused
	}
	return nil, nil
}

// census is what a hostile agent may not make grow.
type census struct {
	goroutines, descriptors int
	heap                    uint64 // bytes in use
}

func takeCensus(t *testing.T) census {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.GC() // what pools held is free after the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return census{runtime.NumGoroutine(), len(entries), m.HeapAlloc}
}

// beyond says what has grown since then.
func (c census) beyond(then census) string {
	const slack = 8 << 20
	switch {
	case c.goroutines > then.goroutines:
		return fmt.Sprintf("%d goroutines, before %d", c.goroutines, then.goroutines)
	case c.descriptors > then.descriptors:
		return fmt.Sprintf("%d descriptors, before %d", c.descriptors, then.descriptors)
	case c.heap > then.heap+slack:
		return fmt.Sprintf("%d bytes of heap, before %d", c.heap, then.heap)
	}
	return ""
}

// unharmed runs a test and wants nothing of it to stay: neither goroutines nor
// descriptors nor memory, and a directory of the host is as it was.
func unharmed(t *testing.T, name string, test func(*testing.T)) {
	t.Helper()
	canary := filepath.Join(t.TempDir(), "canary")
	if err := os.WriteFile(canary, []byte("as it was"), 0o600); err != nil {
		t.Fatal(err)
	}
	before := takeCensus(t)
	t.Run(name, test)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(10 * time.Second)
	for left := takeCensus(t).beyond(before); left != ""; left = takeCensus(t).beyond(before) {
		select {
		case <-tick.C:
			continue
		case <-deadline:
			t.Errorf("%s: %s", name, left)
		}
		break
	}
	if data, err := os.ReadFile(canary); err != nil || string(data) != "as it was" {
		t.Errorf("%s: the canary: %q, %v", name, data, err)
	}
}

// allocated is how many bytes f allocates, freed ones included.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// flood writes the same piece until total bytes are written, or the host hangs up.
func flood(conn io.Writer, piece []byte, total int) {
	for sent := 0; sent < total; sent += len(piece) {
		if _, err := conn.Write(piece); err != nil {
			return
		}
	}
}
