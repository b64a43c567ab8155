package config

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestTheManualHasEverySetting holds the table of docs/configuration.md against ours.
func TestTheManualHasEverySetting(t *testing.T) {
	page, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for i := range table {
		s := &table[i]
		want = append(want, fmt.Sprintf("| `%s` | `%s` | %s | %s | %s |", s.key, s.variable(), s.standard, s.allowed(), s.about))
	}
	_, settings, _ := strings.Cut(string(page), "\n## Settings\n")
	settings, _, _ = strings.Cut(settings, "\n## ")
	for line := range strings.Lines(settings) {
		if strings.HasPrefix(line, "| `") {
			got = append(got, strings.TrimSuffix(line, "\n"))
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
