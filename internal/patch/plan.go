package patch

import (
	"fmt"
	"maps"
	"slices"

	"github.com/pyro-sandbox/pyro/api"
)

// Directory and Special are what a Tree may hold besides what git's format carries.
const (
	Directory Kind = "directory"
	Special   Kind = "special"
)

// Info is what a Tree tells of a path.
type Info struct {
	Kind Kind   // Absent where nothing is
	Mode uint32 // the 12 mode bits
	Size int64  // of a file, in bytes
}

// Tree is what a patch is planned against. Paths are clean and relative to its root. Plan
// asks for a path only when all directories above it are directories.
type Tree interface {
	// Lstat tells what is at path, itself if it is a symlink. That nothing is there is
	// no error.
	Lstat(path string) (Info, error)
	// Read returns the content of a file of at most the size that Lstat told, or the
	// target of a symlink.
	Read(path string) ([]byte, error)
	// List returns the names in a directory.
	List(path string) ([]string, error)
}

// Change is what a plan does to one path. Each path stands in one Change.
type Change struct {
	Path   string
	From   string // whose content it had, of a renamed or copied file; else empty
	Status Status // Added, Modified, Deleted or TypeChanged
	Kind   Kind   // File or Symlink: what is there afterwards, or what was deleted
	// Mode has the 12 bits that the file shall have: those it had, with the rights to
	// execute as the patch says; 0644 or 0755 of a new one. 0777 of a symlink.
	Mode    uint32
	Content []byte // all of it, or the target; nil of what is deleted
}

// Plan checks a patch against a tree and returns what it changes, in order of paths. A
// rename is two changes, the deleted path and the added one with From. Whoever carries it
// out deletes first, then makes directories and writes; directories that deletes leave
// empty go too, as with git.
//
// Patches of git and plain unified ones are taken, as git-apply(1) does with -p1, without
// fuzz. A hunk that does not fit where it says is looked for elsewhere in the file, but
// only one place may fit; without context it must fit where it says. Old contents of
// binary sections must have the object name of the index line.
//
// Errors name file, hunk and lines. Their kinds: Invalid, what is malformed, contradicts
// itself, leads outside or is beyond the limits; Denied, into .git; Conflict, what does
// not fit the tree, leads through a symlink or is a directory; NotFound, what is to be
// changed is not there; Exists, what is to be added is; Unsupported, combined diffs.
func Plan(patch []byte, tree Tree, limits Limits) ([]Change, error) {
	sections, err := parse(patch, limits)
	if err != nil {
		return nil, err
	}
	p := &planner{
		tree: tree, limits: limits, infos: make(map[string]Info),
		removed: make(map[string]*section), written: make(map[string]*section),
		left: limits.Result, readable: readFactor * limits.Result, comparable: maxCompared,
	}
	for i := range sections {
		if err := p.claim(&sections[i]); err != nil {
			return nil, err
		}
	}
	changes := make(map[string]Change, len(sections))
	for i := range sections {
		if err := p.one(&sections[i], changes); err != nil {
			return nil, err
		}
	}
	return slices.SortedFunc(maps.Values(changes), func(a, b Change) int {
		if a.Path < b.Path {
			return -1
		}
		return 1
	}), nil
}

type planner struct {
	tree    Tree
	limits  Limits
	infos   map[string]Info     // what the tree told
	removed map[string]*section // by the path that goes away: deleted or renamed
	written map[string]*section // by the path that gets a content

	left, readable int64 // bytes that may still be written, and read
	comparable     int   // lines that may still be compared in search of a place
}

// claim notes which paths a section concerns. A path may go away and come once each, but
// not be changed twice: the sections of one patch are all against the old tree.
func (p *planner) claim(s *section) error {
	twice := func(path string, first *section) error {
		return invalid("%s: the sections in lines %d and %d are for the same file", quoteName(path), first.line, s.line)
	}
	if s.isDelete || s.isRename {
		if first := p.removed[s.old]; first != nil {
			return twice(s.old, first)
		}
		if first := p.written[s.old]; first != nil && first.inPlace() {
			return twice(s.old, first)
		}
		p.removed[s.old] = s
	}
	if s.isDelete {
		return nil
	}
	if first := p.written[s.new]; first != nil {
		return twice(s.new, first)
	}
	if first := p.removed[s.new]; first != nil && s.inPlace() {
		return twice(s.new, first)
	}
	p.written[s.new] = s
	return nil
}

func (s *section) inPlace() bool { return !s.isNew && !s.isDelete && !s.isRename && !s.isCopy }

// one plans a section.
func (p *planner) one(s *section, changes map[string]Change) error {
	var source Info
	var before []byte
	if err := p.settle(s); err != nil {
		return err
	}
	if !s.isNew {
		var err error
		if source, before, err = p.source(s); err != nil {
			return err
		}
	}
	if s.isDelete || s.isRename {
		if _, rewritten := p.written[s.old]; !rewritten {
			changes[s.old] = Change{Path: s.old, Status: Deleted, Kind: source.Kind, Mode: source.Mode}
		}
	}
	if s.isDelete {
		after, err := p.apply(s, before)
		if err == nil && len(after) > 0 {
			err = conflict("%s: the patch deletes the file, but would leave some of its content", quoteName(s.old))
		}
		return err
	}
	change, err := p.target(s, source)
	if err != nil {
		return err
	}
	if change.Content, err = p.apply(s, before); err != nil {
		return err
	}
	if change.Kind == Symlink {
		if err := checkTarget(s.new, change.Content); err != nil {
			return err
		}
	}
	changes[s.new] = change
	return nil
}

// settle decides what a plain section leaves open: one that only adds lines to nothing
// makes a new file, whatever it calls the old side.
func (p *planner) settle(s *section) error {
	if !s.plain || !s.inPlace() || len(s.hunks) != 1 || s.hunks[0].oldStart > 0 || s.hunks[0].oldLines > 0 {
		return nil
	}
	info, err := p.lookBelow(s.new)
	s.isNew = err == nil && info.Kind == Absent
	return err
}

// source reads what a section is against.
func (p *planner) source(s *section) (Info, []byte, error) {
	if err := p.checkParents(s.old, false); err != nil {
		return Info{}, nil, err
	}
	info, err := p.lstat(s.old)
	if err != nil {
		return Info{}, nil, err
	}
	name := quoteName(s.old)
	switch want := kindOf(s.oldMode + s.newModeAlone()); {
	case info.Kind == Absent:
		return info, nil, fail(api.NotFound, "", "%s: there is no such file, which the patch changes", name)
	case info.Kind != File && info.Kind != Symlink:
		return info, nil, conflict("%s: the patch is for a file, but a %s is there", name, info.Kind)
	case want != Absent && want != info.Kind:
		return info, nil, conflict("%s: the patch is for a %s, but a %s is there", name, want, info.Kind)
	case s.plain && info.Kind == Symlink:
		return info, nil, conflict("%s: the patch is for a file, but a symlink is there", name)
	case info.Size > p.readable || info.Size > p.limits.Result && !s.isDelete:
		return info, nil, invalid("%s: the file has %d bytes, which is more than a patch may concern", name, info.Size)
	}
	before, err := p.tree.Read(s.old)
	p.readable -= int64(len(before))
	if err != nil {
		return info, nil, fmt.Errorf("read %s: %w", name, err)
	}
	return info, before, nil
}

// newModeAlone is the mode of the new side where only that is told.
func (s *section) newModeAlone() string {
	if s.oldMode == "" {
		return s.newMode
	}
	return ""
}

// target says what will be at the new path, all but the content.
func (p *planner) target(s *section, source Info) (Change, error) {
	was, err := p.lookBelow(s.new)
	if err != nil {
		return Change{}, err
	}
	c := Change{Path: s.new, Status: Added, Kind: source.Kind, Mode: source.Mode}
	_, gone := p.removed[s.new]
	switch {
	case s.inPlace():
		c.Status = Modified
	case was.Kind == Directory:
		if err := p.checkEmptied(s.new, 0); err != nil {
			return c, err
		}
	case was.Kind != Absent && !gone:
		return c, fail(api.Exists, "", "%s: the patch adds it, but it is there", quoteName(s.new))
	}
	if s.isNew {
		c.Kind, c.Mode = File, 0o644
	}
	if s.isCopy || s.isRename {
		c.From = s.old
	}
	if kind := kindOf(s.newMode); kind != Absent {
		c.Kind = kind
		c.Mode = withExec(c.Mode, s.newMode)
	}
	if c.Kind == Symlink {
		c.Mode = 0o777
	}
	if was.Kind == File || was.Kind == Symlink {
		if c.Status = Modified; was.Kind != c.Kind {
			c.Status = TypeChanged
		}
	}
	return c, nil
}

// withExec gives the rights to execute to all who may read, or takes them from all.
func withExec(mode uint32, gitMode string) uint32 {
	if gitMode[3]&1 != 0 { // the owner's
		return mode | mode&0o444>>2
	}
	return mode &^ 0o111
}

func checkTarget(name string, target []byte) error {
	switch {
	case len(target) == 0 || len(target) > maxName:
		return invalid("%s: a symlink with a target of %d bytes", quoteName(name), len(target))
	case slices.Contains(target, 0):
		return invalid("%s: a symlink with NUL in its target", quoteName(name))
	}
	return nil
}

func (p *planner) lstat(at string) (Info, error) {
	if info, known := p.infos[at]; known {
		return info, nil
	}
	info, err := p.tree.Lstat(at)
	if err != nil {
		return info, fmt.Errorf("look at %s: %w", quoteName(at), err)
	}
	p.infos[at] = info
	return info, nil
}

// lookBelow tells what is at a path that is to be written, once what is above it permits.
func (p *planner) lookBelow(at string) (Info, error) {
	if err := p.checkParents(at, true); err != nil {
		return Info{}, err
	}
	for i := range len(at) {
		if at[i] != '/' {
			continue
		}
		if info, err := p.lstat(at[:i]); err != nil || info.Kind != Directory {
			return Info{}, err // nothing can be below it, nor may it be looked for behind a link
		}
	}
	return p.lstat(at)
}

// checkParents refuses a path that leads through something that is no directory. What is
// to be written may have above it what goes away, and what is not there yet.
func (p *planner) checkParents(at string, writing bool) error {
	for i := range len(at) {
		if at[i] != '/' {
			continue
		}
		above := at[:i]
		if made := p.written[above]; writing && made != nil {
			return conflict("%s: %s above it is made a file by the patch (line %d)", quoteName(at), quoteName(above), made.line)
		}
		info, err := p.lstat(above)
		if err != nil {
			return err
		}
		_, gone := p.removed[above]
		switch {
		case info.Kind == Directory:
		case info.Kind == Absent && writing, gone && writing:
			return p.checkNotMade(at, i+1)
		case info.Kind == Absent:
			return fail(api.NotFound, "", "%s: there is no such file, which the patch changes", quoteName(at))
		case info.Kind == Symlink:
			return conflict("%s: %s above it is a symlink", quoteName(at), quoteName(above))
		default:
			return conflict("%s: %s above it is a %s, not a directory", quoteName(at), quoteName(above), info.Kind)
		}
	}
	return nil
}

// checkNotMade looks at the rest of the way, where the tree has nothing.
func (p *planner) checkNotMade(at string, from int) error {
	for i := from; i < len(at); i++ {
		if made := p.written[at[:i]]; at[i] == '/' && made != nil {
			return conflict("%s: %s above it is made a file by the patch (line %d)", quoteName(at), quoteName(at[:i]), made.line)
		}
	}
	return nil
}

// maxDepth bounds the way down into directories that a file shall replace.
const maxDepth = 256

// checkEmptied refuses to put a file in the place of a directory, unless the patch takes
// away all that is in it. Empty directories give way, as with git: no patch can tell them.
func (p *planner) checkEmptied(dir string, depth int) error {
	names, err := p.tree.List(dir)
	if err != nil {
		return fmt.Errorf("list %s: %w", quoteName(dir), err)
	}
	for _, name := range names {
		at := dir + "/" + name
		if _, gone := p.removed[at]; gone && p.written[at] == nil {
			continue
		}
		info, err := p.lstat(at)
		if err != nil {
			return err
		}
		if info.Kind != Directory || depth == maxDepth {
			return fail(api.Exists, "", "%s: it is a directory that holds %s, which stays", quoteName(dir), quoteName(name))
		}
		if err := p.checkEmptied(at, depth+1); err != nil {
			return err
		}
	}
	return nil
}
