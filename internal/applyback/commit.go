package applyback

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/archive"
	"github.com/pyro-sandbox/pyro/internal/fault"
)

// Commit does what was planned. Where a step fails, those before it are taken back.
func (a *Area) Commit(ctx context.Context, p *Plan) error {
	if len(p.todo) == 0 {
		return nil
	}
	steps, err := a.steps(p)
	if err != nil {
		return err
	}
	fault.Hit("apply-staged")
	if err := a.journal.write(notes{Area: a.name, Ready: true, Steps: steps}); err != nil {
		return err
	}
	fault.Hit("apply-journaled")
	for i := range steps {
		err := context.Cause(ctx)
		if err == nil {
			err = a.do(p, &steps[i])
		}
		if err == nil {
			err = fault.Error("apply-step")
		}
		if err != nil {
			return a.giveUp(steps, err)
		}
		fault.Hit("apply-stepped")
	}
	if err := a.journal.write(notes{Area: a.name, Ready: true, Done: true}); err != nil {
		return a.giveUp(steps, err)
	}
	fault.Hit("apply-done")
	return nil
}

// giveUp takes back what was done.
func (a *Area) giveUp(steps []step, because error) error {
	if err := undo(a.root, a.name, steps); err != nil {
		name, journal := a.name, a.journal.path
		a.abandon()
		return &api.Error{
			Kind: api.Conflict, Hint: fmt.Sprintf("what was there lies in %s/%s; bring back what you need, then remove it and %s", a.dir, name, journal),
			Err: fmt.Errorf("%w; and what was done cannot be taken back: %w", because, err),
		}
	}
	return errors.Join(because, a.journal.begin(a.name))
}

// abandon leaves the area and its journal for people to look at.
func (a *Area) abandon() {
	_ = a.journal.lock.Unlock()
	a.journal, a.place = nil, nil
}

// steps puts the renames in an order in which each can be done: first goes what goes, the
// deepest first, then comes what comes.
func (a *Area) steps(p *Plan) ([]step, error) {
	var going, coming []step
	parents := make(map[string]bool) // directories that something comes into
	for i := range p.todo {
		t := &p.todo[i]
		if t.New != nil {
			for above := path.Dir(t.Path); above != "." && !parents[above]; above = path.Dir(above) {
				parents[above] = true
			}
		}
		gone, come := a.stepsOf(t, i)
		if gone != nil {
			going = append(going, *gone)
		}
		if come != nil {
			coming = append(coming, *come)
		}
	}
	going = append(going, a.prune(p, going)...)
	slices.SortStableFunc(going, func(x, y step) int { return strings.Compare(string(y.Path), string(x.Path)) })
	missing, err := a.missing(p, parents)
	if err != nil {
		return nil, err
	}
	coming = append(missing, coming...)
	slices.SortStableFunc(coming, func(x, y step) int {
		return cmp.Or(cmp.Compare(x.Do.rank(), y.Do.rank()), strings.Compare(string(x.Path), string(y.Path)))
	})
	return append(going, coming...), nil
}

// rank is where among what comes a step has its place: directories first.
func (a action) rank() int {
	if a == mkdir {
		return 0
	}
	return 1
}

// stepsOf are the steps of one task.
func (a *Area) stepsOf(t *task, i int) (going, coming *step) {
	name := []byte(t.Path)
	if t.staged != "" {
		coming = &step{Do: create, Path: name, Staged: t.staged, Fresh: t.fresh}
	} else if t.New != nil {
		coming = &step{Do: mkdir, Path: name, Mode: t.New.Mode & 0o777 &^ a.umask}
	}
	switch {
	case t.now == nil:
	case t.now.Kind == archive.KindDirectory:
		going = &step{Do: rmdir, Path: name, Mode: t.now.Mode & 0o777}
	case coming != nil && coming.Do == create:
		coming.Do, coming.Former = replace, idOf(t.info)
	default:
		going = &step{Do: remove, Path: name, Staged: fmt.Sprintf("gone-%d", i), Former: idOf(t.info)}
	}
	return going, coming
}

// prune finds the directories that will be empty because of what goes, and that nothing
// comes into: git keeps none of those either.
func (a *Area) prune(p *Plan, going []step) []step {
	gone, losing := make(map[string]bool), make(map[string]bool)
	for _, s := range going {
		gone[string(s.Path)] = true
		losing[path.Dir(string(s.Path))] = true
	}
	var pruned []step
	for len(losing) > 0 {
		next := make(map[string]bool)
		for dir := range losing {
			info, err := a.root.Stat(dir)
			if dir == "." || p.comes[dir] || gone[dir] || err != nil || !a.leftEmpty(dir, gone) {
				continue
			}
			gone[dir] = true
			pruned = append(pruned, step{Do: rmdir, Path: []byte(dir), Mode: info.Bits & 0o777})
			next[path.Dir(dir)] = true
		}
		losing = next
	}
	return pruned
}

func (a *Area) leftEmpty(dir string, gone map[string]bool) bool {
	infos, err := a.root.ReadDir(dir, maxListed)
	if err != nil {
		return false
	}
	return !slices.ContainsFunc(infos, func(info archive.Info) bool { return !gone[dir+"/"+info.Name] })
}

// missing are the directories that have to be made for what comes.
func (a *Area) missing(p *Plan, parents map[string]bool) ([]step, error) {
	made := make(map[string]bool)
	for i := range p.todo {
		if t := &p.todo[i]; t.New != nil && t.staged == "" {
			made[t.Path] = true
		}
	}
	var steps []step
	for dir := range parents {
		info, err := a.root.Stat(dir)
		switch {
		case made[dir] || err == nil && info.Kind == archive.KindDirectory:
		case err == nil, errors.Is(err, fs.ErrNotExist), blocked(err): // what stands there goes before
			steps = append(steps, step{Do: mkdir, Path: []byte(dir), Mode: 0o777 &^ a.umask})
		default:
			return nil, err
		}
	}
	return steps, nil
}

// do does one step, and makes sure that it was done to what was looked at. A step that was
// done to something else is undone: the journal does not know that thing.
func (a *Area) do(p *Plan, s *step) error {
	name, staged := string(s.Path), a.in(s.Staged)
	switch s.Do {
	case mkdir:
		return a.root.Mkdir(name, fs.FileMode(s.Mode))
	case rmdir:
		return a.root.Rmdir(name)
	case create:
		return changedMeanwhile(a.root.RenameNew(staged, name))
	case remove:
		if err := changedMeanwhile(a.root.RenameNew(name, staged)); err != nil {
			return err
		}
		if err := a.same(p, name, staged); err != nil {
			return errors.Join(err, a.root.RenameNew(staged, name))
		}
		return nil
	}
	if err := changedMeanwhile(swap(a.root, staged, name)); err != nil {
		return err
	}
	if err := a.same(p, name, staged); err != nil {
		return errors.Join(err, swapBack(a.root, staged, name))
	}
	return nil
}

// same makes sure that what was taken away is what was compared.
func (a *Area) same(p *Plan, name, staged string) error {
	i, found := slices.BinarySearchFunc(p.todo, name, func(t task, name string) int { return strings.Compare(t.Path, name) })
	if !found {
		return fmt.Errorf("%q is in no plan", name)
	}
	was := p.todo[i].info
	for _, at := range []string{staged, staged + asideSuffix} {
		now, err := a.root.Stat(at)
		if err == nil && idOf(now) == idOf(was) && now.Bits == was.Bits {
			return nil
		}
	}
	return movedMeanwhile(name)
}

func changedMeanwhile(err error) error {
	if errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrNotExist) {
		return &api.Error{Kind: api.Conflict, Hint: "try again when nobody writes there", Err: fmt.Errorf("the directory changed meanwhile: %w", err)}
	}
	return err
}

func movedMeanwhile(name string) error {
	return &api.Error{Kind: api.Conflict, Hint: "try again when nobody writes there", Err: fmt.Errorf("%s changed meanwhile, and nothing was applied", quoted(name))}
}
