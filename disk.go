package pyro

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/archive"
	"github.com/pyro-sandbox/pyro/internal/fault"
	"github.com/pyro-sandbox/pyro/internal/sys"
	"github.com/pyro-sandbox/pyro/internal/version"
	"github.com/pyro-sandbox/pyro/internal/workspace"
)

const (
	opLookDisk   = "look at disk of workspace"
	opListDisk   = "list disk"
	opReadDisk   = "read disk"
	opExportDisk = "export disk"

	maxDiskAnswer = 8 * api.MaxDiskRead // each byte escaped at the worst
)

// DiskList lists a directory of the disk of a stopped workspace, see docs/disk.md: the
// guest's own files are looked at by a sandbox that runs none of its programs, and never
// by this machine. A workspace that runs is api.Conflict, one without isolation
// api.Unsupported.
func (w *Workspace) DiskList(ctx context.Context, req api.DiskListRequest) (*api.DiskList, error) {
	req, err := req.Check()
	if err != nil {
		return nil, api.About(opListDisk, w.id, err)
	}
	q := url.Values{"path": {req.Path}, "recursive": {strconv.FormatBool(req.Recursive)}}
	return askDisk[api.DiskList](ctx, w, question{op: opListDisk, method: http.MethodGet, path: "/v1/disk/list?" + q.Encode(), within: listTime, limit: maxList})
}

// DiskRead reads the beginning of a regular file on the disk of a stopped workspace.
func (w *Workspace) DiskRead(ctx context.Context, req api.DiskReadRequest) (*api.DiskRead, error) {
	req, err := req.Check()
	if err != nil {
		return nil, api.About(opReadDisk, w.id, err)
	}
	q := url.Values{"path": {req.Path}, "max_bytes": {strconv.Itoa(req.MaxBytes)}}
	return askDisk[api.DiskRead](ctx, w, question{op: opReadDisk, method: http.MethodGet, path: "/v1/disk/read?" + q.Encode(), within: listTime, limit: maxDiskAnswer})
}

// DiskExport writes the disk of a stopped workspace, or a path of it, to a file of this
// machine that must not be there yet. After an error nothing of it is left.
func (w *Workspace) DiskExport(ctx context.Context, output string, req api.DiskExportRequest) (*api.DiskExport, error) {
	req, err := req.Check()
	if err != nil {
		return nil, api.About(opExportDisk, w.id, err)
	}
	x := &export{w: w, opts: ExportOptions{Format: api.ExportTar}}
	if err := x.aim(output); err != nil {
		return nil, diskFailed(w.id, err)
	}
	out := &api.DiskExport{WorkspaceID: w.id, DiskFormat: api.DiskTar}
	if req.Format == api.DiskImage {
		err = x.stageFile(ctx, out, func(to io.Writer) error { return w.diskImage(ctx, to, out) })
	} else {
		out.Path = &req.Path
		err = w.onDisk(ctx, opExportDisk, func(disk *Workspace) error {
			return x.stageFile(ctx, out, func(to io.Writer) error { return disk.diskTar(ctx, to, out) })
		})
	}
	if err != nil {
		return nil, diskFailed(w.id, err)
	}
	return out, nil
}

// diskFailed words what went wrong with the archive or its file.
func diskFailed(id string, err error) error {
	if errors.Is(err, api.Exists) || errors.Is(err, fs.ErrExist) { // there is no --force
		return &api.Error{Kind: api.Exists, Op: opExportDisk, ID: id, Hint: "name a path where nothing is yet", Err: err}
	}
	for _, bad := range []error{archive.ErrLimit, archive.ErrLink, archive.ErrSymlink, archive.ErrFormat, archive.ErrName, archive.ErrEscapes} {
		if errors.Is(err, bad) {
			return &api.Error{Kind: api.Denied, Op: opExportDisk, ID: id, Hint: "what came from the disk is no tree; export a directory further down, or the image", Err: err}
		}
	}
	if known, ok := errors.AsType[*api.Error](err); ok && known.Op != "" || named(opExportDisk, id, err) {
		return err
	}
	return sys.Explain(opExportDisk+" "+id, err)
}

// stageFile makes the output, which appears when write has written all of it.
func (x *export) stageFile(ctx context.Context, out *api.DiskExport, write func(io.Writer) error) (err error) {
	if err := x.makeParents(); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			x.dropParents()
		}
	}()
	stage, err := archive.OpenStage(x.output)
	if err != nil {
		return unfit(err)
	}
	defer func() { _ = stage.Close() }() // what is left of it is removed by the next for this place
	bytes, err := x.toFile(stage, write)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return ended(ctx, opExportDisk, x.w.id)
	}
	fault.Hit("disk-filled")
	out.OutputPath, out.BytesWritten = x.output, bytes
	return stage.Publish("", false)
}

// counted counts what is written, and notes the first error.
type counted struct {
	io.Writer
	n   int64
	err error
}

// Write implements io.Writer.
func (c *counted) Write(p []byte) (int, error) {
	n, err := c.Writer.Write(p)
	c.n += int64(n)
	if c.err == nil {
		c.err = err
	}
	return n, err
}

// diskImage writes the files of the image.
func (w *Workspace) diskImage(ctx context.Context, to io.Writer, out *api.DiskExport) error {
	if w.client.remote != nil {
		return &api.Error{
			Kind: api.Unsupported, Op: opExportDisk, ID: w.id, Hint: "export a tar, or run it on the machine that has the workspace",
			Err: errors.New("an image stays on the machine that made it"),
		}
	}
	waiting, cancel := context.WithTimeout(ctx, w.client.patience)
	defer cancel()
	for {
		if err := w.mustBeStopped(ctx, opExportDisk); err != nil {
			return err
		}
		info, err := workspace.ExportImage(ctx, w.client.store, w.id, version.String(), to)
		if errors.Is(err, workspace.ErrHeld) && sys.Sleep(waiting, turnPause) {
			continue
		}
		if err == nil {
			out.DiskFormat, out.EntryCount = info.DiskFormat, len(info.Files)
		}
		return err
	}
}

// diskTar writes a path of the disk as an archive, in which there is nothing that must
// not be unpacked by anybody.
func (w *Workspace) diskTar(ctx context.Context, to io.Writer, out *api.DiskExport) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c, err := w.connect(ctx, question{op: opExportDisk, method: http.MethodGet, path: "/v1/disk/tar?" + pathQuery(*out.Path), within: listTime})
	if err != nil {
		return err
	}
	in, feed := io.Pipe()
	type outcome struct {
		end *api.DiskExport
		err error
	}
	came := make(chan outcome, 1)
	go func() { // ends with the answer, or with ctx
		end, err := receive[api.DiskExport](c, feed, nil)
		_ = feed.CloseWithError(err)
		came <- outcome{end, err}
	}()
	counts, err := archive.Repack(ctx, to, in, archive.RepackOptions{Specials: archive.SpecialsSkipped, Limits: archive.TreeLimits, Plain: true})
	_ = in.CloseWithError(err)
	if err != nil {
		cancel()
	}
	end := <-came
	if err != nil {
		if end.err != nil && !errors.Is(end.err, context.Canceled) {
			return end.err
		}
		return err
	}
	if end.err != nil {
		return end.err
	}
	out.EntryCount, out.Skipped = counts.Entries, counts.Skipped+end.end.Skipped
	return nil
}

// askDisk puts one question to the disk.
func askDisk[T any](ctx context.Context, w *Workspace, q question) (answer *T, err error) {
	err = w.onDisk(ctx, q.op, func(disk *Workspace) (err error) {
		answer, err = ask[T](ctx, disk.control, q)
		return err
	})
	return answer, err
}

// onDisk calls f with something that answers for the disk of the stopped workspace.
func (w *Workspace) onDisk(ctx context.Context, op string, f func(disk *Workspace) error) error {
	if w.client.remote != nil {
		return f(w)
	}
	disk, release, err := w.openDisk(ctx, op)
	if err != nil {
		return err
	}
	defer release()
	return f(disk)
}

// openDisk starts something that answers for the disk of the stopped workspace, until
// release. It waits for somebody else who is at it.
func (w *Workspace) openDisk(ctx context.Context, op string) (disk *Workspace, release func(), err error) {
	waiting, cancel := context.WithTimeout(ctx, w.client.patience)
	defer cancel()
	for {
		if err := w.mustBeStopped(ctx, op); err != nil {
			return nil, nil, err
		}
		disk, release, busy, err := w.tryDisk(ctx)
		if busy == nil {
			return disk, release, err
		}
		if !sys.Sleep(waiting, turnPause) {
			if ctx.Err() != nil {
				return nil, nil, ended(ctx, op, w.id)
			}
			return nil, nil, api.About(op, w.id, busy)
		}
	}
}

// mustBeStopped refuses one that runs.
func (w *Workspace) mustBeStopped(ctx context.Context, op string) error {
	w.reach(ctx)
	now, err := w.Status(ctx)
	switch {
	case err != nil:
		return err
	case now.State == api.StateBroken:
		return &api.Error{Kind: api.Internal, Op: op, ID: w.id, Hint: statusHint(w.id), Err: errors.New("its record cannot be read")}
	case now.Engine == api.EngineHostCompat:
		return &api.Error{
			Kind: api.Unsupported, Op: op, ID: w.id, Hint: "start it, and use `pyro workspace file`",
			Err: fmt.Errorf("engine %s has no disk to look at", now.Engine),
		}
	case now.State != api.StateStopped:
		return &api.Error{
			Kind: api.Conflict, Op: op, ID: w.id, Err: fmt.Errorf("it is %s, and its disk is in use", now.State),
			Hint: "`pyro workspace stop " + w.id + "` first; `pyro workspace file` looks into one that runs",
		}
	}
	return nil
}

// tryDisk starts a supervisor that only looks. It is busy where somebody else has the
// workspace.
func (w *Workspace) tryDisk(ctx context.Context) (disk *Workspace, release func(), busy, err error) {
	s, err := w.client.spawn(w.id)
	if err != nil {
		return nil, nil, nil, api.About(opLookDisk, w.id, err)
	}
	launched, err := s.negotiate(ctx, opLookDisk, workspace.Launch{Kind: workspace.KindWorkspace, Look: true}, nil)
	if err != nil {
		_ = s.conn.Close()
		if launched != nil && launched.Held {
			return nil, nil, err, nil
		}
		return nil, nil, nil, err
	}
	disk = w.client.attach(w.id, launched.Workspace)
	disk.control = newControl(w.id, launched.ControlSocket)
	disk.control.greeted.Store(launched.Hello != nil)
	return disk, sync.OnceFunc(func() {
		_ = s.conn.Close() // which ends it
		patience := time.NewTimer(deletePatience)
		defer patience.Stop()
		select {
		case <-s.end: // and with it the lock
		case <-patience.C:
		}
	}), nil, nil
}
