package supervisor

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pyro-sandbox/pyro/internal/wire"
)

// putting is a put of which the test decides how far it is.
type putting struct {
	feed   *io.PipeWriter
	finish chan struct{}
	seen   context.Context
	all    atomic.Bool // the agent would have all of it
	err    chan error
}

func putIn(ctx context.Context, p *puts) *putting {
	body, feed := io.Pipe()
	x := &putting{feed: feed, finish: make(chan struct{}), err: make(chan error, 1)}
	go func() { // ends with the put
		x.err <- p.whole(ctx, body, func(inner context.Context, body io.Reader) error {
			x.seen = inner
			if _, err := io.ReadAll(body); err != nil {
				return err
			}
			x.all.Store(true)
			<-x.finish
			return nil
		})
	}()
	return x
}

// saveIn saves: saved is closed when it has its turn, and it ends with release.
func saveIn(ctx context.Context, p *puts) (saved, release chan struct{}) {
	saved, release = make(chan struct{}), make(chan struct{})
	go func() { // ends with release
		done := p.save(ctx)
		close(saved)
		<-release
		done()
	}()
	return saved, release
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestSaveWaitsForWhatIsPut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := new(puts)
		x, y := putIn(t.Context(), p), putIn(t.Context(), p)
		_ = x.feed.Close()
		synctest.Wait()
		saved, release := saveIn(t.Context(), p)
		synctest.Wait()
		_ = y.feed.Close() // it comes later, and waits itself
		synctest.Wait()
		if isClosed(saved) || !x.all.Load() || y.all.Load() {
			t.Errorf("saved %v, put %v and %v", isClosed(saved), x.all.Load(), y.all.Load())
		}
		close(x.finish)
		if err := <-x.err; err != nil {
			t.Error(err)
		}
		<-saved
		synctest.Wait()
		if y.all.Load() {
			t.Error("something was put while the disk was saved")
		}
		close(release)
		close(y.finish)
		if err := <-y.err; err != nil {
			t.Error(err)
		}
	})
}

func TestSaveDoesNotWaitForWhatIsComing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := new(puts)
		x := putIn(t.Context(), p)
		_, _ = io.WriteString(x.feed, "the first half")
		saved, release := saveIn(t.Context(), p)
		<-saved
		close(release)
		_ = x.feed.CloseWithError(io.ErrUnexpectedEOF)
		if err := <-x.err; !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Error(err)
		}
	})
}

func TestSaveHasPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := new(puts)
		x := putIn(t.Context(), p)
		_ = x.feed.Close()
		synctest.Wait()
		began := time.Now()
		saved, release := saveIn(t.Context(), p)
		<-saved
		if waited := time.Since(began); waited != putPatience {
			t.Errorf("it waited for %v", waited)
		}
		close(release)
		close(x.finish)
		<-x.err
	})
}

// TestPutGoesOnWithoutItsClient: what the agent has all of it puts in place, whoever waits.
func TestPutGoesOnWithoutItsClient(t *testing.T) {
	for name, sent := range map[string]bool{"before its end": false, "after its end": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, leave := context.WithCancel(t.Context())
				x := putIn(ctx, new(puts))
				if sent {
					_ = x.feed.Close()
				}
				synctest.Wait()
				leave()
				synctest.Wait()
				if ended := x.seen.Err() != nil; ended == sent {
					t.Errorf("it was told to end: %v", ended)
				}
				_ = x.feed.Close()
				close(x.finish)
				if err := <-x.err; (err == nil) != sent {
					t.Errorf("got %v", err)
				}
			})
		})
	}
}

// slowBox is a sandbox whose agent takes its time, and whose disk can be saved.
type slowBox struct {
	*evilBox
	saves atomic.Int32
}

func (b *slowBox) SaveDisk(_ context.Context, dir string) error {
	b.saves.Add(1)
	return os.WriteFile(filepath.Join(dir, "image"), []byte("image"), 0o600)
}

func (b *slowBox) DiskStamp() (string, error) { return "", nil }

type slowEngine struct{ evilEngine }

func (slowEngine) DiskFormat(context.Context) (string, error) { return "slow/1", nil }

// TestNoStateHoldsHalfAPatch saves the disk in every way while a patch is put in place.
func TestNoStateHoldsHalfAPatch(t *testing.T) {
	for name, save := range map[string]func(context.Context, *supervisor) error{
		"save": func(ctx context.Context, s *supervisor) error { return s.saveDisk(ctx) },
		"snapshot": func(ctx context.Context, s *supervisor) error {
			_, err := s.createSnapshot(ctx, "green")
			return err
		},
		"fork": func(ctx context.Context, s *supervisor) error {
			_, free, err := s.forkImage(ctx, false)
			if err == nil {
				free()
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				slow := &slowBox{evilBox: newEvil(nil)}
				begun, finish := make(chan struct{}), make(chan struct{})
				slow.play = func(conn net.Conn) { slowPatch(conn, begun, finish) }
				s := haunted(t, slow.evilBox)
				s.states = make(turns, 1)
				s.end, s.gone = make(chan struct{}), make(chan struct{})
				s.boxes.current.Store(&box{Sandbox: slow, engine: slowEngine{evilEngine{slow.evilBox}}, part: s.held.Part(0)})
				var both sync.WaitGroup
				both.Go(func() {
					over(http.MethodPost, "/v1/patch", "--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b\n")(t, s)
				})
				<-begun
				both.Go(func() { _ = save(t.Context(), s) })
				synctest.Wait()
				if n := slow.saves.Load(); n != 0 {
					t.Error("the disk was saved in the middle of a patch")
				}
				close(finish)
				both.Wait()
				if n := slow.saves.Load(); n != 1 {
					t.Errorf("the disk was saved %d times", n)
				}
			})
		})
	}
}

// slowPatch is an agent that says when it has all of a patch, and answers when it may.
func slowPatch(conn net.Conn, begun, finish chan struct{}) {
	in := bufio.NewReader(conn)
	line, err := wire.ReadLine(in, wire.MaxRequestLine)
	if err != nil || !strings.Contains(string(line), wire.ActionPatch) {
		return
	}
	var buf []byte
	for {
		f, err := wire.ReadFrame(in, &buf)
		if err != nil {
			return
		}
		if f.Type == wire.FrameEnd {
			break
		}
	}
	close(begun)
	<-finish
	_, _ = io.WriteString(conn, `{"ok":true,"entries":[]}`+"\n")
}
