package main

import (
	"bytes"
	"debug/buildinfo"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// program builds something with modules in it.
func program(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pyro-agent")
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-buildvcs=false", "-o", path, "github.com/pyro-sandbox/pyro/cmd/pyro-agent")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return path
}

func TestBill(t *testing.T) {
	path := program(t)
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	first, err := bill(path, []string{path})
	if err != nil {
		t.Fatal(err)
	}
	if again, err := bill(path, []string{path}); err != nil || !bytes.Equal(first, again) {
		t.Errorf("a second one differs, %v", err)
	}
	var d document
	if err := json.Unmarshal(first, &d); err != nil {
		t.Fatal(err)
	}
	if d.Format != "CycloneDX" || d.Metadata.Component.Name != "pyro" || len(d.Metadata.Component.Hashes) != 1 {
		t.Errorf("it begins with %+v", d.Metadata)
	}
	for _, dep := range info.Deps {
		at := slices.IndexFunc(d.Components, func(c component) bool { return c.Name == dep.Path && c.Version == dep.Version })
		if at < 0 || len(d.Components[at].Licenses) == 0 || d.Components[at].Purl == "" {
			t.Errorf("%s %s is missing, or has no license", dep.Path, dep.Version)
		}
	}
	if want := len(info.Deps) + 2; len(d.Components) != want { // the helper, and the standard library
		t.Errorf("%d components, want %d", len(d.Components), want)
	}
	var refs []string
	for _, c := range d.Components {
		refs = append(refs, c.Ref)
	}
	for _, dep := range d.Dependencies {
		for _, on := range dep.On {
			if !slices.Contains(refs, on) {
				t.Errorf("%s depends on %s, which is nowhere", dep.Ref, on)
			}
		}
	}
}

func TestBillOfSomethingElse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(path, []byte("no program"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := bill(path, nil); err == nil {
		t.Error("a list of the parts of nothing")
	}
}
