package e2e

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// exports are the exports from a tree that changes, of which a lane may ask for more.
func exports(t *testing.T) int {
	t.Helper()
	n, err := strconv.Atoi(os.Getenv("PYRO_EXPORTS"))
	if err != nil {
		return 40
	}
	return n
}

// TestExportOfALiveTree swaps directories for links, and files for what is none, while
// the tree is brought out again and again. An export is whole or there is none; nothing
// outside of the target is touched, and nothing but files, directories and links is in it.
func TestExportOfALiveTree(t *testing.T) {
	t.Parallel()
	pyro := binary(t)
	requireSandboxes(t, pyro)
	p := newPlace(t)
	id := p.create(t, pyro)
	p.ok(t, pyro, "workspace", "exec", id, "--", "sh", "-c", `mkdir -p t/d/e && echo inside >t/d/e/f && ln -s /etc l && mkfifo pipe && mknod dev c 1 3
		nohup sh -c 'while :; do
			mv t/d d2; mv l t/d; mv t/d l; mv d2 t/d
			mv t/d/e/f f2; mv pipe t/d/e/f; mv t/d/e/f pipe; mv dev t/d/e/f; mv t/d/e/f dev; mv f2 t/d/e/f
		done' >/dev/null 2>&1 &`)
	canary := p.at("canary")
	p.write(t, "canary", "sings")
	if err := os.Mkdir(p.at("outs"), 0o755); err != nil {
		t.Fatal(err)
	}
	whole, out := 0, p.at("outs/out")
	for range exports(t) {
		cmd := p.command(t, pyro, "workspace", "export", id, "t", "--output", out, "--force")
		said, err := cmd.CombinedOutput()
		left, readErr := os.ReadDir(p.at("outs"))
		if readErr != nil || len(left) > 1 || len(left) == 1 && left[0].Name() != "out" {
			t.Fatalf("left behind: %v, %v", left, readErr)
		}
		if err != nil {
			if !strings.Contains(string(said), "[hint]") {
				t.Errorf("%s", said)
			}
			continue
		}
		whole++
		checkHarmless(t, out)
	}
	if whole == 0 {
		t.Error("not one export was whole")
	}
	if data, err := os.ReadFile(canary); err != nil || string(data) != "sings" {
		t.Errorf("the canary is %q, %v", data, err)
	}
	p.ok(t, pyro, "workspace", "delete", id)
	p.wantNothing(t)
}

// checkHarmless wants nothing in an export but what may be in one.
func checkHarmless(t *testing.T, out string) {
	t.Helper()
	err := filepath.WalkDir(out, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if kind := d.Type(); !d.IsDir() && !kind.IsRegular() && kind != fs.ModeSymlink {
			t.Errorf("%s is of type %v", path, kind)
		}
		if info.Mode()&(fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky) != 0 {
			t.Errorf("%s has the mode %v", path, info.Mode())
		}
		if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Geteuid() {
			t.Errorf("%s belongs to %d", path, st.Uid)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// TestExportTakesNoRights: what a guest gives its files is not what they have here.
func TestExportTakesNoRights(t *testing.T) {
	t.Parallel()
	pyro := binary(t)
	requireSandboxes(t, pyro)
	p := newPlace(t)
	id := p.create(t, pyro)
	p.ok(t, pyro, "workspace", "exec", id, "--", "sh", "-c", `umask 0; mkdir t; cd t
		echo x >suid; chmod 6755 suid; echo x >none; chmod 0 none; mkdir sticky closed; chmod 3777 sticky; echo x >closed/f; chmod 0 closed
		echo x >owned; chown 12345:54321 owned 2>/dev/null; echo x >a; ln a b; ln -s /proc/1/environ env; ln -s /etc/shadow shadow
		python3 -c 'import os; os.setxattr("a", "user.evil", b"1")' 2>/dev/null
		python3 -c 'import os; [open(os.fsencode("t") and n, "w") for n in (b"\xff", b"new\nline", b"-rf", b"con", b"a:b", b"\x1b[31m")]'`)
	p.ok(t, pyro, "workspace", "export", id, "t", "--output", p.at("out"))
	modes := make(map[string]fs.FileMode)
	entries, err := os.ReadDir(p.at("out"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		modes[e.Name()] = info.Mode()
	}
	for name, want := range map[string]fs.FileMode{
		"suid": 0o755, "none": 0, "sticky": fs.ModeDir | 0o777, "closed": fs.ModeDir, "owned": 0o666, "\xff": 0o666, "new\nline": 0o666, "-rf": 0o666, "\x1b[31m": 0o666,
	} {
		if got, there := modes[name]; got != want || !there {
			t.Errorf("%q has the mode %v, want %v", name, got, want)
		}
	}
	if target, err := os.Readlink(p.at("out/shadow")); err != nil || target != "/etc/shadow" {
		t.Errorf("a link to %q, %v", target, err)
	}
	a, errA := os.Stat(p.at("out/a"))
	b, errB := os.Stat(p.at("out/b"))
	if errA != nil || errB != nil || !os.SameFile(a, b) {
		t.Errorf("two names of one file are not: %v, %v", errA, errB)
	}
	if n, err := syscall.Listxattr(p.at("out/a"), make([]byte, 256)); n > 0 {
		t.Errorf("%d bytes of attributes, %v", n, err)
	}
	if err := os.Chmod(p.at("out/closed"), 0o700); err != nil { // so that it can be looked into, and removed
		t.Error(err)
	}
	checkHarmless(t, p.at("out"))
	p.ok(t, pyro, "workspace", "delete", id)
}

// TestKilledExport: whatever dies, nothing is at the target; what is left has a name of
// ours, and the next export removes it.
func TestKilledExport(t *testing.T) {
	t.Parallel()
	pyro := binary(t)
	requireSandboxes(t, pyro)
	p := newPlace(t)
	id := p.create(t, pyro)
	p.ok(t, pyro, "workspace", "exec", id, "--", "sh", "-c", `mkdir t; i=0; while [ $i -lt 2000 ]; do echo $i >t/$i; i=$((i+1)); done; head -c 60000000 /dev/zero >t/zeros`)
	if err := os.Mkdir(p.at("outs"), 0o755); err != nil {
		t.Fatal(err)
	}
	stages := func() []string {
		entries, _ := os.ReadDir(p.at("outs"))
		var names []string
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return names
	}
	for _, point := range []string{"export-staged", "export-filled"} {
		struck := p.withFault(point + "=kill")
		_ = os.Remove(p.at("trace"))
		struck.try(t, faulty(t), "workspace", "export", id, "t", "--output", p.at("outs/out"))
		left := stages()
		if len(left) != 1 || !strings.HasPrefix(left[0], ".pyro-export-") {
			t.Fatalf("killed at %s: %v is there", point, left)
		}
	}
	cmd := p.command(t, pyro, "workspace", "export", id, "t", "--output", p.at("outs/out"))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	before := stages()
	p.await(func() string {
		if now := stages(); slices.Equal(now, before) {
			return "the export has not begun"
		}
		return ""
	})
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	for _, name := range stages() {
		if name == "out" {
			t.Log("it was done before it was killed")
			_ = os.RemoveAll(p.at("outs/out"))
		}
	}
	p.ok(t, pyro, "workspace", "export", id, "t", "--output", p.at("outs/out"))
	if left := stages(); !slices.Equal(left, []string{"out"}) {
		t.Errorf("then %v is there", left)
	}
	p.ok(t, pyro, "workspace", "delete", id)
	p.wantNothing(t)
}
