package pyro

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/archive"
	"github.com/pyro-sandbox/pyro/internal/source"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// Source is a project that goes into a workspace: a directory, a tar archive, plain or
// compressed, a git repository by its address, or an archive on its way. It is read as a
// stream and never held in memory.
type Source struct {
	Path        string   // "~" at its beginning is the user's home
	Exclude     []string // patterns as in .gitignore: what they match is left out
	Gitignore   bool     // leave out what git ignores
	SkipSpecial bool     // leave out FIFOs, sockets and devices, which are errors otherwise
	Whole       bool     // of a push: send what is there already, too

	// Repository takes the place of Path; not for a push.
	Repository *Repository

	// Stream takes the place of Path, too: an archive that somebody else sends.
	Stream *Stream

	// Origin is what is recorded of who chose it, one of the api.Origin constants; empty:
	// the caller did.
	Origin string

	// Progress is told from time to time how much was sent; nil: nobody asks.
	Progress func(entries int, bytes int64)
}

// Stream is a tar archive, plain or compressed, that comes from somewhere and is read once.
type Stream struct {
	io.Reader

	// Seed is how the record names it: mode, path and origin. The zero value is an archive
	// of no name.
	Seed api.Seed

	// PackedAt is when the tree behind it was looked at first, by the clock of its machine. A
	// later push sends of it only what changed since; the zero value: all of it.
	PackedAt time.Time

	// Skipped says, at the end, how many special files were left out of it; nil: none.
	Skipped func() int
}

// openSource looks at what is there, and reads nothing.
func (c *Client) openSource(from *Source) (*source.Source, error) {
	if from.Repository != nil {
		return nil, &api.Error{
			Kind: api.Unsupported, Hint: "make a workspace from it, or push a directory with a clone of it",
			Err: errors.New("a repository by its address cannot be pushed"),
		}
	}
	opts := source.Options{
		Home: c.env.get("HOME"), Exclude: from.Exclude, Gitignore: from.Gitignore,
		SkipSpecial: from.SkipSpecial, Progress: from.Progress, Limits: sourceLimits,
	}
	if from.Stream == nil {
		return source.Open(from.Path, opts)
	}
	if from.Path != "" {
		return nil, twoSources("a stream")
	}
	opts.Skipped = from.Stream.Skipped
	return source.OpenStream(from.Stream, opts)
}

// sourceLimits bound what a user hands in. The disk of the workspace bounds it more
// tightly.
var sourceLimits = archive.Limits{Entries: 2_000_000, Bytes: 1 << 40}

const opPush = "sync workspace"

// Push puts a tree into the workspace at destination, which is /workspace or a path
// below it; empty means /workspace. What is there and not in the tree stays. Of a
// directory that was pushed to the same place before, only what differs is sent; see
// docs/seeding.md. When it fails, nothing in the workspace has changed.
func (w *Workspace) Push(ctx context.Context, from *Source, destination string) (*api.Sync, error) {
	if destination == "" {
		destination = api.WorkspacePath
	}
	src, err := w.client.openSource(from)
	if err != nil {
		return nil, api.About(opPush, w.id, err)
	}
	w.reach(ctx)
	p := push{w: w, src: src, destination: destination, packedAt: time.Now(), skipSpecial: from.SkipSpecial}
	if !from.Whole {
		if err := p.compare(ctx); err != nil {
			return nil, w.explain(ctx, opPush, err)
		}
	}
	done, err := p.send(ctx)
	return done, w.explain(ctx, opPush, err)
}

// push is one tree on its way.
type push struct {
	w           *Workspace
	src         *source.Source
	destination string
	packedAt    time.Time
	skipSpecial bool

	stays     map[string]bool // members that need not be sent
	unchanged int64           // their bytes
}

// racy is how near to the last push a file of the host may have changed and look as
// if it had not: the clocks of file systems go in steps.
const racy = 2 * time.Second

// compare finds out what need not be sent.
func (p *push) compare(ctx context.Context) error {
	entries, comparable, err := p.src.Entries(ctx)
	if err != nil || !comparable {
		return api.About(opPush, p.w.id, err)
	}
	var list bytes.Buffer
	lines := json.NewEncoder(&list)
	for i := range entries {
		if err := lines.Encode(treeEntry(&entries[i])); err != nil {
			return err
		}
	}
	found, err := ask[api.SyncCompare](ctx, p.w.control, question{
		op: opPush, method: http.MethodPost, path: "/v1/sync/compare?" + p.query().Encode(),
		body: list.Bytes(), within: compareTime, limit: maxReply,
	})
	if err != nil {
		return err
	}
	if found.LastPush == 0 { // who knows what changed there
		return nil
	}
	p.stays = make(map[string]bool, len(entries))
	since := found.LastPush.Time().Add(-racy)
	for i, e := range entries {
		needed := i/8 >= len(found.Needed) || found.Needed[i/8]>>(i%8)&1 == 1
		if needed || !e.CTime.Before(since) && e.Kind != archive.KindDirectory {
			// What is put into a directory changes its time, which is then set again.
			delete(p.stays, path.Dir(e.Path))
			continue
		}
		p.stays[e.Path] = true
		p.unchanged += e.Size
	}
	return nil
}

func treeEntry(e *source.Entry) wire.TreeEntry {
	return wire.TreeEntry{
		Path: []byte(e.Path), Kind: string(e.Kind), Mode: e.Mode, Size: e.Size, MTime: e.MTime, Target: []byte(e.Target),
	}
}

func (p *push) query() url.Values {
	return url.Values{
		"destination": {p.destination}, "source": {p.src.Path()}, "mode": {p.src.Mode()},
		"packed_at": {api.At(p.packedAt).String()},
	}
}

// send packs and sends the rest.
func (p *push) send(ctx context.Context) (*api.Sync, error) {
	r, w := io.Pipe()
	packed := make(chan error, 1)
	skipped := 0
	go func() { // ends with the tree, or when the pipe is closed
		out := bufio.NewWriterSize(w, 256<<10)
		counts, err := p.src.PackOnly(ctx, out, func(path string) bool { return !p.stays[path] })
		if err == nil {
			err = out.Flush()
		}
		skipped = counts.Skipped
		_ = w.CloseWithError(err)
		packed <- err
	}()
	done, err := ask[api.Sync](ctx, p.w.control, question{
		op: opPush, method: http.MethodPut, path: "/v1/sync?" + p.query().Encode(),
		stream: r, within: treeTime, limit: maxReply,
	})
	_ = r.CloseWithError(errReaderGone)
	if packErr := <-packed; packErr != nil && (err == nil || !errors.Is(packErr, io.ErrClosedPipe)) {
		return nil, api.About(opPush, p.w.id, packErr)
	}
	if err != nil {
		return nil, err
	}
	sync := &done.WorkspaceSync
	sync.UnchangedCount, sync.SkippedCount = len(p.stays), skipped
	sync.EntryCount += len(p.stays)
	sync.BytesWritten += p.unchanged
	return done, nil
}

var errReaderGone = fmt.Errorf("the workspace took no more: %w", io.ErrClosedPipe)
