package stage

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// kind is what a name below the root becomes.
type kind string

const (
	dir    kind = "directory"
	public kind = "public directory"
	file   kind = "file"
	link   kind = "link"
	bind   kind = "bind"
	tmpfs  kind = "tmpfs"
)

// closed says that nothing may lie beneath: it could not be made, or would be
// looked up through the host's own links.
func (k kind) closed() bool { return k == file || k == link || k == bind }

func (s *Stage) check() error {
	tree, err := s.tree()
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(tree)) {
		for parent := path.Dir(name); parent != "."; parent = path.Dir(parent) {
			if tree[parent].closed() {
				return fmt.Errorf("%s /%s lies beneath %s /%s", tree[name], name, tree[parent], parent)
			}
		}
	}
	if s.Root == "" {
		if len(tree) > 0 {
			return errors.New("there is something to assemble, but no Root")
		}
		return nil
	}
	if err := checkHostPath(s.Root); err != nil {
		return fmt.Errorf("field Root: %w", err)
	}
	return s.checkValues()
}

// tree says of each name what it becomes.
func (s *Stage) tree() (map[string]kind, error) {
	tree := make(map[string]kind)
	for _, group := range []struct {
		kind  kind
		names []string
	}{
		{dir, s.Dirs},
		{public, s.Public},
		{file, sortedKeys(s.Files)},
		{link, sortedKeys(s.Links)},
		{bind, sortedKeys(s.Binds)},
		{tmpfs, sortedKeys(s.Tmpfs)},
	} {
		for _, name := range group.names {
			if err := checkName(name); err != nil {
				return nil, fmt.Errorf("%s: %w", group.kind, err)
			}
			if other, ok := tree[name]; ok {
				return nil, fmt.Errorf("/%s is both %s and %s", name, other, group.kind)
			}
			tree[name] = group.kind
		}
	}
	return tree, nil
}

func (s *Stage) checkValues() error {
	for _, name := range sortedKeys(s.Links) {
		if target := s.Links[name]; target == "" || strings.ContainsFunc(target, unicode.IsControl) {
			return fmt.Errorf("link /%s: bad target %q", name, target)
		}
	}
	for _, name := range sortedKeys(s.Binds) {
		if err := checkHostPath(s.Binds[name]); err != nil {
			return fmt.Errorf("bind /%s: %w", name, err)
		}
	}
	for _, name := range sortedKeys(s.Tmpfs) {
		for option := range strings.SplitSeq(s.Tmpfs[name], ",") {
			if !allowedOption(option) {
				return fmt.Errorf("tmpfs /%s: option %q is not allowed", name, option)
			}
		}
	}
	return nil
}

// allowedOption knows the options of tmpfs(5) that say how large and for whom.
func allowedOption(option string) bool {
	name, value, _ := strings.Cut(option, "=")
	switch name {
	case "size", "nr_inodes":
		value = strings.TrimRight(value, "kmg")
	case "mode":
	default:
		return false
	}
	_, err := strconv.ParseUint(value, 10, 64)
	return err == nil
}

// checkName accepts exactly one spelling of each path below the root. Control
// characters would end up in the one line that reports an error.
func checkName(name string) error {
	switch {
	case name == "." || !filepath.IsLocal(name):
		return fmt.Errorf("path %q leaves the root", name)
	case path.Clean(name) != name:
		return fmt.Errorf("path %q is not clean", name)
	case strings.ContainsFunc(name, unicode.IsControl):
		return fmt.Errorf("path %q has a control character", name)
	}
	return nil
}

func checkHostPath(name string) error {
	switch {
	case !path.IsAbs(name) || path.Clean(name) != name:
		return fmt.Errorf("host path %q is not absolute and clean", name)
	case name == "/":
		return errors.New("host path is the whole host")
	case strings.ContainsFunc(name, unicode.IsControl):
		return fmt.Errorf("host path %q has a control character", name)
	}
	return nil
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }
