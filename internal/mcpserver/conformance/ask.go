package conformance

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

//lint:file-ignore SA1019 the suite wants sampling and roots, which the new revision has deprecated.

// askingFixtures ask the client, all in the one way that works in both eras: by an answer
// that holds the questions. Old clients get requests made of it.
func askingFixtures() []fixture {
	name := question("user_name", elicit("What is your name?", field("name", "string")))
	sign := newSigner()
	confirm := question("confirm", elicit("Please confirm.", field("ok", "boolean")))
	return []fixture{
		{name: "test_sampling", do: samples},
		{name: "test_elicitation", do: elicits("username", "string")},
		{name: "test_elicitation_sep1034_defaults", do: elicitsForm(defaultsForm())},
		{name: "test_elicitation_sep1330_enums", do: elicitsForm(enumsForm())},
		{name: "test_input_required_result_elicitation", do: func(_ context.Context, req *mcp.CallToolRequest, _ map[string]any) (*mcp.CallToolResult, error) {
			if got, _ := accepted(req.Params.InputResponses, "user_name")["name"].(string); got != "" {
				return said("Hello, %s!", got), nil
			}
			return name, nil
		}},
		{name: "test_input_required_result_sampling", do: asks("capital_question", completion("What is the capital of France?"))},
		{name: "test_input_required_result_list_roots", do: asks("client_roots", &mcp.ListRootsParams{})},
		{name: "test_input_required_result_request_state", do: sign.keeps(confirm)},
		{name: "test_input_required_result_tampered_state", do: sign.keeps(confirm)},
		{name: "test_input_required_result_multiple_inputs", do: asksAll},
		{name: "test_input_required_result_multi_round", do: asksTwice},
		{name: "test_input_required_result_capabilities", do: asksWhatItMay},
	}
}

func elicit(message string, schema any) *mcp.ElicitParams {
	return &mcp.ElicitParams{Message: message, RequestedSchema: schema}
}

// field is a form with one field.
func field(name, kind string) any {
	return map[string]any{
		"type": "object", "properties": map[string]any{name: map[string]any{"type": kind}}, "required": []string{name},
	}
}

func completion(prompt string) *mcp.CreateMessageParams {
	return &mcp.CreateMessageParams{
		Messages: []*mcp.SamplingMessage{{Role: "user", Content: &mcp.TextContent{Text: prompt}}}, MaxTokens: 100,
	}
}

func question(id string, ask mcp.InputRequest) *mcp.CallToolResult {
	return &mcp.CallToolResult{InputRequests: mcp.InputRequestMap{id: ask}}
}

// accepted is what a user has filled in; nil where that was refused, or not asked for.
func accepted(answers mcp.InputResponseMap, id string) map[string]any {
	if got, ok := answers[id].(*mcp.ElicitResult); ok && got != nil && got.Action == "accept" {
		return got.Content
	}
	return nil
}

// answered is the gist of an answer of any kind; empty: there is none.
func answered(answers mcp.InputResponseMap, id string) string {
	switch got := answers[id].(type) {
	case *mcp.CreateMessageWithToolsResult:
		for _, c := range got.Content {
			if words, ok := c.(*mcp.TextContent); ok {
				return words.Text
			}
		}
		return "no text"
	case *mcp.CreateMessageResult:
		if words, ok := got.Content.(*mcp.TextContent); ok {
			return words.Text
		}
		return "no text"
	case *mcp.ListRootsResult:
		uris := []string{fmt.Sprintf("%d roots", len(got.Roots))}
		for _, root := range got.Roots {
			uris = append(uris, root.URI)
		}
		return strings.Join(uris, " ")
	case *mcp.ElicitResult:
		return fmt.Sprintf("action=%s, content=%v", got.Action, got.Content)
	}
	return ""
}

// asks asks one thing and says what came back.
func asks(id string, ask mcp.InputRequest) fixtureFunc {
	return func(_ context.Context, req *mcp.CallToolRequest, _ map[string]any) (*mcp.CallToolResult, error) {
		if got := answered(req.Params.InputResponses, id); got != "" {
			return said("The client said: %s", got), nil
		}
		return question(id, ask), nil
	}
}

func samples(ctx context.Context, req *mcp.CallToolRequest, in map[string]any) (*mcp.CallToolResult, error) {
	prompt, _ := in["prompt"].(string)
	return asks("completion", completion(prompt))(ctx, req, in)
}

func elicits(name, kind string) fixtureFunc {
	return func(ctx context.Context, req *mcp.CallToolRequest, in map[string]any) (*mcp.CallToolResult, error) {
		message, _ := in["message"].(string)
		return asks("form", elicit(message, field(name, kind)))(ctx, req, in)
	}
}

func elicitsForm(properties map[string]any) fixtureFunc {
	return asks("form", elicit("Please fill this in.", map[string]any{"type": "object", "properties": properties}))
}

func defaultsForm() map[string]any {
	with := func(kind string, usual any) map[string]any { return map[string]any{"type": kind, "default": usual} }
	status := with("string", "active")
	status["enum"] = []string{"active", "inactive", "pending"}
	return map[string]any{
		"name": with("string", "John Doe"), "age": with("integer", 30), "score": with("number", 95.5),
		"status": status, "verified": with("boolean", true),
	}
}

func enumsForm() map[string]any {
	plain := []string{"option1", "option2", "option3"}
	titled := []map[string]any{
		{"const": "value1", "title": "First Option"}, {"const": "value2", "title": "Second Option"}, {"const": "value3", "title": "Third Option"},
	}
	several := func(items map[string]any) map[string]any {
		return map[string]any{"type": "array", "minItems": 1, "maxItems": 3, "items": items}
	}
	return map[string]any{
		"untitledSingle": map[string]any{"type": "string", "enum": plain},
		"titledSingle":   map[string]any{"type": "string", "oneOf": titled},
		"legacyEnum": map[string]any{
			"type": "string", "enum": []string{"opt1", "opt2", "opt3"}, "enumNames": []string{"Option One", "Option Two", "Option Three"},
		},
		"untitledMulti": several(map[string]any{"type": "string", "enum": plain}),
		"titledMulti":   several(map[string]any{"anyOf": titled}),
	}
}

// asksAll asks three things at once, until all are answered.
func asksAll(_ context.Context, req *mcp.CallToolRequest, _ map[string]any) (*mcp.CallToolResult, error) {
	answers := req.Params.InputResponses
	name, _ := accepted(answers, "user_name")["name"].(string)
	greeting, roots := answered(answers, "greeting"), answered(answers, "client_roots")
	if name != "" && greeting != "" && roots != "" {
		return said("%s %s (%s)", greeting, name, roots), nil
	}
	return &mcp.CallToolResult{RequestState: "all", InputRequests: mcp.InputRequestMap{
		"user_name": elicit("What is your name?", field("name", "string")),
		"greeting":  completion("Make up a greeting."), "client_roots": &mcp.ListRootsParams{},
	}}, nil
}

// asksTwice asks for a name and then for a colour. What it has heard lies in the state
// that the client sends back: the server remembers nothing.
func asksTwice(_ context.Context, req *mcp.CallToolRequest, _ map[string]any) (*mcp.CallToolResult, error) {
	name, second := strings.CutPrefix(req.Params.RequestState, "name=")
	switch {
	case second:
		colour, _ := accepted(req.Params.InputResponses, "step2")["color"].(string)
		return said("%s likes %s", name, colour), nil
	case req.Params.RequestState == "first":
		name, _ := accepted(req.Params.InputResponses, "step1")["name"].(string)
		next := question("step2", elicit("What is your favourite colour?", field("color", "string")))
		next.RequestState = "name=" + name
		return next, nil
	}
	first := question("step1", elicit("What is your name?", field("name", "string")))
	first.RequestState = "first"
	return first, nil
}

// asksWhatItMay asks only what the client has said that it can answer.
func asksWhatItMay(_ context.Context, req *mcp.CallToolRequest, _ map[string]any) (*mcp.CallToolResult, error) {
	if len(req.Params.InputResponses) > 0 {
		return said("thank you"), nil
	}
	may := mcp.InputRequestMap{}
	if can := req.ClientCapabilities(); can != nil {
		if can.Elicitation != nil {
			may["user_name"] = elicit("What is your name?", field("name", "string"))
		}
		if can.Sampling != nil {
			may["greeting"] = completion("Make up a greeting.")
		}
		if can.RootsV2 != nil {
			may["client_roots"] = &mcp.ListRootsParams{}
		}
	}
	if len(may) == 0 {
		return said("there is nothing that the client can be asked"), nil
	}
	return &mcp.CallToolResult{InputRequests: may}, nil
}

// signer makes states that nobody else can make.
type signer struct{ key []byte }

func newSigner() *signer { return &signer{key: []byte(rand.Text())} }

func (s *signer) sign(state string) string {
	mac := hmac.New(sha256.New, s.key)
	mac.Write([]byte(state))
	return state + "." + hex.EncodeToString(mac.Sum(nil))
}

func (s *signer) made(signed string) bool {
	state, _, _ := strings.Cut(signed, ".")
	return hmac.Equal([]byte(s.sign(state)), []byte(signed))
}

// keeps asks with a state, and takes an answer only with that.
func (s *signer) keeps(ask *mcp.CallToolResult) fixtureFunc {
	return func(_ context.Context, req *mcp.CallToolRequest, _ map[string]any) (*mcp.CallToolResult, error) {
		yes := accepted(req.Params.InputResponses, "confirm") != nil
		switch state := req.Params.RequestState; {
		case (state != "" || yes) && !s.made(state):
			return nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: "the request's state is not one of this server"}
		case yes:
			return said("state-ok"), nil
		}
		return &mcp.CallToolResult{InputRequests: ask.InputRequests, RequestState: s.sign("asked")}, nil
	}
}
