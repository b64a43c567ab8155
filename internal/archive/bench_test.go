package archive_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/pyro-sandbox/pyro/internal/archive"
)

// project is a tree like one that is pushed: 10,000 files of 20 kB each, in 500
// directories.
func project(b *testing.B) *archive.Root {
	b.Helper()
	base := b.TempDir()
	content := bytes.Repeat([]byte("package x // and so on\n"), 900)
	for i := range 10_000 {
		dir := filepath.Join(base, fmt.Sprintf("pkg%d/sub%d", i/400, i/20))
		if i%20 == 0 {
			must(b, os.MkdirAll(dir, 0o755))
		}
		must(b, os.WriteFile(filepath.Join(dir, fmt.Sprintf("file%d.go", i)), content[:20_000+i%500], 0o644))
	}
	root, err := archive.OpenRoot(base)
	must(b, err)
	b.Cleanup(func() { _ = root.Close() })
	return root
}

func packed(b *testing.B) []byte {
	b.Helper()
	var out bytes.Buffer
	_, _, err := archive.Pack(b.Context(), &out, project(b), "", archive.PackOptions{})
	must(b, err)
	return out.Bytes()
}

func BenchmarkPack(b *testing.B) {
	root := project(b)
	b.ReportAllocs()
	for b.Loop() {
		counts, _, err := archive.Pack(b.Context(), io.Discard, root, "", archive.PackOptions{})
		must(b, err)
		b.SetBytes(counts.Bytes)
	}
}

func BenchmarkWalk(b *testing.B) {
	root := project(b)
	b.ReportAllocs()
	for b.Loop() {
		must(b, archive.Walk(b.Context(), root, "", archive.PackOptions{}, func(string, archive.Info) error { return nil }))
	}
}

func BenchmarkIndex(b *testing.B) {
	data := packed(b)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		_, err := archive.Index(b.Context(), bytes.NewReader(data), archive.Limits{}, func(archive.Entry) error { return nil })
		must(b, err)
	}
}

func BenchmarkRepack(b *testing.B) {
	data := packed(b)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		_, err := archive.Repack(b.Context(), io.Discard, bytes.NewReader(data), archive.RepackOptions{})
		must(b, err)
	}
}

func BenchmarkUnpack(b *testing.B) {
	data := packed(b)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		dir := b.TempDir()
		root, err := archive.OpenRoot(dir)
		must(b, err)
		_, err = archive.Unpack(b.Context(), bytes.NewReader(data), root, everything)
		must(b, err)
		b.StopTimer()
		must(b, root.Close())
		must(b, os.RemoveAll(dir))
		b.StartTimer()
	}
}
