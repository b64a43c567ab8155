package archive

import (
	"fmt"
	"strings"
)

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
