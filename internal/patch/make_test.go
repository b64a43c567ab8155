package patch_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/internal/patch"
)

func TestSections(t *testing.T) {
	exec := node{Kind: patch.File, Exec: true, Content: "a\n"}
	const a, b, empty, none = "78981922613b2afb6025042ff6bd878ac1994e85", "61780798228d17af2d34fce4cfbdf35556832472", "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391", "0000000000000000000000000000000000000000"
	tests := map[string]struct {
		name, git, text string
		old, new        node
		status          patch.Status
		ins, del        int
		binary          bool
	}{
		"nothing":   {old: file("a\n"), new: file("a\n")},
		"never was": {},
		"changed": {
			old: file("a\n"), new: file("b\n"), status: patch.Modified, ins: 1, del: 1,
			git:  "diff --git a/x b/x\nindex " + a + ".." + b + " 100644\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n",
			text: "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n",
		},
		"added": {
			new: exec, status: patch.Added, ins: 1,
			git:  "diff --git a/x b/x\nnew file mode 100755\nindex " + none + ".." + a + "\n--- /dev/null\n+++ b/x\n@@ -0,0 +1 @@\n+a\n",
			text: "--- /dev/null\n+++ b/x\n@@ -0,0 +1 @@\n+a\n",
		},
		"deleted": {
			old: file("a\n"), status: patch.Deleted, del: 1,
			git:  "diff --git a/x b/x\ndeleted file mode 100644\nindex " + a + ".." + none + "\n--- a/x\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n",
			text: "--- a/x\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n",
		},
		"added empty":         {new: file(""), status: patch.Added, git: "diff --git a/x b/x\nnew file mode 100644\nindex " + none + ".." + empty + "\n"},
		"mode":                {old: file("a\n"), new: exec, status: patch.Modified, git: "diff --git a/x b/x\nold mode 100644\nnew mode 100755\n"},
		"final newline taken": {old: file("a\n"), new: file("a"), status: patch.Modified, ins: 1, del: 1, git: "diff --git a/x b/x\nindex " + a + "..2e65efe2a145dda7ee51d1741299f848e5bf752e 100644\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+a\n\\ No newline at end of file\n", text: "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+a\n\\ No newline at end of file\n"},
		"link": {
			old: link("a\n"), new: link("b\n"), status: patch.Modified, ins: 1, del: 1,
			git: "diff --git a/x b/x\nindex " + a + ".." + b + " 120000\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n",
		},
		"type": {
			old: file("a\n"), new: link("b\n"), status: patch.TypeChanged, ins: 1, del: 1,
			git: "diff --git a/x b/x\ndeleted file mode 100644\nindex " + a + ".." + none + "\n--- a/x\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n" +
				"diff --git a/x b/x\nnew file mode 120000\nindex " + none + ".." + b + "\n--- /dev/null\n+++ b/x\n@@ -0,0 +1 @@\n+b\n",
		},
		"odd name": {
			name: "tab\tü\xff", new: file(""), status: patch.Added,
			git: "diff --git \"a/tab\\tü\\377\" \"b/tab\\tü\\377\"\nnew file mode 100644\nindex " + none + ".." + empty + "\n",
		},
		"blank in a name": {
			name: "my file", new: file("a\n"), status: patch.Added, ins: 1,
			git:  "diff --git a/my file b/my file\nnew file mode 100644\nindex " + none + ".." + a + "\n--- /dev/null\n+++ b/my file\t\n@@ -0,0 +1 @@\n+a\n",
			text: "--- /dev/null\n+++ b/my file\n@@ -0,0 +1 @@\n+a\n",
		},
		"binary": {
			old: file("\x00"), new: file(""), status: patch.Modified, binary: true,
		},
		"far apart": {
			old: file("1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n"), new: file("1\nX\n3\n4\n5\n6\n7\n8\n9\n10\nY\n12\n"), status: patch.Modified, ins: 2, del: 2,
			text: "--- a/x\n+++ b/x\n@@ -1,5 +1,5 @@\n 1\n-2\n+X\n 3\n 4\n 5\n@@ -8,5 +8,5 @@\n 8\n 9\n 10\n-11\n+Y\n 12\n",
		},
		"near": {
			old: file("1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n"), new: file("1\nX\n3\n4\n5\n6\n7\n8\nY\n10\n"), status: patch.Modified, ins: 2, del: 2,
			text: "--- a/x\n+++ b/x\n@@ -1,10 +1,10 @@\n 1\n-2\n+X\n 3\n 4\n 5\n 6\n 7\n 8\n-9\n+Y\n 10\n",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if test.name == "" {
				test.name = "x"
			}
			var m patch.Maker
			d, err := m.Compare(test.name, test.old.side(), test.new.side())
			if err != nil {
				t.Fatal(err)
			}
			if d.Status != test.status || d.Insertions != test.ins || d.Deletions != test.del || d.Binary != test.binary {
				t.Errorf("delta %q +%d -%d binary %v, want %q +%d -%d %v", d.Status, d.Insertions, d.Deletions, d.Binary, test.status, test.ins, test.del, test.binary)
			}
			var gitForm, text bytes.Buffer
			if err := errors.Join(d.WriteGit(&gitForm), d.WriteText(&text)); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.text, text.String()); diff != "" {
				t.Errorf("text (-want +got):\n%s", diff)
			}
			if test.git == "" && test.status != patch.Unchanged {
				return // git itself and the plan read it in other tests
			}
			if diff := cmp.Diff(test.git, gitForm.String()); diff != "" {
				t.Errorf("git form (-want +got):\n%s", diff)
			}
		})
	}
}

// TestLongFilesComeBack has inputs beyond what is compared exactly.
func TestLongFilesComeBack(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	distinct := make([]string, 30_000)
	for i := range distinct {
		distinct[i] = fmt.Sprint("line ", i, " ", r.Uint64())
	}
	edited := append([]string(nil), distinct...)
	for range 500 {
		edited[r.IntN(len(edited))] = fmt.Sprint("edit ", r.Uint64())
	}
	text := func(lines []string) string { return strings.Join(lines, "\n") + "\n" }
	tests := map[string]struct {
		old, new string
		most     int // insertions
	}{
		"few edits":        {text(distinct), text(edited), 600},
		"nothing the same": {text(distinct), strings.ToUpper(text(distinct)), 30_000},
		"few words":        {text(few(r, 60_000)), text(few(r, 60_000)), 60_000},
		"cut at the end":   {text(distinct), text(distinct[:20_000]), 0},
		"too many lines":   {strings.Repeat("\n", 600_000), "x\n" + strings.Repeat("\n", 600_000) + "y\n", 600_002},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var m patch.Maker
			old, new := tree{"x": file(test.old)}, tree{"x": file(test.new)}
			d, err := m.Compare("x", old["x"].side(), new["x"].side())
			if err != nil {
				t.Fatal(err)
			}
			if d.Insertions > test.most {
				t.Errorf("%d insertions, want at most %d", d.Insertions, test.most)
			}
			changes, err := patch.Plan(makePatch(t, old, new), old, patch.DefaultLimits)
			if err != nil {
				t.Fatal(err)
			}
			if got := old.applied(changes); got["x"].Content != test.new {
				t.Errorf("the file comes back with %d bytes, want %d", len(got["x"].Content), len(test.new))
			}
		})
	}
}

// TestHugeFilesAreBinary has a text that is not held in memory.
func TestHugeFilesAreBinary(t *testing.T) {
	const size = patch.MaxText + 1
	huge := patch.FileAt(0o644, io.NewSectionReader(zeroAt{}, 0, size), size)
	var m patch.Maker
	var d *patch.Delta
	used := allocated(func() {
		var err error
		if d, err = m.Compare("huge", patch.Side{}, huge); err == nil {
			err = d.WriteGit(io.Discard)
		}
		if err != nil {
			t.Error(err)
		}
	})
	if !d.Binary || used > patch.MaxText/2 {
		t.Errorf("binary %v, %d bytes of memory", d.Binary, used)
	}
	if d, err := m.Compare("huge", huge, huge); err != nil || d.Status != patch.Unchanged {
		t.Errorf("the same content is %q, %v", d.Status, err)
	}
}

type zeroAt struct{}

func (zeroAt) ReadAt(p []byte, _ int64) (int, error) {
	for i := range p {
		p[i] = '\n'
	}
	return len(p), nil
}

func TestCompareTellsShortContent(t *testing.T) {
	short := patch.FileAt(0o644, strings.NewReader("abc"), 10)
	var m patch.Maker
	if _, err := m.Compare("x", patch.Bytes(0o644, nil), short); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("Compare: %v, want an early end", err)
	}
	long := patch.FileAt(0o644, strings.NewReader("abc"), patch.MaxText+1)
	d, err := m.Compare("x", patch.Side{}, long)
	if err == nil {
		err = d.WriteGit(io.Discard)
	}
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("Compare and write: %v, want an early end", err)
	}
}

func TestWritersTellErrors(t *testing.T) {
	var m patch.Maker
	d, err := m.Compare("x", patch.Side{}, patch.Bytes(0o644, bytes.Repeat([]byte("line\n"), 10_000)))
	if err != nil {
		t.Fatal(err)
	}
	reader, w := io.Pipe()
	broken := errors.New("broken")
	if err := reader.CloseWithError(broken); err != nil {
		t.Fatal(err)
	}
	for name, write := range map[string]func(io.Writer) error{"git": d.WriteGit, "text": d.WriteText} {
		if err := write(w); !errors.Is(err, broken) {
			t.Errorf("%s form: %v, want %v", name, err, broken)
		}
	}
}

func TestInGit(t *testing.T) {
	for path, want := range map[string]bool{
		".git": true, "a/.git/b": true, ".GIT/x": true, ".g\u200ci\ufefft": true, "GIT~1": true, ".git ": true, ".git...": true, ".git:x": true,
		"git": false, ".gitignore": false, "a.git": false, ".github/x": false, "git~2": false, "x/.gi": false,
	} {
		if got := patch.InGit(path); got != want {
			t.Errorf("InGit(%q) = %v, want %v", path, got, want)
		}
	}
}
