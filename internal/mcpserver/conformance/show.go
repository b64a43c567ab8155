package conformance

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// addResources adds what the suite lists, reads and watches.
func addResources(s *mcp.Server) {
	for _, r := range []struct{ name, kind, text string }{
		{"static-text", "text/plain", "This is the content of the static text resource."},
		{"static-binary", "image/png", ""},
		{"watched-resource", "text/plain", "Nothing happens here."},
	} {
		s.AddResource(&mcp.Resource{
			Name: r.name, URI: "test://" + r.name, MIMEType: r.kind, Description: about,
		}, func(_ context.Context, req *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
			contents := &mcp.ResourceContents{URI: req.Params.URI, MIMEType: r.kind, Text: r.text}
			if r.text == "" {
				contents.Blob = decoded(redDot)
			}
			return &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{contents}}, nil
		})
	}
	s.AddResourceTemplate(&mcp.ResourceTemplate{
		Name: "template", URITemplate: "test://template/{id}/data", MIMEType: "application/json", Description: about,
	}, func(_ context.Context, req *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
		id := strings.TrimSuffix(strings.TrimPrefix(req.Params.URI, "test://template/"), "/data")
		data, err := json.Marshal(map[string]any{"id": id, "templateTest": true, "data": "Data for ID: " + id})
		if err != nil {
			return nil, err
		}
		return &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{
			{URI: req.Params.URI, MIMEType: "application/json", Text: string(data)},
		}}, nil
	})
}

// addPrompts adds what the suite lists and gets.
func addPrompts(s *mcp.Server) {
	required := func(names ...string) (all []*mcp.PromptArgument) {
		for _, name := range names {
			all = append(all, &mcp.PromptArgument{Name: name, Required: true})
		}
		return all
	}
	for _, p := range []struct {
		name  string
		takes []*mcp.PromptArgument
		makes func(map[string]string) []mcp.Content
	}{
		{"test_simple_prompt", nil, func(map[string]string) []mcp.Content {
			return []mcp.Content{text("This is a simple prompt for testing.")}
		}},
		{"test_prompt_with_arguments", required("arg1", "arg2"), func(a map[string]string) []mcp.Content {
			return []mcp.Content{text(fmt.Sprintf("Prompt with arguments: arg1='%s', arg2='%s'", a["arg1"], a["arg2"]))}
		}},
		{"test_prompt_with_embedded_resource", required("resourceUri"), func(a map[string]string) []mcp.Content {
			return []mcp.Content{embedded(a["resourceUri"]), text("Please look at the resource.")}
		}},
		{"test_prompt_with_image", nil, func(map[string]string) []mcp.Content {
			return []mcp.Content{picture(), text("Please look at the picture.")}
		}},
	} {
		s.AddPrompt(&mcp.Prompt{Name: p.name, Description: about, Arguments: p.takes}, func(_ context.Context, req *mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
			return prompted(p.makes(req.Params.Arguments)...), nil
		})
	}
	s.AddPrompt(&mcp.Prompt{Name: "test_input_required_result_prompt", Description: about}, asksForContext)
}

func prompted(content ...mcp.Content) *mcp.GetPromptResult {
	var res mcp.GetPromptResult
	for _, c := range content {
		res.Messages = append(res.Messages, &mcp.PromptMessage{Role: "user", Content: c})
	}
	return &res
}

// asksForContext is a prompt that is not complete before the user has said more.
func asksForContext(_ context.Context, req *mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
	if got, _ := accepted(req.Params.InputResponses, "user_context")["context"].(string); got != "" {
		return prompted(text("Context: " + got)), nil
	}
	return &mcp.GetPromptResult{InputRequests: mcp.InputRequestMap{
		"user_context": elicit("What is this about?", field("context", "string")),
	}}, nil
}
