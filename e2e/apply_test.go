package e2e

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// returns goes through what brings something from a workspace to this machine.
func (p *place) returns(t *testing.T, pyro string) (id string) {
	t.Helper()
	id = p.try(t, pyro, "workspace", "create", "host", "--seed-path", p.project(t), "--id-only")
	if id == "" {
		return ""
	}
	p.try(t, pyro, "workspace", "exec", id, "--", "sh", "-c", "echo new >a; rm b; mkdir -p d/e; echo c >d/e/c; ln -s a l")
	p.try(t, pyro, "workspace", "export", id, ".", "--output", p.at("exported"))
	p.try(t, pyro, "workspace", "apply", id)
	return id
}

// returned is returns, to its end.
func (p *place) returned(t *testing.T, pyro string) {
	t.Helper()
	if id := p.returns(t, pyro); id != "" {
		p.try(t, pyro, "workspace", "delete", id)
	}
}

// TestKilledApply kills an apply at each of its points, and once more. The next one takes
// back what was done, and does all of it.
func TestKilledApply(t *testing.T) {
	t.Parallel()
	pyro := binary(t)
	requireSandboxes(t, pyro)
	struck := faulty(t)
	for _, point := range []string{"apply-staged", "apply-journaled", "apply-stepped#1", "apply-stepped#3", "apply-done"} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			id := p.withFault(point+"=kill").returns(t, struck)
			p.learn()
			if id == "" {
				t.Fatal("there is no workspace")
			}
			if point != "apply-staged" && !strings.Contains(listed(t, p.at("project")), ".pyro-apply-") {
				t.Errorf("it was not killed there: %s", listed(t, p.at("project")))
			}
			refused := p.command(t, pyro, "workspace", "apply", id, "--dry-run")
			if out, err := refused.CombinedOutput(); err == nil || !strings.Contains(string(out), "interrupted") {
				t.Errorf("a dry run: %v, %s", err, out)
			}
			p.ok(t, pyro, "workspace", "apply", id)
			if err := os.RemoveAll(p.at("exported")); err != nil {
				t.Fatal(err)
			}
			p.ok(t, pyro, "workspace", "export", id, ".", "--output", p.at("exported"))
			if out, err := exec.CommandContext(t.Context(), "diff", "-r", "--no-dereference", p.at("exported"), p.at("project")).CombinedOutput(); err != nil {
				t.Errorf("project and workspace differ: %s", out)
			}
			p.ok(t, pyro, "workspace", "delete", id)
			p.wantNothing(t)
		})
	}
}

// listed are the names in a directory.
func listed(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}
