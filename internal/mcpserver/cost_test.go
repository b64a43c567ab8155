package mcpserver

import (
	"encoding/json"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/tiktoken-go/tokenizer"
)

// What a model is given of a tool: hosts pass nothing else on.
type shown struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	InputSchema any    `json:"input_schema"`
}

// TestCostOfTools bounds what the default profile costs every task, before it has begun.
func TestCostOfTools(t *testing.T) {
	t.Parallel()
	const maxTokens, maxBytes = 2000, 26_000
	s := connect(t, Options{Open: newPlace(t).open, Profile: ProfileCore}, nil)
	list, err := s.ListTools(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	codec, err := tokenizer.Get(tokenizer.O200kBase)
	if err != nil {
		t.Fatal(err)
	}
	tokens := 0
	for _, tool := range list.Tools {
		n := count(t, codec, tool)
		t.Logf("%4d tokens  %s", n, tool.Name)
		tokens += n
	}
	t.Logf("%4d tokens in all", tokens)
	if tokens > maxTokens {
		t.Errorf("%s costs %d tokens, allowed are %d", ProfileCore, tokens, maxTokens)
	}
	raw, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes on the wire", len(raw))
	if len(raw) > maxBytes {
		t.Errorf("tools/list has %d bytes, allowed are %d", len(raw), maxBytes)
	}
}

func count(t *testing.T, codec tokenizer.Codec, tool *mcp.Tool) int {
	t.Helper()
	raw, err := json.Marshal(shown{tool.Name, tool.Description, tool.InputSchema})
	if err != nil {
		t.Fatal(err)
	}
	n, err := codec.Count(string(raw))
	if err != nil {
		t.Fatal(err)
	}
	return n
}
