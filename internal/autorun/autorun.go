// Package autorun knows the names of files that run by themselves, or that programs obey
// without being asked, when somebody uses a tree on the host: opens it in an editor or a
// shell, starts a coding agent in it, commits, installs, builds or tests. A workspace may
// write such files so that they run outside of it.
//
// It goes by names alone and knows no content: whether a file differs from what was there
// before, and what is done about it, is the caller's business. The table is not complete
// and cannot be. What is started by its own name (a script, a binary) is not in it.
package autorun

import (
	"slices"
	"strings"
	"unicode"
)

// Rule is one row of the table. A Pattern is one of
//
//	name        a file of that name, in any directory
//	dir/name    a file of that name in a directory of that name, in any directory
//	dir/        all that is in a directory of that name, and a file of that name
//	*.suffix    a file whose name ends so
//
// Case makes no difference, nor do the characters and endings that some file systems pass
// over.
type Rule struct {
	Pattern string
	Why     string // "direnv runs it when a shell enters the directory"
}

// Rules returns the table, by subject, for documentation. The rows of git's own directory
// tell what Reason does there.
func Rules() []Rule {
	var all []Rule
	for _, g := range table {
		for pattern := range strings.FieldsSeq(g.patterns) {
			all = append(all, Rule{Pattern: pattern, Why: g.why})
		}
	}
	return all
}

// Reason says why the file or symlink at path would run by itself. path is relative to the
// tree that is used, its parts divided by "/". A directory has no reason but by what is in
// it: ask for that. The answer may be wrong for a file that only has the name.
func Reason(path string) (why string, flagged bool) {
	parts := strings.Split(path, "/")
	for i := range parts {
		parts[i] = fold(parts[i])
	}
	if why, is := gitReason(parts); is {
		return why, why != ""
	}
	last := len(parts) - 1
	for i, part := range parts {
		if why, is := rules.below[part]; is {
			return why, true
		}
		if i < last {
			if why, is := rules.below[part+"/"+parts[i+1]]; is {
				return why, true
			}
		}
	}
	if last > 0 {
		if why, is := rules.names[parts[last-1]+"/"+parts[last]]; is {
			return why, true
		}
	}
	if why, is := rules.names[parts[last]]; is {
		return why, true
	}
	return suffixReason(parts[last])
}

// suffixReason tries each ending of a name that begins with a dot, the longest first.
func suffixReason(name string) (why string, flagged bool) {
	for i := range len(name) {
		if name[i] != '.' {
			continue
		}
		if why, is := rules.suffixes[name[i:]]; is {
			return why, true
		}
	}
	return "", false
}

// gitReason judges what is in a repository: hooks and settings, wherever they lie in it,
// but not the thousands of files that only hold history. is tells that path lies in one.
func gitReason(parts []string) (why string, is bool) {
	at := slices.IndexFunc(parts, isRepository)
	if at < 0 {
		return "", false
	}
	inside := parts[at+1:]
	if len(inside) == 0 {
		if parts[at] != ".git" && parts[at] != "git~1" {
			return "", false // a file that only ends in .git
		}
		return "it points git to a repository, whose settings and hooks git obeys", true
	}
	last := inside[len(inside)-1]
	if slices.Contains([]string{"objects", "refs", "logs"}, inside[0]) {
		return "", true
	}
	if slices.Contains(inside[:len(inside)-1], "hooks") && !strings.HasSuffix(last, ".sample") {
		return "git runs it as a hook", true
	}
	switch last {
	case "config", "config.worktree":
		return "git runs what its settings name", true
	case "commondir", "gitdir", "attributes":
		return "git goes by it to settings and filters, which it runs", true
	}
	return "", true
}

// isRepository knows the directory of git by its name, and that of a bare repository.
func isRepository(part string) bool { return strings.HasSuffix(part, ".git") || part == "git~1" }

// fold gives names the same form that some file system takes for one: case (all but
// Linux), characters that HFS+ ignores (Apple Technical Note 1150), and the endings and
// streams that NTFS passes over.
func fold(part string) string {
	part = strings.Map(func(r rune) rune {
		if r >= '\u200c' && r <= '\u200f' || r >= '\u202a' && r <= '\u202e' || r >= '\u206a' && r <= '\u206f' || r == '\ufeff' {
			return -1
		}
		return unicode.ToLower(unicode.SimpleFold(unicode.ToUpper(r)))
	}, part)
	if name, _, stream := strings.Cut(part, ":"); stream && name != "" {
		part = name
	}
	return strings.TrimRight(part, ". ")
}

// index is the table by the way in which its rows are looked up, folded.
type index struct{ names, below, suffixes map[string]string }

var rules = newIndex()

func newIndex() index {
	x := index{names: map[string]string{}, below: map[string]string{}, suffixes: map[string]string{}}
	for _, rule := range Rules() {
		pattern := strings.ToLower(rule.Pattern)
		switch {
		case strings.HasPrefix(pattern, ".git/"): // gitReason has them
		case strings.HasPrefix(pattern, "*"):
			x.suffixes[pattern[1:]] = rule.Why
		case strings.HasSuffix(pattern, "/"):
			x.below[strings.TrimSuffix(pattern, "/")] = rule.Why
		default:
			x.names[pattern] = rule.Why
		}
	}
	return x
}
