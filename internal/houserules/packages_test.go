package houserules

import (
	"fmt"
	"go/version"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// minGo is the oldest toolchain that may build pyro: older ones let an archive
// make archive/tar take memory without limit (CVE-2026-32288).
const minGo = "go1.26.2"

func TestPackageComments(t *testing.T) {
	for _, f := range packageComments(load(t)) {
		t.Error(f)
	}
}

// packageComments wants exactly one file with a package comment in each package;
// it may be a test file only if there is no other.
func packageComments(sources []source) []finding {
	product := make(map[string][]string)
	tests := make(map[string][]string)
	for _, s := range sources {
		files := product
		if s.isTest() {
			files = tests
		}
		commented := files[s.pkg()]
		if s.file.Doc != nil {
			commented = append(commented, filepath.Base(s.path))
		}
		files[s.pkg()] = commented
	}
	var found []finding
	for pkg, commented := range tests {
		if _, ok := product[pkg]; !ok {
			product[pkg] = commented
		}
	}
	for pkg, commented := range product {
		if len(commented) != 1 {
			found = append(found, finding{path: pkg, what: fmt.Sprintf("package comment in %q, want exactly one", commented)})
		}
	}
	return found
}

func TestPackageCommentsNoticesBreaches(t *testing.T) {
	const with, without = "// Package x is.\npackage x", "package x"
	for name, tc := range map[string]struct {
		files map[string]string
		want  int
	}{
		"one":                     {map[string]string{"x/a.go": with, "x/b.go": without}, 0},
		"none":                    {map[string]string{"x/a.go": without}, 1},
		"two":                     {map[string]string{"x/a.go": with, "x/b.go": with}, 1},
		"only in the test":        {map[string]string{"x/a.go": without, "x/a_test.go": with}, 1},
		"package of tests":        {map[string]string{"x/a_test.go": with, "x/b_test.go": without}, 0},
		"licence is no comment":   {map[string]string{"x/a.go": "// Copyright\n\npackage x"}, 1},
		"build constraint before": {map[string]string{"x/a.go": "//go:build linux\n\n" + with}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var sources []source
			for path, text := range tc.files {
				sources = append(sources, parse(t, path, text))
			}
			if found := packageComments(sources); len(found) != tc.want {
				t.Errorf("found %v, want %d", found, tc.want)
			}
		})
	}
}

func TestToolchainFloor(t *testing.T) {
	for _, module := range []string{".", "gvisor", "tools"} {
		text, err := os.ReadFile(filepath.Join("..", "..", module, "go.mod"))
		if err != nil {
			t.Error(err)
			continue
		}
		if got := goVersion(string(text)); !isNewEnough(got) {
			t.Errorf("%s/go.mod asks for %q, want %s or newer", module, got, minGo)
		}
	}
}

// goVersion returns the version of the go line of a go.mod, "" without one.
func goVersion(mod string) string {
	for line := range strings.Lines(mod) {
		if fields := strings.Fields(line); len(fields) >= 2 && fields[0] == "go" {
			return "go" + fields[1]
		}
	}
	return ""
}

func isNewEnough(v string) bool { return version.Compare(v, minGo) >= 0 }

func TestToolchainFloorNoticesBreaches(t *testing.T) {
	for mod, want := range map[string]bool{
		"module x\n\ngo 1.26.3\n":            true,
		"module x\n\ngo 1.26.2\n":            true,
		"module x\n\ngo 1.27\n":              true,
		"module x\n\ngo 1.26.1\n":            false,
		"module x\n\ngo 1.26\n":              false,
		"module x\n\ngo 1.9\n":               false,
		"module x\n\ntoolchain go1.26.3\n\n": false,
	} {
		if got := isNewEnough(goVersion(mod)); got != want {
			t.Errorf("isNewEnough of %q = %v, want %v", mod, got, want)
		}
	}
}
