package supervisor

import (
	"archive/tar"
	"bufio"
	"bytes"
	"crypto/sha256"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/archive"
)

// tarOf is an archive of members, of files with content.
func tarOf(t *testing.T, members ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range members {
		content := h.Uname // which carries it here
		h.Uname = ""
		if h.Typeflag == tar.TypeReg {
			h.Size = int64(len(content))
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, content[:h.Size]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func everything(names ...string) map[string]bool {
	wanted := make(map[string]bool)
	for _, name := range names {
		wanted[name] = true
	}
	return wanted
}

func TestIndexFindsContent(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", 5000)
	data := tarOf(
		t,
		tar.Header{Typeflag: tar.TypeDir, Name: "d/", Mode: 0o755},
		tar.Header{Typeflag: tar.TypeReg, Name: "d/unwanted", Uname: "xxx"},
		tar.Header{Typeflag: tar.TypeReg, Name: "d/long", Mode: 0o4755, Uname: long},
		tar.Header{Typeflag: tar.TypeReg, Name: strings.Repeat("n", 200), Uname: "long name"},
		tar.Header{Typeflag: tar.TypeReg, Name: "twice", Uname: "first"},
		tar.Header{Typeflag: tar.TypeLink, Name: "link", Linkname: "twice"},
		tar.Header{Typeflag: tar.TypeReg, Name: "twice", Uname: "second"},
		tar.Header{Typeflag: tar.TypeSymlink, Name: "s", Linkname: "../out"},
	)
	r := bytes.NewReader(data)
	index, err := indexTar(t.Context(), r, int64(len(data)), everything("d", "d/long", strings.Repeat("n", 200), "twice", "link", "s", "none"))
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string][]string)
	for name, members := range index {
		for _, m := range members {
			said := string(m.kind) + " " + m.target
			if m.kind == archive.KindFile {
				body, digest, err := m.content(r)
				if err != nil {
					t.Fatal(err)
				}
				text, err := io.ReadAll(io.NewSectionReader(body, 0, m.size))
				if err != nil || sha256.Sum256(text) != digest {
					t.Errorf("%s: %v, or another digest", name, err)
				}
				said = string(text)
			}
			got[name] = append(got[name], said)
		}
	}
	want := map[string][]string{
		"d": {"directory "}, "d/long": {long}, strings.Repeat("n", 200): {"long name"},
		"twice": {"first", "second"}, "link": {"first"}, "s": {"symlink ../out"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if m := index["d/long"][0]; m.mode != 0o4755 {
		t.Errorf("mode %#o", m.mode)
	}
}

// What a guest sends as an archive is refused, or harmless.
func TestIndexOfHostileArchives(t *testing.T) {
	good := tarOf(t, tar.Header{Typeflag: tar.TypeReg, Name: "f", Uname: strings.Repeat("x", 2000)})
	for name, data := range map[string][]byte{
		"a device":            tarOf(t, tar.Header{Typeflag: tar.TypeChar, Name: "f"}),
		"a FIFO":              tarOf(t, tar.Header{Typeflag: tar.TypeFifo, Name: "f"}),
		"a link out":          tarOf(t, tar.Header{Typeflag: tar.TypeLink, Name: "f", Linkname: "/etc/passwd"}),
		"a link to itself":    tarOf(t, tar.Header{Typeflag: tar.TypeLink, Name: "f", Linkname: "f"}),
		"a link to a symlink": tarOf(t, tar.Header{Typeflag: tar.TypeSymlink, Name: "g", Linkname: "x"}, tar.Header{Typeflag: tar.TypeLink, Name: "f", Linkname: "g"}),
		"cut":                 good[:1024],
		"no archive":          bytes.Repeat([]byte("garbage "), 200),
	} {
		t.Run(name, func(t *testing.T) {
			if index, err := indexTar(t.Context(), bytes.NewReader(data), int64(len(data)), everything("f", "g")); err == nil {
				t.Errorf("taken: %v", index)
			}
		})
	}
	index, err := indexTar(t.Context(), bytes.NewReader(good), int64(len(good)), everything("other"))
	if err != nil || len(index) > 0 {
		t.Errorf("what nobody asked for is kept: %v, %v", index, err)
	}
}

func FuzzIndexTar(f *testing.F) {
	f.Add([]byte("garbage"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := bytes.NewReader(data)
		index, err := indexTar(t.Context(), r, int64(len(data)), everything("f", "d/f"))
		if err != nil {
			return
		}
		for name, members := range index {
			for _, m := range members {
				if m.kind == archive.KindFile && m.from+m.size > int64(len(data)) {
					t.Errorf("%q reaches beyond the archive", name)
				}
			}
		}
	})
}

func TestWindowReadsWhatIsThere(t *testing.T) {
	data := make([]byte, 100_000)
	for i := range data {
		data[i] = byte(rand.IntN(256))
	}
	if err := iotest.TestReader(&window{r: bytes.NewReader(data), size: int64(len(data))}, data); err != nil {
		t.Error(err)
	}
}

func TestStampsComeBack(t *testing.T) {
	stamps := []fileStamp{{0, 1, 2, -3, true}, {1, 1 << 60, 1 << 61, 1 << 62, false}, {1000, 0, 0, 0, true}}
	var b bytes.Buffer
	if err := writeStamps(&b, stamps); err != nil {
		t.Fatal(err)
	}
	whole := b.Bytes()
	got, err := readStamps(bufio.NewReader(bytes.NewReader(whole)))
	if diff := cmp.Diff(stamps, got, cmp.AllowUnexported(fileStamp{})); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for n := range whole {
		if _, err := readStamps(bufio.NewReader(bytes.NewReader(whole[:n]))); err == nil {
			t.Errorf("cut after %d bytes it is taken", n)
		}
	}
	if _, err := readStamps(bufio.NewReader(bytes.NewReader(append(whole, 0)))); err == nil {
		t.Error("with a byte behind it is taken")
	}
}

func TestBatchesAreBounded(t *testing.T) {
	f := &fetcher{longest: api.MaxDiffFile}
	var all []difference
	for i := range 3 * batchCount {
		d := difference{path: string(rune(i)), need: needContent, now: &seen{size: 100}}
		switch i % 1000 {
		case 0:
			d.now.size = api.MaxDiffFile
		case 1:
			d.now.size = api.MaxDiffFile + 1 // not fetched
		case 2:
			d.need, d.now = needNothing, nil
		}
		all = append(all, d)
	}
	count := 0
	for batch := range f.batches(all) {
		bytes, files := int64(0), 0
		for i := range batch {
			if batch[i].path != all[count].path {
				t.Fatalf("change %d comes at another place", count)
			}
			count++
			if f.fetches(&batch[i]) {
				bytes, files = bytes+batch[i].now.size, files+1
			}
		}
		if bytes > batchBytes || files > batchCount || files == 0 {
			t.Errorf("a batch of %d files, %d bytes", files, bytes)
		}
	}
	if count != len(all) {
		t.Errorf("%d changes of %d", count, len(all))
	}
}
