package supervisor

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"
)

// puts keeps the saving of a disk apart from what puts many files in place, patches and
// pushes: a state holds all of one, or nothing. The zero value is ready to use.
type puts struct {
	mu      sync.Mutex
	putting int           // past their last byte, so that the agent may have begun to rename
	saving  int           // that wait or are under way; nothing is put meanwhile
	changed chan struct{} // closed when one of the two falls; nil: nobody waits
}

// putPatience is how long a save waits for what is being put in place: longer than the host
// waits for an agent that does not answer about a patch. What puts so slowly is a guest that
// halves its files itself.
const putPatience = 2 * time.Minute

// put waits while the disk is being saved. The caller calls done when all is in place.
func (p *puts) put(ctx context.Context) (done func(), err error) {
	if !p.wait(ctx, func() bool { return p.saving == 0 }, &p.putting) {
		return nil, context.Cause(ctx)
	}
	return func() { p.fall(&p.putting) }, nil
}

// save waits for what is being put in place, and keeps others from it until done is called.
// It waits no longer than putPatience, or than ctx.
func (p *puts) save(ctx context.Context) (done func()) {
	p.mu.Lock()
	p.saving++
	p.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, putPatience)
	defer cancel()
	p.wait(ctx, func() bool { return p.putting == 0 }, nil)
	return func() { p.fall(&p.saving) }
}

// wait waits until may holds, and then counts; it reports whether that came before the end
// of ctx.
func (p *puts) wait(ctx context.Context, may func() bool, count *int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for !may() {
		if p.changed == nil {
			p.changed = make(chan struct{})
		}
		changed := p.changed
		p.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
		}
		p.mu.Lock()
		if ctx.Err() != nil {
			return false
		}
	}
	if count != nil {
		*count++
	}
	return true
}

func (p *puts) fall(count *int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	*count--
	if p.changed != nil {
		close(p.changed)
		p.changed = nil
	}
}

// whole calls do with a body of which the agent puts nothing in place before its end. From
// then on no disk is saved until do has returned, and that ctx ends does not end it: what
// has been sent will be put in place in any case, and until then no state would be whole.
func (p *puts) whole(ctx context.Context, body io.Reader, do func(context.Context, io.Reader) error) error {
	inner, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	stop := context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })
	defer stop()
	done := func() {}
	defer func() { done() }()
	return do(inner, &lastByte{from: body, reached: func() error {
		free, err := p.put(ctx)
		if err != nil {
			return err
		}
		done = sync.OnceFunc(free)
		if !stop() {
			return context.Cause(ctx)
		}
		return nil
	}})
}

// lastByte is a body that tells, once, before its end is told.
type lastByte struct {
	from    io.Reader
	reached func() error
	end     error
}

// Read implements io.Reader.
func (l *lastByte) Read(p []byte) (int, error) {
	if l.end != nil {
		return 0, l.end
	}
	n, err := l.from.Read(p)
	if errors.Is(err, io.EOF) {
		if err = l.reached(); err == nil {
			err = io.EOF
		}
		l.end = err
	}
	return n, err
}
