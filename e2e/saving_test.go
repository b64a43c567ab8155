package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// project makes a directory with two files that say the same.
func (p *place) project(t *testing.T) string {
	t.Helper()
	dir := p.at("project")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "b"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("seed\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// savings takes a workspace through everything that saves its disk or brings it back.
// Between two of these both files are changed to another word, so that a disk that
// was put together from two times would show.
func (p *place) savings(t *testing.T, pyro string) (id string) {
	t.Helper()
	id = p.try(t, pyro, "workspace", "create", "host", "--seed-path", p.project(t), "--id-only")
	if id == "" {
		return ""
	}
	for _, word := range []string{"one", "two"} {
		p.try(t, pyro, "workspace", "exec", id, "--", "sh", "-c", "echo "+word+" >a; echo "+word+" >b")
		p.try(t, pyro, "workspace", "stop", id)
		p.try(t, pyro, "workspace", "start", id)
	}
	return id
}

// TestKilledWhileSaving kills the supervisor at each point of seed, stop and start.
// Afterwards the workspace is one that was, never a mixture, or was never there.
func TestKilledWhileSaving(t *testing.T) {
	pyro := binary(t)
	requireSandboxes(t, pyro)
	struck := faulty(t)
	for _, point := range tracedBy(t, struck, func(p *place) { p.savings(t, struck) }) {
		if !slices.ContainsFunc([]string{"image-", "restart-", "baseline-", "seed", "concluding", "sandbox-", "record-", "freed-"}, func(prefix string) bool {
			return strings.HasPrefix(point, prefix)
		}) {
			continue // TestFaultPoints has it
		}
		for _, time := range []int{1, 2, 3} {
			t.Run(fmt.Sprint(point, "/", time), func(t *testing.T) {
				t.Parallel()
				p := newPlace(t)
				id := p.withFault(fmt.Sprintf("%s#%d=kill", point, time)).savings(t, struck)
				p.learn()
				if id != "" {
					p.wantWhole(t, pyro, id)
				}
				p.wantRight(t, pyro)
			})
		}
	}
}

// wantWhole wants a workspace to be there, or to have been gone before anybody was
// told of it, and its files to be of one time.
func (p *place) wantWhole(t *testing.T, pyro, id string) {
	t.Helper()
	p.ok(t, pyro, "workspace", "start", id)
	switch got := p.ok(t, pyro, "workspace", "exec", id, "--", "cat", "a", "b"); got {
	case "seed\nseed", "one\none", "two\ntwo":
	default:
		t.Errorf("the disk is mixed: %q", got)
	}
}

// TestFullDiskWhileSaving makes the writes fail that keep a seed or save a disk: what
// was asked for does not happen, and what was there goes on.
func TestFullDiskWhileSaving(t *testing.T) {
	pyro := binary(t)
	requireSandboxes(t, pyro)
	struck := faulty(t)
	t.Run("seed", func(t *testing.T) {
		t.Parallel()
		p := newPlace(t)
		out := p.fails(t, struck, "baseline-write=enospc", "workspace", "create", "host", "--seed-path", p.project(t))
		if !strings.Contains(out, "no space left") {
			t.Errorf("it says %q", out)
		}
		p.wantNothing(t)
	})
	t.Run("stop", func(t *testing.T) {
		t.Parallel()
		p := newPlace(t)
		full := p.withFault("image-write=enospc")
		id := full.ok(t, struck, "workspace", "create", "host", "--seed-path", p.project(t), "--id-only")
		p.learn()
		full.ok(t, struck, "workspace", "exec", id, "--", "sh", "-c", "echo new >a")
		if out := p.fails(t, struck, "", "workspace", "stop", id); !strings.Contains(out, "no space left") {
			t.Errorf("it says %q", out)
		}
		if got := p.ok(t, pyro, "workspace", "exec", id, "--", "cat", "a"); got != "new" {
			t.Errorf("the workspace lost %q", got)
		}
		p.wantRight(t, pyro)
	})
}

// fails runs a command that must fail, and returns what it says on stderr.
func (p *place) fails(t *testing.T, pyro, fault string, args ...string) string {
	t.Helper()
	where := p
	if fault != "" {
		where = p.withFault(fault)
	}
	cmd := where.command(t, pyro, args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if _, ok := cmd.Run().(*exec.ExitError); !ok {
		t.Errorf("pyro %s did not fail", strings.Join(args, " "))
	}
	p.learn()
	return stderr.String()
}
