package enginetest

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/internal/engine"
)

// outsideTheWorkspace writes all over the file system, and deletes what the layer lies
// upon.
func outsideTheWorkspace(t *testing.T, s Subject) {
	first := Start(t, s)
	Shell(t, first, `set -e
mkdir -p /opt/own /etc/own
for d in /opt/own /etc/own /etc /var/tmp /var/lib /tmp /root /usr/local/bin /srv / /run /dev/shm; do echo $d >$d/pyro-disk; done
rm /usr/bin/env; rm -r /usr/share/doc 2>/dev/null || true; echo changed >/etc/hostname`)
	again := StartFrom(t, s, save(t, first))
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
	if diff := cmp.Diff(want, workspace(t, StartFrom(t, s, save(t, first)), show)); diff != "" {
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
	disk := save(t, first)
	uncounted("after the save", first)
	again := StartFrom(t, s, disk)
	uncounted("started from it", again)
	if r := Exec(t, again, "", sh("head -c 130000000 /dev/zero | tail -c 130000000 | wc -c")); r.Code != 0 || r.Stdout != "130000000\n" {
		t.Errorf("a command that fits: %+v", r)
	}
	workspace(t, again, "rm big; head -c 5000000 /dev/urandom >small; echo x >/dev/shm/f")
	save(t, again)
	uncounted("saved again", again)
}
