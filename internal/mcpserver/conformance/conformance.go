// Package conformance has what the protocol's conformance suite wants to find in a server:
// tools, prompts and resources that it knows by name. They are served on the stack that
// serves the product's tools, so that what is tested is that; they make no workspaces. See
// tools/conformance.sh.
//
// The names and what the fixtures do are the suite's:
// https://github.com/modelcontextprotocol/conformance
package conformance

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

//lint:file-ignore SA1019 the suite wants logging and sampling, which the new revision has deprecated.

// fixture is a tool that the suite calls by its name.
type fixture struct {
	name   string
	do     func(context.Context, *mcp.CallToolRequest, map[string]any) (*mcp.CallToolResult, error)
	schema string // of the arguments; empty: any object
}

// Options declare what the fixtures need.
func Options() mcp.ServerOptions {
	return mcp.ServerOptions{
		SubscribeHandler:   func(context.Context, *mcp.SubscribeRequest) error { return nil }, // the library keeps the list
		UnsubscribeHandler: func(context.Context, *mcp.UnsubscribeRequest) error { return nil },
		CompletionHandler: func(context.Context, *mcp.CompleteRequest) (*mcp.CompleteResult, error) {
			return &mcp.CompleteResult{Completion: mcp.CompletionResultDetails{Values: []string{}}}, nil
		},
		Capabilities: &mcp.ServerCapabilities{
			Tools:       &mcp.ToolCapabilities{ListChanged: true},
			Prompts:     &mcp.PromptCapabilities{ListChanged: true},
			Resources:   &mcp.ResourceCapabilities{ListChanged: true, Subscribe: true},
			Logging:     &mcp.LoggingCapabilities{},
			Completions: &mcp.CompletionCapabilities{},
		},
	}
}

// Add adds the fixtures to a server.
func Add(s *mcp.Server) {
	for _, f := range append(contentFixtures(s), askingFixtures()...) {
		f.add(s)
	}
	addResources(s)
	addPrompts(s)
}

const about = "A fixture of the conformance suite."

func (f fixture) add(s *mcp.Server) {
	declared := &mcp.Tool{Name: f.name, Description: about}
	if f.schema != "" {
		declared.InputSchema = json.RawMessage(f.schema)
	}
	mcp.AddTool(s, declared, func(ctx context.Context, req *mcp.CallToolRequest, in map[string]any) (*mcp.CallToolResult, any, error) {
		res, err := f.do(ctx, req, in)
		return res, nil, err
	})
}

func contentFixtures(s *mcp.Server) []fixture {
	const draft202012 = `{
		"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "additionalProperties": false,
		"$defs": {"address": {"$anchor": "addressDef", "type": "object", "properties": {
			"street": {"type": "string"}, "city": {"type": "string"}}}},
		"properties": {"name": {"type": "string"}, "address": {"$ref": "#/$defs/address"},
			"contactMethod": {"type": "string", "enum": ["phone", "email"]},
			"phone": {"type": "string"}, "email": {"type": "string"}},
		"allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
		"if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
		"then": {"required": ["phone"]}, "else": {"required": ["email"]}}`
	const mirrored = `{"type": "object", "properties": {
		"region": {"type": "string", "x-mcp-header": "Region"}, "level": {"type": "integer"}}}`
	return []fixture{
		{name: "test_simple_text", do: shows(text("This is a simple text response for testing."))},
		{name: "test_image_content", do: shows(picture())},
		{name: "test_audio_content", do: shows(&mcp.AudioContent{Data: decoded(silence), MIMEType: "audio/wav"})},
		{name: "test_embedded_resource", do: shows(embedded("test://embedded-resource"))},
		{name: "test_multiple_content_types", do: shows(text("Text, a picture and a resource."), picture(), embedded("test://embedded-in-multiple"))},
		{name: "json_schema_2020_12_tool", do: shows(text("The schema held.")), schema: draft202012},
		{name: "test_x_mcp_header", do: shows(text("The header agreed.")), schema: mirrored},
		{name: "test_streaming_elicitation", do: shows(text("There was nothing to ask."))},
		{name: "test_error_handling", do: func(context.Context, *mcp.CallToolRequest, map[string]any) (*mcp.CallToolResult, error) {
			return nil, errors.New("this fixture always fails")
		}},
		{name: "test_tool_with_logging", do: logs("started", "at work", "done")},
		{name: "test_logging_tool", do: logs("called")},
		{name: "test_tool_with_progress", do: progresses},
		{name: "test_reconnection", do: reconnects},
		{name: "test_missing_capability", do: wantsSampling},
		{name: "test_trigger_tool_change", do: changesTools(s)},
		{name: "test_trigger_prompt_change", do: changesPrompts(s)},
	}
}

// Files of a few bytes: a picture of one red dot, and a sound that nobody hears.
const (
	redDot  = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
	silence = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA="
)

func decoded(encoded string) []byte {
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		panic(err) // a fault of the constants above
	}
	return raw
}

func text(s string) mcp.Content { return &mcp.TextContent{Text: s} }

func picture() mcp.Content { return &mcp.ImageContent{Data: decoded(redDot), MIMEType: "image/png"} }

func embedded(uri string) mcp.Content {
	return &mcp.EmbeddedResource{Resource: &mcp.ResourceContents{URI: uri, MIMEType: "text/plain", Text: "This lies in a resource."}}
}

func said(format string, a ...any) *mcp.CallToolResult {
	return &mcp.CallToolResult{Content: []mcp.Content{text(fmt.Sprintf(format, a...))}}
}

type fixtureFunc = func(context.Context, *mcp.CallToolRequest, map[string]any) (*mcp.CallToolResult, error)

func shows(content ...mcp.Content) fixtureFunc {
	return func(context.Context, *mcp.CallToolRequest, map[string]any) (*mcp.CallToolResult, error) {
		return &mcp.CallToolResult{Content: content}, nil
	}
}

// step is between two notifications, so that they come one by one.
const step = 20 * time.Millisecond

// pause waits for so long, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func logs(messages ...string) fixtureFunc {
	return func(ctx context.Context, req *mcp.CallToolRequest, _ map[string]any) (*mcp.CallToolResult, error) {
		for _, m := range messages {
			if err := req.Session.Log(ctx, &mcp.LoggingMessageParams{Level: "info", Data: m}); err != nil {
				return nil, err
			}
			pause(ctx, step)
		}
		return said("%d messages were logged", len(messages)), nil
	}
}

func progresses(ctx context.Context, req *mcp.CallToolRequest, _ map[string]any) (*mcp.CallToolResult, error) {
	token := req.Params.GetProgressToken()
	for _, done := range []float64{0, 50, 100} {
		err := req.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{ProgressToken: token, Progress: done, Total: 100})
		if err != nil {
			return nil, err
		}
		pause(ctx, step)
	}
	return said("%v", token), nil
}

// reconnects ends the stream of its own answer, for which the client comes again.
func reconnects(ctx context.Context, req *mcp.CallToolRequest, _ map[string]any) (*mcp.CallToolResult, error) {
	if req.Extra != nil && req.Extra.CloseSSEStream != nil {
		req.Extra.CloseSSEStream(mcp.CloseSSEStreamArgs{RetryAfter: 10 * time.Millisecond})
	}
	pause(ctx, 5*step)
	return said("the client came again"), nil
}

func wantsSampling(_ context.Context, req *mcp.CallToolRequest, _ map[string]any) (*mcp.CallToolResult, error) {
	if can := req.ClientCapabilities(); can != nil && can.Sampling != nil {
		return said("the client can be asked for a completion"), nil
	}
	wanted, err := json.Marshal(mcp.MissingRequiredClientCapabilityData{
		RequiredCapabilities: &mcp.ClientCapabilities{Sampling: &mcp.SamplingCapabilities{}},
	})
	if err != nil {
		return nil, err
	}
	return nil, &jsonrpc.Error{Code: mcp.CodeMissingRequiredClientCapabilities, Message: "the client cannot be asked for a completion", Data: wanted}
}

// changesTools adds a tool, or replaces it by itself: clients hear of both.
func changesTools(s *mcp.Server) fixtureFunc {
	return func(context.Context, *mcp.CallToolRequest, map[string]any) (*mcp.CallToolResult, error) {
		fixture{name: "test_of_the_moment", do: shows(text("nothing"))}.add(s)
		return said("the list of tools has changed"), nil
	}
}

func changesPrompts(s *mcp.Server) fixtureFunc {
	return func(context.Context, *mcp.CallToolRequest, map[string]any) (*mcp.CallToolResult, error) {
		s.AddPrompt(&mcp.Prompt{Name: "test_of_the_moment", Description: about}, func(context.Context, *mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
			return &mcp.GetPromptResult{}, nil
		})
		return said("the list of prompts has changed"), nil
	}
}
