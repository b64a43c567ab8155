package wire_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// named is a test that the table of docs/protocol.md names: package.TestName, and
// behind a slash the case, as `go test -run` has it.
var named = regexp.MustCompile("`([a-z]+)\\.(Test[A-Za-z0-9_]+)(?:/([^`]+))?`")

func TestFaultTableNamesTests(t *testing.T) {
	page, err := os.ReadFile("../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, ok := strings.Cut(string(page), "\n## Faults that are not repeated\n")
	if !ok {
		t.Fatal("docs/protocol.md has no table of faults")
	}
	packages := make(map[string]map[string]*ast.FuncDecl)
	for _, row := range faultRows(t, table) {
		t.Run(row[0], func(t *testing.T) {
			found := named.FindAllStringSubmatch(row[2], -1)
			if len(found) == 0 {
				t.Error("names no test")
			}
			for _, name := range found {
				if packages[name[1]] == nil {
					packages[name[1]] = testsOf(t, filepath.Join("..", name[1]))
				}
				checkTest(t, packages[name[1]], name)
			}
		})
	}
}

// faultRows are the rows below a heading, without the table's own.
func faultRows(t *testing.T, section string) (rows [][]string) {
	t.Helper()
	for line := range strings.Lines(section) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) == 3 && !strings.HasPrefix(cells[0], "--") && strings.TrimSpace(cells[0]) != "fault" {
			rows = append(rows, []string{strings.TrimSpace(cells[0]), cells[1], cells[2]})
		}
	}
	if len(rows) < 15 {
		t.Fatalf("the table of faults has %d rows", len(rows))
	}
	return rows
}

// testsOf are the test functions of a package.
func testsOf(t *testing.T, dir string) map[string]*ast.FuncDecl {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	tests := make(map[string]*ast.FuncDecl)
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range parsed.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil {
				tests[f.Name.Name] = f
			}
		}
	}
	return tests
}

// checkTest looks for a test function, and in it for the text that names the case.
func checkTest(t *testing.T, tests map[string]*ast.FuncDecl, name []string) {
	t.Helper()
	f := tests[name[2]]
	if f == nil {
		t.Errorf("%s.%s does not exist", name[1], name[2])
		return
	}
	found := name[3] == ""
	ast.Inspect(f, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			text, err := strconv.Unquote(lit.Value)
			found = found || err == nil && strings.ReplaceAll(text, " ", "_") == name[3]
		}
		return !found
	})
	if !found {
		t.Errorf("%s.%s has no case %q", name[1], name[2], name[3])
	}
}
