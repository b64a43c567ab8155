package wire

import (
	"context"

	"github.com/pyro-sandbox/pyro/api"
)

// stopped is a shell of which the agent says nothing.
func stopped() ShellReply { return ShellReply{Cwd: defaultRoot, State: ShellStopped} }

// OpenShell starts a shell on a terminal. The caller chooses its id.
func (c *Client) OpenShell(ctx context.Context, r OpenShellRequest) (ShellReply, error) {
	r.Action = ActionOpenShell
	reply := stopped()
	err := c.ask(ctx, r.Action, r, &reply)
	return reply, err
}

// ReadShell reads what a shell has printed from r.Cursor on, up to r.MaxChars code
// points. It does not wait for output.
func (c *Client) ReadShell(ctx context.Context, r ReadShellRequest) (ReadShellReply, error) {
	r.Action = ActionReadShell
	reply := ReadShellReply{ShellReply: stopped(), Cursor: int64(r.Cursor), NextCursor: int64(r.Cursor)}
	err := c.call(ctx, exchange{
		op: r.Action, request: r, into: &reply,
		limit: shellLimit(r.MaxChars), timeout: usualTimeout,
	})
	return reply, err
}

// shellLimit is the longest reply with that many code points: beyond the basic
// plane each is two escapes of six bytes.
func shellLimit(chars LaxInt) int {
	return MaxShortLine + 12*int(min(max(chars, 0), MaxReplyLine/12))
}

// WriteShell types into a shell.
func (c *Client) WriteShell(ctx context.Context, r WriteShellRequest) (WriteShellReply, error) {
	r.Action = ActionWriteShell
	reply := WriteShellReply{ShellReply: stopped(), AppendNewline: bool(r.AppendNewline)}
	err := c.ask(ctx, r.Action, r, &reply)
	return reply, err
}

// SignalShell sends HUP, INT, TERM or KILL to what runs in a shell.
func (c *Client) SignalShell(ctx context.Context, id, signal string) (SignalShellReply, error) {
	r := SignalShellRequest{Action: ActionSignalShell, ShellID: LaxString(id), Signal: LaxString(signal)}
	reply := SignalShellReply{ShellReply: stopped(), Signal: signal}
	err := c.ask(ctx, r.Action, r, &reply)
	return reply, err
}

// CloseShell ends a shell and forgets it.
func (c *Client) CloseShell(ctx context.Context, id string) (CloseShellReply, error) {
	r := CloseShellRequest{Action: ActionCloseShell, ShellID: LaxString(id)}
	reply := CloseShellReply{ShellReply: stopped(), Closed: true}
	err := c.ask(ctx, r.Action, r, &reply)
	return reply, err
}

// ListShells returns all shells, the oldest first.
func (c *Client) ListShells(ctx context.Context) (ShellsReply, error) {
	var reply ShellsReply
	err := c.call(ctx, exchange{
		op: ActionListShells, request: ListShellsRequest{Action: ActionListShells}, into: &reply, limit: MaxListLine, timeout: usualTimeout,
	})
	return reply, err
}

// ResizeShell changes the size of a shell's terminal.
func (c *Client) ResizeShell(ctx context.Context, id string, size api.TerminalSize) (ShellReply, error) {
	reply := stopped()
	err := c.ask(ctx, ActionResizeShell, ResizeShellRequest{Action: ActionResizeShell, ShellID: id, Cols: size.Cols, Rows: size.Rows}, &reply)
	return reply, err
}

// AttachShell connects a terminal with a shell. It returns when the request is sent; a
// shell that does not exist is the first frame. The caller closes the stream, as the end
// of ctx does, which leaves the shell as it is. Nothing else bounds how long it may be
// silent.
func (c *Client) AttachShell(ctx context.Context, r AttachShellRequest) (*Stream, error) {
	r.Action = ActionAttachShell
	return c.frames(ctx, r.Action, r)
}
