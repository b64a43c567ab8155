package agent

import (
	"bufio"
	"cmp"
	"context"
	"slices"

	"github.com/pyro-sandbox/pyro/internal/archive"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// pull sends a tree, or members of one, as a tar while it is packed.
func (a *agent) pull(ctx context.Context, out *outflow, r *bufio.Reader, req *wire.PullRequest) (*wire.PullReply, error) {
	opts := archive.PackOptions{Specials: archive.SpecialsSkipped, Limits: archive.TreeLimits}
	var only []string
	if !req.All {
		var err error
		if only, err = readSelection(out, r); err != nil {
			return nil, err
		}
	}
	var reply *wire.PullReply
	err := a.inWorkspace(wire.LaxString(req.Path), func(root *archive.Root, p guestPath) error {
		counts, kind, err := packed(ctx, out, root, p.rel, opts, req.All, only)
		reply = &wire.PullReply{
			WorkspacePath: p.wire, ArtifactType: wire.ArtifactType(kind),
			EntryCount: int64(counts.Entries), BytesWritten: counts.Bytes, Skipped: int64(counts.Skipped),
		}
		return err
	})
	return reply, err
}

// packed packs all, or only some.
func packed(ctx context.Context, out *outflow, root *archive.Root, path string, opts archive.PackOptions, all bool, only []string) (archive.Counts, archive.Kind, error) {
	if all {
		return archive.Pack(ctx, out, root, path, opts)
	}
	w := archive.NewWriter(ctx, out, opts)
	kind, addErr := w.AddOnly(root, path, slices.Values(only))
	counts, err := w.Close()
	return counts, kind, cmp.Or(addErr, err)
}

// readSelection reads the paths of the members that are wanted: each once, in the order of a
// walk.
func readSelection(out *outflow, r *bufio.Reader) ([]string, error) {
	var wanted []string
	err := eachPath(out, r, func(path []byte) error {
		if len(wanted) >= wire.MaxTreeEntries {
			return invalid("more than %d members of a tree", wire.MaxTreeEntries)
		}
		wanted = append(wanted, string(path))
		return nil
	})
	slices.SortFunc(wanted, wire.CompareWalked)
	return slices.Compact(wanted), err
}
