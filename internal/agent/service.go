package agent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// servicesName is the directory of service logs in the run directory.
const servicesName = "pyro-services"

// services is every service of the guest, those that have ended included.
type services struct {
	mu      sync.Mutex
	byName  map[string]*service
	version uint64        // of the newest change
	changed chan struct{} // closed at the next change
	running sync.WaitGroup
}

// service is one of them. Its record is guarded by services.mu.
type service struct {
	all     *services
	command command
	restart restartPolicy
	record  wire.ServiceReply
	version uint64 // of the record's newest change

	stdout, stderr *serviceLog
	stop           chan struct{} // closed when it shall end
	stopOnce       sync.Once
	done           chan struct{} // closed when it has ended for good
}

// restartPolicy is how often a service that failed is started again.
type restartPolicy struct {
	enabled bool
	most    int // 0: without end
}

func parseRestart(text string) (restartPolicy, error) {
	if text == "" || text == api.RestartNo {
		return restartPolicy{}, nil
	}
	if text == api.RestartOnFailure {
		return restartPolicy{enabled: true}, nil
	}
	number, ok := strings.CutPrefix(text, api.RestartOnFailure+":")
	n, err := strconv.Atoi(number)
	if !ok || err != nil || n < 1 {
		return restartPolicy{}, &api.Error{
			Kind: api.Invalid, Hint: "use no, on-failure, or on-failure:N",
			Err: fmt.Errorf("restart %q is not known", text),
		}
	}
	return restartPolicy{enabled: true, most: n}, nil
}

func newServices() *services {
	return &services{byName: make(map[string]*service), changed: make(chan struct{})}
}

// change changes a record and tells whoever watches.
func (s *service) change(edit func(*wire.ServiceReply)) wire.ServiceReply {
	s.all.mu.Lock()
	defer s.all.mu.Unlock()
	edit(&s.record)
	s.all.tell(s)
	return s.record
}

// tell is called with mu held.
func (all *services) tell(s *service) {
	all.version++
	s.version = all.version
	close(all.changed)
	all.changed = make(chan struct{})
}

func (s *service) reply() wire.ServiceReply {
	s.all.mu.Lock()
	defer s.all.mu.Unlock()
	return s.record
}

// get finds a service by name.
func (all *services) get(name wire.LaxString) (*service, error) {
	all.mu.Lock()
	defer all.mu.Unlock()
	s := all.byName[strings.TrimSpace(string(name))]
	if s == nil {
		return nil, &api.Error{Kind: api.NotFound, Err: fmt.Errorf("service %q does not exist", name)}
	}
	return s, nil
}

// enter gives s its name, which opens its logs. One of that name that has ended makes
// room, as the one that ended first does where there are too many.
func (all *services) enter(s *service, open func() error) error {
	all.mu.Lock()
	defer all.mu.Unlock()
	old := all.byName[s.record.ServiceName]
	if old != nil && old.alive() {
		return &api.Error{
			Kind: api.Conflict, Hint: "stop it first, or choose another name",
			Err: fmt.Errorf("service %q is already running", s.record.ServiceName),
		}
	}
	if old == nil && len(all.byName) >= api.MaxServices {
		if old = all.oldestEnded(); old == nil {
			return &api.Error{
				Kind: api.Conflict, Hint: "stop one that is not needed any more",
				Err: fmt.Errorf("%d services are running, as many as there may be", api.MaxServices),
			}
		}
	}
	if err := open(); err != nil {
		return err
	}
	if old != nil {
		delete(all.byName, old.record.ServiceName)
		old.stdout.close()
		old.stderr.close()
	}
	all.byName[s.record.ServiceName] = s
	for _, s := range all.byName {
		half := int64(logSpace / 4 / len(all.byName)) // of two logs of two files
		s.stdout.narrow(half)
		s.stderr.narrow(half)
	}
	all.tell(s)
	return nil
}

func (s *service) alive() bool {
	select {
	case <-s.done:
		return false
	default:
		return true
	}
}

func (all *services) oldestEnded() *service {
	var oldest *service
	for _, s := range all.byName {
		if !s.alive() && (oldest == nil || s.version < oldest.version) {
			oldest = s
		}
	}
	return oldest
}

// list is every service by name.
func (all *services) list() []*service {
	all.mu.Lock()
	defer all.mu.Unlock()
	return slices.SortedFunc(maps.Values(all.byName), func(a, b *service) int {
		return strings.Compare(a.record.ServiceName, b.record.ServiceName)
	})
}

// startService starts a service and waits until it is ready, has ended or has had its
// time. What comes of it stands in the reply: a service that fails is no error.
func (a *agent) startService(ctx context.Context, req *wire.StartServiceRequest) (*wire.ServiceReply, error) {
	s, err := a.newService(req)
	if err != nil {
		return nil, err
	}
	ready, err := a.probeOf(s, req)
	if err != nil {
		return nil, err
	}
	if err := a.services.enter(s, func() error { return a.openLogs(s) }); err != nil {
		return nil, err
	}
	s.hide(a.hidden.Set()) // it can be found: what comes from now on reaches it
	p, err := a.launch(s)
	if err != nil {
		s.fail(err)
		reply := s.reply()
		return &reply, nil
	}
	a.services.running.Go(func() { a.keep(ctx, s, p) }) // ends with the service, at the latest with ctx
	reply := s.awaitReady(ctx, ready)
	return &reply, nil
}

// newService checks a request.
func (a *agent) newService(req *wire.StartServiceRequest) (*service, error) {
	name := strings.TrimSpace(string(req.ServiceName))
	if api.CheckServiceName(name) != nil {
		return nil, &api.Error{
			Kind: api.Invalid, Hint: "use letters, digits, dot, underscore and dash, at most 64, the first a letter or digit",
			Err: fmt.Errorf("service name %q is not allowed", req.ServiceName),
		}
	}
	restart, err := parseRestart(req.Restart)
	if err != nil {
		return nil, err
	}
	c := command{argv: req.Argv}
	shown := string(req.Command)
	switch {
	case len(c.argv) > 0 && c.argv[0] == "", len(c.argv) == 0 && strings.TrimSpace(shown) == "":
		return nil, &api.Error{Kind: api.Invalid, Err: errors.New("no command is given")}
	case len(c.argv) == 0:
		c.argv = []string{shell, "-lc", shown}
	case shown == "":
		shown = api.Quote(c.argv)
	}
	if c.env, err = a.environment(req.Env); err != nil {
		return nil, err
	}
	cwd, err := parsePath(string(req.Cwd))
	if err != nil {
		return nil, err
	}
	if c.dir, err = a.existing(cwd); err != nil {
		return nil, err
	}
	s := &service{
		all: a.services, command: c, restart: restart,
		stop: make(chan struct{}), done: make(chan struct{}),
		record: wire.ServiceReply{
			ServiceName: name, Command: shown, Cwd: cwd.wire, State: string(api.ServiceRunning),
			StartedAt: api.At(time.Now()), Readiness: req.Readiness, Restart: req.Restart,
		},
	}
	return s, nil
}

// existing is the directory of a path, which has to be there.
func (a *agent) existing(p guestPath) (string, error) {
	dir := filepath.Join(a.cfg.Workspace, p.rel)
	if !isDir(dir) {
		return "", &api.Error{Kind: api.NotFound, Err: fmt.Errorf("cwd %s does not exist, or is no directory", p.wire)}
	}
	return dir, nil
}

// openLogs makes the files that keep what a service prints.
func (a *agent) openLogs(s *service) (err error) {
	base := filepath.Join(a.cfg.RunDir, servicesName, s.record.ServiceName)
	if s.stdout, err = newServiceLog(base + ".stdout"); err != nil {
		return &api.Error{Kind: api.Unavailable, Err: fmt.Errorf("log of service %s: %w", s.record.ServiceName, err)}
	}
	if s.stderr, err = newServiceLog(base + ".stderr"); err != nil {
		s.stdout.close()
		return &api.Error{Kind: api.Unavailable, Err: fmt.Errorf("log of service %s: %w", s.record.ServiceName, err)}
	}
	return nil
}

// stopService ends a service; one that has ended is answered as it is.
func (a *agent) stopService(ctx context.Context, req *wire.StopServiceRequest) (*wire.ServiceReply, error) {
	s, err := a.services.get(req.ServiceName)
	if err != nil {
		return nil, err
	}
	s.stopOnce.Do(func() { close(s.stop) })
	select {
	case <-s.done:
	case <-ctx.Done():
		return nil, &api.Error{Kind: api.Canceled, Err: ctx.Err()}
	}
	reply := s.reply()
	return &reply, nil
}

// logsService is the end of what a service printed.
func (a *agent) logsService(req *wire.LogsServiceRequest) (*wire.ServiceLogsReply, error) {
	s, err := a.services.get(req.ServiceName)
	if err != nil {
		return nil, err
	}
	lines := -1
	if req.TailLines != nil {
		if lines = int(min(*req.TailLines, 1<<31)); lines < 1 {
			return nil, &api.Error{Kind: api.Invalid, Err: fmt.Errorf("tail_lines is %d, it must be greater than 0", *req.TailLines)}
		}
	}
	reply := &wire.ServiceLogsReply{ServiceReply: s.reply(), TailLines: req.TailLines}
	var cut [2]bool
	reply.Stdout, cut[0] = s.stdout.tail(lines)
	reply.Stderr, cut[1] = s.stderr.tail(lines)
	reply.Truncated = cut[0] || cut[1]
	return reply, nil
}

func (a *agent) listServices() *wire.ServicesReply {
	reply := &wire.ServicesReply{Services: []wire.ServiceReply{}}
	for _, s := range a.services.list() {
		reply.Services = append(reply.Services, s.reply())
	}
	return reply
}

func (a *agent) statusService(req *wire.StatusServiceRequest) (*wire.ServiceReply, error) {
	s, err := a.services.get(req.ServiceName)
	if err != nil {
		return nil, err
	}
	reply := s.reply()
	return &reply, nil
}
