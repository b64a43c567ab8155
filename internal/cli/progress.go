package cli

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	patience = time.Second            // what takes less needs no word
	redraw   = 200 * time.Millisecond // faster than anybody reads, slow enough not to flicker
)

// progress is one line at the bottom of a terminal that says how far something is.
// It is drawn again and again in its place and gone at the end. A nil progress,
// which is what there is without a terminal, says nothing. All is for one goroutine,
// except that the counts may be told from others.
type progress struct {
	to    io.Writer
	tag   string
	began time.Time
	timer *time.Timer
	width int // of what stands there, in columns

	mu     sync.Mutex
	counts string // empty: none were told
}

// newProgress begins a progress whose first line comes when patience is over. It is
// given to awaitWith, which ends it.
func (a *app) newProgress(tag string) *progress {
	if !a.terminal(a.Stderr) {
		return nil
	}
	return &progress{to: a.Stderr, tag: tag, began: time.Now(), timer: time.NewTimer(patience)}
}

// tell returns what a source tells its counts to, or nil where nobody looks.
func (p *progress) tell(what string) func(entries int, bytes int64) {
	if p == nil {
		return nil
	}
	return func(entries int, bytes int64) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.counts = fmt.Sprintf("[%s] %s entries, %s", what, grouped(entries), size(bytes))
	}
}

// due says when to draw.
func (p *progress) due() <-chan time.Time {
	if p == nil {
		return nil
	}
	return p.timer.C
}

// draw replaces the line. It uses no control sequence, so that it works on every
// terminal.
func (p *progress) draw() {
	p.mu.Lock()
	line := p.counts
	p.mu.Unlock()
	if line == "" {
		line = fmt.Sprintf("[%s] %d s", p.tag, time.Since(p.began)/time.Second)
	}
	_, _ = fmt.Fprintf(p.to, "\r%-*s", p.width, line)
	p.width = len(line)
	p.timer.Reset(redraw)
}

// clear takes the line away; the next one may be drawn later.
func (p *progress) clear() {
	if p == nil || p.width == 0 {
		return
	}
	_, _ = fmt.Fprintf(p.to, "\r%*s\r", p.width, "")
	p.width = 0
}

// end takes the line away for good.
func (p *progress) end() {
	if p == nil {
		return
	}
	p.timer.Stop()
	p.clear()
}

// grouped writes a number with a comma between its thousands.
func grouped(n int) string {
	digits := strconv.Itoa(n)
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}

// size writes a number of bytes in decimal units (1 kB is 1000 B).
func size(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	value, units := float64(n)/1000, []string{"kB", "MB", "GB", "TB", "PB", "EB"}
	for value >= 999.95 && len(units) > 1 { // 999.95 would be printed as 1000.0
		value, units = value/1000, units[1:]
	}
	return fmt.Sprintf("%.1f %s", value, units[0])
}
