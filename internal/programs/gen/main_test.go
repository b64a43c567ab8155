package main

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/pyro-sandbox/pyro/internal/programs"
)

// What is packed twice has the same bytes, and unpacks to what went in.
func TestPackedTwice(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	first, second := t.TempDir(), t.TempDir()
	for _, dir := range []string{first, second, first} {
		if err := run(dir, runtime.GOARCH, []string{self}); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{programs.IndexName, filepath.Base(self) + programs.Packed} {
		a, err := os.ReadFile(filepath.Join(first, name))
		if err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(filepath.Join(second, name)); err != nil || !bytes.Equal(a, b) {
			t.Errorf("%s differs, %v", name, err)
		}
	}
	b, err := programs.Open(os.DirFS(first))
	if err != nil {
		t.Fatal(err)
	}
	dir, err := b.Unpack(t.Context(), filepath.Join(t.TempDir(), "here"), 0o700)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, filepath.Base(self))); err != nil || !bytes.Equal(got, want) {
		t.Errorf("it unpacks to something else, %v", err)
	}
}

func TestProgramForAnotherMachine(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := run(t.TempDir(), "mips", []string{self}); err == nil || !strings.Contains(err.Error(), "not built for mips") {
		t.Errorf("got %v", err)
	}
}

func TestUsage(t *testing.T) {
	if run("", "amd64", []string{"x"}) == nil || run(t.TempDir(), "amd64", nil) == nil || run(t.TempDir(), "amd64", []string{"/none"}) == nil {
		t.Error("it packed nothing and was content")
	}
}
