package mcpserver

import (
	"context"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/pyro-sandbox/pyro"
	"github.com/pyro-sandbox/pyro/api"
)

// logsAnswer is the contract's WorkspaceLogs. Count counts all commands that were asked
// for, also those that are left out.
type logsAnswer struct {
	api.WorkspaceLogs
	part
	EntriesOmitted int     `json:"entries_omitted"`       // the oldest
	SizeBytes      *int    `json:"size_bytes,omitempty"`  // of a stream that is read in pages
	NextOffset     *int    `json:"next_offset,omitempty"` // of the page that follows
	Next           *string `json:"next"`                  // the call that gets more of what is left out; null: there is none
}

type logsArguments struct {
	WorkspaceID string `json:"workspace_id"`
	Last        int    `json:"last,omitempty" jsonschema:"newest only"`
	Sequence    int    `json:"sequence,omitempty" jsonschema:"this command only"`
	Stream      string `json:"stream,omitempty" jsonschema:"read it in pages" limits:"enum=stdout|stderr"`
	Offset      int    `json:"offset,omitempty" limits:"min=0"`
	MaxChars    int    `json:"max_chars,omitempty" limits:"default=10000,min=1000,max=200000"`
}

func logsTool() tool {
	return define(tool{
		name: "workspace_logs", title: "Show past commands",
		says:    "Return past commands with their output. Example, all of one stream: {\"workspace_id\":\"ab12…\",\"sequence\":3,\"stream\":\"stdout\"}.",
		effects: effects{reads: true},
	}, func(ctx context.Context, c *call, in logsArguments) (*logsAnswer, error) {
		c.most = in.MaxChars
		if in.Stream != "" && in.Sequence == 0 {
			return nil, badArguments(fmt.Errorf("stream is read of one command: give its sequence too"))
		}
		if in.Offset > 0 && in.Stream == "" {
			return nil, badArguments(fmt.Errorf("offset counts in one stream: give sequence and stream too"))
		}
		ws, err := c.workspace(ctx, in.WorkspaceID)
		if err != nil {
			return nil, err
		}
		if in.Sequence > 0 {
			return c.logOfOne(ctx, ws, in)
		}
		return c.logOfAll(ctx, ws, in)
	})
}

// leastEntry is less than any entry of a log has, in characters.
const leastEntry = 200

// logOfAll shows the newest commands: each may take half of the room that is left.
func (c *call) logOfAll(ctx context.Context, ws *pyro.Workspace, in logsArguments) (*logsAnswer, error) {
	fits := c.most/leastEntry + 1
	if in.Last > 0 {
		fits = min(fits, in.Last)
	}
	logs, err := ws.Logs(ctx, fits)
	if err != nil {
		return nil, err
	}
	out := &logsAnswer{WorkspaceLogs: api.WorkspaceLogs{WorkspaceID: logs.WorkspaceID, Entries: []api.LogEntry{}}}
	if n := len(logs.Entries); n > 0 {
		out.Count = logs.Entries[n-1].Sequence
		if in.Last > 0 {
			out.Count = min(out.Count, in.Last)
		}
	}
	out.Next = logNext(ws, maxAsked, "stdout")
	room := c.most - size(out)
	out.Next = nil
	var shown []api.LogEntry
	for _, e := range slices.Backward(logs.Entries) {
		cut := shorten(&e, max(room/2, leastEntry))
		n := size(e) + 2
		if n > room {
			break
		}
		room -= n
		shown = append(shown, e)
		if cut && out.Next == nil {
			out.Next = logNext(ws, e.Sequence, cutStream(&e))
		}
	}
	slices.Reverse(shown)
	out.Entries = append(out.Entries, shown...)
	out.EntriesOmitted = max(0, out.Count-len(shown))
	if out.EntriesOmitted > 0 && out.Next == nil && len(shown) > 0 {
		out.Next = more("workspace_logs", "workspace_id", ws.ID(), "sequence", shown[0].Sequence-1)
	}
	out.Truncated = out.EntriesOmitted > 0 || out.Next != nil
	return out, nil
}

func logNext(ws *pyro.Workspace, sequence int, stream string) *string {
	return more("workspace_logs", "workspace_id", ws.ID(), "sequence", sequence, "stream", stream)
}

func cutStream(e *api.LogEntry) string {
	if e.StdoutTruncated || !e.StderrTruncated {
		return "stdout"
	}
	return "stderr"
}

// shorten makes an entry fit into a room, where it can, and reports whether the output is
// not whole.
func shorten(e *api.LogEntry, room int) (cut bool) {
	stdout, stderr := e.Stdout, e.Stderr
	e.Stdout, e.Stderr, e.Command = "", "", brief(e.Command, room/4)
	forOut, forErr := shares(room-size(e), cost(stdout), cost(stderr))
	var outCut, errCut bool
	e.Stdout, outCut = headAndTail(stdout, int64(len(stdout)), forOut)
	e.Stderr, errCut = headAndTail(stderr, int64(len(stderr)), forErr)
	e.StdoutTruncated = e.StdoutTruncated || outCut
	e.StderrTruncated = e.StderrTruncated || errCut
	return outCut || errCut
}

// logOfOne shows one command: the beginning and the end of its output, or a page of one
// stream.
func (c *call) logOfOne(ctx context.Context, ws *pyro.Workspace, in logsArguments) (*logsAnswer, error) {
	e, err := findLog(ctx, ws, in.Sequence)
	if err != nil {
		return nil, err
	}
	out := &logsAnswer{WorkspaceLogs: api.WorkspaceLogs{WorkspaceID: ws.ID(), Count: 1}}
	out.Next = more(c.tool, "workspace_id", ws.ID(), "sequence", in.Sequence, "stream", "stdout", "offset", api.MaxFileBytes, "max_chars", maxAsked)
	if in.Stream == "" {
		cut := shorten(e, c.most-size(out)-2)
		if out.Truncated = cut; cut {
			out.Next = logNext(ws, e.Sequence, cutStream(e))
		} else {
			out.Next = nil
		}
		out.Entries = []api.LogEntry{*e}
		return out, nil
	}
	c.page(out, e, in)
	return out, nil
}

// page shows a piece of one stream of a command.
func (c *call) page(out *logsAnswer, e *api.LogEntry, in logsArguments) {
	text := e.Stdout
	if in.Stream == "stderr" {
		text = e.Stderr
	}
	from := min(in.Offset, len(text))
	for from < len(text) && !utf8.RuneStart(text[from]) {
		from++
	}
	e.Stdout, e.Stderr, e.Command = "", "", brief(e.Command, c.most/8)
	out.Entries = []api.LogEntry{*e}
	out.SizeBytes, out.NextOffset = new(len(text)), new(len(text))
	shown := beginningOfLines(text[from:], c.most-size(out))
	to := from + len(shown)
	if out.Truncated = to < len(text); out.Truncated {
		out.NextOffset = &to
		out.Next = more(c.tool, "workspace_id", in.WorkspaceID, "sequence", in.Sequence, "stream", in.Stream, "offset", to)
		if c.most != maxAnswer {
			out.Next = more(c.tool, "workspace_id", in.WorkspaceID, "sequence", in.Sequence, "stream", in.Stream, "offset", to, "max_chars", c.most)
		}
	} else {
		out.Next, out.NextOffset = nil, nil
	}
	if in.Stream == "stderr" {
		out.Entries[0].Stderr = shown
	} else {
		out.Entries[0].Stdout = shown
	}
}

// findLog finds one command of the history since the last reset.
func findLog(ctx context.Context, ws *pyro.Workspace, sequence int) (*api.LogEntry, error) {
	newest, err := ws.Logs(ctx, 1)
	if err != nil {
		return nil, err
	}
	last := 0
	if n := len(newest.Entries); n > 0 {
		last = newest.Entries[n-1].Sequence
	}
	if sequence <= last {
		logs, err := ws.Logs(ctx, last-sequence+1)
		if err != nil {
			return nil, err
		}
		for i := range logs.Entries {
			if logs.Entries[i].Sequence == sequence {
				return &logs.Entries[i], nil
			}
		}
	}
	return nil, &api.Error{
		Kind: api.NotFound, Op: "logs of workspace", ID: ws.ID(), Hint: "`pyro workspace logs` shows what ran",
		Err: fmt.Errorf("no command with the sequence %d", sequence),
	}
}

// summaryAnswer is what a workspace comes down to.
type summaryAnswer struct {
	api.Summary
	part
}

func summaryTool() tool {
	return define(tool{
		name: "workspace_summary", title: "Sum up a workspace",
		says: "Sum up what ran, failed and changed since the workspace was made or reset.", effects: effects{reads: true},
	}, func(ctx context.Context, c *call, in named) (*summaryAnswer, error) {
		ws, err := c.workspace(ctx, in.WorkspaceID)
		if err != nil {
			return nil, err
		}
		s, err := ws.Summary(ctx)
		if err != nil {
			return nil, err
		}
		if s.ChangesNote != nil {
			s.ChangesNote = new(c.inTools(*s.ChangesNote))
		}
		return &summaryAnswer{Summary: *s}, nil
	})
}
