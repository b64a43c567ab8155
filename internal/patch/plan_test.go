package patch_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/patch"
)

func file(content string) node { return node{Kind: patch.File, Content: content} }

func link(target string) node { return node{Kind: patch.Symlink, Content: target} }

// base is what the tables patch.
func base() tree {
	return tree{
		"x":        file("one\ntwo\nthree\n"),
		"dir/y":    file("y\n"),
		"sql":      file("-- a\n-- b\nc\n"),
		"blank":    file("a\n\nb\n"),
		"crlf":     file("a\r\nb\r\n"),
		"no eol":   file("a\nb"),
		"empty":    file(""),
		"run":      {Kind: patch.File, Exec: true, Content: "#!\n"},
		"out":      link("/etc"),
		"link":     link("x"),
		"repeated": file("h\na\nb\nc\nd\ne\nf\ng\na\nb\nc\nz\n"),
	}
}

func TestPlanForms(t *testing.T) {
	tests := map[string]struct {
		patch string
		want  map[string]string // what is other than in base; "-" is gone
	}{
		"plain": {"--- a/x\n+++ b/x\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n", map[string]string{"x": "one\n2\nthree\n"}},
		"absolute, with times": {
			"--- /workspace/x\t2024-01-01 00:00:00\n+++ /workspace/x\tnow\n@@ -2 +2 @@\n-two\n+2\n",
			map[string]string{"x": "one\n2\nthree\n"},
		},
		"add by /dev/null":    {"--- /dev/null\n+++ b/new\n@@ -0,0 +1 @@\n+n\n", map[string]string{"new": "n\n"}},
		"add by the time 0":   {"--- new\t1970-01-01 00:00:00.000000000 +0000\n+++ new\t2024-01-01 00:00:00 +0000\n@@ -0,0 +1 @@\n+n\n", map[string]string{"new": "n\n"}},
		"add, both named":     {"--- a/new\n+++ b/new\n@@ -0,0 +1 @@\n+n\n", map[string]string{"new": "n\n"}},
		"add to an empty one": {"--- a/empty\n+++ b/empty\n@@ -0,0 +1 @@\n+n\n", map[string]string{"empty": "n\n"}},
		"add in a new folder": {"--- /dev/null\n+++ b/p/q/new\n@@ -0,0 +1 @@\n+n\n", map[string]string{"p/q/new": "n\n"}},
		"delete":              {"--- a/dir/y\n+++ /dev/null\n@@ -1 +0,0 @@\n-y\n", map[string]string{"dir/y": "-"}},
		"commit message":      {"From 1234\nSubject: x\n\n - a list\n + b\n---\n x | 2 +-\n\ndiff --git a/x b/x\nindex 1..2 100644\n--- a/x\n+++ b/x\n@@ -2 +2 @@\n-two\n+2\n-- \n2.39.5\n\n", map[string]string{"x": "one\n2\nthree\n"}},
		"as diff prints":      {"[workspace-diff] workspace_id=w total=1\n--- a/x\n+++ b/x\n@@ -2 +2 @@\n-two\n+2\n", map[string]string{"x": "one\n2\nthree\n"}},
		"final newline lost":  {"--- a/x\n+++ b/x\n@@ -2 +2 @@\n-two\n+2", map[string]string{"x": "one\n2\nthree\n"}},
		"removed line -- a":   {"--- a/sql\n+++ b/sql\n@@ -1,3 +1,1 @@\n--- a\n--- b\n c\n", map[string]string{"sql": "c\n"}},
		"added line ++ a":     {"--- a/x\n+++ b/x\n@@ -3 +3,3 @@\n three\n+-- a\n+++ b/q\n", map[string]string{"x": "one\ntwo\nthree\n-- a\n++ b/q\n"}},
		"bare blank context":  {"--- a/blank\n+++ b/blank\n@@ -1,3 +1,3 @@\n a\n\n-b\n+B\n", map[string]string{"blank": "a\n\nB\n"}},
		"insert without context": {
			"--- a/x\n+++ b/x\n@@ -2,0 +3 @@\n+2.5\n", map[string]string{"x": "one\ntwo\n2.5\nthree\n"},
		},
		"insert at the top":     {"--- a/x\n+++ b/x\n@@ -0,0 +1 @@\n+0\n", map[string]string{"x": "0\none\ntwo\nthree\n"}},
		"remove, no context":    {"--- a/x\n+++ b/x\n@@ -2 +1,0 @@\n-two\n", map[string]string{"x": "one\nthree\n"}},
		"lines end in CR LF":    {"--- a/crlf\r\n+++ b/crlf\r\n@@ -1,2 +1,2 @@\r\n a\r\n-b\r\n+B\r\n", map[string]string{"crlf": "a\r\nB\r\n"}},
		"newline added at end":  {"--- a/no eol\n+++ b/no eol\n@@ -1,2 +1,2 @@\n a\n-b\n\\ No newline at end of file\n+b\n", map[string]string{"no eol": "a\nb\n"}},
		"newline taken at end":  {"--- a/x\n+++ b/x\n@@ -3 +3 @@\n-three\n+three\n\\ Kein Zeilenumbruch am Dateiende.\n", map[string]string{"x": "one\ntwo\nthree"}},
		"moved to one place":    {"--- a/repeated\n+++ b/repeated\n@@ -2,3 +2,3 @@\n d\n-e\n+E\n f\n", map[string]string{"repeated": "h\na\nb\nc\nd\nE\nf\ng\na\nb\nc\nz\n"}},
		"two hunks":             {"--- a/repeated\n+++ b/repeated\n@@ -1 +1 @@\n-h\n+H\n@@ -12 +12,2 @@\n-z\n+y\n+z\n", map[string]string{"repeated": "H\na\nb\nc\nd\ne\nf\ng\na\nb\nc\ny\nz\n"}},
		"mode only":             {"diff --git a/x b/x\nold mode 100644\nnew mode 100755\n", map[string]string{"x": "x:one\ntwo\nthree\n"}},
		"new empty":             {"diff --git a/e 2 b/e 2\nnew file mode 100755\nindex 0000000..e69de29\n", map[string]string{"e 2": "x:"}},
		"delete empty":          {"diff --git a/empty b/empty\ndeleted file mode 100644\nindex e69de29..0000000\n", map[string]string{"empty": "-"}},
		"rename":                {"diff --git a/x b/p/x\nsimilarity index 100%\nrename from x\nrename to p/x\n", map[string]string{"x": "-", "p/x": "one\ntwo\nthree\n"}},
		"rename of a link":      {"diff --git a/link b/l2\nsimilarity index 100%\nrename from link\nrename to l2\n", map[string]string{"link": "-", "l2": "->x"}},
		"copy":                  {"diff --git a/run b/run2\nsimilarity index 90%\ncopy from run\ncopy to run2\nindex 1..2 100755\n--- a/run\n+++ b/run2\n@@ -1 +1,2 @@\n #!\n+x\n", map[string]string{"run2": "x:#!\nx\n"}},
		"two names exchanged":   {"diff --git a/x b/dir/y\nsimilarity index 100%\nrename from x\nrename to dir/y\ndiff --git a/dir/y b/x\nsimilarity index 100%\nrename from dir/y\nrename to x\n", map[string]string{"x": "y\n", "dir/y": "one\ntwo\nthree\n"}},
		"link to file":          {"diff --git a/link b/link\ndeleted file mode 120000\n--- a/link\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n\\ No newline at end of file\ndiff --git a/link b/link\nnew file mode 100644\n--- /dev/null\n+++ b/link\n@@ -0,0 +1 @@\n+l\n", map[string]string{"link": "l\n"}},
		"link to folder":        {"diff --git a/link/f b/link/f\nnew file mode 100644\n--- /dev/null\n+++ b/link/f\n@@ -0,0 +1 @@\n+l\ndiff --git a/link b/link\ndeleted file mode 120000\n--- a/link\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n\\ No newline at end of file\n", map[string]string{"link": "-", "link/f": "l\n"}},
		"folder to file":        {"--- a/dir/y\n+++ /dev/null\n@@ -1 +0,0 @@\n-y\n--- /dev/null\n+++ b/dir\n@@ -0,0 +1 @@\n+d\n", map[string]string{"dir/y": "-", "dir": "d\n"}},
		"quoted, ends in \\":    {"diff --git \"a/end\\\\\" \"b/end\\\\\"\nnew file mode 100644\n", map[string]string{`end\`: ""}},
		"quoted with letters":   {"diff --git \"a/\\303\\274\\n\\t\\\"\" \"b/\\303\\274\\n\\t\\\"\"\nnew file mode 100644\n", map[string]string{"ü\n\t\"": ""}},
		"no prefix, folder a":   {"diff --git a/x a/x\nnew file mode 100644\n--- /dev/null\n+++ a/x\n@@ -0,0 +1 @@\n+n\n", map[string]string{"a/x": "n\n"}},
		"rest after the counts": {"--- a/x\n+++ b/x\n@@ -2 +2 @@ func x() {\n-two\n+2\n\nBye\n", map[string]string{"x": "one\n2\nthree\n"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			changes, err := patch.Plan([]byte(test.patch), base(), patch.DefaultLimits)
			if err != nil {
				t.Fatal(err)
			}
			want := base()
			for path, content := range test.want {
				want.set(path, content)
			}
			if diff := cmp.Diff(want, base().applied(changes)); diff != "" {
				t.Errorf("tree (-want +got):\n%s", diff)
			}
		})
	}
}

// set reads the short form of the tables.
func (t tree) set(path, content string) {
	target, isLink := strings.CutPrefix(content, "->")
	text, exec := strings.CutPrefix(content, "x:")
	switch {
	case content == "-":
		delete(t, path)
	case isLink:
		t[path] = link(target)
	default:
		t[path] = node{Kind: patch.File, Exec: exec, Content: text}
	}
}

// add is a patch that adds a file.
func add(path string) string { return "--- /dev/null\n+++ b/" + path + "\n@@ -0,0 +1 @@\n+n\n" }

func TestPlanRefuses(t *testing.T) {
	two := "@@ -2 +2 @@\n-two\n+2\n"
	tests := map[string]struct {
		patch string
		kind  api.Kind
		says  string
	}{
		"nothing":               {" \n\n", api.Invalid, "empty"},
		"no file":               {"hello\n", api.Invalid, "no file is named"},
		"parent":                {add("../x"), api.Invalid, "outside"},
		"parent within":         {add("a/../../x"), api.Invalid, "outside"},
		"absolute":              {"--- /dev/null\n+++ /etc/passwd\n@@ -0,0 +1 @@\n+n\n", api.Invalid, "outside"},
		"absolute, prefixed":    {add("/etc/passwd"), api.Invalid, "outside"},
		"the workspace":         {add("/workspace/"), api.Invalid, "names a directory"},
		"NUL":                   {"diff --git \"a/x\\000\" \"b/x\\000\"\nnew file mode 100644\n", api.Invalid, "NUL"},
		"long part":             {add(strings.Repeat("n", 256)), api.Invalid, "255 bytes"},
		"long path":             {add(strings.Repeat("n/", 2048) + "n"), api.Invalid, "4095 bytes"},
		".git":                  {add(".git/hooks/post-checkout"), api.Denied, "leads into .git"},
		".git below":            {add("sub/.git/config"), api.Denied, "leads into .git"},
		".git as a file":        {add(".git"), api.Denied, "leads into .git"},
		".GIT":                  {add(".GIT/config"), api.Denied, "leads into .git"},
		".git for HFS+":         {add(".g\u200cit/config"), api.Denied, "leads into .git"},
		".git for NTFS":         {add("git~1/config"), api.Denied, "leads into .git"},
		".git. for NTFS":        {add(".git. ./config"), api.Denied, "leads into .git"},
		"rename into .git":      {"diff --git a/x b/.git/x\nrename from x\nrename to .git/x\n", api.Denied, "leads into .git"},
		"through a link":        {add("out/passwd"), api.Conflict, "out above it is a symlink"},
		"rename through a link": {"diff --git a/x b/out/x\nrename from x\nrename to out/x\n", api.Conflict, "out above it is a symlink"},
		"change behind a link":  {"--- a/out/x\n+++ b/out/x\n" + two, api.Conflict, "out above it is a symlink"},
		"through a new link":    {"diff --git a/l b/l\nnew file mode 120000\n--- /dev/null\n+++ b/l\n@@ -0,0 +1 @@\n+/etc\n\\ No newline at end of file\n" + add("l/passwd"), api.Conflict, "is made a file by the patch"},
		"below a deep new file": {add("n/m") + add("n/m/o/p"), api.Conflict, "is made a file by the patch"},
		"through a file":        {add("x/y"), api.Conflict, "not a directory"},
		"a link as a file":      {"--- a/link\n+++ b/link\n@@ -1 +1 @@\n-x\n\\ No newline at end of file\n+y\n", api.Conflict, "a symlink is there"},
		"a file as a link":      {"diff --git a/x b/x\nindex 1..2 120000\n--- a/x\n+++ b/x\n" + two, api.Conflict, "for a symlink, but a file"},
		"rename onto a link":    {"diff --git a/x b/link\nrename from x\nrename to link\n", api.Exists, "it is there"},
		"add what is there":     {add("x"), api.Exists, "x: the patch adds it"},
		"add onto a directory":  {add("dir"), api.Exists, "directory"},
		"change a directory":    {"--- a/dir\n+++ b/dir\n" + two, api.Conflict, "a directory is there"},
		"change what is not":    {"--- a/gone\n+++ b/gone\n" + two, api.NotFound, "gone"},
		"change deep not there": {"--- a/p/q/gone\n+++ b/p/q/gone\n" + two, api.NotFound, "p/q/gone"},
		"delete what is not":    {"--- a/gone\n+++ /dev/null\n@@ -1 +0,0 @@\n-y\n", api.NotFound, "gone"},
		"rename what is not":    {"diff --git a/gone b/z\nrename from gone\nrename to z\n", api.NotFound, "gone"},
		"delete the half":       {"--- a/x\n+++ /dev/null\n@@ -1 +0,0 @@\n-one\n", api.Conflict, "leave some"},
		"twice":                 {"--- a/x\n+++ b/x\n" + two + "--- a/./x\n+++ b/x\n" + two, api.Invalid, "lines 1 and 6 are for the same file"},
		"added twice":           {add("n") + add("n"), api.Invalid, "same file"},
		"deleted and changed":   {"--- a/x\n+++ b/x\n" + two + "--- a/x\n+++ /dev/null\n@@ -1 +0,0 @@\n-y\n", api.Invalid, "same file"},
		"other name":            {"--- a/x\n+++ b/y\n" + two, api.Invalid, "old name is x, the new one y"},
		"no hunk":               {"--- a/x\n+++ b/x\n", api.Invalid, "no hunk"},
		"nothing said":          {"diff --git a/x b/x\nindex 1..2 100644\n", api.Invalid, "nothing is said"},
		"hunk alone":            {two, api.Invalid, "without the name"},
		"too few lines":         {"--- a/x\n+++ b/x\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n", api.Invalid, "1 old and 1 new lines are missing"},
		"too many lines":        {"--- a/x\n+++ b/x\n@@ -2 +2 @@\n-two\n+2\n three\n", api.Invalid, "line 6: more lines"},
		"too many of one kind":  {"--- a/x\n+++ b/x\n@@ -2 +2,3 @@\n-two\n-three\n+2\n", api.Invalid, "more than its header counts"},
		"cut by a header":       {"--- a/x\n+++ b/x\n@@ -1,3 +1,3 @@\n one\n-two\n+2\ndiff --git a/y b/y\n", api.Invalid, "before line 7"},
		"no change":             {"--- a/x\n+++ b/x\n@@ -2 +2 @@\n two\n", api.Invalid, "changes nothing"},
		"hunk header":           {"--- a/x\n+++ b/x\n@@ -2,x +2 @@\n-two\n+2\n", api.Invalid, "no header"},
		"huge count":            {"--- a/x\n+++ b/x\n@@ -1,99999999999999999999 +1 @@\n-two\n", api.Invalid, "no header"},
		"large count":           {"--- a/x\n+++ b/x\n@@ -1,999999999 +1 @@\n-two\n", api.Invalid, "are missing"},
		"line 0":                {"--- a/x\n+++ b/x\n@@ -0,1 +1 @@\n-one\n+1\n", api.Invalid, "no header"},
		"other line":            {"--- a/x\n+++ b/x\n@@ -1,3 +1,3 @@\n one\n-tow\n+2\n three\n", api.Conflict, `x: hunk 1 (line 3 of the patch): line 2: expected "tow\n", found "two\n"`},
		"past the end":          {"--- a/x\n+++ b/x\n@@ -3,2 +3,2 @@\n three\n-four\n+4\n", api.Conflict, `line 4: expected "four\n", found the end of the file`},
		"insert past the end":   {"--- a/x\n+++ b/x\n@@ -9,0 +10 @@\n+n\n", api.Conflict, "after line 9, but the file has 3 lines"},
		"newline it has not":    {"--- a/no eol\n+++ b/no eol\n@@ -2 +2 @@\n-b\n+B\n", api.Conflict, `expected "b\n", found "b"`},
		"after no newline":      {"--- a/no eol\n+++ b/no eol\n@@ -2,0 +3 @@\n+c\n", api.Conflict, "which has no newline"},
		"two places":            {"--- a/repeated\n+++ b/repeated\n@@ -4,3 +4,3 @@\n a\n-b\n+B\n c\n", api.Conflict, "more than one other place"},
		"no context, elsewhere": {"--- a/x\n+++ b/x\n@@ -1 +1 @@\n-two\n+2\n", api.Conflict, `expected "two\n", found "one\n"`},
		"hunks in disorder":     {"--- a/x\n+++ b/x\n@@ -3 +3 @@\n-three\n+3\n@@ -1 +1 @@\n-one\n+1\n", api.Conflict, "hunk 2"},
		"not empty":             {"diff --git a/x b/x\nindex e69de29..1 100644\n--- a/x\n+++ b/x\n@@ -0,0 +1 @@\n+n\n", api.Conflict, "for an empty file"},
		"submodule":             {"diff --git a/s b/s\nnew file mode 160000\n--- /dev/null\n+++ b/s\n@@ -0,0 +1 @@\n+Subproject commit 1\n", api.Invalid, "160000"},
		"combined":              {"diff --cc x\nindex 1,2..3\n--- a/x\n+++ b/x\n", api.Unsupported, "combined"},
		"type in one section":   {"diff --git a/x b/x\nold mode 100644\nnew mode 120000\n", api.Invalid, "changes its type"},
		"empty link":            {"diff --git a/l b/l\nnew file mode 120000\n", api.Invalid, "target of 0 bytes"},
		"binary, no content":    {"diff --git a/x b/x\nindex 1..2 100644\nBinary files a/x and b/x differ\n", api.Invalid, "none of its content"},
		"binary, no full names": {"diff --git a/x b/x\nindex 1..2 100644\nGIT binary patch\nliteral 0\nHcmV?d00001\n\n", api.Invalid, "full object names"},
		"binary, damaged":       {"diff --git a/x b/x\nGIT binary patch\nliteral 0\nHcmV?\n\n", api.Invalid, "binary content of x"},
		"names disagree":        {"diff --git a/x b/x\n--- a/x\n+++ b/y\n" + two, api.Invalid, "name different files"},
		"renamed to itself":     {"diff --git a/x b/x\nrename from x\nrename to x\n", api.Invalid, "to itself"},
		"new and deleted":       {"diff --git a/x b/x\nnew file mode 100644\ndeleted file mode 100644\n", api.Invalid, "more than one of"},
		"quote without end":     {"diff --git \"a/x b/x\nnew file mode 100644\n", api.Invalid, "does not end"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			changes, err := patch.Plan([]byte(test.patch), base(), patch.DefaultLimits)
			if !errors.Is(err, test.kind) || api.KindOf(err) != test.kind || !strings.Contains(fmt.Sprint(err), test.says) {
				t.Errorf("Plan: %v (%s), want %s saying %q", err, api.KindOf(err), test.kind, test.says)
			}
			if changes != nil {
				t.Errorf("with the error come %d changes", len(changes))
			}
		})
	}
}

func TestPlanTellsModesAndOrigins(t *testing.T) {
	text := add("new") + "diff --git a/run b/p/run\nsimilarity index 100%\nrename from run\nrename to p/run\n" +
		"diff --git a/x b/x\nold mode 100644\nnew mode 100755\n"
	got, err := patch.Plan([]byte(text), base(), patch.DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	want := []patch.Change{
		{Path: "new", Status: patch.Added, Kind: patch.File, Mode: 0o644, Content: []byte("n\n")},
		{Path: "p/run", From: "run", Status: patch.Added, Kind: patch.File, Mode: 0o755, Content: []byte("#!\n")},
		{Path: "run", Status: patch.Deleted, Kind: patch.File, Mode: 0o755},
		{Path: "x", Status: patch.Modified, Kind: patch.File, Mode: 0o755, Content: []byte("one\ntwo\nthree\n")},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}
