package patch

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/pyro-sandbox/pyro/api"
)

// short holds the letters of C for control characters and what needs a backslash.
var short = map[byte]byte{'\a': 'a', '\b': 'b', '\t': 't', '\n': 'n', '\v': 'v', '\f': 'f', '\r': 'r', '"': '"', '\\': '\\'}

// quoteName writes a name as git does with core.quotePath off: as it is, or between
// quotation marks in the way of C when a line could not carry it or a reader could be
// misled: control characters, what is not UTF-8 or cannot be printed, blanks at the end
// of a part (git apply takes a blank before a slash for the end of the name).
func quoteName(name string) string {
	if isPlain(name) {
		return name
	}
	var out strings.Builder
	out.WriteByte('"')
	for i := 0; i < len(name); {
		r, size := utf8.DecodeRuneInString(name[i:])
		letter, has := short[name[i]]
		switch {
		case has:
			out.WriteByte('\\')
			out.WriteByte(letter)
		case r == utf8.RuneError && size <= 1 || !unicode.IsPrint(r):
			for _, b := range []byte(name[i : i+size]) {
				fmt.Fprintf(&out, "\\%03o", b)
			}
		default:
			out.WriteString(name[i : i+size])
		}
		i += size
	}
	out.WriteByte('"')
	return out.String()
}

func isPlain(name string) bool {
	if !utf8.ValidString(name) || strings.ContainsAny(name, `"\`) || strings.Contains(name+"/", " /") {
		return false
	}
	return !strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) })
}

// tabbed ends a label that holds a blank with a tab, as git does: patch(1) takes what
// follows a blank for a time.
func tabbed(label string) string {
	if strings.Contains(label, " ") && !strings.HasPrefix(label, `"`) {
		return label + "\t"
	}
	return label
}

var errQuote = errors.New("a quoted name that does not end, or holds an unknown escape")

// unquoteName reads a name that begins with a quotation mark and returns what follows it.
func unquoteName(s string) (name, rest string, err error) {
	var out strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return out.String(), s[i+1:], nil
		case '\\':
			b, n, ok := unescape(s[i+1:])
			if !ok {
				return "", "", errQuote
			}
			out.WriteByte(b)
			i += n
		default:
			out.WriteByte(s[i])
		}
	}
	return "", "", errQuote
}

// unescape reads what follows a backslash: a letter, or three octal digits up to 377.
func unescape(s string) (b byte, n int, ok bool) {
	if s == "" {
		return 0, 0, false
	}
	for b, letter := range short {
		if s[0] == letter {
			return b, 1, true
		}
	}
	if len(s) < 3 || s[0] > '3' {
		return 0, 0, false
	}
	for _, digit := range []byte(s[:3]) {
		if digit < '0' || digit > '7' {
			return 0, 0, false
		}
		b = b<<3 | (digit - '0')
	}
	return b, 3, true
}

var errOutside = errors.New("the path leads outside of the workspace")

// cleanName is the contract's rule for paths, for the names of a patch: relative or below
// /workspace, no "..".
func cleanName(name string) (string, error) {
	rest, absolute := strings.CutPrefix(name, api.WorkspacePath+"/")
	var parts []string
	for part := range strings.SplitSeq(rest, "/") {
		switch {
		case part == "..", part == "" && len(parts) == 0 && !absolute:
			return "", fmt.Errorf("%s: %w", shown([]byte(name)), errOutside)
		case len(part) > maxPart:
			return "", fmt.Errorf("%s: a part of the path has more than %d bytes", shown([]byte(name)), maxPart)
		case part != "" && part != ".":
			parts = append(parts, part)
		}
	}
	clean := strings.Join(parts, "/")
	switch {
	case clean == "", strings.HasSuffix(name, "/"), strings.HasSuffix(name, "/."):
		return "", fmt.Errorf("%s: the path names a directory", shown([]byte(name)))
	case strings.IndexByte(clean, 0) >= 0:
		return "", fmt.Errorf("%s: the path holds NUL", shown([]byte(name)))
	case len(clean) > maxName:
		return "", fmt.Errorf("%s: the path has more than %d bytes", shown([]byte(name)), maxName)
	case InGit(clean):
		return "", &api.Error{Kind: api.Denied, Hint: "use git for what lies in .git", Err: fmt.Errorf("%s: the path leads into .git", shown([]byte(name)))}
	}
	return clean, nil
}
