package wire

import "github.com/pyro-sandbox/pyro/api"

// Port is where the agent listens on a vsock, and the only one that a bridge to it
// connects to.
const Port = 5005

// Sizes that both sides hold to, in bytes.
const (
	MaxRequestLine = 8 << 20                // a file of MaxFile bytes with every byte escaped
	MaxReplyLine   = 2*6*MaxCapture + 1<<16 // both streams of a captured exec with every byte escaped
	MaxListLine    = 16 << 20               // a longer list is an error
	MaxShortLine   = 64 << 10               // any other reply that carries no content
	MaxFile        = 1 << 20                // read or written by one request
	MaxCapture     = 8 << 20                // of a stream in a captured exec: half from the head, half from the tail
	MaxErrorText   = 4 << 10                // of an error that crosses the wire; the rest is cut off
)

// Actions of the base protocol and, from ActionHello on, of ours on top of it. A
// missing action means ActionExec; an unknown one is answered with an error. Those of
// trees, ActionPush and ActionCompare, are ours too.
const (
	ActionExec           = "exec"
	ActionExtractArchive = "extract_archive"
	ActionInstallSecrets = "install_secrets"
	ActionExportArchive  = "export_archive"
	ActionList           = "list_workspace"
	ActionReadFile       = "read_workspace_file"
	ActionWriteFile      = "write_workspace_file"
	ActionDelete         = "delete_workspace_path"
	ActionOpenShell      = "open_shell"
	ActionReadShell      = "read_shell"
	ActionWriteShell     = "write_shell"
	ActionSignalShell    = "signal_shell"
	ActionCloseShell     = "close_shell"
	ActionHello          = "hello"
	ActionStream         = "exec_stream"
)

// Hello is the agent's answer to ActionHello. Unknown capabilities are ignored.
type Hello struct {
	Version      string   `json:"version"`
	Protocol     int      `json:"protocol"`
	Capabilities []string `json:"capabilities"`
}

// CapabilityTTY says that StreamRequest.TTY is heeded.
const CapabilityTTY = "exec_stream_tty"

// CapabilityTellsWrites says that the kernel below is a Sentry of pyro's that remembers which
// files were mapped so that a write to memory changes them, see WalkEntry.CTime: without that
// a time of change proves nothing.
const CapabilityTellsWrites = "tells_writes"

// Protocol counts incompatible changes of what lies on top of the base protocol.
const Protocol = 1

// StreamRequest asks for a command whose output is streamed. After the request
// line the connection carries frames in both directions until a FrameExit or
// FrameFail. Either Argv or Command is set, as in api.ExecRequest.
type StreamRequest struct {
	Action    string            `json:"action"` // ActionStream
	Argv      []string          `json:"argv,omitempty"`
	Command   string            `json:"command,omitempty"` // run by /bin/sh -lc
	Cwd       string            `json:"cwd,omitempty"`     // absolute; made if it is missing under /workspace
	Env       map[string]string `json:"env,omitempty"`
	TimeoutMS int64             `json:"timeout_ms,omitempty"` // 0: none
	Stdin     bool              `json:"stdin,omitempty"`      // FrameStdin follows; else stdin is empty

	// TTY is the size of the terminal that the command runs on: what it prints is all
	// FrameStdout, an empty FrameStdin is an end of file as it is typed, FrameResize may
	// come, and a signal goes to the foreground. Nil: pipes.
	TTY *api.TerminalSize `json:"tty,omitempty"`
}

// Signal is the payload of FrameSignal: to the whole process group of the command.
type Signal struct {
	Name string `json:"name"` // HUP, INT, QUIT, TERM, KILL, USR1, USR2
}

// Exit is the payload of FrameExit.
type Exit struct {
	Code       int    `json:"exit_code"` // minus the signal's number where a signal ended it, 124 after a timeout
	DurationMS int64  `json:"duration_ms"`
	DurationUS int64  `json:"duration_us"`      // the same, finer
	Reason     string `json:"reason,omitempty"` // timeout, oom or canceled
}

// Failure is the payload of FrameFail, and with the same field any failed reply of
// the base protocol: the request could not be done at all.
type Failure struct {
	Error string `json:"error"`
	Kind  string `json:"kind,omitempty"` // an api.Kind
}
