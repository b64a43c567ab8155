package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/pyro-sandbox/pyro/api"
)

// chat is a conversation over the interface of OpenAI's chat completions, with tools. Of
// it only what other servers have too is used; see
// https://platform.openai.com/docs/api-reference/chat.
type chat struct {
	url      string
	model    string
	messages []message
}

type message struct {
	Role       string     `json:"role"`
	Content    string     `json:"content"`
	ToolCalls  []toolCall `json:"tool_calls,omitempty"`
	ToolCallID string     `json:"tool_call_id,omitempty"`
}

type toolCall struct {
	ID       string `json:"id"`
	Type     string `json:"type"`
	Function struct {
		Name      string `json:"name"`
		Arguments string `json:"arguments"` // JSON in a text, as the interface has it
	} `json:"function"`
}

// maxReply bounds an answer of a model, in bytes, and maxCalls the tools that it may
// call in one.
const (
	maxReply = 4 << 20
	maxCalls = 8
)

func newChat(base, model string) *chat {
	return &chat{url: strings.TrimRight(base, "/") + "/chat/completions", model: model}
}

func checkBaseURL(base string) error {
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return invalid("base_url is no address of a server", "for example http://localhost:11434/v1")
	}
	return nil
}

func (c *chat) add(m ...message) { c.messages = append(c.messages, m...) }

// ask returns the model's next message.
func (c *chat) ask(ctx context.Context) (*message, error) {
	ctx, cancel := context.WithTimeout(ctx, modelTime)
	defer cancel()
	body, err := json.Marshal(map[string]any{"model": c.model, "messages": c.messages, "tools": modelTools(), "stream": false, "temperature": 0})
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	defer func() { _ = answer.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(answer.Body, maxReply+1))
	switch {
	case err != nil:
		return nil, c.unreachable(ctx, err)
	case len(data) > maxReply:
		return nil, &api.Error{Kind: api.Unavailable, Hint: "try another model", Err: fmt.Errorf("the answer has more than %d bytes", maxReply)}
	case answer.StatusCode != http.StatusOK:
		return nil, &api.Error{
			Kind: api.Unavailable, Hint: "`ollama pull " + c.model + "` fetches the model, if that is what it lacks",
			Err: fmt.Errorf("%s answers %s: %.300s", c.url, answer.Status, data),
		}
	}
	return read(data)
}

// read finds the message in an answer.
func read(data []byte) (*message, error) {
	var reply struct {
		Choices []struct {
			Message message `json:"message"`
		} `json:"choices"`
	}
	if err := json.Unmarshal(data, &reply); err != nil || len(reply.Choices) == 0 {
		return nil, &api.Error{Kind: api.Unavailable, Hint: "check --base-url: it ends in /v1 most of the time", Err: fmt.Errorf("no answer of a chat: %.300q", data)}
	}
	m := reply.Choices[0].Message
	m.Role = "assistant"
	m.ToolCalls = m.ToolCalls[:min(len(m.ToolCalls), maxCalls)]
	for i := range m.ToolCalls {
		m.ToolCalls[i].Type = "function"
	}
	return &m, nil
}

func (c *chat) unreachable(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return &api.Error{Kind: api.Timeout, Hint: "try a smaller model", Err: fmt.Errorf("the model says nothing for %v", modelTime)}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var cause *url.Error
	if errors.As(err, &cause) {
		err = cause.Err
	}
	return &api.Error{Kind: api.Unavailable, Hint: "start the server, `ollama serve`, or name another with --base-url", Err: fmt.Errorf("no model at %s: %w", c.url, err)}
}

// modelTools are what a model may do.
func modelTools() []any {
	type properties = map[string]any
	text := func(says string) properties { return properties{"type": "string", "description": says} }
	tool := func(name, says string, required []string, p properties) any {
		return map[string]any{"type": "function", "function": map[string]any{
			"name": name, "description": says,
			"parameters": map[string]any{"type": "object", "properties": p, "required": required},
		}}
	}
	return []any{
		tool("workspace_exec", "Run a shell command in /workspace; returns exit code and output.", []string{"command"}, properties{"command": text("for example: sh check.sh")}),
		tool("workspace_file_read", "Return the content of a file.", []string{"path"}, properties{"path": text("for example: add.sh")}),
		tool("workspace_file_write", "Replace the content of a file.", []string{"path", "text"}, properties{"path": text("for example: add.sh"), "text": text("the whole new content")}),
	}
}

// maxShown is what of an output a small model is told, in bytes.
const maxShown = 4000

// use does what the model asks for. What it asks wrongly it is told; an error is ours.
func (d *dialogue) use(ctx context.Context, call toolCall) (string, error) {
	var in struct{ Command, Path, Text string }
	if err := json.Unmarshal([]byte(call.Function.Arguments), &in); err != nil {
		d.say("[tool] %s: arguments are no JSON", call.Function.Name)
		return "error: the arguments are no JSON object", nil
	}
	var said string
	var err error
	switch call.Function.Name {
	case "workspace_exec":
		d.say("[tool] workspace_exec %s", in.Command)
		var code int
		code, said, err = d.story.run(ctx, "sh", "-c", in.Command)
		said = fmt.Sprintf("exit code %d\n%s", code, said)
	case "workspace_file_read":
		d.say("[tool] workspace_file_read %s", in.Path)
		var file *api.FileRead
		if file, err = d.story.ws.Files().Read(ctx, api.FileReadRequest{Path: in.Path}); err == nil {
			said = file.Content
		}
	case "workspace_file_write":
		d.say("[tool] workspace_file_write %s", in.Path)
		_, err = d.story.ws.Files().WriteFrom(ctx, api.FileWriteRequest{Path: in.Path}, strings.NewReader(in.Text))
		said = "written"
	default:
		d.say("[tool] there is no %s", call.Function.Name)
		return "error: there is no such tool", nil
	}
	switch kind := api.KindOf(err); {
	case err == nil:
	case kind == api.Internal || kind == api.Unavailable || kind == api.Canceled || ctx.Err() != nil:
		return "", err
	default:
		said = "error: " + err.Error()
	}
	if d.verbose {
		d.say("[tool] %s", said)
	}
	return said[:min(len(said), maxShown)], nil
}
