package pyro

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/applyback"
	"github.com/pyro-sandbox/pyro/internal/archive"
	"github.com/pyro-sandbox/pyro/internal/sys"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

const opApply = "apply changes of workspace"

// ApplyOptions say how changes are brought back. nil is the zero value.
type ApplyOptions struct {
	DryRun bool   // say what would be done, and write nothing
	Branch string // make a commit on a new branch of this name instead of changing files; "": change files

	// AllowAutorun brings files along that would run by themselves on this machine. Without
	// it one of them refuses all.
	AllowAutorun bool

	// Progress is told from time to time how many changes have come; nil: nobody asks.
	Progress func(entries int, bytes int64)
}

// Apply brings what changed in the workspace, since it was seeded, to a directory of this
// machine: "" is the one that it was seeded from. All of it is done or nothing. What has
// changed in the directory too is put together by git, if the directory is in a work tree
// of git and the changes do not touch the same lines; else the error is api.Conflict and
// names the paths. What is there already is no error.
//
// The .git of the directory is not written to but by git itself, links in it are not
// followed, and set-id bits are not given. See docs/apply.md.
func (w *Workspace) Apply(ctx context.Context, dir string, opts *ApplyOptions) (*api.Apply, error) {
	if opts == nil {
		opts = &ApplyOptions{}
	}
	if opts.DryRun && opts.Branch != "" {
		return nil, &api.Error{Kind: api.Invalid, Op: opApply, ID: w.id, Hint: "leave one of them out", Err: errors.New("a branch cannot be made in a dry run")}
	}
	dir, err := w.projectOf(ctx, dir)
	if err != nil {
		return nil, err
	}
	state, err := w.client.stateDir()
	if err != nil {
		return nil, err
	}
	area, err := applyback.Open(ctx, applyback.Config{
		Dir: dir, StateDir: state, Untouched: opts.DryRun || opts.Branch != "", Env: w.client.env,
	})
	if err != nil {
		return nil, sys.Explain(opApply+" "+w.id, err)
	}
	result, err := w.applyIn(ctx, area, opts)
	if closeErr := area.Close(); closeErr != nil {
		if err == nil {
			result.Warnings = append(result.Warnings, "not cleared away: "+closeErr.Error())
		}
	}
	if err != nil {
		return nil, w.applyFailed(err)
	}
	result.WorkspaceID, result.Directory, result.DryRun = w.id, real(dir), opts.DryRun
	if result.Changed && !result.DryRun {
		w.tell(ctx, api.Event{Kind: api.EventApplied, HostPath: &result.Directory, Name: result.Branch, Entries: new(int64(len(result.Entries)))})
	}
	return result, nil
}

func (w *Workspace) applyFailed(err error) error {
	var known *api.Error
	if errors.As(err, &known) && known.Op != "" || named(opApply, w.id, err) {
		return err
	}
	return sys.Explain(opApply+" "+w.id, err)
}

// projectOf is the directory that changes go to.
func (w *Workspace) projectOf(ctx context.Context, dir string) (string, error) {
	if dir == "" {
		if w.client.remote.isElsewhere() {
			return "", &api.Error{
				Kind: api.Invalid, Op: opApply, ID: w.id, Hint: "name the directory that the changes are for",
				Err: errors.New("another machine knows which directory it was seeded from"),
			}
		}
		now, err := w.Status(ctx)
		if err != nil {
			return "", err
		}
		seed := now.WorkspaceSeed
		if seed.Mode != api.SeedDirectory || seed.SeedPath == nil {
			return "", &api.Error{
				Kind: api.Invalid, Op: opApply, ID: w.id, Hint: "name the directory that the changes are for",
				Err: errors.New("it was not seeded from a directory"),
			}
		}
		dir = *seed.SeedPath
	}
	dir, err := w.client.localPath("directory", dir)
	if err != nil {
		return "", api.About(opApply, w.id, err)
	}
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is no directory", dir)
	}
	if err != nil {
		return "", &api.Error{Kind: api.NotFound, Op: opApply, ID: w.id, Hint: "name the directory that the changes are for", Err: err}
	}
	return dir, nil
}

// applyIn fetches the changes, and makes them.
func (w *Workspace) applyIn(ctx context.Context, area *applyback.Area, opts *ApplyOptions) (*api.Apply, error) {
	if opts.Branch != "" {
		end, err := w.fetchChanges(ctx, area, true, opts.Progress)
		if err != nil {
			return nil, err
		}
		result, err := area.Branch(ctx, opts.Branch, "Apply changes of workspace "+w.id+"\n", opts.AllowAutorun)
		if err != nil {
			return nil, err
		}
		result.Warnings = append(result.Warnings, end.Warnings...)
		return result, nil
	}
	// What files held before is as much again, and is needed only where the directory has
	// changed in the same files.
	plan, end, err := w.planApply(ctx, area, false, opts)
	if errors.Is(err, applyback.ErrBases) {
		plan, end, err = w.planApply(ctx, area, true, opts)
	}
	if err != nil {
		return nil, err
	}
	if !opts.DryRun {
		if err := area.Commit(ctx, plan); err != nil {
			return nil, err
		}
	}
	plan.Result.Warnings = append(plan.Result.Warnings, end.Warnings...)
	return &plan.Result, nil
}

// planApply fetches the changes, and compares them with the directory.
func (w *Workspace) planApply(ctx context.Context, area *applyback.Area, bases bool, opts *ApplyOptions) (*applyback.Plan, *api.ChangesEnd, error) {
	end, err := w.fetchChanges(ctx, area, bases, opts.Progress)
	if err != nil {
		return nil, nil, err
	}
	plan, err := area.Plan(ctx, opts.AllowAutorun)
	return plan, end, err
}

// fetchChanges puts what changed into the area; with bases, what files held before, too.
func (w *Workspace) fetchChanges(ctx context.Context, area *applyback.Area, bases bool, tell func(int, int64)) (*api.ChangesEnd, error) {
	if err := area.Restart(bases); err != nil {
		return nil, err
	}
	c, err := w.connect(ctx, question{
		op: opApply, method: http.MethodGet, within: answerTime, path: "/v1/changes?bases=" + strconv.FormatBool(bases),
	})
	if err != nil {
		return nil, w.explain(ctx, opApply, err)
	}
	s := &changeStream{connection: c, tell: tell}
	defer s.close()
	for {
		change, end, err := s.next()
		switch {
		case err != nil:
			return nil, err
		case end != nil && end.Count != s.count:
			return nil, api.About(opApply, w.id, fmt.Errorf("%d changes came, %d were announced", s.count, end.Count))
		case end != nil:
			return end, nil
		}
		if err := s.add(area, change); err != nil {
			return nil, err
		}
	}
}

// changeStream is the answer to GET /v1/changes.
type changeStream struct {
	*connection
	buf   []byte
	count int
	bytes int64
	tell  func(int, int64)
}

// frame reads one frame.
func (s *changeStream) frame() (wire.Frame, error) {
	_ = s.conn.SetReadDeadline(time.Now().Add(changesPause))
	frame, err := wire.ReadFrame(s.in, &s.buf)
	if err != nil {
		return frame, s.broken(err)
	}
	if frame.Type == wire.FrameFail {
		return frame, failed(s.op, s.id, frame.Payload)
	}
	return frame, nil
}

// changesPause is how long the workspace may take to find out what changed.
const changesPause = time.Hour

// next reads the head of a change, or the end.
func (s *changeStream) next() (*api.TreeChange, *api.ChangesEnd, error) {
	for {
		frame, err := s.frame()
		if err != nil {
			return nil, nil, err
		}
		switch frame.Type {
		case wire.FrameHead:
			change, err := exited[api.TreeChange](s.op, s.id, frame.Payload)
			return change, nil, err
		case wire.FrameExit:
			end, err := exited[api.ChangesEnd](s.op, s.id, frame.Payload)
			return nil, end, err
		case wire.FrameStdout, wire.FrameStderr:
			return nil, nil, api.About(s.op, s.id, errors.New("content that belongs to no change"))
		}
	}
}

// add puts a change into the area, with the content that follows it.
func (s *changeStream) add(area *applyback.Area, t *api.TreeChange) error {
	change, err := changeOf(t)
	if err != nil {
		return api.About(s.op, s.id, err)
	}
	s.count++
	var content, base io.Reader
	if t.Content {
		content = &contentOf{s: s, t: wire.FrameStdout, left: t.New.Size}
	}
	if t.Base {
		base = &contentOf{s: s, t: wire.FrameStderr, left: t.Old.Size}
	}
	if err := area.Add(change, content, base); err != nil {
		return err
	}
	if s.tell != nil {
		s.tell(s.count, s.bytes)
	}
	return nil
}

func changeOf(t *api.TreeChange) (applyback.Change, error) {
	c := applyback.Change{Path: string(t.Path), Autorun: t.Why}
	var err error
	if c.Old, err = stateOf(t.Old); err != nil {
		return c, err
	}
	if c.New, err = stateOf(t.New); err != nil {
		return c, err
	}
	switch {
	case c.Old == nil && c.New == nil:
		err = errors.New("a change of nothing to nothing")
	case t.Content && (c.New == nil || c.New.Kind != archive.KindFile), t.Base && (c.Old == nil || c.Old.Kind != archive.KindFile):
		err = errors.New("content of what is no file")
	}
	return c, err
}

func stateOf(t *api.TreeSide) (*applyback.State, error) {
	if t == nil {
		return nil, nil
	}
	s := &applyback.State{Kind: archive.Kind(t.Kind), Mode: uint32(t.Mode) & 0o7777, Size: t.Size, Target: string(t.Target)}
	switch s.Kind {
	case archive.KindFile:
		if len(t.SHA256) != sha256.Size || t.Size < 0 {
			return nil, errors.New("a file of no known content")
		}
		s.SHA256 = [sha256.Size]byte(t.SHA256)
	case archive.KindSymlink, archive.KindDirectory:
	default:
		return nil, fmt.Errorf("a change of kind %q", t.Kind)
	}
	return s, nil
}

// contentOf is a file in the frames of a stream.
type contentOf struct {
	s    *changeStream
	t    wire.FrameType
	left int64 // bytes
	rest []byte
}

// Read implements io.Reader.
func (c *contentOf) Read(p []byte) (int, error) {
	if c.left == 0 && len(c.rest) == 0 {
		return 0, io.EOF
	}
	if len(c.rest) == 0 {
		frame, err := c.s.frame()
		if err != nil {
			return 0, err
		}
		if frame.Type != c.t || int64(len(frame.Payload)) > c.left || len(frame.Payload) == 0 {
			return 0, api.About(c.s.op, c.s.id, errors.New("content that belongs to no change"))
		}
		c.rest = frame.Payload
		c.left -= int64(len(c.rest))
		c.s.bytes += int64(len(c.rest))
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

func (s *changeStream) close() {
	s.stop()
	_ = s.conn.Close()
}
