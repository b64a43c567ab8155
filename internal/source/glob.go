package source

import "strings"

// glob is a compiled pattern of shell wildcards as git has them: "*" and "?" stop at a
// slash, "**" as a whole part of a path does not, sets are in brackets, a backslash
// protects. It works on bytes, as names are bytes.
//
// It is matched by following all its states at once, so the time is at most the
// product of the two lengths, whatever stands in either.
type glob struct {
	steps []step
	plain string // the pattern itself, if it has no wildcard: then there are no steps
	never bool   // malformed: git matches nothing with it
}

// step is one thing that a glob wants to see.
type step struct {
	kind stepKind
	set  *[4]uint64 // of one: the bytes it takes
}

type stepKind byte

const (
	one   stepKind = iota // one byte of the set
	many                  // any number of bytes that are no slash
	all                   // any number of bytes
	maybe                 // the next two steps, or none of them
)

const wild = `*?[\`

func compile(text string) glob {
	var g glob
	// git compares what comes before the first wildcard by itself, and sees the
	// rest as if it were a pattern of its own.
	start := strings.IndexAny(text, wild)
	if start < 0 {
		return glob{plain: text}
	}
	for i := 0; i < len(text) && !g.never; {
		switch text[i] {
		case '*':
			i = g.stars(text, i, start)
		case '?':
			g.add(one, allBut('/'))
			i++
		case '[':
			i = g.brackets(text, i)
		case '\\':
			i++
			if g.never = i == len(text); g.never {
				break
			}
			fallthrough
		default:
			g.add(one, only(text[i]))
			i++
		}
	}
	return g
}

func (g *glob) add(kind stepKind, set *[4]uint64) {
	g.steps = append(g.steps, step{kind, set})
}

// stars compiles the asterisks at i and returns where the pattern goes on. start is
// where its first wildcard stands.
func (g *glob) stars(text string, i, start int) int {
	end := i
	for end < len(text) && text[end] == '*' {
		end++
	}
	rest := text[end:]
	begins := i == start || text[i-1] == '/'
	switch {
	case end-i < 2 || !begins:
		g.add(many, nil)
	case rest == "":
		g.add(all, nil)
	case rest[0] == '/':
		g.add(maybe, nil)
		g.add(all, nil)
		g.add(one, only('/'))
		end++
	case strings.HasPrefix(rest, `\/`):
		g.add(all, nil)
	default:
		g.add(many, nil)
	}
	return end
}

// brackets compiles the set at i and returns where the pattern goes on.
func (g *glob) brackets(text string, i int) int {
	set, end := parseSet(text, i+1)
	g.never = end < 0
	g.add(one, set)
	return end
}

// matches reports whether the glob takes all of name.
func (g *glob) matches(name string) bool {
	if g.never {
		return false
	}
	if g.steps == nil {
		return g.plain == name
	}
	var space [128]bool // so that the usual pattern allocates nothing
	states := space[:]
	width := len(g.steps) + 1
	if 2*width > len(space) {
		states = make([]bool, 2*width)
	}
	now, next := states[:width], states[width:2*width]
	g.enter(now, 0)
	for i := range len(name) {
		clear(next)
		alive := false
		for at, active := range now[:len(g.steps)] {
			if active && g.take(next, at, name[i]) {
				alive = true
			}
		}
		if !alive {
			return false
		}
		now, next = next, now
	}
	return now[len(g.steps)]
}

// enter marks the step at as one to be at, and those that are reached from it
// without a byte.
func (g *glob) enter(states []bool, at int) {
	if states[at] {
		return
	}
	states[at] = true
	if at == len(g.steps) {
		return
	}
	switch g.steps[at].kind {
	case many, all:
		g.enter(states, at+1)
	case maybe:
		g.enter(states, at+1)
		g.enter(states, at+3)
	}
}

// take moves on from the step at by one byte, and reports whether that is possible.
func (g *glob) take(next []bool, at int, b byte) bool {
	switch s := g.steps[at]; s.kind {
	case one:
		if s.set[b/64]&(1<<(b%64)) == 0 {
			return false
		}
		g.enter(next, at+1)
	case many:
		if b == '/' {
			return false
		}
		g.enter(next, at)
	case all:
		g.enter(next, at)
	case maybe:
		return false
	}
	return true
}
