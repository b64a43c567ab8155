package workspace

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/engine"
	"github.com/pyro-sandbox/pyro/internal/store"
)

// Admit refuses what cannot be done, before anything is made.
func Admit(req api.CreateRequest, p api.Policy) error {
	if err := errors.Join(req.Check(), p.CheckTTL(req.TTLSeconds)); err != nil {
		return err
	}
	if req.NetworkPolicy != api.NetworkOff {
		return &api.Error{
			Kind: api.Unsupported, Hint: "leave it out, or use off: the guest then has no network at all",
			Err: fmt.Errorf("network policy %q is not available in this version", req.NetworkPolicy),
		}
	}
	return nil
}

// NewVM makes the record of a VM that has not been started. No supervisor holds it: it is
// like a stopped workspace that never ran.
func NewVM(ctx context.Context, st *store.Store, id string, req api.CreateRequest, policy api.Policy, now time.Time) (*Record, error) {
	req = req.WithDefaults(policy)
	if err := Admit(req, policy); err != nil {
		return nil, err
	}
	held, err := st.Create(id)
	if err != nil {
		return nil, err
	}
	defer func() { _ = held.Unlock() }()
	r := NewRecord(id, Launch{Kind: KindVM, Request: req}, engine.Info{}, now)
	r.State = api.StateStopped
	if err := Write(held, r); err != nil {
		return nil, errors.Join(err, held.Remove(ctx))
	}
	return &r, nil
}

// NeverStarted reports whether no engine has run it yet.
func (r *Record) NeverStarted() bool { return r.Engine.Name == "" }

// Asked is its request with the defaults taken out again, for engines that refuse what
// was asked for.
func (r *Record) Asked(policy api.Policy) api.CreateRequest {
	asked, usual := r.Request, api.CreateRequest{}.WithDefaults(policy)
	for _, f := range []struct {
		asked *int
		usual int
	}{{&asked.VCPUCount, usual.VCPUCount}, {&asked.MemMiB, usual.MemMiB}, {&asked.DiskMiB, usual.DiskMiB}} {
		if *f.asked == f.usual {
			*f.asked = 0
		}
	}
	return asked
}

// VM is the record of a VM as its owner sees it.
func (r *Record) VM() *api.VM {
	w := r.View("")
	vm := &api.VM{
		VMID: w.WorkspaceID, Environment: w.Environment, EnvironmentVersion: w.EnvironmentVersion,
		VCPUCount: w.VCPUCount, MemMiB: w.MemMiB, TTLSeconds: w.TTLSeconds, CreatedAt: w.CreatedAt, ExpiresAt: w.ExpiresAt,
		State: w.State, Reason: w.Reason, NetworkEnabled: w.NetworkEnabled, AllowHostCompat: w.AllowHostCompat,
		GuestIP: w.GuestIP, TapName: w.TapName, ExecutionMode: w.ExecutionMode, Engine: w.Engine, Isolation: w.Isolation,
		Metadata: w.Metadata,
	}
	if r.NeverStarted() && vm.State == api.StateStopped {
		vm.State = api.StateCreated
	}
	return vm
}

// StatusOfVM shows a VM as its record says. What is no VM is not found.
func StatusOfVM(ctx context.Context, st *store.Store, id string) (*Record, error) {
	if err := api.CheckID(id); err != nil {
		return nil, &api.Error{Kind: api.Invalid, Hint: "take the vm_id of one that was made", Err: fmt.Errorf("%q is no vm_id", brief(id))}
	}
	r := settle(ctx, st, id)
	if r == nil || r.Kind != KindVM {
		return nil, &api.Error{Kind: api.NotFound, ID: id, Op: "VM", Hint: "make another: a VM is gone after its one command, and when its time is over", Err: api.NotFound}
	}
	return r, nil
}

// IsVM reports whether there is a VM of that id.
func IsVM(st *store.Store, id string) bool {
	r, err := Read(st, id)
	return err == nil && r.Kind == KindVM
}

// NoWorkspace is the error of a VM where a workspace is wanted.
func NoWorkspace(id string) error {
	return &api.Error{
		Kind: api.NotFound, Op: "workspace", ID: id, Hint: "`pyro workspace list` shows those there are",
		Err: errors.New("that is a VM"),
	}
}

// brief keeps an error readable, whatever was given.
func brief(id string) string {
	const most = 64
	if len(id) > most {
		return strings.ToValidUTF8(id[:most], "") + "…"
	}
	return id
}

// ExpiredVMs are the ids of VMs whose time is over and that are still there.
func ExpiredVMs(st *store.Store, now time.Time) ([]string, error) {
	ids, err := st.IDs()
	if err != nil {
		return nil, err
	}
	expired := []string{}
	for _, id := range ids {
		if r, err := Read(st, id); err == nil && r.Kind == KindVM && r.Expired(now) {
			expired = append(expired, id)
		}
	}
	return expired, nil
}
