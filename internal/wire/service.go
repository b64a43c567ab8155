package wire

import (
	"context"
	"fmt"
	"time"

	"github.com/pyro-sandbox/pyro/api"
)

// Actions of services. The first four are of the base protocol.
const (
	ActionStartService  = "start_service"
	ActionStatusService = "status_service"
	ActionLogsService   = "logs_service"
	ActionStopService   = "stop_service"
	ActionListServices  = "list_services"
	ActionWatchServices = "watch_services"
	ActionFollowService = "follow_service"
)

// StartServiceRequest starts a service and waits until it is ready, has ended, or has
// had its time; the answer is a ServiceReply in each case. Argv and Restart are ours.
type StartServiceRequest struct {
	Action              string     `json:"action"`
	ServiceName         LaxString  `json:"service_name"`
	Command             LaxString  `json:"command"` // run by /bin/sh -lc; shown, where Argv is there
	Cwd                 LaxString  `json:"cwd"`     // it must be there; /workspace
	Readiness           *Readiness `json:"readiness"`
	ReadyTimeoutSeconds LaxInt     `json:"ready_timeout_seconds"` // 30
	ReadyIntervalMS     LaxInt     `json:"ready_interval_ms"`     // 500
	Env                 LaxEnv     `json:"env"`
	Argv                []string   `json:"argv,omitempty"`    // run directly, instead of Command
	Restart             string     `json:"restart,omitempty"` // no, or on-failure[:N]; no
}

// Readiness is api.Readiness as the replaced product's host sends it.
type Readiness struct {
	Type    LaxString `json:"type"` // file, tcp, http or command
	Path    LaxString `json:"path,omitempty"`
	Address LaxString `json:"address,omitempty"`
	URL     LaxString `json:"url,omitempty"`
	Command LaxString `json:"command,omitempty"`
}

// StatusServiceRequest asks for a service; the answer is a ServiceReply.
type StatusServiceRequest struct {
	Action      string    `json:"action"`
	ServiceName LaxString `json:"service_name"`
}

// LogsServiceRequest reads what a service printed; the answer is a ServiceLogsReply.
type LogsServiceRequest struct {
	Action      string    `json:"action"`
	ServiceName LaxString `json:"service_name"`
	TailLines   *LaxInt   `json:"tail_lines"` // of each stream; null: all that is kept
}

// StopServiceRequest ends a service: TERM to all of it, five seconds, KILL. The answer
// is a ServiceReply.
type StopServiceRequest struct {
	Action      string    `json:"action"`
	ServiceName LaxString `json:"service_name"`
}

// ListServicesRequest asks for all services; the answer is a ServicesReply.
type ListServicesRequest struct {
	Action string `json:"action"`
}

// WatchServicesRequest asks to be told of changes. The answer is FrameService frames,
// each with a ServiceReply: first one for each service there is, then an empty frame,
// then one for whatever changes, until the host closes the connection.
type WatchServicesRequest struct {
	Action string `json:"action"`
}

// FollowServiceRequest asks for what a service prints, from the last TailLines lines
// on. The answer is FrameStdout and FrameStderr as they come, and a FrameExit when the
// service has ended.
type FollowServiceRequest struct {
	Action      string  `json:"action"`
	ServiceName string  `json:"service_name"`
	TailLines   *LaxInt `json:"tail_lines"`
}

// FrameService is, to the host, a ServiceReply as JSON.
const FrameService FrameType = 'v'

// ServiceReply is a service. Fields after stop_reason are ours.
type ServiceReply struct {
	ServiceName  string         `json:"service_name"`
	Command      string         `json:"command"`
	Cwd          string         `json:"cwd"`
	State        string         `json:"state"` // of api.ServiceState
	StartedAt    api.Timestamp  `json:"started_at"`
	Readiness    *Readiness     `json:"readiness"`
	ReadyAt      *api.Timestamp `json:"ready_at"`
	EndedAt      *api.Timestamp `json:"ended_at"`
	ExitCode     *int           `json:"exit_code"` // minus the signal's number where a signal ended it
	PID          *int           `json:"pid"`
	StopReason   *string        `json:"stop_reason"`
	Restart      string         `json:"restart,omitempty"`
	RestartCount int            `json:"restart_count,omitempty"`
	Failure      string         `json:"failure,omitempty"` // why it failed; not "error", which would fail the reply
}

// ServiceLogsReply is what a service printed.
type ServiceLogsReply struct {
	ServiceReply
	Stdout    string  `json:"stdout"` // at most MaxServiceLog bytes of each, invalid UTF-8 replaced
	Stderr    string  `json:"stderr"`
	TailLines *LaxInt `json:"tail_lines"`
	Truncated bool    `json:"truncated"`
}

// ServicesReply is all services, by name.
type ServicesReply struct {
	Services []ServiceReply `json:"services"`
}

// MaxServiceLog is how much of one stream a ServiceLogsReply holds, in bytes.
const MaxServiceLog = api.ServiceLogBytes

func (*StartServiceRequest) request()  {}
func (*StatusServiceRequest) request() {}
func (*LogsServiceRequest) request()   {}
func (*StopServiceRequest) request()   {}
func (*ListServicesRequest) request()  {}
func (*WatchServicesRequest) request() {}
func (*FollowServiceRequest) request() {}

// Defaults of a service's start.
const (
	defaultReadySeconds    = 30
	defaultReadyIntervalMS = 500
	stopMargin             = 25 * time.Second // TERM, KILL, and the answer
)

// StartService starts a service. It returns when the service is ready or has failed,
// which is no error.
func (c *Client) StartService(ctx context.Context, r StartServiceRequest) (ServiceReply, error) {
	r.Action = ActionStartService
	var reply ServiceReply
	seconds := min(max(r.ReadyTimeoutSeconds, 0), 1<<31) // more would overflow a Duration
	err := c.call(ctx, exchange{
		op: r.Action, request: r, into: &reply, limit: MaxShortLine,
		timeout: time.Duration(seconds)*time.Second + stopMargin,
	})
	return reply, err
}

// StatusService returns a service as it is now.
func (c *Client) StatusService(ctx context.Context, name string) (ServiceReply, error) {
	var reply ServiceReply
	err := c.ask(ctx, ActionStatusService, StatusServiceRequest{Action: ActionStatusService, ServiceName: LaxString(name)}, &reply)
	return reply, err
}

// LogsService returns the last lines of a service's output; nil lines means all.
func (c *Client) LogsService(ctx context.Context, name string, lines *LaxInt) (ServiceLogsReply, error) {
	var reply ServiceLogsReply
	err := c.call(ctx, exchange{
		op: ActionLogsService, request: LogsServiceRequest{Action: ActionLogsService, ServiceName: LaxString(name), TailLines: lines},
		into: &reply, limit: MaxShortLine + 2*6*MaxServiceLog, timeout: usualTimeout,
	})
	return reply, err
}

// StopService ends a service and returns it as it ended.
func (c *Client) StopService(ctx context.Context, name string) (ServiceReply, error) {
	var reply ServiceReply
	err := c.call(ctx, exchange{
		op: ActionStopService, request: StopServiceRequest{Action: ActionStopService, ServiceName: LaxString(name)},
		into: &reply, limit: MaxShortLine, timeout: stopMargin,
	})
	return reply, err
}

// ListServices returns all services.
func (c *Client) ListServices(ctx context.Context) (ServicesReply, error) {
	var reply ServicesReply
	err := c.call(ctx, exchange{
		op: ActionListServices, request: ListServicesRequest{Action: ActionListServices},
		into: &reply, limit: MaxListLine, timeout: usualTimeout,
	})
	return reply, err
}

func (r *ServiceReply) check() error {
	switch api.ServiceState(r.State) {
	case api.ServiceRunning, api.ServiceExited, api.ServiceStopped, api.ServiceFailed:
	default:
		return fmt.Errorf("state %q", clip(r.State, 64))
	}
	return notNegative("restart_count", int64(r.RestartCount))
}

func (r *ServicesReply) check() error {
	if len(r.Services) > api.MaxServices {
		return fmt.Errorf("lists %d services, allowed are %d", len(r.Services), api.MaxServices)
	}
	for i := range r.Services {
		if err := r.Services[i].check(); err != nil {
			return err
		}
	}
	return nil
}

// WatchServices calls changed at once, and then whenever a service has changed. It
// returns when ctx ends, or with the error that ended the connection. It says nothing of
// what has changed: ListServices does, so that what is believed is one answer.
func (c *Client) WatchServices(ctx context.Context, changed func()) error {
	s, err := c.frames(ctx, ActionWatchServices, WatchServicesRequest{Action: ActionWatchServices})
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	s.watch = true
	for listed := false; ; {
		f, err := s.ReadFrame()
		switch {
		case err != nil:
			return err
		case f.Type == FrameFail:
			return f.Failure()
		case f.Type != FrameService:
			return s.link.failed(fmt.Errorf("%w: frame %q from the agent", ErrProtocol, byte(f.Type)))
		case len(f.Payload) == 0:
			listed = true
		}
		if listed {
			changed()
		}
	}
}

// FollowService starts reading what a service prints, from the last lines on; nil lines
// means all that is kept. The frames are FrameStdout and FrameStderr, and FrameExit when
// the service has ended. The caller closes the stream.
func (c *Client) FollowService(ctx context.Context, name string, lines *LaxInt) (*Stream, error) {
	return c.frames(ctx, ActionFollowService, FollowServiceRequest{Action: ActionFollowService, ServiceName: name, TailLines: lines})
}
