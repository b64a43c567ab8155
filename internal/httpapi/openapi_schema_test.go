package httpapi

import (
	"reflect"
	"slices"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/pyro-sandbox/pyro/api"
)

const componentsPrefix = "#/components/schemas/"

// schemas makes the schemas of types of package api, each of them once.
type schemas struct {
	t     *testing.T
	words *words
	made  map[string]*jsonschema.Schema
	limit map[string]rule // what is left of the rules
}

func newSchemas(t *testing.T, w *words) *schemas {
	return &schemas{t: t, words: w, made: make(map[string]*jsonschema.Schema), limit: limits()}
}

// side says who speaks.
type side int

const (
	answered side = iota
	asked         // null is as good as absent, and what is not known is refused
)

// both are the types that are in answers and in requests. In a request they have another
// name.
var both = []reflect.Type{reflect.TypeFor[api.Seed](), reflect.TypeFor[api.Readiness](), reflect.TypeFor[api.Event]()}

func nameOf(t reflect.Type, by side) string {
	if by == asked && slices.Contains(both, t) {
		return t.Name() + "Request"
	}
	return t.Name()
}

// ref is a reference to the schema of a type, which is made if it is not there.
func (s *schemas) ref(t reflect.Type, by side) *jsonschema.Schema {
	if t.Name() == "" {
		return &jsonschema.Schema{Type: "object", Description: "Nothing yet."}
	}
	name := nameOf(t, by)
	if _, ok := s.made[name]; !ok {
		s.made[name] = nil // while it is made
		s.made[name] = s.make(t, by)
	}
	return &jsonschema.Schema{Ref: componentsPrefix + name}
}

func (s *schemas) make(t reflect.Type, by side) *jsonschema.Schema {
	schema, err := jsonschema.ForType(t, &jsonschema.ForOptions{TypeSchemas: s.known(t, by)})
	if err != nil {
		s.t.Fatal(err)
	}
	schema.Description = s.words.about(t)
	if closed := s.words.closed[t.Name()]; closed != nil {
		schema.Enum = closed
	}
	if t.Kind() != reflect.Struct {
		s.apply(t.Name(), schema)
		return schema
	}
	if by == answered {
		schema.AdditionalProperties = nil // fields are added
	}
	for _, f := range reflect.VisibleFields(t) {
		if !f.Anonymous && jsonName(f) != "" && jsonName(f) != "-" {
			s.property(schema, t, f, by)
		}
	}
	s.apply(nameOf(t, by), schema)
	return schema
}

// known is how the named types in a type are called, and what others mean. Those that it
// embeds are part of it.
func (s *schemas) known(t reflect.Type, by side) map[reflect.Type]*jsonschema.Schema {
	known := map[reflect.Type]*jsonschema.Schema{
		reflect.TypeFor[[]byte]():     {Type: "string", ContentEncoding: "base64"},
		reflect.TypeFor[api.Masked](): {Type: "string", WriteOnly: true},
	}
	var look func(reflect.Type)
	look = func(in reflect.Type) {
		switch in.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map:
			look(in.Elem())
		default:
			_, special := known[in]
			if in.PkgPath() == t.PkgPath() && in != t && !special {
				known[in] = s.ref(in, by)
			}
		}
	}
	if t.Kind() == reflect.Struct {
		for _, f := range reflect.VisibleFields(t) {
			if !f.Anonymous && f.Type != reflect.TypeFor[[]byte]() {
				look(f.Type)
			}
		}
	}
	return known
}

// property finishes the schema of a field.
func (s *schemas) property(schema *jsonschema.Schema, t reflect.Type, f reflect.StructField, by side) {
	name := jsonName(f)
	p := schema.Properties[name]
	owner := declaring(t, f)
	if by == answered && f.Type.Kind() != reflect.Pointer {
		notNull(p)
	}
	if p.Items != nil {
		notNull(p.Items)
	}
	if kind := f.Type.Kind(); kind == reflect.Int64 || kind == reflect.Pointer && f.Type.Elem().Kind() == reflect.Int64 {
		p.Format = "int64"
	}
	if p.Description == "" {
		p.Description = s.words.translate(s.words.fields[owner.Name()][f.Name], owner)
	}
	s.apply(nameOf(owner, by)+"."+name, p)
	s.apply("."+name, p)
	optional := !slices.Contains(schema.Required, name)
	if by == asked && (optional || s.optional(nameOf(t, by)+"."+name)) {
		schema.Required = slices.DeleteFunc(schema.Required, func(r string) bool { return r == name })
		orNull(p)
	}
	tidyNull(p)
}

// declaring is the struct that a field of a type stands in.
func declaring(t reflect.Type, f reflect.StructField) reflect.Type {
	for _, i := range f.Index[:len(f.Index)-1] {
		t = t.Field(i).Type
	}
	return t
}

func notNull(s *jsonschema.Schema) {
	if rest := slices.DeleteFunc(slices.Clone(s.Types), func(t string) bool { return t == "null" }); len(rest) == 1 {
		s.Type, s.Types = rest[0], nil
	}
}

func orNull(s *jsonschema.Schema) {
	switch {
	case s.Type != "":
		s.Type, s.Types = "", []string{s.Type, "null"}
	case !slices.Contains(s.Types, "null"):
		s.Types = append(s.Types, "null")
	}
}

// tidyNull puts null behind the type that it stands beside, also where that is a reference.
func tidyNull(s *jsonschema.Schema) {
	if !slices.Contains(s.Types, "null") {
		return
	}
	if s.Enum != nil && !slices.Contains(s.Enum, nil) {
		s.Enum = append(slices.Clone(s.Enum), nil)
	}
	if s.Ref != "" {
		s.AnyOf = []*jsonschema.Schema{{Ref: s.Ref}, {Type: "null"}}
		s.Ref, s.Types = "", nil
		return
	}
	rest := slices.DeleteFunc(slices.Clone(s.Types), func(t string) bool { return t == "null" })
	s.Types = append(rest, "null")
}
