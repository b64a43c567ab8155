package mcpserver

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/pyro-sandbox/pyro"
	"github.com/pyro-sandbox/pyro/api"
)

// Project is what workspaces are seeded with where a call names nothing else. It is fixed
// when the server starts; the zero value is none.
type Project struct {
	path     string // a directory or archive of the host, without links in it
	checkout bool   // it is a git work tree: what git ignores is left out
	found    bool   // nobody named it
	repo     *repository
}

// repository is one by its address. Which commit it is is asked with the first workspace,
// and stays for all.
type repository struct {
	pyro.Repository
	turn chan struct{} // of one: who holds it may look at the commit, and set it
}

// ProjectOptions are what FindProject is told. Path, URL and None exclude each other.
type ProjectOptions struct {
	Path     string
	URL, Ref string
	None     bool
}

// FindProject fixes the project of a server. Where nothing is said it is the git checkout
// that the working directory lies in, if it lies in one that is not the home directory
// itself or above it: nobody means all of that. Nothing is read or fetched yet. Errors are
// api.NotFound for a path, and api.Invalid for an address or ref that is none.
func FindProject(o ProjectOptions) (Project, error) {
	switch {
	case o.None:
		return Project{}, nil
	case o.URL != "":
		r := &repository{Repository: pyro.Repository{URL: o.URL, Ref: o.Ref}, turn: make(chan struct{}, 1)}
		return Project{repo: r}, api.About("serve MCP", "", r.Check())
	case o.Path != "":
		return projectAt(o.Path)
	}
	dir, err := os.Getwd()
	if err != nil {
		return Project{}, nil // it was removed: there is no project in it
	}
	home, _ := os.UserHomeDir()
	root := checkoutOf(dir, home)
	return Project{path: root, checkout: root != "", found: root != ""}, nil
}

// checkoutOf returns the git work tree that a directory lies in; empty: none that is to
// be taken.
func checkoutOf(dir, home string) string {
	if whole, err := filepath.EvalSymlinks(dir); err == nil {
		dir = whole
	}
	if whole, err := filepath.EvalSymlinks(home); err == nil {
		home = whole
	}
	for ; ; dir = filepath.Dir(dir) {
		if dir == filepath.Dir(dir) || home != "" && strings.HasPrefix(home+"/", dir+"/") {
			return ""
		}
		if isCheckout(dir) {
			return dir
		}
	}
}

// isCheckout tells a work tree by its .git: a directory with a HEAD, or the file of a
// linked work tree or a submodule, which names the repository's place.
func isCheckout(dir string) bool {
	git := filepath.Join(dir, ".git")
	info, err := os.Stat(git)
	if err != nil {
		return false
	}
	if info.IsDir() {
		_, err := os.Lstat(filepath.Join(git, "HEAD"))
		return err == nil
	}
	return info.Mode().IsRegular() && strings.HasPrefix(head(git), "gitdir: ")
}

// head is how a file begins.
func head(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }()
	var b [8]byte
	n, _ := f.Read(b[:])
	return string(b[:n])
}

// projectAt resolves links once, at the start: where one leads to later changes nothing.
func projectAt(path string) (Project, error) {
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		if home, err := os.UserHomeDir(); err == nil {
			path = filepath.Join(home, rest)
		}
	}
	whole, err := filepath.Abs(path)
	if err == nil {
		whole, err = filepath.EvalSymlinks(whole)
	}
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%s does not exist", path)
		}
		return Project{}, &api.Error{
			Kind: api.NotFound, Op: "serve MCP", Hint: "give --project-path a directory or archive that there is", Err: err,
		}
	}
	return Project{path: whole, checkout: isCheckout(whole)}, nil
}

// says is the sentence about it in descriptions.
func (p Project) says() string {
	switch {
	case p.repo != nil:
		return fmt.Sprintf(" Without seed_path /workspace holds %s.", clip(p.repo.String()))
	case p.checkout:
		return fmt.Sprintf(" Without seed_path /workspace holds %s, without what git ignores.", clip(p.path))
	case p.path != "":
		return fmt.Sprintf(" Without seed_path /workspace holds %s.", clip(p.path))
	}
	return ""
}

// source is the seed for a call that names path, which may be empty.
func (p Project) source(ctx context.Context, client *pyro.Client, path string) (*pyro.Source, error) {
	switch {
	case path != "":
		return &pyro.Source{Path: path}, nil
	case p.repo != nil:
		return p.repo.source(ctx, client)
	case p.found:
		return &pyro.Source{Path: p.path, Gitignore: true, Origin: api.OriginCheckout}, nil
	case p.path != "":
		return &pyro.Source{Path: p.path, Gitignore: p.checkout, Origin: api.OriginProject}, nil
	}
	return nil, nil
}

func (r *repository) source(ctx context.Context, client *pyro.Client) (*pyro.Source, error) {
	select {
	case r.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-r.turn }()
	if r.Commit == "" {
		commit, err := client.Resolve(ctx, r.Repository)
		if err != nil {
			return nil, err
		}
		r.Commit = commit
	}
	fixed := r.Repository
	return &pyro.Source{Repository: &fixed}, nil
}
