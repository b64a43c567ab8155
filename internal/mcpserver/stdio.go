package mcpserver

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

const (
	maxLine = 4 << 20     // bytes of one message; the longest file that a tool takes has 1 MiB
	drain   = time.Second // how long answers may go out after the end of the input
)

// lineGuard stands between stdio and the library, which reads its input as one stream of
// JSON: anything else on a line would end the session, the end of the input would discard
// the answers of calls that are under way, and some errors would carry the code 0. With
// the guard a bad line costs one error answer.
//
// See https://github.com/modelcontextprotocol/go-sdk/issues/1209 and 1061.
type lineGuard struct {
	*io.PipeReader // what the library reads

	mu      sync.Mutex
	out     io.Writer
	pending map[string]bool // ids of requests that are not answered yet
	idle    chan struct{}   // closed when nothing is pending after the end of the input; nil before
}

// guardLines returns what is the library's reader and writer. Its goroutine ends with
// the input, or with the first line after Close.
func guardLines(in io.Reader, out io.Writer) *lineGuard {
	read, write := io.Pipe()
	g := &lineGuard{PipeReader: read, out: out, pending: make(map[string]bool)}
	go g.feed(in, write)
	return g
}

func (g *lineGuard) feed(in io.Reader, to *io.PipeWriter) {
	r := bufio.NewReaderSize(in, 64<<10)
	for {
		line, err := readLine(r)
		switch {
		case errors.Is(err, errLongLine):
			g.reject(message{}, refusal{codeInvalidRequest, fmt.Sprintf("invalid request: the message exceeds %d bytes", maxLine)})
			continue
		case len(bytes.TrimSpace(line)) > 0:
			if g.pass(line, to) != nil {
				return
			}
		}
		if err != nil {
			g.waitIdle()
			_ = to.CloseWithError(err)
			return
		}
	}
}

// pass gives a line to the library, or answers it. The error is that of a library that
// reads no more.
func (g *lineGuard) pass(line []byte, to io.Writer) error {
	m, bad := checkMessage(line)
	if bad == nil && m.isCall {
		bad = g.expect(m)
	}
	if bad != nil {
		g.reject(m, *bad)
		return nil
	}
	_, err := to.Write(append(line, '\n'))
	return err
}

// expect notes that a request waits for its answer.
func (g *lineGuard) expect(m message) *refusal {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.pending[string(m.id)] {
		return &refusal{codeInvalidRequest, "invalid request: a request with this id is not answered yet"}
	}
	g.pending[string(m.id)] = true
	return nil
}

// waitIdle waits until every request is answered, or the drain time is over.
func (g *lineGuard) waitIdle() {
	g.mu.Lock()
	if len(g.pending) == 0 {
		g.mu.Unlock()
		return
	}
	g.idle = make(chan struct{})
	idle := g.idle
	g.mu.Unlock()
	timer := time.NewTimer(drain)
	defer timer.Stop()
	select {
	case <-idle:
	case <-timer.C:
	}
}

// Write implements io.Writer for the library: each call is one message.
func (g *lineGuard) Write(p []byte) (int, error) {
	line := withCode(p)
	var m struct {
		ID     json.RawMessage `json:"id"`
		Method string          `json:"method"`
	}
	answer := json.Unmarshal(p, &m) == nil && m.Method == ""
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, err := g.out.Write(line); err != nil {
		return 0, err
	}
	if answer {
		delete(g.pending, string(m.ID))
		if g.idle != nil && len(g.pending) == 0 {
			close(g.idle)
			g.idle = nil
		}
	}
	return len(p), nil
}

// reject answers a line that the library does not get to see.
func (g *lineGuard) reject(m message, why refusal) {
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
	g.mu.Lock()
	defer g.mu.Unlock()
	_, _ = g.out.Write(append(line, '\n')) // a client that is gone reads no answers
}

var errLongLine = errors.New("line is too long")

// readLine reads one line without its end. Of one that is longer than maxLine it keeps
// nothing.
func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	long := false
	for {
		part, err := r.ReadSlice('\n')
		if !long {
			line = append(line, part...)
		}
		if len(line) > maxLine {
			line, long = nil, true
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case long && err == nil:
			return nil, errLongLine
		}
		return bytes.TrimRight(line, "\r\n"), err
	}
}
