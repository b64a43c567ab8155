package archive_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/pyro-sandbox/pyro/internal/archive"
)

// block makes a raw ustar or GNU header, for lies that tar.Writer does not tell.
func block(name string, typeflag byte, magic string, edit func(b []byte)) []byte {
	b := make([]byte, 512)
	copy(b, name)
	copy(b[100:], "0000644\x00")
	copy(b[108:], "0000000\x000000000\x0000000000000\x0000000000000\x00")
	b[156] = typeflag
	copy(b[257:], magic)
	if edit != nil {
		edit(b)
	}
	copy(b[148:], "        ")
	sum := 0
	for _, c := range b {
		sum += int(c)
	}
	copy(b[148:], fmt.Sprintf("%06o\x00 ", sum))
	return b
}

const (
	ustar = "ustar\x0000"
	gnu   = "ustar  \x00"
)

func octal(b []byte, at, width int, n int64) { copy(b[at:], fmt.Sprintf("%0*o\x00", width-1, n)) }

// huge writes n in base 256, as GNU tar does for what octal cannot hold.
func huge(b []byte, at, width int, n uint64) {
	for i := range width {
		b[at+width-1-i] = byte(n >> (8 * i))
		if i > 7 {
			b[at+width-1-i] = 0
		}
	}
	b[at] = 0x80
}

// paxed is a member preceded by extended records.
func paxed(records string, m []byte) []byte {
	head := block("pax", tar.TypeXHeader, ustar, func(b []byte) { octal(b, 124, 12, int64(len(records))) })
	body := append([]byte(records), make([]byte, (512-len(records)%512)%512)...)
	return bytes.Join([][]byte{head, body, m}, nil)
}

func record(key, value string) string {
	for n := len(key) + len(value) + 3; ; n++ {
		if r := fmt.Sprintf("%d %s=%s\n", n, key, value); len(r) == n {
			return r
		}
	}
}

func lies() map[string][]byte {
	end := make([]byte, 1024)
	reg := func(size func(b []byte)) []byte { return block("x", tar.TypeReg, gnu, size) }
	sparse := record("GNU.sparse.major", "1") + record("GNU.sparse.minor", "0") + record("GNU.sparse.name", "x")
	return map[string][]byte{
		"8 EiB file":     append(reg(func(b []byte) { huge(b, 124, 12, 1<<63-1) }), end...),
		"8 GiB file":     append(reg(func(b []byte) { octal(b, 124, 12, 1<<33-1) }), end...),
		"negative size":  append(reg(func(b []byte) { copy(b[124:], bytes.Repeat([]byte{0xff}, 12)) }), end...),
		"pax size":       append(paxed(record("size", "9223372036854775807"), reg(nil)), end...),
		"pax size below": append(paxed(record("size", "-1"), reg(nil)), end...),
		"pax of 1 GB":    append(block("pax", tar.TypeXHeader, ustar, func(b []byte) { octal(b, 124, 12, 1<<30) }), make([]byte, 1<<20)...),
		"pax name NUL":   append(paxed(record("path", "a\x00b"), reg(nil)), end...),
		"long name 1 GB": append(block("n", tar.TypeGNULongName, gnu, func(b []byte) { octal(b, 124, 12, 1<<30) }), make([]byte, 1<<20)...),
		"old GNU sparse 8 EiB": append(block("x", tar.TypeGNUSparse, gnu, func(b []byte) {
			huge(b, 386, 12, 1<<62)
			huge(b, 483, 12, 1<<62)
		}), end...),
		"old GNU sparse hole of 8 EiB": append(block("x", tar.TypeGNUSparse, gnu, func(b []byte) { huge(b, 483, 12, 1<<62) }), end...),
		"sparse map of 10^9": append(paxed(sparse+record("GNU.sparse.realsize", "1099511627776"), block("x", tar.TypeReg, ustar, func(b []byte) {
			octal(b, 124, 12, 512)
		})), append([]byte("1000000000\n"+strings.Repeat("0\n0\n", 125)), end...)...),
		"sparse hole of 1 TiB": append(paxed(sparse+record("GNU.sparse.realsize", "1099511627776"), block("x", tar.TypeReg, ustar, func(b []byte) {
			octal(b, 124, 12, 512)
		})), append(append([]byte("0\n"), make([]byte, 510)...), end...)...),
		"sparse map in 0.1": append(paxed(record("GNU.sparse.numblocks", "1000000000")+record("GNU.sparse.map", "0,0")+
			record("GNU.sparse.size", "1099511627776"), reg(nil)), end...),
	}
}

// allocated tells how many bytes do took from the heap in all, an upper bound of
// what it held at once.
func allocated(do func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestUnpackBelievesNoSize(t *testing.T) {
	for name, data := range lies() {
		t.Run(name, func(t *testing.T) {
			a := newArena(t)
			root := a.open(t)
			opts := everything
			opts.Limits.Bytes = 1 << 20
			var err error
			if n := allocated(func() { _, err = archive.Unpack(t.Context(), bytes.NewReader(data), root, opts) }); n > 32<<20 {
				t.Errorf("%d bytes allocated", n)
			}
			if err == nil {
				t.Error("it was taken")
			}
			a.check(t)
		})
	}
}

// FuzzUnpack: whatever the bytes, nothing outside the root changes, and memory stays
// bounded.
func FuzzUnpack(f *testing.F) {
	for _, data := range lies() {
		if len(data) < 64<<10 { // large ones make it slow
			f.Add(data)
		}
	}
	whole := tarball(f, directory("d"), file("d/f", "x"), symlink("l", "../outside"), file("l/canary", "changed"), hardLink("h", "d/f"))
	f.Add(whole)
	f.Add(compressed(f, func(w io.Writer) error { _, err := w.Write(whole); return err }))
	for _, data := range xzSamples(f) {
		f.Add(data)
	}
	for _, data := range zstdSamples(f) {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		a := newArena(t)
		root := a.open(t)
		opts := everything
		opts.Limits = archive.Limits{Entries: 100, Bytes: 1 << 20}
		n := allocated(func() { _, _ = archive.Unpack(t.Context(), bytes.NewReader(data), root, opts) })
		// A zstd window may be large, and each one that is larger is a new one.
		if n > 256<<20 && !bytes.Contains(data, []byte{0x28, 0xb5, 0x2f, 0xfd}) || n > 4<<30 {
			t.Errorf("%d bytes allocated", n)
		}
		a.check(t)
	})
}
