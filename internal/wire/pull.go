package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/pyro-sandbox/pyro/api"
)

// ActionPull fetches a tree.
const ActionPull = "pull_tree"

// PullRequest asks for a tree, or for some of its members. Where it is some, frames
// follow as those of HashRequest, and nothing is sent to the host before the last one.
// The answer is a fetch: data frames whose payloads together are an uncompressed pax
// archive, and a PullReply.
type PullRequest struct {
	Action string `json:"action"` // ActionPull
	Path   string `json:"path"`   // /workspace, or below it; /workspace
	All    bool   `json:"all"`    // everything below Path, or the file or symlink that it is

	// Only are the members where it is not All: paths below Path, as Walk tells them, in
	// any order. Of a directory it is the member itself, and not what is in it. One that
	// is not there, or is a device, FIFO or socket, is left out.
	Only [][]byte `json:"-"`

	// MaxBytes ends the pull with an error where more bytes of archive come; 0: any number.
	MaxBytes int64 `json:"-"`
}

// PullReply says what the archive holds. Nothing in it is proven.
type PullReply struct {
	WorkspacePath string       `json:"workspace_path"` // absolute in the guest
	ArtifactType  ArtifactType `json:"artifact_type"`
	EntryCount    int64        `json:"entry_count"`   // every member, directories and links too
	BytesWritten  int64        `json:"bytes_written"` // of regular files
	Skipped       int64        `json:"skipped"`       // devices, FIFOs and sockets that were left out
}

// Pull writes a tree to w as an uncompressed pax archive, as it comes: whoever takes it
// must judge it, since the guest may have sent any bytes. In an honest one names are
// below r.Path, members come in the order of a walk, symlinks are themselves, and the
// second name of a file is a hard link to the first.
//
// After an error w has got a part. An error of w is returned as it is. There may be
// 60 s between two pieces, and in all 60 s and a second for every 64 KiB.
func (c *Client) Pull(ctx context.Context, r PullRequest, w io.Writer) (*PullReply, error) {
	r.Action = ActionPull
	if err := checkText(r.Action, r.Path); err != nil {
		return nil, err
	}
	if r.All == (len(r.Only) > 0) {
		return nil, &api.Error{Kind: api.Invalid, Op: steps[r.Action], Err: errors.New("ask for all of a tree or for members of it")}
	}
	f := fetching{take: piecesTo(w, r.MaxBytes), most: longest}
	if !r.All {
		f.fill = func(w io.Writer) error { return writePaths(w, slices.Values(r.Only), nil) }
	}
	reply := &PullReply{WorkspacePath: r.Path, ArtifactType: Directory}
	f.exchange = exchange{op: r.Action, request: r, into: reply, limit: MaxShortLine, timeout: archiveTimeout}
	if err := c.fetch(ctx, f); err != nil {
		return nil, err
	}
	return reply, nil
}

// longest is the time of a fetch that only its bytes bound.
const longest = 100 * 365 * 24 * time.Hour

// piecesTo hands pieces to w, most bytes in all; 0: any number.
func piecesTo(w io.Writer, most int64) func(p []byte) (time.Duration, error) {
	var taken int64
	return func(p []byte) (time.Duration, error) {
		if taken += int64(len(p)); most > 0 && taken > most {
			return 0, &api.Error{Kind: api.Invalid, Err: fmt.Errorf("more than %d bytes come from the guest", most)}
		}
		if _, err := w.Write(p); err != nil {
			return 0, handed{err}
		}
		return time.Duration(len(p)) * time.Second / slowestRate, nil
	}
}

func (r *PullReply) check() error {
	return errors.Join(
		checkType(r.ArtifactType), notNegative("entry_count", r.EntryCount),
		notNegative("bytes_written", r.BytesWritten), notNegative("skipped", r.Skipped),
	)
}
