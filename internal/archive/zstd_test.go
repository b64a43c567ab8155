package archive_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"runtime"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/pyro-sandbox/pyro/internal/archive"
)

func zstdSample(t testing.TB, data []byte, opts ...zstd.EOption) []byte {
	t.Helper()
	var buf bytes.Buffer
	w, err := zstd.NewWriter(&buf, append(opts, zstd.WithEncoderConcurrency(1))...)
	must(t, err)
	_, err = w.Write(data)
	must(t, errors.Join(err, w.Close()))
	return buf.Bytes()
}

// skippable is a frame that a reader passes over (RFC 8878, section 3.1.2).
var skippable = []byte{0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 'a', 'b', 'c'}

func zstdSamples(t testing.TB) map[string][]byte {
	t.Helper()
	data := tarball(t, file("a", xzContent))
	plain := zstdSample(t, data)
	return map[string][]byte{
		"plain":           plain,
		"best":            zstdSample(t, data, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithWindowSize(64<<20)),
		"no check sum":    zstdSample(t, data, zstd.WithEncoderCRC(false)),
		"two frames":      append(zstdSample(t, data[:1000]), zstdSample(t, data[1000:])...),
		"skippable first": append(bytes.Clone(skippable), plain...),
		"skippable last":  append(bytes.Clone(plain), skippable...),
	}
}

func TestUnpackZstd(t *testing.T) {
	for name, data := range zstdSamples(t) {
		t.Run(name, func(t *testing.T) {
			a := newArena(t)
			before := runtime.NumGoroutine()
			if _, err := a.unpack(t, data, everything); err != nil {
				t.Fatal(err)
			}
			if after := runtime.NumGoroutine(); after > before {
				t.Errorf("%d goroutines were %d before", after, before)
			}
			if content, _ := os.ReadFile(a.path("a")); string(content) != xzContent {
				t.Errorf("%d bytes, and not those that were packed", len(content))
			}
			if _, err := newArena(t).unpack(t, data, archive.UnpackOptions{}); !errors.Is(err, archive.ErrFormat) {
				t.Errorf("got %v, want ErrFormat where only tar is allowed", err)
			}
		})
	}
}

func TestUnpackDamagedZstd(t *testing.T) {
	whole := zstdSample(t, tarball(t, file("a", xzContent)))
	for at := range whole {
		damaged := bytes.Clone(whole)
		damaged[at] ^= 0x41
		a := newArena(t)
		_, err := a.unpack(t, damaged, everything)
		if content, _ := os.ReadFile(a.path("a")); err == nil && string(content) != xzContent {
			t.Errorf("byte %d of %d changed, and nobody noticed", at, len(whole))
		}
	}
	for cut := 4; cut < len(whole); cut++ {
		if _, err := newArena(t).unpack(t, whole[:cut], everything); !errors.Is(err, archive.ErrFormat) {
			t.Errorf("cut at %d of %d: got %v, want ErrFormat", cut, len(whole), err)
		}
	}
	for name, tail := range map[string][]byte{"garbage": []byte("garbage"), "another archive": whole, "half a frame": whole[:20]} {
		if _, err := newArena(t).unpack(t, append(bytes.Clone(whole), tail...), everything); !errors.Is(err, archive.ErrFormat) {
			t.Errorf("%s after it: got %v, want ErrFormat", name, err)
		}
	}
}

// zstdFrame is a frame with a window of 2^log bytes that says size of its content, or
// nothing if size is 0. Its blocks are to follow.
func zstdFrame(log int, size uint64) []byte {
	frame := []byte{0x28, 0xb5, 0x2f, 0xfd, 0, byte(log-10) << 3}
	if size > 0 {
		frame[4] = 3 << 6
		frame = binary.LittleEndian.AppendUint64(frame, size)
	}
	return frame
}

// zstdBlock is a raw block of data or, where repeat is more than 0, the one byte of
// data so many times.
func zstdBlock(last bool, data []byte, repeat int) []byte {
	head := uint32(len(data) << 3)
	if repeat > 0 {
		head = uint32(repeat<<3 | 1<<1)
	}
	if last {
		head |= 1
	}
	return append([]byte{byte(head), byte(head >> 8), byte(head >> 16)}, data...)
}

// zstdZeros is tar of one file of n zeros, without its end.
func zstdZeros(n int64) io.Reader {
	head := block("x", '0', gnu, func(b []byte) { huge(b, 124, 12, uint64(n)) })
	first := append(zstdFrame(17, 0), zstdBlock(false, head, 0)...)
	return io.MultiReader(bytes.NewReader(first), bytes.NewReader(bytes.Repeat(zstdBlock(false, []byte{0}, 128<<10), int(n>>17))))
}

func TestZstdWindowIsBounded(t *testing.T) {
	for name, data := range map[string][]byte{
		"1 GiB window":  append(zstdFrame(30, 0), zstdBlock(true, []byte("x"), 0)...),
		"2 TiB window":  append(zstdFrame(41, 0), zstdBlock(true, []byte("x"), 0)...),
		"8 EiB content": append(zstdFrame(10, 1<<63), zstdBlock(true, []byte("x"), 0)...),
		"8 EiB, single": append([]byte{0x28, 0xb5, 0x2f, 0xfd, 3<<6 | 1<<5, 0, 0, 0, 0, 0, 0, 0, 0x80}, zstdBlock(true, []byte("x"), 0)...),
	} {
		t.Run(name, func(t *testing.T) {
			root := newArena(t).open(t)
			var err error
			n := allocated(func() { _, err = archive.Unpack(t.Context(), bytes.NewReader(data), root, everything) })
			if err == nil || n > 4<<20 {
				t.Errorf("got %v and %d bytes allocated", err, n)
			}
		})
	}
}

// TestManySmallZstdFramesCostLittle: frames of nothing, whose windows change all the
// time within what is allowed.
func TestManySmallZstdFramesCostLittle(t *testing.T) {
	var data []byte
	for i := range 20_000 {
		frame := zstdFrame(10+i%17, 0)
		frame[5] |= byte(i / 17 % 8) // eighths
		data = append(append(data, frame...), zstdBlock(true, []byte("x"), 0)...)
	}
	root := newArena(t).open(t)
	var err error
	n := allocated(func() { _, err = archive.Unpack(t.Context(), bytes.NewReader(data), root, everything) })
	if !errors.Is(err, archive.ErrFormat) || n > 2<<30 {
		t.Errorf("got %v and %d bytes allocated", err, n)
	}
}
