package supervisor

import (
	"bufio"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/engine"
	"github.com/pyro-sandbox/pyro/internal/fault"
	"github.com/pyro-sandbox/pyro/internal/sys"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// scanName is the file in the workspace's directory that keeps the stamps of the last
// scan. It is of no use to anybody but the process that wrote it.
const scanName = "scan"

// scans remembers which files of the baseline are known to be as they were, or not to be,
// so that the next diff reads only those that were written to since. The stamps are in a
// file, since there may be a million; here is what makes it worth something.
type scans struct {
	mu  sync.Mutex
	of  *box              // the sandbox that was scanned; nil: none
	sum [sha256.Size]byte // of the file
}

func (b *box) tellsWrites() bool {
	told, ok := b.Sandbox.(engine.WriteTeller)
	return ok && told.TellsWrites()
}

// knowing makes the stamps of the last scan of a sandbox usable by a comparison.
func (s *supervisor) knowing(b *box) func(int, *fileStamp) verdict {
	stamps := s.lastScan(b)
	next := 0
	return func(at int, now *fileStamp) verdict {
		if now.ctime == 0 {
			return unknown // see wire.WalkEntry
		}
		for next < len(stamps) && stamps[next].at < at {
			next++
		}
		if next == len(stamps) {
			return unknown
		}
		was := stamps[next]
		switch {
		case was.at != at, was.device != now.device, was.inode != now.inode, was.ctime != now.ctime:
			return unknown
		case was.same:
			return same
		}
		return different
	}
}

// lastScan reads the stamps of the last scan of a sandbox. A file that is not as it was
// written counts for nothing.
func (s *supervisor) lastScan(b *box) []fileStamp {
	s.scans.mu.Lock()
	defer s.scans.mu.Unlock()
	if s.scans.of != b {
		return nil
	}
	f, err := os.OpenFile(filepath.Join(s.held.Path(), scanName), os.O_RDONLY|sys.NoFollow, 0)
	if err != nil {
		return nil
	}
	defer func() { _ = f.Close() }()
	sum := sha256.New()
	stamps, err := readStamps(bufio.NewReaderSize(io.TeeReader(f, sum), 64<<10))
	if err != nil || [sha256.Size]byte(sum.Sum(nil)) != s.scans.sum {
		return nil
	}
	return stamps
}

// keepScan remembers the stamps of a scan of a sandbox. That it fails, as on a full disk,
// only makes the next diff slower.
func (s *supervisor) keepScan(b *box, stamps []fileStamp) {
	if !b.tellsWrites() {
		return
	}
	slices.SortFunc(stamps, func(x, y fileStamp) int { return cmp.Compare(x.at, y.at) })
	s.scans.mu.Lock()
	defer s.scans.mu.Unlock()
	s.scans.of = nil
	path := filepath.Join(s.held.Path(), scanName)
	_ = os.Remove(path)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY|sys.NoFollow, 0o600)
	if err != nil {
		return
	}
	sum := sha256.New()
	err = writeStamps(io.MultiWriter(f, sum), stamps)
	fault.Hit("scan-written")
	if err = errors.Join(err, f.Close()); err != nil {
		_ = os.Remove(path)
		return
	}
	s.scans.of, s.scans.sum = b, [sha256.Size]byte(sum.Sum(nil))
}

// writeStamps writes stamps as varints: how far the file is after that of the stamp before,
// device, inode, time of change, and whether it is as it was. The first number is theirs.
func writeStamps(w io.Writer, stamps []fileStamp) error {
	out := bufio.NewWriterSize(w, 64<<10)
	record := binary.AppendUvarint(nil, uint64(len(stamps)))
	last := 0
	for _, s := range stamps {
		record = binary.AppendUvarint(record, uint64(s.at-last))
		record = binary.AppendUvarint(record, s.device)
		record = binary.AppendUvarint(record, s.inode)
		record = binary.AppendVarint(record, s.ctime)
		record = append(record, flagOf(s.same))
		if _, err := out.Write(record); err != nil {
			return err
		}
		record, last = record[:0], s.at
	}
	_, err := out.Write(record)
	return errors.Join(err, out.Flush())
}

func flagOf(set bool) byte {
	if set {
		return 1
	}
	return 0
}

// readStamps reads what writeStamps wrote, to the end.
func readStamps(r *bufio.Reader) ([]fileStamp, error) {
	in := varints{r: r}
	var stamps []fileStamp
	at := uint64(0)
	for left := in.number(); left > 0 && in.err == nil; left-- {
		if at += in.number(); at > wire.MaxTreeEntries {
			return nil, errBadStamps
		}
		stamps = append(stamps, fileStamp{
			at: int(at), device: in.number(), inode: in.number(), ctime: in.signed(), same: in.number() == 1,
		})
	}
	if _, err := r.ReadByte(); in.err != nil || !errors.Is(err, io.EOF) {
		return nil, errors.Join(errBadStamps, in.err)
	}
	return stamps, nil
}

var errBadStamps = errors.New("these are no stamps")

// varints reads numbers, until the first that is not there.
type varints struct {
	r   io.ByteReader
	err error
}

func (v *varints) number() (n uint64) {
	if v.err == nil {
		n, v.err = binary.ReadUvarint(v.r)
	}
	return n
}

func (v *varints) signed() (n int64) {
	if v.err == nil {
		n, v.err = binary.ReadVarint(v.r)
	}
	return n
}

// scanSeed remembers how the seed lies in a sandbox in which nothing but the agent has run
// yet: all of its files are as they are kept.
func (s *supervisor) scanSeed(ctx context.Context) {
	b := s.box()
	if !b.tellsWrites() {
		return
	}
	from, err := s.formerOf(ctx, api.DiffBaseline)
	if err != nil {
		return
	}
	old, err := from.nodes(ctx)
	if err != nil {
		return
	}
	c := &comparison{old: old, wanted: func(string) bool { return false }, known: func(int, *fileStamp) verdict { return same }}
	if err := walkInto(ctx, b, c); err == nil {
		s.keepScan(b, c.stamps)
	}
}
