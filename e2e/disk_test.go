package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// looks goes through everything that is acquired to look at the disk of a stopped
// workspace, and to bring it out.
func (p *place) looks(t *testing.T, pyro string) {
	t.Helper()
	id := p.try(t, pyro, "workspace", "create", "host", "--seed-path", p.project(t), "--id-only")
	if id == "" {
		return
	}
	p.try(t, pyro, "workspace", "stop", id)
	p.try(t, pyro, "workspace", "disk", "list", id)
	for _, format := range []string{"tar", "image"} {
		out := p.at(format + ".disk")
		p.try(t, pyro, "workspace", "disk", "export", id, "--output", out, "--format", format)
		if data, err := os.ReadFile(out); err == nil && (len(data) < 1024 || len(data)%512 != 0) {
			t.Errorf("%s was left with %d bytes", filepath.Base(out), len(data))
		}
	}
	p.try(t, pyro, "workspace", "delete", id)
}

// TestDiskHasNothingOfTheHost starts no program of the guest to look at its disk, whatever
// it has put in the place of ours, and follows nothing that it has laid out.
func TestDiskHasNothingOfTheHost(t *testing.T) {
	pyro := binary(t)
	requireSandboxes(t, pyro)
	p := newPlace(t)
	id := p.ok(t, pyro, "workspace", "create", "host", "--id-only")
	p.ok(t, pyro, "workspace", "exec", id, "--", "sh", "-c", `set -e
		ln -s / /workspace/root; ln -s /proc/1/root /workspace/proc; ln -s ../../../../etc/hostname /workspace/up
		mkdir /fresh; printf '#!/bin/sh\necho owned\n' >/fresh/sh; chmod +x /fresh/sh
		rm /bin /sbin; mv /fresh /bin; rm /lib /lib64`)
	p.ok(t, pyro, "workspace", "stop", id)
	listed := p.ok(t, pyro, "workspace", "disk", "list", id, "--recursive")
	for _, want := range []string{"/workspace/root [symlink] size=1 -> /", "/workspace/up [symlink] size=24 -> ../../../../etc/hostname"} {
		if !strings.Contains(listed, want) {
			t.Errorf("the list has no %q:\n%s", want, listed)
		}
	}
	for _, path := range []string{"up", "root/etc/passwd", "proc/etc/passwd", "/workspace/../workspace/up"} {
		if out, err := p.command(t, pyro, "workspace", "disk", "read", id, path).CombinedOutput(); err == nil {
			t.Errorf("a link was followed for %s: %s", path, out)
		}
	}
	if got := p.ok(t, pyro, "workspace", "disk", "read", id, "/bin/sh", "--content-only"); !strings.Contains(got, "owned") {
		t.Errorf("/bin/sh of the guest holds %q", got)
	}
	p.ok(t, pyro, "workspace", "delete", id)
	p.wantNothing(t)
}
