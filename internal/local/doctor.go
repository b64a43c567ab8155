package local

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/store"
	"github.com/pyro-sandbox/pyro/internal/sys"
)

// platform is this machine in the words of uname(1).
var platform = "linux-" + map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH]

// Doctor looks at this machine, by running a sandbox, and puts right what it was
// asked to. What it finds wrong is in the answer; an error means that it could not
// look. It needs nothing to be in order: neither configuration nor directories.
func Doctor(ctx context.Context, req api.DoctorRequest) (*api.Doctor, error) {
	sys.Umask(publicMask)
	x := &examination{machine: thisMachine(), found: &api.Doctor{
		Platform: platform, Issues: []string{}, Fixed: []string{},
		KVM: lookAtKVM(), Networking: lookAtNetworking(),
	}}
	x.note(x.machine.configuration())
	x.openDirectories()
	x.findHelpers(ctx)
	tried := x.tryEngine(ctx)
	x.found.Engines = []api.DoctorEngine{tried, x.helpers.hostCompat()}
	x.found.RuntimeOK = tried.Available
	if tried.Available {
		x.found.Runtime = x.runtime()
	}
	if req.Environment != "" {
		x.note(environment(req.Environment, tried.Available))
		x.found.Environment = x.warmth(req.Environment)
	}
	x.lookAtStore(ctx, req.Fix)
	x.found.Issues = issues(x.found.Checks)
	return x.found, ctx.Err()
}

// examination is one look at a machine.
type examination struct {
	machine machine
	found   *api.Doctor
	dirs    store.Dirs
	store   *store.Store // nil: the directories cannot be used
	helpers helpers

	limitedBy string // what holds sandboxes to their memory, processors and processes; "" nothing
}

func (x *examination) note(checks ...api.DoctorCheck) {
	x.found.Checks = append(x.found.Checks, checks...)
}

// failed returns the first check that did.
func (x *examination) failed(names ...string) *api.DoctorCheck {
	for i, c := range x.found.Checks {
		if c.Result == api.CheckFail && slices.Contains(names, c.Name) {
			return &x.found.Checks[i]
		}
	}
	return nil
}

// issues are the failed checks in sentences.
func issues(checks []api.DoctorCheck) []string {
	list := []string{}
	for _, c := range checks {
		if c.Result == api.CheckFail {
			list = append(list, issue(c.Name+": "+c.Reason, c.NextStep))
		}
	}
	return list
}

func issue(what string, hint *string) string {
	if hint == nil {
		return what
	}
	return what + "; " + *hint
}

func ok(name, reason string, args ...any) api.DoctorCheck {
	return api.DoctorCheck{Name: name, Result: api.CheckOK, Reason: fmt.Sprintf(reason, args...)}
}

func skip(name, reason string, args ...any) api.DoctorCheck {
	return api.DoctorCheck{Name: name, Result: api.CheckSkip, Reason: fmt.Sprintf(reason, args...)}
}

func warn(name, next, reason string, args ...any) api.DoctorCheck {
	return api.DoctorCheck{Name: name, Result: api.CheckWarn, Reason: fmt.Sprintf(reason, args...), NextStep: optional(next)}
}

// fail takes reason and next step from an error. Several that were joined become one
// line; what the name of the check says already is left out.
func fail(name string, err error) api.DoctorCheck {
	why := strings.TrimPrefix(strings.ReplaceAll(err.Error(), "\n", "; "), name+": ")
	return api.DoctorCheck{Name: name, Result: api.CheckFail, Reason: why, NextStep: optional(api.HintOf(err))}
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
