package supervisor

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/api"
)

// sum is what sha256sum prints of its stdin.
func sum(text string) string { return fmt.Sprintf("%x  -\n", sha256.Sum256([]byte(text))) }

const aPatch = `diff --git a/f b/f
index 0000000..1111111 100644
--- a/f
+++ b/f
@@ -1,2 +1,2 @@
 one
-two
+TWO
diff --git a/old b/old
deleted file mode 100644
--- a/old
+++ /dev/null
@@ -1 +0,0 @@
-old
diff --git a/n/new b/n/new
new file mode 100755
--- /dev/null
+++ b/n/new
@@ -0,0 +1 @@
+new
\ No newline at end of file
diff --git a/was b/is
similarity index 100%
rename from was
rename to is
`

func patchBench(t *testing.T) *running {
	t.Helper()
	r := newBench(t).start(t, withSecret())
	sh(t, r, `printf 'one\ntwo\n' >f; echo old >old; echo was >was; chmod 750 was f`)
	return r
}

func TestPatch(t *testing.T) {
	r := patchBench(t)
	tree := "find . -printf '%p %y %s %m %l\n' | sort"
	before := sh(t, r, tree)
	want := api.Patch{
		WorkspaceID: testID, Changed: true, Checked: true, ExecutionMode: api.ModeGuestVsock, Patch: aPatch,
		Summary: api.PatchSummary{Total: 5, Added: 2, Modified: 1, Deleted: 2},
		Entries: []api.PatchEntry{
			{Path: "/workspace/f", Status: "modified"},
			{Path: "/workspace/is", Status: "added", FromPath: new("/workspace/was")},
			{Path: "/workspace/n/new", Status: "added"},
			{Path: "/workspace/old", Status: "deleted"},
			{Path: "/workspace/was", Status: "deleted"},
		},
	}
	got, failure := put[api.Patch](t, r, "POST", "/v1/patch?dry_run=true", strings.NewReader(aPatch))
	if diff := cmp.Diff(want, got); diff != "" || failure != nil {
		t.Fatalf("checked: %+v\n%s", failure, diff)
	}
	if now := sh(t, r, tree); now != before {
		t.Errorf("a check has changed something:\n%s", cmp.Diff(before, now))
	}
	active := do[api.Workspace](t, r, "GET", "/v1/workspace", nil).LastActivityAt
	want.Checked = false
	got, failure = put[api.Patch](t, r, "POST", "/v1/patch", strings.NewReader(aPatch))
	if diff := cmp.Diff(want, got); diff != "" || failure != nil {
		t.Fatalf("applied: %+v\n%s", failure, diff)
	}
	if now := sh(t, r, "cat f n/new is; stat -c ' %a' f n/new is; test ! -e old; test ! -e was"); now != "one\nTWO\nnewwas\n 750\n 755\n 750\n" {
		t.Errorf("the files are %q", now)
	}
	if now := do[api.Workspace](t, r, "GET", "/v1/workspace", nil).LastActivityAt; now <= active {
		t.Errorf("it counts as no activity: %v, %v", active, now)
	}
}

func TestPatchIsRefusedWhole(t *testing.T) {
	r := patchBench(t)
	tree := "find . -printf '%p %y %s %m %l\n' | sort; cat f"
	before := sh(t, r, tree)
	edit := func(name, from, to string) string {
		return fmt.Sprintf("--- a/%s\n+++ b/%s\n@@ -1,1 +1,1 @@\n-%s\n+%s\n", name, name, from, to)
	}
	fits := "--- a/old\n+++ b/old\n@@ -1 +1 @@\n-old\n+new\n"
	for name, tc := range map[string]struct {
		patch string
		kinds []api.Kind
		says  []string
	}{
		"a hunk that does not fit": {fits + edit("f", "other", "x"), []api.Kind{api.Conflict}, []string{"f", "hunk 1", "other", "one"}},
		"a secret that is there":   {edit("f", token, "x"), []api.Kind{api.Conflict}, []string{"[REDACTED]"}},
		"a file that is not there": {fits + edit("none", "a", "b"), []api.Kind{api.NotFound, api.Conflict}, []string{"none"}},
		"outside":                  {fits + edit("../x", "a", "b"), []api.Kind{api.Invalid, api.Denied}, []string{".."}},
		"git itself":               {"diff --git a/.git/config b/.git/config\nnew file mode 100644\n--- /dev/null\n+++ b/.git/config\n@@ -0,0 +1 @@\n+x\n", []api.Kind{api.Denied, api.Invalid}, []string{".git"}},
		"no patch":                 {"hello\n", []api.Kind{api.Invalid}, nil},
		"nothing":                  {"", []api.Kind{api.Invalid}, []string{"empty"}},
		"blanks":                   {" \n\t\n", []api.Kind{api.Invalid}, []string{"empty"}},
		"too much":                 {strings.Repeat("x", api.DefaultPatchBytes+1), []api.Kind{api.Invalid}, []string{"1048576"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, failure := put[api.Patch](t, r, "POST", "/v1/patch", strings.NewReader(tc.patch))
			if failure == nil || failure.Hint == "" || strings.Contains(failure.Error, token) {
				t.Fatalf("%+v", failure)
			}
			fine := false
			for _, kind := range tc.kinds {
				fine = fine || failure.Kind == kind
			}
			for _, word := range tc.says {
				fine = fine && strings.Contains(failure.Error, word)
			}
			if !fine {
				t.Errorf("%+v, want one of %v that says %q", failure, tc.kinds, tc.says)
			}
			if now := sh(t, r, tree); now != before {
				t.Errorf("something has changed:\n%s", cmp.Diff(before, now))
			}
		})
	}
}

// TestPatchEcho holds what of a patch comes back: no secret, and not too much.
func TestPatchEcho(t *testing.T) {
	r := patchBench(t)
	add := func(name, text string) string {
		return fmt.Sprintf("diff --git a/%s b/%s\nnew file mode 100644\n--- /dev/null\n+++ b/%s\n@@ -0,0 +1 @@\n+%s\n", name, name, name, text)
	}
	got, failure := put[api.Patch](t, r, "POST", "/v1/patch", strings.NewReader(add("s", token)))
	if failure != nil || !strings.Contains(got.Patch, "+[REDACTED]\n") || got.PatchTruncated {
		t.Errorf("%+v, %+v", got, failure)
	}
	if text := sh(t, r, "wc -c <s"); text != fmt.Sprintln(len(token)+1) {
		t.Errorf("the file has %s bytes", text)
	}
	cut := add("l", "")
	cut = add("l", strings.Repeat("x", api.MaxPatchEcho-len(cut)-5)+token+strings.Repeat("ö", 1<<20))
	got, failure = put[api.Patch](t, r, "POST", "/v1/patch?max_bytes=9000000", strings.NewReader(cut))
	if strings.Contains(got.Patch, token[:3]) {
		t.Errorf("the beginning of a secret comes back: %q", got.Patch[len(got.Patch)-20:])
	}
	if failure != nil || len(got.Patch) > api.MaxPatchEcho+3 || !got.PatchTruncated {
		t.Errorf("%d bytes come back, %v, %+v", len(got.Patch), got.PatchTruncated, failure)
	}
}
