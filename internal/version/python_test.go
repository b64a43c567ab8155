package version

import (
	"os"
	"regexp"
	"testing"
)

// TestPythonPackageHasTheSameNumber: a wheel of the package holds the program, and names
// itself after it.
func TestPythonPackageHasTheSameNumber(t *testing.T) {
	source, err := os.ReadFile("../../sdk/python/src/pyro_mcp/__init__.py")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^__version__ = "(.*)"$`).FindSubmatch(source)
	if found == nil || string(found[1]) != number {
		t.Errorf("the package is %q, want version %q", found, number)
	}
}
