package mcpserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
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
			return &res, nil
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
		default:
			given[name] = convert(property.Type, value)
		}
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

// convert returns what a text stands for, where another type is wanted; else the value
// as it is, for the schema to judge.
func convert(kind string, value json.RawMessage) json.RawMessage {
	var text string
	if kind == "string" || json.Unmarshal(value, &text) != nil {
		return value
	}
	text = strings.TrimSpace(text)
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
	return value
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
