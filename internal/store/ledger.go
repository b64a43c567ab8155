package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/fault"
	"github.com/pyro-sandbox/pyro/internal/sys"
)

const (
	ledgerName    = "ledger.jsonl"
	maxLedger     = 4 << 20 // bytes; an entry has about 150
	maxLedgerLine = 16 << 10
)

// Kind says what a resource is and how it is freed.
type Kind string

// The kinds of resource.
const (
	KindDir     Kind = "dir"     // Path, a tree to remove
	KindFile    Kind = "file"    // Path, a file or socket to remove
	KindCgroup  Kind = "cgroup"  // Path, a directory below /sys/fs/cgroup: its members are killed first
	KindProcess Kind = "process" // PID and Start; all that came from it is killed with it
	KindUID     Kind = "uid"     // Path, the entry that reserves a user id
)

// Resource is something that outlives the process which acquired it, and how to
// find it again. The zero Start and BootID are filled in by Acquire.
type Resource struct {
	Kind   Kind   `json:"kind"`
	Path   string `json:"path,omitempty"`
	PID    int    `json:"pid,omitempty"`
	Start  uint64 `json:"start,omitempty"`   // of PID, see sys.ProcessStart
	BootID string `json:"boot_id,omitempty"` // the run of the machine it was acquired in
}

// mortal reports whether a reboot frees the resource.
func (r Resource) mortal() bool { return r.Kind == KindProcess || r.Kind == KindCgroup }

// String names the resource in errors.
func (r Resource) String() string {
	if r.Kind == KindProcess {
		return fmt.Sprintf("process %d", r.PID)
	}
	return string(r.Kind) + " " + r.Path
}

// check refuses an entry that could not be freed.
func (r Resource) check() error {
	switch r.Kind {
	case KindProcess:
		if r.PID <= 1 {
			return fmt.Errorf("resource is process %d", r.PID)
		}
	case KindDir, KindFile, KindCgroup, KindUID:
		if !filepath.IsAbs(r.Path) || filepath.Clean(r.Path) != r.Path {
			return fmt.Errorf("%v is not absolute and clean", r)
		}
	default:
		return fmt.Errorf("resource is of unknown kind %q", r.Kind)
	}
	return nil
}

// Ledger notes what is about to be acquired for a workspace. Its methods may be
// called concurrently.
type Ledger struct {
	disk    disk
	path    string
	survive durability
	boot    func() (string, error)

	mu   sync.Mutex
	open bool // the file exists and ends with a whole line
	size int  // then: its length in bytes
}

// Acquire enters a resource. When it returns nil the entry outlives this process,
// and a power cut where the resource itself does. Acquire comes before the
// resource; only a process, whose number is not known before, comes after, and
// something entered already, such as its cgroup, has to lead to it. It fails with
// api.Unavailable when the disk is full; the resource must not be acquired then.
func (l *Ledger) Acquire(r Resource) error {
	if err := l.acquire(r); err != nil {
		return sys.Explain(fmt.Sprintf("enter %v in the ledger", r), err)
	}
	fault.Hit("ledger-entered-" + string(r.Kind))
	return nil
}

func (l *Ledger) acquire(r Resource) error {
	if err := r.check(); err != nil {
		return err
	}
	if err := fault.Error("ledger-write"); err != nil {
		return err
	}
	line, err := l.line(r)
	if err != nil {
		return err
	}
	survive := l.survive
	if r.mortal() {
		survive = processDeath
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.prepare(); err != nil {
		return err
	}
	size := l.size + len(line)
	if size > maxLedger {
		return fmt.Errorf("%s would have %d bytes, allowed are %d", ledgerName, size, maxLedger)
	}
	l.open = false // a write that fails may have left half a line
	if err := write(l.disk, l.path, os.O_APPEND, line, survive); err != nil {
		return err
	}
	l.open, l.size = true, size
	return nil
}

func (l *Ledger) line(r Resource) ([]byte, error) {
	var err error
	if r.BootID == "" {
		if r.BootID, err = l.boot(); err != nil {
			return nil, err
		}
	}
	if r.Kind == KindProcess && r.Start == 0 {
		if r.Start, err = sys.ProcessStart(r.PID); err != nil {
			return nil, err
		}
	}
	line, err := json.Marshal(r)
	if len(line) >= maxLedgerLine {
		return nil, fmt.Errorf("entry has %d bytes, allowed are %d", len(line), maxLedgerLine)
	}
	return append(line, '\n'), err
}

// prepare makes sure that the next line stands by itself: it makes the file, and
// rewrites one that ends in half a line.
func (l *Ledger) prepare() error {
	if l.open {
		return nil
	}
	data, err := readBounded(l.path, maxLedger)
	missing := errors.Is(err, fs.ErrNotExist)
	if err != nil && !missing {
		return err
	}
	whole := data[:bytes.LastIndexByte(data, '\n')+1]
	l.size = len(whole)
	if !missing && len(whole) == len(data) {
		return nil
	}
	return replace(l.disk, l.path, whole, l.survive)
}

// forget empties the ledger once everything in it was freed. Entries that come back
// after a power cut do no harm: what they name is gone.
func (l *Ledger) forget() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open = false
	f, err := l.disk.Open(l.path, os.O_WRONLY|os.O_TRUNC)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return f.Close()
}

// readLedger returns the entries of a ledger in order, none if there is no file.
// Lines that cannot be read are errors, joined, beside the entries that can.
func readLedger(path string) ([]Resource, error) {
	data, err := readBounded(path, maxLedger)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return parseLedger(data)
}

// parseLedger forgives what a crash leaves of a line: a last one without its end,
// and one with zero bytes, where a power cut came before the disk had it. Neither
// was promised to survive: Acquire had not returned, or the power cut has freed
// the resource, too.
func parseLedger(data []byte) ([]Resource, error) {
	var entries []Resource
	var errs []error
	n := 0
	for line := range bytes.Lines(data) {
		n++
		if !bytes.HasSuffix(line, []byte("\n")) || bytes.IndexByte(line, 0) >= 0 {
			continue
		}
		r, err := parseEntry(line)
		if err != nil {
			errs = append(errs, fmt.Errorf("ledger line %d: %w", n, err))
			continue
		}
		entries = append(entries, r)
	}
	return entries, errors.Join(errs...)
}

// parseEntry refuses unknown fields: one may say that the resource is freed in
// another way than this version knows.
func parseEntry(line []byte) (Resource, error) {
	if len(line) > maxLedgerLine {
		return Resource{}, fmt.Errorf("has %d bytes, allowed are %d", len(line), maxLedgerLine)
	}
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	var r Resource
	err := dec.Decode(&r)
	if err == nil {
		err = r.check()
	}
	if err != nil {
		return Resource{}, &api.Error{Kind: api.Unsupported, Hint: "use the version of pyro that made the workspace", Err: err}
	}
	return r, nil
}
