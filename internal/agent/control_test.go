package agent

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/yamux"
	"golang.org/x/sys/unix"

	"github.com/pyro-sandbox/pyro/internal/wire"
)

func TestEndOfControlSocketIsTheEnd(t *testing.T) {
	ours, theirs := socketpair(t)
	done := make(chan error, 1)
	go func() { done <- serveControl(context.Background(), theirs, testConfig(t)) }()
	c := muxClient(t, ours)
	s := open(t, c, wire.StreamRequest{Command: "echo ready; sleep 3061"})
	if _, err := s.ReadFrame(); err != nil {
		t.Fatal(err)
	}
	_ = ours.Close()
	if err := <-done; err != nil {
		t.Errorf("serveControl returned %v", err)
	}
	if alive("sleep 3061") {
		t.Error("the command outlived the agent")
	}
}

// A host that is killed while output is on its way leaves unread bytes behind, so
// that its end comes as a reset and not as the end of the file.
func TestHostThatDiesBusyIsTheEnd(t *testing.T) {
	ours, theirs := socketpair(t)
	done := make(chan error, 1)
	go func() { done <- serveControl(context.Background(), theirs, testConfig(t)) }()
	session, err := yamux.Client(&stalled{Conn: ours, full: make(chan struct{})}, wire.MuxConfig())
	if err != nil {
		t.Fatal(err)
	}
	c := &wire.Client{Dial: func(context.Context) (net.Conn, error) { return session.Open() }}
	open(t, c, wire.StreamRequest{Command: "echo unread; sleep 3062"})
	f, err := ours.(*net.UnixConn).File()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if !eventually(func() bool { return waiting(f) > 0 }) {
		t.Error("no output came")
	}
	_ = f.Close()
	_ = ours.Close()
	if err := <-done; err != nil {
		t.Errorf("serveControl returned %v", err)
	}
	_ = session.Close()
}

// stalled is a connection that nobody reads from until it is closed.
type stalled struct {
	net.Conn
	once sync.Once
	full chan struct{}
}

func (s *stalled) Read([]byte) (int, error) {
	<-s.full
	return 0, io.EOF
}

func (s *stalled) Close() error {
	s.once.Do(func() { close(s.full) })
	return s.Conn.Close()
}

// The memory of a guest comes back with another socket under the old number, while
// a read is asleep on it; that is why the descriptor has to block.
func TestControlSocketBlocks(t *testing.T) {
	ours, theirs := socketpair(t)
	if err := unix.SetNonblock(theirs, true); err != nil {
		t.Fatal(err)
	}
	dup, err := unix.FcntlInt(uintptr(theirs), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(dup) }()
	done := make(chan error, 1)
	go func() { done <- serveControl(t.Context(), theirs, testConfig(t)) }()
	if _, err := muxClient(t, ours).Hello(t.Context()); err != nil {
		t.Error(err)
	}
	flags, err := unix.FcntlInt(uintptr(dup), unix.F_GETFL, 0)
	if err != nil || flags&unix.O_NONBLOCK != 0 {
		t.Errorf("flags are %x, %v", flags, err)
	}
	_ = ours.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A guest whose memory was restored has another host at its socket, which does not know
// the connections of before: they end, and what belongs to none goes on.
func TestAnotherHostBegins(t *testing.T) {
	ours, theirs := socketpair(t)
	done := make(chan error, 1)
	go func() { done <- serveControl(context.Background(), theirs, testConfig(t)) }()
	before, err := yamux.Client(&left{ours}, wire.MuxConfig())
	if err != nil {
		t.Fatal(err)
	}
	c := &wire.Client{Dial: func(context.Context) (net.Conn, error) { return before.Open() }}
	shell, err := c.OpenShell(t.Context(), wire.OpenShellRequest{ShellID: "a1b2c3d4e5f6", Cols: 80, Rows: 24, Cwd: "/workspace"})
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, c, wire.StreamRequest{Command: "echo ready; sleep 3064"})
	if _, err := s.ReadFrame(); err != nil {
		t.Fatal(err)
	}
	_ = ours.SetReadDeadline(time.Unix(1, 0)) // the host of before is no more
	<-before.CloseChan()
	_ = ours.SetReadDeadline(time.Time{})

	channel, err := wire.NewRestoredChannel(ours)
	if err != nil {
		t.Fatal(err)
	}
	now := &wire.Client{Dial: channel.Dial}
	if _, err := now.Hello(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !eventually(func() bool { return !alive("sleep 3064") }) {
		t.Error("a command outlived its connection")
	}
	all, err := now.ListShells(t.Context())
	if err != nil || len(all.Shells) != 1 || all.Shells[0].ShellID != shell.ShellID {
		t.Errorf("shells: %+v, %v", all, err)
	}
	_ = ours.Close()
	if err := <-done; err != nil {
		t.Errorf("serveControl returned %v", err)
	}
}

// left is a socket that its session cannot close.
type left struct{ net.Conn }

func (*left) Close() error { return nil }
