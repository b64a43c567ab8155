package supervisor

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/redact"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

const opPatch = "apply patch"

// servePatch applies the patch in the request's body, or finds out whether it applies.
func (s *supervisor) servePatch(w http.ResponseWriter, r *http.Request) {
	n := &numbers{query: r.URL.Query()}
	req, err := api.PatchRequest{MaxBytes: int(n.get("max_bytes")), DryRun: n.query.Get("dry_run") == "true"}.Check()
	err = cmp.Or(n.err, err)
	from := newSending(w, r)
	defer from.spend()
	body := &patchBody{from: from, left: req.MaxBytes, most: req.MaxBytes}
	if req.DryRun {
		s.onFiles(w, opPatch, err, func() (any, error) { return s.applyPatch(r.Context(), body, true) })
		return
	}
	s.onFilesChanged(w, opPatch, err, func() (any, api.Event, error) {
		done, err := s.applyPatch(r.Context(), body, false)
		if err != nil {
			return nil, api.Event{}, err
		}
		return done, api.Event{Entries: new(int64(done.Summary.Total))}, nil
	})
}

func (s *supervisor) applyPatch(ctx context.Context, body *patchBody, check bool) (*api.Patch, error) {
	var done *wire.PatchReply
	err := s.puts.whole(ctx, body, func(ctx context.Context, patch io.Reader) (err error) {
		done, err = s.agent().ApplyPatch(ctx, patch, wire.PatchOptions{Check: check})
		return err
	})
	if err != nil {
		return nil, s.patchError(err)
	}
	out := &api.Patch{
		WorkspaceID: s.ID, Checked: check, Entries: make([]api.PatchEntry, len(done.Entries)),
		PatchTruncated: body.cut, ExecutionMode: s.recorded().Engine.Mode,
	}
	for i, e := range done.Entries {
		out.Entries[i] = patchEntry(e)
	}
	slices.SortStableFunc(out.Entries, func(a, b api.PatchEntry) int { return strings.Compare(a.Path, b.Path) })
	out.Count()
	out.Patch = s.patchEcho(body)
	return out, nil
}

// patchEcho is the patch as it is shown: without secrets, also where one of them was cut.
func (s *supervisor) patchEcho(body *patchBody) string {
	stream := redact.NewStream(s.secrets.hidden.Set())
	shown := stream.Append(nil, body.echo.Bytes())
	if !body.cut {
		shown = stream.Flush(shown)
	}
	text, _ := textOf(shown)
	return text
}

func patchEntry(e wire.PatchEntry) api.PatchEntry {
	full := path.Join(api.WorkspacePath, e.Path)
	text, exact := textOf([]byte(full))
	out := api.PatchEntry{Path: text, Status: api.PatchStatus(e.Status)}
	if !exact {
		out.PathBase64 = new(encode64([]byte(full)))
	}
	if e.From != "" {
		from, _ := textOf([]byte(path.Join(api.WorkspacePath, e.From)))
		out.FromPath = &from
	}
	return out
}

// patchError gives an error of a patch the next step that it has.
func (s *supervisor) patchError(err error) error {
	if api.HintOf(err) != "" {
		return err
	}
	hint := ""
	switch api.KindOf(err) {
	case api.Conflict, api.NotFound, api.Exists:
		hint = "nothing was changed; make the patch anew from the files as they are now"
	case api.Invalid:
		hint = "nothing was changed; give what `git diff` or `diff -u` prints, unaltered"
	case api.Denied:
		hint = "nothing was changed; leave that file out of the patch"
	default:
		return err
	}
	return &api.Error{Kind: api.KindOf(err), Hint: hint, Err: err}
}

// patchBody is a patch on its way in: it refuses one that is too long or blank, and keeps
// its beginning for the answer.
type patchBody struct {
	from       io.Reader
	left, most int
	echo       bytes.Buffer
	cut        bool
	text       bool // something in it is no blank
}

// Read implements io.Reader.
func (b *patchBody) Read(p []byte) (int, error) {
	n, err := b.from.Read(p)
	if b.left -= n; b.left < 0 {
		return 0, api.TooLongPatch(b.most)
	}
	b.text = b.text || len(bytes.TrimSpace(p[:n])) > 0
	keep := min(n, api.MaxPatchEcho-b.echo.Len())
	b.echo.Write(p[:keep])
	b.cut = b.cut || keep < n
	if errors.Is(err, io.EOF) && !b.text {
		return 0, api.CheckPatch("", b.most)
	}
	return n, err
}
