package archive

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"
	"math"
	"slices"

	"github.com/ulikunitz/xz/lzma"
)

// maxDictionary bounds the memory for unpacking xz, in bytes; xz -9 uses as much.
// The container is read here, and not by the xz package around the decoder,
// because that allocates whatever a block asks for, up to 4 GiB.
//
// Every block gets a new dictionary. So that tiny blocks do not make it clear
// memory all day, the dictionaries together may be maxDictionary and
// dictionaryRatio times what was decoded; xz makes blocks larger than their
// dictionary.
const (
	maxDictionary   = 64 << 20
	dictionaryRatio = 64
)

var (
	xzMagic       = []byte{0xfd, '7', 'z', 'X', 'Z', 0}
	xzFooterMagic = []byte("YZ")
	errXZ         = errors.New("xz data is damaged")
)

// xzReader undoes xz: one or more streams of blocks, each a header, LZMA2 data and
// a check sum (The .xz File Format 1.2.1, https://tukaani.org/xz/xz-file-format.txt).
// Only the filter LZMA2 alone is known. The sizes in headers and index are not
// believed and not compared; damage shows in the check sums.
type xzReader struct {
	in     *countingReader
	check  byte // id of the check sum, of the stream
	sum    hash.Hash
	block  *lzma.Reader2 // nil between blocks
	blocks uint64        // of the stream

	decoded      int64 // bytes, of all streams
	dictionaries int64 // bytes, likewise
}

func newXZReader(in *bufio.Reader) (*xzReader, error) {
	x := &xzReader{in: &countingReader{r: in}}
	return x, x.streamHeader()
}

// Read implements io.Reader.
func (x *xzReader) Read(p []byte) (int, error) {
	for {
		if x.block == nil {
			if err := x.next(); err != nil {
				return 0, err
			}
		}
		n, err := x.block.Read(p)
		x.decoded += int64(n)
		_, _ = x.sum.Write(p[:n])
		if errors.Is(err, io.EOF) {
			x.block = nil
			err = x.blockEnd()
		}
		if n > 0 || err != nil || len(p) == 0 {
			return n, err
		}
	}
}

// next goes to the next block, of this stream or of one after it, or returns io.EOF.
func (x *xzReader) next() error {
	for {
		size, err := x.in.ReadByte()
		if err != nil {
			return unexpected(err)
		}
		if size != 0 {
			return x.blockHeader(size)
		}
		if err := x.streamEnd(); err != nil {
			return err
		}
		if err := x.nextStream(); err != nil {
			return err
		}
	}
}

func (x *xzReader) streamHeader() error {
	head, err := x.bytes(12)
	if err != nil {
		return err
	}
	flags := head[6:8]
	if !bytes.HasPrefix(head, xzMagic) || flags[0] != 0 || crc32.ChecksumIEEE(flags) != binary.LittleEndian.Uint32(head[8:]) {
		return errXZ
	}
	x.check, x.blocks = flags[1], 0
	switch x.check {
	case 0:
		x.sum = noSum{}
	case 1:
		x.sum = crc32.NewIEEE()
	case 4:
		x.sum = crc64.New(crc64.MakeTable(crc64.ECMA))
	case 10:
		x.sum = sha256.New()
	default:
		return fmt.Errorf("xz check %d is not known", x.check)
	}
	return nil
}

// blockHeader reads the rest of the header whose first byte is size, and starts
// the decoder with a dictionary that is allowed.
func (x *xzReader) blockHeader(size byte) error {
	rest, err := x.bytes(int(size)*4 + 3)
	if err != nil {
		return err
	}
	head := append([]byte{size}, rest...)
	fields, sum := head[:len(head)-4], head[len(head)-4:]
	if crc32.ChecksumIEEE(fields) != binary.LittleEndian.Uint32(sum) {
		return errXZ
	}
	dictionary, err := lzma2Dictionary(fields)
	if err != nil {
		return err
	}
	x.dictionaries += dictionary
	if x.dictionaries > maxDictionary+dictionaryRatio*x.decoded {
		return fmt.Errorf("%w: an xz dictionary of %d bytes, after %d decoded bytes", ErrLimit, dictionary, x.decoded)
	}
	x.sum.Reset()
	x.blocks++
	x.in.n = 0
	config := lzma.Reader2Config{DictCap: max(int(dictionary), lzma.MinDictCap)}
	x.block, err = config.NewReader2(x.in)
	return err
}

// lzma2Dictionary returns the size of the dictionary that a block header asks for.
func lzma2Dictionary(header []byte) (int64, error) {
	flags, r := header[1], bytes.NewReader(header[2:])
	for _, present := range []byte{flags & 0x40, flags & 0x80} {
		if present != 0 {
			if _, err := binary.ReadUvarint(r); err != nil {
				return 0, errXZ
			}
		}
	}
	id, err1 := binary.ReadUvarint(r)
	length, err2 := binary.ReadUvarint(r)
	code, err3 := r.ReadByte()
	if err := errors.Join(err1, err2, err3); err != nil {
		return 0, errXZ
	}
	if flags&0x3f != 0 || id != 0x21 || length != 1 {
		return 0, errors.New("xz filter is not known, only LZMA2 alone is")
	}
	size, err := lzma.DecodeDictCap(code)
	if err != nil {
		return 0, errXZ
	}
	return size, nil
}

// blockEnd reads the padding of a block and compares its check sum.
func (x *xzReader) blockEnd() error {
	if err := x.padding(); err != nil {
		return err
	}
	want := x.sum.Sum(nil)
	if x.sum.Size() <= 8 {
		slices.Reverse(want) // CRCs are stored with the low byte first
	}
	got, err := x.bytes(len(want))
	if err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return errXZ
	}
	return nil
}

// streamEnd reads the index, whose first byte has been read, and the footer.
func (x *xzReader) streamEnd() error {
	x.in.n = 1
	records, err := binary.ReadUvarint(x.in)
	if err != nil || records != x.blocks || records > math.MaxInt64/2 {
		return errXZ
	}
	for range 2 * records {
		if _, err := binary.ReadUvarint(x.in); err != nil {
			return errXZ
		}
	}
	if err := x.padding(); err != nil {
		return err
	}
	tail, err := x.bytes(4 + 12)
	if err != nil {
		return err
	}
	if !bytes.HasSuffix(tail, xzFooterMagic) {
		return errXZ
	}
	return nil
}

// nextStream skips the zeros between streams, which come in fours, and starts the
// next one, or returns io.EOF where there is none.
func (x *xzReader) nextStream() error {
	for {
		four, err := x.in.r.Peek(4)
		switch {
		case len(four) == 0 && errors.Is(err, io.EOF):
			return io.EOF
		case err != nil:
			return unexpected(err)
		case !bytes.Equal(four, make([]byte, 4)):
			return x.streamHeader()
		}
		if _, err := x.bytes(4); err != nil {
			return err
		}
	}
}

// padding reads zeros up to a multiple of four since the count began.
func (x *xzReader) padding() error {
	pad, err := x.bytes(int(-x.in.n & 3))
	if err != nil {
		return err
	}
	if slices.Max(append(pad, 0)) != 0 {
		return errXZ
	}
	return nil
}

// bytes reads n bytes, at most 1,024.
func (x *xzReader) bytes(n int) ([]byte, error) {
	buf := make([]byte, n)
	_, err := io.ReadFull(x.in, buf)
	return buf, unexpected(err)
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// countingReader counts what is read, for the padding of blocks.
type countingReader struct {
	r *bufio.Reader
	n int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

func (c *countingReader) ReadByte() (byte, error) {
	b, err := c.r.ReadByte()
	if err == nil {
		c.n++
	}
	return b, err
}

// noSum is the check of a stream without one.
type noSum struct{}

func (noSum) Write(p []byte) (int, error) { return len(p), nil }
func (noSum) Sum(b []byte) []byte         { return b }
func (noSum) Reset()                      {}
func (noSum) Size() int                   { return 0 }
func (noSum) BlockSize() int              { return 1 }
