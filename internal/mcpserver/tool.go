package mcpserver

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// effects are what hosts are told about a tool before they ask their user for consent.
type effects struct {
	reads       bool // it changes nothing
	destroys    bool // it may end, overwrite or delete something
	idempotent  bool // a second call with the same arguments changes nothing more
	runsOutside bool // it touches more than the sandbox, which has no network: files or ports of the host
}

func (e effects) hints() *mcp.ToolAnnotations {
	return &mcp.ToolAnnotations{
		ReadOnlyHint: e.reads, DestructiveHint: &e.destroys, IdempotentHint: e.idempotent || e.reads, OpenWorldHint: &e.runsOutside,
	}
}

// tool is one that a server can have.
type tool struct {
	name, title string
	says        string // what a model is told, with an example of a call
	effects     effects
	first       bool // every task starts with it: hosts show it without being asked

	// Both are set by define: what arguments it takes, and how it gets on a server. A
	// schema is made when it is first asked for.
	input func() *jsonschema.Schema
	add   func(*mcp.Server, *desk, selection)
}

// call is one call of a tool.
type call struct {
	*desk
	tool    string
	request *mcp.CallToolRequest
	most    int // characters of the answer, see maxAnswer
}

// given reports whether an argument was given, and not left to its default.
func (c *call) given(name string) bool {
	var arguments map[string]json.RawMessage
	return json.Unmarshal(c.request.Params.Arguments, &arguments) == nil && arguments[name] != nil
}

// ifGiven is a size that was asked for; 0: the default, which is the machine's to say and
// no wish that an engine without limits would have to refuse.
func (c *call) ifGiven(name string, value int) int {
	if c.given(name) {
		return value
	}
	return 0
}

// ttl is how long something is to live; 0: as the machine's configuration says.
func (c *call) ttl(seconds int) time.Duration {
	return time.Duration(c.ifGiven("ttl_seconds", seconds)) * time.Second
}

// question is what a handler returns as its error when the user has to say yes first.
type question struct{ message string }

func (q *question) Error() string { return q.message }

// define makes a tool of a function. What it returns is the structured content of the
// answer, and its error the text of one, with the next step.
func define[In, Out any](t tool, do func(context.Context, *call, In) (*Out, error)) tool {
	t.input = sync.OnceValue(parameters[In])
	t.add = func(s *mcp.Server, d *desk, chosen selection) {
		name := t.name
		declared := &mcp.Tool{
			Name: name, Title: t.title, Description: chosen.says(t, d.project), Annotations: t.effects.hints(),
			InputSchema: t.input(), OutputSchema: results[Out](),
		}
		if t.first {
			declared.Meta = mcp.Meta{"anthropic/alwaysLoad": true}
		}
		mcp.AddTool(s, declared, func(ctx context.Context, req *mcp.CallToolRequest, in In) (*mcp.CallToolResult, *Out, error) {
			c := &call{desk: d, tool: name, request: req, most: maxAnswer}
			out, err := do(ctx, c, in)
			if err != nil {
				res, err := c.fail(err)
				return res, nil, err
			}
			if squeeze(out, c.most) {
				if p, ok := any(out).(interface{ markCut() }); ok {
					p.markCut()
				}
			}
			return nil, out, nil
		})
	}
	return t
}
