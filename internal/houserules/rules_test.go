package houserules

import (
	"go/ast"
	"go/token"
	"slices"
	"strings"
	"testing"
)

// rule is something that no single file may do.
type rule struct {
	name string
	why  string
	find func(source) []finding
}

// rules are checked against every file that is not generated.
var rules = []rule{
	{"exit", "deferred clean-up is skipped, and a program that owns sandboxes has some", findExit},
	{"sleep", "a sleeping test is slow and still wrong on a busy machine; wait for the event, or use testing/synctest", findSleep},
	{"print", "stdout is the answer and belongs to the faces", findPrint},
	{"init", "what runs before main cannot be ordered, tested or left out", findInit},
	{"log", "package log is a global with a format of its own", findLog},
	{"background", "a context without a parent is work that nobody can cancel", findBackground},
	{"skip", "a skip has to be earned by a probe, and PYRO_REQUIRE must be able to forbid it: testgate.Require", findSkip},
	{"todo", "what is not done is not noted in the code; it is done or written up as an issue", findTodo},
	{"doc", "an exported name of the public packages is a promise and says what it promises", findUndocumented},
	{"foreign", "a third party's type in the public interface makes its versions ours", findForeign},
}

func TestRules(t *testing.T) {
	sources := load(t)
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			var found []finding
			for _, s := range sources {
				found = append(found, r.find(s)...)
			}
			for _, f := range allowed(t, r.name, found) {
				t.Errorf("%v\n\t%s", f, r.why)
			}
		})
	}
}

// findMentions returns the uses of the names (PATH.NAME) that excuse does not excuse.
func findMentions(s source, excuse func(mention) bool, names ...string) []finding {
	var found []finding
	for _, m := range s.mentions() {
		if slices.Contains(names, m.name) && !excuse(m) {
			found = append(found, s.at(m.node, "%s", m.name))
		}
	}
	return found
}

func never(mention) bool { return false }

func findExit(s source) []finding {
	if s.isCommand() {
		return nil
	}
	// A test binary that plays a helper process ends itself in TestMain.
	inTestMain := func(m mention) bool {
		return s.isTest() && m.inFunc(func(name string) bool { return name == "TestMain" })
	}
	return findMentions(s, inTestMain, "os.Exit")
}

func findSleep(s source) []finding {
	if !s.isTest() {
		return nil
	}
	// In a bubble of synctest the clock is fake and sleeping takes no time.
	imports := s.imports()
	inBubble := func(m mention) bool {
		return slices.ContainsFunc(m.parents, func(node ast.Node) bool {
			call, ok := node.(*ast.CallExpr)
			return ok && isCallTo(call, imports, "testing/synctest", "Test")
		})
	}
	return findMentions(s, inBubble, "time.Sleep")
}

func isCallTo(call *ast.CallExpr, imports map[string]string, pkg, name string) bool {
	selector, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || selector.Sel.Name != name {
		return false
	}
	x, ok := selector.X.(*ast.Ident)
	return ok && imports[x.Name] == pkg
}

func findPrint(s source) []finding {
	if s.isCommand() || within(s.path, "internal/cli") {
		return nil
	}
	// An example prints what it promises, a helper process what it is asked for.
	speaks := func(name string) bool { return strings.HasPrefix(name, "Example") || name == "TestMain" }
	excuse := func(m mention) bool { return s.isTest() && m.inFunc(speaks) }
	found := findMentions(s, excuse, "fmt.Print", "fmt.Printf", "fmt.Println")
	walk(s.file, func(node ast.Node, _ []ast.Node) {
		call, ok := node.(*ast.CallExpr)
		if !ok {
			return
		}
		if fn, ok := call.Fun.(*ast.Ident); ok && (fn.Name == "print" || fn.Name == "println") {
			found = append(found, s.at(call, "built-in %s", fn.Name))
		}
	})
	return found
}

func findInit(s source) []finding {
	var found []finding
	for _, decl := range s.file.Decls {
		if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
			found = append(found, s.at(fn, "init function"))
		}
	}
	return found
}

func findLog(s source) []finding {
	var found []finding
	for _, spec := range s.file.Imports {
		if importPath(spec) == "log" {
			found = append(found, s.at(spec, "import of log"))
		}
	}
	return found
}

func findBackground(s source) []finding {
	if s.isTest() || s.isCommand() {
		return nil
	}
	return findMentions(s, never, "context.Background", "context.TODO")
}

func findSkip(s source) []finding {
	if within(s.path, "internal/testgate") {
		return nil
	}
	tests := testParameters(s)
	var found []finding
	walk(s.file, func(node ast.Node, _ []ast.Node) {
		selector, ok := node.(*ast.SelectorExpr)
		if !ok || !slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, selector.Sel.Name) {
			return
		}
		if x, ok := selector.X.(*ast.Ident); ok && tests[x.Name] {
			found = append(found, s.at(selector, "%s.%s", x.Name, selector.Sel.Name))
		}
	})
	return found
}

// testParameters returns the names that some function of the file gives to a
// parameter of type testing.TB, *testing.T, *testing.B or *testing.F.
func testParameters(s source) map[string]bool {
	imports := s.imports()
	names := make(map[string]bool)
	walk(s.file, func(node ast.Node, _ []ast.Node) {
		field, ok := node.(*ast.Field)
		if !ok {
			return
		}
		kind := field.Type
		if star, ok := kind.(*ast.StarExpr); ok {
			kind = star.X
		}
		selector, ok := kind.(*ast.SelectorExpr)
		if !ok {
			return
		}
		if x, ok := selector.X.(*ast.Ident); ok && imports[x.Name] == "testing" {
			for _, name := range field.Names {
				names[name.Name] = true
			}
		}
	})
	return names
}

func findTodo(s source) []finding {
	var found []finding
	for _, group := range s.file.Comments {
		for _, comment := range group.List {
			text := strings.TrimLeft(comment.Text, "/* \t")
			for _, mark := range []string{"TODO", "FIXME", "XXX"} {
				if strings.HasPrefix(text, mark) {
					found = append(found, s.at(comment, "%s", mark))
				}
			}
		}
	}
	return found
}

// isPublic reports whether the file is part of what programs import.
func (s source) isPublic() bool {
	return !s.isTest() && (s.pkg() == "." || within(s.path, "api"))
}

func findUndocumented(s source) []finding {
	if !s.isPublic() {
		return nil
	}
	var found []finding
	for _, decl := range s.file.Decls {
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			if isExported(decl) && decl.Doc == nil {
				found = append(found, s.at(decl, "%s has no comment", decl.Name.Name))
			}
		case *ast.GenDecl:
			found = append(found, undocumentedSpecs(s, decl)...)
		}
	}
	return found
}

// undocumentedSpecs takes the comment above a group as that of its constants and
// variables, and one at the end of the line too; a type has its own.
func undocumentedSpecs(s source, decl *ast.GenDecl) []finding {
	var found []finding
	for _, spec := range decl.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			grouped := decl.Lparen != token.NoPos
			if spec.Name.IsExported() && spec.Doc == nil && (grouped || decl.Doc == nil) {
				found = append(found, s.at(spec, "%s has no comment", spec.Name.Name))
			}
		case *ast.ValueSpec:
			exported := slices.ContainsFunc(spec.Names, (*ast.Ident).IsExported)
			if exported && spec.Doc == nil && spec.Comment == nil && decl.Doc == nil {
				found = append(found, s.at(spec, "%s has no comment", spec.Names[0].Name))
			}
		}
	}
	return found
}

// isExported reports whether the function, and for a method its type, can be
// named from outside.
func isExported(fn *ast.FuncDecl) bool {
	return fn.Name.IsExported() && (fn.Recv == nil || receiver(fn).IsExported())
}

// receiver returns the name of the type that has the method, without its star
// and type parameters.
func receiver(fn *ast.FuncDecl) *ast.Ident {
	kind := fn.Recv.List[0].Type
	for {
		switch t := kind.(type) {
		case *ast.StarExpr:
			kind = t.X
		case *ast.IndexExpr:
			kind = t.X
		case *ast.IndexListExpr:
			kind = t.X
		case *ast.ParenExpr:
			kind = t.X
		case *ast.Ident:
			return t
		default:
			panic("a receiver is a named type")
		}
	}
}

func findForeign(s source) []finding {
	if !s.isPublic() {
		return nil
	}
	var found []finding
	for _, part := range publicParts(s.file) {
		public := s
		public.file = &ast.File{Name: s.file.Name, Imports: s.file.Imports, Decls: []ast.Decl{part}}
		for _, m := range public.mentions() {
			if isForeign(m.name) {
				found = append(found, s.at(m.node, "%s in an exported declaration", m.name))
			}
		}
	}
	return found
}

// publicParts returns the exported declarations without function bodies and
// without the unexported fields of structs.
func publicParts(file *ast.File) []ast.Decl {
	var parts []ast.Decl
	for _, decl := range file.Decls {
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			if isExported(decl) {
				parts = append(parts, &ast.FuncDecl{Name: decl.Name, Type: decl.Type})
			}
		case *ast.GenDecl:
			for _, spec := range decl.Specs {
				if spec, ok := spec.(*ast.TypeSpec); ok && spec.Name.IsExported() {
					parts = append(parts, &ast.GenDecl{Tok: token.TYPE, Specs: []ast.Spec{publicType(spec)}})
				}
			}
		}
	}
	return parts
}

func publicType(spec *ast.TypeSpec) *ast.TypeSpec {
	structure, ok := spec.Type.(*ast.StructType)
	if !ok {
		return spec
	}
	public := *structure.Fields
	public.List = slices.DeleteFunc(slices.Clone(public.List), func(field *ast.Field) bool {
		return len(field.Names) > 0 && !slices.ContainsFunc(field.Names, (*ast.Ident).IsExported)
	})
	return &ast.TypeSpec{Name: spec.Name, Type: &ast.StructType{Fields: &public}}
}

// isForeign reports whether a path is neither ours nor the standard library's,
// whose first element has no dot.
func isForeign(target string) bool {
	first, _, _ := strings.Cut(target, "/")
	isStandard := first == target || !strings.Contains(first, ".")
	return !isStandard && !within(target, module) && !strings.HasPrefix(target, module+".")
}
