package workspace

import (
	"context"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/events"
	"github.com/pyro-sandbox/pyro/internal/store"
)

// ReadEvents reads the events of a workspace that no supervisor answers for, those after
// a number, or all that are kept for 0.
func ReadEvents(ctx context.Context, st *store.Store, id string, after int64) (*api.EventList, error) {
	if _, err := Status(ctx, st, id); err != nil {
		return nil, err
	}
	kept, err := events.Read(st.Path(id), after)
	if err != nil {
		return nil, &api.Error{Kind: api.Internal, Op: "read events", ID: id, Err: err}
	}
	return &api.EventList{WorkspaceID: id, Count: len(kept), Events: kept}, nil
}

// ReadSummary sums up a workspace that no supervisor answers for.
func ReadSummary(ctx context.Context, st *store.Store, id string) (*api.Summary, error) {
	list, err := ReadEvents(ctx, st, id, 0)
	if err != nil {
		return nil, err
	}
	r, err := Read(st, id)
	if err != nil {
		return nil, err
	}
	out := r.SumUp(list.Events)
	out.ChangesNote = new("it is stopped: `pyro workspace start " + id + "` and then `pyro workspace diff " + id + "` show them")
	return out, nil
}

// SumUp is what a record and the events that are kept tell of a workspace. What only its
// supervisor knows is left at nothing.
func (r *Record) SumUp(kept []api.Event) *api.Summary {
	v := r.View("")
	out := &api.Summary{
		WorkspaceID: v.WorkspaceID, Name: v.Name, Environment: v.Environment, Engine: v.Engine, Isolation: v.Isolation,
		ExecutionMode: v.ExecutionMode, State: v.State, Reason: v.Reason, Since: v.CreatedAt,
		LastActivityAt: v.LastActivityAt, ExpiresAt: v.ExpiresAt, ResetCount: v.ResetCount, WorkspaceSeed: v.WorkspaceSeed,
		Secrets: v.Secrets, Ports: []api.PublishedPort{}, Exports: []api.Event{}, Denials: []api.Event{},
		Commands:  api.SummaryCommands{Total: r.CommandCount, Last: []api.Event{}, Failures: []api.Event{}},
		Edits:     api.SummaryEdits{Last: []api.Event{}},
		Services:  api.SummaryServices{List: []api.SummaryService{}},
		Snapshots: api.SummarySnapshots{Names: []string{}},
	}
	if v.LastResetAt != nil {
		out.Since = *v.LastResetAt
	}
	r.sumUpLive(out)
	for _, s := range r.Snapshots {
		out.Snapshots.Total++
		out.Snapshots.Names = append(out.Snapshots.Names, s.Name)
	}
	sumUpEvents(out, kept)
	out.Outcome = outcome(v.LastCommand)
	return out
}

// outcome is what the last command says.
func outcome(last *api.LastCommand) api.SummaryOutcome {
	out := api.SummaryOutcome{Status: api.OutcomeNone, LastCommand: last}
	switch {
	case last == nil:
	case last.ExitCode == 0:
		out.Status = api.OutcomeSucceeded
	default:
		out.Status = api.OutcomeFailed
	}
	return out
}

// sumUpLive is about services and shells.
func (r *Record) sumUpLive(out *api.Summary) {
	for _, s := range r.Services {
		out.Services.Total++
		switch s.State {
		case api.ServiceRunning:
			out.Services.Running++
		case api.ServiceFailed:
			out.Services.Failed++
		}
		ports := append([]api.PublishedPort{}, s.PublishedPorts...)
		out.Ports = append(out.Ports, ports...)
		out.Services.List = append(out.Services.List, api.SummaryService{
			ServiceName: s.ServiceName, State: s.State, ExitCode: s.ExitCode, StopReason: s.StopReason,
			RestartCount: s.RestartCount, PublishedPorts: ports,
		})
	}
	for _, s := range r.Shells {
		out.Shells.Total++
		if s.State == api.ShellRunning {
			out.Shells.Running++
		}
	}
}

// sumUpEvents counts what happened since out.Since. The log is complete from there on if
// it has the event that lies at its beginning.
func sumUpEvents(out *api.Summary, kept []api.Event) {
	for _, e := range kept {
		switch e.Kind {
		case api.EventCreated, api.EventReset:
			out.EventsComplete = out.EventsComplete || e.At >= out.Since
		}
		if e.At < out.Since {
			continue
		}
		switch e.Kind {
		case api.EventExecEnded:
			newest(&out.Commands.Last, e)
			if e.ExitCode == nil || *e.ExitCode != 0 {
				out.Commands.Failed++
				newest(&out.Commands.Failures, e)
			}
		case api.EventPushed:
			out.Edits.Pushes++
			newest(&out.Edits.Last, e)
		case api.EventFileChanged:
			out.Edits.Files++
			newest(&out.Edits.Last, e)
		case api.EventPatchApplied:
			out.Edits.Patches++
			newest(&out.Edits.Last, e)
		case api.EventExported, api.EventApplied:
			newest(&out.Exports, e)
		}
	}
}

// newest keeps the last few of a list.
func newest(list *[]api.Event, e api.Event) {
	if *list = append(*list, e); len(*list) > api.SummaryList {
		*list = (*list)[1:]
	}
}
