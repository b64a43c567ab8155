package mcpserver

import (
	"strings"
	"sync"
)

// excerpt keeps the beginning and the end of what is written to it, each as long as
// keep, in bytes. It may be read while it is written.
type excerpt struct {
	keep int

	mu    sync.Mutex
	head  []byte
	tail  []byte
	total int64
}

// Write implements io.Writer. It never fails.
func (e *excerpt) Write(p []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := len(p)
	e.total += int64(n)
	if room := e.keep - len(e.head); room > 0 {
		part := p[:min(room, n)]
		e.head = append(e.head, part...)
		p = p[len(part):]
	}
	e.tail = append(e.tail, p...)
	if len(e.tail) > 2*e.keep {
		e.tail = append(e.tail[:0], e.tail[len(e.tail)-e.keep:]...)
	}
	return n, nil
}

// kept returns what is kept of total bytes.
func (e *excerpt) kept() (text string, total int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return string(e.head) + string(e.tail[max(0, len(e.tail)-e.keep):]), e.total
}

// lastLine returns the last line that is not empty, for a word about progress.
func (e *excerpt) lastLine() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	recent := e.tail
	if len(recent) == 0 {
		recent = e.head
	}
	const longest = 200
	lines := strings.FieldsFunc(string(recent[max(0, len(recent)-4*longest):]), func(r rune) bool { return r == '\n' || r == '\r' })
	if len(lines) == 0 {
		return ""
	}
	line := plain(lines[len(lines)-1])
	return clip(line[max(0, len(line)-longest):])
}

// plain leaves out control characters.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
}
