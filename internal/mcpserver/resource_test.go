package mcpserver

import (
	"errors"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

func read(t *testing.T, s *mcp.ClientSession, uri string) (*mcp.ResourceContents, error) {
	t.Helper()
	res, err := s.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: uri})
	if err != nil {
		return nil, err
	}
	if len(res.Contents) != 1 || res.Contents[0].URI != uri {
		t.Fatalf("%s: got %v", uri, res.Contents)
	}
	return res.Contents[0], nil
}

func TestResourcesHoldWhatAWorkspaceHas(t *testing.T) {
	t.Parallel()
	s := connect(t, Options{Open: newPlace(t).open}, nil)
	id := newWorkspace(t, s)
	must[execAnswer](t, s, "workspace_exec", map[string]any{"workspace_id": id, "command": `mkdir 'a b'; printf 'one\n' >'a b/c.txt'; printf '\377\000' >raw; echo said`})
	for uri, want := range map[string]mcp.ResourceContents{
		"/diff":                {MIMEType: "text/x-diff", Text: "+++ b/a b/c.txt"},
		"/log":                 {MIMEType: plainText, Text: "said\n"},
		"/files/a%20b/c.txt":   {MIMEType: "text/plain; charset=utf-8", Text: "one\n"},
		"/files/raw":           {MIMEType: "application/octet-stream", Blob: []byte{0xff, 0}},
		"/files/workspace/x/y": {},
		"/files/":              {},
		"/files/../../etc":     {},
		"/nothing":             {},
		"/diff/more":           {},
	} {
		got, err := read(t, s, resourceRoot+"/"+id+uri)
		switch {
		case want.MIMEType == "":
			if wire, ok := errors.AsType[*jsonrpc.Error](err); !ok || wire.Code != jsonrpc.CodeInvalidParams {
				t.Errorf("%s: got %v and error %v", uri, got, err)
			}
		case err != nil:
			t.Errorf("%s: %v", uri, err)
		case got.MIMEType != want.MIMEType || !strings.Contains(got.Text, want.Text) || string(got.Blob) != string(want.Blob):
			t.Errorf("%s: got %+v", uri, got)
		}
	}
	list, err := read(t, s, resourceRoot)
	if err != nil || !strings.Contains(list.Text, id) {
		t.Errorf("the list is %v, error %v", list, err)
	}
}

func TestNothingIsOpenedBeforeTheFirstCall(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	s := connect(t, Options{Open: p.open}, nil)
	for name, ask := range map[string]func() error{
		"tools":     func() error { _, err := s.ListTools(t.Context(), nil); return err },
		"resources": func() error { _, err := s.ListResources(t.Context(), nil); return err },
		"templates": func() error { _, err := s.ListResourceTemplates(t.Context(), nil); return err },
		"prompts":   func() error { _, err := s.ListPrompts(t.Context(), nil); return err },
	} {
		if err := ask(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if p.calls != 0 {
		t.Errorf("lists opened the client %d times", p.calls)
	}
}

func TestRunProfileDeclaresToolsAlone(t *testing.T) {
	t.Parallel()
	s := connect(t, Options{Open: newPlace(t).open, Profile: ProfileRun}, nil)
	_, err := s.ListResources(t.Context(), nil)
	if wire, ok := errors.AsType[*jsonrpc.Error](err); !ok || wire.Code != jsonrpc.CodeMethodNotFound {
		t.Errorf("resources: %v", err)
	}
}

func TestPrompts(t *testing.T) {
	t.Parallel()
	s := connect(t, Options{Open: newPlace(t).open}, nil)
	for name, tc := range map[string]struct {
		given map[string]string
		want  string // empty: an error
	}{
		"reproduce_bug":     {map[string]string{"bug": "it crashes", "command": "make test"}, "It shows with: make test\n"},
		"try_change":        {nil, ""},
		"review_repository": {nil, "It is a stranger's"},
		"unknown":           {nil, ""},
	} {
		got, err := s.GetPrompt(t.Context(), &mcp.GetPromptParams{Name: name, Arguments: tc.given})
		switch {
		case tc.want == "" && err == nil:
			t.Errorf("%s: no error", name)
		case tc.want != "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case tc.want != "" && !strings.Contains(got.Messages[0].Content.(*mcp.TextContent).Text, tc.want):
			t.Errorf("%s: got %v", name, got.Messages[0].Content)
		}
	}
}
