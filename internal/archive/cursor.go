package archive

import (
	"strings"
)

// cursor goes from directory to directory below a root, and keeps those open that
// lead to the last one, as archives name members in the order of a walk. It holds at
// most as many descriptors as a name has parts.
type cursor struct {
	root *Root
	open []level
}

// level is one directory on the way.
type level struct {
	name string
	dir  dir
}

// to opens the directory at path, a clean name or "" for the root, as Root.walk does.
// It belongs to the cursor, and stays open until the next call.
func (c *cursor) to(path string, missing func(at dir, name, path string) error) (dir, error) {
	at, depth := c.root.dir(), 0
	for rest := path; rest != ""; depth++ {
		var name string
		name, rest, _ = strings.Cut(rest, "/")
		if depth < len(c.open) && c.open[depth].name != name {
			c.back(depth)
		}
		if depth == len(c.open) {
			whole := strings.TrimSuffix(path[:len(path)-len(rest)], "/")
			next, err := at.descend(name, whole, missing)
			if err != nil {
				return dir{}, pathError("open", whole, err)
			}
			c.open = append(c.open, level{name, next})
		}
		at = c.open[depth].dir
	}
	c.back(depth)
	return at, nil
}

// back closes what is open deeper than depth.
func (c *cursor) back(depth int) {
	for _, l := range c.open[depth:] {
		l.dir.close()
	}
	c.open = c.open[:depth]
}
