package patch

import (
	"bytes"
	"errors"
	"strings"

	"github.com/bluekeyes/go-gitdiff/gitdiff"

	"github.com/pyro-sandbox/pyro/api"
)

// section is what a patch says of one file.
type section struct {
	line             int // where it begins, from 1
	plain            bool
	old, new         string // clean paths; both are set
	isNew, isDelete  bool
	isCopy, isRename bool
	oldMode, newMode string // as git writes them; may be empty
	oldID, newID     string // as told, often shortened
	hunks            []hunk
	binary           *gitdiff.File
}

// reader goes through a patch line by line.
type reader struct {
	data   []byte
	pos    int
	line   int // of what comes next, from 1
	hunks  int
	limits Limits
}

// peek returns the next line with its LF, and next moves on.
func (r *reader) peek() ([]byte, bool) {
	line, _ := cutLine(r.data[r.pos:])
	return line, len(line) > 0
}

func (r *reader) next() ([]byte, bool) {
	line, ok := r.peek()
	r.pos += len(line)
	r.line++
	return line, ok
}

func (r *reader) starts(prefix string) bool {
	return bytes.HasPrefix(r.data[r.pos:], []byte(prefix))
}

func trimEOL(line []byte) []byte { return bytes.TrimRight(line, "\r\n") }

// parse finds the sections. Text before, between and after them is passed over, as git
// does: commit messages, the first line of `workspace diff`.
func parse(data []byte, limits Limits) ([]section, error) {
	if len(data) > limits.Bytes {
		return nil, invalid("the patch has %d bytes, %d are allowed", len(data), limits.Bytes)
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, invalid("the patch is empty")
	}
	if data[len(data)-1] != '\n' { // lost on the way: "$(cat patch)"
		data = append(data[:len(data):len(data)], '\n')
	}
	r := &reader{data: data, line: 1, limits: limits}
	var sections []section
	for afterHunk := false; r.pos < len(data); {
		s, err := r.section(afterHunk)
		if err != nil {
			return nil, err
		}
		if afterHunk = s != nil && len(s.hunks) > 0; s == nil {
			continue
		}
		if len(sections) == limits.Files {
			return nil, invalid("the patch concerns more than %d files", limits.Files)
		}
		sections = append(sections, *s)
	}
	if len(sections) == 0 {
		return nil, fail(api.Invalid, "send a unified diff with --- and +++ lines", "no file is named in the patch")
	}
	return sections, nil
}

// section reads a section, or passes over a line that does not begin one.
func (r *reader) section(afterHunk bool) (*section, error) {
	switch {
	case r.starts("diff --git "):
		return r.git()
	case r.starts("--- ") && r.startsSecond("+++ "):
		return r.plain()
	case r.starts("diff --cc "), r.starts("diff --combined "):
		return nil, fail(api.Unsupported, "make it against one parent", "line %d: a combined diff has more than one old side", r.line)
	case r.starts("@@ -"):
		return nil, invalid("line %d: a hunk without the name of a file before it", r.line)
	case afterHunk && (r.starts(" ") || r.starts("+") || r.starts("-")) && !r.isSignature():
		return nil, invalid("line %d: more lines than the header of the hunk before it counts", r.line)
	}
	_, _ = r.next()
	return nil, nil
}

// startsSecond looks at the line after the next.
func (r *reader) startsSecond(prefix string) bool {
	line, _ := r.peek()
	return bytes.HasPrefix(r.data[r.pos+len(line):], []byte(prefix))
}

// isSignature knows how git format-patch ends: "-- " and the version of git.
func (r *reader) isSignature() bool {
	line, _ := r.peek()
	if trimmed := string(trimEOL(line)); trimmed != "-- " && trimmed != "--" {
		return false
	}
	second, _ := cutLine(r.data[r.pos+len(line):])
	return len(second) > 0 && second[0] >= '0' && second[0] <= '9'
}

// body reads what follows the header of a section.
func (r *reader) body(s *section) error {
	for r.starts("@@ -") {
		h, err := r.hunk(len(s.hunks) + 1)
		if err != nil {
			return err
		}
		s.hunks = append(s.hunks, h)
	}
	if s.plain || len(s.hunks) > 0 {
		return nil
	}
	line, _ := r.peek()
	text := string(trimEOL(line))
	switch {
	case text == "GIT binary patch":
		return r.binary(s)
	case strings.HasSuffix(text, " differ") && (strings.HasPrefix(text, "Binary files ") || strings.HasPrefix(text, "Files ")):
		return fail(api.Invalid, "make it with git diff --binary", "line %d: %s is binary and the patch has none of its content", r.line, quoteName(s.new))
	}
	return nil
}

// binary hands the one or two contents, each up to an empty line, to the library.
func (r *reader) binary(s *section) error {
	at, start := r.line, r.pos
	_, _ = r.next()
	for range 2 {
		if !r.starts("literal ") && !r.starts("delta ") {
			break
		}
		for {
			line, ok := r.next()
			if !ok || len(trimEOL(line)) == 0 {
				break
			}
		}
	}
	block := "diff --git a/x b/x\nindex 0..1 100644\n" + strings.ReplaceAll(string(r.data[start:r.pos]), "\r\n", "\n")
	files, _, err := gitdiff.Parse(strings.NewReader(block))
	if err == nil && (len(files) != 1 || files[0].BinaryFragment == nil) {
		err = errors.New("it has no content")
	}
	if err != nil {
		return invalid("line %d: binary content of %s: %w", at, quoteName(s.new), err)
	}
	files[0].ReverseBinaryFragment = nil
	s.binary = files[0]
	return nil
}
