package pyro

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"time"

	"github.com/pyro-sandbox/pyro/api"
)

const (
	opStartService   = "start service"
	opListServices   = "list services"
	opServiceStatus  = "status of service"
	opServiceLogs    = "logs of service"
	opFollowService  = "follow service"
	opStopService    = "stop service"
	opRestartService = "restart service"
)

const (
	serviceTime = time.Minute    // TERM, five seconds, KILL, and what lies around that
	restartTime = 24 * time.Hour // as long as it was given to become ready, which nobody here knows
	maxServices = 64 << 20       // api.MaxServices of them, each with its last lines
	maxService  = 128 << 20      // two streams of api.ServiceLogBytes, most bytes escaped
)

// StartService starts a program that outlives this one, and returns when it is ready, or
// has failed: that is no error, look at State and Error. A file to be ready by counts from
// /workspace. One of that name that has ended is replaced, one that runs is api.Conflict.
// When ctx ends, the service is left as it is.
func (w *Workspace) StartService(ctx context.Context, req api.ServiceStartRequest) (*api.Service, error) {
	if err := req.Check(); err != nil {
		return nil, api.About(opStartService, w.id, err)
	}
	if r := req.Readiness; r != nil && r.Type == api.ReadyFile && !path.IsAbs(r.Path) {
		req.Readiness = &api.Readiness{Type: r.Type, Path: path.Join(api.WorkspacePath, r.Path)}
	}
	ready := req.ReadyTimeoutSeconds
	if ready == 0 {
		ready = api.DefaultReadyTimeout
	}
	w.reach(ctx)
	service, err := send[api.Service](ctx, w, question{
		op: opStartService, method: http.MethodPost, path: "/v1/services", limit: maxReply,
		within: min(time.Duration(ready)*time.Second, restartTime) + serviceTime,
	}, req)
	return service, w.explain(ctx, opStartService, err)
}

// Services returns the services of the workspace by name. Where the workspace does not
// run, they are those that its record names.
func (w *Workspace) Services(ctx context.Context) (*api.ServiceList, error) {
	list, err := ask[api.ServiceList](ctx, w.control, question{op: opListServices, method: http.MethodGet, path: "/v1/services", within: answerTime, limit: maxServices})
	if !errors.Is(err, errAbsent) {
		return list, err
	}
	record, err := w.recorded(ctx)
	if err != nil {
		return nil, err
	}
	return record.ServiceList(), nil
}

// Service returns a service as it is now.
func (w *Workspace) Service(ctx context.Context, name string) (*api.Service, error) {
	return service[api.Service](ctx, w, question{op: opServiceStatus, method: http.MethodGet, within: answerTime, limit: maxReply}, name, "")
}

// StopService ends a service and all that it started, and returns when nothing of it is
// left: it has five seconds from TERM to KILL. One that has ended is returned unchanged.
func (w *Workspace) StopService(ctx context.Context, name string) (*api.Service, error) {
	return service[api.Service](ctx, w, question{op: opStopService, method: http.MethodPost, within: serviceTime, limit: maxReply}, name, "/stop")
}

// RestartService stops a service and starts it as it was started before, and returns as
// StartService does.
func (w *Workspace) RestartService(ctx context.Context, name string) (*api.Service, error) {
	return service[api.Service](ctx, w, question{op: opRestartService, method: http.MethodPost, within: restartTime, limit: maxReply}, name, "/restart")
}

// ServiceLogs returns the last lines that a service printed on each of its streams; 0 is
// all that is kept, api.ServiceLogBytes of each.
func (w *Workspace) ServiceLogs(ctx context.Context, name string, lines int) (*api.ServiceLogs, error) {
	return service[api.ServiceLogs](ctx, w, question{op: opServiceLogs, method: http.MethodGet, within: logsTime, limit: maxService}, name, "/logs?"+tail(lines))
}

// service puts a question about one service.
func service[T any](ctx context.Context, w *Workspace, q question, name, below string) (*T, error) {
	if err := api.CheckServiceName(name); err != nil {
		return nil, api.About(q.op, w.id, err)
	}
	q.path = servicePath(name, below)
	answer, err := ask[T](ctx, w.control, q)
	return answer, w.explain(ctx, q.op, err)
}

func servicePath(name, below string) string { return "/v1/services/" + url.PathEscape(name) + below }

func tail(lines int) string { return url.Values{"tail_lines": {strconv.Itoa(lines)}}.Encode() }

// FollowService writes what a service prints, from the last lines on (0: from all that is
// kept), until it has ended, and returns it as it is then. When ctx ends, the service goes
// on. A Write that fails ends it with that error. nil writers discard.
func (w *Workspace) FollowService(ctx context.Context, name string, lines int, stdout, stderr io.Writer) (*api.Service, error) {
	if err := api.CheckServiceName(name); err != nil {
		return nil, api.About(opFollowService, w.id, err)
	}
	q := question{op: opFollowService, method: http.MethodPost, path: servicePath(name, "/logs/follow?"+tail(lines)), within: answerTime}
	c, err := w.connect(ctx, q)
	if err != nil {
		return nil, w.explain(ctx, q.op, err)
	}
	return receive[api.Service](c, stdout, stderr)
}
