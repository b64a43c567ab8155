package patch_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/pyro-sandbox/pyro/internal/patch"
)

func BenchmarkCompare(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	text := func(words, size int) string {
		var out strings.Builder
		for out.Len() < size {
			fmt.Fprintf(&out, "%d of some words in a line\n", r.IntN(words))
		}
		return out.String()
	}
	code := text(1<<40, 1<<20)
	edited := strings.ReplaceAll(code, "77", "78")
	for name, pair := range map[string][2]string{
		"1MB-edited":       {code, edited},
		"1MB-random":       {text(20, 1<<20), text(20, 1<<20)},
		"1MB-short-lines":  {strings.Join(few(r, 1<<19), "\n"), strings.Join(few(r, 1<<19), "\n")},
		"8000-lines-worst": {strings.Join(few(r, 4000), "\n"), strings.Join(few(r, 4000), "\n")},
		"1MB-binary":       {"\x00" + code, "\x00" + edited},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var m patch.Maker
				d, err := m.Compare("x", patch.Bytes(0o644, []byte(pair[0])), patch.Bytes(0o644, []byte(pair[1])))
				if err == nil {
					err = d.WriteGit(io.Discard)
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// flat is a tree without the search for directories of tree.
type flat struct{ tree }

func (f flat) Lstat(path string) (patch.Info, error) {
	if n, is := f.tree[path]; is {
		return patch.Info{Kind: n.Kind, Size: int64(len(n.Content)), Mode: 0o644}, nil
	}
	return patch.Info{Kind: patch.Directory}, nil
}

func BenchmarkPlan(b *testing.B) {
	old, new := tree{}, tree{}
	for i := range 1000 {
		path := fmt.Sprintf("dir%d/file%d", i%30, i)
		text := strings.Repeat(fmt.Sprintf("line of %d\n", i), 200)
		old[path], new[path] = file(text+"end\n"), file("begin\n"+text+"END\n")
	}
	made := makePatch(b, old, new)
	for b.Loop() {
		if _, err := patch.Plan(made, flat{old}, patch.DefaultLimits); err != nil {
			b.Fatal(err)
		}
	}
}
