package archive_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/pyro-sandbox/pyro/internal/archive"
)

// readers are all ways in which a foreign archive is read.
var readers = map[string]func(ctx context.Context, r io.Reader, to *archive.Root, limits archive.Limits) (archive.Counts, error){
	"Unpack": func(ctx context.Context, r io.Reader, to *archive.Root, limits archive.Limits) (archive.Counts, error) {
		opts := everything
		opts.Limits = limits
		return archive.Unpack(ctx, r, to, opts)
	},
	"Repack": func(ctx context.Context, r io.Reader, _ *archive.Root, limits archive.Limits) (archive.Counts, error) {
		opts := anything
		opts.Limits = limits
		return archive.Repack(ctx, io.Discard, r, opts)
	},
	"Index": func(ctx context.Context, r io.Reader, _ *archive.Root, limits archive.Limits) (archive.Counts, error) {
		return archive.Index(ctx, r, limits, nothing)
	},
}

// again gives the same bytes so many times.
func again(data []byte, times int) io.Reader {
	at := 0
	return readerFunc(func(p []byte) (int, error) {
		if at == len(data)*times {
			return 0, io.EOF
		}
		n := copy(p, data[at%len(data):])
		at += n
		return n, nil
	})
}

func TestMillionEmptyFilesMeetTheCap(t *testing.T) {
	for name, read := range readers {
		t.Run(name, func(t *testing.T) {
			limits, limit := archive.Limits{}, 200_000
			if name == "Unpack" { // which makes them
				limits, limit = archive.Limits{Entries: 1000}, 1000
			}
			root := newArena(t).open(t)
			counts, err := read(t.Context(), again(block("x", tar.TypeReg, ustar, nil), 1_000_000), root, limits)
			if !errors.Is(err, archive.ErrLimit) || counts.Entries != limit {
				t.Errorf("%+v, %v", counts, err)
			}
		})
	}
}

func TestHundredThousandEntriesAreTaken(t *testing.T) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	entries := 100_000
	if testing.Short() {
		entries = 2000
	}
	for i := range entries {
		must(t, w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: fmt.Sprintf("./d%d/e%d/f%d", i/1000, i%10, i), Mode: 0o644}))
	}
	must(t, w.Close())
	n := allocated(func() {
		counts, err := archive.Repack(t.Context(), io.Discard, bytes.NewReader(out.Bytes()), anything)
		if err != nil || counts.Entries != entries {
			t.Errorf("%+v, %v", counts, err)
		}
	})
	if n > 128<<20 { // in all; far less at once
		t.Errorf("%d bytes allocated", n)
	}
	clean, _, err := repack(t, out.Bytes(), anything)
	must(t, err)
	counts, err := archive.Index(t.Context(), bytes.NewReader(clean), archive.Limits{}, nothing)
	if err != nil || counts.Entries != entries {
		t.Errorf("%+v, %v", counts, err)
	}
}

// TestBombsStopAtTheRatio: only once a gigabyte came out, as less may be ordinary.
func TestBombsStopAtTheRatio(t *testing.T) {
	tests := map[string]struct {
		size   int64
		limits archive.Limits
		want   error
	}{
		"under a gigabyte":  {1<<30 - 1<<17, archive.Limits{}, archive.ErrFormat}, // as its end is missing
		"over it":           {2 << 30, archive.Limits{}, archive.ErrLimit},
		"a ratio of choice": {1<<30 + 1<<20, archive.Limits{Ratio: 40_000}, archive.ErrFormat},
		"bytes come first":  {2 << 30, archive.Limits{Bytes: 1 << 20}, archive.ErrLimit},
	}
	if testing.Short() { // the others decode a gigabyte each
		delete(tests, "under a gigabyte")
		delete(tests, "a ratio of choice")
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var written counter
			opts := anything
			opts.Limits = test.limits
			_, err := archive.Repack(t.Context(), &written, zstdZeros(test.size), opts)
			if !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
			if written > 1<<30+1<<20+4096 || test.limits.Bytes > 0 && int64(written) > test.limits.Bytes {
				t.Errorf("%d bytes were written", written)
			}
		})
	}
}

type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

func TestRepackAndIndexBelieveNoSize(t *testing.T) {
	for name, data := range lies() {
		for reader, read := range readers {
			t.Run(name+" "+reader, func(t *testing.T) {
				root := newArena(t).open(t)
				var err error
				n := allocated(func() { _, err = read(t.Context(), bytes.NewReader(data), root, archive.Limits{Bytes: 1 << 20}) })
				if err == nil || n > 32<<20 {
					t.Errorf("got %v, and %d bytes allocated", err, n)
				}
			})
		}
	}
}

func TestRepackAndIndexRefuseDamage(t *testing.T) {
	whole := tarball(t, file("a", "content"), directory("d"), symlink("l", "a"))
	sum := bytes.Clone(whole)
	sum[0] ^= 1
	for name, data := range map[string][]byte{
		"nothing": nil, "check sum": sum, "two archives": append(bytes.Clone(whole), whole...), "garbage after": append(bytes.Clone(whole), "x"...),
		"no end": whole[:len(whole)-1024], "half a header": whole[:700], "half a file": whole[:515], "one byte short": whole[:len(whole)-1],
		"twice compressed": compressed(t, func(w io.Writer) error {
			_, err := w.Write(compressed(t, func(w io.Writer) error { _, err := w.Write(whole); return err }))
			return err
		}),
		"zstd in gzip": compressed(t, func(w io.Writer) error { _, err := w.Write(zstdSample(t, whole)); return err }),
	} {
		for reader, read := range readers {
			if _, err := read(t.Context(), bytes.NewReader(data), newArena(t).open(t), archive.Limits{}); !errors.Is(err, archive.ErrFormat) {
				t.Errorf("%s by %s: got %v, want ErrFormat", name, reader, err)
			}
		}
	}
}

// FuzzRepack: what comes out is an archive that everybody takes, and all agree on
// what is in it.
func FuzzRepack(f *testing.F) {
	for _, data := range lies() {
		if len(data) < 64<<10 {
			f.Add(data)
		}
	}
	for _, test := range refused() {
		f.Add(tarball(f, test.members...))
	}
	f.Add(tarball(f, directory("./"), file("./a/f", "1"), hardLink("h", "./a/f"), symlink("l", "/x"), file("a/f", "2"), directory("a")))
	for _, data := range zstdSamples(f) {
		f.Add(data)
	}
	limits := archive.Limits{Entries: 100, Bytes: 1 << 20}
	f.Fuzz(func(t *testing.T, data []byte) {
		opts := anything
		opts.Limits, opts.Specials = limits, archive.SpecialsSkipped
		clean, repacked, err := repack(t, data, opts)
		if err != nil {
			return
		}
		indexed, err := archive.Index(t.Context(), bytes.NewReader(clean), limits, nothing)
		if err != nil {
			t.Fatalf("it cannot be indexed: %v", err)
		}
		a := newArena(t)
		unpacked, err := a.unpack(t, clean, archive.UnpackOptions{Links: archive.LinksAsData, Limits: limits})
		if err != nil {
			t.Fatalf("it cannot be unpacked: %v", err)
		}
		repacked.Skipped = 0
		if indexed != repacked || unpacked != repacked {
			t.Errorf("repacked %+v, indexed %+v, unpacked %+v", repacked, indexed, unpacked)
		}
		a.check(t)
	})
}
