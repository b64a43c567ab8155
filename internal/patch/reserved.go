package patch

import (
	"strings"
	"unicode"
)

// InGit reports whether a path has a part that git or some file system takes for its own
// ".git": in any case, with characters that HFS+ ignores (Apple Technical Note 1150), with
// the endings that NTFS ignores, or as the short name git~1. git refuses patches to such
// paths, and so does Plan.
func InGit(path string) bool {
	for part := range strings.SplitSeq(path, "/") {
		if isGit(part) {
			return true
		}
	}
	return false
}

func isGit(part string) bool {
	if len(part) > maxPart {
		return false
	}
	part = strings.ToLower(strings.Map(func(r rune) rune {
		if ignoredByHFS(r) {
			return -1
		}
		return unicode.ToLower(r)
	}, part))
	part, _, _ = strings.Cut(part, ":") // an NTFS stream
	part = strings.TrimRight(part, " .")
	return part == ".git" || part == "git~1"
}

func ignoredByHFS(r rune) bool {
	return r >= '\u200c' && r <= '\u200f' || r >= '\u202a' && r <= '\u202e' || r >= '\u206a' && r <= '\u206f' || r == '\ufeff'
}
