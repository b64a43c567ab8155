package wire

import (
	"bufio"
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// watched is a connection that notes its end.
type watched struct {
	net.Conn
	once   sync.Once
	closed *atomic.Int32
}

func (w *watched) Close() error {
	w.once.Do(func() { w.closed.Add(1) })
	return w.Conn.Close()
}

// guest is what a scripted agent does on its end of a connection, which is closed
// when it returns.
type guest func(conn net.Conn, r *bufio.Reader)

// fakeAgent is a client of a scripted agent, and counts what it dialled. When the
// test ends, every connection must be closed on the host's side, and every script
// over.
func fakeAgent(t *testing.T, script guest) (*Client, *atomic.Int32) {
	t.Helper()
	var dialled, closed atomic.Int32
	var scripts sync.WaitGroup
	t.Cleanup(func() {
		if dialled.Load() != closed.Load() {
			t.Errorf("%d connections were dialled and %d closed", dialled.Load(), closed.Load())
		}
		scripts.Wait()
	})
	return &Client{Dial: func(context.Context) (net.Conn, error) {
		host, agent := net.Pipe()
		dialled.Add(1)
		scripts.Go(func() { // ends with the script, which the closed host end fails
			defer func() { _ = agent.Close() }()
			script(agent, bufio.NewReader(agent))
		})
		return &watched{Conn: host, closed: &closed}, nil
	}}, &dialled
}

// answering reads a request line and sends the same bytes whatever it says.
func answering(reply string) guest {
	data := []byte(reply) // here, since some tests count what is allocated afterwards
	return func(conn net.Conn, r *bufio.Reader) {
		if _, err := ReadLine(r, MaxRequestLine); err == nil {
			_, _ = conn.Write(data) // a host that has read enough closes
		}
	}
}

// recorded is what a scripted agent received.
type recorded struct {
	mu   sync.Mutex
	line string
	body string
}

func (r *recorded) get() (line, body string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.line, r.body
}

// recording notes the request and size bytes after it, and answers.
func recording(into *recorded, size int, reply string) guest {
	return func(conn net.Conn, r *bufio.Reader) {
		line, err := ReadLine(r, MaxRequestLine)
		if err != nil {
			return
		}
		body := make([]byte, size)
		n, _ := io.ReadFull(r, body)
		into.mu.Lock()
		into.line, into.body = string(line), string(body[:n])
		into.mu.Unlock()
		_, _ = io.WriteString(conn, reply)
	}
}
