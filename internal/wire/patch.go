package wire

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/pyro-sandbox/pyro/api"
)

// ActionPatch applies a patch.
const ActionPatch = "apply_patch"

// Bounds of a patch that both sides hold to.
const (
	MaxPatch        = 64 << 20 // bytes
	MaxPatchedFiles = 10_000
)

// PatchRequest applies a git-format patch to the workspace: all of it or nothing.
// Frames follow as those of PushRequest, whose payloads together are the patch. The
// answer is a PatchReply.
type PatchRequest struct {
	Action string `json:"action"`
	Check  bool   `json:"check"` // changes nothing, and says what would change
}

// PatchOptions say how to apply a patch.
type PatchOptions struct {
	Check bool // only find out what would change
}

// PatchReply says what a patch changed, in its order.
type PatchReply struct {
	Entries PatchEntries `json:"entries"`
}

// PatchEntry is a file that a patch changed.
type PatchEntry struct {
	Path   string // below the workspace; bytes, as names are
	Status string // added, modified, deleted or type_changed
	From   string // of one that was renamed or copied: whose content it had, else empty
}

// patchEntry is a PatchEntry on the wire.
type patchEntry struct {
	Path   []byte `json:"path"`
	Status string `json:"status"`
	From   []byte `json:"from"`
}

// PatchEntries are the files of a patch.
type PatchEntries []PatchEntry

// MarshalJSON implements json.Marshaler.
func (l PatchEntries) MarshalJSON() ([]byte, error) {
	list := make([]patchEntry, len(l))
	for i, e := range l {
		list[i] = patchEntry{Path: []byte(e.Path), Status: e.Status, From: []byte(e.From)}
	}
	return json.Marshal(list)
}

// UnmarshalJSON implements json.Unmarshaler. It stops at the first element that is no
// entry, or one too many.
func (l *PatchEntries) UnmarshalJSON(raw []byte) error {
	if kindOf(raw) != '[' {
		return errors.New("is no list")
	}
	list := PatchEntries{}
	for rest := skipSpace(raw[1:]); rest[0] != ']'; {
		var item []byte
		item, rest = cutValue(rest)
		rest = skipComma(rest)
		var e patchEntry
		fields, err := parseObject(item, refused)
		if err == nil {
			err = fields.decodeStruct(&e)
		}
		if err == nil {
			err = e.check()
		}
		if err == nil && len(list) == MaxPatchedFiles {
			err = errors.New("is one too many")
		}
		if err != nil {
			return fmt.Errorf("entry %d %w", len(list), err)
		}
		list = append(list, PatchEntry{Path: string(e.Path), Status: e.Status, From: string(e.From)})
	}
	*l = list
	return nil
}

func (e *patchEntry) check() error {
	if err := checkTreePath(string(e.Path)); err != nil {
		return err
	}
	switch e.Status {
	case "added", "modified", "deleted", "type_changed":
	default:
		return fmt.Errorf("has the unknown status %q", clip(e.Status, 64))
	}
	if len(e.From) == 0 {
		return nil
	}
	return checkTreePath(string(e.From))
}

// maxPatched is the longest PatchReply, in bytes.
const maxPatched = MaxListLine

// ApplyPatch applies a git-format patch of at most MaxPatch bytes to the workspace.
// All of it is applied or nothing: an error that the agent reports names the file and
// the hunk, and says where it could not undo what it had begun. Of patch holds what
// PushTree says of its tree.
func (c *Client) ApplyPatch(ctx context.Context, patch io.Reader, o PatchOptions) (*PatchReply, error) {
	reply := &PatchReply{}
	err := c.sendTree(ctx, exchange{
		op: ActionPatch, request: PatchRequest{Action: ActionPatch, Check: o.Check},
		into: reply, limit: maxPatched, timeout: archiveTimeout,
	}, func(w io.Writer) error {
		limited := io.LimitReader(patch, MaxPatch+1)
		n, err := io.CopyBuffer(struct{ io.Writer }{w}, limited, make([]byte, pieceSize))
		if err == nil && n > MaxPatch {
			err = &api.Error{Kind: api.Invalid, Err: fmt.Errorf("the patch has more than %d bytes", int64(MaxPatch))}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return reply, nil
}
