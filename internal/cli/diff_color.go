package cli

import (
	"bytes"
	"fmt"
	"io"
	"strings"
)

// When a patch is coloured.
const (
	colorAuto   = "auto"
	colorAlways = "always"
	colorNever  = "never"
)

var colors = []string{colorAuto, colorAlways, colorNever}

// colored reports whether colours go to stdout: by themselves only to a terminal that
// nobody has asked to do without (no-color.org).
func (a *app) colored(when string) bool {
	if when != colorAuto {
		return when == colorAlways
	}
	return a.terminal(a.Stdout) && a.variable("NO_COLOR") == "" && a.variable("TERM") != "dumb"
}

func (a *app) variable(name string) string {
	for _, entry := range a.Environ {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value
		}
	}
	return ""
}

// patchOutlet passes a patch on to stdout: as it is, or safe to look at on a terminal; and
// coloured if that is wanted.
type patchOutlet struct {
	out   *outlet
	paint *painter // nil: no colours
}

func (a *app) patchOutlet(when string) *patchOutlet {
	out := a.outlet(a.Stdout, "stdout")
	if !a.colored(when) {
		return &patchOutlet{out: out}
	}
	paint := &painter{to: out.to}
	if out.safe != nil {
		out.safe.w = paint
	}
	return &patchOutlet{out: out, paint: paint}
}

// Write implements io.Writer.
func (p *patchOutlet) Write(b []byte) (int, error) {
	if p.paint != nil && p.out.safe == nil {
		n, err := p.paint.Write(b)
		return n, p.out.failed(err)
	}
	return p.out.Write(b)
}

// flush ends the patch.
func (p *patchOutlet) flush() error {
	if err := p.out.flush(); err != nil || p.paint == nil {
		return err
	}
	return p.out.failed(p.paint.end())
}

// Colours of the parts of a patch, as git's defaults (ECMA-48, SGR).
const (
	paintHead  = "\x1b[1m"
	paintHunk  = "\x1b[36m"
	paintNew   = "\x1b[32m"
	paintOld   = "\x1b[31m"
	paintReset = "\x1b[m"
)

// maxPaintHead is how much of a line is looked at to choose its colour.
const maxPaintHead = 128

// painter colours a patch that comes in pieces.
type painter struct {
	to       io.Writer
	held     []byte // the beginning of a line
	painted  bool   // the line has begun, in a colour
	inside   bool   // the line has begun
	old, new int    // lines that are still to come in a hunk
}

// Write implements io.Writer.
func (p *painter) Write(b []byte) (int, error) {
	var out bytes.Buffer
	for rest := b; len(rest) > 0; {
		line, more, ended := bytes.Cut(rest, []byte("\n"))
		p.line(&out, line, ended)
		rest = more
	}
	if _, err := p.to.Write(out.Bytes()); err != nil {
		return 0, err
	}
	return len(b), nil
}

// line takes the next part of a line.
func (p *painter) line(out *bytes.Buffer, part []byte, ended bool) {
	if !p.inside {
		p.held = append(p.held, part...)
		if !ended && len(p.held) < maxPaintHead {
			return
		}
		color := p.color(p.held)
		out.WriteString(color)
		p.inside, p.painted = true, color != ""
		part = p.held
	}
	out.Write(part)
	if ended {
		p.finish(out)
		out.WriteByte('\n')
	}
}

func (p *painter) finish(out *bytes.Buffer) {
	if p.painted {
		out.WriteString(paintReset)
	}
	p.held, p.inside, p.painted = p.held[:0], false, false
}

// end gives out what is left of a line without an end.
func (p *painter) end() error {
	var out bytes.Buffer
	if !p.inside && len(p.held) > 0 {
		p.inside = true
		out.Write(p.held)
	}
	p.finish(&out)
	_, err := p.to.Write(out.Bytes())
	return err
}

// color chooses the colour of a line. In a hunk the first byte decides, whatever the line
// looks like.
func (p *painter) color(line []byte) string {
	if p.old > 0 || p.new > 0 {
		return p.inHunk(line)
	}
	text := string(line)
	switch {
	case strings.HasPrefix(text, "@@ "):
		p.old, p.new = hunkLines(text)
		return paintHunk
	case strings.HasPrefix(text, "\\"), strings.HasPrefix(text, "literal "), strings.HasPrefix(text, "delta "):
		return ""
	}
	for _, head := range []string{"diff --git ", "index ", "old mode ", "new mode ", "new file mode ", "deleted file mode ", "--- ", "+++ ", "GIT binary patch"} {
		if strings.HasPrefix(text, head) {
			return paintHead
		}
	}
	return ""
}

func (p *painter) inHunk(line []byte) string {
	if len(line) == 0 {
		p.old, p.new = max(p.old-1, 0), max(p.new-1, 0)
		return ""
	}
	switch line[0] {
	case '+':
		p.new = max(p.new-1, 0)
		return paintNew
	case '-':
		p.old = max(p.old-1, 0)
		return paintOld
	case ' ':
		p.old, p.new = max(p.old-1, 0), max(p.new-1, 0)
	}
	return ""
}

// hunkLines reads how many lines of each side a hunk has.
func hunkLines(head string) (old, new int) {
	fields := strings.Fields(head)
	if len(fields) < 3 {
		return 0, 0
	}
	return hunkCount(fields[1]), hunkCount(fields[2])
}

func hunkCount(part string) int {
	_, count, given := strings.Cut(part, ",")
	n := 1
	if given {
		if _, err := fmt.Sscanf(count, "%d", &n); err != nil {
			return 0
		}
	}
	return n
}
