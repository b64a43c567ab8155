package store

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/pyro-sandbox/pyro/internal/sys"
)

// crashRecords writes count records of many sizes and returns how many crash images there
// are, and in how many of them something other than a record that may be there is
// found.
func crashRecords(t *testing.T, survive durability, count int) (images, wrong int) {
	t.Helper()
	s := newStore(t)
	disk := &crashDisk{}
	s.disk = disk
	w := create(t, s, testID)
	w.survive = survive
	disk.steps = nil // the workspace itself is there before

	var records []string
	acknowledged := map[int]int{} // steps done: records promised by then
	for i := range count {
		payload := fmt.Sprintf(`{"i":%d,"pad":%q}`, i, bytes.Repeat([]byte{'p'}, i*37%1700))
		if err := w.WriteRecord([]byte(payload)); err != nil {
			t.Fatal(err)
		}
		records = append(records, payload)
		acknowledged[len(disk.steps)] = i + 1
	}
	promised := 0
	path := filepath.Join(w.Path(), recordName)
	reader := &recordReader{store: s, path: path}
	for n, image := range disk.images(path) {
		promised = max(promised, acknowledged[n])
		images++
		if !mayBeRead(t, reader, image, records, promised) {
			wrong++
		}
	}
	return images, wrong
}

// recordReader puts an image in place and reads it, once if it is the same as before.
type recordReader struct {
	store *Store
	path  string
	image []byte
	got   string
	err   error
}

func (r *recordReader) read(t *testing.T, image []byte) (string, error) {
	t.Helper()
	if r.image == nil || !bytes.Equal(r.image, image) {
		// Made anew, not truncated: some file systems go to the disk for that.
		_ = os.Remove(r.path)
		mustWrite(t, r.path, string(image))
		got, err := r.store.Read(testID)
		r.image, r.got, r.err = image, string(got), err
	}
	return r.got, r.err
}

// mayBeRead reports whether an image holds the last promised record or the one that
// was being written, or none if none was promised.
func mayBeRead(t *testing.T, r *recordReader, image []byte, records []string, promised int) bool {
	t.Helper()
	if image == nil {
		return promised == 0
	}
	got, err := r.read(t, image)
	last, next := max(promised-1, 0), min(promised, len(records)-1)
	return err == nil && slices.Contains(records[last:next+1], got)
}

func TestRecordSurvivesPowerCuts(t *testing.T) {
	images, wrong := crashRecords(t, powerCut, 1100)
	if wrong > 0 || images < 10_000 {
		t.Fatalf("%d of %d crash images do not hold the last record, want 0 of at least 10000", wrong, images)
	}
}

// Without it the test above might prove nothing.
func TestVolatileRecordsDoNotSurvivePowerCuts(t *testing.T) {
	if images, wrong := crashRecords(t, processDeath, 8); wrong == 0 {
		t.Fatalf("all %d crash images without any sync hold the last record", images)
	}
}

// crashLedger enters count resources of all kinds and returns how many crash images there
// are and what is wrong with some of them.
func crashLedger(t *testing.T, survive durability, count int) (images int, wrong []string) {
	t.Helper()
	s := newStore(t)
	disk := &crashDisk{}
	s.disk = disk
	w := create(t, s, testID)
	ledger := w.Ledger()
	ledger.survive = survive
	if err := os.Remove(ledger.path); err != nil { // so that making it is part of the test
		t.Fatal(err)
	}
	disk.steps = nil

	start, err := sys.ProcessStart(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	var entered []Resource
	promised, acknowledged := 0, map[int]int{}
	for i := range count {
		r := Resource{Kind: KindDir, Path: fmt.Sprintf("/d/%d/p%s", i, bytes.Repeat([]byte{'p'}, i*31%700)), BootID: "b"}
		if i%5 > 1 {
			r = Resource{Kind: KindProcess, PID: os.Getpid(), Start: start, BootID: "b"}
		}
		if err := ledger.Acquire(r); err != nil {
			t.Fatal(err)
		}
		if entered = append(entered, r); !r.mortal() {
			acknowledged[len(disk.steps)] = i + 1
		}
	}
	for n, image := range disk.images(ledger.path) {
		promised = max(promised, acknowledged[n])
		images++
		if what := checkLedger(image, entered, promised); what != "" {
			wrong = append(wrong, fmt.Sprintf("after %d steps: %s", n, what))
		}
	}
	return images, wrong
}

func checkLedger(image []byte, entered []Resource, promised int) string {
	got, err := parseLedger(image)
	if err != nil {
		return err.Error()
	}
	for i, r := range entered[:promised] {
		if !r.mortal() && !slices.Contains(got, r) {
			return fmt.Sprintf("entry %d of %d promised ones is lost", i, promised)
		}
	}
	for _, r := range got {
		if !slices.Contains(entered, r) {
			return fmt.Sprintf("%v was never entered", r)
		}
	}
	return ""
}

func TestLedgerSurvivesPowerCuts(t *testing.T) {
	images, wrong := crashLedger(t, powerCut, 250)
	if len(wrong) > 0 || images < 1000 {
		t.Fatalf("%d of %d crash images are wrong: %.10q", len(wrong), images, wrong)
	}
	if images, wrong := crashLedger(t, processDeath, 10); len(wrong) == 0 {
		t.Fatalf("all %d crash images without any sync are right: the test proves nothing", images)
	}
}
