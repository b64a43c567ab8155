package e2e

import (
	"path/filepath"
	"testing"
)

// TestAPIPage runs the session with curl of the page about the HTTP API.
func TestAPIPage(t *testing.T) {
	pyro := binary(t)
	requireSandboxes(t, pyro)
	tools(t, "bash", "curl", "python3", "tar")
	all := steps(t, filepath.Join("..", "docs", "api.md"), "A session")
	if len(all) < 20 {
		t.Fatalf("only %d commands", len(all))
	}
	p := newPlace(t)
	p.follow(t, pyro, all)
	p.wantNothing(t)
}
