package supervisor

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/archive"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// snapshotTree is /workspace as it is in a snapshot: a sandbox that was started from it
// tells, in which our agent runs and nothing of the guest.
type snapshotTree struct {
	s    *supervisor
	name string
	b    *box
}

// snapshotTree starts the sandbox; its owner ends it.
func (s *supervisor) snapshotTree(ctx context.Context, name string) (*snapshotTree, error) {
	done, err := s.states.take(ctx) // nobody deletes it meanwhile
	if err != nil {
		return nil, err
	}
	defer done()
	now := s.recorded()
	source, err := now.Source(name)
	if err != nil {
		return nil, err
	}
	b, err := s.revive(ctx, s.box().engine, source.Disk, source.Back, s.second)
	if err != nil {
		if b != nil {
			err = errors.Join(err, s.release(ctx, b))
		}
		return nil, err
	}
	return &snapshotTree{s: s, name: name, b: b}, nil
}

// end ends the sandbox. What resists is freed with the workspace.
func (t *snapshotTree) end(ctx context.Context) { _ = t.s.release(ctx, t.b) }

func (t *snapshotTree) damaged(err error) error {
	return &api.Error{
		Kind: api.KindOf(err), Hint: "compare with another snapshot, or with the baseline",
		Err: fmt.Errorf("read snapshot %s: %w", t.name, err),
	}
}

// nodes implements former.
func (t *snapshotTree) nodes(ctx context.Context) ([]node, error) {
	var all []node
	_, err := t.b.agent().Walk(ctx, wire.WalkRequest{Path: api.WorkspacePath, Recursive: true}, func(e *wire.WalkEntry) error {
		switch n := (node{path: string(e.Path), mode: e.Mode}); e.Kind {
		case string(wire.File):
			n.kind, n.size = archive.KindFile, e.Size
			all = append(all, n)
		case string(wire.Symlink):
			n.kind, n.target = archive.KindSymlink, string(e.Target)
			all = append(all, n)
		case string(wire.Directory):
			n.kind = archive.KindDirectory
			all = append(all, n)
		}
		return nil
	})
	if err == nil {
		err = t.hash(ctx, all)
	}
	if err != nil {
		return nil, t.damaged(err)
	}
	return all, nil
}

// hash fills in the digests of files.
func (t *snapshotTree) hash(ctx context.Context, all []node) error {
	files := make([]*node, 0, len(all))
	for i := range all {
		if all[i].kind == archive.KindFile {
			files = append(files, &all[i])
		}
	}
	paths := func(yield func([]byte) bool) {
		for _, n := range files {
			if !yield([]byte(n.path)) {
				return
			}
		}
	}
	next := 0
	return t.b.agent().Hash(ctx, api.WorkspacePath, paths, func(d *wire.FileDigest) error {
		n := files[next]
		next++
		if d.Err != "" || len(d.SHA256) != sha256.Size || d.Size != n.size {
			return fmt.Errorf("%q cannot be read: %s", n.path, d.Err)
		}
		n.digest = [sha256.Size]byte(d.SHA256)
		return nil
	})
}

// contents implements former.
func (t *snapshotTree) contents(ctx context.Context, paths map[string]bool) (contents, error) {
	request := wire.PullRequest{Path: api.WorkspacePath}
	for path := range paths {
		request.Only = append(request.Only, []byte(path))
	}
	slices.SortFunc(request.Only, slices.Compare)
	if len(request.Only) == 0 {
		return &snapshotFiles{tree: t}, nil
	}
	f, err := t.s.scratchFile()
	if err != nil {
		return nil, err
	}
	p := &pulled{f: f}
	if _, err = t.b.agent().Pull(ctx, request, f); err == nil {
		err = p.read(ctx, paths)
	}
	if err != nil {
		p.close()
		return nil, t.damaged(err)
	}
	return &snapshotFiles{pulled: p, tree: t}, nil
}

// snapshotFiles are files of a snapshot that were fetched.
type snapshotFiles struct {
	*pulled
	tree *snapshotTree
}

func (f *snapshotFiles) close() {
	if f.pulled != nil {
		f.pulled.close()
	}
}

// read implements contents.
func (f *snapshotFiles) read(n *node) (io.ReaderAt, error) {
	if f.pulled != nil {
		for _, m := range slices.Backward(f.index[n.path]) {
			if m.kind != archive.KindFile || m.size != n.size {
				continue
			}
			body, digest, err := m.content(f.f)
			if err != nil {
				return nil, f.tree.damaged(err)
			}
			if digest == n.digest {
				return body, nil
			}
		}
	}
	return nil, f.tree.damaged(fmt.Errorf("%q is not as it was told", n.path))
}
