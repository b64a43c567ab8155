package supervisor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
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
	started map[string]launched
}

// launched is how a service was started, and the ports that it got.
type launched struct {
	request api.ServiceStartRequest
	ports   []api.PublishedPort
}

// serveStartService answers when the service is ready, or has failed.
func (s *supervisor) serveStartService(w http.ResponseWriter, r *http.Request) {
	var req api.ServiceStartRequest
	if err := decode(w, r, &req); err != nil {
		fail(w, err)
		return
	}
	service, err := s.startService(r.Context(), req, nil)
	s.answer(w, "start service", service, err)
}

// startService takes the ports, if it can those that it had before where any will do,
// starts the service, and lets connections in.
func (s *supervisor) startService(ctx context.Context, req api.ServiceStartRequest, before []api.PublishedPort) (*api.Service, error) {
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
	ports, err := publish(context.WithoutCancel(ctx), req.Publish, before)
	if err != nil {
		return nil, err
	}
	select {
	case s.services.begun <- struct{}{}:
	default:
	}
	others, begun := s.recorded(), api.At(s.Now())
	ports.of = s.box()
	started, err := ports.of.agent().StartService(ctx, request)
	if err != nil {
		ports.close()
		if ctx.Err() != nil && !others.Runs(req.ServiceName) { // nobody waits for it any more
			_, _ = s.agent().StopService(context.WithoutCancel(ctx), req.ServiceName)
		}
		return nil, err
	}
	s.serviceTimes.begin(req.ServiceName, begun)
	s.remember(launched{req, ports.ports})
	if started.State != string(api.ServiceRunning) {
		ports.close()
		return s.service(req.ServiceName, started, nil), s.noteServices(ctx)
	}
	ports.open(ports.of.dialGuest)
	s.keepPorts(req.ServiceName, ports)
	return s.service(req.ServiceName, started, ports.ports), s.noteServices(ctx)
}

// remember keeps how a service was started, for a restart.
func (s *supervisor) remember(l launched) {
	s.services.mu.Lock()
	defer s.services.mu.Unlock()
	if s.services.started == nil {
		s.services.started = make(map[string]launched)
	}
	s.services.started[l.request.ServiceName] = l
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

// service is what the agent says of a service as its owner sees it. Which one it is, and
// when something became of it, is not the agent's to say.
func (s *supervisor) service(name string, r wire.ServiceReply, ports []api.PublishedPort) *api.Service {
	state := api.ServiceState(r.State)
	seen := s.serviceTimes.see(name, api.At(s.Now()), r.ReadyAt != nil, r.EndedAt != nil && state != api.ServiceRunning)
	out := &api.Service{
		WorkspaceID: s.ID, ServiceName: name, State: state, Command: s.said(r.Command),
		Cwd: s.said(r.Cwd), StartedAt: seen.begun, EndedAt: seen.ended, ExitCode: r.ExitCode, PID: r.PID,
		ExecutionMode: s.recorded().Engine.Mode, ReadyAt: seen.ready, StopReason: knownStop(r.StopReason),
		Restart: cmp.Or(s.said(r.Restart), api.RestartNo), RestartCount: r.RestartCount, PublishedPorts: ports,
	}
	if ports == nil {
		out.PublishedPorts = []api.PublishedPort{}
	}
	if r.Failure != "" {
		out.Error = new(s.said(r.Failure))
	}
	if p := r.Readiness; p != nil {
		out.Readiness = &api.Readiness{
			Type: s.said(string(p.Type)), Path: s.said(string(p.Path)), Address: s.said(string(p.Address)),
			URL: s.said(string(p.URL)), Command: s.said(string(p.Command)),
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
	b := s.box()
	list, err := b.agent().ListServices(ctx)
	if err != nil {
		return err
	}
	now := make([]api.Service, 0, len(list.Services))
	running := make(map[string]bool)
	for _, r := range list.Services {
		if _, twice := running[r.ServiceName]; twice || api.CheckServiceName(r.ServiceName) != nil {
			continue // no service of ours
		}
		running[r.ServiceName] = r.State == string(api.ServiceRunning)
		var ports []api.PublishedPort
		if p := s.services.ports[r.ServiceName]; p != nil && running[r.ServiceName] {
			ports = p.ports
		}
		now = append(now, *s.service(r.ServiceName, r, ports))
	}
	for name, ports := range s.services.ports {
		if !running[name] {
			ports.close()
			delete(s.services.ports, name)
		}
	}
	maps.DeleteFunc(s.services.started, func(name string, _ launched) bool { _, there := running[name]; return !there })
	slices.SortFunc(now, func(a, b api.Service) int { return strings.Compare(a.ServiceName, b.ServiceName) })
	before := now // of a sandbox that was replaced nobody is told
	s.noteOf(b, func(r *workspace.Record) { before, r.Services = r.Services, now })
	s.tellServices(before, now)
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
func (s *supervisor) endServices() { s.endServicesOf(nil) }

// endServicesOf gives back the ports of a sandbox's services; of nil: every port.
func (s *supervisor) endServicesOf(b *box) {
	s.services.mu.Lock()
	defer s.services.mu.Unlock()
	for name, ports := range s.services.ports {
		if b == nil || ports.of == b {
			ports.close()
			delete(s.services.ports, name)
		}
	}
}

func (s *supervisor) serveServices(w http.ResponseWriter, r *http.Request) {
	if err := s.refreshServices(r.Context()); err != nil {
		s.answer(w, "list services", nil, err)
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
	old, ok := s.services.started[r.PathValue("name")]
	s.services.mu.Unlock()
	if !ok {
		fail(w, api.About(op, s.ID, noService(s.ID, r.PathValue("name"))))
		return
	}
	stopped, err := s.stopService(r)
	if err == nil {
		stopped, err = s.startService(r.Context(), old.request, old.ports)
	}
	s.answer(w, op, stopped, err)
}
