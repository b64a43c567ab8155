package applyback

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/archive"
	"github.com/pyro-sandbox/pyro/internal/autorun"
)

// Plan is what is to be done, and what is told of it.
type Plan struct {
	Result api.Apply // without what the caller alone knows

	todo  []task          // by path
	gone  map[string]bool // paths at which nothing will be, or a directory
	comes map[string]bool // directories that are to be there: empty, or with something that comes into them
}

// task is one change that is to be made.
type task struct {
	*Change
	now    *State // what is there; nil: nothing
	info   archive.Info
	staged string // in the area: what comes; "" where nothing does, or a directory
	fresh  id     // of that
}

// refusal is why one path cannot be changed.
type refusal struct{ path, why string }

// maxNamed is how many paths an error names.
const maxNamed = 20

// Plan compares the directory with what it was when the workspace was seeded with it. It
// writes to the area only. The error of a directory that has moved on is api.Conflict and
// names the paths; that of files that would run by themselves api.Denied, unless they are
// allowed. See also ErrBases.
func (a *Area) Plan(ctx context.Context, allowAutorun bool) (*Plan, error) {
	p := &Plan{gone: make(map[string]bool), comes: make(map[string]bool)}
	p.Result.Entries, p.Result.Warnings = []api.ApplyEntry{}, []string{}
	slices.SortStableFunc(a.changes, func(x, y Change) int { return strings.Compare(x.Path, y.Path) })
	changes, refused := p.allowed(a.changes, allowAutorun)
	if err := refusals(api.Denied, "these would run by themselves here, and nothing was changed", "look at them with `pyro workspace diff`; what would run by itself needs --allow-autorun", refused); err != nil {
		return nil, err
	}
	for i := range changes {
		p.expect(&changes[i])
	}
	var movedOn []refusal
	for i := range changes {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		why, err := a.plan(ctx, p, &changes[i], &p.Result.Entries[i])
		if err != nil {
			return nil, errors.Join(err, a.drop(p))
		}
		if why != "" {
			movedOn = append(movedOn, refusal{changes[i].Path, why})
		}
	}
	return p, refusals(api.Conflict, "the directory has moved on, and nothing was changed", "apply to a copy of what the workspace was seeded with, or bring the rest in with `pyro workspace diff --patch`", movedOn)
}

// drop removes what was staged for a plan that will not be.
func (a *Area) drop(p *Plan) error {
	var errs []error
	for _, t := range p.todo {
		if t.staged != "" {
			errs = append(errs, a.own.Remove(t.staged))
		}
	}
	return errors.Join(errs...)
}

// expect notes what a change means for other paths.
func (p *Plan) expect(c *Change) {
	if c.New == nil || c.New.Kind == archive.KindDirectory {
		p.gone[c.Path] = true
	}
	if isDir(c.New) {
		p.comes[c.Path] = true
	}
	for above := path.Dir(c.Path); c.New != nil && above != "." && !p.comes[above]; above = path.Dir(above) {
		p.comes[above] = true
	}
}

// refusals is one error about many paths.
func refusals(kind api.Kind, what, hint string, refused []refusal) error {
	if len(refused) == 0 {
		return nil
	}
	var named []string
	for i, r := range refused {
		if i == maxNamed {
			named = append(named, fmt.Sprintf("and %d more", len(refused)-i))
			break
		}
		named = append(named, quoted(r.path)+" ("+r.why+")")
	}
	return &api.Error{Kind: kind, Hint: hint, Err: fmt.Errorf("%s: %s", what, strings.Join(named, ", "))}
}

// quoted is a name as it is, if that can be read.
func quoted(name string) string {
	if q := strconv.Quote(name); q != `"`+name+`"` {
		return q
	}
	return name
}

// allowed leaves out what is git's own, and finds what may not be applied at all.
func (p *Plan) allowed(all []Change, allowAutorun bool) (changes []Change, refused []refusal) {
	git := 0
	for _, c := range all {
		switch why := unfit(c.Path); {
		case why == ownGit:
			git++
			continue
		case why != "":
			refused = append(refused, refusal{c.Path, why})
			continue
		}
		e := c.entry()
		if why, flagged := reason(&c); flagged && c.New != nil {
			e.Flagged = &why
			if !allowAutorun {
				refused = append(refused, refusal{c.Path, why})
			}
		}
		changes = append(changes, c)
		p.Result.Entries = append(p.Result.Entries, e)
	}
	if git > 0 {
		p.warn("what changed in a .git is left out (%d): what was committed in the workspace comes as changes of files", git)
	}
	return changes, refused
}

// reason says why a file would run by itself on this machine.
func reason(c *Change) (why string, flagged bool) {
	if why, flagged := autorun.Reason(c.Path); flagged {
		return why, true
	}
	return c.Autorun, c.Autorun != ""
}

func (p *Plan) warn(format string, args ...any) {
	p.Result.Warnings = append(p.Result.Warnings, fmt.Sprintf(format, args...))
}

const ownGit = "it belongs to git"

// unfit says why a path is not to be written, whatever stands there.
func unfit(name string) string {
	for i, part := range strings.Split(name, "/") {
		switch {
		case part == ".git":
			return ownGit
		case archive.IsGit(part):
			return "some file systems take it for .git"
		case part == "" || part == "." || part == ".." || len(part) > 255 || strings.ContainsRune(part, 0):
			return "no file can be called that"
		case i == 0 && strings.HasPrefix(part, areaPrefix):
			return "it is called as what pyro puts there itself"
		}
	}
	return ""
}

// plan decides about one change. why it cannot be made is not an error.
func (a *Area) plan(ctx context.Context, p *Plan, c *Change, entry *api.ApplyEntry) (why string, err error) {
	now, info, err := a.look(c.Path)
	if blocked(err) {
		if c.New != nil && !p.leads(c.Path, a) {
			return "a link or a file stands on the way", nil
		}
		now, err = nil, nil // where nothing is, nothing has to go
	}
	if err != nil {
		return "", err
	}
	t := task{Change: c, now: now, info: info}
	switch {
	case c.done(now), c.New == nil && isDir(now) && p.comes[c.Path]:
		entry.Already = true
	case c.New == nil && isDir(now) && now.is(c.Old) && !a.empties(p, c.Path):
		entry.Already = true
		p.warn("%s stays: there is something in it here", quoted(c.Path))
	case isDir(now) && (c.Old == nil || isDir(c.Old)) && a.empties(p, c.Path), !isDir(now) && now.is(c.Old):
		if err := a.stage(&t); err != nil {
			return "", err
		}
		p.todo = append(p.todo, t)
	default:
		merged, why, err := a.merge(ctx, &t)
		if err != nil || why != "" {
			return why, err
		}
		entry.Merged, entry.Already = merged, !merged
		if merged {
			p.todo = append(p.todo, t)
		}
	}
	p.count(entry)
	return "", nil
}

func isDir(s *State) bool { return s != nil && s.Kind == archive.KindDirectory }

// count counts an entry.
func (p *Plan) count(e *api.ApplyEntry) {
	s := &p.Result.Summary
	s.Total++
	if e.Already {
		s.Already++
		return
	}
	p.Result.Changed = true
	if e.Merged {
		s.Merged++
	}
	switch e.Status {
	case api.DiffAdded:
		s.Added++
	case api.DiffModified:
		s.Modified++
	case api.DiffDeleted:
		s.Deleted++
	case api.DiffTypeChanged:
		s.TypeChanged++
	}
}

// done reports whether there is what is to be.
func (c *Change) done(now *State) bool {
	if c.onlyModes() {
		return now.is(c.New) && now.Mode&0o777 == c.New.Mode&0o777
	}
	return now.is(c.New)
}

// blocked knows the errors of a path that leads over what is no directory.
func blocked(err error) bool {
	return errors.Is(err, archive.ErrSymlink) || archive.IsNotDirectory(err)
}

// leads reports whether what stands on the way to a path will be taken away.
func (p *Plan) leads(name string, a *Area) bool {
	for above := path.Dir(name); above != "."; above = path.Dir(above) {
		info, err := a.root.Stat(above)
		if err == nil && info.Kind != archive.KindDirectory {
			return p.gone[above]
		}
	}
	return false
}

// empties reports whether nothing will be left in a directory.
func (a *Area) empties(p *Plan, dir string) bool {
	infos, err := a.root.ReadDir(dir, maxListed)
	if err != nil {
		return false
	}
	for _, info := range infos {
		name := dir + "/" + info.Name
		if p.gone[name] {
			continue
		}
		if info.Kind != archive.KindDirectory || !a.full(name) || !a.empties(p, name) {
			return false
		}
	}
	return true
}

// full reports whether there is something in a directory.
func (a *Area) full(dir string) bool {
	infos, err := a.root.ReadDir(dir, maxListed)
	return err != nil || len(infos) > 0
}

// maxListed is how many names a directory may have that is to be emptied.
const maxListed = 1_000_000

// look tells what stands at a path.
func (a *Area) look(name string) (*State, archive.Info, error) {
	info, err := a.root.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, info, nil
	}
	if err != nil {
		return nil, info, err
	}
	s := &State{Kind: info.Kind, Mode: info.Bits, Size: info.Size}
	switch info.Kind {
	case archive.KindFile:
		s.SHA256, err = a.digest(name)
	case archive.KindSymlink:
		s.Target, err = a.root.Readlink(name)
	}
	return s, info, err
}

func (a *Area) digest(name string) (sum [sha256.Size]byte, err error) {
	f, err := a.root.Open(name, os.O_RDONLY, 0)
	if err != nil {
		return sum, err
	}
	defer func() { _ = f.Close() }()
	h := sha256.New()
	if _, err := io.CopyBuffer(struct{ io.Writer }{h}, struct{ io.Reader }{f}, a.buf); err != nil {
		return sum, err
	}
	return [sha256.Size]byte(h.Sum(nil)), nil
}

// stage makes what is to come, in the area, unless it will not come.
func (a *Area) stage(t *task) (err error) {
	switch {
	case a.trial != nil:
	case t.New == nil || t.New.Kind == archive.KindDirectory:
	case t.New.Kind == archive.KindSymlink:
		t.staged = a.newName("link")
		if err = a.own.Symlink(t.New.Target, t.staged); err == nil {
			t.fresh, _, err = look(a.own, t.staged)
		}
	case t.content.kept:
		t.staged = a.newName("new")
		t.fresh, err = a.make(t.staged, t.content, a.modeOf(t), t.heirOf())
	case t.now == nil:
		err = errors.New("a change has no content")
	default: // the mode alone is another
		t.staged = a.newName("copy")
		t.fresh, err = a.copy(t.Path, t.staged, a.modeOf(t), t.heirOf())
	}
	return err
}

// newName is a new name in the area, for something.
func (a *Area) newName(what string) string { a.made++; return what + "-" + strconv.Itoa(a.made) }

// modeOf is the mode that a file is made with. A new one gets what the umask allows.
func (a *Area) modeOf(t *task) fs.FileMode {
	mode := t.modeFrom(t.now)
	if t.now == nil || t.now.Kind != archive.KindFile {
		mode &^= a.umask
	}
	return fs.FileMode(mode)
}

// copy copies a file of the directory into the area.
func (a *Area) copy(from, name string, mode fs.FileMode, h heir) (id, error) {
	in, err := a.root.Open(from, os.O_RDONLY, 0)
	if err != nil {
		return id{}, err
	}
	defer func() { _ = in.Close() }()
	return a.fill(name, in, mode, h)
}
