package plain

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"syscall"
	"time"

	"github.com/hashicorp/yamux"

	"github.com/pyro-sandbox/pyro/internal/sys"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// Checkpoint has pyro-runsc save the disk of a model, which runs on, into a new
// directory, and returns the time from before its fork until it has been waited for.
// Nothing is synced or read again.
func Checkpoint(ctx context.Context, m Model, helper, dir string) (time.Duration, error) {
	args, err := m.arguments()
	if err != nil {
		return 0, err
	}
	if args, err = checkpointArguments(args, m.ID); err != nil {
		return 0, err
	}
	uid, err := ownerOf(m.Dir)
	if err != nil {
		return 0, err
	}
	image, err := lend(dir, uid)
	if err != nil {
		return 0, err
	}
	defer func() { _ = image.Close() }()
	runtime.LockOSThread() // as in Run
	defer runtime.UnlockOSThread()
	began := time.Now()
	c := newChild(ctx, uid, args)
	if err := c.start(helper, map[int]*os.File{diskFD: image}); err != nil {
		return 0, err
	}
	err = c.wait()
	return time.Since(began), err
}

// checkpointArguments makes them from those that the sandbox was started with: the
// flags stand between the stage file and the command.
func checkpointArguments(started []string, id string) ([]string, error) {
	command := slices.Index(started, "run")
	if command < 2 || started[0] != "--stage" {
		return nil, fmt.Errorf("arguments %q: want --stage FILE FLAGS run", started)
	}
	return append(slices.Clone(started[2:command]), "fscheckpoint", "-image-path", descriptor(diskFD), "-leave-running", id), nil
}

func ownerOf(dir string) (int, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return 0, err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, fmt.Errorf("%s has no owner", dir)
	}
	return int(stat.Uid), nil
}

// lend makes a directory for a user and opens it.
func lend(dir string, uid int) (*os.File, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	if err := os.Lchown(dir, uid, uid); err != nil && os.Geteuid() == 0 {
		return nil, err
	}
	return os.Open(dir)
}

// Answer executes pyro-runsc with the image in the directory disk as its saved disk,
// for a recipe that was learnt from a model with one, and returns the time from before
// its fork until the agent has answered. Then it is killed.
func (s *Sandbox) Answer(ctx context.Context, disk string) (took time.Duration, err error) {
	runtime.LockOSThread() // as in Run
	defer runtime.UnlockOSThread()
	ctx, cancel := context.WithCancel(ctx)
	began := time.Now()
	image, err := os.Open(disk)
	if err != nil {
		cancel()
		return 0, err
	}
	defer func() { _ = image.Close() }()
	ours, guest, err := sys.Socketpair()
	if err != nil {
		cancel()
		return 0, err
	}
	c := newChild(ctx, s.uid, s.args)
	err = c.start(s.helper, map[int]*os.File{controlFD: guest, diskFD: image})
	_ = guest.Close()
	if err != nil {
		cancel()
		return 0, errors.Join(err, ours.Close())
	}
	err = answered(ctx, ours)
	took = time.Since(began)
	cancel()
	if ended := c.wait(); err != nil {
		return 0, errors.Join(err, ended)
	}
	return took, nil
}

// answered returns when the agent at the other end has said hello, and closes conn.
func answered(ctx context.Context, conn net.Conn) error {
	channel, err := yamux.Client(conn, wire.MuxConfig())
	if err != nil {
		return errors.Join(err, conn.Close())
	}
	defer func() { _ = channel.Close() }()
	client := wire.Client{Dial: func(context.Context) (net.Conn, error) { return channel.Open() }}
	_, err = client.Hello(ctx)
	return err
}
