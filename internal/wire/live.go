package wire

import (
	"fmt"

	"github.com/pyro-sandbox/pyro/api"
)

// Actions of ours on shells and ports, beside those of the base protocol.
const (
	ActionListShells  = "list_shells"
	ActionResizeShell = "resize_shell"
	ActionAttachShell = "attach_shell"
	ActionDial        = "dial"
)

// FrameResize is, to the guest, an api.TerminalSize as JSON.
const FrameResize FrameType = 'r'

// ListShellsRequest asks for all shells; the answer is a ShellsReply.
type ListShellsRequest struct {
	Action string `json:"action"`
}

// ShellsReply is all shells, the oldest first.
type ShellsReply struct {
	Shells []ShellReply `json:"shells"`
}

// ResizeShellRequest changes the size of a shell's terminal; the answer is a
// ShellReply.
type ResizeShellRequest struct {
	Action  string `json:"action"`
	ShellID string `json:"shell_id"`
	Cols    int    `json:"cols"`
	Rows    int    `json:"rows"`
}

// AttachShellRequest connects a terminal with a shell. Frames follow: to the guest
// FrameStdin and FrameResize; to the host FrameStdout, first what is kept since
// Cursor, and when the shell has ended FrameExit. A host that closes the connection
// leaves the shell as it is.
type AttachShellRequest struct {
	Action  string `json:"action"`
	ShellID string `json:"shell_id"`
	Cursor  int64  `json:"cursor"` // code points; -1: nothing of what was printed before
	Cols    int    `json:"cols"`   // 0: as they are
	Rows    int    `json:"rows"`
}

// DialRequest asks for a connection to a TCP port in the guest. The answer is a
// DialReply, and after its line the connection in frames, see Tunnel.
type DialRequest struct {
	Action  string `json:"action"`
	Address string `json:"address"` // HOST:PORT
}

// DialReply says that the connection is there.
type DialReply struct {
	Connected bool `json:"connected"` // always true
}

func (*ListShellsRequest) request()  {}
func (*ResizeShellRequest) request() {}
func (*AttachShellRequest) request() {}
func (*DialRequest) request()        {}

func (r *ShellsReply) check() error {
	if len(r.Shells) > api.MaxShells {
		return fmt.Errorf("lists %d shells, allowed are %d", len(r.Shells), api.MaxShells)
	}
	for i := range r.Shells {
		if err := r.Shells[i].check(); err != nil {
			return err
		}
	}
	return nil
}

// newLive returns the request of an action of this file, of services or of the tree, or
// nil.
func newLive(action string) Request {
	switch action {
	case ActionListShells:
		return &ListShellsRequest{Action: action}
	case ActionResizeShell:
		return &ResizeShellRequest{Action: action}
	case ActionAttachShell:
		return &AttachShellRequest{Action: action}
	case ActionDial:
		return &DialRequest{Action: action}
	case ActionStartService:
		return &StartServiceRequest{
			Action: action, Cwd: defaultRoot, Restart: api.RestartNo,
			ReadyTimeoutSeconds: defaultReadySeconds, ReadyIntervalMS: defaultReadyIntervalMS,
		}
	case ActionStatusService:
		return &StatusServiceRequest{Action: action}
	case ActionLogsService:
		return &LogsServiceRequest{Action: action}
	case ActionStopService:
		return &StopServiceRequest{Action: action}
	case ActionListServices:
		return &ListServicesRequest{Action: action}
	case ActionWatchServices:
		return &WatchServicesRequest{Action: action}
	case ActionFollowService:
		return &FollowServiceRequest{Action: action}
	}
	return newTreeWork(action)
}
