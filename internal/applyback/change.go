package applyback

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"unicode/utf8"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/archive"
)

// Change is one path of the tree that is not as it was.
type Change struct {
	Path     string // below the directory; bytes, as names are
	Old, New *State // nil: there is nothing
	Autorun  string // why it would run by itself, where its name does not tell; else empty

	content piece // what New holds; none where that is what Old held
	base    piece // what Old held; none where nobody told
}

// piece is a part of the file in which an area keeps what it takes.
type piece struct {
	from, size int64
	kept       bool
}

// State is a file, symlink or empty directory.
type State struct {
	Kind   archive.Kind
	Mode   uint32 // twelve bits; of no meaning for a symlink
	Size   int64  // of a file, in bytes
	SHA256 [sha256.Size]byte
	Target string // of a symlink
}

func (c *Change) status() api.DiffStatus {
	switch {
	case c.Old == nil:
		return api.DiffAdded
	case c.New == nil:
		return api.DiffDeleted
	case c.Old.Kind != c.New.Kind:
		return api.DiffTypeChanged
	}
	return api.DiffModified
}

// is reports whether two states are the same to git: of modes only that it can be run
// counts, and a directory is a directory.
func (s *State) is(other *State) bool {
	switch {
	case s == nil || other == nil:
		return s == other
	case s.Kind != other.Kind:
		return false
	case s.Kind == archive.KindSymlink:
		return s.Target == other.Target
	case s.Kind == archive.KindFile:
		return s.holds(other) && s.runs() == other.runs()
	}
	return s.Kind == archive.KindDirectory
}

// holds reports whether two files hold the same.
func (s *State) holds(other *State) bool { return s.Size == other.Size && s.SHA256 == other.SHA256 }

func (s *State) runs() bool { return s.Mode&0o100 != 0 }

// onlyModes reports that nothing changed but bits of the mode that git does not know.
func (c *Change) onlyModes() bool {
	return c.Old != nil && c.New != nil && c.Old.is(c.New) && c.Old.Kind == archive.KindFile && (c.Old.Mode^c.New.Mode)&0o777 != 0
}

// modeFrom is the mode that a file gets: of what it has now those bits change that were
// changed. Set-id and sticky bits are never given.
func (c *Change) modeFrom(now *State) uint32 {
	if c.Old == nil || c.Old.Kind != archive.KindFile || now == nil || now.Kind != archive.KindFile {
		return c.New.Mode & 0o777
	}
	changed := (c.Old.Mode ^ c.New.Mode) & 0o777
	return now.Mode&0o777&^changed | c.New.Mode&changed
}

// entry is what is told of a change.
func (c *Change) entry() api.ApplyEntry {
	e := api.ApplyEntry{Path: c.Path, Status: c.status()}
	if !utf8.ValidString(c.Path) {
		coded := base64.StdEncoding.EncodeToString([]byte(c.Path))
		e.Path, e.PathBase64 = strings.ToValidUTF8(c.Path, "\uFFFD"), &coded
	}
	return e
}
