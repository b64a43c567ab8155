package supervisor

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/engine"
	"github.com/pyro-sandbox/pyro/internal/testgate"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// stalls are agents that take their time, all of it.
func stalls(t *testing.T) {
	drips := func(what string) script {
		return func(conn net.Conn) {
			go func() { _, _ = io.Copy(io.Discard, conn) }() // ends with the connection
			tick := time.NewTicker(5 * time.Second)
			defer tick.Stop()
			for i := 0; ; i++ {
				<-tick.C
				if _, err := conn.Write([]byte{what[i%len(what)]}); err != nil {
					return
				}
			}
		}
	}
	for name, play := range map[string]script{
		"reads nothing":              func(conn net.Conn) { waitForEnd(conn) },
		"reads and says nothing":     func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) },
		"one blank every 5 s":        drips(" "),
		"output, one byte every 5 s": drips(frame(wire.FrameStdout, "x")),
		"half an answer, then none": func(conn net.Conn) {
			takeRequest(conn)
			_, _ = io.WriteString(conn, head(wire.FrameStdout, 100)+"short")
			waitForEnd(conn)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubbles(t, play, func(t *testing.T, what string, answer []byte, refused *api.ErrorReply) {
				if refused == nil || refused.Kind != api.Timeout && refused.Kind != api.Unavailable && refused.Kind != api.Internal {
					t.Errorf("%s: %s, %+v", what, answer, refused)
				}
			})
		})
	}
	t.Run("an exec ends with its time", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := haunted(t, newEvil(func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }))
			began := time.Now()
			_, refused := asks()["exec captured"](t, s)
			if took := time.Since(began); took != 60*time.Second+replyMargin || refused == nil || refused.Kind != api.Timeout {
				t.Errorf("after %v: %+v", took, refused)
			}
			wantHistory(t, s, api.EndedUnknown)
		})
	})
}

// waitForEnd holds a connection of which nothing is read. A pipe has no other way to
// find out that the other end is closed than to write to it.
func waitForEnd(conn net.Conn) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for range tick.C {
		if _, err := conn.Write(nil); err != nil {
			return
		}
	}
}

// endlessOutput of a gigabyte costs what the answer may hold.
func endlessOutput(t *testing.T) {
	piece := []byte(frame(wire.FrameStdout, strings.Repeat("a", wire.MaxFrame)))
	tiny := bytes.Repeat([]byte(frame(wire.FrameStderr, "a")), 10_000)
	for name, play := range map[string]script{
		"1 GiB in large frames": func(conn net.Conn) { takeRequest(conn); flood(conn, piece, 1<<30) },
		"1,000,000 tiny frames": func(conn net.Conn) { takeRequest(conn); flood(conn, tiny, 6*1_000_000) },
		"frames that are empty": func(conn net.Conn) {
			takeRequest(conn)
			flood(conn, bytes.Repeat([]byte(frame('o', "")), 10_000), 5*1_000_000)
		},
		"and then it says exit 0": func(conn net.Conn) {
			takeRequest(conn)
			flood(conn, piece, 64<<20)
			_, _ = io.WriteString(conn, frame(wire.FrameExit, `{"exit_code":0}`))
		},
	} {
		for _, what := range []string{"exec captured", "exec streamed"} {
			t.Run(name+", "+what, func(t *testing.T) { boundedOutput(t, what, play) })
		}
	}
	t.Run("a client that leaves is not waited for", abandonedFlood)
}

// boundedOutput measures an exec. The capture holds 8 MiB of each stream, the history 1
// MiB; a capture's tail has twice its size before it is cut, and slices grow by copies.
func boundedOutput(t *testing.T, what string, play script) {
	s := haunted(t, newEvil(play))
	var answer []byte
	const most = 16 * wire.MaxCapture * poolLoss
	used := allocated(func() {
		if what == "exec captured" {
			answer, _ = asks()[what](t, s)
		} else {
			drained(t, s)
		}
	})
	if used > most {
		t.Errorf("%d bytes were allocated, allowed are %d", used, most)
	}
	if len(answer) > 2*wire.MaxCapture {
		t.Errorf("an answer of %d bytes", len(answer))
	}
	if info, err := os.Stat(filepath.Join(s.held.Path(), "journal.jsonl")); err != nil || info.Size() > 8<<20 {
		t.Errorf("the journal: %v, %v", info, err)
	}
}

// drained runs a command over frames whose output is thrown away.
func drained(t *testing.T, s *supervisor) {
	t.Helper()
	run, err := newRun(api.ExecRequest{Argv: []string{"yes"}, TimeoutSeconds: 60})
	if err != nil {
		t.Fatal(err)
	}
	_, _ = s.exec(t.Context(), run, nowhere{})
}

type nowhere struct{}

func (nowhere) output(wire.FrameType, []byte) error { return nil }

// full is a client that takes some output and then leaves.
type full struct{ left int }

func (f *full) output(_ wire.FrameType, p []byte) error {
	if f.left -= len(p); f.left < 0 {
		return errors.New("the client left")
	}
	return nil
}

func abandonedFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		piece := []byte(frame(wire.FrameStdout, strings.Repeat("a", wire.MaxFrame)))
		s := haunted(t, newEvil(func(conn net.Conn) { takeRequest(conn); flood(conn, piece, 1<<40) }))
		run, err := newRun(api.ExecRequest{Argv: []string{"yes"}})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		_, err = s.exec(t.Context(), run, &full{left: 10 << 20})
		if took := time.Since(began); took > lastWords || !errors.Is(err, api.Canceled) {
			t.Errorf("after %v: %v", took, err)
		}
	})
}

// connections: whoever holds thousands costs no more than the places there are.
func connections(t *testing.T) {
	b := newBench(t)
	b.cfg.Engines = []engine.Engine{evilEngine{newEvil(func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) })}}
	r := b.start(t, aWorkspace())
	for socket, places := range map[string]int{ControlSocket: maxControl, AgentSocket: maxBridged} {
		t.Run(socket, func(t *testing.T) { crowd(t, filepath.Join(b.store.RunDir(testID), socket), places) })
	}
	await(t, "a place that is free again", func() bool {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, "http://pyro/v1/workspace", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := r.http.Do(req)
		if err == nil {
			_ = resp.Body.Close()
		}
		return err == nil
	})
	if err := r.wait(t); err != nil {
		t.Error(err)
	}
}

// crowd opens 10,000 connections and wants no more descriptors than there are places.
// Each has two here, as the test is the client too.
func crowd(t *testing.T, path string, places int) {
	before := takeCensus(t)
	var conns []net.Conn
	defer func() {
		for _, conn := range conns {
			_ = conn.Close()
		}
	}()
	for range 10_000 {
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		if len(conns) > places+100 {
			_ = conn.Close()
			continue
		}
		conns = append(conns, conn)
	}
	now := takeCensus(t)
	if grown := now.descriptors - before.descriptors - len(conns); grown > places+10 { // some are just being refused
		t.Errorf("%d descriptors for %d places", grown, places)
	}
	if grown := now.goroutines - before.goroutines; grown > 2*places+10 {
		t.Errorf("%d goroutines for %d places", grown, places)
	}
}

// await returns when something is so. It fails after half a minute.
func await(t *testing.T, what string, so func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(30 * time.Second)
	for !so() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// sockets: nobody but the owner comes through. That the agent in the guest listens
// nowhere is tested from inside, in e2e.
func sockets(t *testing.T) {
	b := newBench(t)
	b.cfg.Engines = []engine.Engine{evilEngine{newEvil(func(conn net.Conn) {})}}
	r := b.start(t, aWorkspace())
	dir := b.store.RunDir(testID)
	for _, name := range []string{ControlSocket, AgentSocket} {
		wantMode(t, filepath.Join(dir, name), 0o600)
	}
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm()&0o022 != 0 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	t.Run("a socket whose mode lets others in", func(t *testing.T) {
		l, err := net.Listen("unix", filepath.Join(shortDir(t), "s"))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		wantStrangerRefused(t, l)
	})
	end(t, r)
}

// squatters: what is at the place of a socket is not taken over.
func squatters(t *testing.T) {
	for name, squat := range map[string]func(dir string) error{
		"a file":      func(dir string) error { return os.WriteFile(filepath.Join(dir, ControlSocket), nil, 0o600) },
		"a link":      func(dir string) error { return os.Symlink("/tmp/elsewhere", filepath.Join(dir, AgentSocket)) },
		"a listener":  func(dir string) error { return squatSocket(filepath.Join(dir, ControlSocket)) },
		"a directory": func(dir string) error { return os.Mkdir(filepath.Join(dir, AgentSocket), 0o777) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := shortDir(t)
			if err := squat(dir); err != nil {
				t.Fatal(err)
			}
			for _, socket := range []string{ControlSocket, AgentSocket} {
				path := filepath.Join(dir, socket)
				if _, err := os.Lstat(path); err != nil {
					continue
				}
				if l, err := listenUnix(path); err == nil {
					_ = l.Close()
					t.Errorf("%s was taken over", socket)
				}
			}
		})
	}
	t.Run("a directory that others may write to", func(t *testing.T) {
		b := newBench(t)
		dir := b.store.RunDir(testID)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		r, launched := b.launch(t, b.cfg, aWorkspace())
		if launched.Error == nil || launched.Error.Kind != api.Denied || !strings.Contains(launched.Error.Error, "unsafe owner or mode") {
			t.Errorf("%+v", launched)
		}
		_ = r.wait(t)
	})
}

func squatSocket(path string) error {
	l, err := net.Listen("unix", path)
	if err != nil {
		return err
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	return l.Close()
}

// end deletes the workspace and waits for its supervisor.
func end(t *testing.T, r *running) {
	t.Helper()
	var deleted api.WorkspaceDelete
	if f := r.call(t, http.MethodDelete, "/v1/workspace", nil, &deleted); f != nil {
		t.Errorf("%+v", f)
	}
	if err := r.wait(t); err != nil {
		t.Error(err)
	}
}

// wantStrangerRefused connects as another user to a socket whose mode allows it.
func wantStrangerRefused(t *testing.T, l net.Listener) {
	t.Helper()
	path := l.Addr().String()
	for file, mode := range map[string]os.FileMode{path: 0o666, filepath.Dir(path): 0o755} {
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
	}
	var missing error
	if os.Geteuid() != 0 {
		missing = errors.New("only root can be somebody else")
	}
	testgate.Require(t, testgate.Root, missing)
	for _, tool := range []string{"setpriv", "curl"} {
		_, err := exec.LookPath(tool)
		testgate.Require(t, testgate.Tool, err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { reply(w, "hello") })}
	go func() { _ = server.Serve(private{l}) }() // ends with Close
	defer func() { _ = server.Close() }()
	ask := []string{"curl", "-s", "--max-time", "10", "--unix-socket", path, "http://pyro/"}
	if out, err := exec.CommandContext(t.Context(), ask[0], ask[1:]...).Output(); err != nil || string(out) != "\"hello\"\n" {
		t.Fatalf("its owner: %q, %v", out, err)
	}
	stranger := append([]string{"--reuid=1500", "--regid=1500", "--clear-groups"}, ask...)
	if out, err := exec.CommandContext(t.Context(), "setpriv", stranger...).Output(); err == nil || len(out) > 0 {
		t.Errorf("a stranger was answered with %q, %v", out, err)
	}
}
