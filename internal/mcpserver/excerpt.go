package mcpserver

import (
	"fmt"
	"strings"
	"sync"
	"unicode/utf8"
)

// maxAnswer is how many characters of output an answer holds unless its caller asks for
// more: hosts cut longer ones themselves, in the middle of the JSON.
const maxAnswer = 10_000

// maxAsked is how many characters may be asked for.
const maxAsked = 200_000

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

// text returns about so many bytes at most, and how many were written. cut says that it
// is not all of it.
func (e *excerpt) text(most int) (text string, total int64, cut bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	tail := e.tail[max(0, len(e.tail)-e.keep):]
	text, cut = headAndTail(string(e.head)+string(tail), e.total, most)
	return text, e.total, cut
}

// size returns how many bytes were written.
func (e *excerpt) size() int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.total
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

// headAndTail shortens a text to about so many bytes, from the middle, and says how many
// are missing: text is what is left of total bytes, from whose middle some may be gone
// already. What is no UTF-8 becomes U+FFFD.
func headAndTail(text string, total int64, most int) (string, bool) {
	if total <= int64(most) && total == int64(len(text)) {
		return strings.ToValidUTF8(text, "\uFFFD"), false
	}
	most = min(most, len(text))
	head := most / 3 // errors stand at the end
	from := len(text) - (most - head)
	for from < len(text) && !utf8.RuneStart(text[from]) {
		from++
	}
	for head > 0 && !utf8.RuneStart(text[head]) {
		head--
	}
	left := total - int64(head) - int64(len(text)-from)
	return fmt.Sprintf("%s\n[... %d bytes left out ...]\n%s",
		strings.ToValidUTF8(text[:head], "\uFFFD"), left, strings.ToValidUTF8(text[from:], "\uFFFD")), true
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

// shares divides a budget between two texts: what one does not need the other gets.
func shares(most int, first, second int64) (int, int) {
	half := most / 2
	switch {
	case first <= int64(half):
		return int(first), most - int(first)
	case second <= int64(half):
		return most - int(second), int(second)
	}
	return half, most - half
}
