package httpapi

import (
	"errors"
	"go/ast"
	constants "go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/pyro-sandbox/pyro/api"
)

// words is what the comments of a package say.
type words struct {
	types     map[string]string            // by name
	fields    map[string]map[string]string // by type and Go's name of the field
	constants map[string]string            // values, as they are written in JSON without quotes
	closed    map[string][]any             // the values of a type of texts that has constants
	meanings  map[string]string            // what the comments of those constants say
}

// readWords reads the Go files of a directory, tests aside.
func readWords(t *testing.T, dir string) *words {
	t.Helper()
	files, set := parseDir(t, dir)
	w := &words{
		types: make(map[string]string), fields: make(map[string]map[string]string), constants: make(map[string]string),
		closed: make(map[string][]any), meanings: make(map[string]string),
	}
	for _, file := range files {
		for _, decl := range file.Decls {
			if group, ok := decl.(*ast.GenDecl); ok && group.Tok == token.TYPE {
				for _, spec := range group.Specs {
					w.readType(group, spec.(*ast.TypeSpec))
				}
			}
		}
	}
	w.readConstants(files, set)
	return w
}

func parseDir(t *testing.T, dir string) ([]*ast.File, *token.FileSet) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	set := token.NewFileSet()
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		file, err := parser.ParseFile(set, name, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	return files, set
}

func (w *words) readType(group *ast.GenDecl, spec *ast.TypeSpec) {
	doc := spec.Doc
	if doc == nil {
		doc = group.Doc
	}
	name := spec.Name.Name
	w.types[name] = said(doc)
	of, ok := spec.Type.(*ast.StructType)
	if !ok {
		return
	}
	w.fields[name] = make(map[string]string)
	for _, field := range of.Fields.List {
		text := said(field.Doc)
		if text == "" {
			text = said(field.Comment)
		}
		for _, ident := range field.Names {
			w.fields[name][ident.Name] = text
		}
	}
}

// readConstants finds the values of constants. What the package imports is not looked at:
// no constant needs it.
func (w *words) readConstants(files []*ast.File, set *token.FileSet) {
	info := &types.Info{Defs: make(map[*ast.Ident]types.Object)}
	config := types.Config{Error: func(error) {}, Importer: none{}, IgnoreFuncBodies: true}
	_, _ = config.Check("api", set, files, info) // imports are missing, as they are to be
	for _, file := range files {
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok {
				return true
			}
			for _, ident := range spec.Names {
				if c, ok := info.Defs[ident].(*types.Const); ok && c.Val().Kind() != constants.Unknown {
					w.readConstant(c, said(spec.Comment))
				}
			}
			return true
		})
	}
}

type none struct{}

func (none) Import(string) (*types.Package, error) { return nil, errors.New("not needed") }

func (w *words) readConstant(c *types.Const, comment string) {
	value := c.Val().ExactString()
	text := c.Val().Kind() == constants.String
	if text {
		value = constants.StringVal(c.Val())
	}
	w.constants[c.Name()] = value
	if named, ok := c.Type().(*types.Named); ok && text {
		name := named.Obj().Name()
		w.closed[name] = append(w.closed[name], value)
		if comment != "" {
			w.meanings[name] += "\n- `" + value + "`: " + comment
		}
	}
}

// said is a comment in one line.
func said(comment *ast.CommentGroup) string { return strings.Join(strings.Fields(comment.Text()), " ") }

// about is what a type is, with its values where there are only some.
func (w *words) about(t reflect.Type) string {
	values := t
	if t == reflect.TypeFor[api.EventKind]() { // whose values say which fields they have
		values = reflect.TypeFor[api.Event]()
	}
	return w.translate(w.types[t.Name()], t) + w.translate(w.meanings[t.Name()], values)
}

var (
	identifier = regexp.MustCompile("`[^`]*`|[A-Za-z0-9_]+(?:\\.[A-Za-z0-9_]+)?")
	ofGo       = regexp.MustCompile(` [^.]*errors\.Is\(.*?\)\.`)
)

// translate writes what a comment says for those who see JSON: fields by their names
// there, constants by their values, and nothing about Go. What stands between backquotes is
// left as it is.
func (w *words) translate(text string, of reflect.Type) string {
	text = ofGo.ReplaceAllString(text, "")
	for _, path := range []string{"tree", "changes"} {
		text = strings.ReplaceAll(text, "GET /v1/"+path, "GET /v1/workspaces/{id}/"+path)
	}
	for _, word := range []string{"Nil", "nil"} {
		text = strings.ReplaceAll(text, word+":", "null:")
	}
	return identifier.ReplaceAllStringFunc(text, func(word string) string { return w.word(word, of) })
}

func (w *words) word(word string, of reflect.Type) string {
	if value, ok := w.constants[word]; ok {
		return "`" + value + "`"
	}
	name, tail, dotted := strings.Cut(word, ".")
	switch {
	case of == nil, word == of.Name():
		return word
	case dotted && name == of.Name():
		name = tail
	case dotted:
		return word
	}
	if f, ok := fieldOf(of, name); ok {
		return "`" + jsonName(f) + "`"
	}
	return word
}

// fieldOf is the field that a comment means: also where it is the first word of a sentence.
func fieldOf(of reflect.Type, name string) (reflect.StructField, bool) {
	if of == nil || of.Kind() != reflect.Struct {
		return reflect.StructField{}, false
	}
	f, ok := of.FieldByName(name)
	return f, ok && !f.Anonymous && jsonName(f) != ""
}

func jsonName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}
