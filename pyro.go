package pyro

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/store"
	"github.com/pyro-sandbox/pyro/internal/workspace"
)

// Options say where things are. Empty fields are found as the command line finds
// them; relative paths count from the current directory.
type Options struct {
	Binary   string   // the pyro executable; else PYRO_BINARY, else beside this program, else in PATH
	StateDir string   // else PYRO_STATE_DIR, XDG_STATE_HOME/pyro or ~/.local/state/pyro
	RunDir   string   // sockets, a short path; else PYRO_RUN_DIR or the system's place for them
	CacheDir string   // else PYRO_CACHE_DIR, XDG_CACHE_HOME/pyro or ~/.cache/pyro
	Env      []string // "K=V"; nil: os.Environ()

	// URL is that of a `pyro serve` which makes and holds the workspaces in place of this
	// machine: unix:///PATH, https://HOST:PORT, or http://HOST:PORT on this machine; else
	// PYRO_URL; empty: this machine does. Token lets in there; else PYRO_TOKEN, else what is
	// in the file of PYRO_TOKEN_FILE. PYRO_CA_FILE names certificates to trust beside the
	// system's.
	URL   string
	Token string
}

// Client makes, finds and deletes the workspaces of one state directory. It holds
// nothing that needs closing: connections to a server that nobody uses end by themselves.
type Client struct {
	binary string // as in Options; found when it is needed
	env    environ
	dirs   store.Dirs
	store  *store.Store // nil where another machine has the workspaces
	remote *remote      // nil: this one has them

	patience time.Duration // with others who are at a workspace, see turnPatience
}

// Open returns a client. It makes the directories that are missing and refuses
// those that others could write to; it starts nothing. nil options are the defaults.
func Open(opts *Options) (*Client, error) {
	if opts == nil {
		opts = &Options{}
	}
	env := environ(opts.Env)
	if env == nil {
		env = os.Environ()
	}
	for key, dir := range map[string]string{envStateDir: opts.StateDir, envRunDir: opts.RunDir, envCacheDir: opts.CacheDir} {
		if dir == "" {
			continue
		}
		abs, err := filepath.Abs(dir)
		if err != nil {
			return nil, api.About("open", "", err)
		}
		env = env.with(key, abs)
	}
	dirs, err := store.FindDirs(env.get, os.Geteuid())
	if err != nil {
		return nil, err
	}
	c := &Client{binary: opts.Binary, env: env, dirs: dirs, patience: turnPatience}
	if c.remote, err = findRemote(opts, env); err != nil {
		return nil, err
	}
	if c.remote != nil {
		c.patience = 0 // whoever has the workspace waits
		return c, nil
	}
	c.store, err = store.Open(dirs)
	return c, err
}

// Get returns a workspace that exists, in whatever state it is; api.NotFound where
// there is none. It reads the record and asks nobody but a server.
func (c *Client) Get(ctx context.Context, id string) (*Workspace, error) {
	if c.remote != nil {
		return c.remote.get(ctx, c, id)
	}
	return c.find(ctx, workspace.KindWorkspace, id)
}

// find is Get of what is of a kind.
func (c *Client) find(ctx context.Context, kind workspace.Kind, id string) (*Workspace, error) {
	var seen *api.Workspace
	if kind == workspace.KindVM {
		r, err := workspace.StatusOfVM(ctx, c.store, id)
		if err != nil {
			return nil, err
		}
		seen = r.View("")
	} else {
		var err error
		if seen, err = workspace.Find(ctx, c.store, id); err != nil {
			return nil, err
		}
	}
	return c.attach(id, seen), nil
}

// List returns all workspaces, the most recently used first. A broken one is listed
// as such and stops nothing; one-shot ones are left out.
func (c *Client) List(ctx context.Context) (*api.WorkspaceList, error) {
	if c.remote != nil {
		return askRemote[api.WorkspaceList](ctx, c.remote, question{op: "list workspaces", method: http.MethodGet, path: "/v1/workspaces", limit: maxLogs}, nil)
	}
	return workspace.List(ctx, c.store)
}

// Delete deletes a workspace in whatever state it is, as [Workspace.Delete] does.
func (c *Client) Delete(ctx context.Context, id string) (*api.WorkspaceDelete, error) {
	if err := api.CheckID(id); err != nil {
		return nil, api.About("delete workspace", "", err)
	}
	if c.remote == nil && workspace.IsVM(c.store, id) {
		return nil, workspace.NoWorkspace(id)
	}
	return c.attach(id, nil).Delete(ctx)
}

// ended is the error of an operation whose context has ended.
func ended(ctx context.Context, op, id string) error {
	kind := api.Canceled
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		kind = api.Timeout
	}
	return &api.Error{Kind: kind, Op: op, ID: id, Err: ctx.Err()}
}

func statusHint(id string) string {
	return "`pyro workspace status " + id + "` shows what became of it"
}
