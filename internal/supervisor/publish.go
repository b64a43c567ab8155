package supervisor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/sys"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

const (
	// maxPublished is how many connections a published port carries at once. More wait
	// to be accepted.
	maxPublished = 1000

	// dialTime is how long the guest may take to accept a connection: longer than its
	// agent waits, and long enough for a thousand that come at once.
	dialTime = 20 * time.Second

	publishHost = "127.0.0.1"
)

// published is the ports of one service. Nothing comes in before open, and nothing is
// left of it after close.
type published struct {
	ports     []api.PublishedPort
	listeners []net.Listener
	room      chan struct{}
	ctx       context.Context // of everything that passes through
	cancel    context.CancelFunc
	passing   sync.WaitGroup
	of        *box // where the service runs; nil: nowhere yet
}

// publish takes the ports of this machine that a service is to be reached at: where any
// free one will do, that of before if nobody else has it now. They are given back by
// close, and what passes through them ends with ctx.
func publish(ctx context.Context, asked []api.PublishRequest, before []api.PublishedPort) (*published, error) {
	ctx, cancel := context.WithCancel(ctx)
	p := &published{ports: []api.PublishedPort{}, room: make(chan struct{}, maxPublished), ctx: ctx, cancel: cancel}
	for i, a := range asked {
		last := 0
		if i < len(before) {
			last = before[i].HostPort
		}
		l, err := listenHost(a.HostPort, last)
		if err != nil {
			p.close()
			return nil, publishError(a, err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		p.listeners = append(p.listeners, l)
		p.ports = append(p.ports, api.PublishedPort{Host: publishHost, HostPort: port, GuestPort: a.GuestPort, Protocol: "tcp"})
	}
	return p, nil
}

// listenHost takes a port of this machine. Where that is 0 it is any free one: last, if it
// is free.
func listenHost(port, last int) (net.Listener, error) {
	if port == 0 && last != 0 {
		if l, err := net.Listen("tcp4", net.JoinHostPort(publishHost, strconv.Itoa(last))); err == nil {
			return l, nil
		}
	}
	return net.Listen("tcp4", net.JoinHostPort(publishHost, strconv.Itoa(port)))
}

func publishError(a api.PublishRequest, err error) error {
	if sys.IsAddressInUse(err) {
		return &api.Error{
			Kind: api.Conflict, Hint: fmt.Sprintf("choose another, or let pyro choose: `--publish %d`", a.GuestPort),
			Err: fmt.Errorf("port %d of this machine is taken", a.HostPort),
		}
	}
	return &api.Error{Kind: api.Unavailable, Err: fmt.Errorf("publish port %d: %w", a.HostPort, err)}
}

// open lets connections in. They are made in the guest by dial.
func (p *published) open(dial func(context.Context, int) (wire.HalfCloser, error)) {
	for i, l := range p.listeners {
		guest := p.ports[i].GuestPort
		p.passing.Go(func() { p.accept(l, guest, dial) }) // ends with the listener
	}
}

func (p *published) accept(l net.Listener, guest int, dial func(context.Context, int) (wire.HalfCloser, error)) {
	for {
		select {
		case p.room <- struct{}{}:
		case <-p.ctx.Done():
			return
		}
		conn, err := l.Accept()
		if err != nil {
			<-p.room
			if errors.Is(err, net.ErrClosed) {
				return
			}
			sys.Sleep(p.ctx, 10*time.Millisecond) // out of descriptors, perhaps
			continue
		}
		p.passing.Go(func() { // ends with the connection, at the latest with the service
			defer func() { <-p.room }()
			p.pass(conn.(*net.TCPConn), guest, dial)
		})
	}
}

// pass connects a client with the guest. One that the guest does not accept is reset,
// as it would be without us between them.
func (p *published) pass(client *net.TCPConn, guest int, dial func(context.Context, int) (wire.HalfCloser, error)) {
	ctx, cancel := context.WithTimeout(p.ctx, dialTime)
	inside, err := dial(ctx, guest)
	cancel()
	if err != nil {
		_ = client.SetLinger(0)
		_ = client.Close()
		return
	}
	stop := context.AfterFunc(p.ctx, func() { // ends at once
		_ = client.Close()
		_ = inside.Close()
	})
	defer stop()
	_ = wire.Splice(client, inside) // either side may hang up as it likes
}

// close gives the ports back and cuts what passes through them.
func (p *published) close() {
	p.cancel()
	for _, l := range p.listeners {
		_ = l.Close()
	}
	p.passing.Wait()
}

// dialGuest makes a connection to a port of the guest itself.
func (b *box) dialGuest(ctx context.Context, port int) (wire.HalfCloser, error) {
	return b.agent().DialTunnel(ctx, net.JoinHostPort(publishHost, strconv.Itoa(port)))
}
