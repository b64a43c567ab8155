package pyro

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/source"
	"github.com/pyro-sandbox/pyro/internal/workspace"
)

// CreateOptions say what a workspace is to be like. Zero values mean the defaults,
// see [api.CreateRequest]; the limits stand there too.
type CreateOptions struct {
	Name          string            // for people; need not be unique
	Labels        map[string]string // for programs
	VCPUs         int
	MemMiB        int
	DiskMiB       int           // size of the writable layer
	TTL           time.Duration // how long it lives, rounded up to whole seconds; 0: as the machine's configuration says
	NoExpiry      bool          // it lives until it is deleted, where the configuration allows that; TTL is not looked at
	NetworkPolicy string        // api.NetworkOff and so on

	Idle   time.Duration // without use for so long it is stopped; rounded up to whole seconds, 0: never
	Engine string        // such as gvisor; empty: the best one that works
	Seed   *Source       // what is put into /workspace; nil: nothing. A Repository may take minutes

	// Secrets lie in /run/pyro-secrets before the first command, and are named in the
	// SecretEnv of those that need them in their environment. They are kept on this machine,
	// readable by its owner alone, until the workspace is deleted.
	Secrets []api.SecretValue

	// AllowHostCompat is consent, for this call, to run without isolation where no
	// isolating engine works.
	AllowHostCompat bool

	// OneShot ties the workspace to this process and to the returned value: when
	// either is gone, so is the workspace, without another command.
	OneShot bool
}

func (o *CreateOptions) request(environment string) (api.CreateRequest, error) {
	r := api.CreateRequest{
		Environment: environment, Name: o.Name, Labels: o.Labels,
		VCPUCount: o.VCPUs, MemMiB: o.MemMiB, DiskMiB: o.DiskMiB, TTLSeconds: seconds(o.TTL),
		NetworkPolicy: o.NetworkPolicy, AllowHostCompat: o.AllowHostCompat,
		IdleSeconds: seconds(o.Idle), Engine: o.Engine, Secrets: o.Secrets,
	}
	if o.TTL < 0 {
		return r, &api.Error{Kind: api.Invalid, Hint: "use NoExpiry for a workspace without an end", Err: fmt.Errorf("ttl is %v", o.TTL)}
	}
	if o.NoExpiry {
		r.TTLSeconds = api.Forever
	}
	return r, r.Check()
}

// seconds rounds away from zero, so that a short time does not become the default.
func seconds(d time.Duration) int {
	whole := d.Truncate(time.Second)
	switch {
	case d > whole:
		whole += time.Second
	case d < whole:
		whole -= time.Second
	}
	return int(whole / time.Second)
}

// Create makes a workspace, starts it, and returns when commands can run in it.
// The environment is a root file system by name, such as "host". nil options are
// the defaults. Options outside their limits are api.Invalid, and nothing is
// started. When it fails, or when ctx ends first, nothing is left of the workspace;
// to make sure of that Create may return up to ten seconds after ctx has ended.
func (c *Client) Create(ctx context.Context, environment string, opts *CreateOptions) (*Workspace, error) {
	if opts == nil {
		opts = &CreateOptions{}
	}
	launch, seed, err := c.plan(ctx, environment, opts)
	if err != nil {
		return nil, api.About(opCreate, "", err)
	}
	if ctx.Err() != nil {
		return nil, ended(ctx, opCreate, "")
	}
	if c.remote != nil {
		return c.remote.create(ctx, c, launch, seed)
	}
	s, err := c.spawn(newID())
	if err != nil {
		return nil, api.About(opCreate, "", err)
	}
	launched, err := s.negotiate(ctx, opCreate, launch, seed)
	if err != nil {
		_ = s.conn.Close()
		return nil, err
	}
	ws := c.meet(s.id, launched)
	if launch.Lease {
		ws.lease = s.conn
	} else {
		_ = s.conn.Close()
	}
	if ctx.Err() != nil { // too late for the supervisor to notice
		return nil, ws.abandon(ctx)
	}
	return ws, nil
}

const opCreate = "create workspace"

// plan is what the supervisor of a new workspace is told, and the seed that follows;
// nil: nothing does.
func (c *Client) plan(ctx context.Context, environment string, opts *CreateOptions) (workspace.Launch, *source.Source, error) {
	launch := workspace.Launch{Kind: workspace.KindWorkspace}
	if opts.OneShot {
		launch.Kind, launch.Lease = workspace.KindRun, true
	}
	var err error
	if launch.Request, err = opts.request(environment); err != nil || opts.Seed == nil {
		return launch, nil, err
	}
	seed, origin, err := c.openSeed(ctx, opts.Seed)
	if err != nil {
		return launch, nil, err
	}
	launch.Request.Seed = origin
	launch.PackedAt = packedAt(opts.Seed)
	return launch, seed, nil
}

// packedAt is when the tree of a seed is looked at first; 0: nobody knows.
func packedAt(seed *Source) api.Timestamp {
	switch {
	case seed.Stream == nil:
		return api.At(time.Now())
	case seed.Stream.PackedAt.IsZero():
		return 0
	}
	return api.At(seed.Stream.PackedAt)
}

// meet returns the workspace that a supervisor has just made or started.
func (c *Client) meet(id string, launched *workspace.Launched) *Workspace {
	ws := c.attach(id, launched.Workspace)
	if launched.Hello != nil {
		_ = ws.control.meet(launched.Hello) // a refusal comes again with the first request
	}
	return ws
}

// abandon deletes a workspace that nobody waits for any more.
func (w *Workspace) abandon(ctx context.Context) error {
	cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
	defer cancel()
	_, _ = w.Delete(cleanup) // what is left then ends with its time to live
	return ended(ctx, opCreate, w.id)
}

// newID returns 48 random bits, so many that two workspaces never meet.
func newID() string {
	var b [6]byte
	_, _ = rand.Read(b[:]) // never fails, see crypto/rand
	return hex.EncodeToString(b[:])
}
