package pyro

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/clone"
	"github.com/pyro-sandbox/pyro/internal/source"
	"github.com/pyro-sandbox/pyro/internal/store"
)

// Repository is a git repository by its address, as the source of a workspace. This
// machine's git fetches it, with the history of what is wanted: workspaces have no network
// of their own. No work tree of it is made here, nothing that it brings is run, and it is
// kept in the cache by commit; docs/seeding.md says what else holds.
type Repository struct {
	// URL begins with https://, http://, ssh://, git:// or file://, or is USER@HOST:PATH.
	// USER:PASSWORD@ is for that host alone, and neither kept nor shown.
	URL string

	Ref    string // a branch, a tag, or a commit by all of its digits; empty: the default branch
	Commit string // take this one, wherever Ref has moved since; empty: what Ref is now
}

// reposDir is where clones are kept, in the cache.
const reposDir = "repositories"

// Resolve returns the commit that Ref stands for now. Errors: api.Invalid for an
// address or a ref that is none, api.NotFound, api.Denied where somebody has to log in,
// api.Unavailable where the other side cannot be reached within a minute, and
// api.Unsupported without git.
func (c *Client) Resolve(ctx context.Context, r Repository) (string, error) {
	const op = "look at repository"
	parsed, err := clone.Parse(r.URL, r.Ref)
	if err != nil {
		return "", api.About(op, "", err)
	}
	opts, err := c.clones()
	if err != nil {
		return "", api.About(op, "", err)
	}
	commit, err := parsed.Resolve(ctx, opts)
	return commit, api.About(op, "", interrupted(ctx, err))
}

// Check tells, without asking anybody, whether URL and Ref can be ones; api.Invalid.
func (r Repository) Check() error {
	_, err := clone.Parse(r.URL, r.Ref)
	return err
}

// String is URL@REF, without whatever logs in there; just the URL where there is no Ref.
func (r Repository) String() string {
	parsed, err := clone.Parse(r.URL, r.Ref)
	switch {
	case err != nil:
		return "a repository"
	case r.Ref == "":
		return parsed.String()
	}
	return parsed.String() + "@" + r.Ref
}

// interrupted keeps the errors of an ended context what they are.
func interrupted(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil && api.KindOf(err) == api.Internal {
		return ended(ctx, "", "")
	}
	return err
}

// clones is the place for clones, made if it is missing.
func (c *Client) clones() (clone.Options, error) {
	dir, err := c.cacheDir(reposDir)
	return clone.Options{Dir: dir, Environ: c.env}, err
}

// cacheDir makes a directory of our own in the cache, which sandboxes of root have to pass.
func (c *Client) cacheDir(name string) (string, error) {
	mode := fs.FileMode(0o700)
	if os.Geteuid() == 0 {
		mode = 0o755
	}
	cache := c.dirs.Cache
	if _, err := os.Lstat(cache); errors.Is(err, fs.ErrNotExist) {
		if err := store.MakeCacheDir(cache, mode); err != nil {
			return "", err
		}
	}
	dir := filepath.Join(cache, name)
	return dir, store.MakeDir(dir, 0o700)
}

// openSeed opens what a workspace is to begin with, and tells how it is to be recorded.
func (c *Client) openSeed(ctx context.Context, from *Source) (*source.Source, *api.Seed, error) {
	if from.Repository != nil {
		return c.openRepository(ctx, from)
	}
	seed, err := c.openSource(from)
	if err != nil {
		return nil, nil, err
	}
	if from.Stream != nil {
		origin, err := from.Stream.origin()
		return seed, origin, err
	}
	path := seed.Path()
	kind := cmp.Or(from.Origin, api.OriginManual)
	return seed, &api.Seed{
		Mode: seed.Mode(), SeedPath: &path, Destination: api.WorkspacePath, OriginKind: &kind, OriginRef: &path,
	}, nil
}

// origin is how a stream is recorded. What it held is counted when it comes.
func (s *Stream) origin() (*api.Seed, error) {
	seed := s.Seed
	seed.Mode = cmp.Or(seed.Mode, api.SeedTarArchive)
	seed.Destination, seed.EntryCount, seed.BytesWritten, seed.SkippedCount = api.WorkspacePath, 0, 0, 0
	return &seed, seed.Check()
}

func twoSources(other string) error {
	return &api.Error{Kind: api.Invalid, Hint: "give one of them", Err: errors.New(other + " and something else cannot both be the source")}
}

// openRepository fetches a repository. It is a directory to whoever gets it; that it is
// an archive on the way is ours.
func (c *Client) openRepository(ctx context.Context, from *Source) (*source.Source, *api.Seed, error) {
	if from.Path != "" || from.Stream != nil {
		return nil, nil, twoSources("a repository")
	}
	repo := *from.Repository
	parsed, err := clone.Parse(repo.URL, repo.Ref)
	if err != nil {
		return nil, nil, err
	}
	opts, err := c.clones()
	if err != nil {
		return nil, nil, err
	}
	got, err := parsed.Fetch(ctx, opts, repo.Commit)
	if err != nil {
		return nil, nil, interrupted(ctx, err)
	}
	archived := *from
	archived.Repository, archived.Path, archived.Gitignore = nil, got.Path, false // nothing is in it that git ignores
	seed, err := c.openSource(&archived)
	if err != nil {
		return nil, nil, err
	}
	kind, ref := cmp.Or(from.Origin, api.OriginRepository), repo.String()
	return seed, &api.Seed{
		Mode: api.SeedDirectory, Destination: api.WorkspacePath, OriginKind: &kind, OriginRef: &ref, OriginCommit: &got.Commit,
	}, nil
}
