package mcpserver

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

const (
	maxLine    = 4 << 20 // bytes of one message; the longest file that a tool takes has 1 MiB
	maxPending = 1024    // requests that wait for their answers; what comes then is refused
	stopTime   = 2 * time.Second

	// After the end of the input answers go out for as long as one comes each pause, but
	// no longer than drain.
	pause = time.Second
	drain = 10 * time.Second
)

// ServeStdio serves one connection until the input ends or ctx does. What calls began and
// did not end is canceled then; the error is nil. A client that reads no answers cannot
// hold it up for longer than a few seconds: a write to it may then still be under way.
func (s *Server) ServeStdio(ctx context.Context, in io.Reader, out io.Writer) error {
	guard := guardLines(in, out)
	defer func() { _ = guard.Close() }()
	defer s.stop(stopTime)
	ended := make(chan error, 1)
	go func() { // ends soon after the guard is closed, but for a handler or a write that hangs
		ended <- s.mcp.Run(context.WithoutCancel(ctx), &mcp.IOTransport{Reader: guard, Writer: guard})
	}()
	select {
	case err := <-ended:
		return broken(err)
	case <-ctx.Done():
	case <-guard.over:
	}
	_ = guard.Close() // ends the contexts of all calls
	timer := time.NewTimer(stopTime)
	defer timer.Stop()
	select {
	case err := <-ended:
		return broken(err)
	case <-timer.C:
		return nil
	}
}

// broken is the error of a connection that ended in another way than by its end, or by
// ours.
func broken(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return nil
	}
	return fmt.Errorf("serve MCP: %w", err)
}

// lineGuard stands between stdio and the library, which reads its input as one stream of
// JSON: anything else on a line would end the session, the end of the input would discard
// the answers of calls that are under way, and some errors would carry the code 0. With
// the guard a bad line costs one error answer.
//
// See https://github.com/modelcontextprotocol/go-sdk/issues/1209 and 1061.
type lineGuard struct {
	*io.PipeReader               // what the library reads
	over           chan struct{} // closed when the input has ended and answers had their time

	writing sync.Mutex // held for one line
	out     io.Writer

	mu      sync.Mutex          // never held while something is written
	pending map[jsonrpc.ID]bool // requests without an answer
	open    int                 // requests whose answers are not out yet
	done    int                 // answers that are out
	idle    chan struct{}       // closed when none is open after the end of the input; nil before
}

// guardLines returns what is the library's reader and writer. Its goroutine ends with
// the input, or with the first line after Close.
func guardLines(in io.Reader, out io.Writer) *lineGuard {
	read, write := io.Pipe()
	g := &lineGuard{PipeReader: read, over: make(chan struct{}), out: out, pending: make(map[jsonrpc.ID]bool)}
	go g.feed(in, write)
	return g
}

func (g *lineGuard) feed(in io.Reader, to *io.PipeWriter) {
	r := bufio.NewReaderSize(in, 64<<10)
	for {
		line, long, err := readLine(r)
		switch {
		case long:
			g.reject(message{}, invalid(fmt.Sprintf("the message exceeds %d bytes", maxLine)))
		case len(line) > 0:
			if g.pass(line, to) != nil {
				return
			}
		}
		if err != nil {
			g.waitIdle()
			_ = to.CloseWithError(err)
			close(g.over)
			return
		}
	}
}

// pass gives a line to the library, or answers it. The error is that of a library that
// reads no more.
func (g *lineGuard) pass(line []byte, to io.Writer) error {
	m, bad := checkMessage(line)
	if bad == nil && m.call.IsValid() {
		bad = g.expect(m)
	}
	if bad != nil {
		g.reject(m, bad)
		return nil
	}
	_, err := to.Write(append(line, '\n'))
	return err
}

// expect notes that a request waits for its answer.
func (g *lineGuard) expect(m message) *refusal {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.pending[m.call]:
		return invalid("a request with this id is not answered yet")
	case g.open >= maxPending:
		return &refusal{codeBusy, fmt.Sprintf("busy: %d requests are not answered yet", maxPending)}
	}
	g.pending[m.call] = true
	g.open++
	return nil
}

// codeBusy is one of those that JSON-RPC 2.0, section 5.1, leaves to servers.
const codeBusy = -32000

// release forgets the id of a request whose answer is about to go out: who has read it may
// use the id again at once. It reports whether there was such a request.
func (g *lineGuard) release(id jsonrpc.ID) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	was := g.pending[id]
	delete(g.pending, id)
	return was
}

// sent notes that an answer is out.
func (g *lineGuard) sent() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open--
	g.done++
	if g.idle != nil && g.open == 0 {
		close(g.idle)
		g.idle = nil
	}
}

// Read implements io.Reader for the library. That we have closed its input is an end like
// any other.
func (g *lineGuard) Read(p []byte) (int, error) {
	n, err := g.PipeReader.Read(p)
	if errors.Is(err, io.ErrClosedPipe) {
		err = io.EOF
	}
	return n, err
}

// waitIdle waits until every request is answered, or the time for that is over.
func (g *lineGuard) waitIdle() {
	idle, done := g.idles()
	late := time.NewTimer(drain)
	defer late.Stop()
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		select {
		case <-idle:
			return
		case <-late.C:
			return
		case <-tick.C:
			g.mu.Lock()
			before := done
			done = g.done
			g.mu.Unlock()
			if done == before {
				return
			}
		}
	}
}

// idles returns what is closed when no request is open, and how many answers are out.
func (g *lineGuard) idles() (idle <-chan struct{}, done int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	none := make(chan struct{})
	if g.open == 0 {
		close(none)
	} else {
		g.idle = none
	}
	return none, g.done
}

// Write implements io.Writer for the library: each call is one message.
func (g *lineGuard) Write(p []byte) (int, error) {
	line, id := outgoing(p)
	g.writing.Lock()
	defer g.writing.Unlock()
	if id.IsValid() && g.release(id) {
		defer g.sent()
	}
	if _, err := g.out.Write(line); err != nil {
		return 0, err
	}
	return len(p), nil
}

// reject answers a line that the library does not get to see.
func (g *lineGuard) reject(m message, why *refusal) {
	id := m.id
	if id == nil {
		id = json.RawMessage("null")
	}
	line, err := json.Marshal(map[string]any{
		"jsonrpc": "2.0", "id": id, "error": map[string]any{"code": why.code, "message": why.text},
	})
	if err != nil {
		return // an id that was read is one that can be written
	}
	g.writing.Lock()
	defer g.writing.Unlock()
	_, _ = g.out.Write(append(line, '\n')) // a client that is gone reads no answers
}

// readLine reads one line without its end and the space around it. Of one that is longer
// than maxLine it keeps nothing, and says that it was long.
func readLine(r *bufio.Reader) (line []byte, long bool, err error) {
	for {
		part, err := r.ReadSlice('\n')
		if !long {
			line = append(line, part...)
		}
		if len(line) > maxLine {
			line, long = nil, true
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return bytes.Trim(line, " \t\r\n"), long, err
		}
	}
}
