package source

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"strings"

	"github.com/pyro-sandbox/pyro/internal/archive"
)

// sink takes what is wanted of a source, in the order of the archive.
type sink interface {
	dir(name string, info archive.Info) error
	file(name string, info archive.Info, content []byte) error
	// tree takes what is at path below root, with names below prefix; a directory
	// itself is not taken.
	tree(root *archive.Root, path, prefix string) error
}

// choice says, while trees are walked, what of them is wanted.
type choice struct {
	ctx    context.Context
	source *Source
	root   *archive.Root
	links  []gitLink // repositories to be carried along, as they are met

	repo *repository // that which is being carried along, or nil
	from *archive.Root
	err  error // what a callback could not return
}

// choose opens the directory and puts what is wanted of it into the sink that start
// makes.
func (s *Source) choose(ctx context.Context, start func(*choice) sink) error {
	root, err := archive.OpenRoot(s.path)
	if err != nil {
		return err
	}
	defer root.Close()
	c := &choice{ctx: ctx, source: s, root: root}
	if s.ignored != nil {
		if err := s.ignored.ask(ctx, ""); err != nil {
			return err
		}
	}
	to := guarded{start(c), c}
	if err := to.tree(root, "", ""); err != nil {
		return err
	}
	for _, link := range c.links {
		if err := c.carry(to, link); err != nil {
			return err
		}
	}
	return nil
}

func (c *choice) carry(to sink, link gitLink) error {
	repo, err := openRepository(c.source.path, link)
	if err != nil {
		return err
	}
	defer repo.close()
	c.repo = repo
	defer func() { c.repo = nil }()
	return repo.carry(to)
}

// guarded returns what went wrong in a callback as the error of the walk, and asks
// about what comes from no walk.
type guarded struct {
	sink
	c *choice
}

func (g guarded) dir(name string, info archive.Info) error {
	if g.c.source.excluded.excludesBelow(name, true) {
		return nil
	}
	return g.sink.dir(name, info)
}

func (g guarded) file(name string, info archive.Info, content []byte) error {
	if g.c.source.excluded.excludesBelow(name, false) {
		return nil
	}
	return g.sink.file(name, info, content)
}

func (g guarded) tree(root *archive.Root, path, prefix string) error {
	g.c.from = root
	err := g.sink.tree(root, path, prefix)
	if g.c.err != nil {
		return g.c.err
	}
	return err
}

// skip reports whether the member at name stays out, and with it what is below.
func (c *choice) skip(name string, info archive.Info) bool {
	if c.err != nil {
		return true
	}
	dir := info.Kind == archive.KindDirectory
	if c.repo != nil {
		return c.source.excluded.excludesBelow(name, dir) || c.repo.skips(c.from, strings.TrimPrefix(name, c.repo.at+"/"))
	}
	if c.source.excluded.excludes(name, dir) {
		return true
	}
	if strings.Contains("/"+name, "/.git/") {
		// The socket of a git that watches this work tree for changes.
		return info.Kind == archive.KindSpecial && info.Name == "fsmonitor--daemon.ipc"
	}
	switch {
	case c.source.ignored != nil && c.source.ignored.names[name]:
		return true
	case dir && c.source.ignored != nil:
		c.err = c.askNested(name)
	case info.Kind == archive.KindFile && info.Name == ".git":
		return c.isElsewhere(name)
	}
	return c.err != nil
}

// askNested asks git about the directory at name if a repository of its own is there;
// that around it knows nothing of what is in it.
func (c *choice) askNested(name string) error {
	if path.Base(name) == ".git" {
		return nil
	}
	info, err := c.root.Stat(name + "/.git")
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
		return nil // whatever it is, the walk will say so
	case err != nil:
		return err
	case info.Kind != archive.KindDirectory && info.Kind != archive.KindFile:
		return nil
	}
	return c.source.ignored.ask(c.ctx, name)
}

// isElsewhere notes the file .git at name if its repository has to be carried along.
func (c *choice) isElsewhere(name string) bool {
	link, ok, err := readGitFile(c.root, c.source.path, name)
	switch {
	case err != nil:
		c.err = err
	case ok:
		c.links = append(c.links, link)
	}
	return ok || err != nil
}
