package journal

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/pyro-sandbox/pyro/api"
)

func TestRotation(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir)
	j.limit = 4000
	begin(t, j, begun(1)) // runs all the time
	for i := 2; i <= 100; i++ {
		begin(t, j, begun(i))
		end(t, j, ended(i))
		h, err := load(dir, 0, All)
		if err != nil || h.Skipped != 0 {
			t.Fatalf("after %d: %d skipped, %v", i, h.Skipped, err)
		}
		if len(h.Entries) < 2 || h.Entries[0].Sequence != 1 || !Unfinished(h.Entries[0]) {
			t.Fatalf("after %d: the running command is lost", i)
		}
		checkSequence(t, h.Entries[1:], i)
		for _, name := range []string{currentName, olderName} {
			if info, err := os.Stat(filepath.Join(dir, name)); err == nil && info.Size() > j.limit {
				t.Fatalf("%s has %d bytes", name, info.Size())
			}
		}
	}
	end(t, j, ended(1))
	h, err := load(dir, 0, All)
	if err != nil || h.Entries[0].Sequence != 1 || Unfinished(h.Entries[0]) {
		t.Fatalf("its end is not joined: %v, %v", h.Entries[0], err)
	}
	checkSequence(t, h.Entries[1:], 100)
}

// checkSequence wants entries without a gap and in order, the newest of the given
// sequence.
func checkSequence(t *testing.T, entries []api.LogEntry, newest int) {
	t.Helper()
	first := newest - len(entries) + 1
	for i, e := range entries {
		if e.Sequence != first+i {
			t.Fatalf("entry %d of %d is %d, want %d", i, len(entries), e.Sequence, first+i)
		}
	}
}

func TestEndJoinsItsBeginInTheOlderFile(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir)
	begin(t, j, begun(1), begun(2))
	if err := j.rotate(); err != nil {
		t.Fatal(err)
	}
	checkRead(t, dir, 0, lost(1), lost(2))
	end(t, j, ended(2))
	checkRead(t, dir, 0, lost(1), ended(2))
	// As if the repeated begins were not there.
	line, err := encode(eventEnd, ended(1))
	if err != nil {
		t.Fatal(err)
	}
	put(t, dir, currentName, line)
	checkRead(t, dir, 0, ended(1), lost(2))
}

func TestRotationWhereTheFileWasDeleted(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir)
	end(t, j, ended(1))
	if err := os.Remove(filepath.Join(dir, currentName)); err != nil {
		t.Fatal(err)
	}
	j.limit = 10
	end(t, j, ended(2), ended(3))
	checkRead(t, dir, 0, ended(2), ended(3))
}

func TestRotationThatFailsLosesOneLine(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir)
	end(t, j, ended(1))
	j.limit = 10
	create := j.open
	j.open = func(string) (file, error) { return nil, os.ErrPermission }
	for range 2 {
		if err := j.End(ended(2)); !errors.Is(err, os.ErrPermission) {
			t.Errorf("End = %v, want the error of the open", err)
		}
		checkRead(t, dir, 0, ended(1))
	}
	j.open = create
	end(t, j, ended(3))
	checkRead(t, dir, 0, ended(1), ended(3))
}

func TestReadersDuringRotation(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir)
	j.limit = 8000
	const count = 3000
	var noted atomic.Int64 // ended and acknowledged
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() { // ends with the last command
			for before := int64(0); before < count; {
				before = noted.Load()
				h, err := load(dir, 0, All)
				if err != nil || h.Skipped != 0 {
					t.Errorf("%d skipped, %v", h.Skipped, err)
					return
				}
				checkSnapshot(t, h.Entries, before)
			}
		})
	}
	for i := range count {
		begin(t, j, begun(i+1))
		end(t, j, ended(i+1))
		noted.Add(1)
	}
	all.Wait()
}

// checkSnapshot wants entries without gaps, all of them ended that were before.
func checkSnapshot(t *testing.T, entries []api.LogEntry, before int64) {
	t.Helper()
	var newest int
	for i, e := range entries {
		if i > 0 && e.Sequence != newest+1 {
			t.Errorf("%d follows %d", e.Sequence, newest)
		}
		if newest = e.Sequence; int64(newest) <= before && Unfinished(e) {
			t.Errorf("%d has lost its end", newest)
		}
	}
	if int64(newest) < before {
		t.Errorf("the newest is %d, noted were %d", newest, before)
	}
}

func TestManyWritersOfOneProcess(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() { // ends after its commands
			for k := range 50 {
				e := ended(1 + i + 8*k)
				e.Stdout = strings.Repeat("x", 10000)
				if err := errors.Join(j.Begin(e), j.End(e)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	h, err := load(dir, 0, All)
	if err != nil || h.Skipped != 0 || len(h.Entries) != 400 {
		t.Fatalf("%d entries, %d skipped, %v", len(h.Entries), h.Skipped, err)
	}
	checkSequence(t, h.Entries, 400)
}

func TestHistoryHasALimit(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir)
	e := ended(1)
	e.Stdout = strings.Repeat("x", MaxStream)
	line, err := encode(eventEnd, e)
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if err := j.put(line); err != nil {
			t.Fatal(err)
		}
	}
	var total int64
	for _, name := range []string{currentName, olderName} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		total += info.Size()
	}
	if total > 64<<20 || total < 32<<20 {
		t.Errorf("it has %d bytes", total)
	}
	if entries, err := Read(dir, 3, All); err != nil || len(entries) != 3 {
		t.Fatalf("%d entries, %v", len(entries), err)
	}
}
