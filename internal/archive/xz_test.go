package archive_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"strings"
	"testing"

	"github.com/ulikunitz/xz"

	"github.com/pyro-sandbox/pyro/internal/archive"
)

// bzip2Sample is a tar with the file "a" of "bzip2 works\n", as bzip2 1.0.8 makes it;
// the standard library only reads the format.
const bzip2Sample = "QlpoOTFBWSZTWf0DQk0AAHR7hMoQAUBAAH+AAADwKN6QAACACCAAdQ1J4oZADagyPKCSp6TTQAAHqB8+lbQQglEBIuvpGaU5bMkgZOxB2xhEFqkI2GFPVKzCjMuYkdxyBBZu+8HYfUKVWdBRqPFJB+LuSKcKEh+gaEmg"

func xzSample(t testing.TB, data []byte, config xz.WriterConfig) []byte {
	t.Helper()
	var buf bytes.Buffer
	w, err := config.NewWriter(&buf)
	must(t, err)
	_, err = w.Write(data)
	must(t, errors.Join(err, w.Close()))
	return buf.Bytes()
}

var xzContent = strings.Repeat("some text, ", 5000)

func xzSamples(t testing.TB) map[string][]byte {
	t.Helper()
	data := tarball(t, file("a", xzContent))
	plain := xzSample(t, data, xz.WriterConfig{})
	samples := map[string][]byte{
		"two streams": append(append(xzSample(t, data[:1000], xz.WriterConfig{}), make([]byte, 8)...), xzSample(t, data[1000:], xz.WriterConfig{})...),
		"padding":     append(plain, make([]byte, 4)...),
		"no check":    xzSample(t, data, xz.WriterConfig{NoCheckSum: true}),
		"blocks":      xzSample(t, data, xz.WriterConfig{BlockSize: 10_000, DictCap: 1 << 16}),
	}
	for _, sum := range []byte{xz.CRC32, xz.CRC64, xz.SHA256} {
		samples[fmt.Sprintf("check %d", sum)] = xzSample(t, data, xz.WriterConfig{CheckSum: sum, DictCap: 1 << 16})
	}
	return samples
}

func TestUnpackXZ(t *testing.T) {
	for name, data := range xzSamples(t) {
		t.Run(name, func(t *testing.T) {
			a := newArena(t)
			if _, err := a.unpack(t, data, everything); err != nil {
				t.Fatal(err)
			}
			if content, _ := os.ReadFile(a.path("a")); string(content) != xzContent {
				t.Errorf("%d bytes, and not those that were packed", len(content))
			}
		})
	}
}

func TestUnpackDamagedXZ(t *testing.T) {
	whole := xzSamples(t)["check 4"]
	for at := range whole {
		damaged := bytes.Clone(whole)
		damaged[at] ^= 0x41
		a := newArena(t)
		_, err := a.unpack(t, damaged, everything)
		// Sizes are not believed, so nobody minds where they are wrong; content is checked.
		if content, _ := os.ReadFile(a.path("a")); err == nil && string(content) != xzContent {
			t.Errorf("byte %d of %d changed, and nobody noticed", at, len(whole))
		}
	}
	for _, cut := range []int{7, 12, 20, 40, len(whole) / 2, len(whole) - 30, len(whole) - 12, len(whole) - 1} {
		if _, err := newArena(t).unpack(t, whole[:cut], everything); !errors.Is(err, archive.ErrFormat) {
			t.Errorf("cut at %d: got %v, want ErrFormat", cut, err)
		}
	}
}

func TestUnpackRefusesAnXZDictionaryThatIsTooLarge(t *testing.T) {
	data := bytes.Clone(xzSamples(t)["check 4"])
	// The block header follows the 12 bytes of the stream header: size, flags, then
	// the filter's id, the length of its settings, and the dictionary.
	header := data[12 : 12+(int(data[12])+1)*4]
	if header[1] != 0 || header[2] != 0x21 {
		t.Fatalf("unexpected block header % x", header)
	}
	header[4] = 40 // 4 GiB - 1
	binary.LittleEndian.PutUint32(header[len(header)-4:], crc32.ChecksumIEEE(header[:len(header)-4]))
	a := newArena(t)
	root := a.open(t)
	var err error
	n := allocated(func() { _, err = archive.Unpack(t.Context(), bytes.NewReader(data), root, everything) })
	if !errors.Is(err, archive.ErrLimit) || n > 1<<20 {
		t.Errorf("got %v and %d bytes allocated, want ErrLimit", err, n)
	}
}

func TestUnpackFormats(t *testing.T) {
	bzip2, err := base64.StdEncoding.DecodeString(bzip2Sample)
	must(t, err)
	a := newArena(t)
	if _, err := a.unpack(t, bzip2, everything); err != nil {
		t.Error(err)
	}
	if content, _ := os.ReadFile(a.path("a")); string(content) != "bzip2 works\n" {
		t.Errorf("%q", content)
	}
	for name, data := range xzSamples(t) {
		if _, err := a.unpack(t, data, archive.UnpackOptions{}); !errors.Is(err, archive.ErrFormat) {
			t.Errorf("%s: got %v, want ErrFormat where only tar is allowed", name, err)
		}
	}
}
