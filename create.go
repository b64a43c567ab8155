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
	Seed   *Source       // what is put into /workspace; nil: nothing

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
		IdleSeconds: seconds(o.Idle), Engine: o.Engine,
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
	request, err := opts.request(environment)
	if err != nil {
		return nil, named(opCreate, "", err)
	}
	launch := workspace.Launch{Kind: workspace.KindWorkspace, Request: request}
	if opts.OneShot {
		launch.Kind, launch.Lease = workspace.KindRun, true
	}
	var seed *source.Source
	if opts.Seed != nil {
		if seed, err = c.openSource(opts.Seed); err != nil {
			return nil, named(opCreate, "", err)
		}
		path := seed.Path()
		launch.Request.Seed = &api.Seed{Mode: seed.Mode(), SeedPath: &path, Destination: api.WorkspacePath}
		launch.PackedAt = api.At(time.Now())
	}
	if ctx.Err() != nil {
		return nil, ended(ctx, opCreate, "")
	}
	id := newID()
	s, err := c.spawn(id)
	if err != nil {
		return nil, about(opCreate, "", err)
	}
	launched, err := s.negotiate(ctx, opCreate, launch, seed)
	if err != nil {
		_ = s.conn.Close()
		return nil, err
	}
	ws := c.attach(id, launched.Workspace)
	if launched.Hello != nil {
		_ = ws.control.meet(launched.Hello) // a refusal comes again with the first request
	}
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
