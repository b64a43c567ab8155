package agent

import (
	"bufio"
	"context"
	"strings"

	"github.com/pyro-sandbox/pyro/internal/archive"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// pull sends a tree, or members of one, as a tar while it is packed.
func (a *agent) pull(ctx context.Context, out *outflow, r *bufio.Reader, req *wire.PullRequest) (*wire.PullReply, error) {
	opts := archive.PackOptions{Specials: archive.SpecialsSkipped, Limits: archive.TreeLimits}
	if !req.All {
		only, err := readSelection(out, r)
		if err != nil {
			return nil, err
		}
		opts.Skip, opts.Only = only.skips, only.has
	}
	var reply *wire.PullReply
	err := a.inWorkspace(wire.LaxString(req.Path), func(root *archive.Root, p guestPath) error {
		counts, kind, err := archive.Pack(ctx, out, root, p.rel, opts)
		reply = &wire.PullReply{
			WorkspacePath: p.wire, ArtifactType: wire.ArtifactType(kind),
			EntryCount: int64(counts.Entries), BytesWritten: counts.Bytes, Skipped: int64(counts.Skipped),
		}
		return err
	})
	return reply, err
}

// selection says of paths whether they are wanted; what is not, and in it, is only on
// the way to one that is.
type selection map[string]bool

func readSelection(out *outflow, r *bufio.Reader) (selection, error) {
	s := make(selection)
	err := eachPath(out, r, func(path []byte) error {
		if len(s) > wire.MaxTreeEntries {
			return invalid("more than %d members of a tree", wire.MaxTreeEntries)
		}
		s.add(string(path))
		return nil
	})
	return s, err
}

func (s selection) add(path string) {
	s[path] = true
	for i := strings.LastIndexByte(path, '/'); i > 0; i = strings.LastIndexByte(path[:i], '/') {
		if _, known := s[path[:i]]; known {
			return // and so is all above
		}
		s[path[:i]] = false
	}
}

// skips leaves out all that leads to nothing wanted, without looking into it.
func (s selection) skips(path string, _ archive.Info) bool {
	_, known := s[path]
	return !known
}

func (s selection) has(path string, _ archive.Info) bool { return s[path] }
