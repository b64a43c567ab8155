package archive

import (
	"fmt"
	"hash/maphash"
	"io/fs"
)

// shape is what an archive has described so far, and refuses what Unpack would
// refuse on an empty directory: something below a file or link, one kind of thing in
// place of another, and hard links to what is not an earlier file.
//
// Of each name two hashes are kept, with seeds that nobody outside knows, so that an
// archive of long names costs no more memory than one of short ones: about 50 bytes
// for each name.
type shape struct {
	limits Limits
	names  nameSet
	nodes  map[nameHash]node
	seen   int    // members, and parents they imply
	parent string // of the last member: known to be a directory
}

// nameSet hashes names.
type nameSet [2]maphash.Seed

type nameHash [2]uint64

func newNameSet() nameSet { return nameSet{maphash.MakeSeed(), maphash.MakeSeed()} }

func (s nameSet) hash(name string) nameHash {
	return nameHash{maphash.String(s[0], name), maphash.String(s[1], name)}
}

// node is what stands under one name.
type node struct {
	kind nodeKind
	file int32 // which of the files of the archive
}

type nodeKind uint8

const (
	nodeFile nodeKind = iota + 1
	nodeDirectory
	nodeSymlink
)

func newShape(limits Limits) *shape {
	return &shape{limits: limits, names: newNameSet(), nodes: make(map[nameHash]node)}
}

// see counts what costs a file system entry, or time, against the limit.
func (s *shape) see() error {
	s.seen++
	if s.seen > s.limits.Entries {
		return fmt.Errorf("%w: more than %d entries", ErrLimit, s.limits.Entries)
	}
	return nil
}

// parents makes sure of the directories above the clean name.
func (s *shape) parents(name string) error {
	parent := parentOf(name)
	if parent == s.parent {
		return nil
	}
	for above := range parents(name) {
		at := s.names.hash(above)
		switch n := s.nodes[at]; n.kind {
		case nodeDirectory:
		case 0:
			if err := s.see(); err != nil {
				return err
			}
			s.nodes[at] = node{kind: nodeDirectory}
		default:
			return fmt.Errorf("%w: %s is a %s", fs.ErrExist, quote(above), n.kind)
		}
	}
	s.parent = parent
	return nil
}

// put notes a member that is not a hard link.
func (s *shape) put(name string, n node) error {
	if err := s.parents(name); err != nil {
		return err
	}
	at := s.names.hash(name)
	if old := s.nodes[at]; old.kind != 0 && old.kind != n.kind {
		return fmt.Errorf("%w: it was a %s before", fs.ErrExist, old.kind)
	}
	s.nodes[at] = n
	return nil
}

// link notes a hard link and returns what it names.
func (s *shape) link(name, target string) (node, error) {
	n := s.nodes[s.names.hash(target)]
	if n.kind != nodeFile {
		return node{}, pathError("hard link to", target, fmt.Errorf("%w: it is not a file that came before", ErrLink))
	}
	return n, s.put(name, n)
}

func (k nodeKind) String() string {
	switch k {
	case nodeFile:
		return "file"
	case nodeDirectory:
		return "directory"
	}
	return "symlink"
}
