package supervisor

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

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
		s.answer(w, op, nil, err)
		return
	}
	pour(w, r, func(ctx context.Context, conn net.Conn) {
		s.follow(ctx, conn, service, lines)
	})
}

func (s *supervisor) follow(ctx context.Context, conn net.Conn, service *api.Service, lines *wire.LaxInt) {
	stream, err := s.agent().FollowService(ctx, service.ServiceName, lines)
	if err != nil {
		s.sendFailure(conn, err)
		return
	}
	defer func() { _ = stream.Close() }()
	out := s.hide(frames{conn})
	for {
		frame, err := stream.ReadFrame()
		switch {
		case err != nil:
			s.sendFailure(conn, s.lost(err))
			return
		case frame.Type == wire.FrameStdout, frame.Type == wire.FrameStderr:
			if out.output(frame.Type, frame.Payload) != nil {
				return
			}
		case frame.Type == wire.FrameFail:
			s.sendFailure(conn, frame.Failure())
			return
		default:
			_ = out.flush()
			now, err := s.agent().StatusService(ctx, service.ServiceName)
			if err != nil {
				s.sendFailure(conn, err)
				return
			}
			send(conn, wire.FrameExit, s.service(service.ServiceName, now, nil))
			return
		}
	}
}
