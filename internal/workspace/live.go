package workspace

import (
	"slices"
	"time"

	"github.com/pyro-sandbox/pyro/api"
)

// EndServices forgets the services of a workspace that has stopped. Where its sandbox
// was lost, those that ran are kept, as stopped by that.
func (r *Record) EndServices(lost bool, now time.Time) {
	if !lost {
		r.Services, r.Shells = nil, nil
		return
	}
	at := api.At(now)
	r.Services, r.Shells = slices.Clone(r.Services), slices.Clone(r.Shells)
	for i := range r.Services {
		if service := &r.Services[i]; service.State == api.ServiceRunning {
			reason := api.StopWorkspaceStopped
			service.State, service.StopReason, service.EndedAt = api.ServiceStopped, &reason, &at
			service.PublishedPorts = []api.PublishedPort{}
		}
	}
	for i := range r.Shells {
		if shell := &r.Shells[i]; shell.State == api.ShellRunning {
			shell.State, shell.EndedAt = api.ShellStopped, &at
		}
	}
}

// RunsServices reports whether a service runs.
func (r Record) RunsServices() bool { return r.runningServices() > 0 }

// Runs reports whether a service of that name runs.
func (r *Record) Runs(name string) bool {
	return slices.ContainsFunc(r.Services, func(s api.Service) bool { return s.ServiceName == name && s.State == api.ServiceRunning })
}

// runningServices counts those that run.
func (r *Record) runningServices() int {
	n := 0
	for _, service := range r.Services {
		if service.State == api.ServiceRunning {
			n++
		}
	}
	return n
}

// ServiceList is the services as their owner sees them.
func (r *Record) ServiceList() *api.ServiceList {
	list := &api.ServiceList{WorkspaceID: r.ID, Count: len(r.Services), RunningCount: r.runningServices(), Services: []api.Service{}}
	list.Services = append(list.Services, r.Services...)
	return list
}

// ShellList is the shells as their owner sees them.
func (r *Record) ShellList() *api.ShellList {
	list := &api.ShellList{WorkspaceID: r.ID, Count: len(r.Shells), Shells: []api.Shell{}}
	list.Shells = append(list.Shells, r.Shells...)
	return list
}

// SecretList names the secrets.
func (r *Record) SecretList() *api.SecretList {
	list := &api.SecretList{WorkspaceID: r.ID, Count: len(r.Secrets), Secrets: []api.Secret{}}
	list.Secrets = append(list.Secrets, r.Secrets...)
	return list
}
