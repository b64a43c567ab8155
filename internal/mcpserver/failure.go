package mcpserver

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

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

// explain makes the text of an error, which ends in the next thing to do.
func (c *call) explain(err error) error {
	if errors.Is(err, context.Canceled) {
		return fmt.Errorf("Error executing tool %s: canceled", c.tool) //nolint // the contract's words
	}
	text := fmt.Sprintf("Error executing tool %s: %s", c.tool, strings.TrimRight(err.Error(), "."))
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
	switch api.KindOf(err) {
	case api.Invalid:
		return "correct the argument and call " + c.tool + " again"
	case api.NotFound:
		return c.inTools("`pyro workspace list` shows what there is")
	case api.Conflict, api.Unavailable, api.Timeout:
		return c.inTools("`pyro workspace status` shows the state")
	case api.Expired:
		return c.inTools("`pyro workspace create` makes a new one")
	case api.Exists:
		return "choose another name"
	default:
		return "tell the user, who can run `pyro doctor`"
	}
}

// commands are what hints name, and the tools that do the same. Longer ones come first.
var commands = []struct{ command, tool string }{
	{"workspace file list", "workspace_file_list"},
	{"workspace file read", "workspace_file_read"},
	{"workspace disk list", "workspace_disk_list"},
	{"workspace snapshot list", "snapshot_list"},
	{"workspace snapshot create", "snapshot_create"},
	{"workspace snapshot delete", "snapshot_delete"},
	{"workspace service list", "service_list"},
	{"workspace service logs", "service_logs"},
	{"workspace service start", "service_start"},
	{"workspace service stop", "service_stop"},
	{"workspace shell open", "shell_open"},
	{"workspace shell close", "shell_close"},
	{"workspace create", "workspace_create"},
	{"workspace delete", "workspace_delete"},
	{"workspace diff", "workspace_diff"},
	{"workspace exec", "workspace_exec"},
	{"workspace export", "workspace_export"},
	{"workspace list", "workspace_list"},
	{"workspace logs", "workspace_logs"},
	{"workspace reset", "workspace_reset"},
	{"workspace start", "workspace_start"},
	{"workspace status", "workspace_status"},
	{"workspace stop", "workspace_stop"},
	{"workspace summary", "workspace_summary"},
	{"workspace update", "workspace_update"},
}

var (
	quotedCommand = regexp.MustCompile("`pyro ([^`]+)`")
	option        = regexp.MustCompile(`(^|[\s(])--([a-z][a-z-]*)`)
)

// inTools puts a hint that speaks of commands into the words of a model, which has tools.
// Commands that no tool stands for are the user's to run.
func (c *call) inTools(hint string) string {
	hint = quotedCommand.ReplaceAllStringFunc(hint, func(quoted string) string {
		command := strings.TrimPrefix(strings.Trim(quoted, "`"), "pyro ")
		for _, known := range commands {
			if rest, ok := strings.CutPrefix(command, known.command); ok && c.offers[known.tool] != nil {
				return called(known.tool, rest)
			}
		}
		return quoted + " (for the user to run)"
	})
	return option.ReplaceAllStringFunc(hint, func(flag string) string {
		return strings.ReplaceAll(strings.Replace(flag, "--", "", 1), "-", "_")
	})
}

// called names a tool and what it is to be given.
func called(tool, arguments string) string {
	if arguments = strings.TrimSpace(arguments); arguments == "" {
		return tool
	}
	return tool + " (" + arguments + ")"
}

// ask makes the answer that has the host ask its user.
func (c *call) ask(q *question) *mcp.CallToolResult {
	return &mcp.CallToolResult{InputRequests: mcp.InputRequestMap{askID: &mcp.ElicitParams{
		Message:         q.message,
		RequestedSchema: map[string]any{"type": "object", "properties": map[string]any{}},
	}}}
}

const askID = "confirm"

// confirmed makes sure that a call may do what cannot be undone: its caller says that the
// user wants it, or the user is asked where the host can ask. Hosts that cannot are
// trusted to have asked before the call.
func (c *call) confirmed(said bool, message string) error {
	if answer, ok := c.request.Params.InputResponses[askID].(*mcp.ElicitResult); ok {
		if answer.Action == "accept" {
			return nil
		}
		return &api.Error{
			Kind: api.Denied, Hint: "go on without it, or ask the user and call again with confirm true",
			Err: errors.New("the user did not agree"),
		}
	}
	can := c.request.ClientCapabilities()
	if said || can == nil || can.Elicitation == nil {
		return nil
	}
	return &question{message: message}
}
