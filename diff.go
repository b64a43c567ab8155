package pyro

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/pyro-sandbox/pyro/api"
)

const opDiff = "diff workspace"

// maxDiff bounds a diff, in bytes: both kinds of patches with each byte escaped at the
// worst, and the names of all entries.
const maxDiff = 1 << 30

// Diff tells what in the workspace is not as it was: files, symlinks and empty directories,
// compared with the state right after create or with a snapshot. What is compared is read
// from the workspace while it runs; where it changes meanwhile, the diff is tried again, and
// fails as api.Conflict after the third time. Nothing in the workspace changes. The values of
// secrets are redacted. Long patches are left out of the answer and said to be; see Patch.
func (w *Workspace) Diff(ctx context.Context, req api.DiffRequest) (*api.WorkspaceDiff, error) {
	req, err := req.Check()
	if err != nil {
		return nil, api.About(opDiff, w.id, err)
	}
	w.reach(ctx)
	diff, err := ask[api.WorkspaceDiff](ctx, w.control, question{
		op: opDiff, method: http.MethodGet, path: "/v1/diff?" + diffQuery(req).Encode(), within: treeTime, limit: maxDiff,
	})
	return diff, w.explain(ctx, opDiff, err)
}

// Patch writes the differences that Diff tells as one patch, as `git diff --binary` does: git
// apply makes of the former tree the present one. It is of any length, and nothing is
// written where nothing changed. What git takes in no patch is not in it: empty
// directories, modes beyond the right to execute, and what lies in a .git; the answer's
// warnings tell. After an error a part may have been written, and that cannot be applied. An
// error of to is returned. Files longer than api.MaxPatchFile are an error that names them.
func (w *Workspace) Patch(ctx context.Context, req api.DiffRequest, to io.Writer) (*api.DiffPatched, error) {
	req, err := req.Check()
	if err != nil {
		return nil, api.About(opDiff, w.id, err)
	}
	q := diffQuery(req)
	q.Set("format", "patch")
	c, err := w.connect(ctx, question{op: opDiff, method: http.MethodGet, path: "/v1/diff?" + q.Encode(), within: answerTime})
	if err != nil {
		return nil, w.explain(ctx, opDiff, err)
	}
	return receive[api.DiffPatched](c, to, nil)
}

func diffQuery(req api.DiffRequest) url.Values {
	return url.Values{"path": req.Paths, "against": {req.Against}, "no_patch": {strconv.FormatBool(req.NoPatch)}}
}
