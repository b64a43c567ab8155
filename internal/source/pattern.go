package source

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// pattern is one line as of a .gitignore file, see gitignore(5). What it says is what
// git makes of it, which TestPatternsMeanWhatGitMakesOfThem asks git about.
type pattern struct {
	glob    glob
	negated bool
	dirOnly bool
	base    bool // it has no slash and is compared with the last part of a path
	intoGit bool // it names .git and something below
}

var errPattern = errors.New("not a pattern")

// parsePattern reads one pattern. What would be no pattern at all in a .gitignore
// file is refused, since whoever gives it expects that it does something.
func parsePattern(line string) (pattern, error) {
	text := trimBlanks(line)
	switch {
	case text == "":
		return pattern{}, fmt.Errorf("%w: it is empty", errPattern)
	case strings.HasPrefix(text, "#"):
		return pattern{}, fmt.Errorf(`%w: it begins with #, which makes it a comment; write \# for the character`, errPattern)
	case strings.IndexByte(text, 0) >= 0:
		return pattern{}, fmt.Errorf("%w: it holds a NUL byte", errPattern)
	}
	var p pattern
	text, p.negated = strings.CutPrefix(text, "!")
	text, p.dirOnly = strings.CutSuffix(text, "/")
	if text == "" {
		return pattern{}, fmt.Errorf("%w: it names nothing", errPattern)
	}
	p.base = !strings.Contains(text, "/")
	text = strings.TrimPrefix(text, "/")
	p.intoGit = strings.Contains("/"+text, "/.git/")
	p.glob = compile(text)
	return p, nil
}

// trimBlanks takes away the spaces at the end, save one that a backslash protects.
func trimBlanks(line string) string {
	end := len(line)
	for end > 0 && line[end-1] == ' ' {
		end--
	}
	slashes := end - len(strings.TrimRight(line[:end], `\`))
	if slashes%2 == 1 && end < len(line) {
		end++
	}
	return line[:end]
}

// patterns decide about paths; the last one that matches does.
type patterns []pattern

func parsePatterns(lines []string) (patterns, error) {
	var ps patterns
	for _, line := range lines {
		p, err := parsePattern(line)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", line, err)
		}
		ps = append(ps, p)
	}
	return ps, nil
}

// excludes reports whether the thing at path is left out, if none of the directories
// above it is. Inside a repository's own directory only those patterns count that
// name it: one such as "build" must not take a branch of that name away.
func (ps patterns) excludes(path string, dir bool) bool {
	inGit := strings.Contains("/"+path, "/.git/")
	last := path[strings.LastIndexByte(path, '/')+1:]
	for _, p := range slices.Backward(ps) {
		if p.dirOnly && !dir || inGit && !p.intoGit {
			continue
		}
		name := path
		if p.base {
			name = last
		}
		if p.glob.matches(name) {
			return !p.negated
		}
	}
	return false
}

// excludesBelow is excludes for a path whose parents nobody has asked about: what lies
// in a directory that is left out is left out with it, whatever else a pattern says.
func (ps patterns) excludesBelow(path string, dir bool) bool {
	if len(ps) == 0 {
		return false
	}
	for i := range len(path) {
		if path[i] == '/' && ps.excludes(path[:i], true) {
			return true
		}
	}
	return ps.excludes(path, dir)
}
