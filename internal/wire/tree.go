package wire

import (
	"errors"
	"fmt"
)

// PushRequest puts a tree into the guest; see docs/protocol.md. After the request line
// come frames: any number of FrameData, whose payloads together are an uncompressed
// pax archive, and FrameEnd. Nothing of the workspace changes before FrameEnd has
// come and the whole archive was read and found possible; a FrameFail, or the end of
// the connection, discards it. The answer is a PushReply.
type PushRequest struct {
	Action      string `json:"action"`      // ActionPush
	Destination string `json:"destination"` // /workspace, or below it; /workspace
}

// PushReply says what is in place now.
type PushReply struct {
	Destination  string `json:"destination"`
	EntryCount   int64  `json:"entry_count"`   // every member, directories and links too
	BytesWritten int64  `json:"bytes_written"` // of regular files
}

// CompareRequest asks which members of a tree differ from what is in the guest. After
// the request line come frames: FrameData, whose payloads together are TreeEntry
// objects as JSON, one on a line, and FrameEnd. The answer is a CompareReply.
type CompareRequest struct {
	Action      string `json:"action"`      // ActionCompare
	Destination string `json:"destination"` // as in PushRequest
}

// TreeEntry is one member as the host has it. Times are whole seconds; what is in the
// guest differs in any other fraction too, as only the guest itself can have written
// that.
//
// Entries are sent in the order of a walk, each directory before what is in it. Any
// other order is slower and gives the same answer.
type TreeEntry struct {
	Path   []byte `json:"p"` // below the destination, as "a/b"; bytes, as names are
	Kind   string `json:"k"` // file, directory or symlink
	Mode   uint32 `json:"m"` // twelve bits; of no meaning for a symlink
	Size   int64  `json:"s"` // of a file
	MTime  int64  `json:"t"` // seconds; of a file or symlink
	Target []byte `json:"l"` // of a symlink
}

// CompareReply has a bit for each entry, the lowest of a byte first: one means that it
// has to be sent. The bits after the last entry are zero.
type CompareReply struct {
	Count  int64  `json:"count"`
	Needed []byte `json:"needed"`
}

// Actions and frames of trees.
const (
	ActionPush    = "push_tree"
	ActionCompare = "compare_tree"

	FrameData FrameType = 'd' // to the guest: bytes
	FrameEnd  FrameType = 'z' // to the guest: empty, the last frame
)

// Bounds of a compared tree that both sides hold to.
const (
	MaxTreeEntries = 5_000_000
	MaxTreePath    = 4096     // bytes of a path, or of a symlink's target (PATH_MAX)
	MaxTreeDepth   = 256      // names in one path
	MaxEntryLine   = 16 << 10 // bytes of one TreeEntry as JSON, which the bounds above fit in
)

func (r *PushReply) check() error {
	return errors.Join(notNegative("entry_count", r.EntryCount), notNegative("bytes_written", r.BytesWritten))
}

// bits is the reply to count entries as one value for each.
func (r *CompareReply) bits(count int) ([]bool, error) {
	if r.Count != int64(count) || len(r.Needed) != (count+7)/8 {
		return nil, fmt.Errorf("is for %d entries with %d bytes of bits, asked were %d entries", r.Count, len(r.Needed), count)
	}
	if tail := count % 8; tail > 0 && r.Needed[count/8]>>tail != 0 {
		return nil, errors.New("has bits after the last entry")
	}
	needed := make([]bool, count)
	for i := range needed {
		needed[i] = r.Needed[i/8]>>(i%8)&1 == 1
	}
	return needed, nil
}

// Add appends the bit of the next entry.
func (r *CompareReply) Add(needed bool) {
	if r.Count%8 == 0 {
		r.Needed = append(r.Needed, 0)
	}
	if needed {
		r.Needed[r.Count/8] |= 1 << (r.Count % 8)
	}
	r.Count++
}
