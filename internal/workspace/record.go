// Package workspace is the domain: what a workspace is, what its record says, and
// what can be done to one that no supervisor holds.
//
// A running workspace belongs to its supervisor (package supervisor), which is the
// only writer of its record; everything here either reads, or takes the
// workspace's lock first. The package knows the engine contract but no engine, and
// neither command lines nor HTTP.
package workspace

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/engine"
	"github.com/pyro-sandbox/pyro/internal/store"
	"github.com/pyro-sandbox/pyro/internal/sys"
)

// Kind says how long a workspace is meant to live.
type Kind string

// The kinds of workspace.
const (
	KindWorkspace Kind = "workspace" // until it is deleted or expires
	KindRun       Kind = "run"       // as long as the process that asked for it
)

// Launch is what a client tells a new supervisor, in one line of JSON over the
// socket that the supervisor inherits as descriptor 3.
type Launch struct {
	Kind    Kind              `json:"kind"`
	Lease   bool              `json:"lease"` // end of file on the socket: kill and delete
	Request api.CreateRequest `json:"request"`
}

// Launched is the supervisor's one line in answer. Error is set where the
// workspace could not be made; nothing of it is left then.
type Launched struct {
	Workspace     *api.Workspace  `json:"workspace,omitempty"`
	ControlSocket string          `json:"control_socket,omitempty"`
	Hello         *api.Hello      `json:"hello,omitempty"` // saves the client from asking
	Error         *api.ErrorReply `json:"error,omitempty"`
}

// Record is what is kept of a workspace between processes. Only the holder of the
// workspace's lock writes it.
type Record struct {
	ID             string            `json:"id"`
	Kind           Kind              `json:"kind"`
	Request        api.CreateRequest `json:"request"` // with defaults filled in
	Engine         engine.Info       `json:"engine"`
	State          api.State         `json:"state"`
	Reason         string            `json:"reason,omitempty"`
	Limits         api.Limits        `json:"limits"`
	CreatedAt      api.Timestamp     `json:"created_at"`
	LastActivityAt api.Timestamp     `json:"last_activity_at"`
	CommandCount   int               `json:"command_count"`
	LastCommand    *api.LastCommand  `json:"last_command,omitempty"`
	Supervisor     Supervisor        `json:"supervisor"`
}

// Supervisor names the process that holds the workspace, so that it can be ended
// when it does not answer.
type Supervisor struct {
	sys.Process
	BootID string `json:"boot_id"`
}

// Myself is this process as a supervisor.
func Myself() (Supervisor, error) {
	start, err := sys.ProcessStart(os.Getpid())
	if err != nil {
		return Supervisor{}, err
	}
	boot, err := sys.BootID()
	return Supervisor{Process: sys.Process{PID: os.Getpid(), Start: start}, BootID: boot}, err
}

// Why a workspace is stopped, beside the reasons of package engine.
const (
	ReasonSupervisorLost = "supervisor_lost" // its supervisor was killed; the sandbox went with it
	ReasonUnreadable     = "unreadable_record"
)

// NewRecord makes the record of a workspace that is about to be created. The
// request must have been checked.
func NewRecord(id string, launch Launch, info engine.Info, now time.Time) Record {
	return Record{
		ID: id, Kind: launch.Kind, Request: launch.Request.WithDefaults(), Engine: info,
		State: api.StateCreated, Limits: api.Limits{},
		CreatedAt: api.At(now), LastActivityAt: api.At(now),
	}
}

// ExpiresAt is when its time is over. Nothing extends it.
func (r *Record) ExpiresAt() time.Time {
	return r.CreatedAt.Time().Add(time.Duration(r.Request.TTLSeconds) * time.Second)
}

// maxCommand is how much of a command is kept, in bytes. The record is read whole by
// everybody who asks.
const maxCommand = 4096

// Ran notes a finished command.
func (r *Record) Ran(last api.LastCommand, now time.Time) {
	if len(last.Command) > maxCommand {
		last.Command = strings.ToValidUTF8(last.Command[:maxCommand], "") + " … (truncated)"
	}
	r.CommandCount = last.Sequence
	r.LastCommand = &last
	r.LastActivityAt = api.At(now)
}

// Mode is how commands reach the guest at this moment.
func (r *Record) Mode() api.ExecutionMode {
	switch r.State {
	case api.StateStarted:
		return r.Engine.Mode
	case api.StateBroken:
		return api.ModeUnknown
	default:
		return api.ModePending
	}
}

// View is the record as its owner sees it. agentSocket is empty unless it is started.
func (r *Record) View(agentSocket string) *api.Workspace {
	labels := r.Request.Labels
	if labels == nil {
		labels = map[string]string{}
	}
	return &api.Workspace{
		WorkspaceID: r.ID, Name: optional(r.Request.Name), Labels: labels,
		Environment: r.Request.Environment, VCPUCount: r.Request.VCPUCount, MemMiB: r.Request.MemMiB,
		DiskMiB: r.Request.DiskMiB, TTLSeconds: r.Request.TTLSeconds,
		CreatedAt: r.CreatedAt, LastActivityAt: r.LastActivityAt, ExpiresAt: api.At(r.ExpiresAt()),
		State: r.State, Reason: optional(r.Reason),
		NetworkPolicy:   r.Request.NetworkPolicy,
		NetworkEnabled:  r.Request.NetworkPolicy == api.NetworkEgress || r.Request.NetworkPolicy == api.NetworkEgressPublishedPorts,
		AllowHostCompat: r.Request.AllowHostCompat,
		ExecutionMode:   r.Mode(), Engine: r.Engine.Name, Isolation: r.Engine.Isolation, Limits: r.Limits,
		AgentSocket:   optional(agentSocket),
		WorkspacePath: api.WorkspacePath,
		WorkspaceSeed: api.Seed{Mode: "empty", Destination: api.WorkspacePath},
		Secrets:       []api.Secret{},
		CommandCount:  r.CommandCount, LastCommand: r.LastCommand,
		Metadata: map[string]string{},
	}
}

// Summary is the record's line in a list.
func (r *Record) Summary() api.WorkspaceSummary {
	v := r.View("")
	return api.WorkspaceSummary{
		WorkspaceID: v.WorkspaceID, Name: v.Name, Labels: v.Labels, Environment: v.Environment,
		State: v.State, Reason: v.Reason, CreatedAt: v.CreatedAt, LastActivityAt: v.LastActivityAt,
		ExpiresAt: v.ExpiresAt, CommandCount: v.CommandCount,
	}
}

// Read reads the record of a workspace, whether it runs or not.
func Read(st *store.Store, id string) (Record, error) {
	payload, err := st.Read(id)
	if err != nil {
		return Record{}, err
	}
	var r Record
	if err := json.Unmarshal(payload, &r); err != nil {
		return Record{}, &api.Error{Kind: api.Internal, Op: "read record", ID: id, Hint: "`pyro workspace delete " + id + "` removes it", Err: err}
	}
	if r.ID != id {
		return Record{}, &api.Error{Kind: api.Internal, Op: "read record", ID: id, Err: fmt.Errorf("it is the record of %q", r.ID)}
	}
	return r, nil
}

// Write replaces the record of a workspace whose lock the caller holds.
func Write(w *store.Workspace, r Record) error {
	payload, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("write record %s: %w", r.ID, err)
	}
	return w.WriteRecord(payload)
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
