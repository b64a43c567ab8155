package archive

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/klauspost/compress/zstd"
)

// maxWindow bounds the memory for unpacking zstd, in bytes. It is what the zstd
// program takes without being asked to (--long=27) and RFC 8878, section 3.1.1.1.2,
// recommends to support 8 MiB at least.
const maxWindow = 128 << 20

// zstdMagic knows a frame, and a frame to be skipped, with which some writers begin
// (RFC 8878, sections 3.1.1 and 3.1.2).
func zstdMagic(head []byte) bool {
	if len(head) < 4 {
		return false
	}
	magic := binary.LittleEndian.Uint32(head)
	return magic == 0xfd2fb528 || magic&^0xf == 0x184d2a50
}

// zstdReader undoes zstd in the goroutine of the reader.
type zstdReader struct{ d *zstd.Decoder }

func newZstdReader(in *bufio.Reader) (*zstdReader, error) {
	d, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderMaxMemory(1<<62))
	if err != nil {
		return nil, err
	}
	return &zstdReader{d}, nil
}

// Read implements io.Reader.
func (z *zstdReader) Read(p []byte) (int, error) {
	n, err := z.d.Read(p)
	if errors.Is(err, zstd.ErrWindowSizeExceeded) || errors.Is(err, zstd.ErrDecoderSizeExceeded) {
		err = fmt.Errorf("%w: a zstd window over %d bytes", ErrLimit, maxWindow)
	}
	return n, err
}
