package archive

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
)

// ratioGrace is how many bytes a decompressor may give before Limits.Ratio counts. A
// gigabyte of zeros or of one log line is ordinary and shrinks to a thousandth; only
// what goes on so has no purpose but to cost disk and time. Until then Limits.Bytes
// is the bound.
const ratioGrace = 1 << 30

// decompress looks at the first bytes and undoes what they announce, once: an
// archive compressed twice is not one.
func decompress(r *meter, formats Formats, ratio int64) (io.Reader, error) {
	in := bufio.NewReaderSize(r, bufferSize)
	if formats == TarOnly {
		return in, nil
	}
	magic, err := in.Peek(6)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	out, err := decoder(in, magic)
	if err != nil {
		return nil, err
	}
	if out == in {
		return in, nil
	}
	return bufio.NewReaderSize(&ratioReader{from: r, r: out, ratio: ratio}, bufferSize), nil
}

// decoder returns in itself where magic announces nothing.
func decoder(in *bufio.Reader, magic []byte) (io.Reader, error) {
	switch {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		return gzip.NewReader(in)
	case bytes.HasPrefix(magic, []byte("BZh")):
		return bzip2.NewReader(in), nil
	case bytes.HasPrefix(magic, xzMagic):
		return newXZReader(in)
	case zstdMagic(magic):
		return newZstdReader(in)
	}
	return in, nil
}

// ratioReader stops a decompressor that gives far more than it takes.
type ratioReader struct {
	from  *meter
	r     io.Reader
	given int64
	ratio int64
}

func (b *ratioReader) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	b.given += int64(n)
	if b.given > ratioGrace && b.given/b.ratio > b.from.taken {
		return 0, fmt.Errorf("%w: %d bytes out of %d compressed ones", ErrLimit, b.given, b.from.taken)
	}
	return n, err
}
