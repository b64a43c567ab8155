package wire

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/pyro-sandbox/pyro/api"
)

// ActionHash tells the digests of files.
const ActionHash = "hash_files"

// MaxHashed is the longest file that is hashed, in bytes.
const MaxHashed = 8 << 30

// HashRequest asks for the digests of files below a directory. Frames follow as those
// of PushRequest, whose payloads together are the paths, each with its length before
// it as a varint. The answer is a fetch: data frames with whole records, one for each
// path in the order of the paths, and a HashReply. An empty data frame only says that
// a long file is being read.
type HashRequest struct {
	Action string `json:"action"` // ActionHash
	Path   string `json:"path"`   // of the directory: /workspace, or below it; /workspace
}

// HashReply ends the digests.
type HashReply struct {
	Count int64 `json:"count"`
}

// FileDigest is what a file was when it was hashed. Its metadata are those from before the
// content was read: while a file still has them, SHA256 is of its content.
type FileDigest struct {
	Path   []byte // as it was asked for
	Kind   string // file, where Err is empty
	Mode   uint32 // twelve bits
	Size   int64
	CTime  int64 // nanoseconds since 1970
	Inode  uint64
	SHA256 []byte // 32 bytes; nil where Err says why
	Err    string // empty, or one of the constants below
}

// Why there is no digest.
const (
	HashGone    = "gone"    // it is no regular file, or not there any more
	HashChanged = "changed" // it became shorter while it was read
	HashTooLong = "too_long"
	HashFailed  = "failed" // it cannot be read
)

// hashEnds are the letters of a record.
var hashEnds = map[byte]string{'f': "", 'g': HashGone, 'c': HashChanged, 't': HashTooLong, 'e': HashFailed}

// hashRate is how fast an agent must hash at least, in bytes a second.
const hashRate = 32 << 20

// Hash calls each with the digest of every file of paths, which are below dir as Walk
// tells them, in their order. The paths must not change until it returns. They are
// held in memory, MaxTreeEntries at most. What is no regular file any more, or cannot
// be read, has an Err; nothing is believed of what the guest says, so what counts
// must be fetched.
//
// An error of each ends it and is returned as it is. There may be 60 s between two
// pieces, and in all five minutes, a millisecond for each file and a second for every
// 32 MiB, an hour at most.
func (c *Client) Hash(ctx context.Context, dir string, paths iter.Seq[[]byte], each func(*FileDigest) error) error {
	if err := checkText(ActionHash, dir); err != nil {
		return err
	}
	var asked queue
	var reply HashReply
	var count int64
	err := c.fetch(ctx, fetching{
		exchange: exchange{
			op: ActionHash, request: HashRequest{Action: ActionHash, Path: dir},
			into: &reply, limit: MaxShortLine, timeout: archiveTimeout,
		},
		grace: hashGrace,
		fill:  func(w io.Writer) error { return writePaths(w, paths, asked.put) },
		take: func(p []byte) (time.Duration, error) {
			var more time.Duration
			err := decodeDigests(p, asked.get, func(d *FileDigest) error {
				count++
				more += slowestWalk + time.Duration(min(d.Size, MaxHashed)/hashRate)*time.Second
				return each(d)
			})
			return more, err
		},
	})
	if err == nil && (reply.Count != count || asked.get() != nil) {
		err = &api.Error{Kind: api.Internal, Op: steps[ActionHash], Err: violated(fmt.Errorf("has %d digests and says %d, asked were others", count, reply.Count))}
	}
	return err
}

// hashGrace is how long Hash may take in all, beside what the files need.
const hashGrace = 5 * time.Minute

// queue holds paths that were sent and not answered.
type queue struct {
	mu    sync.Mutex
	paths [][]byte
}

func (q *queue) put(path []byte) {
	q.mu.Lock()
	q.paths = append(q.paths, path)
	q.mu.Unlock()
}

// get takes the oldest, or nil.
func (q *queue) get() []byte {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.paths) == 0 {
		return nil
	}
	path := q.paths[0]
	q.paths[0] = nil
	q.paths = q.paths[1:]
	return path
}

// writePaths writes paths with their lengths. note is told of each before any of it is
// written; nil: nobody asks.
func writePaths(w io.Writer, paths iter.Seq[[]byte], note func([]byte)) error {
	var piece []byte
	count := 0
	for path := range paths {
		if err := checkTreePath(string(path)); err != nil {
			return fmt.Errorf("entry of a tree %w", err)
		}
		if count++; count > MaxTreeEntries {
			return fmt.Errorf("more than %d entries of a tree", MaxTreeEntries)
		}
		if note != nil {
			note(path)
		}
		piece = appendText(piece, path)
		if len(piece) >= pathsPiece {
			if _, err := w.Write(piece); err != nil {
				return err
			}
			piece = piece[:0]
		}
	}
	_, err := w.Write(piece)
	return err
}

// pathsPiece is how many bytes of paths are sent at once: small, so that work on them
// begins early.
const pathsPiece = 16 << 10

// ReadPath reads the next path of those that follow a HashRequest or PullRequest. It
// leads nowhere but down. At the end it returns io.EOF.
func ReadPath(r *bufio.Reader) ([]byte, error) {
	n, err := binary.ReadUvarint(r)
	switch {
	case errors.Is(err, io.EOF):
		return nil, io.EOF
	case err != nil:
		return nil, badRequest(fmt.Errorf("paths of a tree: %w", err))
	case n > MaxTreePath:
		return nil, badRequest(fmt.Errorf("path of %d bytes, allowed are %d", n, MaxTreePath))
	}
	path := make([]byte, n)
	if _, err := io.ReadFull(r, path); err != nil {
		return nil, badRequest(fmt.Errorf("paths of a tree: %w", err))
	}
	if err := checkTreePath(string(path)); err != nil {
		return nil, badRequest(fmt.Errorf("entry of a tree %w", err))
	}
	return path, nil
}

// decodeDigests reads the records of one frame; next is the path of each.
func decodeDigests(p []byte, next func() []byte, each func(*FileDigest) error) error {
	f := fields{rest: p}
	for len(f.rest) > 0 {
		d := &FileDigest{}
		if err := d.decode(&f); err != nil {
			return violated(fmt.Errorf("has a digest that %w", err))
		}
		if d.Path = next(); d.Path == nil {
			return violated(errors.New("has a digest that nobody asked for"))
		}
		if err := each(d); err != nil {
			return handed{err}
		}
	}
	return nil
}

func (d *FileDigest) decode(f *fields) error {
	why, known := hashEnds[f.letter()]
	mode, size := f.number(), f.number()
	d.Err, d.CTime, d.Inode = why, f.signed(), f.number()
	if known && why == "" {
		d.Kind = string(File)
		d.SHA256 = slices.Clone(f.bytes(32))
	}
	switch {
	case f.err != nil:
		return f.err
	case !known:
		return errors.New("ends in no known way")
	case mode > 0o7777:
		return fmt.Errorf("has the mode %#o", mode)
	case size > math.MaxInt64:
		return fmt.Errorf("has the size %d", size)
	}
	d.Mode, d.Size = uint32(mode), int64(size)
	return nil
}

// Append appends the record of a digest: a letter that says what came of it (f: SHA256
// is there; g, c, t and e: the words of Err), mode, size, time of change and inode as
// varints, the time signed, and of a digest its 32 bytes.
func (d *FileDigest) Append(to []byte) []byte {
	letter := byte('e')
	for l, why := range hashEnds {
		if why == d.Err {
			letter = l
		}
	}
	to = append(to, letter)
	to = binary.AppendUvarint(to, uint64(d.Mode))
	to = binary.AppendUvarint(to, uint64(d.Size))
	to = binary.AppendVarint(to, d.CTime)
	to = binary.AppendUvarint(to, d.Inode)
	return append(to, d.SHA256...)
}

func (r *HashReply) check() error { return notNegative("count", r.Count) }
