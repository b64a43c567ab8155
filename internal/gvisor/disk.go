package gvisor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/engine"
	"github.com/pyro-sandbox/pyro/internal/fault"
	"github.com/pyro-sandbox/pyro/internal/sys"
)

var (
	_ engine.DiskKeeper      = (*Engine)(nil)
	_ engine.DiskSnapshotter = (*sandbox)(nil)
)

// DiskFormat implements engine.DiskKeeper. gVisor promises nothing about images of
// another version of it.
func (e *Engine) DiskFormat(ctx context.Context) (string, error) {
	version, err := e.Version(ctx)
	if err != nil {
		return "", err
	}
	return "gvisor-fscheckpoint/" + version, nil
}

// saveTime bounds one save, during which the guest stands still: a minute, and what a
// disk of 10 MiB a second takes for the whole layer.
func saveTime(spec engine.Spec) time.Duration {
	return time.Minute + time.Duration(spec.DiskMiB)*time.Second/10
}

// SaveDisk implements engine.DiskSnapshotter. One save waits for the other. What is
// written is not yet synced to the disk.
//
// A save that ctx ends goes on in the Sentry for as long as it takes, into files that
// by then may have no name.
func (s *sandbox) SaveDisk(ctx context.Context, dir string) error { return s.save(ctx, dir, diskForm) }

// save writes an image into dir. One save waits for the other.
func (s *sandbox) save(ctx context.Context, dir string, form form) error {
	ctx, cancel := context.WithTimeout(ctx, saveTime(s.spec))
	defer cancel()
	select {
	case s.saving <- struct{}{}:
		defer func() { <-s.saving }()
	case <-s.done:
		return form.gone()
	case <-ctx.Done():
		return form.failed(ctx.Err(), "")
	}
	image, err := lend(dir, s.spec.UID)
	if err != nil {
		return fmt.Errorf("save %s: %w", form.what, err)
	}
	defer func() { _ = image.Close() }()
	fault.Hit("disk-save")
	saveErr := s.checkpoint(ctx, image, form)
	if err := form.takeBack(image, s.spec.UID, saveErr == nil); err != nil && saveErr == nil {
		return fmt.Errorf("save %s: %w", form.what, err)
	}
	return saveErr
}

func (f form) gone() error {
	return &api.Error{Kind: api.Unavailable, Op: "save " + f.what, Err: errors.New("the sandbox is gone")}
}

// checkpoint has pyro-runsc open the files of the image and hand them to the Sentry.
// It runs as the sandbox's uid in namespaces of its own: it reads files of that uid and
// believes what the Sentry says, so it must be able to do no more than that could.
func (s *sandbox) checkpoint(ctx context.Context, image *os.File, form form) error {
	self, err := s.helper.open()
	if err != nil {
		return err
	}
	var said sys.Complaint
	cmd := child(ctx, s.spec.UID, saveArguments(form.command, s.spec, layoutOf(s.spec), s.group.path != ""), map[int]*os.File{
		helperFD: self, diskFD: image,
	})
	cmd.Stdout, cmd.Stderr = &said, &said
	started, err := s.group.receive(cmd)
	if err != nil {
		return err
	}
	defer started()
	if err = runOnOneThread(cmd); err == nil {
		return nil
	}
	if ctx.Err() == nil && s.ended(ctx, orphaned) {
		return form.gone()
	}
	return form.failed(errors.Join(ctx.Err(), err), said.String())
}

// runOnOneThread returns when the child has ended, for whose life the thread must
// last: see child.
func runOnOneThread(cmd *exec.Cmd) error {
	result := make(chan error, 1)
	go func() { // ends with the child
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		result <- cmd.Run()
	}()
	return <-result
}

// failed is the error of a save, with what pyro-runsc said about it.
func (f form) failed(err error, said string) error {
	e := &api.Error{Kind: api.Internal, Op: "save " + f.what, Err: err}
	if said != "" {
		e.Err = fmt.Errorf("%w: %s", err, said)
	}
	switch {
	case errors.Is(err, context.Canceled):
		e.Kind, e.Err = api.Canceled, context.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		e.Kind, e.Err = api.Timeout, context.DeadlineExceeded
		e.Hint = "the disk may be slow or the machine overloaded: try again"
	case strings.Contains(said, "no space left on device"), strings.Contains(said, "disk quota exceeded"):
		e.Kind, e.Hint = api.Unavailable, "the disk or its quota is full; delete workspaces or free some space, then try again"
	}
	return e
}
