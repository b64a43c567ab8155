package mcpserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pyro-sandbox/pyro"
	"github.com/pyro-sandbox/pyro/api"
)

// named is a call about one workspace.
type named struct {
	WorkspaceID string `json:"workspace_id"`
}

type none struct{}

// workspaceAnswer is the contract's Workspace.
type workspaceAnswer struct {
	api.Workspace
	part
}

func answered(ws *api.Workspace, err error) (*workspaceAnswer, error) {
	if err != nil {
		return nil, err
	}
	return &workspaceAnswer{Workspace: *ws}, nil
}

// createArguments stand in the contract's order, which for the profile with networks and
// secrets has theirs in between.
type createArguments struct {
	Environment     string            `json:"environment" jsonschema:"host: this machine's programs, read-only"`
	VCPUCount       int               `json:"vcpu_count,omitempty" limits:"default=1,min=1,max=8"`
	MemMiB          int               `json:"mem_mib,omitempty" limits:"default=1024,min=256,max=32768"`
	TTLSeconds      int               `json:"ttl_seconds,omitempty" jsonschema:"deleted then" limits:"default=600,min=60"`
	AllowHostCompat bool              `json:"allow_host_compat,omitempty" jsonschema:"consent to no isolation" limits:"default=false"`
	SeedPath        string            `json:"seed_path,omitempty" jsonschema:"host directory or tar for /workspace"`
	Name            string            `json:"name,omitempty"`
	Labels          map[string]string `json:"labels,omitempty"`
}

type fullCreateArguments struct {
	Environment     string              `json:"environment" jsonschema:"host: this machine's programs, read-only"`
	VCPUCount       int                 `json:"vcpu_count,omitempty" limits:"default=1,min=1,max=8"`
	MemMiB          int                 `json:"mem_mib,omitempty" limits:"default=1024,min=256,max=32768"`
	TTLSeconds      int                 `json:"ttl_seconds,omitempty" jsonschema:"deleted then" limits:"default=600,min=60"`
	NetworkPolicy   string              `json:"network_policy,omitempty" limits:"default=off,enum=off|egress|egress+published-ports"`
	AllowHostCompat bool                `json:"allow_host_compat,omitempty" jsonschema:"consent to no isolation" limits:"default=false"`
	SeedPath        string              `json:"seed_path,omitempty" jsonschema:"host directory or tar for /workspace"`
	Secrets         []map[string]string `json:"secrets,omitempty" jsonschema:"each {name, value} or {name, file_path}"`
	Name            string              `json:"name,omitempty"`
	Labels          map[string]string   `json:"labels,omitempty"`
}

var createTool = tool{
	name: "workspace_create", title: "Create a workspace", first: true,
	says:    "Make an isolated Linux workspace and return its workspace_id for all other calls. Example: {\"environment\":\"host\",\"ttl_seconds\":3600}.",
	effects: effects{runsOutside: true},
}

func createCore() tool {
	return define(createTool, func(ctx context.Context, c *call, in createArguments) (*workspaceAnswer, error) {
		return c.create(ctx, fullCreateArguments{
			Environment: in.Environment, VCPUCount: in.VCPUCount, MemMiB: in.MemMiB, TTLSeconds: in.TTLSeconds,
			AllowHostCompat: in.AllowHostCompat, SeedPath: in.SeedPath, Name: in.Name, Labels: in.Labels,
		})
	})
}

func createFull() tool {
	return define(createTool, func(ctx context.Context, c *call, in fullCreateArguments) (*workspaceAnswer, error) {
		return c.create(ctx, in)
	})
}

func (c *call) create(ctx context.Context, in fullCreateArguments) (*workspaceAnswer, error) {
	secrets, err := readSecrets(in.Secrets)
	if err != nil {
		return nil, err
	}
	client, err := c.client()
	if err != nil {
		return nil, err
	}
	seed, err := c.project.source(ctx, client, in.SeedPath)
	if err != nil {
		return nil, err
	}
	ws, err := client.Create(ctx, in.Environment, &pyro.CreateOptions{
		Name: in.Name, Labels: in.Labels, VCPUs: c.ifGiven("vcpu_count", in.VCPUCount), MemMiB: c.ifGiven("mem_mib", in.MemMiB),
		TTL: c.ttl(in.TTLSeconds), NetworkPolicy: in.NetworkPolicy,
		Seed: seed, AllowHostCompat: in.AllowHostCompat, Secrets: secrets,
	})
	if err != nil {
		return nil, err
	}
	return answered(ws.Seen(), nil)
}

// readSecrets takes secrets as the contract has them: a name, and either the value or the
// file of this machine that is the value.
func readSecrets(given []map[string]string) ([]api.SecretValue, error) {
	var all []api.SecretValue
	for i, s := range given {
		for key := range s {
			if !slices.Contains([]string{"name", "value", "file_path"}, key) {
				return nil, badSecret(i, fmt.Sprintf("has the unknown key %q", clip(key)))
			}
		}
		value, literal := s["value"]
		file, isFile := s["file_path"]
		secret := api.SecretValue{Name: s["name"], Value: api.Masked(value), SourceKind: api.SecretLiteral}
		switch {
		case literal == isFile:
			return nil, badSecret(i, "needs exactly one of value and file_path")
		case api.CheckSecretName(secret.Name) != nil:
			return nil, api.CheckSecretName(secret.Name)
		case isFile:
			text, err := readSecret(file)
			if err != nil {
				return nil, &api.Error{
					Kind: api.Invalid, Hint: "name a file that you can read",
					Err: fmt.Errorf("secret %s: %s: %w", secret.Name, clip(file), err),
				}
			}
			secret.Value, secret.SourceKind = api.Masked(text), api.SecretFromFile
		}
		if err := secret.Check(); err != nil {
			return nil, err
		}
		all = append(all, secret)
	}
	return all, api.CheckSecrets(all)
}

func badSecret(i int, what string) error {
	return &api.Error{
		Kind: api.Invalid, Hint: `give {"name": N, "value": V} or {"name": N, "file_path": P}`,
		Err: fmt.Errorf("secrets[%d] %s", i, what),
	}
}

// readSecret reads a file whole, the end of its last line too. Only a regular one: others
// may never end.
func readSecret(path string) (string, error) {
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		path = filepath.Join(home, rest)
	}
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is no regular file")
	}
	var f *os.File
	if err == nil {
		f, err = os.Open(path)
	}
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		err = p.Err // whose path the caller names
	}
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, api.MaxSecretBytes+1))
	return string(text), err
}

// listAnswer is the contract's WorkspaceList. Count counts all there are.
type listAnswer struct {
	api.WorkspaceList
	part
	Next *string `json:"next"` // the call that gets the rest; null: there is none
}

type listArguments struct {
	Offset int `json:"offset,omitempty" jsonschema:"skip so many" limits:"min=0"`
}

func listTool() tool {
	return define(tool{
		name: "workspace_list", title: "List workspaces",
		says: "List all workspaces, the last used first.", effects: effects{reads: true},
	}, func(ctx context.Context, c *call, in listArguments) (*listAnswer, error) {
		client, err := c.client()
		if err != nil {
			return nil, err
		}
		all, err := client.List(ctx)
		if err != nil {
			return nil, err
		}
		rest := all.Workspaces[min(in.Offset, len(all.Workspaces)):]
		out := &listAnswer{WorkspaceList: api.WorkspaceList{Count: all.Count, Workspaces: []api.WorkspaceSummary{}}}
		out.Next = more(c.tool, "offset", all.Count)
		shown, _ := fill(rest, c.most-size(out))
		if len(shown) == 0 && len(rest) > 0 {
			shown = rest[:1] // so that whoever goes on gets on
		}
		if out.Truncated = len(shown) < len(rest); out.Truncated {
			out.Next = more(c.tool, "offset", in.Offset+len(shown))
		} else {
			out.Next = nil
		}
		out.Workspaces = shown
		return out, nil
	})
}

type updateArguments struct {
	WorkspaceID string            `json:"workspace_id"`
	Name        *string           `json:"name,omitempty"`
	ClearName   bool              `json:"clear_name,omitempty" limits:"default=false"`
	Labels      map[string]string `json:"labels,omitempty"`
	ClearLabels []string          `json:"clear_labels,omitempty"`
	TTLSeconds  int               `json:"ttl_seconds,omitempty" jsonschema:"from now on" limits:"min=60"`
}

func updateTool() tool {
	return define(tool{
		name: "workspace_update", title: "Rename, label or extend a workspace",
		says: "Change a workspace's name, labels or time to live.", effects: effects{idempotent: true},
	}, func(ctx context.Context, c *call, in updateArguments) (*workspaceAnswer, error) {
		ws, err := c.workspace(ctx, in.WorkspaceID)
		if err != nil {
			return nil, err
		}
		return answered(ws.Update(ctx, api.UpdateRequest{
			Name: in.Name, ClearName: in.ClearName, Labels: in.Labels, ClearLabels: in.ClearLabels, TTLSeconds: in.TTLSeconds,
		}))
	})
}

func statusTool() tool {
	return define(tool{
		name: "workspace_status", title: "Show a workspace",
		says: "Return state, limits, expiry and last command of a workspace.", effects: effects{reads: true},
	}, about(func(ctx context.Context, ws *pyro.Workspace) (*workspaceAnswer, error) {
		return answered(ws.Status(ctx))
	}))
}

func stopTool() tool {
	return define(tool{
		name: "workspace_stop", title: "Stop a workspace",
		says:    "Save the disk and end everything that runs; workspace_start brings the files back.",
		effects: effects{destroys: true, idempotent: true},
	}, about(func(ctx context.Context, ws *pyro.Workspace) (*workspaceAnswer, error) {
		return answered(ws.Stop(ctx, api.StopRequest{}))
	}))
}

func startTool() tool {
	return define(tool{
		name: "workspace_start", title: "Start a stopped workspace",
		says: "Start a stopped workspace with its files as they were.", effects: effects{idempotent: true},
	}, func(ctx context.Context, c *call, in named) (*workspaceAnswer, error) {
		client, err := c.client()
		if err != nil {
			return nil, err
		}
		ws, err := client.Start(ctx, in.WorkspaceID, api.StartRequest{})
		if err != nil {
			return nil, err
		}
		return answered(ws.Seen(), nil)
	})
}

func deleteTool() tool {
	return define(tool{
		name: "workspace_delete", title: "Delete a workspace",
		says: "Delete a workspace with everything in it.", effects: effects{destroys: true, idempotent: true},
	}, func(ctx context.Context, c *call, in named) (*api.WorkspaceDelete, error) {
		client, err := c.client()
		if err != nil {
			return nil, err
		}
		return client.Delete(ctx, in.WorkspaceID)
	})
}

// about makes a handler of what needs nothing but the workspace.
func about[Out any](do func(context.Context, *pyro.Workspace) (*Out, error)) func(context.Context, *call, named) (*Out, error) {
	return func(ctx context.Context, c *call, in named) (*Out, error) {
		ws, err := c.workspace(ctx, in.WorkspaceID)
		if err != nil {
			return nil, err
		}
		return do(ctx, ws)
	}
}
