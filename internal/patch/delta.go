package patch

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"io"
	"sync"
)

// Bounds of a delta, in bytes.
const (
	maxInserted = 1 << 20 // of content that is not copied; more is written as a literal
	maxCopied   = 0xffff  // in one instruction
	maxAdded    = 127     // in one instruction
	deltaPiece  = 64 << 10
)

// ends are how many bytes two contents have in common, at their beginning and, of what is
// left, at their end.
type ends struct{ before, after int64 }

// commonEnds reads both contents for as far as they are the same.
func commonEnds(a, b Side) (e ends, err error) {
	most := min(a.Size, b.Size)
	var x, y [deltaPiece]byte
	for e.before < most {
		n := min(most-e.before, deltaPiece)
		if err := readBoth(x[:n], y[:n], a, b, e.before, e.before); err != nil {
			return e, err
		}
		same := commonPrefix(x[:n], y[:n])
		e.before += int64(same)
		if int64(same) < n {
			break
		}
	}
	for most -= e.before; e.after < most; {
		n := min(most-e.after, deltaPiece)
		if err := readBoth(x[:n], y[:n], a, b, a.Size-e.after-n, b.Size-e.after-n); err != nil {
			return e, err
		}
		same := commonSuffix(x[:n], y[:n])
		e.after += int64(same)
		if int64(same) < n {
			break
		}
	}
	return e, nil
}

// readBoth reads a piece of each, where they begin.
func readBoth(x, y []byte, a, b Side, fromA, fromB int64) error {
	for _, r := range []struct {
		to   []byte
		of   Side
		from int64
	}{{x, a, fromA}, {y, b, fromB}} {
		if n, err := r.of.Content.ReadAt(r.to, r.from); n < len(r.to) {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return fmt.Errorf("read content: %w", err)
		}
	}
	return nil
}

func commonPrefix(x, y []byte) int {
	if bytes.Equal(x, y) {
		return len(x)
	}
	n := 0
	for x[n] == y[n] {
		n++
	}
	return n
}

func commonSuffix(x, y []byte) int {
	if bytes.Equal(x, y) {
		return len(x)
	}
	n := 0
	for x[len(x)-1-n] == y[len(y)-1-n] {
		n++
	}
	return n
}

// writeBinary writes what makes new of old: a delta where most of new is at the ends of old,
// which spares compressing what did not change, else the whole content.
func writeBinary(out *bufio.Writer, old, new Side, e ends) error {
	inserted := new.Size - e.before - e.after
	if inserted > maxInserted || inserted > new.Size/2 || old.Size == 0 || new.Size == 0 {
		fmt.Fprintf(out, "literal %d\n", new.Size)
		return writePacked(out, new.open())
	}
	delta, err := makeDelta(old, new, e)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "delta %d\n", len(delta))
	return writePacked(out, bytes.NewReader(delta))
}

// makeDelta is a delta as git's pack-format has it: both sizes, and instructions that copy
// from old or have bytes of their own.
func makeDelta(old, new Side, e ends) ([]byte, error) {
	inserted := make([]byte, new.Size-e.before-e.after)
	if n, err := new.Content.ReadAt(inserted, e.before); n < len(inserted) {
		return nil, fmt.Errorf("read content: %w", err)
	}
	delta := binary.AppendUvarint(nil, uint64(old.Size))
	delta = binary.AppendUvarint(delta, uint64(new.Size))
	delta = appendCopies(delta, 0, e.before)
	for len(inserted) > 0 {
		n := min(len(inserted), maxAdded)
		delta = append(append(delta, byte(n)), inserted[:n]...)
		inserted = inserted[n:]
	}
	return appendCopies(delta, old.Size-e.after, e.after), nil
}

// appendCopies appends instructions that copy size bytes: a byte with bits for those bytes of
// offset and size that are not zero, and these, the low ones first.
func appendCopies(delta []byte, offset, size int64) []byte {
	for size > 0 {
		n := min(size, maxCopied)
		at, op := len(delta), byte(0x80)
		delta = append(delta, 0)
		for i, b := range []byte{byte(offset), byte(offset >> 8), byte(offset >> 16), byte(offset >> 24), byte(n), byte(n >> 8)} {
			if b != 0 {
				op |= 1 << i
				delta = append(delta, b)
			}
		}
		delta[at] = op
		offset, size = offset+n, size-n
	}
	return delta
}

// packers are used again: a new one takes most of a megabyte.
var packers = sync.Pool{New: func() any { return zlib.NewWriter(nil) }}

// writePacked writes what zlib makes of a content in lines of base85, then an empty line.
func writePacked(out *bufio.Writer, content io.Reader) error {
	lines := &base85Writer{out: out}
	pack := packers.Get().(*zlib.Writer)
	defer packers.Put(pack)
	pack.Reset(lines)
	if _, err := io.Copy(pack, content); err != nil {
		return fmt.Errorf("read content: %w", err)
	}
	if err := pack.Close(); err != nil {
		return err
	}
	lines.flush()
	return out.WriteByte('\n')
}
