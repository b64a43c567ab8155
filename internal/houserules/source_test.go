package houserules

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// module is the path of the root module; the nested one is module/gvisor.
const module = "github.com/pyro-sandbox/pyro"

// source is one parsed Go file.
type source struct {
	path string // from the top of the repository: internal/wire/frame.go
	fset *token.FileSet
	file *ast.File
}

// finding is one place that breaks a rule.
type finding struct {
	path string // of the file, or of the package
	line int    // 0 if the whole file or package is meant
	what string
}

func (f finding) String() string {
	if f.line == 0 {
		return fmt.Sprintf("%s: %s", f.path, f.what)
	}
	return fmt.Sprintf("%s:%d: %s", f.path, f.line, f.what)
}

func parse(t *testing.T, name, text string) source {
	t.Helper()
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return source{path: name, fset: fset, file: file}
}

// load parses every Go file of both modules but generated ones, whatever the
// platform it is for.
func load(t *testing.T) []source {
	t.Helper()
	top := filepath.Join("..", "..")
	var sources []source
	err := filepath.WalkDir(top, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return skipDir(name, entry.Name())
		}
		if filepath.Ext(name) != ".go" {
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(top, name)
		if err != nil {
			return err
		}
		if s := parse(t, filepath.ToSlash(relative), string(text)); !ast.IsGenerated(s.file) {
			sources = append(sources, s)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return sources
}

// skipDir leaves out what the go command leaves out.
func skipDir(name, base string) error {
	if name == filepath.Join("..", "..") {
		return nil
	}
	if base == "testdata" || base == "vendor" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
		return filepath.SkipDir
	}
	return nil
}

// pkg returns the directory of the package, "." for the root package.
func (s source) pkg() string { return path.Dir(s.path) }

// isTest reports whether only tests link the file.
func (s source) isTest() bool {
	return strings.HasSuffix(s.path, "_test.go") || isTestSupport(s.pkg())
}

// isTestSupport reports whether a package of ours is there for tests: a suite or
// a fake, named after what it stands for (enginetest), or the gate.
func isTestSupport(pkg string) bool {
	base := path.Base(pkg)
	return strings.HasSuffix(base, "test") || base == "testgate"
}

// isCommand reports whether the file belongs to a program: one of the product's, or
// one that go generate runs.
func (s source) isCommand() bool {
	return within(s.path, "cmd", "gvisor/cmd") || s.file.Name.Name == "main"
}

// within reports whether a path is one of the directories or lies below one.
func within(name string, dirs ...string) bool {
	for _, dir := range dirs {
		if name == dir || strings.HasPrefix(name, dir+"/") {
			return true
		}
	}
	return false
}

func (s source) at(node ast.Node, format string, args ...any) finding {
	return finding{path: s.path, line: s.fset.Position(node.Pos()).Line, what: fmt.Sprintf(format, args...)}
}

// imports maps the name by which the file calls a package to its path.
func (s source) imports() map[string]string {
	names := make(map[string]string)
	for _, spec := range s.file.Imports {
		target := importPath(spec)
		name := path.Base(target)
		if strings.HasPrefix(name, "v") && strings.Trim(name[1:], "0123456789") == "" {
			name = path.Base(path.Dir(target))
		}
		if spec.Name != nil {
			name = spec.Name.Name
		}
		names[name] = target
	}
	return names
}

func importPath(spec *ast.ImportSpec) string {
	target, err := strconv.Unquote(spec.Path.Value)
	if err != nil {
		panic(err) // the parser has accepted it
	}
	return target
}

// mention is a use of an exported name of another package, called or not.
type mention struct {
	node    ast.Node
	name    string // os.Exit
	parents []ast.Node
}

// mentions returns the uses of names of imported packages, as PATH.NAME.
func (s source) mentions() []mention {
	imports := s.imports()
	var found []mention
	walk(s.file, func(node ast.Node, parents []ast.Node) {
		selector, ok := node.(*ast.SelectorExpr)
		if !ok {
			return
		}
		x, ok := selector.X.(*ast.Ident)
		if !ok || imports[x.Name] == "" {
			return
		}
		name := imports[x.Name] + "." + selector.Sel.Name
		found = append(found, mention{node, name, append([]ast.Node(nil), parents...)})
	})
	return found
}

// inFunc reports whether the mention is in a top-level function whose name
// satisfies match.
func (m mention) inFunc(match func(name string) bool) bool {
	for _, parent := range m.parents {
		if fn, ok := parent.(*ast.FuncDecl); ok && fn.Recv == nil && match(fn.Name.Name) {
			return true
		}
	}
	return false
}

// walk visits every node with its parents, the outermost first.
func walk(root ast.Node, visit func(node ast.Node, parents []ast.Node)) {
	var parents []ast.Node
	ast.Inspect(root, func(node ast.Node) bool {
		if node == nil {
			parents = parents[:len(parents)-1]
			return true
		}
		visit(node, parents)
		parents = append(parents, node)
		return true
	})
}
