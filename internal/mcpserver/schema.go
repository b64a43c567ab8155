package mcpserver

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/pyro-sandbox/pyro/api"
)

// Arguments are structs with these tags: json names a parameter, and says by omitempty
// that it may be left out; jsonschema describes it; limits says what else holds:
//
//	limits:"default=30,min=1,max=3600"
//	limits:"enum=off|egress"
const limitsTag = "limits"

// parameters is the schema of the arguments of a tool. Every parameter has one type:
// some hosts take no other schemas. A fault in a tag is one of the program and panics.
func parameters[In any]() *jsonschema.Schema {
	schema := mustSchema[In]()
	forFields(reflect.TypeFor[In](), func(f reflect.StructField) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		property := schema.Properties[name]
		oneType(property)
		limit(property, f.Tag.Get(limitsTag))
	})
	return schema
}

// results is the schema of what a tool returns: the fields and their types, not what lies
// in them. No host passes it on to a model, and clients have the types of package api.
func results[Out any]() *jsonschema.Schema {
	schema := mustSchema[Out]()
	for name, property := range schema.Properties {
		schema.Properties[name] = &jsonschema.Schema{Type: property.Type, Types: property.Types}
		oneTypeOfList(schema.Properties[name])
	}
	schema.AdditionalProperties, schema.Required = nil, nil
	schema.PropertyOrder = nil
	return schema
}

func mustSchema[T any]() *jsonschema.Schema {
	schema, err := jsonschema.For[T](&jsonschema.ForOptions{TypeSchemas: map[reflect.Type]*jsonschema.Schema{
		reflect.TypeFor[api.Timestamp](): {Type: "number"},
	}})
	if err != nil {
		panic(fmt.Sprintf("schema of %v: %v", reflect.TypeFor[T](), err))
	}
	return schema
}

// forFields calls each for the fields of a struct, and of those that it embeds.
func forFields(t reflect.Type, each func(reflect.StructField)) {
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			forFields(f.Type, each)
			continue
		}
		each(f)
	}
}

// oneType takes null from the types of a schema and of what is in it.
func oneType(s *jsonschema.Schema) {
	if len(s.Types) > 0 {
		s.Types = slices.DeleteFunc(s.Types, func(t string) bool { return t == "null" })
		s.Type, s.Types = s.Types[0], nil
	}
	if s.Items != nil {
		oneType(s.Items)
	}
	if s.AdditionalProperties != nil {
		oneType(s.AdditionalProperties)
	}
}

// oneTypeOfList is oneType for lists alone, which results never have as null.
func oneTypeOfList(s *jsonschema.Schema) {
	if slices.Contains(s.Types, "array") {
		s.Type, s.Types = "array", nil
	}
}

// limit puts what a tag says into a schema.
func limit(s *jsonschema.Schema, tag string) {
	if tag == "" {
		return
	}
	for part := range strings.SplitSeq(tag, ",") {
		key, value, _ := strings.Cut(part, "=")
		switch key {
		case "default":
			s.Default = literal(s.Type, value)
		case "min":
			s.Minimum = number(value)
		case "max":
			s.Maximum = number(value)
		case "enum":
			for choice := range strings.SplitSeq(value, "|") {
				s.Enum = append(s.Enum, choice)
			}
		default:
			panic(fmt.Sprintf("tag %q: no key %q", tag, key))
		}
	}
}

func literal(kind, value string) []byte {
	if kind == "string" {
		return []byte(strconv.Quote(value))
	}
	return []byte(value)
}

func number(text string) *float64 {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		panic(fmt.Sprintf("limit %q: %v", text, err))
	}
	return &n
}
