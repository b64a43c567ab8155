package mcpserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/pyro-sandbox/pyro/api"
)

// tidyArguments puts right what models get wrong often and harmlessly, before arguments
// are checked against their schema: "30" for 30, "true" for true, the text of a JSON
// object for the object, and null for what may be left out. What no tool has is refused,
// with the names that it does have.
func (d *desk) tidyArguments(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		params, ok := req.GetParams().(*mcp.CallToolParamsRaw)
		if !ok || params == nil || d.offers[params.Name] == nil {
			return next(ctx, method, req)
		}
		tidy, err := tidied(d.offers[params.Name], params.Arguments)
		if err != nil {
			var res mcp.CallToolResult
			res.SetError((&call{desk: d, tool: params.Name}).explain(err))
			return markComplete(req, &res)
		}
		params.Arguments = tidy
		return next(ctx, method, req)
	}
}

func tidied(schema *jsonschema.Schema, raw json.RawMessage) (json.RawMessage, error) {
	var given map[string]json.RawMessage
	if len(raw) == 0 {
		raw = json.RawMessage("{}")
	}
	if err := json.Unmarshal(raw, &given); err != nil {
		return nil, badArguments(errors.New("arguments are no JSON object"))
	}
	if given == nil {
		given = make(map[string]json.RawMessage) // null
	}
	for name, value := range given {
		property := schema.Properties[name]
		switch {
		case property == nil:
			return nil, badArguments(fmt.Errorf("unknown argument %q, allowed are %s", clip(name), names(schema)))
		case string(value) == "null" && !slices.Contains(schema.Required, name):
			delete(given, name)
			continue
		}
		value = convert(property, value)
		if err := check(property, value); err != nil {
			return nil, badArguments(fmt.Errorf("argument %q %w", name, err))
		}
		given[name] = value
	}
	for _, name := range schema.Required {
		if given[name] == nil {
			return nil, badArguments(fmt.Errorf("argument %q is missing", name))
		}
	}
	return json.Marshal(given)
}

func badArguments(err error) error {
	return &api.Error{Kind: api.Invalid, Err: err}
}

// convert returns what a value stands for, where another type is wanted; else the value
// as it is.
func convert(property *jsonschema.Schema, value json.RawMessage) json.RawMessage {
	var text string
	if property.Type != "string" && json.Unmarshal(value, &text) == nil {
		value = fromText(property.Type, strings.TrimSpace(text), value)
	}
	switch property.Type {
	case "integer":
		if n, ok := whole(value); ok {
			return n
		}
	case "array":
		return withoutNulls(property, value)
	}
	return value
}

// fromText reads a text as a value of another type; otherwise is what it is if it is none.
func fromText(kind, text string, otherwise json.RawMessage) json.RawMessage {
	switch kind {
	case "integer":
		if _, err := strconv.ParseInt(text, 10, 64); err == nil {
			return json.RawMessage(strings.TrimPrefix(text, "+"))
		}
	case "boolean":
		if word := strings.ToLower(text); word == "true" || word == "false" {
			return json.RawMessage(word)
		}
	case "object", "array":
		open := map[string]string{"object": "{", "array": "["}[kind]
		if strings.HasPrefix(text, open) && json.Valid([]byte(text)) {
			return json.RawMessage(text)
		}
	}
	return otherwise
}

// whole writes a number such as 30.0 or 3e1, which JSON has no integers to tell from, as
// Go reads one.
func whole(value json.RawMessage) (json.RawMessage, bool) {
	var n float64
	const exact = 1 << 53
	if json.Unmarshal(value, &n) != nil || n != math.Trunc(n) || math.Abs(n) > exact {
		return nil, false
	}
	return strconv.AppendInt(nil, int64(n), 10), true
}

// withoutNulls takes what is null out of the objects in a list.
func withoutNulls(property *jsonschema.Schema, value json.RawMessage) json.RawMessage {
	var list []map[string]json.RawMessage
	if property.Items == nil || property.Items.Type != "object" || json.Unmarshal(value, &list) != nil {
		return value
	}
	for _, item := range list {
		maps.DeleteFunc(item, func(_ string, v json.RawMessage) bool { return string(v) == "null" })
	}
	if plain, err := json.Marshal(list); err == nil {
		return plain
	}
	return value
}

// check says what is wrong with a value, in words that a model can act on: the library's
// are about schemas, and quote what they refuse however long it is. It knows what schemas
// of tools have, and the library looks again.
func check(property *jsonschema.Schema, value json.RawMessage) error {
	var decoded any
	if err := json.Unmarshal(value, &decoded); err != nil {
		return errors.New("cannot be read")
	}
	return checkValue(property, decoded)
}

func checkValue(property *jsonschema.Schema, value any) error {
	wrong := func(want string) error {
		raw, _ := json.Marshal(value) // it was JSON
		return fmt.Errorf("is %s, wanted is %s", clip(string(raw)), want)
	}
	switch property.Type {
	case "integer":
		n, ok := value.(float64)
		switch {
		case !ok || n != math.Trunc(n) || math.Abs(n) > 1<<53:
			return wrong("an integer")
		case property.Minimum != nil && n < *property.Minimum, property.Maximum != nil && n > *property.Maximum:
			return wrong(bounds(property))
		}
	case "boolean":
		if _, ok := value.(bool); !ok {
			return wrong("true or false")
		}
	case "string":
		if _, ok := value.(string); !ok {
			return wrong("a string")
		}
		if len(property.Enum) > 0 && !slices.Contains(property.Enum, value) {
			return wrong("one of " + strings.Trim(fmt.Sprint(property.Enum), "[]"))
		}
	case "array":
		list, ok := value.([]any)
		if !ok {
			return wrong("a list")
		}
		for i, item := range list {
			if err := checkValue(property.Items, item); err != nil {
				return fmt.Errorf("at %d %w", i, err)
			}
		}
	case "object":
		object, ok := value.(map[string]any)
		if !ok {
			return wrong("an object")
		}
		for _, key := range slices.Sorted(maps.Keys(object)) {
			if err := checkValue(property.AdditionalProperties, object[key]); err != nil {
				return fmt.Errorf("at %q %w", clip(key), err)
			}
		}
	}
	return nil
}

// bounds are those of a number, in words.
func bounds(s *jsonschema.Schema) string {
	switch {
	case s.Maximum == nil:
		return fmt.Sprintf("%v or more", *s.Minimum)
	case s.Minimum == nil:
		return fmt.Sprintf("%v or less", *s.Maximum)
	}
	return fmt.Sprintf("%v to %v", *s.Minimum, *s.Maximum)
}

func names(s *jsonschema.Schema) string {
	if len(s.Properties) == 0 {
		return "none"
	}
	return strings.Join(slices.Sorted(maps.Keys(s.Properties)), ", ")
}

// clip keeps an error readable, whatever was sent.
func clip(s string) string {
	const most = 100
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
