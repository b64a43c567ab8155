package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// How the end of a service goes, and how soon one that failed is started again.
const (
	stopGrace      = 5 * time.Second // between TERM and KILL
	firstRestart   = 100 * time.Millisecond
	slowestRestart = 10 * time.Second
	excerptLines   = 10
	maxExcerpt     = 2 << 10 // bytes of it
)

// serving is one run of a service's program.
type serving struct {
	*process
	stdout, stderr *pump
}

// launch starts the program of a service.
func (a *agent) launch(s *service) (*serving, error) {
	p, err := a.start(s.command)
	if err != nil {
		return nil, err
	}
	s.change(func(r *wire.ServiceReply) { r.PID = &p.pid })
	ignore := func() {}
	return &serving{process: p, stdout: a.pump(p.stdout, s.stdout, ignore), stderr: a.pump(p.stderr, s.stderr, ignore)}, nil
}

// fail is the end of a service that could not be started.
func (s *service) fail(err error) {
	var not *unstartable
	s.change(func(r *wire.ServiceReply) {
		now := api.At(time.Now())
		reason := api.StopExitedBeforeReady
		r.State, r.EndedAt, r.StopReason, r.Failure = string(api.ServiceFailed), &now, &reason, err.Error()
		if errors.As(err, &not) {
			r.ExitCode = &not.code
		}
	})
	close(s.done)
}

// keep runs a service to its end, starting it again where it shall be.
func (a *agent) keep(ctx context.Context, s *service, p *serving) {
	defer close(s.done)
	wait := firstRestart
	for {
		end := a.serveOnce(ctx, s, p)
		restarts := s.reply().RestartCount
		if end.stopped || end.code == 0 || !s.restart.enabled || s.restart.most > 0 && restarts >= s.restart.most {
			s.ended(end)
			return
		}
		if time.Since(p.begun) > slowestRestart { // it was well for a while
			wait = firstRestart
		}
		if !s.rest(ctx, wait) { // it was stopped before it was started again
			end.stopped, end.reason = true, api.StoppedByTerm
			s.ended(end)
			return
		}
		wait = min(2*wait, slowestRestart)
		next, err := a.launch(s)
		if err != nil {
			s.ended(end)
			return
		}
		p = next
		s.change(func(r *wire.ServiceReply) { r.RestartCount++ })
	}
}

// rest waits before a restart, and reports whether it is still wanted.
func (s *service) rest(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.stop:
	case <-ctx.Done():
	}
	return false
}

// runEnd is how one run of a service ended.
type runEnd struct {
	code    int
	stopped bool
	reason  string // how it was stopped
	why     string // it ended, where neither it nor anybody else had wanted that
}

// serveOnce waits for the end of a program, or ends it.
func (a *agent) serveOnce(ctx context.Context, s *service, p *serving) runEnd {
	defer a.running.remove(p.process)
	var end runEnd
	select {
	case st := <-p.ended:
		by := p.endedBy(st)
		end.code, end.why = by.code, strings.TrimSpace(by.note(0))
		if end.code == 0 && p.inBackground() {
			end = s.awaitBackground(ctx, p)
		}
	case <-s.stop:
		end = p.stopGently(ctx, p.ended)
	case <-ctx.Done():
		end = p.stopGently(ctx, p.ended)
	}
	p.killAll() // what it left behind would hold its port and its files
	p.stdout.finish()
	p.stderr.finish()
	s.stdout.flush()
	s.stderr.flush()
	return end
}

// inBackground reports whether a program that has ended well goes on in processes
// that it left, as daemons do.
func (p *process) inBackground() bool { return len(p.kin(nil)) > 0 }

// awaitBackground waits for the end of a service that put itself into the background.
// Nobody is told of that end, so it looks from time to time.
func (s *service) awaitBackground(ctx context.Context, p *serving) runEnd {
	ticker := time.NewTicker(250 * time.Millisecond)
	defer ticker.Stop()
	for p.inBackground() {
		select {
		case <-ticker.C:
		case <-s.stop:
			return p.stopGently(ctx, nil)
		case <-ctx.Done():
			return p.stopGently(ctx, nil)
		}
	}
	return runEnd{}
}

// stopGently sends TERM to all of a service and waits until nothing of it is left;
// what is left after the grace gets KILL. ended tells of its leader; nil: that is gone.
func (p *serving) stopGently(ctx context.Context, ended <-chan status) runEnd {
	end := runEnd{stopped: true, reason: api.StoppedByTerm}
	known := p.kin(nil)
	p.terminate()
	grace := time.NewTimer(stopGrace)
	defer grace.Stop()
	if ctx.Err() != nil { // the agent ends
		grace.Reset(0)
	}
	wait := time.Millisecond
	for {
		look := time.NewTimer(wait)
		select {
		case st := <-ended:
			end.code, ended = p.endedBy(st).code, nil
		case <-look.C:
			wait = min(2*wait, 50*time.Millisecond)
		case <-grace.C:
			end.reason = api.StoppedByKill
			p.killAll()
			if ended != nil {
				end.code = p.endedBy(p.lastWords(ended)).code
			}
			look.Stop()
			return end
		}
		look.Stop()
		if known = p.kin(known); ended == nil && len(known) == 0 {
			return end
		}
	}
}

// lastWords is the status of a process that was killed, or what stands for it.
func (p *process) lastWords(ended <-chan status) status {
	dying := time.NewTimer(maxDying)
	defer dying.Stop()
	select {
	case st := <-ended:
		return st
	case <-dying.C:
		return status{wait: syscall.WaitStatus(syscall.SIGKILL), at: time.Now()}
	}
}

// ended is the end of a service that ran.
func (s *service) ended(end runEnd) {
	s.change(func(r *wire.ServiceReply) {
		now := api.At(time.Now())
		code := end.code
		r.EndedAt, r.ExitCode, r.Failure = &now, &code, end.why
		switch {
		case r.State == string(api.ServiceFailed): // decided by whoever waited for it to be ready
		case end.stopped:
			r.State, r.StopReason = string(api.ServiceStopped), &end.reason
		default:
			r.State = string(api.ServiceExited)
		}
	})
}

// awaitReady waits until a service can be used, has ended, or has had its time.
func (s *service) awaitReady(ctx context.Context, ready *readiness) wire.ServiceReply {
	if ready == nil {
		return s.change(func(r *wire.ServiceReply) { r.ReadyAt = new(api.At(time.Now())) })
	}
	ctx, cancel := context.WithTimeout(ctx, ready.timeout)
	defer cancel()
	for {
		if ready.probe(ctx) && s.alive() {
			return s.change(func(r *wire.ServiceReply) {
				if r.State == string(api.ServiceRunning) {
					r.ReadyAt = new(api.At(time.Now()))
				}
			})
		}
		timer := time.NewTimer(ready.interval)
		select {
		case <-timer.C:
		case <-s.done:
			timer.Stop()
			return s.neverReady(api.StopExitedBeforeReady, "it ended before it was ready")
		case <-ctx.Done():
			timer.Stop()
			s.change(func(r *wire.ServiceReply) { r.State = string(api.ServiceFailed) })
			s.stopOnce.Do(func() { close(s.stop) })
			<-s.done // within the grace
			return s.neverReady(api.StopReadinessTimeout, fmt.Sprintf("it was not ready within %v", ready.timeout))
		}
		timer.Stop()
	}
}

// neverReady says why a service that has ended was no use. One that somebody stopped
// meanwhile stays as it is.
func (s *service) neverReady(reason, why string) wire.ServiceReply {
	excerpt := s.excerpt()
	return s.change(func(r *wire.ServiceReply) {
		if r.State == string(api.ServiceStopped) {
			return
		}
		r.State, r.StopReason, r.Failure = string(api.ServiceFailed), &reason, why+excerpt
	})
}

// excerpt is the last that a service printed.
func (s *service) excerpt() string {
	var said []string
	for _, log := range []*serviceLog{s.stdout, s.stderr} {
		if text, _ := log.tail(excerptLines); text != "" {
			said = append(said, strings.TrimRight(text[max(0, len(text)-maxExcerpt):], "\n"))
		}
	}
	if len(said) == 0 {
		return "; it printed nothing"
	}
	return "; the last it printed:\n" + strings.ToValidUTF8(strings.Join(said, "\n"), "\uFFFD")
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
