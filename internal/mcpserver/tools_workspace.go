package mcpserver

import (
	"context"
	"time"

	"github.com/pyro-sandbox/pyro"
	"github.com/pyro-sandbox/pyro/api"
)

// named is a call about one workspace.
type named struct {
	WorkspaceID string `json:"workspace_id"`
}

type none struct{}

type createArguments struct {
	Environment     string            `json:"environment" jsonschema:"host: this machine's programs, read-only"`
	VCPUCount       int               `json:"vcpu_count,omitempty" limits:"default=1,min=1,max=8"`
	MemMiB          int               `json:"mem_mib,omitempty" limits:"default=1024,min=256,max=32768"`
	TTLSeconds      int               `json:"ttl_seconds,omitempty" jsonschema:"deleted then" limits:"default=600,min=60"`
	AllowHostCompat bool              `json:"allow_host_compat,omitempty" jsonschema:"consent to no isolation if none works"`
	SeedPath        string            `json:"seed_path,omitempty" jsonschema:"host directory or tar for /workspace"`
	Name            string            `json:"name,omitempty"`
	Labels          map[string]string `json:"labels,omitempty"`
}

type fullCreateArguments struct {
	createArguments
	NetworkPolicy string              `json:"network_policy,omitempty" limits:"default=off,enum=off|egress|egress+published-ports"`
	Secrets       []map[string]string `json:"secrets,omitempty" jsonschema:"each {name, value} or {name, file_path}"`
}

var createTool = tool{
	name: "workspace_create", title: "Create a workspace", first: true,
	says:    "Make an isolated Linux workspace and return its workspace_id for all other calls. Example: {\"environment\":\"host\",\"ttl_seconds\":3600}.",
	effects: effects{runsOutside: true},
}

func createCore() tool {
	return define(createTool, func(ctx context.Context, c *call, in createArguments) (*api.Workspace, error) {
		return c.create(ctx, fullCreateArguments{createArguments: in})
	})
}

func createFull() tool {
	return define(createTool, func(ctx context.Context, c *call, in fullCreateArguments) (*api.Workspace, error) {
		return c.create(ctx, in)
	})
}

func (c *call) create(ctx context.Context, in fullCreateArguments) (*api.Workspace, error) {
	client, err := c.client()
	if err != nil {
		return nil, err
	}
	seed, err := c.project.source(ctx, in.SeedPath)
	if err != nil {
		return nil, err
	}
	ws, err := client.Create(ctx, in.Environment, &pyro.CreateOptions{
		Name: in.Name, Labels: in.Labels, VCPUs: in.VCPUCount, MemMiB: in.MemMiB,
		TTL: time.Duration(in.TTLSeconds) * time.Second, NetworkPolicy: in.NetworkPolicy,
		Seed: seed, AllowHostCompat: in.AllowHostCompat,
	})
	if err != nil {
		return nil, err
	}
	return ws.Seen(), nil
}

func workspaceTools() []tool {
	return []tool{
		define(tool{
			name: "workspace_list", title: "List workspaces",
			says: "List all workspaces, the last used first.", effects: effects{reads: true},
		}, func(ctx context.Context, c *call, _ none) (*api.WorkspaceList, error) {
			client, err := c.client()
			if err != nil {
				return nil, err
			}
			return client.List(ctx)
		}),
		define(tool{
			name: "workspace_status", title: "Show a workspace",
			says: "Return state, limits, expiry and last command of a workspace.", effects: effects{reads: true},
		}, about((*pyro.Workspace).Status)),
		define(tool{
			name: "workspace_delete", title: "Delete a workspace",
			says: "Delete a workspace with everything in it.", effects: effects{destroys: true, idempotent: true},
		}, about((*pyro.Workspace).Delete)),
	}
}

// about makes a handler of what needs nothing but the workspace.
func about[Out any](do func(*pyro.Workspace, context.Context) (*Out, error)) func(context.Context, *call, named) (*Out, error) {
	return func(ctx context.Context, c *call, in named) (*Out, error) {
		ws, err := c.workspace(ctx, in.WorkspaceID)
		if err != nil {
			return nil, err
		}
		return do(ws, ctx)
	}
}
