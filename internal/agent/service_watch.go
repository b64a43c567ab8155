package agent

import (
	"bufio"
	"context"
	"encoding/json"
	"net"

	"github.com/pyro-sandbox/pyro/internal/wire"
)

// watchServices tells the peer of every service, and then of every change, until the
// peer goes away.
func (a *agent) watchServices(ctx context.Context, conn net.Conn, r *bufio.Reader) {
	ctx, stop := untilGone(ctx, r)
	defer stop()
	var seen uint64
	for first := true; ctx.Err() == nil; first = false {
		news, version, changed := a.services.since(seen)
		for _, record := range news {
			if sendService(conn, record) != nil {
				return
			}
		}
		if seen = version; first && wire.WriteFrame(conn, wire.FrameService, nil) != nil {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}

// since returns what has changed after a version, and a channel that is closed when
// more does.
func (all *services) since(version uint64) (news []wire.ServiceReply, now uint64, changed <-chan struct{}) {
	all.mu.Lock()
	defer all.mu.Unlock()
	for _, s := range all.byName {
		if s.version > version {
			news = append(news, s.record)
		}
	}
	return news, all.version, all.changed
}

func sendService(conn net.Conn, record wire.ServiceReply) error {
	body, err := json.Marshal(record)
	if err != nil {
		return err
	}
	return wire.WriteFrame(conn, wire.FrameService, body)
}

// untilGone is a context that ends when the peer, who has nothing more to say, closes
// the connection. stop must be called before the connection is closed for another
// reason than ctx.
func untilGone(ctx context.Context, r *bufio.Reader) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() { // ends with the connection
		_, _ = r.ReadByte()
		cancel()
	}()
	return ctx, cancel
}

// followService sends what a service prints, until it has ended or the peer goes away.
func (a *agent) followService(ctx context.Context, conn net.Conn, r *bufio.Reader, req *wire.FollowServiceRequest) {
	s, err := a.services.get(wire.LaxString(req.ServiceName))
	if err != nil {
		finish(conn, ending{}, err)
		return
	}
	ctx, stop := untilGone(ctx, r)
	defer stop()
	out := &follower{log: s.stdout, kind: wire.FrameStdout}
	errs := &follower{log: s.stderr, kind: wire.FrameStderr}
	if req.TailLines != nil {
		out.skipTo(int(*req.TailLines))
		errs.skipTo(int(*req.TailLines))
	}
	for over := false; ; {
		moreOut, sentOut := out.send(conn)
		moreErr, sentErr := errs.send(conn)
		switch {
		case out.lost || errs.lost || ctx.Err() != nil:
			return
		case sentOut || sentErr:
			continue
		case over:
			finish(conn, s.ending(), nil)
			return
		}
		select {
		case <-moreOut:
		case <-moreErr:
		case <-s.done:
			over = true
		case <-ctx.Done():
			return
		}
	}
}

func (s *service) ending() ending {
	record := s.reply()
	if record.ExitCode == nil {
		return ending{code: -1}
	}
	return ending{code: *record.ExitCode}
}

// follower is how far one log was sent.
type follower struct {
	log  *serviceLog
	kind wire.FrameType
	next int64
	lost bool // the peer takes no more
}

// skipTo goes on from the last lines.
func (f *follower) skipTo(lines int) {
	data, start := f.log.all()
	f.next = start + int64(lastLines(data, max(lines, 0)))
}

// send sends the next piece, if there is one.
func (f *follower) send(conn net.Conn) (more <-chan struct{}, sent bool) {
	data, next, more := f.log.read(f.next, pumpSize)
	if f.next = next; len(data) == 0 {
		return more, false
	}
	f.lost = wire.WriteFrame(conn, f.kind, data) != nil
	return more, true
}
