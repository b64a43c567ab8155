package api

// Service is a long-running program of a workspace that outlives the call that started
// it. It lives until it ends by itself, is stopped, or the workspace stops.
type Service struct {
	WorkspaceID    string          `json:"workspace_id"`
	ServiceName    string          `json:"service_name"`
	State          ServiceState    `json:"state"`
	Command        string          `json:"command"`
	Cwd            string          `json:"cwd"`
	StartedAt      Timestamp       `json:"started_at"`
	EndedAt        *Timestamp      `json:"ended_at"`
	ExitCode       *int            `json:"exit_code"` // minus the signal's number where a signal ended it
	PID            *int            `json:"pid"`       // in the guest
	ExecutionMode  ExecutionMode   `json:"execution_mode"`
	Readiness      *Readiness      `json:"readiness"`
	ReadyAt        *Timestamp      `json:"ready_at"`
	StopReason     *string         `json:"stop_reason"`
	Restart        string          `json:"restart"`       // no, or on-failure[:N]
	RestartCount   int             `json:"restart_count"` // how often it was restarted by itself
	Error          *string         `json:"error"`         // why it failed, with the last lines it printed
	PublishedPorts []PublishedPort `json:"published_ports"`
}

// ServiceState is where a service is in its life.
type ServiceState string

// The states of a service.
const (
	ServiceRunning ServiceState = "running"
	ServiceExited  ServiceState = "exited"  // by itself
	ServiceStopped ServiceState = "stopped" // because somebody asked for it
	ServiceFailed  ServiceState = "failed"  // it never became ready
)

// Why a service ended, where that was not its own doing.
const (
	StoppedByTerm          = "sigterm"
	StoppedByKill          = "sigkill"
	StopExitedBeforeReady  = "process_exited_before_ready"
	StopReadinessTimeout   = "readiness_timeout"
	StopPublishFailed      = "published_port_failed"
	StopWorkspaceStopped   = "workspace_stopped"
	RestartNo              = "no"
	RestartOnFailure       = "on-failure"
	DefaultReadyTimeout    = 30  // seconds
	DefaultReadyIntervalMS = 500 // milliseconds
	MaxServices            = 64  // of one workspace
	DefaultTailLines       = 200
	ServiceLogBytes        = 8 << 20 // of each stream that are kept; older output is lost
)

// Readiness is how one finds out that a service can be used. Type says which of the
// other fields counts.
type Readiness struct {
	Type    string `json:"type"` // file, tcp, http or command
	Path    string `json:"path,omitempty"`
	Address string `json:"address,omitempty"` // HOST:PORT in the guest
	URL     string `json:"url,omitempty"`
	Command string `json:"command,omitempty"`
}

// The types of Readiness.
const (
	ReadyFile    = "file"
	ReadyTCP     = "tcp"
	ReadyHTTP    = "http"
	ReadyCommand = "command"
)

// PublishedPort is a port of the guest that can be reached from this machine.
type PublishedPort struct {
	Host      string `json:"host"` // 127.0.0.1
	HostPort  int    `json:"host_port"`
	GuestPort int    `json:"guest_port"`
	Protocol  string `json:"protocol"` // tcp
}

// PublishRequest asks for one. HostPort 0 means any free one.
type PublishRequest struct {
	HostPort  int `json:"host_port,omitempty"` // 1025 to 65535
	GuestPort int `json:"guest_port"`
}

// ServiceStartRequest starts a service. Either Argv is set, and is run directly, or
// Command, and is run by `/bin/sh -lc`.
type ServiceStartRequest struct {
	ServiceName         string            `json:"service_name"`
	Argv                []string          `json:"argv,omitempty"`
	Command             string            `json:"command,omitempty"`
	Cwd                 string            `json:"cwd,omitempty"` // empty: /workspace
	Readiness           *Readiness        `json:"readiness,omitempty"`
	ReadyTimeoutSeconds int               `json:"ready_timeout_seconds,omitempty"` // 0: DefaultReadyTimeout
	ReadyIntervalMS     int               `json:"ready_interval_ms,omitempty"`     // 0: DefaultReadyIntervalMS
	SecretEnv           map[string]string `json:"secret_env,omitempty"`
	Restart             string            `json:"restart,omitempty"` // empty: RestartNo
	Publish             []PublishRequest  `json:"publish,omitempty"`
}

// ServiceList is every service of a workspace, by name.
type ServiceList struct {
	WorkspaceID  string    `json:"workspace_id"`
	Count        int       `json:"count"`
	RunningCount int       `json:"running_count"`
	Services     []Service `json:"services"`
}

// ServiceLogs is what a service has printed.
type ServiceLogs struct {
	Service
	Stdout    string `json:"stdout"`
	Stderr    string `json:"stderr"`
	TailLines *int   `json:"tail_lines"` // null: all that is kept
	Truncated bool   `json:"truncated"`  // more was printed
}
