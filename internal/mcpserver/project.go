package mcpserver

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/pyro-sandbox/pyro"
	"github.com/pyro-sandbox/pyro/api"
)

// Project is what workspaces are seeded with where a call names nothing else. It is fixed
// when the server starts; the zero value is none.
type Project struct {
	Path string // a directory or archive of the host
	URL  string // a git repository
	Ref  string // of URL: a branch, tag or commit; empty: its default branch
}

// ProjectOptions are what FindProject is told. Path, URL and None exclude each other.
type ProjectOptions struct {
	Path     string
	URL, Ref string
	None     bool
}

// FindProject fixes the project of a server. Where nothing is said it is the git checkout
// that the working directory lies in, if it lies in one. Nothing is read or fetched yet.
func FindProject(o ProjectOptions) (Project, error) {
	switch {
	case o.None:
		return Project{}, nil
	case o.URL != "":
		return Project{URL: o.URL, Ref: o.Ref}, nil
	case o.Path != "":
		return projectAt(o.Path)
	}
	dir, err := os.Getwd()
	if err != nil {
		return Project{}, nil // it was removed: there is no project in it
	}
	for {
		if _, err := os.Lstat(filepath.Join(dir, ".git")); err == nil {
			return Project{Path: dir}, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return Project{}, nil
		}
		dir = parent
	}
}

// projectAt resolves links once, at the start: where one leads to later changes nothing.
func projectAt(path string) (Project, error) {
	whole, err := filepath.Abs(path)
	if err == nil {
		whole, err = filepath.EvalSymlinks(whole)
	}
	if err != nil {
		return Project{}, &api.Error{
			Kind: api.NotFound, Op: "serve MCP", Hint: "give --project-path a directory or archive that there is", Err: err,
		}
	}
	return Project{Path: whole}, nil
}

// says is the sentence about it in descriptions.
func (p Project) says() string {
	switch {
	case p.URL != "" && p.Ref != "":
		return fmt.Sprintf(" Without seed_path /workspace holds %s at %s.", clip(p.URL), clip(p.Ref))
	case p.URL != "":
		return fmt.Sprintf(" Without seed_path /workspace holds %s.", clip(p.URL))
	case p.Path != "":
		return fmt.Sprintf(" Without seed_path /workspace holds %s.", clip(p.Path))
	}
	return ""
}

// source is the seed for a call that names path, which may be empty.
func (p Project) source(_ context.Context, path string) (*pyro.Source, error) {
	switch {
	case path != "":
		return &pyro.Source{Path: path}, nil
	case p.Path != "":
		return &pyro.Source{Path: p.Path}, nil
	}
	return nil, nil
}
