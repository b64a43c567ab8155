package supervisor

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/archive"
	"github.com/pyro-sandbox/pyro/internal/wire"
	"github.com/pyro-sandbox/pyro/internal/workspace"
)

// former is a tree that a workspace is compared with.
type former interface {
	// nodes returns what is in the tree in the order of a walk, no path twice. A
	// directory may be there only by what is below it.
	nodes(ctx context.Context) ([]node, error)
	// contents makes what the files of these paths hold readable.
	contents(ctx context.Context, paths map[string]bool) (contents, error)
}

// contents reads files that were kept or fetched.
type contents interface {
	// read returns what the file of a node holds, which is of the node's size and digest.
	read(n *node) (io.ReaderAt, error)
	close()
}

// node is a file, symlink or directory of a former tree.
type node struct {
	path   string
	kind   archive.Kind
	mode   uint32 // twelve bits, or anyMode
	size   int64  // of a file
	target string // of a symlink
	digest [sha256.Size]byte
	from   int64 // of a file of the seed: where in its archive the content should be; 0: nobody noted it
}

// anyMode is the mode of a directory that nobody noted.
const anyMode = ^uint32(0)

// formerOf finds the tree that a snapshot is, by name.
func (s *supervisor) formerOf(ctx context.Context, name string) (former, error) {
	if name != api.DiffBaseline {
		return s.snapshotTree(ctx, name)
	}
	now := s.recorded()
	return &seedTree{kept: now.Baseline, workspace: s.held.Path(), below: belowWorkspace(now.Seed.Destination)}, nil
}

// belowWorkspace is an absolute path of the guest relative to /workspace, "" for that
// itself.
func belowWorkspace(destination string) string {
	below, inside := strings.CutPrefix(path.Clean(destination), api.WorkspacePath+"/")
	if !inside {
		return ""
	}
	return below
}

// seedTree is the tree right after create: the seed, which was put at below, or nothing.
type seedTree struct {
	kept      *workspace.Baseline // nil: there was no seed
	workspace string              // directory of the workspace on this machine
	below     string
	links     map[string][]string // hard links, to which files they are; filled by nodes where places are not noted
}

func (t *seedTree) nodes(ctx context.Context) ([]node, error) {
	if t.kept == nil {
		return nil, nil
	}
	var all []node
	t.links = make(map[string][]string)
	if t.below != "" {
		all = append(all, node{path: t.below, kind: archive.KindDirectory, mode: anyMode})
	}
	err := t.kept.Each(t.workspace, func(e *workspace.ManifestEntry) error {
		all = append(all, t.node(e))
		if len(e.LinkTo) > 0 && !t.kept.Placed() {
			t.links[string(e.Path)] = append(t.links[string(e.Path)], string(e.LinkTo))
		}
		return ctx.Err()
	})
	return inWalkOrder(all), err
}

func (t *seedTree) node(e *workspace.ManifestEntry) node {
	n := node{path: path.Join(t.below, string(e.Path)), kind: archive.Kind(e.Kind), mode: e.Mode, target: string(e.Target)}
	if n.kind == archive.KindFile {
		n.size, n.digest, n.from = e.Size, e.SHA256, e.From
	}
	return n
}

// inWalkOrder sorts nodes as a walk tells them. Of several with one path the last stays.
func inWalkOrder(all []node) []node {
	order := func(a, b node) int { return wire.CompareWalked(a.path, b.path) }
	if !slices.IsSortedFunc(all, order) {
		slices.SortStableFunc(all, order)
	}
	kept := all[:0]
	for i, n := range all {
		if i+1 < len(all) && all[i+1].path == n.path {
			continue
		}
		kept = append(kept, n)
	}
	return kept
}

// isBelow reports whether a path is that of something in a directory, at any depth.
func isBelow(path, dir string) bool {
	return len(path) > len(dir) && path[len(dir)] == '/' && path[:len(dir)] == dir
}

// damagedSeed is the error of a file of the seed that is not what was kept.
func damagedSeed(path string) error {
	return &api.Error{
		Kind: api.Conflict, Hint: "create a workspace anew from the project",
		Err: fmt.Errorf("its seed is damaged: %q has changed", path),
	}
}

func (t *seedTree) contents(ctx context.Context, paths map[string]bool) (contents, error) {
	f, err := workspace.BaselineArchive(t.workspace)
	if err != nil {
		return nil, fmt.Errorf("read the seed: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("read the seed: %w", err)
	}
	if t.kept.Placed() {
		return placedFiles{tar: f, size: info.Size()}, nil
	}
	index, err := indexTar(ctx, f, info.Size(), t.members(paths))
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("read the seed: %w", err)
	}
	return &seedFiles{tree: t, tar: f, index: index}, nil
}

// members are the members of the archive that hold what is in these files: hard links have
// it from another.
func (t *seedTree) members(paths map[string]bool) map[string]bool {
	wanted := make(map[string]bool, len(paths))
	var want func(string)
	want = func(name string) {
		if wanted[name] {
			return
		}
		wanted[name] = true
		for _, first := range t.links[name] {
			want(first)
		}
	}
	for name := range paths {
		want(t.member(name))
	}
	return wanted
}

// member is the name that a path of the workspace has in the archive.
func (t *seedTree) member(path string) string {
	if t.below == "" {
		return path
	}
	return strings.TrimPrefix(path, t.below+"/")
}
