package archive

import (
	"fmt"
	"iter"
	"strings"

	"golang.org/x/sys/unix"
)

// maxPart is the longest part of a path, in bytes: NAME_MAX of Linux.
const maxPart = 255

// split takes a relative path into its parts. Empty parts and "." are dropped, so
// that no part at all means the root itself.
func split(path string) ([]string, error) {
	if strings.HasPrefix(path, "/") {
		return nil, fmt.Errorf("%w: it is absolute", ErrEscapes)
	}
	if strings.IndexByte(path, 0) >= 0 {
		return nil, fmt.Errorf("%w: it holds a NUL byte", ErrName)
	}
	var parts []string
	for part := range strings.SplitSeq(path, "/") {
		switch part {
		case "", ".":
		case "..":
			return nil, fmt.Errorf("%w: it has a part %q", ErrEscapes, part)
		default:
			parts = append(parts, part)
		}
	}
	return parts, nil
}

// memberParts is split for a name that an archive gives to one of its members. The
// name is judged without the blanks around it too, since some readers trim names
// and would see another path; but they are kept, being part of what a file may be
// called.
func memberParts(name string, limits Limits) ([]string, error) {
	trimmed := strings.TrimSpace(name)
	if trimmed == "" {
		return nil, fmt.Errorf("%w: it is empty", ErrName)
	}
	if len(name) > limits.NameBytes {
		return nil, fmt.Errorf("%w: a name of %d bytes, allowed are %d", ErrLimit, len(name), limits.NameBytes)
	}
	bare, err := split(trimmed)
	if err != nil {
		return nil, err
	}
	if len(bare) == 0 {
		return nil, fmt.Errorf("%w: it names nothing below the root", ErrName)
	}
	parts, err := split(name)
	if err != nil {
		return nil, err
	}
	if len(parts) > limits.Depth {
		return nil, fmt.Errorf("%w: a path of %d parts, allowed are %d", ErrLimit, len(parts), limits.Depth)
	}
	return parts, nil
}

// cleanName is the name of a member without what means nothing; most are clean
// already and cost nothing.
func cleanName(name string, limits Limits) (string, error) {
	if bare := strings.TrimSuffix(name, "/"); isClean(bare) && len(name) <= limits.NameBytes && strings.Count(bare, "/") < limits.Depth {
		return bare, nil
	}
	parts, err := memberParts(name, limits)
	if err != nil {
		return "", err
	}
	for _, part := range parts {
		if len(part) > maxPart {
			return "", fmt.Errorf("%w: a part of %d bytes", unix.ENAMETOOLONG, len(part))
		}
	}
	return strings.Join(parts, "/"), nil
}

// isClean reports that memberParts has nothing to drop and nothing to refuse, limits
// apart.
func isClean(name string) bool {
	if strings.TrimSpace(name) != name || strings.IndexByte(name, 0) >= 0 {
		return false
	}
	for rest, more := name, true; more; {
		var part string
		part, rest, more = strings.Cut(rest, "/")
		if part == "" || part == "." || part == ".." || len(part) > maxPart {
			return false
		}
	}
	return true
}

// parents yields what is above a clean name, from the top.
func parents(name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := range len(name) {
			if name[i] == '/' && !yield(name[:i]) {
				return
			}
		}
	}
}

// parentOf is the last of parents, "" where there is none.
func parentOf(name string) string { return name[:max(strings.LastIndexByte(name, '/'), 0)] }

// checkTarget refuses what cannot be the target of a symlink. What it says is data.
func checkTarget(target string, limits Limits) error {
	switch {
	case target == "" || strings.IndexByte(target, 0) >= 0:
		return fmt.Errorf("%w: a symlink to %s", ErrName, quote(target))
	case len(target) > min(limits.NameBytes, maxTarget):
		return fmt.Errorf("%w: a link target of %d bytes", ErrLimit, len(target))
	}
	return nil
}
