package mcpserver

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/pyro-sandbox/pyro/api"
)

// fail says what went wrong in the one form that all hosts show to a model: an error of
// the tool, text alone. A question goes to the user instead.
func (c *call) fail(err error) (*mcp.CallToolResult, error) {
	if q, ok := errors.AsType[*question](err); ok {
		return c.ask(q), nil
	}
	return nil, c.explain(err)
}

// maxError is how many characters of an error are shown. What a guest chose may be in it.
const maxError = 2000

// readable leaves out control characters but the ends of lines and tabs.
func readable(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && unicode.IsControl(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

// explain makes the text of an error, which ends in the next thing to do.
func (c *call) explain(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, api.Canceled) {
		return fmt.Errorf("Error executing tool %s: canceled", c.tool) //nolint // the contract's words
	}
	said := readable(strings.TrimRight(err.Error(), "."))
	said, _ = headAndTail(said, int64(len(said)), maxError)
	text := fmt.Sprintf("Error executing tool %s: %s", c.tool, said)
	if next := c.next(err); next != "" {
		text += ". Next: " + next
	}
	return errors.New(text)
}

// next is what a model can do about an error.
func (c *call) next(err error) string {
	if hint := api.HintOf(err); hint != "" {
		return c.inTools(hint)
	}
	status, list := "`pyro workspace status` shows the state", "`pyro workspace list` shows what there is"
	if strings.HasPrefix(c.tool, "vm_") {
		status, list = "vm_status shows the state", "make another with vm_create"
	}
	switch api.KindOf(err) {
	case api.Invalid:
		return "correct the argument and call " + c.tool + " again"
	case api.NotFound:
		return c.inTools(list)
	case api.Conflict, api.Unavailable, api.Timeout:
		return c.inTools(status)
	case api.Expired:
		return c.inTools("`pyro workspace create` makes a new one")
	case api.Exists:
		return "choose another name"
	default:
		return "tell the user, who can run `pyro doctor`"
	}
}

// ask makes the answer that has the host ask its user.
func (c *call) ask(q *question) *mcp.CallToolResult {
	return &mcp.CallToolResult{InputRequests: mcp.InputRequestMap{askID: &mcp.ElicitParams{
		Message:         q.message,
		RequestedSchema: map[string]any{"type": "object", "properties": map[string]any{}},
	}}}
}

const askID = "confirm"

// answerOfUser returns what the user said, where they were asked.
func (c *call) answerOfUser() (agreed, asked bool) {
	answer, asked := c.request.Params.InputResponses[askID].(*mcp.ElicitResult)
	return asked && answer.Action == "accept", asked
}

// canAsk reports whether the host can ask its user. Hosts that cannot are trusted to have
// asked before the call.
func (c *call) canAsk() bool {
	can := c.request.ClientCapabilities()
	return can != nil && can.Elicitation != nil
}

// errDisagreed is the error of a call whose user said no.
func errDisagreed(otherwise string) error {
	return &api.Error{Kind: api.Denied, Hint: otherwise, Err: errors.New("the user did not agree")}
}
