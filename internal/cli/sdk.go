package cli

import (
	"context"
	"errors"
	"time"

	"github.com/pyro-sandbox/pyro"
	"github.com/pyro-sandbox/pyro/api"
)

// openSDK opens the real client. environ is as in os.Environ.
func openSDK(environ []string) (client, error) {
	c, err := pyro.Open(&pyro.Options{Env: environ})
	if err != nil {
		return nil, err
	}
	return sdkClient{c}, nil
}

// sdkClient and its kin give the SDK the form that the commands ask for.
type sdkClient struct{ *pyro.Client }

func (c sdkClient) Create(ctx context.Context, r api.CreateRequest, seed *source, life lifetime) (workspace, error) {
	ws, err := c.Client.Create(ctx, r.Environment, &pyro.CreateOptions{
		Name: r.Name, Labels: r.Labels, Seed: seed.sdk(), Engine: r.Engine,
		VCPUs: r.VCPUCount, MemMiB: r.MemMiB, DiskMiB: r.DiskMiB,
		TTL: time.Duration(max(r.TTLSeconds, 0)) * time.Second, NoExpiry: r.TTLSeconds == api.Forever, Idle: time.Duration(r.IdleSeconds) * time.Second,
		NetworkPolicy: r.NetworkPolicy, AllowHostCompat: r.AllowHostCompat,
		Secrets: r.Secrets, OneShot: life == withUs,
	})
	if err != nil {
		return nil, err
	}
	return sdkWorkspace{ws}, nil
}

// sdk is the same in the SDK's words.
func (s *source) sdk() *pyro.Source {
	if s == nil {
		return nil
	}
	from := &pyro.Source{
		Path: s.Path, Exclude: s.Exclude, Gitignore: s.Gitignore, SkipSpecial: s.SkipSpecial,
		Whole: s.Whole, Progress: s.Progress,
	}
	if s.URL != "" {
		from.Repository = &pyro.Repository{URL: s.URL, Ref: s.Ref}
	}
	return from
}

func (c sdkClient) StartStopped(ctx context.Context, id string, req api.StartRequest) (*api.Workspace, error) {
	ws, err := c.Client.Start(ctx, id, req)
	if err != nil {
		return nil, err
	}
	return ws.Seen(), nil
}

func (c sdkClient) Get(ctx context.Context, id string) (workspace, error) {
	ws, err := c.Client.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	return sdkWorkspace{ws}, nil
}

type sdkWorkspace struct{ *pyro.Workspace }

func (w sdkWorkspace) Start(ctx context.Context, c command) (process, error) {
	cmd := w.Command(ctx, c.Argv[0], c.Argv[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.Timeout = c.Stdin, c.Stdout, c.Stderr, c.Timeout
	cmd.Env, cmd.SecretEnv, cmd.TTY = c.Env, c.SecretEnv, c.TTY
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return sdkProcess{cmd}, nil
}

func (w sdkWorkspace) Push(ctx context.Context, from source, destination string) (*api.Sync, error) {
	return w.Workspace.Push(ctx, from.sdk(), destination)
}

func (w sdkWorkspace) Files() files { return w.Workspace.Files() }

type sdkProcess struct{ *pyro.Cmd }

func (p sdkProcess) Wait() (*api.WorkspaceExec, error) {
	err := p.Cmd.Wait()
	if exit, ok := errors.AsType[*pyro.ExitError](err); ok {
		return exit.Result, nil
	}
	return p.Result(), err
}
