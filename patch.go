package pyro

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/pyro-sandbox/pyro/api"
)

const opPatch = "apply patch"

// maxPatch bounds the answer to a patch: its echo, each byte escaped at the worst, and the
// names of all its files.
const maxPatch = 128 << 20

// ApplyPatch applies a patch, as `git diff` or `diff -u` prints it, to the files below
// /workspace. Paths in it are relative to /workspace, with a/ and b/ before them or without,
// or absolute and in it. Every hunk is compared with the files first, line by line, where it
// says or at the only other place where it fits; then all of it is put in place, or nothing:
// one that does not fit is api.Conflict, and the error names file, hunk, the line expected and
// the one that is there. With req.DryRun nothing changes in any case. When ctx ends, it was
// applied or not.
func (w *Workspace) ApplyPatch(ctx context.Context, patch io.Reader, req api.PatchRequest) (*api.Patch, error) {
	req, err := req.Check()
	q := url.Values{"max_bytes": {strconv.Itoa(req.MaxBytes)}, "dry_run": {strconv.FormatBool(req.DryRun)}}
	return sendFile[api.Patch](ctx, w, err, question{op: opPatch, method: http.MethodPost, path: "/v1/patch?" + q.Encode(), within: listTime, limit: maxPatch}, patch)
}
