package supervisor

import (
	"bytes"
	"io/fs"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/pyro-sandbox/pyro/internal/wire"
)

func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "ps") // short, for sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func wantMode(t *testing.T, path string, want fs.FileMode) {
	t.Helper()
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
		t.Errorf("%s: %v, %v; want mode %v", path, info, err, want)
	}
}

// numbered is text of which every part says where it was.
func numbered(size int) []byte {
	b := make([]byte, 0, size+8)
	for i := 0; len(b) < size; i++ {
		b = append(b, byte('a'+i%26), byte('a'+i/26%26), byte('a'+i/676%26), byte('a'+i/17576%26))
	}
	return b[:size]
}

// limit is that of a captured exec.
const (
	limit = wire.MaxCapture
	half  = limit / 2
)

const missing = "\n… (truncated) …\n"

// keeps checks what is kept of data, which was written in any pieces.
func keeps(t *testing.T, h *headTail, data []byte) {
	t.Helper()
	got, lost := h.text()
	want := string(data)
	if len(data) > limit {
		want = string(data[:half]) + missing + string(data[len(data)-half:])
	}
	if got != want || lost != (len(data) > limit) {
		t.Errorf("of %d bytes %d are kept, lost %t, and they differ at %d", len(data), len(got), lost, differ(got, want))
	}
}

func differ(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

func TestCaptureKeepsHeadAndTail(t *testing.T) {
	for name, size := range map[string]int{
		"nothing": 0, "one byte": 1, "the head": half, "a byte of the tail": half + 1, "all there is room for": limit,
		"one too many": limit + 1, "head and twice the tail": 3 * half, "one more": 3*half + 1, "much": 5*half + 12345,
	} {
		t.Run(name, func(t *testing.T) {
			data := numbered(size)
			whole := headTail{half: half}
			whole.write(data)
			keeps(t, &whole, data)
			keeps(t, &whole, data) // asking changes nothing
			pieces := headTail{half: half}
			for rest := data; len(rest) > 0; {
				n := min(len(rest), 1+1<<20/3)
				pieces.write(rest[:n])
				rest = rest[n:]
			}
			keeps(t, &pieces, data)
		})
	}
}

func TestCaptureInAnyPieces(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 4 {
		data := numbered(half/2 + random.IntN(4*half))
		h := headTail{half: half}
		for rest := data; len(rest) > 0; {
			n := min(len(rest), random.IntN(wire.MaxFrame))
			h.write(rest[:n])
			rest = rest[n:]
			if held := len(h.head) + len(h.tail); held > 3*half {
				t.Fatalf("%d bytes are held", held)
			}
		}
		keeps(t, &h, data)
	}
}

func TestCaptureKeepsNothingOfTheCaller(t *testing.T) {
	h := headTail{half: half}
	buf := []byte("first")
	h.write(buf)
	copy(buf, "XXXXX")
	if got, _ := h.text(); got != "first" {
		t.Errorf("got %q: frames are read into the same buffer", got)
	}
}

func TestCaptureStreamsAreApart(t *testing.T) {
	c := newCapture(limit)
	for _, w := range []struct {
		t wire.FrameType
		s string
	}{{wire.FrameStdout, "o1"}, {wire.FrameStderr, "e1"}, {wire.FrameStdout, "o2"}} {
		if err := c.output(w.t, []byte(w.s)); err != nil {
			t.Fatal(err)
		}
	}
	out, _ := c.stdout.text()
	errs, _ := c.stderr.text()
	if out != "o1o2" || errs != "e1" {
		t.Errorf("stdout %q, stderr %q", out, errs)
	}
}

func TestCaptureIsText(t *testing.T) {
	for name, test := range map[string]struct{ in, want string }{
		"text":               {"zwölf\r\n", "zwölf\r\n"},
		"zero bytes":         {"a\x00b", "a\x00b"},
		"a byte that is not": {"a\xffb", "a\uFFFDb"},
		"cut character":      {"a\xf0\x9f\x98", "a\uFFFD"},
		"surrogate":          {"\xed\xa0\x80x", "\uFFFDx"},
		"replaced already":   {"\uFFFD", "\uFFFD"},
	} {
		t.Run(name, func(t *testing.T) {
			h := headTail{half: half}
			for i := range len(test.in) { // characters come in pieces
				h.write([]byte{test.in[i]})
			}
			if got, lost := h.text(); got != test.want || lost {
				t.Errorf("got %q, lost %t; want %q", got, lost, test.want)
			}
		})
	}
}

// FuzzCapture repeats what it is given until the middle is lost.
func FuzzCapture(f *testing.F) {
	f.Add([]byte("abc"), uint16(7), uint8(0))
	f.Add([]byte("\xff\xfe\x00ü"), uint16(60000), uint8(3))
	f.Add([]byte("😀"), uint16(1), uint8(1))
	f.Add([]byte{}, uint16(0), uint8(0))
	f.Fuzz(func(t *testing.T, piece []byte, size uint16, fills uint8) {
		if len(piece) == 0 {
			return
		}
		chunk := bytes.Repeat(piece, 1+int(size)/len(piece))
		total := 0 // mostly: what fills halves takes long
		if fills < 4 {
			total = int(fills) * half
		}
		h := headTail{half: half}
		var all []byte
		for written := 0; ; {
			h.write(chunk)
			all = append(all, chunk...)
			if written += len(chunk); written >= total {
				break
			}
			if written > 0 && len(chunk) < 1<<12 {
				chunk = bytes.Repeat(chunk, 16) // keep it short
			}
		}
		text, lost := h.text()
		want := string(all)
		if lost != (len(all) > limit) {
			t.Fatalf("of %d bytes: lost %t", len(all), lost)
		}
		if len(all) > limit {
			want = string(all[:half]) + missing + string(all[len(all)-half:])
		}
		if want = strings.ToValidUTF8(want, "\uFFFD"); text != want || !utf8.ValidString(text) {
			t.Errorf("%d bytes of text differ at %d", len(text), differ(text, want))
		}
	})
}
