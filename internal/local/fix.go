package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/store"
	"github.com/pyro-sandbox/pyro/internal/sys"
	"github.com/pyro-sandbox/pyro/internal/workspace"
)

// remains finds what nobody holds or needs any more, and frees it. Most of that is
// the reaper's business; what is beyond it has no workspace that would lead there.
type remains struct {
	store  *store.Store
	agent  string // the agent of this installation; empty: not known
	copies string // where copies of agents are kept

	uids    func() map[int]bool    // those that processes run as
	mounted func() map[string]bool // names of directories that processes have mounted
}

// leftover is one of them.
type leftover struct {
	what  string
	isOld bool         // a copy of another build's agent: a few of those are not worth a word
	free  func() error // nil: the reaper frees it
}

// fewOld are as many as that: an upgrade leaves one, of some megabytes.
const fewOld = 3

// check says what is left; err is why, where it was to be freed.
func (r *remains) check(left []leftover, err error) api.DoctorCheck {
	const name = "leftovers"
	if err == nil {
		left = worthAWord(left)
	}
	if len(left) == 0 && err == nil {
		return ok(name, "nothing was left over")
	}
	if err != nil {
		return warn(name, api.HintOf(err), "not all could be freed: %v", err)
	}
	return warn(name, "`pyro doctor --fix` frees them", "%s", some(r.inWords(left)))
}

// worthAWord leaves out a few old copies.
func worthAWord(list []leftover) []leftover {
	old := func(l leftover) bool { return l.isOld }
	rest := slices.DeleteFunc(slices.Clone(list), old)
	if len(list)-len(rest) <= fewOld {
		return rest
	}
	return list
}

// inWords counts the old copies, and names all else.
func (r *remains) inWords(list []leftover) []string {
	var words []string
	old := 0
	for _, l := range list {
		if l.isOld {
			old++
		} else {
			words = append(words, l.what)
		}
	}
	if old > 0 {
		words = append(words, fmt.Sprintf("copies of other builds' agents in %s (%d)", r.copies, old))
	}
	return words
}

// fix frees what find finds and looks again: fixed is what is really gone.
func (r *remains) fix(ctx context.Context) (fixed []string, left []leftover, err error) {
	before := r.find()
	errs := []error{workspace.Sweep(ctx, r.store)}
	for _, l := range before {
		if l.free != nil && ctx.Err() == nil {
			errs = append(errs, l.free())
		}
	}
	left = r.find()
	gone := slices.DeleteFunc(before, func(l leftover) bool {
		return slices.ContainsFunc(left, func(still leftover) bool { return still.what == l.what })
	})
	return r.inWords(gone), left, errors.Join(errs...)
}

func (r *remains) find() []leftover {
	return slices.Concat(r.lost(), r.trash(), r.strays(), r.staleUIDs(), r.oldAgents())
}

// lost are workspaces whose supervisor was killed, and those whose making was.
func (r *remains) lost() []leftover {
	var found []leftover
	ids, _ := r.store.IDs() // the check of workspaces says why not
	for _, id := range ids {
		if what := r.lostHow(id); what != "" {
			found = append(found, leftover{what: what})
		}
	}
	return found
}

// lostHow says what a workspace was that says it runs, and does not. The record is
// read before and after the lock is looked at: it may start or end meanwhile.
func (r *remains) lostHow(id string) string {
	if r.unsettled(id) == "" {
		return ""
	}
	if held, err := r.store.Running(id); err != nil || held {
		return ""
	}
	return r.unsettled(id)
}

// unsettled is what a workspace would be if nobody held it, and "" if it may be so.
func (r *remains) unsettled(id string) string {
	record, err := workspace.Read(r.store, id)
	switch {
	case errors.Is(err, api.NotFound):
		return "workspace " + id + ", which was never finished"
	case err != nil || record.State == api.StateStopped:
		return ""
	case record.Kind == workspace.KindRun:
		return "one-shot sandbox " + id
	default:
		return "sandbox of workspace " + id + ", whose supervisor was killed"
	}
}

// trash is what a killed delete or create left; what is locked belongs to one that
// is at work.
func (r *remains) trash() []leftover {
	dir := filepath.Join(r.store.Dirs().State, "trash")
	n := 0
	for _, e := range entries(dir) {
		if held, err := sys.Locked(filepath.Join(dir, e.Name(), "lock")); err != nil || !held {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	return []leftover{{what: fmt.Sprintf("what killed commands left in %s (%d)", dir, n)}}
}

// strays are run and sandbox directories of workspaces that do not exist. They are
// listed before the workspaces are looked for: those are there before they have any.
func (r *remains) strays() []leftover {
	dirs := r.store.Dirs()
	var found []leftover
	for _, base := range []string{dirs.Run, dirs.Sandbox} {
		if base == "" {
			continue
		}
		for _, e := range entries(base) {
			id := store.OwnerOf(e.Name())
			if id == "" || !e.IsDir() || r.exists(id) || answers(filepath.Join(dirs.Run, id)) {
				continue
			}
			found = append(found, leftover{
				what: "directory " + filepath.Join(base, e.Name()) + ", whose workspace is gone",
				free: func() error { return store.RemoveTree(base, e.Name()) },
			})
		}
	}
	return found
}

func (r *remains) exists(id string) bool {
	_, err := r.store.Running(id)
	return !errors.Is(err, api.NotFound)
}

// answerTime is more than a local process needs to accept a connection.
const answerTime = time.Second

// answers reports whether a supervisor still serves in a run directory, though its
// records were removed behind its back.
func answers(run string) bool {
	conn, err := net.DialTimeout("unix", filepath.Join(run, store.ControlSocket), answerTime)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

// staleUIDs are user ids given to a sandbox of which nothing is left: no workspace
// in whatever state directory it was, and no process.
func (r *remains) staleUIDs() []leftover {
	dir := r.store.Dirs().UIDs
	if dir == "" {
		return nil
	}
	var found []leftover
	list := entries(dir)
	if len(list) == 0 {
		return nil
	}
	used := r.uids()
	for _, e := range list {
		path := filepath.Join(dir, e.Name())
		uid, err := strconv.Atoi(e.Name())
		if err != nil || used[uid] || !isDangling(path) {
			continue
		}
		found = append(found, leftover{what: "user id " + e.Name() + ", whose workspace is gone", free: func() error {
			if !isDangling(path) {
				return nil // freed and given to another meanwhile
			}
			return os.Remove(path)
		}})
	}
	return found
}

// isDangling reports whether an entry names a workspace that does not exist.
func isDangling(path string) bool {
	owner, err := os.Readlink(path)
	if err != nil || !filepath.IsAbs(owner) || api.CheckID(filepath.Base(owner)) != nil {
		return false
	}
	_, err = os.Lstat(owner)
	return errors.Is(err, fs.ErrNotExist)
}

// usedUIDs are the users of all processes that can be seen.
func usedUIDs() map[int]bool {
	used := make(map[int]bool)
	for _, e := range entries("/proc") {
		if _, err := strconv.Atoi(e.Name()); err != nil {
			continue
		}
		if info, err := e.Info(); err == nil {
			used[sys.Owner(info)] = true
		}
	}
	return used
}

// entries lists a directory; one that cannot be read is empty.
func entries(dir string) []fs.DirEntry {
	list, _ := os.ReadDir(dir)
	return list
}
