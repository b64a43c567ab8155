package supervisor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

const (
	opListFiles  = "list files"
	opStatFile   = "stat file"
	opReadFile   = "read file"
	opWriteFile  = "write file"
	opDeleteFile = "delete file"
	opMakeDir    = "make directory"
	opMoveFile   = "move file"
)

// routeFiles adds what is about files and patches.
func (s *supervisor) routeFiles(mux *http.ServeMux) {
	mux.HandleFunc("GET /v1/files", s.serveListFiles)
	mux.HandleFunc("DELETE /v1/files", s.serveDeleteFile)
	mux.HandleFunc("GET /v1/files/stat", s.serveStatFile)
	mux.HandleFunc("GET /v1/files/read", s.serveReadFile)
	mux.HandleFunc("GET /v1/files/content", s.serveFileContent)
	mux.HandleFunc("PUT /v1/files/content", s.serveWriteFile)
	mux.HandleFunc("POST /v1/files/mkdir", s.serveMakeDir)
	mux.HandleFunc("POST /v1/files/move", s.serveMoveFile)
	mux.HandleFunc("POST /v1/patch", s.servePatch)
}

// onFiles does something with the files of the workspace, and answers with what comes of
// it. refused is what was wrong with the request.
func (s *supervisor) onFiles(w http.ResponseWriter, op string, refused error, do func() (any, error)) {
	if refused != nil {
		s.answer(w, op, nil, refused)
		return
	}
	done, err := s.enter(op)
	if err != nil {
		fail(w, err)
		return
	}
	defer done()
	v, err := do()
	if err != nil {
		err = s.filesError(op, err)
		write(w, api.KindOf(err).Status(), s.excuse(err))
		return
	}
	reply(w, v)
}

// onFilesChanged is onFiles for what changes something: that counts as activity. What was
// done while the disk was being saved for a stop has failed.
func (s *supervisor) onFilesChanged(w http.ResponseWriter, op string, refused error, do func() (any, api.Event, error)) {
	kind := api.EventFileChanged
	if op == opPatch {
		kind = api.EventPatchApplied
	}
	s.onFiles(w, op, refused, func() (any, error) {
		v, event, err := do()
		if err == nil {
			err = s.sure(op)
		}
		if err != nil {
			return nil, err
		}
		s.touch()
		s.event(kind, event)
		_ = s.save() // or with the next one: it is done
		return v, nil
	})
}

// filesError gives an error of the agent's a next step. That is ours to name: what the
// guest would have people do is not passed on.
func (s *supervisor) filesError(op string, err error) error {
	if s.endsNow(err) {
		return s.tooLate(op)
	}
	kind, hint := api.KindOf(err), api.HintOf(err)
	if hint == "" {
		hint = s.filesHint(op, kind)
	}
	return &api.Error{Kind: kind, Op: op, ID: s.ID, Hint: hint, Err: err}
}

func (s *supervisor) filesHint(op string, kind api.Kind) string {
	switch kind {
	case api.NotFound:
		if op == opMakeDir {
			return "--parents makes the directories above it, too"
		}
		return "`pyro workspace file list " + s.ID + "` shows what is there"
	case api.Exists:
		return takenHint(op)
	case api.Denied:
		return "links are not followed: name what they lead to, if that is in " + api.WorkspacePath
	case api.Invalid, api.Unsupported, api.Conflict:
		return "`pyro workspace file stat " + s.ID + " PATH` shows what is there now"
	default:
		return "`pyro workspace status " + s.ID + "` shows whether it runs; what is written has to fit on its disk"
	}
}

// takenHint is the next step where the name is taken.
func takenHint(op string) string {
	switch op {
	case opMakeDir:
		return "choose another name; with --parents a directory that is there is no error"
	case opMoveFile:
		return "choose another name; --overwrite replaces a file or link"
	case opWriteFile:
		return "choose another name; without --exclusive the file is replaced"
	}
	return "choose another name"
}

// numbers reads numbers of a query; the first that is none is kept in err.
type numbers struct {
	query url.Values
	err   error
}

func (n *numbers) get(name string) int64 {
	text := n.query.Get(name)
	if text == "" || n.err != nil {
		return 0
	}
	value, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		n.err = &api.Error{Kind: api.Invalid, Err: fmt.Errorf("%s %q is no number", name, text)}
	}
	return value
}

func (s *supervisor) serveStatFile(w http.ResponseWriter, r *http.Request) {
	path, err := api.GuestPath("path", r.URL.Query().Get("path"))
	s.onFiles(w, opStatFile, err, func() (any, error) {
		found, err := s.agent().Stat(r.Context(), path)
		if err != nil {
			return nil, err
		}
		found.Path = nil
		return api.FileStat{WorkspaceID: s.ID, FileEntry: fileEntry(path, found), ExecutionMode: s.recorded().Engine.Mode}, nil
	})
}

func (s *supervisor) serveReadFile(w http.ResponseWriter, r *http.Request) {
	n := &numbers{query: r.URL.Query()}
	req := api.FileReadRequest{Path: n.query.Get("path"), MaxBytes: int(n.get("max_bytes")), Base64: n.query.Get("base64") == "true"}
	if n.query.Has("offset") {
		req.Offset = new(n.get("offset"))
	}
	req, err := req.Check()
	if n.err != nil {
		err = n.err
	}
	s.onFiles(w, opReadFile, err, func() (any, error) { return s.readFile(r.Context(), req) })
}

// readFile reads a part of a file. That the whole is too large is found out with the first
// bytes.
func (s *supervisor) readFile(ctx context.Context, req api.FileReadRequest) (*api.FileRead, error) {
	var offset int64
	if req.Offset != nil {
		offset = *req.Offset
	}
	var content bytes.Buffer
	got, err := s.agent().ReadRange(ctx, req.Path, offset, int64(req.MaxBytes), &content)
	if err != nil {
		return nil, err
	}
	if req.Offset == nil && got.Size > api.MaxFileBytes {
		return nil, &api.Error{
			Kind: api.Invalid, Hint: "read a part of it with --offset, or all of it with --all or --output",
			Err: fmt.Errorf("%s has %d bytes, allowed are %d at once", req.Path, got.Size, api.MaxFileBytes),
		}
	}
	out := &api.FileRead{
		WorkspaceID: s.ID, Path: req.Path, SizeBytes: got.Size, MaxBytes: req.MaxBytes, Offset: offset, BytesRead: content.Len(),
		Encoding: api.EncodingUTF8, Truncated: offset+int64(content.Len()) < got.Size, ExecutionMode: s.recorded().Engine.Mode,
	}
	var exact bool
	if out.Content, exact = textOf(content.Bytes()); !exact {
		out.Encoding = api.EncodingLossy
	}
	if req.Base64 {
		out.ContentBase64 = new(encode64(content.Bytes()))
	}
	return out, nil
}

// serveFileContent streams a part of a file: frames of output, and an api.FileRange.
func (s *supervisor) serveFileContent(w http.ResponseWriter, r *http.Request) {
	n := &numbers{query: r.URL.Query()}
	req, err := api.FileRangeRequest{Path: n.query.Get("path"), Offset: n.get("offset"), Length: n.get("length")}.Check()
	if n.err != nil {
		err = n.err
	}
	var done func()
	if err == nil {
		done, err = s.enter(opReadFile)
	}
	if err != nil {
		s.answer(w, opReadFile, nil, err)
		return
	}
	defer done()
	pour(w, r, func(ctx context.Context, conn net.Conn) {
		length := req.Length
		if length == 0 {
			length = -1
		}
		out := &atMostBytes{pieces{conn}, s.mostOut(), s.tooMuchOut()}
		got, err := s.agent().ReadRange(ctx, req.Path, req.Offset, length, out)
		if err != nil {
			s.sendFailure(conn, s.filesError(opReadFile, err))
			return
		}
		send(conn, wire.FrameExit, api.FileRange{
			WorkspaceID: s.ID, Path: req.Path, SizeBytes: got.Size, Offset: req.Offset, BytesRead: got.Length,
			Truncated: req.Offset+got.Length < got.Size, Mode: octal(got.Mode), ModifiedAt: api.At(time.Unix(0, got.MTime)),
			ExecutionMode: s.recorded().Engine.Mode,
		})
	})
}

// serveWriteFile puts the request's body into a file.
func (s *supervisor) serveWriteFile(w http.ResponseWriter, r *http.Request) {
	q, body := r.URL.Query(), newSending(w, r)
	defer body.spend()
	req := api.FileWriteRequest{Path: q.Get("path"), Exclusive: q.Get("exclusive") == "true"}
	var bad error
	if text := q.Get("mode"); text != "" {
		mode, err := strconv.ParseUint(text, 8, 32)
		if err != nil {
			bad = &api.Error{Kind: api.Invalid, Err: fmt.Errorf("mode %q is no octal number", text)}
		}
		req.Mode = new(uint32(mode))
	}
	req, err := req.Check()
	if bad != nil {
		err = bad
	}
	s.onFilesChanged(w, opWriteFile, err, func() (any, api.Event, error) {
		done, err := s.agent().Put(r.Context(), wire.PutRequest{Path: req.Path, Mode: req.Mode, Exclusive: req.Exclusive, Parents: true}, body)
		if err != nil {
			return nil, api.Event{}, err
		}
		return api.FileWrite{
			WorkspaceID: s.ID, Path: req.Path, SizeBytes: done.Size, BytesWritten: done.BytesWritten, Created: done.Created,
			ExecutionMode: s.recorded().Engine.Mode,
		}, api.Event{State: new("written"), Path: &req.Path, Bytes: &done.BytesWritten}, nil
	})
}

func (s *supervisor) serveDeleteFile(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	req, err := api.FileDeleteRequest{Path: q.Get("path"), Recursive: q.Get("recursive") == "true"}.Check()
	s.onFilesChanged(w, opDeleteFile, err, func() (any, api.Event, error) {
		if err := s.deleteFile(r.Context(), req); err != nil {
			return nil, api.Event{}, err
		}
		return api.FileDelete{WorkspaceID: s.ID, Path: req.Path, Deleted: true, ExecutionMode: s.recorded().Engine.Mode},
			api.Event{State: new("deleted"), Path: &req.Path}, nil
	})
}

// deleteFile removes a file or link, and a directory only where that was asked for. That
// one is empty is no reason: the next call might find it otherwise.
func (s *supervisor) deleteFile(ctx context.Context, req api.FileDeleteRequest) error {
	agent := s.agent()
	if !req.Recursive {
		_, err := agent.Delete(ctx, req.Path)
		if errors.Is(err, api.Invalid) {
			err = &api.Error{Kind: api.Invalid, Hint: "--recursive deletes a directory with all that is in it", Err: err}
		}
		return err
	}
	_, err := agent.Remove(ctx, req.Path, true)
	return err
}

func (s *supervisor) serveMakeDir(w http.ResponseWriter, r *http.Request) {
	var req api.FileMkdirRequest
	err := decode(w, r, &req)
	if err == nil {
		req, err = req.Check()
	}
	s.onFilesChanged(w, opMakeDir, err, func() (any, api.Event, error) {
		made, err := s.agent().MakeDir(r.Context(), req.Path, req.Parents)
		if err != nil {
			return nil, api.Event{}, err
		}
		return api.FileMkdir{WorkspaceID: s.ID, Path: req.Path, Created: made.Created, ExecutionMode: s.recorded().Engine.Mode},
			api.Event{State: new("created"), Path: &req.Path}, nil
	})
}

func (s *supervisor) serveMoveFile(w http.ResponseWriter, r *http.Request) {
	var req api.FileMoveRequest
	err := decode(w, r, &req)
	if err == nil {
		req, err = req.Check()
	}
	s.onFilesChanged(w, opMoveFile, err, func() (any, api.Event, error) {
		moved, err := s.agent().Move(r.Context(), req.From, req.To, req.Overwrite)
		if err != nil {
			return nil, api.Event{}, err
		}
		return api.FileMove{WorkspaceID: s.ID, FromPath: req.From, ToPath: req.To, Replaced: moved.Replaced, ExecutionMode: s.recorded().Engine.Mode},
			api.Event{State: new("moved"), Path: &req.To, Detail: new("from " + req.From)}, nil
	})
}
