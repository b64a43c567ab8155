package enginetest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/engine"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// runDisk has what holds for every engine that keeps disks.
func runDisk(t *testing.T, s Subject) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, Subject)
	}{
		{"Format", diskFormat},
		{"ComesBack", diskComesBack},
		{"EmptyComesBack", emptyComesBack},
		{"TwoGenerations", twoGenerations},
		{"OneImageTwice", oneImageTwice},
		{"ProcessesDoNotComeBack", processesDoNotComeBack},
		{"SavedWhileWriting", savedWhileWriting},
		{"SavedTwiceAtOnce", savedTwiceAtOnce},
		{"SaveCanceled", saveCanceled},
		{"SaveIntoFullDirectory", saveIntoFullDirectory},
		{"SaveAfterTheEnd", saveAfterTheEnd},
		{"Stamp", diskStamp},
		{"DamagedImage", damagedImage},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, s) })
	}
	if s.Isolated {
		t.Run("OutsideTheWorkspace", func(t *testing.T) { outsideTheWorkspace(t, s) })
		t.Run("IsNoMemory", func(t *testing.T) { diskIsNoMemory(t, s) })
		t.Run("OwnersAndKinds", func(t *testing.T) { ownersAndKinds(t, s) })
	}
}

// imageDir returns a new empty directory below one that nobody else can enter, as a
// state directory is.
func imageDir(t *testing.T) string {
	t.Helper()
	closed, err := os.MkdirTemp("", "pyro-disk")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(closed) })
	dir := filepath.Join(closed, "image")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// save saves a sandbox's disk and returns where.
func save(t *testing.T, box engine.Sandbox) string {
	t.Helper()
	dir := imageDir(t)
	if err := box.(engine.DiskSnapshotter).SaveDisk(t.Context(), dir); err != nil {
		t.Fatalf("save: %v", err)
	}
	return dir
}

// StartFrom starts a sandbox from a saved disk. It is stopped at the end of the test.
func StartFrom(t *testing.T, s Subject, disk string) engine.Sandbox {
	t.Helper()
	s.Spec = withDisk(s.Spec, disk)
	return Start(t, s)
}

func withDisk(spec func(*testing.T) (engine.Spec, engine.Ledger), disk string) func(*testing.T) (engine.Spec, engine.Ledger) {
	return func(t *testing.T) (engine.Spec, engine.Ledger) {
		s, ledger := spec(t)
		s.Disk = disk
		return s, ledger
	}
}

// inside is a shell line that runs in the workspace.
func inside(line string) wire.StreamRequest {
	req := sh(line)
	req.Cwd = "/workspace"
	return req
}

func workspace(t *testing.T, box engine.Sandbox, line string) string {
	t.Helper()
	r := Exec(t, box, "", inside("set -e\n"+line))
	if r.Code != 0 {
		t.Fatalf("%s: exit %d: %s", line, r.Code, r.Stderr)
	}
	return r.Stdout
}

func diskFormat(t *testing.T, s Subject) {
	format, err := s.Engine.(engine.DiskKeeper).DiskFormat(t.Context())
	again, _ := s.Engine.(engine.DiskKeeper).DiskFormat(t.Context())
	if err != nil || format == "" || format != again || strings.ContainsAny(format, " \n") {
		t.Errorf("%q, then %q, %v", format, again, err)
	}
}

// layTree makes everything that a tree may hold for every engine. Times come last.
const layTree = `
mkdir -p d/e/empty '	tab' private .hidden
printf 'one\n' >d/one; : >zero; printf '#!/bin/sh\necho ran\n' >run
head -c 5000000 /dev/urandom >big
printf x >-rf; printf nl >'new
line'; printf bytes >"$(printf 'no\377utf8')"; printf dot >.hidden/f; printf long >"$(head -c 250 /dev/zero | tr '\0' n)"
ln d/one d/e/two
ln -s nowhere dangling; ln -s /etc/passwd absolute; ln -s ../workspace/zero d/up; ln -s . self
chmod 755 run; chmod 400 d/one; chmod 1777 d/e; chmod 2755 .hidden; chmod 700 private; chmod 600 zero
printf gone >gone; mkdir -p gone-too/f; rm -r gone gone-too
find . -depth -mindepth 1 -exec touch -h -d @1111111111 '{}' +
touch -h -d @1000000001 dangling; touch -d @999999999 d/one; touch -d @1 zero; touch -d @2000000000 big; touch -d @1000000000 d/e
`

// showTree says all about a tree that has to come back.
const showTree = `
find . -mindepth 1 \( -type d -printf '%y %m %T@ %P\0' -o -printf '%y %m %n %s %T@ %l %P\0' \) | sort -z | tr '\0\n' '\n?'
find . -type f -exec sha256sum '{}' + | sort
[ d/one -ef d/e/two ] && echo linked
./run
`

func diskComesBack(t *testing.T, s Subject) {
	first := Start(t, s)
	workspace(t, first, layTree)
	want := workspace(t, first, showTree)
	if !strings.Contains(want, "linked") || strings.Count(want, "\n") < 32 {
		t.Fatalf("the tree is not what the test wants:\n%s", want)
	}
	disk := save(t, first)
	if diff := cmp.Diff(want, workspace(t, first, showTree)); diff != "" {
		t.Errorf("the save changed the tree (-want +got):\n%s", diff)
	}
	onlyFiles(t, disk)
	if err := first.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, workspace(t, StartFrom(t, s, disk), showTree)); diff != "" {
		t.Errorf("what came back (-want +got):\n%s", diff)
	}
}

// onlyFiles wants a saved disk to be regular files, which a digest can be taken of.
func onlyFiles(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) == 0 {
		t.Fatalf("%d entries, %v", len(entries), err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() {
			t.Errorf("%s is no regular file: %v, %v", e.Name(), e.Type(), err)
		}
	}
}

func emptyComesBack(t *testing.T, s Subject) {
	again := StartFrom(t, s, save(t, Start(t, s)))
	if got := workspace(t, again, "ls -A; echo x >f; cat f"); got != "x\n" {
		t.Errorf("got %q", got)
	}
}

func twoGenerations(t *testing.T, s Subject) {
	first := Start(t, s)
	workspace(t, first, "mkdir d; echo 1 >d/kept; echo 1 >d/changed; echo 1 >d/deleted")
	second := StartFrom(t, s, save(t, first))
	workspace(t, second, "echo 2 >>d/changed; rm d/deleted; echo 2 >d/new; mv d e")
	third := StartFrom(t, s, save(t, second))
	if diff := cmp.Diff("e/changed:1 2 \ne/kept:1 \ne/new:2 \n", workspace(t, third, showFiles)); diff != "" {
		t.Errorf("third (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff("d/changed:1 \nd/deleted:1 \nd/kept:1 \n", workspace(t, first, showFiles)); diff != "" {
		t.Errorf("the first changed with the others (-want +got):\n%s", diff)
	}
}

const showFiles = `for f in */*; do echo "$f:$(tr '\n' ' ' <$f)"; done`

func oneImageTwice(t *testing.T, s Subject) {
	origin := Start(t, s)
	workspace(t, origin, "mkdir d; echo origin >d/f")
	disk := save(t, origin)
	one, two := StartFrom(t, s, disk), StartFrom(t, s, disk)
	workspace(t, one, "echo one >d/f")
	workspace(t, two, "echo two >d/g")
	got := workspace(t, one, showFiles) + workspace(t, two, showFiles) + workspace(t, StartFrom(t, s, disk), showFiles)
	if diff := cmp.Diff("d/f:one \nd/f:origin \nd/g:two \nd/f:origin \n", got); diff != "" {
		t.Errorf("they share files (-want +got):\n%s", diff)
	}
}

// processesDoNotComeBack looks for what a process would write, as the processes of the
// fake are the host's.
func processesDoNotComeBack(t *testing.T, s Subject) {
	first := Start(t, s)
	conn := begin(t, first, inside("echo ready; until [ -e go ]; do sleep 0.05; done; echo late"))
	again := StartFrom(t, s, save(t, first))
	if s.Isolated {
		if got := Shell(t, again, `grep -l '[u]ntil' /proc/[0-9]*/cmdline || true`); got != "" {
			t.Errorf("the command runs again: %s", got)
		}
	}
	workspace(t, first, ": >go")
	if r, err := collect(conn); err != nil || r.Stdout != "late\n" {
		t.Errorf("the first sandbox did not go on: %+v, %v", r, err)
	}
	if got := workspace(t, again, "ls -A"); got != "" {
		t.Errorf("the new sandbox has %q", got)
	}
}

// savedWhileWriting saves in the middle of a loop, which must go on.
func savedWhileWriting(t *testing.T, s Subject) {
	box := Start(t, s)
	conn := begin(t, box, inside(`i=0; while [ ! -e stop ]; do i=$((i+1)); echo $i >>log; [ $i != 20 ] || echo ready; done; echo stopped`))
	before := workspace(t, box, "tail -n1 log")
	disk := save(t, box)
	workspace(t, box, "n=$(wc -l <log); while [ $(wc -l <log) = $n ]; do :; done; : >stop")
	if r, err := collect(conn); err != nil || r.Stdout != "stopped\n" || r.Code != 0 {
		t.Errorf("the loop ended with %+v, %v", r, err)
	}
	// Whole lines, in order, up to some moment after the save began.
	const check = `n=$(wc -l <log); seq $n | cmp - log && [ $n -ge "$1" ] && [ ! -e stop ]`
	again := StartFrom(t, s, disk)
	if r := Exec(t, again, "", inside("set -- "+before+check)); r.Code != 0 {
		t.Errorf("the log in the saved disk is wrong: %s%s", r.Stdout, r.Stderr)
	}
}

func savedTwiceAtOnce(t *testing.T, s Subject) {
	box := Start(t, s)
	workspace(t, box, "mkdir d; echo x >d/f")
	var all sync.WaitGroup
	dirs := []string{imageDir(t), imageDir(t), imageDir(t)}
	for _, dir := range dirs {
		all.Go(func() {
			if err := box.(engine.DiskSnapshotter).SaveDisk(t.Context(), dir); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for _, dir := range dirs {
		if got := workspace(t, StartFrom(t, s, dir), showFiles); got != "d/f:x \n" {
			t.Errorf("got %q", got)
		}
	}
}

// saveCanceled ends saves at several moments; whatever came of them, the sandbox lives
// and can be saved.
func saveCanceled(t *testing.T, s Subject) {
	box := Start(t, s)
	workspace(t, box, "mkdir d; echo x >d/f; head -c 20000000 /dev/urandom >big")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := box.(engine.DiskSnapshotter).SaveDisk(ended, imageDir(t)); !errors.Is(err, api.Canceled) {
		t.Errorf("for a caller who had gone: %v", err)
	}
	for range 5 {
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		dir := imageDir(t)
		all.Go(func() {
			if err := box.(engine.DiskSnapshotter).SaveDisk(ctx, dir); err != nil && !errors.Is(err, api.Canceled) {
				t.Errorf("canceled in the middle: %v", err)
			}
		})
		Shell(t, box, "true") // some time passes
		cancel()
		all.Wait()
		if got := workspace(t, box, "cat d/f"); got != "x\n" {
			t.Errorf("got %q", got)
		}
	}
	if got := workspace(t, StartFrom(t, s, save(t, box)), showFiles); got != "d/f:x \n" {
		t.Errorf("saved afterwards: %q", got)
	}
}

func saveIntoFullDirectory(t *testing.T, s Subject) {
	box, dir := Start(t, s), imageDir(t)
	if err := os.WriteFile(filepath.Join(dir, "precious"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := box.(engine.DiskSnapshotter).SaveDisk(t.Context(), dir); err == nil {
		t.Error("a disk was saved over something")
	}
	if err := box.(engine.DiskSnapshotter).SaveDisk(t.Context(), filepath.Join(dir, "none")); err == nil {
		t.Error("a disk was saved into a directory that is not there")
	}
}

func saveAfterTheEnd(t *testing.T, s Subject) {
	box := Start(t, s)
	if err := box.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := box.(engine.DiskSnapshotter).SaveDisk(t.Context(), imageDir(t)); !errors.Is(err, api.Unavailable) {
		t.Errorf("save: %v, want an error of kind %s", err, api.Unavailable)
	}
}

func diskStamp(t *testing.T, s Subject) {
	box := Start(t, s)
	workspace(t, box, "printf 12345678 >f")
	stamp := func() string {
		t.Helper()
		got, err := box.(engine.DiskSnapshotter).DiskStamp()
		if err != nil || got == "" {
			t.Fatalf("%q, %v", got, err)
		}
		return got
	}
	last := stamp()
	for _, step := range []struct {
		line    string
		changes bool
	}{
		{"cat f >/dev/null; ls -la", false},
		{"printf more >>f", true},
		{"true", false},
		{"printf new >g", true},
		{"printf 87654321 | dd of=f conv=notrunc 2>&1", true},
		{"printf 87654322 | dd of=f conv=notrunc 2>&1", true},
	} {
		workspace(t, box, step.line)
		now := stamp()
		if (now != last) != step.changes {
			t.Errorf("after %q it went from %q to %q", step.line, last, now)
		}
		last = now
	}
	save(t, box)
	if now := stamp(); now != last {
		t.Errorf("a save changed it from %q to %q", last, now)
	}
}
