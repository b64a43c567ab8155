package mcpserver

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestModes(t *testing.T) {
	if diff := cmp.Diff([]string{"cold-start", "inspect", "repro-fix", "review-eval"}, Modes()); diff != "" {
		t.Errorf("modes (-want +got):\n%s", diff)
	}
	const most = 2500
	for name, m := range modes {
		t.Run(name, func(t *testing.T) {
			s, err := choose("", name)
			if err != nil {
				t.Fatal(err)
			}
			var offered []string
			for _, tool := range s.tools {
				offered = append(offered, tool.name)
			}
			for _, tool := range m.tools {
				if !slices.Contains(offered, tool) {
					t.Errorf("there is no tool %s", tool)
				}
			}
			for tool, says := range m.says {
				if !slices.Contains(m.tools, tool) {
					t.Errorf("%s is described and not offered", tool)
				}
				if len(says) > 400 {
					t.Errorf("%s is described with %d characters", tool, len(says))
				}
			}
			if n := len([]rune(m.instructions)); n > most {
				t.Errorf("instructions have %d characters, %d are allowed", n, most)
			}
			for _, always := range []string{"workspace_create", "workspace_exec", "workspace_exec_wait", "workspace_delete"} {
				if !slices.Contains(m.tools, always) {
					t.Errorf("%s is missing", always)
				}
			}
		})
	}
}

// TestInstructionsNameWhatIsOffered: a model that is told of a tool which it has not got
// tries to call it all the same.
func TestInstructionsNameWhatIsOffered(t *testing.T) {
	var all []string
	for _, tool := range slices.Concat(runTools(), fullTools()) {
		all = append(all, tool.name)
	}
	for name, m := range modes {
		texts := []string{m.instructions}
		for _, says := range m.says {
			texts = append(texts, says)
		}
		for _, tool := range all {
			for _, text := range texts {
				if mentions(text, tool) && !slices.Contains(m.tools, tool) {
					t.Errorf("%s tells of %s, which it does not offer", name, tool)
				}
			}
		}
	}
}

// mentions reports whether a text has a word.
func mentions(text, word string) bool {
	return slices.Contains(strings.FieldsFunc(text, func(r rune) bool { return r != '_' && (r < 'a' || r > 'z') }), word)
}
