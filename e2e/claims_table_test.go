package e2e

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestTableOfClaims compares docs/security.md with the tests that there are: a claim
// without a test, and a test without its claim, are as bad as a broken one.
func TestTableOfClaims(t *testing.T) {
	text, err := os.ReadFile("../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile(`(?m)^\| (C\d+) \| .* \| (.*) \|$`)
	name := regexp.MustCompile(`TestClaim(C\d+)[A-Z]\w*`)
	var claimed []string
	for _, match := range row.FindAllStringSubmatch(string(text), -1) {
		tests := name.FindAllStringSubmatch(match[2], -1)
		if len(tests) == 0 {
			t.Errorf("%s has no test", match[1])
		}
		for _, test := range tests {
			if test[1] != match[1] {
				t.Errorf("%s is a test of another claim than %s", test[0], match[1])
			}
			claimed = append(claimed, test[0])
		}
	}
	files, _ := filepath.Glob("claims*_test.go")
	var there []string
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range parsed.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil && regexp.MustCompile(`^TestClaim`).MatchString(fn.Name.Name) {
				there = append(there, fn.Name.Name)
			}
		}
	}
	slices.Sort(claimed)
	slices.Sort(there)
	if diff := cmp.Diff(claimed, there); diff != "" || len(there) < 14 {
		t.Errorf("docs/security.md against the tests (-docs +tests):\n%s", diff)
	}
}
