package mcpserver

import (
	"context"

	"github.com/pyro-sandbox/pyro"
	"github.com/pyro-sandbox/pyro/api"
)

type runArguments struct {
	Environment     string `json:"environment" jsonschema:"such as host"`
	Command         string `json:"command" jsonschema:"shell line"`
	VCPUCount       int    `json:"vcpu_count,omitempty" limits:"default=1,min=1,max=8"`
	MemMiB          int    `json:"mem_mib,omitempty" limits:"default=1024,min=256,max=32768"`
	TimeoutSeconds  int    `json:"timeout_seconds,omitempty" limits:"default=30,min=1,max=86400"`
	TTLSeconds      int    `json:"ttl_seconds,omitempty" limits:"default=600,min=60"`
	Network         bool   `json:"network,omitempty" limits:"default=false"`
	AllowHostCompat bool   `json:"allow_host_compat,omitempty" jsonschema:"consent to no isolation" limits:"default=false"`
}

// vmExecAnswer is the contract's VMExec. What is cut is gone: so is the sandbox.
type vmExecAnswer struct {
	api.VMExec
	part
	StdoutBytes int `json:"stdout_bytes"`
	StderrBytes int `json:"stderr_bytes"`
}

func runTool() tool {
	return define(tool{
		name: "vm_run", title: "Run one command in a fresh sandbox",
		says:    "Run one shell command in a new, empty sandbox, deleted afterwards. Example: {\"environment\":\"host\",\"command\":\"uname -a\"}.",
		effects: effects{},
	}, func(ctx context.Context, c *call, in runArguments) (*vmExecAnswer, error) {
		client, err := c.client()
		if err != nil {
			return nil, err
		}
		done, err := client.Run(ctx, in.Environment, &pyro.RunOptions{
			CreateOptions: pyro.CreateOptions{
				VCPUs: c.ifGiven("vcpu_count", in.VCPUCount), MemMiB: c.ifGiven("mem_mib", in.MemMiB), TTL: c.ttl(in.TTLSeconds),
				NetworkPolicy: policy(in.Network), AllowHostCompat: in.AllowHostCompat,
			},
			Exec: api.ExecRequest{Command: in.Command, TimeoutSeconds: in.TimeoutSeconds},
		})
		if done == nil {
			return nil, err
		}
		return c.vmExec(done), nil // where only the deletion failed, cleanup says so
	})
}

func policy(network bool) string {
	if network {
		return api.NetworkEgress
	}
	return api.NetworkOff
}

// vmExec cuts the output of a command.
func (c *call) vmExec(done *api.VMExec) *vmExecAnswer {
	out := &vmExecAnswer{VMExec: *done, StdoutBytes: len(done.Stdout), StderrBytes: len(done.Stderr)}
	out.Stdout, out.Stderr, out.Command = "", "", brief(out.Command, c.most/8)
	forOut, forErr := shares(c.most-size(out), cost(done.Stdout), cost(done.Stderr))
	var outCut, errCut bool
	out.Stdout, outCut = headAndTail(done.Stdout, int64(len(done.Stdout)), forOut)
	out.Stderr, errCut = headAndTail(done.Stderr, int64(len(done.Stderr)), forErr)
	out.StdoutTruncated = out.StdoutTruncated || outCut
	out.StderrTruncated = out.StderrTruncated || errCut
	out.Truncated = out.StdoutTruncated || out.StderrTruncated
	return out
}

// ofVM is a call about one VM.
type ofVM struct {
	VMID string `json:"vm_id"`
}

type vmCreateArguments struct {
	Environment     string `json:"environment" jsonschema:"such as host"`
	VCPUCount       int    `json:"vcpu_count,omitempty" limits:"default=1,min=1,max=8"`
	MemMiB          int    `json:"mem_mib,omitempty" limits:"default=1024,min=256,max=32768"`
	TTLSeconds      int    `json:"ttl_seconds,omitempty" limits:"default=600,min=60"`
	Network         bool   `json:"network,omitempty" limits:"default=false"`
	AllowHostCompat bool   `json:"allow_host_compat,omitempty" jsonschema:"consent to no isolation" limits:"default=false"`
}

type vmExecArguments struct {
	VMID           string `json:"vm_id"`
	Command        string `json:"command" jsonschema:"shell line"`
	TimeoutSeconds int    `json:"timeout_seconds,omitempty" limits:"default=30,min=1,max=86400"`
}

// environmentsAnswer wraps a list, which alone cannot be structured content.
type environmentsAnswer struct {
	Result []api.Environment `json:"result"`
}

func vmTools() []tool {
	return []tool{
		environmentsTool(), vmCreate(), vmStart(), vmExec(), vmStop(), vmDelete(), vmStatus(), vmNetwork(), vmReap(),
	}
}

// withVM makes a handler of what needs nothing but a VM's id.
func withVM[Out any](do func(*pyro.Client, context.Context, string) (*Out, error)) func(context.Context, *call, ofVM) (*Out, error) {
	return func(ctx context.Context, c *call, in ofVM) (*Out, error) {
		client, err := c.client()
		if err != nil {
			return nil, err
		}
		return do(client, ctx, in.VMID)
	}
}

func environmentsTool() tool {
	return define(tool{
		name: "vm_list_environments", title: "List environments",
		says: "List the root file systems that sandboxes can begin with.", effects: effects{reads: true},
	}, func(ctx context.Context, c *call, _ none) (*environmentsAnswer, error) {
		client, err := c.client()
		if err != nil {
			return nil, err
		}
		list, err := client.Environments(ctx)
		return &environmentsAnswer{Result: list}, err
	})
}

func vmCreate() tool {
	return define(tool{
		name: "vm_create", title: "Make a VM",
		says: "Make a sandbox for one command, to be started by vm_start; vm_run does it all at once, workspace_create makes what lasts.",
	}, func(ctx context.Context, c *call, in vmCreateArguments) (*api.VM, error) {
		client, err := c.client()
		if err != nil {
			return nil, err
		}
		return client.CreateVM(ctx, in.Environment, &pyro.CreateOptions{
			VCPUs: c.ifGiven("vcpu_count", in.VCPUCount), MemMiB: c.ifGiven("mem_mib", in.MemMiB), TTL: c.ttl(in.TTLSeconds),
			NetworkPolicy: policy(in.Network), AllowHostCompat: in.AllowHostCompat,
		})
	})
}

func vmStart() tool {
	return define(tool{
		name: "vm_start", title: "Start a VM", says: "Start a VM that vm_create made.", effects: effects{idempotent: true},
	}, withVM((*pyro.Client).StartVM))
}

func vmExec() tool {
	return define(tool{
		name: "vm_exec", title: "Run a VM's one command",
		says: "Run one shell command in a started VM, which is deleted afterwards.", effects: effects{destroys: true},
	}, func(ctx context.Context, c *call, in vmExecArguments) (*vmExecAnswer, error) {
		client, err := c.client()
		if err != nil {
			return nil, err
		}
		done, err := client.ExecVM(ctx, in.VMID, api.ExecRequest{Command: in.Command, TimeoutSeconds: in.TimeoutSeconds})
		if done == nil {
			return nil, err
		}
		return c.vmExec(done), nil // where only the deletion failed, cleanup says so
	})
}

func vmStop() tool {
	return define(tool{
		name: "vm_stop", title: "Stop a VM", says: "End what runs in a VM and keep its disk.", effects: effects{destroys: true, idempotent: true},
	}, withVM((*pyro.Client).StopVM))
}

func vmDelete() tool {
	return define(tool{
		name: "vm_delete", title: "Delete a VM", says: "Delete a VM with everything in it.", effects: effects{destroys: true, idempotent: true},
	}, withVM((*pyro.Client).DeleteVM))
}

func vmStatus() tool {
	return define(tool{
		name: "vm_status", title: "Show a VM", says: "Return state, limits and expiry of a VM.", effects: effects{reads: true},
	}, withVM((*pyro.Client).VM))
}

func vmNetwork() tool {
	return define(tool{
		name: "vm_network_info", title: "Show a VM's network", says: "Say what network a VM has.", effects: effects{reads: true},
	}, withVM((*pyro.Client).VMNetwork))
}

func vmReap() tool {
	return define(tool{
		name: "vm_reap_expired", title: "Delete expired VMs",
		says: "Delete the VMs whose time is over.", effects: effects{destroys: true, idempotent: true},
	}, func(ctx context.Context, c *call, _ none) (*api.VMReap, error) {
		client, err := c.client()
		if err != nil {
			return nil, err
		}
		return client.ReapVMs(ctx)
	})
}
