package api

// Shell is an interactive shell on a terminal in a workspace. It lives until it ends by
// itself, is closed, or the workspace stops.
type Shell struct {
	WorkspaceID   string        `json:"workspace_id"`
	ShellID       string        `json:"shell_id"`
	Cwd           string        `json:"cwd"` // it was started in
	Cols          int           `json:"cols"`
	Rows          int           `json:"rows"`
	State         ShellState    `json:"state"`
	StartedAt     Timestamp     `json:"started_at"`
	EndedAt       *Timestamp    `json:"ended_at"`
	ExitCode      *int          `json:"exit_code"` // minus the signal's number where a signal ended it
	ExecutionMode ExecutionMode `json:"execution_mode"`
}

// ShellState says whether a shell takes input.
type ShellState string

// The states of a shell.
const (
	ShellRunning ShellState = "running"
	ShellStopped ShellState = "stopped"
)

// Terminal sizes, and bounds of what is asked of a shell.
const (
	DefaultCols      = 120
	DefaultRows      = 30
	MaxTerminal      = 4096  // columns or rows
	DefaultMaxChars  = 65536 // code points of one read
	MaxIdleWaitMS    = 10_000
	MaxShells        = 64      // of one workspace, those that have ended and were not closed included
	MaxShellInput    = 1 << 20 // bytes of one write
	ShellBufferBytes = 4 << 20 // of output that is kept for each shell; older output is lost
)

// TerminalSize is the size of a terminal in characters.
type TerminalSize struct {
	Cols int `json:"cols"`
	Rows int `json:"rows"`
}

// ShellOpenRequest starts a shell.
type ShellOpenRequest struct {
	Cwd       string            `json:"cwd,omitempty"`        // empty: /workspace
	Cols      int               `json:"cols,omitempty"`       // 0: DefaultCols
	Rows      int               `json:"rows,omitempty"`       // 0: DefaultRows
	SecretEnv map[string]string `json:"secret_env,omitempty"` // environment variable by name of the secret
}

// ShellReadRequest reads what a shell has printed.
type ShellReadRequest struct {
	Cursor        int64 `json:"cursor"`              // code points since the shell began
	MaxChars      int   `json:"max_chars,omitempty"` // 0: DefaultMaxChars
	Plain         bool  `json:"plain,omitempty"`     // as a terminal would show it, without control sequences
	WaitForIdleMS *int  `json:"wait_for_idle_ms"`    // 1 to MaxIdleWaitMS; nil: it does not wait
}

// ShellRead is a piece of a shell's output.
type ShellRead struct {
	Shell
	Cursor        int64  `json:"cursor"`      // of the first code point of the output
	NextCursor    int64  `json:"next_cursor"` // to go on from
	Output        string `json:"output"`
	Truncated     bool   `json:"truncated"`     // more is there already, or some before it is lost
	SkippedChars  int64  `json:"skipped_chars"` // code points between the cursor that was asked for and Cursor, which are not kept any more
	Plain         bool   `json:"plain"`
	WaitForIdleMS *int   `json:"wait_for_idle_ms"`
}

// ShellWriteRequest types into a shell.
type ShellWriteRequest struct {
	Input         string `json:"input"`
	AppendNewline bool   `json:"append_newline"`
}

// ShellWrite says what was typed.
type ShellWrite struct {
	Shell
	InputLength   int64 `json:"input_length"` // code points, without the newline that was added
	AppendNewline bool  `json:"append_newline"`
}

// ShellSignalRequest asks for a signal to what runs in the foreground of a shell.
type ShellSignalRequest struct {
	Signal string `json:"signal"` // HUP, INT, TERM or KILL
}

// ShellSignal says which signal was sent.
type ShellSignal struct {
	Shell
	Signal string `json:"signal"`
}

// ShellClose is a shell as it ended.
type ShellClose struct {
	Shell
	Closed bool `json:"closed"`
}

// ShellList is every shell of a workspace, the oldest first.
type ShellList struct {
	WorkspaceID string  `json:"workspace_id"`
	Count       int     `json:"count"`
	Shells      []Shell `json:"shells"`
}

// ShellAttachRequest connects a terminal with a shell.
type ShellAttachRequest struct {
	Cursor int64 `json:"cursor"`         // code points; what was printed since is shown first; -1: nothing of it
	Cols   int   `json:"cols,omitempty"` // 0: as they are
	Rows   int   `json:"rows,omitempty"`
}
