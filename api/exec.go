package api

// ExecRequest asks for one command in a workspace. Either Argv is set, and is run
// directly, or Command, and is run by `/bin/sh -lc`.
type ExecRequest struct {
	Argv           []string          `json:"argv,omitempty"`
	Command        string            `json:"command,omitempty"`
	Cwd            string            `json:"cwd,omitempty"` // empty: /workspace
	Env            map[string]string `json:"env,omitempty"`
	TimeoutSeconds int               `json:"timeout_seconds,omitempty"` // 0: DefaultTimeoutSeconds
	Stdin          bool              `json:"stdin,omitempty"`           // streaming only: stdin frames follow

	// TTY is the size of the terminal that the command runs on, streaming only: stdout and
	// stderr are one. Nil: pipes.
	TTY *TerminalSize `json:"tty,omitempty"`

	// SecretEnv puts secrets of the workspace into the command's environment: by the name
	// of the secret that of the variable.
	SecretEnv map[string]string `json:"secret_env,omitempty"`
}

// WorkspaceExec is what came of a command. ExitCode is the program's own status,
// 124 after a timeout, and minus the signal's number where a signal ended it.
type WorkspaceExec struct {
	WorkspaceID        string        `json:"workspace_id"`
	Environment        string        `json:"environment"`
	EnvironmentVersion *string       `json:"environment_version"`
	Command            string        `json:"command"`
	Stdout             string        `json:"stdout"`
	Stderr             string        `json:"stderr"`
	StdoutTruncated    bool          `json:"stdout_truncated"`
	StderrTruncated    bool          `json:"stderr_truncated"`
	ExitCode           int           `json:"exit_code"`
	DurationMS         int64         `json:"duration_ms"` // measured in the guest
	ExecutionMode      ExecutionMode `json:"execution_mode"`
	Sequence           int           `json:"sequence"`
	Cwd                string        `json:"cwd"`
	Reason             *string       `json:"reason"` // why it ended, where that was not its own doing: timeout, oom, canceled
}

// Why a command ended, where that was not its own doing.
const (
	EndedByTimeout = "timeout"
	EndedByOOM     = "oom"
	EndedByCancel  = "canceled"
)

// VMDelete says that nothing of a one-shot sandbox is left.
type VMDelete struct {
	VMID    string `json:"vm_id"`
	Deleted bool   `json:"deleted"`
	Reason  string `json:"reason"`
}

// VMExec is what came of a one-shot `pyro run`.
type VMExec struct {
	VMID               string        `json:"vm_id"`
	Environment        string        `json:"environment"`
	EnvironmentVersion *string       `json:"environment_version"`
	Command            string        `json:"command"`
	Stdout             string        `json:"stdout"`
	Stderr             string        `json:"stderr"`
	StdoutTruncated    bool          `json:"stdout_truncated"`
	StderrTruncated    bool          `json:"stderr_truncated"`
	ExitCode           int           `json:"exit_code"`
	DurationMS         int64         `json:"duration_ms"`
	ExecutionMode      ExecutionMode `json:"execution_mode"`
	Engine             string        `json:"engine"`
	Isolation          string        `json:"isolation"`
	Limits             Limits        `json:"limits"`
	Reason             *string       `json:"reason"`
	Cleanup            VMDelete      `json:"cleanup"`
}
