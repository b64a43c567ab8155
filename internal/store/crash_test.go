package store

import (
	"bytes"
	"fmt"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/pyro-sandbox/pyro/internal/sys"
)

// crashDisk does what is asked and remembers each step, so that it can say what a
// power cut after any of them may leave. What was written is safe only after a sync
// of the file, a name only after a sync of its directory; names become safe in the
// order in which they changed, data in sectors of 512 bytes in any order.
type crashDisk struct {
	osDisk
	steps []func(*platter)
}

// platter is the disk as it is replayed.
type platter struct {
	names   map[string]*blob // as programs see them
	safe    map[string]*blob
	pending []map[string]*blob // what safe would become next, in order
}

// blob is the contents of a file.
type blob struct{ seen, safe []byte }

type crashFile struct {
	file
	disk *crashDisk
	path string
}

func (d *crashDisk) do(step func(*platter)) { d.steps = append(d.steps, step) }

func (p *platter) rename(change func(map[string]*blob)) {
	change(p.names)
	p.pending = append(p.pending, maps.Clone(p.names))
}

func (d *crashDisk) Open(path string, flag int) (file, error) {
	f, err := d.osDisk.Open(path, flag)
	d.do(func(p *platter) {
		if p.names[path] == nil {
			p.rename(func(names map[string]*blob) { names[path] = new(blob) })
		}
		if flag&os.O_TRUNC != 0 {
			p.names[path].seen = nil
		}
	})
	return crashFile{f, d, path}, err
}

func (f crashFile) Write(data []byte) (int, error) {
	f.disk.do(func(p *platter) {
		b := p.names[f.path]
		b.seen = slices.Concat(b.seen, data)
	})
	return f.file.Write(data)
}

func (f crashFile) Sync() error {
	f.disk.do(func(p *platter) { b := p.names[f.path]; b.safe = b.seen })
	return nil // nobody cuts the power of the real one
}

func (d *crashDisk) Rename(from, to string) error {
	d.do(func(p *platter) {
		p.rename(func(names map[string]*blob) {
			names[to] = names[from]
			delete(names, from)
		})
	})
	return d.osDisk.Rename(from, to)
}

func (d *crashDisk) SyncDir(string) error {
	d.do(func(p *platter) { p.safe, p.pending = maps.Clone(p.names), nil })
	return nil
}

// images yields what path may hold after a power cut behind each number of steps; nil
// is no file.
func (d *crashDisk) images(path string) iter.Seq2[int, []byte] {
	p := &platter{names: map[string]*blob{}, safe: map[string]*blob{}}
	return func(yield func(int, []byte) bool) {
		for n := range len(d.steps) + 1 {
			if n > 0 {
				d.steps[n-1](p)
			}
			for image := range p.images(path) {
				if !yield(n, image) {
					return
				}
			}
		}
	}
}

func (p *platter) images(path string) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for _, names := range append([]map[string]*blob{p.safe}, p.pending...) {
			if names[path] == nil {
				if !yield(nil) {
					return
				}
				continue
			}
			for image := range names[path].images() {
				if !yield(image) {
					return
				}
			}
		}
	}
}

func (b *blob) images() iter.Seq[[]byte] {
	const sector = 512
	keep := len(b.safe)
	if !bytes.HasPrefix(b.seen, b.safe) {
		keep = 0
	}
	zeros := make([]byte, len(b.seen))
	return func(yield func([]byte) bool) {
		if !yield(nonNil(b.safe)) || bytes.Equal(b.safe, b.seen) {
			return
		}
		list := [][]byte{b.seen, b.seen[:(keep+len(b.seen))/2], slices.Concat(b.seen[:keep], zeros[keep:])}
		for cut := (keep/sector + 1) * sector; cut < len(b.seen); cut += sector {
			list = append(list,
				b.seen[:cut],
				slices.Concat(b.seen[:cut], zeros[cut:]),
				slices.Concat(b.seen[:keep], zeros[keep:cut], b.seen[cut:]),
				slices.Concat(b.seen[:max(keep, cut-sector)], zeros[max(keep, cut-sector):cut], b.seen[cut:]))
		}
		for _, image := range list {
			if !yield(nonNil(image)) {
				return
			}
		}
	}
}

func nonNil(b []byte) []byte { return append([]byte{}, b...) }

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
		if err := os.WriteFile(r.path, image, 0o600); err != nil {
			t.Fatal(err)
		}
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
