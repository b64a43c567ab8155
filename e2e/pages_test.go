package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// useCases are the pages that tell how a job is done, from its beginning to its end.
var useCases = []string{"reproduce-and-fix", "cold-start", "parallel-workspaces", "untrusted-inspection", "review-and-evaluation"}

// TestUseCases runs the commands of each page as they stand there.
func TestUseCases(t *testing.T) {
	pyro := binary(t)
	requireSandboxes(t, pyro)
	tools(t, "bash", "git")
	for _, name := range useCases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := steps(t, filepath.Join("..", "docs", "use-cases", name+".md"), "In the shell")
			if len(all) < 10 {
				t.Fatalf("only %d commands", len(all))
			}
			p := newPlace(t)
			p.follow(t, pyro, all)
			p.wantNothing(t)
		})
	}
}

// TestUseCasesAreAll: a page that is not in the list is not tested.
func TestUseCasesAreAll(t *testing.T) {
	pages, err := filepath.Glob(filepath.Join("..", "docs", "use-cases", "*.md"))
	if err != nil || len(pages) != len(useCases) {
		t.Errorf("%d pages, %d are tested: %v", len(pages), len(useCases), err)
	}
}

// TestSkill runs what an agent is taught to do, and looks at what tells the agent when.
func TestSkill(t *testing.T) {
	pyro := binary(t)
	requireSandboxes(t, pyro)
	tools(t, "bash", "git")
	page := filepath.Join("..", "SKILL.md")
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	// Hosts take names of 64 characters and descriptions of 1,024.
	head := regexp.MustCompile(`(?s)\A---\nname: ([a-z0-9-]{1,64})\ndescription: ([^\n]+)\n---\n`).FindStringSubmatch(string(data))
	if head == nil || head[1] != "pyro" || len(head[2]) > 1024 || strings.Contains(head[2], ": ") {
		t.Errorf("the head of SKILL.md is none: %q", head)
	}
	var all []step
	for _, section := range []string{"The loop", "When it goes wrong", "One command, nothing kept"} {
		all = append(all, steps(t, page, section)...)
	}
	p := newPlace(t)
	p.follow(t, pyro, all)
	p.wantNothing(t)
}
