package enginetest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/engine"
)

// runMemory has what holds for every engine that keeps memory.
func runMemory(t *testing.T, s Subject) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, Subject)
	}{
		{"GoesOn", memoryGoesOn},
		{"OneImageTwice", oneMemoryTwice},
		{"OfARestored", memoryOfARestored},
		{"ConnectionsAreCutOff", connectionsAreCutOff},
		{"DiskIsNoMemory", restoredDiskIsNoMemory},
		{"SaveCanceled", memorySaveCanceled},
		{"SaveAfterTheEnd", memorySaveAfterTheEnd},
		{"DamagedImage", damagedMemory},
		{"DiskAndMemory", diskAndMemory},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, s) })
	}
}

func saveMemory(t *testing.T, box engine.Sandbox) string {
	t.Helper()
	dir := imageDir(t)
	if err := box.(engine.MemorySnapshotter).SaveMemory(t.Context(), dir); err != nil {
		t.Fatalf("save memory: %v", err)
	}
	return dir
}

func withMemory(s Subject, memory string) Subject {
	spec := s.Spec
	s.Spec = func(t *testing.T) (engine.Spec, engine.Ledger) {
		made, ledger := spec(t)
		made.Memory = memory
		return made, ledger
	}
	return s
}

func startFromMemory(t *testing.T, s Subject, memory string) engine.Sandbox {
	t.Helper()
	return Start(t, withMemory(s, memory))
}

// counting runs in a service of the guest's own: it belongs to no connection, keeps a
// number in memory alone, and says it to whoever asks by a pair of FIFOs.
const counting = `mkfifo ask answer
(n=0; while read line <ask; do n=$((n+1)); echo "$n $line" >answer; done) </dev/null >/dev/null 2>&1 &`

// count asks the process of counting.
func count(t *testing.T, box engine.Sandbox, word string) string {
	t.Helper()
	return workspace(t, box, "echo "+word+" >ask; cat answer")
}

func memoryGoesOn(t *testing.T, s Subject) {
	first := Start(t, s)
	workspace(t, first, counting+"\nmkdir d; echo kept >d/f; ln -s f d/link; echo volatile >/run/v; echo in-shm >/dev/shm/m")
	if got := count(t, first, "one"); got != "1 one\n" {
		t.Fatalf("got %q", got)
	}
	image := saveMemory(t, first)
	onlyFiles(t, image)
	if got := count(t, first, "here"); got != "2 here\n" {
		t.Errorf("the saved one goes on with %q", got)
	}
	again := startFromMemory(t, s, image)
	if got := count(t, again, "there"); got != "2 there\n" {
		t.Errorf("what came back goes on with %q", got)
	}
	if diff := cmp.Diff("kept\nvolatile\nin-shm\n", workspace(t, again, "cat d/link /run/v /dev/shm/m")); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

// oneMemoryTwice wants two that share nothing, randomness neither.
func oneMemoryTwice(t *testing.T, s Subject) {
	origin := Start(t, s)
	workspace(t, origin, counting+"\nmkdir d; echo origin >d/f")
	image := saveMemory(t, origin)
	one, two := startFromMemory(t, s, image), startFromMemory(t, s, image)
	workspace(t, one, "echo one >d/f")
	count(t, one, "a")
	got := count(t, one, "b") + count(t, two, "a") + workspace(t, one, showFiles) + workspace(t, two, showFiles)
	if diff := cmp.Diff("2 b\n1 a\nd/f:one \nd/f:origin \n", got); diff != "" {
		t.Errorf("they share something (-want +got):\n%s", diff)
	}
	const random = `head -c 16 /dev/urandom | od -An -tx1; cat /proc/sys/kernel/random/uuid 2>/dev/null || true`
	if a, b := workspace(t, one, random), workspace(t, two, random); a == b {
		t.Errorf("both drew %s", a)
	}
}

func memoryOfARestored(t *testing.T, s Subject) {
	first := Start(t, s)
	workspace(t, first, counting)
	second := startFromMemory(t, s, saveMemory(t, first))
	count(t, second, "a")
	third := startFromMemory(t, s, saveMemory(t, second))
	if got := count(t, third, "b") + count(t, first, "c"); got != "2 b\n1 c\n" {
		t.Errorf("got %q", got)
	}
}

// connectionsAreCutOff saves while a command talks. In the sandbox it goes on; in what
// is started from the image it ends like any whose client is gone.
func connectionsAreCutOff(t *testing.T, s Subject) {
	first := Start(t, s)
	conn := begin(t, first, inside("echo ready; until [ -e talk ]; do sleep 0.02; done; until [ -e go ]; do echo talk-talk; done; echo late"))
	workspace(t, first, ": >talk")
	drained := make(chan error, 1)
	var last Result
	go func() { // ends with the command
		r, err := collect(conn)
		last = r
		drained <- err
	}()
	again := startFromMemory(t, s, saveMemory(t, first))
	if got := Shell(t, again, `until ! grep -l '[t]alk-talk' /proc/[0-9]*/cmdline >/dev/null 2>&1; do sleep 0.05; done; echo ended`); got != "ended\n" {
		t.Errorf("in the restored one: %q", got)
	}
	workspace(t, first, ": >go")
	if err := <-drained; err != nil || !strings.HasSuffix(last.Stdout, "late\n") || last.Code != 0 {
		t.Errorf("the command did not go on: %v", err)
	}
}

func restoredDiskIsNoMemory(t *testing.T, s Subject) {
	first := Start(t, s)
	workspace(t, first, "head -c 100000000 /dev/urandom >big")
	again := startFromMemory(t, s, saveMemory(t, first))
	for when, box := range map[string]engine.Sandbox{"after the save": first, "started from it": again} {
		if got := Shell(t, box, `awk '/^Shmem:/ && $2 > 1000' /proc/meminfo`); got != "" {
			t.Errorf("%s the disk counts as memory: %s", when, got)
		}
	}
}

func memorySaveCanceled(t *testing.T, s Subject) {
	box := Start(t, s)
	workspace(t, box, counting)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := box.(engine.MemorySnapshotter).SaveMemory(ended, imageDir(t)); !errors.Is(err, api.Canceled) {
		t.Errorf("for a caller who had gone: %v", err)
	}
	if got := count(t, box, "on"); got != "1 on\n" {
		t.Errorf("it goes on with %q", got)
	}
	if got := count(t, startFromMemory(t, s, saveMemory(t, box)), "on"); got != "2 on\n" {
		t.Errorf("saved afterwards: %q", got)
	}
}

func memorySaveAfterTheEnd(t *testing.T, s Subject) {
	box := Start(t, s)
	if err := box.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := box.(engine.MemorySnapshotter).SaveMemory(t.Context(), imageDir(t)); !errors.Is(err, api.Unavailable) {
		t.Errorf("save: %v, want an error of kind %s", err, api.Unavailable)
	}
}

// damagedMemory wants a start that fails, or fails later, but never hangs.
func damagedMemory(t *testing.T, s Subject) {
	box := Start(t, s)
	image := saveMemory(t, box)
	entries, err := os.ReadDir(image)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		for _, size := range []int64{0, 100} {
			dir := imageDir(t)
			if err := os.CopyFS(filepath.Join(dir, "copy"), os.DirFS(image)); err != nil {
				t.Fatal(err)
			}
			dir = filepath.Join(dir, "copy")
			if err := errors.Join(os.Chmod(filepath.Dir(dir), 0o711), os.Chmod(dir, 0o711), os.Truncate(filepath.Join(dir, e.Name()), size)); err != nil {
				t.Fatal(err)
			}
			spec, ledger := withMemory(s, dir).Spec(t)
			damaged, err := s.Engine.Start(t.Context(), spec, ledger)
			if err != nil {
				if api.HintOf(err) == "" {
					t.Errorf("%s cut to %d bytes: no next step: %v", e.Name(), size, err)
				}
				continue
			}
			t.Logf("%s cut to %d bytes: it started", e.Name(), size)
			if err := damaged.Stop(t.Context()); err != nil {
				t.Error(err)
			}
		}
	}
}

func diskAndMemory(t *testing.T, s Subject) {
	box := Start(t, s)
	disk, memory := save(t, box), saveMemory(t, box)
	spec, ledger := withMemory(s, memory).Spec(t)
	spec.Disk = disk
	if again, err := s.Engine.Start(t.Context(), spec, ledger); err == nil {
		t.Errorf("it started from both: %v", again.Stop(t.Context()))
	}
}
