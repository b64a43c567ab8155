package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/patch"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// patched are files that the patches of these tests are for.
func patched(t *testing.T, dir string) {
	t.Helper()
	tree(t, dir, map[string]string{
		"a.txt": "one\ntwo\nthree\n", "d/gone": "x\n", "d/e/gone": "y\n", "run": "#!/bin/sh\n", "kept/gone": "z\n", "kept/stays": "",
		"link": "-> a.txt", "moved": "content\n", "swap": "-> run", "empty/": "",
	})
	if err := errors.Join(os.Chmod(filepath.Join(dir, "a.txt"), 0o640), os.Link(filepath.Join(dir, "a.txt"), filepath.Join(dir, "again"))); err != nil {
		t.Fatal(err)
	}
}

const wholePatch = `diff --git a/a.txt b/a.txt
--- a/a.txt
+++ b/a.txt
@@ -1,3 +1,3 @@
 one
-two
+2
 three
diff --git a/d/e/gone b/d/e/gone
deleted file mode 100644
--- a/d/e/gone
+++ /dev/null
@@ -1 +0,0 @@
-y
diff --git a/d/gone b/d/gone
deleted file mode 100644
--- a/d/gone
+++ /dev/null
@@ -1 +0,0 @@
-x
diff --git a/kept/gone b/kept/gone
deleted file mode 100644
--- a/kept/gone
+++ /dev/null
@@ -1 +0,0 @@
-z
diff --git a/link b/link
index 1111111..2222222 120000
--- a/link
+++ b/link
@@ -1 +1 @@
-a.txt
\ No newline at end of file
+/etc/passwd
\ No newline at end of file
diff --git a/moved b/new/dir/moved
similarity index 100%
rename from moved
rename to new/dir/moved
diff --git a/new/file b/new/file
new file mode 100755
--- /dev/null
+++ b/new/file
@@ -0,0 +1 @@
+text
diff --git a/run b/run
old mode 100644
new mode 100755
diff --git a/swap b/swap
deleted file mode 120000
--- a/swap
+++ /dev/null
@@ -1 +0,0 @@
-run
\ No newline at end of file
diff --git a/swap b/swap
new file mode 100644
--- /dev/null
+++ b/swap
@@ -0,0 +1 @@
+a file
`

// patchedEntries are what wholePatch changes.
var patchedEntries = wire.PatchEntries{
	{Path: "a.txt", Status: "modified"},
	{Path: "d/e/gone", Status: "deleted"},
	{Path: "d/gone", Status: "deleted"},
	{Path: "kept/gone", Status: "deleted"},
	{Path: "link", Status: "modified"},
	{Path: "moved", Status: "deleted"},
	{Path: "new/dir/moved", Status: "added", From: "moved"},
	{Path: "new/file", Status: "added"},
	{Path: "run", Status: "modified"},
	{Path: "swap", Status: "type_changed"},
}

func TestApplyPatch(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config, c *wire.Client) {
		patched(t, cfg.Workspace)
		reply, err := c.ApplyPatch(t.Context(), strings.NewReader(wholePatch), wire.PatchOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(patchedEntries, reply.Entries); diff != "" {
			t.Errorf("entries (-want +got):\n%s", diff)
		}
		want := map[string]string{
			"a.txt": "-rw-r----- one\n2\nthree\n", "again": "-rw-r----- one\ntwo\nthree\n", "kept": "drwxr-xr-x ", "kept/stays": "-rw-r--r-- ",
			"link": "Lrwxrwxrwx /etc/passwd", "new": "drwxr-xr-x ", "new/dir": "drwxr-xr-x ", "new/dir/moved": "-rw-r--r-- content\n",
			"new/file": "-rwxr-xr-x text\n", "run": "-rwxr-xr-x #!/bin/sh\n", "swap": "-rw-r--r-- a file\n", "empty": "drwxr-xr-x ",
		}
		if diff := cmp.Diff(want, standing(t, cfg.Workspace)); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		noStage(t, cfg)
	})
}

// No patch tells of empty directories, so none is in the way of a file.
func TestPatchPutsAFileInThePlaceOfEmptyDirectories(t *testing.T) {
	cfg := testConfig(t)
	c := serve(t, cfg)
	patched(t, cfg.Workspace)
	tree(t, cfg.Workspace, map[string]string{"d/e/none/at/all/": ""})
	text := "--- /dev/null\n+++ b/%s\n@@ -0,0 +1 @@\n+n\n"
	gone := "--- a/%s\n+++ /dev/null\n@@ -1 +0,0 @@\n-%s\n"
	all := fmt.Sprintf(text+text+gone+gone, "empty", "d", "d/gone", "x", "d/e/gone", "y")
	want := standing(t, cfg.Workspace)
	if _, err := c.ApplyPatch(t.Context(), strings.NewReader(all+section("a.txt", "uno", "1")), wire.PatchOptions{}); err == nil {
		t.Error("no error")
	}
	if diff := cmp.Diff(want, standing(t, cfg.Workspace)); diff != "" {
		t.Errorf("after a refusal, -want +got:\n%s", diff)
	}
	if _, err := c.ApplyPatch(t.Context(), strings.NewReader(all), wire.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	for name := range want {
		if strings.HasPrefix(name, "d/") {
			delete(want, name)
		}
	}
	want["empty"], want["d"] = "-rw-r--r-- n\n", "-rw-r--r-- n\n"
	if diff := cmp.Diff(want, standing(t, cfg.Workspace)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	noStage(t, cfg)
}

// A link that the patch takes away is not in the way of what comes below its name.
func TestPatchPutsDirectoriesInThePlaceOfALink(t *testing.T) {
	cfg := testConfig(t)
	c := serve(t, cfg)
	patched(t, cfg.Workspace)
	text := "diff --git a/swap b/swap\ndeleted file mode 120000\n--- a/swap\n+++ /dev/null\n@@ -1 +0,0 @@\n-run\n\\ No newline at end of file\n" +
		"--- /dev/null\n+++ b/swap/deep/er\n@@ -0,0 +1 @@\n+n\n"
	if _, err := c.ApplyPatch(t.Context(), strings.NewReader(text), wire.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := standing(t, cfg.Workspace)["swap/deep/er"]; got != "-rw-r--r-- n\n" {
		t.Errorf("it is %q", got)
	}
}

func TestCheckedPatchChangesNothing(t *testing.T) {
	cfg := testConfig(t)
	c := serve(t, cfg)
	patched(t, cfg.Workspace)
	unchanged(t, cfg.Workspace)
	reply, err := c.ApplyPatch(t.Context(), strings.NewReader(wholePatch), wire.PatchOptions{Check: true})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(patchedEntries, reply.Entries); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
}

// section is the patch of one line of a file.
func section(path, old, text string) string {
	return fmt.Sprintf("diff --git a/%[1]s b/%[1]s\n--- a/%[1]s\n+++ b/%[1]s\n@@ -1 +1 @@\n-%s\n+%s\n", path, old, text)
}

func TestRefusedPatchesChangeNothing(t *testing.T) {
	cfg := testConfig(t)
	c := serve(t, cfg)
	patched(t, cfg.Workspace)
	dir := outside(t)
	tree(t, cfg.Workspace, map[string]string{"out": "-> " + dir, "away": "-> " + dir + "/f", ".git/config": "x\n", ".git/hooks/": ""})
	special(t, filepath.Join(cfg.Workspace, "fifo"))
	sparse(t, filepath.Join(cfg.Workspace, "sparse"), 65<<20)
	unchanged(t, cfg.Workspace)
	good := section("run", "#!/bin/sh", "#!/bin/bash")
	for name, tt := range map[string]struct {
		patch string
		kind  api.Kind
		says  []string
	}{
		"a line that differs": {good + section("a.txt", "uno", "1"), api.Conflict, []string{"a.txt", "hunk 1", `"uno`, `"one`}},
		"missing":             {good + section("none", "x", "y"), api.NotFound, []string{"none"}},
		"outside":             {good + section("../f", "x", "y"), api.Invalid, nil},
		"through a link":      {good + section("out/f", "outside", "y"), api.Conflict, []string{"out"}},
		"a link as a file":    {good + section("away", "outside", "y"), api.Conflict, []string{"away"}},
		"git's own":           {good + section(".git/config", "x", "y"), api.Denied, []string{".git/config"}},
		"a FIFO":              {good + section("fifo", "x", "y"), api.Conflict, []string{"fifo"}},
		"a huge file":         {good + section("sparse", "x", "y"), api.Invalid, []string{"sparse"}},
		"a directory":         {good + section("d", "x", "y"), api.Conflict, []string{"directory"}},
		"no patch":            {"hello\n", api.Invalid, nil},
		"cut":                 {good[:strings.LastIndex(good, "+")], api.Invalid, nil},
	} {
		t.Run(name, func(t *testing.T) {
			reply, err := c.ApplyPatch(t.Context(), strings.NewReader(tt.patch), wire.PatchOptions{})
			if !errors.Is(err, tt.kind) {
				t.Fatalf("%+v, error %v of kind %q", reply, err, api.KindOf(err))
			}
			for _, want := range tt.says {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %v does not say %q", err, want)
				}
			}
			noStage(t, cfg)
		})
	}
}

// Whatever a command does after the patch was planned, all of it is applied or nothing.
func TestCommitIsRolledBack(t *testing.T) {
	for name, interfere := range map[string]func(dir string) error{
		"the last file is written": func(dir string) error { return os.WriteFile(filepath.Join(dir, "swap"), []byte("mine"), 0o600) },
		"a file is written": func(dir string) error {
			return errors.Join(os.WriteFile(filepath.Join(dir, "run"), []byte("mine"), 0o644), os.Chtimes(filepath.Join(dir, "run"), aTime, aTime))
		},
		"a file is removed": func(dir string) error { return os.Remove(filepath.Join(dir, "link")) },
		"a mode is changed": func(dir string) error { return os.Chmod(filepath.Join(dir, "run"), 0o600) },
		"a new file is there": func(dir string) error {
			return errors.Join(os.Mkdir(filepath.Join(dir, "new"), 0o755), os.WriteFile(filepath.Join(dir, "new/file"), nil, 0o600))
		},
		"a new directory is a link": func(dir string) error { return os.Symlink("kept", filepath.Join(dir, "new")) },
		"a directory is a link": func(dir string) error {
			return errors.Join(os.RemoveAll(filepath.Join(dir, "d")), os.Symlink("kept", filepath.Join(dir, "d")))
		},
		"a directory is in the way": func(dir string) error {
			return errors.Join(os.Remove(filepath.Join(dir, "run")), os.Mkdir(filepath.Join(dir, "run"), 0o700))
		},
		"an emptied one has a mode ": func(dir string) error {
			return errors.Join(os.Chmod(filepath.Join(dir, "d/e"), 0o750), os.Chmod(filepath.Join(dir, "run"), 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := testConfig(t)
			a := newAgent(cfg)
			patched(t, cfg.Workspace)
			tree := &patchedTree{agent: a, seen: make(map[string]unix.Stat_t)}
			changes, err := patch.Plan([]byte(wholePatch), tree, patch.DefaultLimits)
			if err == nil {
				err = interfere(cfg.Workspace)
			}
			if err != nil {
				t.Fatal(err)
			}
			unchanged(t, cfg.Workspace)
			if err := a.commit(tree, changes); err == nil || !strings.Contains(err.Error(), "nothing is changed") {
				t.Errorf("error %v", err)
			}
			noStage(t, cfg)
		})
	}
}

// A patch that a full disk does not hold changes nothing, which a stage that cannot be
// made stands for.
func TestPatchWithoutAStageChangesNothing(t *testing.T) {
	cfg := testConfig(t)
	patched(t, cfg.Workspace)
	unchanged(t, cfg.Workspace)
	cfg.Staging = filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(cfg.Staging, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c := serve(t, cfg)
	if _, err := c.ApplyPatch(t.Context(), strings.NewReader(wholePatch), wire.PatchOptions{}); err == nil {
		t.Error("no error")
	}
}

// Patches and pushes do not see each other's halves.
func TestPatchesHaveTheirTurns(t *testing.T) {
	a := newAgent(testConfig(t))
	tree(t, a.cfg.Workspace, map[string]string{"run": "#!/bin/sh\n"})
	a.merging <- struct{}{}
	request := `{"action":"apply_patch"}` + "\n" + frame(t, wire.FrameData, []byte(section("run", "#!/bin/sh", "x"))) + frame(t, wire.FrameEnd, nil)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	answered := make(chan []byte, 1)
	go func() { answered <- talk(t, a, []byte(request)) }() // ends when the host's end of the request is seen
	select {
	case reply := <-answered: // it waits no longer than its connection
		if f := failure(t, reply); f.Kind != string(api.Canceled) {
			t.Errorf("reply %+v", f)
		}
	case <-ctx.Done():
		t.Error("it waits for ever")
	}
	if got := standing(t, a.cfg.Workspace)["run"]; got != "-rw-r--r-- #!/bin/sh\n" {
		t.Errorf("it is %q", got)
	}
}
