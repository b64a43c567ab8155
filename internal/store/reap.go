package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/fault"
	"github.com/pyro-sandbox/pyro/internal/sys"
)

// killWait is how long a killed process may take to end; longer means that the
// kernel is stuck in it.
const killWait = 5 * time.Second

// reapOrder is that in which resources depend on each other: processes hold
// cgroups and files, files belong to user ids.
var reapOrder = [...]Kind{KindProcess, KindCgroup, KindDir, KindFile, KindUID}

// Reap frees what the ledger lists, whoever acquired it: processes, cgroups,
// directories, files, user ids. It knows nothing else, takes what is gone for
// freed, and looks afterwards whether all is; so it can be killed and repeated at
// any point. It frees only what can be this workspace's: a process with another
// start time, what was acquired before a reboot that ended it, and paths outside
// the workspace's own directories are not touched, the last being an error. What
// resists is named in the error, and the ledger is kept.
func (w *Workspace) Reap(ctx context.Context) error {
	if w.trash != "" {
		return nil // Remove came this far, after a Reap
	}
	entries, err := readLedger(w.ledger.path)
	errs := []error{err}
	boot, err := w.store.boot()
	errs = append(errs, err)
	entries = slices.DeleteFunc(entries, func(r Resource) bool { return r.mortal() && r.BootID != boot })
	more, err := w.unlisted()
	errs = append(errs, err)
	entries = append(entries, more...)

	errs = append(errs, w.freeAll(ctx, entries)...)
	fault.Hit("reap-freed")
	if err := errors.Join(errs...); err != nil {
		return &api.Error{Kind: api.Internal, Op: "free what is left of workspace", ID: w.id, Hint: cmp.Or(api.HintOf(err), "try again; what is named there still holds it"), Err: err}
	}
	if err := w.ledger.forget(); err != nil {
		return sys.Explain("empty the ledger of "+w.id, err)
	}
	fault.Hit("reap-forgotten")
	return nil
}

// freeAll frees resources in the order in which they depend on each other.
func (w *Workspace) freeAll(ctx context.Context, list []Resource) []error {
	var errs []error
	for _, kind := range reapOrder {
		for _, r := range slices.Backward(list) {
			if r.Kind == kind {
				errs = append(errs, w.free(ctx, r))
			}
		}
	}
	return errs
}

// unlisted are resources whose place follows from the workspace's id, so that they
// are found even if a power cut took a volatile ledger.
func (w *Workspace) unlisted() ([]Resource, error) {
	list, err := w.uids()
	list = append(list, w.sandboxesBeside()...)
	return append(list,
		Resource{Kind: KindDir, Path: w.store.RunDir(w.id)},
		Resource{Kind: KindDir, Path: w.store.SandboxDir(w.id)},
	), err
}

// free frees one resource and makes sure that it is gone.
func (w *Workspace) free(ctx context.Context, r Resource) error {
	fault.Hit("free-" + string(r.Kind))
	var err error
	switch r.Kind {
	case KindProcess:
		err = endProcess(ctx, sys.Process{PID: r.PID, Start: r.Start})
	case KindCgroup:
		err = removeCgroup(ctx, r.Path, w.id)
	case KindDir, KindFile:
		err = w.freePath(r.Path)
	case KindUID:
		if filepath.Dir(r.Path) != w.store.dirs.UIDs {
			return fmt.Errorf("%v is outside %q and was left alone", r, w.store.dirs.UIDs)
		}
		err = w.freeUID(r.Path)
	}
	fault.Hit("freed-" + string(r.Kind))
	if err != nil {
		return fmt.Errorf("%v: %w", r, err)
	}
	return nil
}

// endProcess kills a process with all that came from it, and waits until it has
// ended. This process itself is none that a sandbox could have left.
func endProcess(ctx context.Context, p sys.Process) error {
	if p.PID == os.Getpid() {
		return nil
	}
	if err := p.KillTree(time.Now().Add(killWait)); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, killWait, errors.New("it was killed but does not end"))
	defer cancel()
	if err := p.Wait(ctx); err != nil {
		return err
	}
	p.Reap()
	return nil
}

// freePath removes a file or tree in one of the workspace's own directories.
func (w *Workspace) freePath(path string) error {
	base, name, err := w.own(path)
	if err != nil {
		return err
	}
	if err := RemoveTree(base, name); err != nil {
		return err
	}
	if _, err := os.Lstat(path); err == nil {
		return errors.New("it was removed but is there again")
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// own parts a path into a directory that only we can change and the rest. It
// refuses what is not the workspace's run directory or one of its sandbox directories or
// something below one of them or below the workspace itself; and there the files that make it one.
func (w *Workspace) own(path string) (base, name string, err error) {
	run := w.store.RunDir(w.id)
	if path == run {
		return filepath.Dir(run), filepath.Base(run), nil
	}
	if rel, ok := strings.CutPrefix(path, run+"/"); ok {
		return run, rel, nil
	}
	if base, name, ok := w.ownsSandbox(path); ok {
		return base, name, nil
	}
	rel, ok := strings.CutPrefix(path, w.Path()+"/")
	if !ok || slices.Contains([]string{lockName, recordName, ledgerName, bootName}, rel) {
		return "", "", errors.New("it is none of the workspace's own and was left alone")
	}
	return w.Path(), rel, nil
}
