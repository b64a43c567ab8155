package local

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/engine"
	"github.com/pyro-sandbox/pyro/internal/store"
	"github.com/pyro-sandbox/pyro/internal/workspace"
)

// yard is a store of its own for leftovers, with its own place for user ids, which
// only root has otherwise, and for copies of agents.
func yard(t *testing.T) *remains {
	t.Helper()
	lib := alone(t)
	dirs, err := store.FindDirs(os.Getenv, os.Geteuid())
	if err != nil {
		t.Fatal(err)
	}
	dirs.UIDs = filepath.Join(filepath.Dir(lib), "u")
	st, err := store.Open(dirs)
	if err != nil {
		t.Fatal(err)
	}
	return &remains{
		store: st, agent: program755(t, filepath.Join(lib, "pyro-agent"), "this build"), copies: filepath.Join(dirs.Cache, "agent"),
		uids: func() map[int]bool { return nil }, mounted: func() map[string]bool { return map[string]bool{} },
	}
}

func (r *remains) plant(t *testing.T, paths ...string) {
	t.Helper()
	for _, path := range paths {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("left"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func (r *remains) workspace(t *testing.T, id string, kind workspace.Kind, state api.State) *store.Workspace {
	t.Helper()
	held, err := r.store.Create(id)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = held.Unlock() })
	record := workspace.NewRecord(id, workspace.Launch{Kind: kind, Request: api.CreateRequest{Environment: "host", TTLSeconds: 600}}, engine.Info{Name: "fake"}, time.Now())
	record.State = state
	if err := workspace.Write(held, record); err != nil {
		t.Fatal(err)
	}
	return held
}

// killed is a workspace whose supervisor is gone, with what it had.
func (r *remains) killed(t *testing.T, id string, kind workspace.Kind) {
	t.Helper()
	held := r.workspace(t, id, kind, api.StateStarted)
	if _, err := held.MakeRunDir(); err != nil {
		t.Fatal(err)
	}
	if err := held.Unlock(); err != nil {
		t.Fatal(err)
	}
}

func words(list []leftover) []string {
	all := []string{}
	for _, l := range list {
		all = append(all, l.what)
	}
	return all
}

func TestFixFreesWhatWasLeft(t *testing.T) {
	r := yard(t)
	dirs := r.store.Dirs()
	r.killed(t, "00000000000a", workspace.KindWorkspace)
	r.killed(t, "00000000000b", workspace.KindRun)
	unfinished, err := r.store.Create("00000000000c")
	if err != nil {
		t.Fatal(err)
	}
	if err := unfinished.Unlock(); err != nil {
		t.Fatal(err)
	}
	stray, trash := filepath.Join(dirs.Run, "00000000000d"), filepath.Join(dirs.State, "trash", "00000000000e-X")
	uid := filepath.Join(dirs.UIDs, "2013265920")
	r.plant(t, filepath.Join(stray, "runsc", "state"), filepath.Join(trash, "disk", "f"))
	if err := os.Symlink(filepath.Join(dirs.State, "workspaces", "00000000000f"), uid); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"sandbox of workspace 00000000000a, whose supervisor was killed", "one-shot sandbox 00000000000b",
		"workspace 00000000000c, which was never finished", "what killed commands left in " + filepath.Join(dirs.State, "trash") + " (1)",
		"directory " + stray + ", whose workspace is gone", "user id 2013265920, whose workspace is gone",
	}
	if diff := cmp.Diff(want, words(r.find())); diff != "" {
		t.Fatalf("found (-want +got):\n%s", diff)
	}
	if c := r.check(r.find(), nil); c.Result != api.CheckWarn || !strings.Contains(*c.NextStep, "--fix") {
		t.Errorf("%+v", c)
	}
	fixed, left, err := r.fix(t.Context())
	if err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", words(left), err)
	}
	if diff := cmp.Diff(want, fixed); diff != "" {
		t.Errorf("fixed (-want +got):\n%s", diff)
	}
	for _, path := range []string{stray, trash, uid, unfinished.Path(), r.store.RunDir("00000000000a")} {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still there: %v", path, err)
		}
	}
	record, err := workspace.Read(r.store, "00000000000a")
	if err != nil || record.State != api.StateStopped {
		t.Errorf("the workspace itself: %+v, %v", record, err)
	}
	again, left, err := r.fix(t.Context())
	if len(again) > 0 || len(left) > 0 || err != nil {
		t.Errorf("a second time: fixed %v, left %v, %v", again, words(left), err)
	}
	if c := r.check(left, err); c.Result != api.CheckOK {
		t.Errorf("%+v", c)
	}
}

func TestFixTouchesNothingElse(t *testing.T) {
	r := yard(t)
	dirs := r.store.Dirs()
	running := r.workspace(t, "00000000000a", workspace.KindWorkspace, api.StateStarted)
	run, err := running.MakeRunDir()
	if err != nil {
		t.Fatal(err)
	}
	stopped := r.workspace(t, "00000000000b", workspace.KindWorkspace, api.StateStopped)
	broken := r.workspace(t, "00000000000c", workspace.KindWorkspace, api.StateStarted)
	if err := errors.Join(stopped.Unlock(), broken.Unlock(), os.WriteFile(filepath.Join(broken.Path(), "record.json"), []byte("?"), 0o600)); err != nil {
		t.Fatal(err)
	}
	foreign := filepath.Join(dirs.Run, "somebody", "f")
	file := filepath.Join(dirs.Run, "00000000000d") // no directory
	copied := filepath.Join(r.copies, "1-2-3", "pyro-agent")
	r.plant(t, foreign, file, copied)
	r.age(t, "1-2-3")
	links := map[string]string{ // none of them is a dead workspace's
		"2013265921": running.Path(), "2013265922": filepath.Join(dirs.State, "workspaces", "not-an-id"),
		"2013265923": "workspaces/00000000000f", "name": filepath.Join(dirs.State, "workspaces", "00000000000f"),
		"2013265924": filepath.Join(dirs.State, "workspaces", "00000000000f"),
	}
	for name, target := range links {
		if err := os.Symlink(target, filepath.Join(dirs.UIDs, name)); err != nil {
			t.Fatal(err)
		}
	}
	r.uids = func() map[int]bool { return map[int]bool{2013265924: true} } // a process of it lives
	fixed, left, err := r.fix(t.Context())
	if len(fixed) > 0 || len(left) > 0 || err != nil {
		t.Errorf("fixed %v, left %v, %v", fixed, words(left), err)
	}
	paths := []string{run, stopped.Path(), broken.Path(), foreign, file, copied}
	for name := range links {
		paths = append(paths, filepath.Join(dirs.UIDs, name))
	}
	for _, path := range paths {
		if _, err := os.Lstat(path); err != nil {
			t.Error(err)
		}
	}
}

// TestFixLeavesALiveSupervisor whose records somebody removed.
func TestFixLeavesALiveSupervisor(t *testing.T) {
	r := yard(t)
	run := filepath.Join(r.store.Dirs().Run, "00000000000a")
	if err := os.Mkdir(run, 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(run, "control.sock"))
	if err != nil {
		t.Fatal(err)
	}
	if found := r.find(); len(found) > 0 {
		t.Errorf("found %v", words(found))
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	_ = l.Close()
	if found := r.find(); len(found) != 1 {
		t.Errorf("after its death: %v", words(found))
	}
}

// age makes copies of agents look as if nobody had used them for long.
func (r *remains) age(t *testing.T, names ...string) {
	t.Helper()
	long := time.Now().Add(-2 * copyTime)
	for _, name := range names {
		if err := os.Chtimes(filepath.Join(r.copies, name), long, long); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOldAgents(t *testing.T) {
	r := yard(t)
	const mine, used, made = "a-1-1", "a-2-2", ".new-now"
	for _, name := range []string{mine, used, "b-1-1", "b-2-2", "b-3-3", "not-a-copy", "x", made, ".new-then"} {
		r.plant(t, filepath.Join(r.copies, name, "pyro-agent"))
	}
	program755(t, filepath.Join(r.copies, mine, "pyro-agent"), "this build")
	r.plant(t, filepath.Join(r.copies, "c-1-1", "pyro-agent")) // by another store, just now
	r.age(t, mine, used, "b-1-1", "b-2-2", "b-3-3", "not-a-copy", "x", ".new-then")
	r.mounted = func() map[string]bool { return map[string]bool{used: true} }
	if c := r.check(r.find(), nil); c.Result != api.CheckWarn || c.Reason != "copies of other builds' agents in "+r.copies+" (4)" {
		t.Errorf("%+v", c)
	}
	held := r.workspace(t, "00000000000a", workspace.KindWorkspace, api.StateStarted)
	if found := r.find(); len(found) > 0 {
		t.Errorf("while a sandbox runs: %v", words(found))
	}
	if err := held.Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	fixed, left, err := r.fix(t.Context())
	if len(left) > 0 || err != nil {
		t.Errorf("left %v, %v", words(left), err)
	}
	if diff := cmp.Diff([]string{"copies of other builds' agents in " + r.copies + " (4)"}, fixed); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var rest []string
	for _, e := range entries(r.copies) {
		rest = append(rest, e.Name())
	}
	if diff := cmp.Diff([]string{made, mine, used, "c-1-1", "not-a-copy", "x"}, rest); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAFewOldAgentsAreNotWorthAWord(t *testing.T) {
	r := yard(t)
	r.plant(t, filepath.Join(r.copies, "b-1-1", "pyro-agent"))
	r.age(t, "b-1-1")
	if c := r.check(r.find(), nil); c.Result != api.CheckOK {
		t.Errorf("%+v", c)
	}
	if fixed, _, err := r.fix(t.Context()); err != nil || len(fixed) != 1 {
		t.Errorf("%v, %v", fixed, err)
	}
}

func TestFixSaysWhatResists(t *testing.T) {
	r := yard(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r.killed(t, "00000000000a", workspace.KindWorkspace)
	r.plant(t, filepath.Join(r.store.Dirs().Run, "00000000000b", "f"))
	fixed, left, err := r.fix(ctx)
	if len(fixed) > 0 || len(left) != 2 || err == nil {
		t.Errorf("fixed %v, left %v, %v", fixed, words(left), err)
	}
	if c := r.check(left, err); c.Result != api.CheckWarn || !strings.Contains(c.Reason, "not all could be freed") {
		t.Errorf("%+v", c)
	}
}

func TestProcessesAndMountsAreSeen(t *testing.T) {
	if !usedUIDs()[os.Geteuid()] {
		t.Errorf("this process is not among them: %v", usedUIDs())
	}
	if len(mountedSources()) == 0 {
		t.Error("nothing is mounted")
	}
}
