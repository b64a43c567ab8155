package enginetest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pyro-sandbox/pyro/internal/engine"
)

func diskStamp(t *testing.T, s Subject) {
	box := Start(t, s)
	workspace(t, box, "printf 12345678 >f")
	stamp := func() string {
		t.Helper()
		got, err := box.(engine.DiskSnapshotter).DiskStamp()
		if err != nil || got == "" {
			t.Fatalf("%q, %v", got, err)
		}
		return got
	}
	last := stamp()
	for _, step := range []struct {
		line    string
		changes bool
	}{
		{"cat f >/dev/null; ls -la", false},
		{"printf more >>f", true},
		{"true", false},
		{"printf new >g", true},
		{"printf 87654321 | dd of=f conv=notrunc 2>&1", true},
		{"printf 87654322 | dd of=f conv=notrunc 2>&1", true},
	} {
		workspace(t, box, step.line)
		now := stamp()
		if (now != last) != step.changes {
			t.Errorf("after %q it went from %q to %q", step.line, last, now)
		}
		last = now
	}
	Save(t, box)
	if now := stamp(); now != last {
		t.Errorf("a save changed it from %q to %q", last, now)
	}
}

// damagedImage cuts, empties and removes what an engine reads first. What it only
// reads later is found by digests, which are not its business.
func damagedImage(t *testing.T, s Subject) {
	box := Start(t, s)
	workspace(t, box, "mkdir d; head -c 100000 /dev/urandom >d/f; for i in 1 2 3 4 5 6 7 8 9; do echo $i >d/$i; done")
	whole := Save(t, box)
	entries, err := os.ReadDir(whole)
	if err != nil {
		t.Fatal(err)
	}
	refused := func(t *testing.T, disk string) {
		t.Helper()
		spec, ledger := s.Spec(t)
		spec.Disk = disk
		box, err := s.Engine.Start(t.Context(), spec, ledger)
		if err == nil {
			_ = box.Stop(t.Context())
			t.Fatal("it started")
		}
		if text := err.Error(); !strings.Contains(text, "saved disk "+disk) {
			t.Errorf("the error does not say what is wrong: %v", err)
		}
	}
	t.Run("missing", func(t *testing.T) { refused(t, filepath.Join(whole, "none")) })
	t.Run("empty", func(t *testing.T) { refused(t, imageDir(t)) })
	t.Run("foreign", func(t *testing.T) {
		dir := imageDir(t)
		if err := os.WriteFile(filepath.Join(dir, "disk.qcow2"), []byte("QFI\xfb"), 0o644); err != nil {
			t.Fatal(err)
		}
		refused(t, dir)
	})
	for _, e := range entries {
		t.Run("without "+e.Name(), func(t *testing.T) {
			dir := copyImage(t, whole)
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				t.Fatal(err)
			}
			refused(t, dir)
		})
		for _, part := range []int64{0, 2} {
			if e.Name() == "pages.img" {
				continue // gVisor reads content only when it is asked for
			}
			t.Run("cut "+e.Name(), func(t *testing.T) {
				dir := copyImage(t, whole)
				cut(t, filepath.Join(dir, e.Name()), part)
				refused(t, dir)
			})
		}
	}
}

// cut leaves that part in four of a file.
func cut(t *testing.T, name string, part int64) {
	t.Helper()
	info, err := os.Stat(name)
	if err == nil {
		err = os.Truncate(name, info.Size()*part/4)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func copyImage(t *testing.T, from string) string {
	t.Helper()
	to := imageDir(t)
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(from)
	if err == nil {
		err = os.Chmod(to, info.Mode())
	}
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// outsideTheWorkspace writes all over the file system, and deletes what the layer lies
// upon.
func outsideTheWorkspace(t *testing.T, s Subject) {
	first := Start(t, s)
	Shell(t, first, `set -e
mkdir -p /opt/own /etc/own
for d in /opt/own /etc/own /etc /var/tmp /var/lib /tmp /root /usr/local/bin /srv / /run /dev/shm; do echo $d >$d/pyro-disk; done
rm /usr/bin/env; rm -r /usr/share/doc 2>/dev/null || true; echo changed >/etc/hostname`)
	again := StartFrom(t, s, Save(t, first))
	const show = `ls /opt/own/pyro-disk /etc/own/pyro-disk /etc/pyro-disk /var/tmp/pyro-disk /var/lib/pyro-disk \
/tmp/pyro-disk /root/pyro-disk /usr/local/bin/pyro-disk /srv/pyro-disk /pyro-disk /run/pyro-disk /dev/shm/pyro-disk 2>/dev/null
ls /usr/bin/env /usr/share/doc 2>/dev/null; cat /etc/hostname; stat -c '%a %F' /workspace /tmp /var/tmp`
	want := `/etc/own/pyro-disk
/etc/pyro-disk
/opt/own/pyro-disk
/pyro-disk
/root/pyro-disk
/srv/pyro-disk
/tmp/pyro-disk
/usr/local/bin/pyro-disk
/var/lib/pyro-disk
/var/tmp/pyro-disk
changed
755 directory
1777 directory
1777 directory
`
	if diff := cmp.Diff(want, Shell(t, again, show)); diff != "" {
		t.Errorf("what came back (-want +got):\n%s", diff)
	}
}

// ownersAndKinds has what only root of a guest can make.
func ownersAndKinds(t *testing.T, s Subject) {
	first := Start(t, s)
	workspace(t, first, `
mkfifo pipe; echo x >owned; chown 12:34 owned; chmod 4755 owned; mkdir theirs; chown 65534:5 theirs; ln -s owned link; chown -h 7:8 link
truncate -s 300M sparse; printf end >>sparse`)
	const show = `stat -c '%n %F %a %u:%g %s' pipe owned theirs link sparse | sed '/^theirs/s/ [0-9]*$//'; tail -c 3 sparse`
	want := workspace(t, first, show)
	if diff := cmp.Diff(want, workspace(t, StartFrom(t, s, Save(t, first)), show)); diff != "" {
		t.Errorf("what came back (-want +got):\n%s", diff)
	}
}

// diskIsNoMemory has as much on the disk as would leave a command too little if it
// counted as memory of the guest.
func diskIsNoMemory(t *testing.T, s Subject) {
	uncounted := func(when string, box engine.Sandbox) {
		t.Helper()
		if got := Shell(t, box, `awk '/^Shmem:/ && $2 > 1000' /proc/meminfo`); got != "" {
			t.Errorf("%s: %s", when, got)
		}
	}
	first := Start(t, s)
	workspace(t, first, "head -c 110000000 /dev/urandom >big")
	disk := Save(t, first)
	uncounted("after the save", first)
	again := StartFrom(t, s, disk)
	uncounted("started from it", again)
	if r := Exec(t, again, "", sh("head -c 130000000 /dev/zero | tail -c 130000000 | wc -c")); r.Code != 0 || r.Stdout != "130000000\n" {
		t.Errorf("a command that fits: %+v", r)
	}
	workspace(t, again, "rm big; head -c 5000000 /dev/urandom >small; echo x >/dev/shm/f")
	Save(t, again)
	uncounted("saved again", again)
}
