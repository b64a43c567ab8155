package pyro

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/config"
	"github.com/pyro-sandbox/pyro/internal/version"
	"github.com/pyro-sandbox/pyro/internal/workspace"
)

const (
	opCreateVM = "create VM"
	opExecVM   = "exec in VM"
)

// CreateVM makes a VM: a sandbox for one command whose steps, that Run does at once, are
// taken one by one. Nothing is started yet, so that what the machine cannot do StartVM
// tells. Of the options the name, labels, seed, secrets, OneShot and idle time do not count.
// VMs are no workspaces: Get and List know none.
func (c *Client) CreateVM(ctx context.Context, environment string, opts *CreateOptions) (*api.VM, error) {
	if opts == nil {
		opts = &CreateOptions{}
	}
	plain := *opts
	plain.Name, plain.Labels, plain.Seed, plain.Secrets, plain.Idle, plain.OneShot = "", nil, nil, nil, 0, false
	req, err := plain.request(environment)
	if err != nil {
		return nil, api.About(opCreateVM, "", err)
	}
	if c.remote != nil {
		return askRemote[api.VM](ctx, c.remote, question{op: opCreateVM, method: http.MethodPost, path: "/v1/vms"}, req)
	}
	cfg, err := config.Load(c.env.get)
	if err != nil {
		return nil, err
	}
	r, err := workspace.NewVM(ctx, c.store, newID(), req, cfg.Policy(), time.Now())
	if err != nil {
		return nil, api.About(opCreateVM, "", err)
	}
	return r.VM(), nil
}

// StartVM starts a VM that was made or stopped; one that runs is left as it is. Consent to
// no isolation is that of its creation.
func (c *Client) StartVM(ctx context.Context, id string) (*api.VM, error) {
	if c.remote != nil {
		return askRemote[api.VM](ctx, c.remote, ofVM("start VM", http.MethodPost, id, "/start"), nil)
	}
	r, err := workspace.StatusOfVM(ctx, c.store, id)
	if err != nil {
		return nil, err
	}
	if _, err := c.start(ctx, workspace.KindVM, id, api.StartRequest{AllowHostCompat: r.Request.AllowHostCompat}); err != nil {
		return nil, err
	}
	return c.VM(ctx, id)
}

// VM returns a VM as it is.
func (c *Client) VM(ctx context.Context, id string) (*api.VM, error) {
	if c.remote != nil {
		return askRemote[api.VM](ctx, c.remote, ofVM("status of VM", http.MethodGet, id, ""), nil)
	}
	r, err := workspace.StatusOfVM(ctx, c.store, id)
	if err != nil {
		return nil, err
	}
	return r.VM(), nil
}

// ExecVM runs the one command of a VM that was started, captures its output as
// [Workspace.Exec] does, and deletes the VM, whatever became of the command. Where only
// the deletion failed, the result comes together with an error.
func (c *Client) ExecVM(ctx context.Context, id string, req api.ExecRequest) (*api.VMExec, error) {
	if c.remote != nil {
		q := ofVM(opExecVM, http.MethodPost, id, "/exec")
		q.within, q.limit = patience(req)+cleanupTime, maxCapture
		return askRemote[api.VMExec](ctx, c.remote, q, req)
	}
	vm, err := c.find(ctx, workspace.KindVM, id)
	if err != nil {
		return nil, err
	}
	if vm.seen.State != api.StateStarted {
		return nil, &api.Error{Kind: api.Conflict, Op: opExecVM, ID: id, Hint: "start it first", Err: errors.New("it is not started")}
	}
	result, execErr := vm.Exec(ctx, req)
	if errors.Is(execErr, api.Invalid) {
		return nil, execErr // nothing ran
	}
	cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	deleted, deleteErr := vm.Delete(cleanup)
	if execErr != nil {
		return nil, execErr
	}
	return OneShotResult(vm.seen, result, deleted), deleteErr
}

// StopVM ends what runs in a VM and keeps its disk.
func (c *Client) StopVM(ctx context.Context, id string) (*api.VM, error) {
	if c.remote != nil {
		return askRemote[api.VM](ctx, c.remote, ofVM("stop VM", http.MethodPost, id, "/stop"), nil)
	}
	vm, err := c.find(ctx, workspace.KindVM, id)
	if err != nil {
		return nil, err
	}
	if vm.seen.State == api.StateStarted {
		if _, err := vm.Stop(ctx, api.StopRequest{}); err != nil {
			return nil, err
		}
	}
	return c.VM(ctx, id)
}

// DeleteVM removes a VM in whatever state it is.
func (c *Client) DeleteVM(ctx context.Context, id string) (*api.VMDelete, error) {
	if c.remote != nil {
		return askRemote[api.VMDelete](ctx, c.remote, ofVM("delete VM", http.MethodDelete, id, ""), nil)
	}
	vm, err := c.find(ctx, workspace.KindVM, id)
	if err != nil {
		return nil, err
	}
	deleted, err := vm.Delete(ctx)
	if err != nil {
		return nil, err
	}
	return &api.VMDelete{VMID: id, Deleted: deleted.Deleted, Reason: deleted.Reason}, nil
}

// VMNetwork says what network a VM has: none, there are none yet.
func (c *Client) VMNetwork(ctx context.Context, id string) (*api.VMNetwork, error) {
	if c.remote != nil {
		return askRemote[api.VMNetwork](ctx, c.remote, ofVM("network of VM", http.MethodGet, id, "/network"), nil)
	}
	if _, err := c.VM(ctx, id); err != nil {
		return nil, err
	}
	return &api.VMNetwork{VMID: id, Reason: "sandboxes have no network in this version"}, nil
}

// ReapVMs deletes the VMs whose time is over. Those that run end by themselves, and
// whoever meets another removes it: there may be none left to name.
func (c *Client) ReapVMs(ctx context.Context) (*api.VMReap, error) {
	if c.remote != nil {
		return askRemote[api.VMReap](ctx, c.remote, question{op: "reap VMs", method: http.MethodPost, path: "/v1/vms/reap"}, nil)
	}
	ids, err := workspace.ExpiredVMs(c.store, time.Now())
	if err != nil {
		return nil, err
	}
	reaped := &api.VMReap{DeletedVMIDs: []string{}}
	for _, id := range ids {
		switch _, err := c.attach(id, nil).Delete(ctx); {
		case err == nil:
			reaped.DeletedVMIDs = append(reaped.DeletedVMIDs, id)
		case !errors.Is(err, api.NotFound):
			return nil, err
		}
	}
	reaped.Count = len(reaped.DeletedVMIDs)
	return reaped, nil
}

// Environments returns the root file systems that there are: host, the programs of this
// machine, to be read only.
func (c *Client) Environments(ctx context.Context) ([]api.Environment, error) {
	if c.remote != nil {
		list, err := askRemote[api.EnvironmentList](ctx, c.remote, question{op: "list environments", method: http.MethodGet, path: "/v1/environments"}, nil)
		if err != nil {
			return nil, err
		}
		return list.Environments, nil
	}
	name, number := distribution()
	return []api.Environment{{
		Name: "host", Version: number, Description: "this machine's own programs, read-only, over an empty disk",
		DefaultPackages: []string{}, Distribution: name, DistributionVersion: number, Platform: platform(),
		Compatibility: "pyro " + version.String(), CatalogVersion: version.String(),
		Installed: true, CacheDir: filepath.Join(c.dirs.Cache, "environments"), InstallDir: "/",
	}}, nil
}

func platform() string {
	arch := map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH]
	return fmt.Sprintf("%s-%s", runtime.GOOS, cmp.Or(arch, runtime.GOARCH))
}

// distribution names this machine's system as os-release(5) does.
func distribution() (name, number string) {
	f, err := os.Open("/etc/os-release")
	if err != nil {
		return "unknown", "unknown"
	}
	defer func() { _ = f.Close() }()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		key, value, _ := strings.Cut(lines.Text(), "=")
		value = strings.Trim(value, `"'`)
		switch key {
		case "ID":
			name = value
		case "VERSION_ID":
			number = value
		}
	}
	return cmp.Or(name, "unknown"), cmp.Or(number, "unknown")
}
