package httpapi

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pyro-sandbox/pyro/api"
)

// talk is a connection of frames, or one on which HTTP is written by hand.
type talk struct {
	net.Conn
	in *bufio.Reader
}

// dial opens a connection by hand.
func (s *site) dial() *talk {
	s.t.Helper()
	network, address := "unix", s.socket
	if s.socket == "" {
		network, address = "tcp", strings.TrimPrefix(strings.TrimPrefix(s.url, "http://"), "https://")
	}
	conn, err := net.DialTimeout(network, address, 5*time.Second)
	if err == nil && strings.HasPrefix(s.url, "https:") {
		conn = tls.Client(conn, s.http.Transport.(*http.Transport).TLSClientConfig)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	return &talk{conn, bufio.NewReader(conn)}
}

// upgrade asks for frames, with what may follow the request at once.
func (s *site) upgrade(method, path string, body any, after string) (*talk, *http.Response) {
	s.t.Helper()
	r := s.request(method, path, body)
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", api.Frames)
	k := s.dial()
	var text strings.Builder
	if err := r.Write(&text); err != nil {
		s.t.Fatal(err)
	}
	if _, err := io.WriteString(k, text.String()+after); err != nil {
		s.t.Fatal(err)
	}
	res, err := http.ReadResponse(k.in, r)
	if err != nil {
		s.t.Fatal(err)
	}
	return k, res
}

// frames is upgrade that succeeds.
func (s *site) frames(method, path string, body any) *talk {
	s.t.Helper()
	k, res := s.upgrade(method, path, body, "")
	if res.StatusCode != http.StatusSwitchingProtocols {
		text, _ := io.ReadAll(res.Body)
		s.t.Fatalf("%s %s: status %d: %s", method, path, res.StatusCode, text)
	}
	return k
}

func frame(kind byte, payload string) string {
	return string(binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(payload)))) + payload
}

func (k *talk) next(t *testing.T) (kind byte, payload string) {
	t.Helper()
	var head [5]byte
	if _, err := io.ReadFull(k.in, head[:]); err != nil {
		t.Fatalf("frame: %v", err)
	}
	text := make([]byte, binary.BigEndian.Uint32(head[1:]))
	if _, err := io.ReadFull(k.in, text); err != nil {
		t.Fatalf("frame %q: %v", head[0], err)
	}
	return head[0], string(text)
}

// rest reads until the last frame.
func (k *talk) rest(t *testing.T) (output string, last byte, end string) {
	t.Helper()
	var all strings.Builder
	for {
		kind, payload := k.next(t)
		switch kind {
		case 'x', 'f':
			return all.String(), kind, payload
		case 'o', 'e':
			all.WriteString(payload)
		}
	}
}

func TestExecAsFrames(t *testing.T) {
	s := serve(t)
	at := "/v1/workspaces/" + s.create().ID()
	for name, c := range map[string]struct {
		exec  api.ExecRequest
		early string // comes with the request
		send  string // comes when it has been taken
		out   string
		code  int
	}{
		"output":               {exec: api.ExecRequest{Argv: []string{"echo", "hello"}}, out: "hello\n"},
		"stdin":                {exec: api.ExecRequest{Argv: []string{"cat"}, Stdin: true}, send: frame('i', "some") + frame('i', " text") + frame('i', ""), out: "some text"},
		"stdin in a hurry":     {exec: api.ExecRequest{Argv: []string{"cat"}, Stdin: true}, early: frame('i', "early"), send: frame('i', " late") + frame('i', ""), out: "early late"},
		"a signal":             {exec: api.ExecRequest{Command: "trap 'echo got it; exit 3' TERM; echo up; while :; do sleep 0.01 2>/dev/null; done 2>/dev/null"}, out: "up\ngot it\n", code: 3},
		"a command that fails": {exec: api.ExecRequest{Command: "echo no >&2; exit 4"}, out: "no\n", code: 4},
		"what is left unread":  {exec: api.ExecRequest{Command: "exit 5", Stdin: true}, send: frame('i', strings.Repeat("x", 1<<16)), code: 5},
	} {
		t.Run(name, func(t *testing.T) {
			k, res := s.upgrade("POST", at+"/exec", c.exec, c.early)
			if res.StatusCode != http.StatusSwitchingProtocols || res.Header.Get("Upgrade") != api.Frames {
				t.Fatalf("status %d, %v", res.StatusCode, res.Header)
			}
			out := ""
			if name == "a signal" {
				_, out = k.next(t)
				c.send = frame('s', `{"name":"TERM"}`)
			}
			if _, err := io.WriteString(k, c.send); err != nil {
				t.Fatal(err)
			}
			more, last, end := k.rest(t)
			var exit api.WorkspaceExec
			if err := json.Unmarshal([]byte(end), &exit); err != nil || last != 'x' {
				t.Fatalf("it ended with %q %s", last, end)
			}
			if out += more; out != c.out || exit.ExitCode != c.code {
				t.Errorf("output %q and exit code %d, want %q and %d", out, exit.ExitCode, c.out, c.code)
			}
			if _, err := k.in.ReadByte(); err != io.EOF {
				t.Errorf("after the last frame: %v", err)
			}
		})
	}
}

// TestHalfOpenStreamsEnd leaves connections open that have nothing more to say.
func TestHalfOpenStreamsEnd(t *testing.T) {
	s := serve(t)
	ws := s.create()
	at := "/v1/workspaces/" + ws.ID()
	k := s.frames("POST", at+"/exec", api.ExecRequest{Argv: []string{"true"}})
	k.rest(t) // and the client stays
	eventually(t, "the connection of a client that stays is closed", func() bool { return s.server.busy.Load() == 0 })

	k = s.frames("POST", at+"/exec", api.ExecRequest{Command: "echo up; exec sleep 1000", TimeoutSeconds: 1000})
	k.next(t)
	_ = k.Close() // and the command does not
	eventually(t, "the command of a client that left is canceled", func() bool {
		logs, err := ws.Logs(t.Context(), 1)
		return err == nil && len(logs.Entries) == 1 && logs.Entries[0].Reason != nil && *logs.Entries[0].Reason != api.EndedRunning
	})
	eventually(t, "its connection is closed", func() bool { return s.server.busy.Load() == 0 })
}

func TestBigFilesPassAsFrames(t *testing.T) {
	s := serve(t)
	at := "/v1/workspaces/" + s.create().ID()
	const size = 32 << 20
	pattern := strings.Repeat("0123456789abcdef", 1<<16)
	written := got[api.FileWrite](t, s.ask("PUT", at+"/files/content?path=big", io.LimitReader(&endless{pattern, 0}, size)))
	if written.BytesWritten != size {
		t.Errorf("%d bytes were written, want %d", written.BytesWritten, size)
	}
	k := s.frames("GET", at+"/files/content?path=big", nil)
	out, last, end := k.rest(t)
	var got api.FileRange
	if err := json.Unmarshal([]byte(end), &got); err != nil || last != 'x' || got.BytesRead != size {
		t.Fatalf("it ended with %q %s", last, end)
	}
	if len(out) != size || out != strings.Repeat(pattern, size/len(pattern)) {
		t.Errorf("%d bytes came, or others", len(out))
	}
}

// endless repeats a text.
type endless struct {
	text string
	at   int
}

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.text[e.at:])
	e.at = (e.at + n) % len(e.text)
	return n, nil
}

func TestFramesAreAskedFor(t *testing.T) {
	s := serve(t)
	at := "/v1/workspaces/" + s.create().ID()
	for _, c := range []struct {
		method, path, protocol string
		body                   any
		status                 int
	}{
		{"GET", "/tree?path=.", "", nil, http.StatusUpgradeRequired},
		{"GET", "/files/content?path=x", "", nil, http.StatusUpgradeRequired},
		{"GET", "/diff?format=patch", "", nil, http.StatusUpgradeRequired},
		{"GET", "/diff", "", nil, http.StatusOK},
		{"GET", "/tree?path=.", "websocket", nil, http.StatusBadRequest},
		{"GET", "/logs", "websocket", nil, http.StatusBadRequest},
		{"GET", "/logs", api.Frames, nil, http.StatusBadRequest},
		{"POST", "/exec", "h2c", api.ExecRequest{Argv: []string{"true"}}, http.StatusBadRequest},
	} {
		t.Run(fmt.Sprint(c.path, c.protocol), func(t *testing.T) {
			r := s.request(c.method, at+c.path, c.body)
			if c.protocol != "" {
				r.Header.Set("Connection", "Upgrade")
				r.Header.Set("Upgrade", c.protocol)
			}
			got := s.do(r)
			if got.status != c.status {
				t.Errorf("status %d, want %d: %s", got.status, c.status, got.body)
			}
			if got.status == http.StatusUpgradeRequired && got.header.Get("Upgrade") != api.Frames {
				t.Errorf("it does not say to what: %v", got.header)
			}
		})
	}
}

func TestCallsMayEndWhenTheServerDoes(t *testing.T) {
	s := serve(t)
	at := "/v1/workspaces/" + s.create().ID()
	captured := make(chan reply, 1)
	go func() { // ends with the call
		captured <- s.ask("POST", at+"/exec", api.ExecRequest{Command: "while [ ! -e go ]; do sleep 0.01; done; echo done"})
	}()
	k := s.frames("POST", at+"/exec", api.ExecRequest{Command: "echo up; while [ ! -e go ]; do sleep 0.01; done; echo done"})
	k.next(t)
	follower := s.frames("POST", at+"/events/follow", nil)
	if kind, event := follower.next(t); kind != 'o' || !strings.Contains(event, "created") {
		t.Errorf("frame %q %s", kind, event)
	}
	eventually(t, "all run", func() bool { return s.server.busy.Load() == 3 })
	s.stop()
	_, _ = io.Copy(io.Discard, follower.in) // what has no end of its own is cut at once
	eventually(t, "nobody else is let in", func() bool {
		conn, err := (&net.Dialer{}).DialContext(context.Background(), "unix", s.socket)
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
	list, err := s.client.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ws, err := s.client.Get(t.Context(), list.Workspaces[0].WorkspaceID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ws.Exec(t.Context(), api.ExecRequest{Argv: []string{"touch", "go"}}); err != nil {
		t.Fatal(err)
	}
	if out, last, end := k.rest(t); out != "done\n" || last != 'x' {
		t.Errorf("the stream ended with %q %q %s", out, last, end)
	}
	if exec := got[api.WorkspaceExec](t, <-captured); exec.Stdout != "done\n" {
		t.Errorf("the call was answered with %+v", exec)
	}
}
