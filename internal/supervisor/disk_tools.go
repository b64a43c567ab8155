package supervisor

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

const (
	opListDisk   = "list disk"
	opReadDisk   = "read disk"
	opExportDisk = "export disk"
)

// routeDisk is all that a scratch sandbox can be asked. Nothing in it changes anything.
func (s *supervisor) routeDisk(mux *http.ServeMux) {
	mux.HandleFunc("GET /v1/hello", func(w http.ResponseWriter, _ *http.Request) { reply(w, s.hello()) })
	mux.HandleFunc("GET /v1/disk/list", s.serveListDisk)
	mux.HandleFunc("GET /v1/disk/read", s.serveReadDisk)
	mux.HandleFunc("GET /v1/disk/tar", s.serveDiskTar)
}

// diskInUse is the answer of one that runs to who asks for its disk.
func (s *supervisor) diskInUse() error {
	return &api.Error{
		Kind: api.Conflict, Op: "look at disk of workspace", ID: s.ID, Err: errors.New("it runs, and its disk is in use"),
		Hint: "`pyro workspace stop " + s.ID + "` first; `pyro workspace file` looks into one that runs",
	}
}

// guestPath is how the agent calls a path of the guest. One that was started for a whole
// disk has its root where others have /workspace.
func (s *supervisor) guestPath(p string) string {
	if s.whole {
		return path.Join(api.WorkspacePath, p)
	}
	return p
}

func (s *supervisor) serveListDisk(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	req, err := api.DiskListRequest{Path: q.Get("path"), Recursive: q.Get("recursive") == "true"}.Check()
	var list *api.DiskList
	if err == nil {
		list, err = s.listDisk(r.Context(), req)
	}
	s.answer(w, opListDisk, list, err)
}

// listing collects what is on the disk.
type listing struct {
	s      *supervisor
	device uint64 // of the disk's directories
	out    *api.DiskList
}

func (s *supervisor) listDisk(ctx context.Context, req api.DiskListRequest) (*api.DiskList, error) {
	l := &listing{s: s, out: &api.DiskList{WorkspaceID: s.ID, Path: req.Path, Recursive: req.Recursive, Entries: []api.FileEntry{}}}
	var err error
	if l.device, err = s.onDisk(ctx, req.Path); err != nil {
		return nil, err
	}
	if err := l.walk(ctx, req.Path, req.Recursive); err != nil && !errors.Is(err, errEnough) {
		return nil, err
	}
	slices.SortFunc(l.out.Entries, func(a, b api.FileEntry) int { return cmp.Compare(a.Path, b.Path) })
	l.out.Count = len(l.out.Entries)
	return l.out, nil
}

// walk lists a path. Of the root each directory is walked for itself, so that the agent
// does not walk through what is mounted there.
func (l *listing) walk(ctx context.Context, dir string, recursive bool) error {
	below := recursive && dir != "/"
	var inside []string
	var foreign string // a directory of another device, of which nothing counts
	walked, err := l.s.agent().Walk(ctx, wire.WalkRequest{Path: l.s.guestPath(dir), Recursive: below}, func(e *wire.WalkEntry) error {
		name := string(e.Path)
		isDir := e.Kind == string(wire.Directory)
		switch {
		case e.Kind == wire.Special, foreign != "" && strings.HasPrefix(name, foreign+"/"):
			return nil
		case isDir && e.Device != l.device:
			foreign = name
			return nil
		case isDir:
			inside = append(inside[:len(inside):len(inside)], path.Join(dir, name))
		}
		return l.add(dir, e)
	})
	if err != nil {
		return l.s.ofDisk(err)
	}
	if walked.Root.Kind != string(wire.Directory) {
		return l.add(dir, &walked.Root)
	}
	for _, sub := range inside {
		if !recursive || below {
			break
		}
		if err := l.walk(ctx, sub, true); err != nil {
			return err
		}
	}
	return nil
}

func (l *listing) add(dir string, e *wire.WalkEntry) error {
	if len(l.out.Entries) == api.MaxListEntries {
		l.out.Truncated = true
		return errEnough
	}
	l.out.Entries = append(l.out.Entries, fileEntry(dir, e))
	return nil
}

// onDisk refuses a path that leads into what was mounted over the disk: the kernel's own
// files, and what lies in memory. It returns the device of the disk's directories.
func (s *supervisor) onDisk(ctx context.Context, p string) (uint64, error) {
	root, err := s.agent().Stat(ctx, s.guestPath("/"))
	if err != nil {
		return 0, s.ofDisk(err)
	}
	at := "/"
	for name := range strings.SplitSeq(strings.Trim(p, "/"), "/") {
		at = path.Join(at, name)
		found, err := s.agent().Stat(ctx, s.guestPath(at))
		if err != nil {
			return 0, s.ofDisk(err)
		}
		if found.Kind == string(wire.Directory) && found.Device != root.Device {
			return 0, &api.Error{
				Kind: api.Invalid, Hint: "look into it with `pyro workspace exec` while it runs",
				Err: fmt.Errorf("%s is not on the disk: it was mounted there", at),
			}
		}
	}
	return root.Device, nil
}

func (s *supervisor) serveReadDisk(w http.ResponseWriter, r *http.Request) {
	n := &numbers{query: r.URL.Query()}
	req, err := api.DiskReadRequest{Path: n.query.Get("path"), MaxBytes: int(n.get("max_bytes"))}.Check()
	var read *api.DiskRead
	if err = cmp.Or(n.err, err); err == nil {
		read, err = s.readDisk(r.Context(), req)
	}
	s.answer(w, opReadDisk, read, err)
}

func (s *supervisor) readDisk(ctx context.Context, req api.DiskReadRequest) (*api.DiskRead, error) {
	if _, err := s.onDisk(ctx, req.Path); err != nil {
		return nil, err
	}
	var content bytes.Buffer
	got, err := s.agent().ReadRange(ctx, s.guestPath(req.Path), 0, int64(req.MaxBytes), &content)
	if err != nil {
		return nil, s.ofDisk(err)
	}
	out := &api.DiskRead{
		WorkspaceID: s.ID, Path: req.Path, SizeBytes: got.Size, MaxBytes: req.MaxBytes, BytesRead: content.Len(),
		Encoding: api.EncodingUTF8, Truncated: int64(content.Len()) < got.Size,
	}
	var exact bool
	if out.Content, exact = textOf(content.Bytes()); !exact {
		out.Encoding = api.EncodingLossy
	}
	return out, nil
}

// serveDiskTar streams a path of the disk as the agent packs it: nothing is judged here.
func (s *supervisor) serveDiskTar(w http.ResponseWriter, r *http.Request) {
	req, err := api.DiskExportRequest{Format: api.DiskTar, Path: r.URL.Query().Get("path")}.Check()
	if err == nil {
		_, err = s.onDisk(r.Context(), req.Path)
	}
	if err != nil {
		s.answer(w, opExportDisk, nil, err)
		return
	}
	pour(w, r, func(ctx context.Context, conn net.Conn) {
		got, err := s.agent().Pull(ctx, wire.PullRequest{Path: s.guestPath(req.Path), All: true}, pieces{conn})
		if err != nil {
			s.sendFailure(conn, api.About(opExportDisk, s.ID, err))
			return
		}
		send(conn, wire.FrameExit, api.DiskExport{WorkspaceID: s.ID, Skipped: int(min(got.Skipped, 1<<31-1))})
	})
}

// ofDisk says in the words of the guest what the agent says about a path, of an agent that
// was started for a whole disk.
func (s *supervisor) ofDisk(err error) error {
	if err == nil || errors.Is(err, errEnough) {
		return err
	}
	kind, hint := api.KindOf(err), api.HintOf(err)
	switch {
	case hint != "":
	case kind == api.NotFound:
		hint = "`pyro workspace disk list " + s.ID + " /` shows what there is"
	case kind == api.Denied || kind == api.Unsupported || kind == api.Invalid:
		hint = "name a file or directory itself: links are not followed, and `pyro workspace disk list` shows where they lead"
	}
	return &api.Error{Kind: kind, Hint: hint, Err: errors.New(s.said(strings.ReplaceAll(err.Error(), api.WorkspacePath+"/", "/")))}
}
