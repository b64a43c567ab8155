package supervisor

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"path"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

func (s *supervisor) serveListFiles(w http.ResponseWriter, r *http.Request) {
	n := &numbers{query: r.URL.Query()}
	req, err := api.FileListRequest{
		Path: n.query.Get("path"), Recursive: n.query.Get("recursive") == "true", Limit: int(n.get("limit")), After: n.query.Get("after"),
	}.Check()
	err = cmp.Or(n.err, err)
	if err == nil && req.After != "" && below(req.Path, req.After) == "" {
		err = &api.Error{
			Kind: api.Invalid, Hint: "give a path that such a list had",
			Err: fmt.Errorf("after %s is not in %s", req.After, req.Path),
		}
	}
	s.onFiles(w, opListFiles, err, func() (any, error) { return s.listFiles(r.Context(), req) })
}

// below is what a path is called in a directory; empty where it is not in it.
func below(dir, p string) string {
	if rest, ok := strings.CutPrefix(p, dir+"/"); ok {
		return rest
	}
	return ""
}

// errEnough ends a walk of which no more is wanted.
var errEnough = errors.New("enough")

func (s *supervisor) listFiles(ctx context.Context, req api.FileListRequest) (*api.FileList, error) {
	list := &api.FileList{
		WorkspaceID: s.ID, Path: req.Path, ArtifactType: api.ArtifactDirectory, Recursive: req.Recursive,
		Entries: []api.FileEntry{}, ExecutionMode: s.recorded().Engine.Mode,
	}
	after := below(req.Path, req.After)
	walked, err := s.agent().Walk(ctx, wire.WalkRequest{Path: req.Path, Recursive: req.Recursive}, func(e *wire.WalkEntry) error {
		if after != "" && !comesAfter(string(e.Path), after) {
			return nil
		}
		if len(list.Entries) == req.Limit {
			list.Truncated = true
			return errEnough
		}
		list.Entries = append(list.Entries, fileEntry(req.Path, e))
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, err
	}
	if err == nil && walked.Root.Kind != string(api.ArtifactDirectory) {
		list.ArtifactType = api.ArtifactType(walked.Root.Kind)
		list.Entries = append(list.Entries, fileEntry(req.Path, &walked.Root))
	}
	list.Count = len(list.Entries)
	if list.Truncated {
		list.NextAfter = lastExact(list.Entries)
	}
	return list, nil
}

// lastExact is the last path that can be said in a request: one that is UTF-8.
func lastExact(entries []api.FileEntry) *string {
	for i := len(entries) - 1; i >= 0; i-- {
		if entries[i].PathBase64 == nil {
			return &entries[i].Path
		}
	}
	return nil
}

// comesAfter reports whether a path comes after another in a walk: names by their bytes,
// each directory right before what is in it.
func comesAfter(p, other string) bool {
	for {
		name, rest, more := strings.Cut(p, "/")
		otherName, otherRest, otherMore := strings.Cut(other, "/")
		if name != otherName {
			return name > otherName
		}
		if !more || !otherMore {
			return more && !otherMore
		}
		p, other = rest, otherRest
	}
}

// fileEntry is a thing in a directory as its owner sees it.
func fileEntry(dir string, e *wire.WalkEntry) api.FileEntry {
	full := path.Join(dir, string(e.Path))
	out := api.FileEntry{
		ArtifactType: api.ArtifactType(e.Kind), Mode: octal(e.Mode), ModifiedAt: api.At(time.Unix(0, e.MTime)),
	}
	var exact bool
	if out.Path, exact = textOf([]byte(full)); !exact {
		out.PathBase64 = new(encode64([]byte(full)))
	}
	switch out.ArtifactType {
	case api.ArtifactFile:
		out.SizeBytes = e.Size
	case api.ArtifactSymlink:
		target, _ := textOf(e.Target)
		out.SizeBytes, out.LinkTarget = int64(len(e.Target)), &target
	}
	return out
}

func octal(mode uint32) string { return fmt.Sprintf("%04o", mode&0o7777) }

func encode64(p []byte) string { return base64.StdEncoding.EncodeToString(p) }

// textOf is bytes as text, with a U+FFFD for each part that is no UTF-8: a byte, or the
// beginning of a character (Unicode 17.0, section 3.9, "U+FFFD Substitution of Maximal
// Subparts"). exact says that there was none.
func textOf(p []byte) (text string, exact bool) {
	if utf8.Valid(p) {
		return string(p), true
	}
	var b strings.Builder
	for len(p) > 0 {
		r, n := utf8.DecodeRune(p)
		if r == utf8.RuneError && n == 1 {
			for n < len(p) && !utf8.FullRune(p[:n+1]) {
				n++
			}
		}
		b.WriteRune(r)
		p = p[n:]
	}
	return b.String(), false
}
