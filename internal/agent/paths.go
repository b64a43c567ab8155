package agent

import (
	"fmt"
	"path"
	"strings"

	"github.com/pyro-sandbox/pyro/api"
)

// wireRoot is the workspace on the wire, wherever it lies.
const wireRoot = "/workspace"

// secretsName is the directory of secrets in the run directory.
const secretsName = "pyro-secrets"

// guestPath is a path that passed the rules of the protocol.
type guestPath struct {
	wire string // absolute, under wireRoot, clean
	rel  string // the same beneath the workspace; "." for the workspace itself
}

// parsePath takes a path field: trimmed, relative to the workspace or in it, and
// without "..". That a link leads out of the workspace is not seen here.
func parsePath(field string) (guestPath, error) {
	p := strings.TrimSpace(field)
	bad := func(what string) (guestPath, error) {
		return guestPath{}, &api.Error{Kind: api.Invalid, Err: fmt.Errorf("path %q %s", field, what)}
	}
	switch {
	case p == "":
		return bad("is empty")
	case strings.ContainsRune(p, 0):
		return bad("holds a NUL")
	}
	for part := range strings.SplitSeq(p, "/") {
		if part == ".." {
			return bad("must stay inside " + wireRoot + ", .. is not allowed")
		}
	}
	if !path.IsAbs(p) {
		p = path.Join(wireRoot, p)
	}
	p = path.Clean(p)
	rel, inside := strings.CutPrefix(p, wireRoot)
	if !inside || rel != "" && rel[0] != '/' {
		return bad("must stay inside " + wireRoot)
	}
	rel = strings.TrimPrefix(rel, "/")
	if rel == "" {
		rel = "."
	}
	return guestPath{wire: p, rel: rel}, nil
}
