package main

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A stale table would be a wrong filter.
func TestCommittedTableIsWhatGenWrites(t *testing.T) {
	committed, err := os.ReadFile("../programs_amd64.go")
	if err != nil {
		t.Fatal(err)
	}
	generated, err := generate()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(generated), string(committed)); diff != "" {
		t.Errorf("run go generate in internal/filters (-generated +committed):\n%s", diff)
	}
}
