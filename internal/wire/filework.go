package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/pyro-sandbox/pyro/api"
)

// Actions on single paths of the workspace. Links are never followed: one on the way
// is an error of kind denied, and the last part of a path is what stands there itself.
const (
	ActionStat      = "stat_path"
	ActionReadRange = "read_range"
	ActionPut       = "put_file"
	ActionMakeDir   = "make_dir"
	ActionMove      = "move_path"
	ActionRemove    = "remove_path"
)

// StatRequest asks what stands at a path; the answer is a StatReply.
type StatRequest struct {
	Action string `json:"action"`
	Path   string `json:"path"`
}

// StatReply is a WalkEntry as JSON.
type StatReply struct {
	Path   []byte `json:"path"` // absolute in the guest
	Kind   string `json:"kind"`
	Mode   uint32 `json:"mode"`
	Size   int64  `json:"size"`
	MTime  int64  `json:"mtime_ns"`
	CTime  int64  `json:"ctime_ns"`
	Device uint64 `json:"device"`
	Inode  uint64 `json:"inode"`
	Links  uint64 `json:"links"`
	Target []byte `json:"target,omitempty"`
}

// ReadRangeRequest asks for a part of a regular file. The answer is a fetch: data
// frames with the bytes, and a ReadRangeReply.
type ReadRangeRequest struct {
	Action string `json:"action"`
	Path   string `json:"path"`
	Offset int64  `json:"offset"`
	Length int64  `json:"length"` // -1: to the end; -1
}

// ReadRangeReply says what was read.
type ReadRangeReply struct {
	Path   string `json:"path"` // absolute in the guest
	Size   int64  `json:"size"` // of the file when it was opened
	Offset int64  `json:"offset"`
	Length int64  `json:"length"` // that was there, from Offset on
	Mode   uint32 `json:"mode"`   // twelve bits
	MTime  int64  `json:"mtime_ns"`
}

// PutRequest replaces a regular file or makes one. Frames follow as those of
// PushRequest, whose payloads together are the content. Readers see the old content or
// the new, and the old stays where anything fails. The answer is a PutReply.
type PutRequest struct {
	Action    string  `json:"action"`
	Path      string  `json:"path"`
	Mode      *uint32 `json:"mode"`      // twelve bits; nil: that of the file that is replaced, or 0644
	Exclusive bool    `json:"exclusive"` // an error of kind exists where anything is there
	Parents   bool    `json:"parents"`   // makes missing directories above, with 0755
}

// PutReply says what was written.
type PutReply struct {
	Path         string `json:"path"` // absolute in the guest
	Size         int64  `json:"size_bytes"`
	BytesWritten int64  `json:"bytes_written"`
	Created      bool   `json:"created"` // nothing was there before
}

// MakeDirRequest makes a directory with 0755; the answer is a MakeDirReply.
type MakeDirRequest struct {
	Action  string `json:"action"`
	Path    string `json:"path"`
	Parents bool   `json:"parents"` // makes those above, too, and takes one that is there
}

// MakeDirReply says whether there is a new directory.
type MakeDirReply struct {
	Path    string `json:"path"`
	Created bool   `json:"created"`
}

// MoveRequest gives a thing another path; the answer is a MoveReply.
type MoveRequest struct {
	Action    string `json:"action"`
	From      string `json:"from"`
	To        string `json:"to"`        // the new path itself, whose directory is there
	Overwrite bool   `json:"overwrite"` // replaces a file, a symlink, or by a directory an empty one
}

// MoveReply says what was moved.
type MoveReply struct {
	From     string `json:"from"`
	To       string `json:"to"`
	Replaced bool   `json:"replaced"` // something stood there
}

// RemoveRequest removes what stands at a path; the answer is a RemoveReply.
type RemoveRequest struct {
	Action    string `json:"action"`
	Path      string `json:"path"`      // not the workspace itself
	Recursive bool   `json:"recursive"` // a directory with all that is in it; else it has to be empty
}

// RemoveReply says what was removed.
type RemoveReply struct {
	Path    string `json:"path"`
	Removed int64  `json:"removed"` // how many things
}

// removeTimeout is how long an agent may take to remove a tree.
const removeTimeout = 10 * time.Minute

// Stat tells what stands at a path, of a link the link itself. The Path of the entry is
// absolute in the guest.
func (c *Client) Stat(ctx context.Context, path string) (*WalkEntry, error) {
	if err := checkText(ActionStat, path); err != nil {
		return nil, err
	}
	reply := StatReply{Path: []byte(path)}
	if err := c.ask(ctx, ActionStat, StatRequest{Action: ActionStat, Path: path}, &reply); err != nil {
		return nil, err
	}
	e := WalkEntry(reply)
	return &e, nil
}

// ReadRange writes length bytes of a regular file from offset on to w, or all from
// there where length is -1; less where the file ends before. What comes is what the
// file holds as it is read; one that becomes shorter meanwhile is an error of kind
// conflict. After an error w has got a part. An error of w is returned as it is. The
// deadlines are those of Pull.
func (c *Client) ReadRange(ctx context.Context, path string, offset, length int64, w io.Writer) (*ReadRangeReply, error) {
	if err := checkText(ActionReadRange, path); err != nil {
		return nil, err
	}
	if offset < 0 || length < -1 {
		return nil, &api.Error{Kind: api.Invalid, Op: steps[ActionReadRange], Err: fmt.Errorf("%d bytes from %d on are asked for", length, offset)}
	}
	r := ReadRangeRequest{Action: ActionReadRange, Path: path, Offset: offset, Length: length}
	reply := &ReadRangeReply{Path: path, Offset: offset}
	var came int64
	put := piecesTo(w, 0)
	err := c.fetch(ctx, fetching{
		exchange: exchange{op: r.Action, request: r, into: reply, limit: MaxShortLine, timeout: archiveTimeout},
		take: func(p []byte) (time.Duration, error) {
			if came += int64(len(p)); length >= 0 && came > length {
				return 0, violated(fmt.Errorf("has %d bytes, asked were %d", came, length))
			}
			return put(p)
		},
		most: longest,
	})
	if err != nil {
		return nil, err
	}
	if reply.Length != came || reply.Offset != offset {
		return nil, &api.Error{Kind: api.Internal, Op: steps[r.Action], Err: violated(fmt.Errorf("says %d bytes from %d on, %d came from %d on", reply.Length, reply.Offset, came, offset))}
	}
	return reply, nil
}

// Put writes what content holds to a file. Of content holds what PushTree says of its
// tree.
func (c *Client) Put(ctx context.Context, r PutRequest, content io.Reader) (*PutReply, error) {
	r.Action = ActionPut
	if err := checkText(r.Action, r.Path); err != nil {
		return nil, err
	}
	if r.Mode != nil && *r.Mode > 0o7777 {
		return nil, &api.Error{Kind: api.Invalid, Op: steps[r.Action], Err: fmt.Errorf("mode %#o is none of a file", *r.Mode)}
	}
	reply := &PutReply{Path: r.Path}
	err := c.sendTree(ctx, exchange{
		op: r.Action, request: r, into: reply, limit: MaxShortLine, timeout: archiveTimeout,
	}, func(w io.Writer) error {
		_, err := io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{content}, make([]byte, pieceSize))
		return err
	})
	if err != nil {
		return nil, err
	}
	return reply, nil
}

// MakeDir makes a directory; with parents, one that is there is fine.
func (c *Client) MakeDir(ctx context.Context, path string, parents bool) (*MakeDirReply, error) {
	if err := checkText(ActionMakeDir, path); err != nil {
		return nil, err
	}
	reply := &MakeDirReply{Path: path}
	err := c.ask(ctx, ActionMakeDir, MakeDirRequest{Action: ActionMakeDir, Path: path, Parents: parents}, reply)
	if err != nil {
		return nil, err
	}
	return reply, nil
}

// Move moves what stands at from to the path to, in one step.
func (c *Client) Move(ctx context.Context, from, to string, overwrite bool) (*MoveReply, error) {
	if err := checkText(ActionMove, from, to); err != nil {
		return nil, err
	}
	reply := &MoveReply{From: from, To: to}
	err := c.ask(ctx, ActionMove, MoveRequest{Action: ActionMove, From: from, To: to, Overwrite: overwrite}, reply)
	if err != nil {
		return nil, err
	}
	return reply, nil
}

// Remove removes what stands at path. An error of kind conflict says that it is a
// directory with something in it, and that nothing was removed.
func (c *Client) Remove(ctx context.Context, path string, recursive bool) (*RemoveReply, error) {
	if err := checkText(ActionRemove, path); err != nil {
		return nil, err
	}
	reply := &RemoveReply{Path: path}
	err := c.call(ctx, exchange{
		op: ActionRemove, request: RemoveRequest{Action: ActionRemove, Path: path, Recursive: recursive},
		into: reply, limit: MaxShortLine, timeout: removeTimeout,
	})
	if err != nil {
		return nil, err
	}
	return reply, nil
}

func (r *StatReply) check() error {
	isLink := r.Kind == string(Symlink)
	path := string(r.Path)
	switch {
	case !slices.Contains([]string{string(File), string(Directory), string(Symlink), Special}, r.Kind):
		return fmt.Errorf("kind: %q", clip(r.Kind, 64))
	case !strings.HasPrefix(path, "/") || len(path) > MaxRequestLine || strings.IndexByte(path, 0) >= 0:
		return fmt.Errorf("path: %q", clip(path, maxQuote))
	case r.Mode > 0o7777:
		return fmt.Errorf("mode: %#o", r.Mode)
	case isLink != (len(r.Target) > 0) || len(r.Target) > MaxTreePath:
		return fmt.Errorf("target: %d bytes for a %s", len(r.Target), r.Kind)
	}
	return notNegative("size", r.Size)
}

func (r *ReadRangeReply) check() error {
	if r.Mode > 0o7777 {
		return fmt.Errorf("mode: %#o", r.Mode)
	}
	return errors.Join(notNegative("size", r.Size), notNegative("offset", r.Offset), notNegative("length", r.Length))
}

func (r *PutReply) check() error {
	return errors.Join(notNegative("size_bytes", r.Size), notNegative("bytes_written", r.BytesWritten))
}

func (r *RemoveReply) check() error { return notNegative("removed", r.Removed) }
