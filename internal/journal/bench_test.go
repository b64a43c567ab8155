package journal

import (
	"strings"
	"testing"
)

func BenchmarkBeginEnd(b *testing.B) {
	for name, size := range map[string]int{"short": 100, "64KiB": 64 << 10} {
		b.Run(name, func(b *testing.B) {
			j := openJournal(b, b.TempDir())
			e := ended(1)
			e.Stdout = strings.Repeat("compiling something\n", size/20)
			for b.Loop() {
				e.Sequence++
				begin(b, j, e)
				end(b, j, e)
			}
		})
	}
}

// The last command of a full history, and all of it.
func BenchmarkRead(b *testing.B) {
	dir := b.TempDir()
	j := openJournal(b, dir)
	e := ended(1)
	e.Stdout = strings.Repeat("compiling something\n", 5000)
	for e.Sequence = 1; e.Sequence <= 500; e.Sequence++ {
		begin(b, j, e)
		end(b, j, e)
	}
	for name, last := range map[string]int{"last": 1, "all": 0} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := Read(dir, last, All); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
