package autorun_test

import (
	"strings"
	"testing"

	"github.com/pyro-sandbox/pyro/internal/autorun"
)

// TestBareFindsRepositories names paths as a tree has them: a slash at the end is a
// directory, an @ a link.
func TestBareFindsRepositories(t *testing.T) {
	tests := []struct {
		name, tree, whole string
	}{
		{"a bare repository", "x/HEAD x/config x/objects/ x/refs/", "x"},
		{"in any order, at the top", "refs/ objects/ config HEAD", "."},
		{"links to what it needs", "x/HEAD x/config x/objects@ x/refs@", "x"},
		{"what is needed lies elsewhere", "x/HEAD x/commondir y/config y/objects/ y/refs/", "x"},
		{"in another case", "x/head x/CONFIG x/Objects/ x/refs/", "x"},
		{"no configuration", "x/HEAD x/objects/ x/refs/", ""},
		{"files for directories", "x/HEAD x/config x/objects x/refs", ""},
		{"in two directories", "x/HEAD x/config y/objects/ y/refs/", ""},
		{"a .git is no such", "x/.git/HEAD x/.git/config x/.git/objects/ x/.git/refs/", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var b autorun.Bare
			got := ""
			for path := range strings.FieldsSeq(tt.tree) {
				if dir, whole := b.See(strings.TrimRight(path, "/@"), strings.TrimRight(path, "/@") != path); whole {
					got += dir
				}
			}
			if got != tt.whole {
				t.Errorf("found %q, want %q", got, tt.whole)
			}
			for _, name := range []string{"HEAD", "config", "commondir"} {
				at := strings.TrimPrefix(tt.whole+"/"+name, "./")
				if _, flagged := b.Reason(at); flagged != (tt.whole != "") {
					t.Errorf("Reason(%q) = %v", at, flagged)
				}
			}
			if _, flagged := b.Reason("x/refs/config"); flagged {
				t.Error("a file further down has a reason")
			}
		})
	}
}
