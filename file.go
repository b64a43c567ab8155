package pyro

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/pyro-sandbox/pyro/api"
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

const (
	fileTime = time.Minute     // to what is done to one path
	listTime = 5 * time.Minute // a tree of api.MaxListEntries
	maxList  = 512 << 20
	maxRead  = 16 << 20 // api.MaxFileBytes, each byte escaped at the worst, and as base64
)

// Files are the files below /workspace of a workspace that runs. Paths are relative to
// /workspace, or absolute and in it; see [api.GuestPath]. A symbolic link is a thing of
// its own: it is listed and deleted, and never followed, on the way to a file either.
//
// A path that is not there is api.NotFound. One that leads over a link is api.Denied, a
// FIFO, socket or device where a file is wanted api.Unsupported.
type Files struct{ w *Workspace }

// Files gives access to the workspace's files.
func (w *Workspace) Files() Files { return Files{w} }

// List lists a directory, or the one thing that the path is.
func (f Files) List(ctx context.Context, req api.FileListRequest) (*api.FileList, error) {
	req, err := req.Check()
	q := url.Values{"path": {req.Path}, "recursive": {strconv.FormatBool(req.Recursive)}, "limit": {strconv.Itoa(req.Limit)}}
	if req.After != "" {
		q.Set("after", req.After)
	}
	return askFile[api.FileList](ctx, f.w, err, question{op: opListFiles, method: http.MethodGet, path: "/v1/files?" + q.Encode(), within: listTime, limit: maxList})
}

// Stat says what one path is.
func (f Files) Stat(ctx context.Context, path string) (*api.FileStat, error) {
	path, err := api.GuestPath("path", path)
	return askFile[api.FileStat](ctx, f.w, err, question{op: opStatFile, method: http.MethodGet, path: "/v1/files/stat?" + pathQuery(path), within: fileTime, limit: maxReply})
}

// Read reads a file as text, at most api.MaxFileBytes at once. For more, and for bytes, use
// ReadTo.
func (f Files) Read(ctx context.Context, req api.FileReadRequest) (*api.FileRead, error) {
	req, err := req.Check()
	q := url.Values{"path": {req.Path}, "max_bytes": {strconv.Itoa(req.MaxBytes)}, "base64": {strconv.FormatBool(req.Base64)}}
	if req.Offset != nil {
		q.Set("offset", strconv.FormatInt(*req.Offset, 10))
	}
	return askFile[api.FileRead](ctx, f.w, err, question{op: opReadFile, method: http.MethodGet, path: "/v1/files/read?" + q.Encode(), within: fileTime, limit: maxRead})
}

// ReadTo writes the bytes of a file of any size, or a part of them, to w. When it fails, some
// of them may have been written. An error of w ends it and is returned.
func (f Files) ReadTo(ctx context.Context, req api.FileRangeRequest, w io.Writer) (*api.FileRange, error) {
	req, err := req.Check()
	if err != nil {
		return nil, api.About(opReadFile, f.w.id, err)
	}
	q := url.Values{"path": {req.Path}, "offset": {strconv.FormatInt(req.Offset, 10)}, "length": {strconv.FormatInt(req.Length, 10)}}
	c, err := f.w.connect(ctx, question{op: opReadFile, method: http.MethodGet, path: "/v1/files/content?" + q.Encode(), within: fileTime})
	if err != nil {
		return nil, f.w.explain(ctx, opReadFile, err)
	}
	out := &written{Writer: w}
	got, err := receive[api.FileRange](c, out, nil)
	return got, cmp.Or(out.err, err)
}

// Write puts a text of at most api.MaxFileBytes bytes of UTF-8 into a file. For more, and
// for bytes, use WriteFrom.
func (f Files) Write(ctx context.Context, req api.FileWriteRequest, text string) (*api.FileWrite, error) {
	if err := api.CheckText(text); err != nil {
		return nil, api.About(opWriteFile, f.w.id, err)
	}
	return f.WriteFrom(ctx, req, strings.NewReader(text))
}

// WriteFrom puts all that r holds into a file, and makes the directories above it where they
// are not there. Whoever reads the file meanwhile sees what it held before; when WriteFrom
// fails, that is what it holds. A Read of r may still be under way when it has failed.
func (f Files) WriteFrom(ctx context.Context, req api.FileWriteRequest, r io.Reader) (*api.FileWrite, error) {
	req, err := req.Check()
	q := url.Values{"path": {req.Path}}
	if req.Mode != nil {
		q.Set("mode", fmt.Sprintf("%04o", *req.Mode))
	}
	if req.Exclusive {
		q.Set("exclusive", "true")
	}
	return sendFile[api.FileWrite](ctx, f.w, err, question{op: opWriteFile, method: http.MethodPut, path: "/v1/files/content?" + q.Encode(), within: treeTime, limit: maxReply}, r)
}

// Delete removes a file or a link, or a directory with all that is in it where that is asked
// for.
func (f Files) Delete(ctx context.Context, req api.FileDeleteRequest) (*api.FileDelete, error) {
	req, err := req.Check()
	q := url.Values{"path": {req.Path}, "recursive": {strconv.FormatBool(req.Recursive)}}
	return askFile[api.FileDelete](ctx, f.w, err, question{op: opDeleteFile, method: http.MethodDelete, path: "/v1/files?" + q.Encode(), within: listTime, limit: maxReply})
}

// Mkdir makes a directory.
func (f Files) Mkdir(ctx context.Context, req api.FileMkdirRequest) (*api.FileMkdir, error) {
	req, err := req.Check()
	return postFile[api.FileMkdir](ctx, f.w, err, question{op: opMakeDir, path: "/v1/files/mkdir"}, req)
}

// Move gives something another name. What has that name already is api.Exists, unless it is
// a file or link and to be replaced.
func (f Files) Move(ctx context.Context, req api.FileMoveRequest) (*api.FileMove, error) {
	req, err := req.Check()
	return postFile[api.FileMove](ctx, f.w, err, question{op: opMoveFile, path: "/v1/files/move"}, req)
}

func pathQuery(path string) string { return url.Values{"path": {path}}.Encode() }

// askFile puts a question whose request was found to be as refused says.
func askFile[T any](ctx context.Context, w *Workspace, refused error, q question) (*T, error) {
	if refused != nil {
		return nil, api.About(q.op, w.id, refused)
	}
	w.reach(ctx)
	answer, err := ask[T](ctx, w.control, q)
	return answer, w.explain(ctx, q.op, err)
}

func postFile[T any](ctx context.Context, w *Workspace, refused error, q question, req any) (*T, error) {
	body, err := json.Marshal(req)
	q.method, q.body, q.within, q.limit = http.MethodPost, body, fileTime, maxReply
	return askFile[T](ctx, w, cmp.Or(refused, err), q)
}

// sendFile is askFile with a body that may be long. What a Read of it fails with explains
// every other error.
func sendFile[T any](ctx context.Context, w *Workspace, refused error, q question, body io.Reader) (*T, error) {
	from := &noted{Reader: body}
	q.stream = from
	answer, err := askFile[T](ctx, w, refused, q)
	if cause := from.fault(); err != nil && cause != nil && ctx.Err() == nil {
		return nil, &api.Error{Kind: api.Invalid, Op: q.op, ID: w.id, Hint: "nothing has changed", Err: fmt.Errorf("read what is to be sent: %w", cause)}
	}
	return answer, err
}

// noted remembers why a reader failed. The transport may still read when it has answered.
type noted struct {
	io.Reader
	mu  sync.Mutex
	err error
}

// Read implements io.Reader.
func (n *noted) Read(p []byte) (int, error) {
	read, err := n.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.err = err
	}
	return read, err
}

func (n *noted) fault() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.err
}

// written keeps the error of a writer apart from those of what it is written from.
type written struct {
	io.Writer
	err error
}

// Write implements io.Writer.
func (w *written) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	if err != nil {
		w.err = err
	}
	return n, err
}
