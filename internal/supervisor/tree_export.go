package supervisor

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/autorun"
	"github.com/pyro-sandbox/pyro/internal/wire"
	"github.com/pyro-sandbox/pyro/internal/workspace"
)

const opExport = "export from workspace"

// seedPiece is how many entries of the seed go into one frame: each has at most about
// 12 KiB, most have 200 bytes.
const seedPiece = 64

func (s *supervisor) routeTree(mux *http.ServeMux) {
	mux.HandleFunc("GET /v1/tree", s.serveTree)
	mux.HandleFunc("GET /v1/changes", s.serveChanges)
}

// serveTree streams what is at a path as the agent packs it: nothing is judged here. The
// answer is frames: api.TreeHead, the archive, and api.TreeEnd or a failure.
func (s *supervisor) serveTree(w http.ResponseWriter, r *http.Request) {
	path, err := api.GuestPath("workspace_path", r.URL.Query().Get("path"))
	if err != nil {
		fail(w, api.About(opExport, s.ID, err))
		return
	}
	done, err := s.enter(opExport)
	if err != nil {
		fail(w, err)
		return
	}
	defer done()
	found, err := s.agent().Stat(r.Context(), path)
	if err == nil && found.Kind == wire.Special {
		err = &api.Error{Kind: api.Unsupported, Hint: "export files, directories and symlinks", Err: errors.New(path + " is a device, FIFO or socket")}
	}
	if err != nil {
		fail(w, s.outError(opExport, err))
		return
	}
	pour(w, r, func(ctx context.Context, conn net.Conn) {
		s.sendTree(ctx, conn, path, found.Kind)
	})
}

func (s *supervisor) sendTree(ctx context.Context, conn net.Conn, path, kind string) {
	if err := s.sendHead(conn, kind); err != nil {
		s.sendFailure(conn, api.About(opExport, s.ID, err))
		return
	}
	out := &atMostBytes{pieces{conn}, s.mostOut(), s.tooMuchOut()}
	reply, err := s.agent().Pull(ctx, wire.PullRequest{Path: path, All: true}, out)
	if err != nil {
		s.sendFailure(conn, s.outError(opExport, err))
		return
	}
	send(conn, wire.FrameExit, api.TreeEnd{
		ArtifactType: string(reply.ArtifactType), Skipped: reply.Skipped, ExecutionMode: s.view().ExecutionMode,
	})
}

// sendHead tells what the seed has that could run by itself.
func (s *supervisor) sendHead(conn net.Conn, kind string) error {
	head := api.TreeHead{ArtifactType: kind, Seed: []api.SeedEntry{}}
	err := s.recorded().Baseline.Each(s.held.Path(), func(e *workspace.ManifestEntry) error {
		if !mayRun(string(e.Path), e.Kind) {
			return nil
		}
		head.Seed = append(head.Seed, seedEntry(e))
		if len(head.Seed) < seedPiece {
			return nil
		}
		err := writeHead(conn, head)
		head.Seed = head.Seed[:0]
		return err
	})
	if err != nil {
		return err
	}
	return writeHead(conn, head)
}

func seedEntry(e *workspace.ManifestEntry) api.SeedEntry {
	told := api.SeedEntry{Path: e.Path, Executable: e.Mode&0o111 != 0, Target: e.Target}
	if e.Kind == string(wire.File) {
		told.SHA256 = hex.EncodeToString(e.SHA256[:])
	}
	return told
}

// mayRun selects of a seed what whoever exports compares with it: files that could run by
// themselves, and in a .git all but what only names commits and files.
func mayRun(path, kind string) bool {
	if kind == string(wire.Directory) {
		return false
	}
	if _, inside, found := strings.Cut("/"+path, "/.git/"); found {
		top, _, _ := strings.Cut(inside, "/")
		return kind == string(wire.Symlink) || top != "objects" && top != "refs" && top != "logs"
	}
	_, flagged := autorun.Reason(path)
	return flagged
}

func writeHead(conn net.Conn, head api.TreeHead) error {
	payload, err := json.Marshal(head)
	if err != nil {
		return err
	}
	_ = conn.SetWriteDeadline(time.Now().Add(frameTime))
	return wire.WriteFrame(conn, wire.FrameHead, payload)
}

// pieces sends an archive in frames. A client that takes nothing for a while is left.
type pieces struct{ conn net.Conn }

// Write implements io.Writer.
func (p pieces) Write(data []byte) (n int, err error) {
	for len(data) > 0 {
		piece := data[:min(len(data), wire.MaxFrame)]
		_ = p.conn.SetWriteDeadline(time.Now().Add(frameTime))
		if err := wire.WriteFrame(p.conn, wire.FrameStdout, piece); err != nil {
			return n, err
		}
		n, data = n+len(piece), data[len(piece):]
	}
	return n, nil
}

// outError names the workspace in an error of the agent's about what was to come out.
func (s *supervisor) outError(op string, err error) error {
	if s.endsNow(err) {
		return s.tooLate(op)
	}
	kind, hint := api.KindOf(err), api.HintOf(err)
	switch {
	case hint != "":
	case kind == api.NotFound:
		hint = "`pyro workspace file list " + s.ID + " --recursive` shows what is there"
	case kind == api.Denied:
		hint = "links are not followed; name the place that they lead to"
	case kind == api.Invalid: // of the request all is known to be good
		hint = s.treeHint()
	case kind == api.Conflict:
		hint = "try again when less is written there"
	case kind == api.Unavailable, kind == api.Internal:
		hint = "`pyro workspace status " + s.ID + "` shows whether it runs"
	}
	return &api.Error{Kind: kind, Op: op, ID: s.ID, Hint: hint, Err: err}
}
