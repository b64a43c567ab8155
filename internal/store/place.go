package store

import (
	"path/filepath"
	"strconv"
	"strings"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/fault"
)

// Place names what a sandbox of a workspace has on the host. There may be several
// sandboxes of one workspace at a time; each has a number, and the first is 0.
type Place struct {
	Name    string // for the engine, and of its cgroup
	Run     string // a directory for sockets, short
	Sandbox string // what the sandbox opens by path
}

// Place is that of a workspace's sandbox with that number.
func (s *Store) Place(id string, number int) Place {
	if number == 0 {
		return Place{Name: id, Run: s.RunDir(id), Sandbox: s.SandboxDir(id)}
	}
	n := strconv.Itoa(number)
	return Place{
		Name: id + placeMark + n, Run: filepath.Join(s.RunDir(id), n), Sandbox: s.SandboxDir(id) + placeMark + n,
	}
}

// placeMark parts a workspace's id from the number of a further sandbox.
const placeMark = "-"

// OwnerOf returns the id of the workspace to which a directory or cgroup of that name
// belongs; "" if the name is of neither form.
func OwnerOf(name string) string {
	id, number, further := strings.Cut(name, placeMark)
	if n, err := strconv.Atoi(number); further && (err != nil || n < 1 || strconv.Itoa(n) != number) {
		return ""
	}
	if api.CheckID(id) != nil {
		return ""
	}
	return id
}

// makeRun makes the run directory of a place. That of number 0 is the workspace's own,
// which stays when the sandbox goes.
func (p *Part) makeRun() error {
	if p.number == 0 {
		_, err := p.w.MakeRunDir()
		return err
	}
	dir := p.Place().Run
	if err := p.Acquire(Resource{Kind: KindDir, Path: dir}); err != nil {
		return err
	}
	fault.Hit("second-dir-before")
	if err := MakeDir(dir, sharedMode()); err != nil {
		return err
	}
	fault.Hit("second-dir-after")
	return nil
}

// sandboxesBeside are the directories of further sandboxes, wherever they lie.
func (w *Workspace) sandboxesBeside() []Resource {
	if w.store.dirs.Sandbox == "" {
		return nil // they are in the workspace's directory
	}
	var list []Resource
	found, _ := filepath.Glob(w.store.SandboxDir(w.id) + placeMark + "*") // the pattern is well-formed
	for _, path := range found {
		if OwnerOf(filepath.Base(path)) == w.id {
			list = append(list, Resource{Kind: KindDir, Path: path})
		}
	}
	return list
}

// ownsSandbox parts the path of something in one of the workspace's sandbox
// directories, or of one of these itself, into a directory that only we can change and
// the rest.
func (w *Workspace) ownsSandbox(path string) (base, name string, ok bool) {
	first := w.store.SandboxDir(w.id)
	above := filepath.Dir(first)
	rel, below := strings.CutPrefix(path, above+"/")
	dir, rest, deeper := strings.Cut(rel, "/")
	number, further := strings.CutPrefix(dir, filepath.Base(first)+placeMark)
	if !below || dir != filepath.Base(first) && !(further && isNumber(number)) {
		return "", "", false
	}
	if !deeper {
		return above, dir, true
	}
	return filepath.Join(above, dir), rest, true
}

func isNumber(text string) bool {
	n, err := strconv.Atoi(text)
	return err == nil && n > 0 && strconv.Itoa(n) == text
}
