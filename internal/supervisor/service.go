package supervisor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/sys"
	"github.com/pyro-sandbox/pyro/internal/wire"
	"github.com/pyro-sandbox/pyro/internal/workspace"
)

// services is what the host has of the guest's services: their ports, and how they
// were started. What they do is asked of the agent.
type services struct {
	mu      sync.Mutex    // held while the agent is asked and what it says is noted
	begun   chan struct{} // holds a token once there was one
	ports   map[string]*published
	started map[string]api.ServiceStartRequest
}

// serveStartService answers when the service is ready, or has failed.
func (s *supervisor) serveStartService(w http.ResponseWriter, r *http.Request) {
	var req api.ServiceStartRequest
	if err := decode(w, r, &req); err != nil {
		fail(w, err)
		return
	}
	service, err := s.startService(r.Context(), req)
	s.answer(w, "start service", service, err)
}

// startService takes the ports, starts the service, and lets connections in.
func (s *supervisor) startService(ctx context.Context, req api.ServiceStartRequest) (*api.Service, error) {
	if err := req.Check(); err != nil {
		return nil, err
	}
	done, err := s.enter("start service")
	if err != nil {
		return nil, err
	}
	defer done()
	s.touch()
	request, err := s.serviceRequest(req)
	if err != nil {
		return nil, err
	}
	ports, err := publish(context.WithoutCancel(ctx), req.Publish)
	if err != nil {
		return nil, err
	}
	select {
	case s.services.begun <- struct{}{}:
	default:
	}
	before := s.recorded()
	started, err := s.agent().StartService(ctx, request)
	if err != nil {
		ports.close()
		if ctx.Err() != nil && !before.Runs(req.ServiceName) { // nobody waits for it any more
			_, _ = s.agent().StopService(context.WithoutCancel(ctx), req.ServiceName)
		}
		return nil, err
	}
	s.remember(req)
	if started.State != string(api.ServiceRunning) {
		ports.close()
		return s.service(started, nil), s.noteServices(ctx)
	}
	ports.open(s.dialGuest)
	s.keepPorts(req.ServiceName, ports)
	return s.service(started, ports.ports), s.noteServices(ctx)
}

// remember keeps how a service was started, for a restart.
func (s *supervisor) remember(req api.ServiceStartRequest) {
	s.services.mu.Lock()
	defer s.services.mu.Unlock()
	if s.services.started == nil {
		s.services.started = make(map[string]api.ServiceStartRequest)
	}
	s.services.started[req.ServiceName] = req
}

// keepPorts remembers the ports of a service under its name.
func (s *supervisor) keepPorts(name string, ports *published) {
	s.services.mu.Lock()
	defer s.services.mu.Unlock()
	if old := s.services.ports[name]; old != nil { // of one that ended in this moment
		old.close()
	}
	if s.services.ports == nil {
		s.services.ports = make(map[string]*published)
	}
	s.services.ports[name] = ports
}

// serviceRequest is what the agent is told.
func (s *supervisor) serviceRequest(req api.ServiceStartRequest) (wire.StartServiceRequest, error) {
	env, err := s.secretEnv(req.SecretEnv)
	if err != nil {
		return wire.StartServiceRequest{}, err
	}
	out := wire.StartServiceRequest{
		ServiceName: wire.LaxString(req.ServiceName), Argv: req.Argv, Command: wire.LaxString(req.Command),
		Cwd:                 wire.LaxString(cmp.Or(req.Cwd, api.WorkspacePath)),
		ReadyTimeoutSeconds: wire.LaxInt(cmp.Or(req.ReadyTimeoutSeconds, api.DefaultReadyTimeout)),
		ReadyIntervalMS:     wire.LaxInt(cmp.Or(req.ReadyIntervalMS, api.DefaultReadyIntervalMS)),
		Env:                 env, Restart: cmp.Or(req.Restart, api.RestartNo),
	}
	if r := req.Readiness; r != nil {
		out.Readiness = &wire.Readiness{
			Type: wire.LaxString(r.Type), Path: wire.LaxString(r.Path), Address: wire.LaxString(r.Address),
			URL: wire.LaxString(r.URL), Command: wire.LaxString(r.Command),
		}
	}
	return out, nil
}

// agent asks the guest. What it says counts for nothing on the host.
func (s *supervisor) agent() *wire.Client { return &wire.Client{Dial: s.sandbox.Dial} }

// service is what the agent says of a service as its owner sees it.
func (s *supervisor) service(r wire.ServiceReply, ports []api.PublishedPort) *api.Service {
	out := &api.Service{
		WorkspaceID: s.ID, ServiceName: r.ServiceName, State: api.ServiceState(r.State), Command: s.redact(clip(r.Command)),
		Cwd: clip(r.Cwd), StartedAt: r.StartedAt, EndedAt: r.EndedAt, ExitCode: r.ExitCode, PID: r.PID,
		ExecutionMode: s.recorded().Engine.Mode, ReadyAt: r.ReadyAt, StopReason: knownStop(r.StopReason),
		Restart: cmp.Or(clip(r.Restart), api.RestartNo), RestartCount: r.RestartCount, PublishedPorts: ports,
	}
	if ports == nil {
		out.PublishedPorts = []api.PublishedPort{}
	}
	if r.Failure != "" {
		out.Error = new(s.redact(clip(r.Failure)))
	}
	if p := r.Readiness; p != nil {
		out.Readiness = &api.Readiness{
			Type: clip(string(p.Type)), Path: clip(string(p.Path)), Address: clip(string(p.Address)),
			URL: clip(string(p.URL)), Command: s.redact(clip(string(p.Command))),
		}
	}
	return out
}

// knownStop lets nothing through that the guest made up.
func knownStop(reason *string) *string {
	known := []string{api.StoppedByTerm, api.StoppedByKill, api.StopExitedBeforeReady, api.StopReadinessTimeout}
	if reason == nil || !slices.Contains(known, *reason) {
		return nil
	}
	return reason
}

// refreshServices asks the agent for all services, notes them, and gives back the ports
// of those that have ended.
func (s *supervisor) refreshServices(ctx context.Context) error {
	s.services.mu.Lock()
	defer s.services.mu.Unlock()
	list, err := s.agent().ListServices(ctx)
	if err != nil {
		return err
	}
	now := make([]api.Service, 0, len(list.Services))
	running := make(map[string]bool)
	for _, r := range list.Services {
		if api.CheckServiceName(r.ServiceName) != nil {
			continue // no service of ours
		}
		running[r.ServiceName] = r.State == string(api.ServiceRunning)
		var ports []api.PublishedPort
		if p := s.services.ports[r.ServiceName]; p != nil && running[r.ServiceName] {
			ports = p.ports
		}
		now = append(now, *s.service(r, ports))
	}
	for name, ports := range s.services.ports {
		if !running[name] {
			ports.close()
			delete(s.services.ports, name)
		}
	}
	maps.DeleteFunc(s.services.started, func(name string, _ api.ServiceStartRequest) bool { _, there := running[name]; return !there })
	slices.SortFunc(now, func(a, b api.Service) int { return strings.Compare(a.ServiceName, b.ServiceName) })
	s.note(func(r *workspace.Record) { r.Services = now })
	return nil
}

// noteServices is refreshServices, for those who come after this process, too.
func (s *supervisor) noteServices(ctx context.Context) error {
	if err := s.refreshServices(ctx); err != nil {
		return err
	}
	_ = s.save() // or with the next one
	return nil
}

// watchRetry is how long the watch rests after it was interrupted.
const watchRetry = time.Second

// watchServices learns of every change of a service when it happens, from the first
// one on. It ends with ctx.
func (s *supervisor) watchServices(ctx context.Context) {
	select {
	case <-s.services.begun:
	case <-ctx.Done():
	}
	for ; ctx.Err() == nil; sys.Sleep(ctx, watchRetry) {
		err := s.agent().WatchServices(ctx, func() { _ = s.noteServices(ctx) }) // or at the next change
		if errors.Is(err, api.Unsupported) {
			return
		}
	}
}

// endServices gives back every port.
func (s *supervisor) endServices() {
	s.services.mu.Lock()
	defer s.services.mu.Unlock()
	for name, ports := range s.services.ports {
		ports.close()
		delete(s.services.ports, name)
	}
}

func (s *supervisor) serveServices(w http.ResponseWriter, r *http.Request) {
	if err := s.refreshServices(r.Context()); err != nil {
		fail(w, api.About("list services", s.ID, err))
		return
	}
	now := s.recorded()
	reply(w, now.ServiceList())
}

// known is a service by the name in the path of a request.
func (s *supervisor) known(r *http.Request) (*api.Service, error) {
	name := r.PathValue("name")
	if err := s.refreshServices(r.Context()); err != nil {
		return nil, err
	}
	for _, service := range s.recorded().Services {
		if service.ServiceName == name {
			return &service, nil
		}
	}
	return nil, noService(s.ID, name)
}

func noService(id, name string) error {
	return &api.Error{
		Kind: api.NotFound, Hint: "`pyro workspace service list " + id + "` shows those there are",
		Err: fmt.Errorf("service %q does not exist", name),
	}
}

func (s *supervisor) serveService(w http.ResponseWriter, r *http.Request) {
	service, err := s.known(r)
	s.answer(w, "status of service", service, err)
}

func (s *supervisor) serveStopService(w http.ResponseWriter, r *http.Request) {
	service, err := s.stopService(r)
	s.answer(w, "stop service", service, err)
}

// stopService ends a service. It goes on when the client goes away.
func (s *supervisor) stopService(r *http.Request) (*api.Service, error) {
	done, err := s.enter("stop service")
	if err != nil {
		return nil, err
	}
	defer done()
	s.touch()
	service, err := s.known(r)
	if err != nil {
		return nil, err
	}
	if _, err := s.agent().StopService(context.WithoutCancel(r.Context()), service.ServiceName); err != nil {
		return nil, err
	}
	return s.known(r)
}

// serveRestartService stops a service and starts it as it was started before.
func (s *supervisor) serveRestartService(w http.ResponseWriter, r *http.Request) {
	const op = "restart service"
	s.services.mu.Lock()
	req, ok := s.services.started[r.PathValue("name")]
	s.services.mu.Unlock()
	if !ok {
		fail(w, api.About(op, s.ID, noService(s.ID, r.PathValue("name"))))
		return
	}
	stopped, err := s.stopService(r)
	if err == nil {
		stopped, err = s.startService(r.Context(), req)
	}
	s.answer(w, op, stopped, err)
}

// tailLines reads the tail_lines of a query: absent is the default, 0 is all.
func tailLines(r *http.Request) (*wire.LaxInt, error) {
	text := r.URL.Query().Get("tail_lines")
	n, err := strconv.Atoi(cmp.Or(text, strconv.Itoa(api.DefaultTailLines)))
	switch {
	case err != nil || n < 0:
		return nil, &api.Error{Kind: api.Invalid, Err: fmt.Errorf("tail_lines %q is no number of lines", text)}
	case n == 0:
		return nil, nil
	}
	lines := wire.LaxInt(n)
	return &lines, nil
}

func (s *supervisor) serveServiceLogs(w http.ResponseWriter, r *http.Request) {
	logs, err := s.serviceLogs(r)
	s.answer(w, "logs of service", logs, err)
}

func (s *supervisor) serviceLogs(r *http.Request) (*api.ServiceLogs, error) {
	lines, err := tailLines(r)
	if err != nil {
		return nil, err
	}
	service, err := s.known(r)
	if err != nil {
		return nil, err
	}
	logs, err := s.agent().LogsService(r.Context(), service.ServiceName, lines)
	if err != nil {
		return nil, err
	}
	out := &api.ServiceLogs{Service: *service, Stdout: s.redact(logs.Stdout), Stderr: s.redact(logs.Stderr), Truncated: logs.Truncated}
	if lines != nil {
		out.TailLines = new(int(*lines))
	}
	return out, nil
}

// serveFollowService streams what a service prints until it has ended or the client
// goes away.
func (s *supervisor) serveFollowService(w http.ResponseWriter, r *http.Request) {
	const op = "follow service"
	lines, err := tailLines(r)
	var service *api.Service
	if err == nil {
		service, err = s.known(r)
	}
	if err != nil {
		fail(w, api.About(op, s.ID, err))
		return
	}
	conn, in, err := upgrade(w)
	if err != nil {
		fail(w, &api.Error{Kind: api.Internal, Err: err})
		return
	}
	defer func() { _ = conn.Close() }()
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
	defer cancel()
	go func() { // ends with the client's connection
		_, _ = in.ReadByte() // it has nothing to say
		cancel()
	}()
	s.follow(ctx, conn, service, lines)
}

func (s *supervisor) follow(ctx context.Context, conn net.Conn, service *api.Service, lines *wire.LaxInt) {
	stream, err := s.agent().FollowService(ctx, service.ServiceName, lines)
	if err != nil {
		sendFailure(conn, err)
		return
	}
	defer func() { _ = stream.Close() }()
	out := s.hide(frames{conn})
	for {
		frame, err := stream.ReadFrame()
		switch {
		case err != nil:
			sendFailure(conn, s.lost(err))
			return
		case frame.Type == wire.FrameStdout, frame.Type == wire.FrameStderr:
			if out.output(frame.Type, frame.Payload) != nil {
				return
			}
		case frame.Type == wire.FrameFail:
			sendFailure(conn, frame.Failure())
			return
		default:
			_ = out.flush()
			now, err := s.agent().StatusService(ctx, service.ServiceName)
			if err != nil {
				sendFailure(conn, err)
				return
			}
			send(conn, wire.FrameExit, s.service(now, nil))
			return
		}
	}
}
