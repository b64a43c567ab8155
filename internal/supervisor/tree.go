package supervisor

import (
	"bufio"
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

// serveSync puts the tree in the request's body into the workspace. The archive is a
// clean one: it was made by the SDK, and the agent refuses anything else.
func (s *supervisor) serveSync(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	at, err := strconv.ParseFloat(q.Get("packed_at"), 64)
	if err != nil {
		fail(w, &api.Error{Kind: api.Invalid, Err: fmt.Errorf("packed_at: %w", err)})
		return
	}
	defer s.busy()()
	client := wire.Client{Dial: s.sandbox.Dial}
	pushed, err := client.PushTree(r.Context(), q.Get("destination"), newSending(w, r))
	if err != nil {
		fail(w, s.treeError(err))
		return
	}
	s.note(func(rec *workspace.Record) {
		rec.LastActivityAt = api.At(s.Now())
		if q.Get("mode") == api.SeedDirectory {
			rec.Pushed(workspace.Push{Source: q.Get("source"), Destination: placeOf(q.Get("destination")), At: api.Timestamp(at)})
		}
	})
	if err := s.save(); err != nil {
		fail(w, err)
		return
	}
	reply(w, api.Sync{
		WorkspaceID: s.ID, ExecutionMode: s.view().ExecutionMode,
		WorkspaceSync: api.SyncCounts{
			Mode: q.Get("mode"), SourcePath: q.Get("source"), Destination: pushed.Destination,
			EntryCount: int(pushed.EntryCount), BytesWritten: pushed.BytesWritten,
		},
	})
}

// serveCompare answers which members of a tree have to be sent.
func (s *supervisor) serveCompare(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	defer s.busy()()
	var bad error
	client := wire.Client{Dial: s.sandbox.Dial}
	needed, err := client.CompareTree(r.Context(), q.Get("destination"), entries(newSending(w, r), &bad))
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

// treeError names the workspace in an error of the agent's.
func (s *supervisor) treeError(err error) error {
	return &api.Error{Kind: api.KindOf(err), Op: "sync workspace", ID: s.ID, Hint: api.HintOf(err), Err: err}
}
