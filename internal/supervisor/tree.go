package supervisor

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"path"
	"strconv"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/wire"
	"github.com/pyro-sandbox/pyro/internal/workspace"
)

const opSync = "sync workspace"

// maxEntryLine bounds a line about one member of a tree, in bytes: a name and a link
// target of 4 KiB each, in base64.
const maxEntryLine = 32 << 10

// sending is a request's body that may be of any length, as long as it goes on.
type sending struct {
	control *http.ResponseController
	body    io.Reader
}

func newSending(w http.ResponseWriter, r *http.Request) sending {
	return sending{control: http.NewResponseController(w), body: r.Body}
}

// Read implements io.Reader.
func (s sending) Read(p []byte) (int, error) {
	_ = s.control.SetReadDeadline(time.Now().Add(frameTime))
	n, err := s.body.Read(p)
	_ = s.control.SetReadDeadline(time.Time{})
	return n, err
}

// spentTime and maxSpent bound what is read of a body that counts no more.
const (
	spentTime = 2 * time.Second
	maxSpent  = 64 << 20 // bytes
)

// spend lets a client that has been answered finish what it sends. One that is cut off in
// the middle of it may never look at the answer.
func (s sending) spend() {
	_ = s.control.Flush()
	_ = s.control.SetReadDeadline(time.Now().Add(spentTime))
	_, _ = io.CopyN(io.Discard, s.body, maxSpent)
}

// serveSync puts the tree in the request's body into the workspace. The archive is a
// clean one: it was made by the SDK, and the agent refuses anything else.
func (s *supervisor) serveSync(w http.ResponseWriter, r *http.Request) {
	q, body := r.URL.Query(), newSending(w, r)
	defer body.spend()
	at, err := strconv.ParseFloat(q.Get("packed_at"), 64)
	if err != nil {
		fail(w, &api.Error{Kind: api.Invalid, Err: fmt.Errorf("packed_at: %w", err)})
		return
	}
	pushed, err := s.pushTree(r.Context(), q.Get("destination"), body)
	if err != nil {
		fail(w, err)
		return
	}
	s.note(func(rec *workspace.Record) {
		rec.LastActivityAt = api.At(s.Now())
		// Archives are not compared, but what they put there may look like a file of a
		// directory that was pushed before.
		rec.Pushed(workspace.Push{Source: q.Get("source"), Destination: placeOf(q.Get("destination")), At: api.Timestamp(at)})
	})
	if err := s.save(); err != nil {
		fail(w, err)
		return
	}
	s.event(api.EventPushed, api.Event{
		HostPath: new(q.Get("source")), Path: new(placeOf(q.Get("destination"))),
		Entries: new(int64(pushed.EntryCount)), Bytes: new(pushed.BytesWritten),
	})
	reply(w, api.Sync{
		WorkspaceID: s.ID, ExecutionMode: s.view().ExecutionMode,
		WorkspaceSync: api.SyncCounts{
			Mode: q.Get("mode"), SourcePath: q.Get("source"), Destination: placeOf(q.Get("destination")),
			EntryCount: int(pushed.EntryCount), BytesWritten: pushed.BytesWritten,
		},
	})
}

// pushTree is the push itself. What was put in place while the disk was being saved for
// a stop has failed.
func (s *supervisor) pushTree(ctx context.Context, destination string, tree io.Reader) (wire.PushReply, error) {
	done, err := s.enter(opSync)
	if err != nil {
		return wire.PushReply{}, err
	}
	defer done()
	var pushed wire.PushReply
	err = s.puts.whole(ctx, tree, func(ctx context.Context, tree io.Reader) (err error) {
		pushed, err = s.agent().PushTree(ctx, destination, tree)
		return err
	})
	if err != nil {
		return pushed, s.treeError(err)
	}
	return pushed, s.sure(opSync)
}

// serveCompare answers which members of a tree have to be sent.
func (s *supervisor) serveCompare(w http.ResponseWriter, r *http.Request) {
	q, body := r.URL.Query(), newSending(w, r)
	defer body.spend()
	done, err := s.enter(opSync)
	if err != nil {
		fail(w, err)
		return
	}
	defer done()
	var bad error
	needed, err := s.agent().CompareTree(r.Context(), q.Get("destination"), entries(body, &bad))
	if err = errors.Join(bad, err); err != nil {
		fail(w, s.treeError(err))
		return
	}
	now := s.recorded()
	reply(w, api.SyncCompare{
		Count: int64(len(needed)), Needed: bitmap(needed), LastPush: now.LastPush(q.Get("source"), placeOf(q.Get("destination"))),
	})
}

// placeOf is a destination in the one form in which it is remembered. Whether it is
// allowed is for the agent to say.
func placeOf(destination string) string {
	if !path.IsAbs(destination) {
		destination = path.Join(api.WorkspacePath, destination)
	}
	return path.Clean(destination)
}

// bitmap has a bit for each value, the lowest of a byte first.
func bitmap(values []bool) []byte {
	bits := make([]byte, (len(values)+7)/8)
	for i, set := range values {
		if set {
			bits[i/8] |= 1 << (i % 8)
		}
	}
	return bits
}

// entries reads a line for each member. A fault ends them and is left in bad.
func entries(body io.Reader, bad *error) iter.Seq[wire.TreeEntry] {
	return func(yield func(wire.TreeEntry) bool) {
		in := bufio.NewReaderSize(body, 64<<10)
		for {
			line, err := wire.ReadLine(in, maxEntryLine)
			if errors.Is(err, io.EOF) {
				return
			}
			var entry wire.TreeEntry
			if err == nil {
				err = json.Unmarshal(line, &entry)
			}
			if err != nil {
				*bad = &api.Error{Kind: api.Invalid, Err: fmt.Errorf("list of the tree: %w", err)}
				return
			}
			if !yield(entry) {
				return
			}
		}
	}
}

// noticeTime is how long the news may take that a sandbox has ended, after its streams
// have.
const noticeTime = time.Second

// endsNow reports whether an error of the agent's client comes from the end of the
// workspace. What the agent says itself is of another kind.
func (s *supervisor) endsNow(err error) bool {
	if kind := api.KindOf(err); kind != api.Internal && kind != api.Unavailable {
		return s.over()
	}
	notice := time.NewTimer(noticeTime)
	defer notice.Stop()
	select {
	case <-s.end:
		return true
	case <-notice.C:
		return false
	}
}

// treeError names the workspace in an error of the agent's. A next step is ours to
// name: what the guest would have people do is not passed on.
func (s *supervisor) treeError(err error) error {
	if s.endsNow(err) {
		return s.tooLate(opSync)
	}
	kind, hint := api.KindOf(err), api.HintOf(err)
	if hint == "" && (kind == api.Unavailable || kind == api.Internal) {
		hint = "`pyro workspace status " + s.ID + "` shows whether it runs; what comes in has to fit on its disk"
	}
	return &api.Error{Kind: kind, Op: opSync, ID: s.ID, Hint: hint, Err: err}
}
