package patch

import (
	"errors"
	"strings"
	"time"
)

const devNull = "/dev/null"

// git reads a section that begins with "diff --git".
func (r *reader) git() (*section, error) {
	s := &section{line: r.line}
	line, _ := r.next()
	old, new, split, err := splitNames(strings.TrimPrefix(string(trimEOL(line)), "diff --git "))
	if err != nil {
		return nil, atLine(s.line, err)
	}
	h := gitHeader{section: s, header: split}
	if split && old != new {
		old, new = old[2:], new[2:]
	}
	h.oldName, h.newName = old, new
	for {
		line, ok := r.peek()
		if !ok || !h.extended(string(trimEOL(line))) {
			break
		}
		if h.err != nil {
			return nil, atLine(r.line, h.err)
		}
		_, _ = r.next()
	}
	if err := h.names(); err != nil {
		return nil, atLine(s.line, err)
	}
	if err := r.body(s); err != nil {
		return nil, err
	}
	return s, s.check()
}

// splitNames takes the two names of the first line apart. Unless they are quoted, only
// that they are the same but for the prefix tells where one ends. split is false where
// they are not: then the file was renamed and the names follow.
func splitNames(text string) (old, new string, split bool, err error) {
	switch quote := strings.Index(text, ` "`); {
	case strings.HasPrefix(text, `"`):
		var rest string
		if old, rest, err = unquoteName(text); err != nil {
			return "", "", false, err
		}
		if new = strings.TrimLeft(rest, " "); strings.HasPrefix(new, `"`) {
			new, rest, err = unquoteName(new)
			if err == nil && rest != "" {
				err = errors.New("something follows the names")
			}
		}
	case quote >= 0:
		old = text[:quote]
		new, _, err = unquoteName(text[quote+1:])
	case len(text)%2 == 1 && text[len(text)/2] == ' ':
		old, new = text[:len(text)/2], text[len(text)/2+1:]
	}
	return old, new, err == nil && old != "" && (old == new || prefixed(old) && prefixed(new) && old[2:] == new[2:]), err
}

// prefixed knows the prefixes of git: a/ and b/, those of diff.mnemonicPrefix, and those of
// --no-index.
func prefixed(name string) bool {
	return len(name) > 2 && name[1] == '/' && strings.IndexByte("abciow12", name[0]) >= 0
}

// gitHeader gathers the extended header lines.
type gitHeader struct {
	*section
	header             bool // its first line told the names
	oldName, newName   string
	oldLabel, newLabel string
	err                error
}

// extended takes a line of the header; it is false for what is none.
func (h *gitHeader) extended(line string) bool {
	for _, known := range []struct {
		prefix string
		take   func(string)
	}{
		{"old mode ", func(v string) { h.oldMode = v }},
		{"new mode ", func(v string) { h.newMode = v }},
		{"deleted file mode ", func(v string) { h.isDelete, h.oldMode = true, v }},
		{"new file mode ", func(v string) { h.isNew, h.newMode = true, v }},
		{"copy from ", func(v string) { h.isCopy, h.oldName = true, h.name(v) }},
		{"copy to ", func(v string) { h.isCopy, h.newName = true, h.name(v) }},
		{"rename from ", func(v string) { h.isRename, h.oldName = true, h.name(v) }},
		{"rename to ", func(v string) { h.isRename, h.newName = true, h.name(v) }},
		{"rename old ", func(v string) { h.isRename, h.oldName = true, h.name(v) }},
		{"rename new ", func(v string) { h.isRename, h.newName = true, h.name(v) }},
		{"similarity index ", func(string) {}},
		{"dissimilarity index ", func(string) {}},
		{"index ", h.index},
		{"--- ", func(v string) { h.oldLabel = h.label(v) }},
		{"+++ ", func(v string) { h.newLabel = h.label(v) }},
	} {
		if value, ok := strings.CutPrefix(line, known.prefix); ok {
			known.take(value)
			return true
		}
	}
	return false
}

func (h *gitHeader) index(value string) {
	ids, mode, _ := strings.Cut(value, " ")
	h.oldID, h.newID, _ = strings.Cut(ids, "..")
	if mode != "" {
		h.oldMode = mode
	}
}

func (h *gitHeader) name(value string) string {
	if strings.HasPrefix(value, `"`) {
		name, _, err := unquoteName(value)
		h.err = errors.Join(h.err, err)
		return name
	}
	return value
}

func (h *gitHeader) label(value string) string {
	label, _, err := parseLabel(value)
	h.err = errors.Join(h.err, err)
	return label
}

// parseLabel reads what follows --- or +++: a name, and what patch(1) takes for a time.
func parseLabel(value string) (name, after string, err error) {
	if strings.HasPrefix(value, `"`) {
		return unquoteName(value)
	}
	name, after, _ = strings.Cut(value, "\t")
	if name == "" {
		return "", "", errors.New("the name is missing")
	}
	return name, after, nil
}

// names brings together what the lines of the header say of the names.
func (h *gitHeader) names() error {
	if !h.header && !h.isRename && !h.isCopy {
		if err := h.namesFromLabels(); err != nil {
			return err
		}
	}
	if h.oldName == "" || h.newName == "" {
		return errors.New("the name of the file is missing")
	}
	for _, l := range []struct {
		label, name string
		absent      bool
	}{{h.oldLabel, h.oldName, h.isNew}, {h.newLabel, h.newName, h.isDelete}} {
		switch {
		case l.label == "", l.absent && l.label == devNull:
		case !l.absent && (l.label == l.name || prefixed(l.label) && l.label[2:] == l.name):
		case l.absent:
			return errors.New("a file that is added or deleted has /dev/null on its other side")
		default:
			return errors.New("the lines of the header name different files")
		}
	}
	var err error
	if h.old, err = cleanName(h.oldName); err != nil {
		return err
	}
	h.new, err = cleanName(h.newName)
	return err
}

// namesFromLabels serves where the first line of a header does not tell the names.
func (h *gitHeader) namesFromLabels() error {
	old, new := h.oldLabel, h.newLabel
	if h.isNew || old == devNull {
		old = new
	}
	if h.isDelete || new == devNull {
		new = old
	}
	if old != new || prefixed(old) && (h.isNew || h.isDelete) {
		if !prefixed(old) || !prefixed(new) || old[2:] != new[2:] {
			return errors.New("the lines of the header name different files and no rename")
		}
		old, new = old[2:], new[2:]
	}
	h.oldName, h.newName = old, new
	return nil
}

// plain reads a section that is just --- and +++ and hunks. Either prefix, a/ or b/, is
// dropped from either name.
func (r *reader) plain() (*section, error) {
	s := &section{line: r.line, plain: true}
	var names [2]string
	for i := range names {
		line, _ := r.next()
		name, after, err := parseLabel(string(trimEOL(line[len("--- "):])))
		if err != nil {
			return nil, atLine(r.line-1, err)
		}
		if name == devNull || isEpoch(after) {
			continue
		}
		if len(name) > 2 && (name[:2] == "a/" || name[:2] == "b/") {
			name = name[2:]
		}
		if names[i], err = cleanName(name); err != nil {
			return nil, atLine(r.line-1, err)
		}
	}
	s.old, s.new = names[0], names[1]
	switch {
	case s.old == "" && s.new == "":
		return nil, invalid("line %d: both sides are absent", s.line)
	case s.old == "":
		s.isNew, s.old = true, s.new
	case s.new == "":
		s.isDelete, s.new = true, s.old
	case s.old != s.new:
		return nil, invalid("line %d: the old name is %s, the new one %s", s.line, quoteName(s.old), quoteName(s.new))
	}
	if err := r.body(s); err != nil {
		return nil, err
	}
	return s, s.check()
}

// isEpoch knows how GNU diff -N tells that there is no file: by the time 0.
func isEpoch(after string) bool {
	at, err := time.Parse("2006-01-02 15:04:05.999999999 -0700", strings.TrimSpace(after))
	return err == nil && at.Unix() == 0
}

// check refuses sections that contradict themselves.
func (s *section) check() error {
	where := quoteName(s.new)
	marks := 0
	for _, mark := range []bool{s.isNew, s.isDelete, s.isCopy, s.isRename} {
		if mark {
			marks++
		}
	}
	bare := len(s.hunks) == 0 && s.binary == nil
	switch {
	case marks > 1:
		return invalid("line %d: %s is more than one of new, deleted, copied and renamed", s.line, where)
	case s.old != s.new && !s.isCopy && !s.isRename:
		return invalid("line %d: the old name is %s, the new one %s", s.line, quoteName(s.old), where)
	case s.old == s.new && (s.isCopy || s.isRename):
		return invalid("line %d: %s is renamed or copied to itself", s.line, where)
	case bare && s.plain:
		return invalid("line %d: no hunk follows for %s", s.line, where)
	case bare && marks == 0 && s.newMode == "":
		return invalid("line %d: nothing is said of what changes in %s", s.line, where)
	case s.isNew && len(s.hunks) > 0 && (len(s.hunks) > 1 || s.hunks[0].oldLines > 0):
		return invalid("line %d: %s is new, but has old lines", s.line, where)
	case s.isDelete && len(s.hunks) > 0 && (len(s.hunks) > 1 || s.hunks[0].newLines > 0):
		return invalid("line %d: %s is deleted, but has new lines", s.line, where)
	}
	return s.checkModes()
}

func (s *section) checkModes() error {
	for _, mode := range []string{s.oldMode, s.newMode} {
		if mode != "" && kindOf(mode) == Absent {
			return invalid("line %d: %s has the mode %s: only files and symlinks can be patched", s.line, quoteName(s.new), shown([]byte(mode)))
		}
	}
	if s.oldMode != "" && s.newMode != "" && kindOf(s.oldMode) != kindOf(s.newMode) {
		return invalid("line %d: %s changes its type in one section, not by delete and add", s.line, quoteName(s.new))
	}
	return nil
}

// kindOf reads a mode of git: six octal digits, the first two the type.
func kindOf(mode string) Kind {
	if len(mode) != 6 || strings.Trim(mode, "01234567") != "" {
		return Absent
	}
	switch mode[:3] {
	case "100":
		return File
	case "120":
		return Symlink
	default:
		return Absent
	}
}
