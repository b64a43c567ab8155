// Package plain turns what a program printed on a terminal into the text that a person
// would have read there at the end: overwritten and erased characters are gone, and so
// is every control sequence.
//
// It knows lines and no screen: what moves the cursor to another line is left out. So
// it suits shells and what they run, and not full-screen programs.
package plain

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
)

// Text renders text, which may begin or end in the middle of anything. Lines are joined
// by a line feed. The time that it takes is linear.
func Text(text string) string {
	var p page
	var state byte
	for len(text) > 0 {
		// Without a Parser, which fails on sequences of more parameters than it has room for.
		seq, width, n, next := ansi.DecodeSequence(text, state, nil)
		if n <= 0 { // never; and if it did, what is left would be nothing to read
			break
		}
		text, state = text[n:], next
		switch {
		case width > 0:
			p.line.put(seq)
		case printable(seq):
			p.line.combine(seq)
		case len(seq) == 1:
			p.control(seq[0])
		case seq == "\x1bO" && text != "": // SS3: the next character is part of it
			_, size := utf8.DecodeRuneInString(text)
			text = text[size:]
		case strings.HasPrefix(seq, "\x1b["):
			p.sequence(seq[2:])
		}
	}
	return p.text()
}

// printable reports whether seq is text without a width, such as a lone combining mark.
func printable(seq string) bool {
	r, size := utf8.DecodeRuneInString(seq)
	return r >= 0xA0 && (r != utf8.RuneError || size > 1)
}

// page is the lines that were printed.
type page struct {
	done []string
	line line
}

func (p *page) text() string { return strings.Join(append(p.done, p.line.text()), "\n") }

func (p *page) control(c byte) {
	switch c {
	case '\n':
		p.done = append(p.done, p.line.text())
		p.line = line{}
	case '\r':
		p.line.at = 0
	case '\b':
		p.line.back()
	case '\t':
		p.line.put("\t")
	}
}

// sequence does what a control sequence erases (ECMA-48, EL and ED). Those with any
// other parameter, or a private one, are left out like the rest.
func (p *page) sequence(seq string) {
	switch seq {
	case "K", "0K":
		p.line.cut()
	case "1K":
		p.line.blank()
	case "2K":
		p.line = line{lead: p.line.at, at: p.line.at}
	case "2J", "3J":
		p.done, p.line = nil, line{}
	}
}

// line is the cells of a line, each one character as people count them.
type line struct {
	lead  int // blank cells before the first of cells
	cells []string
	at    int // the cell that is written next
	empty int // as many of cells are known to be blank, in front
}

func (l *line) put(s string) {
	if l.at < l.lead {
		l.cells = slices.Concat(slices.Repeat([]string{" "}, l.lead), l.cells)
		l.lead, l.empty = 0, 0
	}
	if i := l.at - l.lead; i < len(l.cells) {
		l.cells[i], l.empty = s, min(l.empty, i)
	} else { // the cursor is never further behind the last
		l.cells = append(l.cells, s)
	}
	l.at++
}

// maxCell bounds a cell with its marks, in bytes.
const maxCell = 64

// combine adds a mark to the character before the cursor.
func (l *line) combine(mark string) {
	if i := l.at - 1 - l.lead; i >= 0 && i < len(l.cells) && len(l.cells[i]) < maxCell {
		l.cells[i] += mark
	}
}

// back steps back and deletes, as a shell's echo of the key means it.
func (l *line) back() {
	l.at = max(l.at-1, 0)
	switch last := l.lead + len(l.cells) - 1; {
	case l.at != last:
	case len(l.cells) > 0:
		l.cells = l.cells[:len(l.cells)-1]
		l.empty = min(l.empty, len(l.cells))
	case l.lead > 0:
		l.lead--
	}
}

// cut erases from the cursor on.
func (l *line) cut() {
	if l.at < l.lead {
		l.lead, l.cells = l.at, nil
	} else if i := l.at - l.lead; i < len(l.cells) {
		l.cells = l.cells[:i]
	}
	l.empty = min(l.empty, len(l.cells))
}

// blank erases from the beginning to the cursor. What is blank already is left, so that
// many of these cost no more than what was printed between them.
func (l *line) blank() {
	end := min(l.at-l.lead+1, len(l.cells))
	for i := l.empty; i < end; i++ {
		l.cells[i] = " "
	}
	l.empty = max(l.empty, end)
}

func (l *line) text() string { return strings.Repeat(" ", l.lead) + strings.Join(l.cells, "") }
