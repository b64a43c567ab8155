package patch_test

import (
	"bytes"
	"path"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/patch"
)

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"--- a/x\n+++ b/x\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n",
		"--- /dev/null\n+++ b/../n\n@@ -0,0 +1 @@\n+n\n\\ No newline at end of file\n",
		"diff --git a/x b/p/x\nsimilarity index 100%\nrename from x\nrename to p/x\n",
		"diff --git \"a/\\303\\274\\n\" \"b/\\303\\274\\n\"\nnew file mode 120000\n",
		"diff --git a/empty b/empty\nindex e69de29bb2d1d6434b8b29ae775ad8c2e48c5391..e69de29bb2d1d6434b8b29ae775ad8c2e48c5391\nGIT binary patch\nliteral 0\nHcmV?d00001\n\ndelta 3\nKcmV+b0RR6000031\n\n",
		"diff --git a/link b/link\ndeleted file mode 120000\n--- a/link\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n\\ No newline at end of file\n",
		add("n") + add("out/passwd") + add(".git/x"),
	} {
		f.Add([]byte(seed))
	}
	for seed := range uint64(6) {
		f.Add(makePatch(f, tree{}, first(pair(seed))))
	}
	limits := patch.Limits{Bytes: 1 << 20, Files: 50, Hunks: 100, Result: 1 << 20}
	f.Fuzz(func(t *testing.T, text []byte) {
		changes, err := patch.Plan(text, base(), limits)
		if err != nil {
			if kind := api.KindOf(err); kind == api.Internal || changes != nil || len(err.Error()) > 10_000 || !utf8.ValidString(err.Error()) {
				t.Errorf("error %q of kind %s, with %d changes", err, kind, len(changes))
			}
			return
		}
		total, seen := 0, map[string]bool{}
		for _, c := range changes {
			if path.Clean("/"+c.Path) != "/"+c.Path || c.Path == "" || patch.InGit(c.Path) || strings.HasPrefix(c.Path, "out/") || seen[c.Path] {
				t.Errorf("a change of %q", c.Path)
			}
			seen[c.Path] = true
			total += len(c.Content)
		}
		if int64(total) > limits.Result {
			t.Errorf("%d bytes of content", total)
		}
	})
}

func first(old, _ tree) tree { return old }

func FuzzMake(f *testing.F) {
	f.Add("x", []byte("a\nb\n"), []byte("a\nc"), false, true, byte(0))
	f.Add("ü \n\"\\", []byte("\xff"), []byte(""), true, false, byte(1))
	f.Add("t ", []byte("x"), []byte("y"), false, false, byte(5))
	f.Fuzz(func(t *testing.T, name string, before, after []byte, oldExec, newExec bool, kinds byte) {
		if path.Clean("/"+name) != "/"+name || name == "" || strings.Contains(name, "\x00") || len(name) > 200 || patch.InGit(name) {
			return
		}
		side := func(content []byte, exec bool, kind byte) node {
			switch {
			case kind%4 == 1 && len(content) > 0 && len(content) < 4000 && bytes.IndexByte(content, 0) < 0:
				return link(string(content))
			case kind%4 == 2:
				return node{}
			}
			return node{Kind: patch.File, Exec: exec, Content: string(content)}
		}
		old, new := tree{}, tree{}
		if n := side(before, oldExec, kinds); n.Kind != patch.Absent {
			old[name] = n
		}
		if n := side(after, newExec, kinds/4); n.Kind != patch.Absent {
			new[name] = n
		}
		made := makePatch(t, old, new)
		if !utf8.Valid(made) || (len(made) == 0) != cmp.Equal(old, new) {
			t.Fatalf("patch %q from %v to %v", made, old, new)
		}
		if len(made) == 0 {
			return
		}
		changes, err := patch.Plan(made, old, patch.DefaultLimits)
		if err != nil {
			t.Fatalf("%v\n%s", err, made)
		}
		if diff := cmp.Diff(new, old.applied(changes)); diff != "" {
			t.Fatalf("another tree (-want +got):\n%s\n%s", diff, made)
		}
	})
}
