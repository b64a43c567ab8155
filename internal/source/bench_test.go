package source

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/pyro-sandbox/pyro/internal/testgate"
)

// manyFiles makes 10,000 files of 20 KiB in 100 directories, 200 MB.
func manyFiles(b *testing.B) string {
	b.Helper()
	dir := b.TempDir()
	content := make([]byte, 20<<10)
	for i := range 100 {
		sub := filepath.Join(dir, fmt.Sprintf("d%02d", i))
		must(b, os.Mkdir(sub, 0o755))
		for j := range 100 {
			must(b, os.WriteFile(filepath.Join(sub, fmt.Sprintf("f%02d", j)), content, 0o600))
		}
	}
	return dir
}

func BenchmarkEntriesOf10000Files(b *testing.B) {
	dir := manyFiles(b)
	b.ReportAllocs()
	for _, exclude := range [][]string{nil, {"node_modules/", "*.o", "/build", "**/x/*.log"}} {
		b.Run(fmt.Sprintf("patterns=%d", len(exclude)), func(b *testing.B) {
			for b.Loop() {
				entries, _, err := open(b, dir, Options{Exclude: exclude}).Entries(b.Context())
				if err != nil || len(entries) != 10_100 {
					b.Fatal(len(entries), err)
				}
			}
		})
	}
}

func BenchmarkPackOf10000Files(b *testing.B) {
	dir := manyFiles(b)
	b.Run("pyro", func(b *testing.B) {
		b.SetBytes(10_000 * 20 << 10)
		for b.Loop() {
			_, err := open(b, dir, Options{}).Pack(b.Context(), io.Discard)
			must(b, err)
		}
	})
	b.Run("tar", func(b *testing.B) {
		_, err := exec.LookPath("tar")
		testgate.Require(b, testgate.Tool, err)
		b.SetBytes(10_000 * 20 << 10)
		for b.Loop() {
			cmd := exec.CommandContext(b.Context(), "tar", "-c", "-C", dir, ".")
			cmd.Stdout = discard{} // a pipe: tar reads nothing when it writes to /dev/null
			must(b, cmd.Run())
		}
	})
}

// discard is no file, and has no ReadFrom.
type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
