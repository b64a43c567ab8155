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
	"path/filepath"
	"slices"
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
	KindVM        Kind = "vm"        // until its one command has ended, it is deleted or expires
)

// Launch is what a client tells a new supervisor, in one line of JSON over the
// socket that the supervisor inherits as descriptor 3. Where the request has a seed,
// its archive follows as wire.FrameData and a wire.FrameEnd, or a wire.FrameFail that
// calls everything off.
type Launch struct {
	Kind    Kind              `json:"kind"`
	Lease   bool              `json:"lease"` // end of file on the socket: kill and delete
	Request api.CreateRequest `json:"request"`

	// Start starts a workspace that is there and stopped, instead of making one.
	Start *api.StartRequest `json:"start,omitempty"`

	// Look only shows the disk of a workspace that is there and stopped, for as long as
	// the client keeps the socket open.
	Look bool `json:"look,omitempty"`

	// From makes a workspace that begins as another one is. Of the request the name counts,
	// and the consent.
	From *ForkFrom `json:"from,omitempty"`

	// PackedAt is when the client began to read the seed, by its clock.
	PackedAt api.Timestamp `json:"packed_at,omitempty"`
}

// Seeded is the payload of the wire.FrameEnd after a seed.
type Seeded struct {
	Skipped int `json:"skipped"` // special files that the client left out
}

// Launched is the supervisor's one line in answer. Error is set where the
// workspace could not be made; nothing of it is left then.
type Launched struct {
	Workspace     *api.Workspace  `json:"workspace,omitempty"`
	ControlSocket string          `json:"control_socket,omitempty"`
	Hello         *api.Hello      `json:"hello,omitempty"` // saves the client from asking
	Error         *api.ErrorReply `json:"error,omitempty"`
	Held          bool            `json:"held,omitempty"` // and that is because somebody else is at it
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
	ExpiresAt      *api.Timestamp    `json:"expires_at,omitempty"` // nil: never
	LastActivityAt api.Timestamp     `json:"last_activity_at"`
	CommandCount   int               `json:"command_count"`
	LastCommand    *api.LastCommand  `json:"last_command,omitempty"`
	Supervisor     Supervisor        `json:"supervisor"`

	Seed     api.Seed   `json:"seed"`
	Baseline *Baseline  `json:"baseline,omitempty"` // nil: it began empty
	Disk     *SavedDisk `json:"disk,omitempty"`     // what start brings back; nil: the baseline
	Proven   *SavedDisk `json:"proven,omitempty"`   // the last that a sandbox was started from
	Pushes   []Push     `json:"pushes,omitempty"`   // the newest last

	Snapshots   []Snapshot     `json:"snapshots,omitempty"` // the oldest first
	ResetCount  int            `json:"reset_count,omitempty"`
	LastResetAt *api.Timestamp `json:"last_reset_at,omitempty"`
	Origin      *Origin        `json:"origin,omitempty"` // nil: it was forked from nothing

	Secrets  []api.Secret  `json:"secrets,omitempty"`  // by name; their values lie in store.SecretsDir
	Services []api.Service `json:"services,omitempty"` // by name
	Shells   []api.Shell   `json:"shells,omitempty"`   // the oldest first
}

// Origin is what a workspace was forked from.
type Origin struct {
	WorkspaceID string `json:"workspace_id"`
	Snapshot    string `json:"snapshot,omitempty"` // empty: its disk as it was
}

// Push is a tree that was put into the workspace from a directory of the host.
type Push struct {
	Source      string        `json:"source"`
	Destination string        `json:"destination"`
	At          api.Timestamp `json:"at"` // when the client began to read it, by its clock
}

// maxPushes is how many sources are remembered.
const maxPushes = 32

// Pushed notes a push. Earlier ones to the same place, or to one above or below it, are
// forgotten: files of two sources may look the same and not be, so that after another
// source everything of the first has to be sent again.
func (r *Record) Pushed(p Push) {
	// Copies of the record share the old list and are read without a lock.
	r.Pushes = slices.DeleteFunc(slices.Clone(r.Pushes), func(old Push) bool {
		return meet(old.Destination, p.Destination)
	})
	r.Pushes = append(r.Pushes, p)
	if over := len(r.Pushes) - maxPushes; over > 0 {
		r.Pushes = slices.Delete(r.Pushes, 0, over)
	}
}

// meet reports whether one of two clean absolute paths leads to or through the other.
func meet(a, b string) bool {
	return a == b || strings.HasPrefix(a, b+"/") || strings.HasPrefix(b, a+"/")
}

// PushesIn are those that came in before the image was saved, or that are the seed.
// Others are gone with what was given up, and say nothing about what is there now.
func (r *Record) PushesIn(image *SavedDisk) []Push {
	if image != nil {
		return image.Pushes
	}
	if r.Origin != nil { // its seed is older than itself: nobody can tell them apart
		return nil
	}
	return slices.DeleteFunc(slices.Clone(r.Pushes), func(p Push) bool { return p.At > r.CreatedAt })
}

// LastPush is when a source was last put there; 0: never, or too long ago.
func (r *Record) LastPush(source, destination string) api.Timestamp {
	for _, p := range r.Pushes {
		if p.Source == source && p.Destination == destination {
			return p.At
		}
	}
	return 0
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
	ReasonRebooted       = "host_rebooted"   // the machine was started anew
	ReasonStopped        = "explicit_stop"
	ReasonIdle           = "idle" // nothing was done in it for its idle time
	ReasonShutdown       = "supervisor_stopped"
	ReasonUnreadable     = "unreadable_record"
)

// NewRecord makes the record of a workspace that is about to be created. The
// request must have been checked, and have its defaults.
func NewRecord(id string, launch Launch, info engine.Info, now time.Time) Record {
	launch.Request.Secrets = nil // their values are kept apart
	r := Record{
		ID: id, Kind: launch.Kind, Request: launch.Request, Engine: info,
		State:     api.StateCreated,
		CreatedAt: api.At(now), LastActivityAt: api.At(now),
		Seed: api.Seed{Mode: api.SeedEmpty, Destination: api.WorkspacePath},
	}
	r.Renew(launch.Request.TTLSeconds, now)
	return r
}

// Previous is the image that start falls back to when the newest is damaged; nil: the
// baseline.
func (r *Record) Previous() *SavedDisk {
	if r.Proven != nil && r.Disk != nil && r.Proven.Generation == r.Disk.Generation {
		return nil
	}
	return r.Proven
}

// Renew sets its time to live, from now on.
func (r *Record) Renew(seconds int, now time.Time) {
	r.Request.TTLSeconds, r.ExpiresAt = seconds, nil
	if seconds != api.Forever {
		at := api.At(now.Add(time.Duration(seconds) * time.Second))
		r.ExpiresAt = &at
	}
}

// Expired reports whether its time is over.
func (r *Record) Expired(now time.Time) bool {
	return r.ExpiresAt != nil && !now.Before(r.ExpiresAt.Time())
}

// maxCommand is how much of a command is kept, in bytes. The record is read whole by
// everybody who asks.
const maxCommand = 4096

// Began notes a command that is about to run, and returns its number.
func (r *Record) Began(now time.Time) int {
	r.CommandCount++
	r.LastActivityAt = api.At(now)
	return r.CommandCount
}

// Ran notes a finished command. Of several at once that with the highest number is
// the last.
func (r *Record) Ran(last api.LastCommand, now time.Time) {
	if len(last.Command) > maxCommand {
		last.Command = strings.ToValidUTF8(last.Command[:maxCommand], "") + " … (truncated)"
	}
	r.LastActivityAt = api.At(now)
	if r.LastCommand == nil || r.LastCommand.Sequence < last.Sequence {
		r.LastCommand = &last
	}
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

// View is the record as its owner sees it. runDir, where its sockets are, is empty unless it
// is started.
func (r *Record) View(runDir string) *api.Workspace {
	labels := r.Request.Labels
	if labels == nil {
		labels = map[string]string{}
	}
	return &api.Workspace{
		WorkspaceID: r.ID, Name: optional(r.Request.Name), Labels: labels,
		Environment: r.Request.Environment, VCPUCount: r.Request.VCPUCount, MemMiB: r.Request.MemMiB,
		DiskMiB: r.Request.DiskMiB, TTLSeconds: r.Request.TTLSeconds,
		IdleSeconds: r.Request.IdleSeconds,
		CreatedAt:   r.CreatedAt, LastActivityAt: r.LastActivityAt, ExpiresAt: r.ExpiresAt,
		State: r.State, Reason: optional(r.Reason),
		NetworkPolicy:   r.Request.NetworkPolicy,
		NetworkEnabled:  r.Request.NetworkPolicy == api.NetworkEgress || r.Request.NetworkPolicy == api.NetworkEgressPublishedPorts,
		AllowHostCompat: r.Request.AllowHostCompat,
		ExecutionMode:   r.Mode(), Engine: r.Engine.Name, Isolation: r.Engine.Isolation, Limits: r.Limits,
		AgentSocket:   socketIn(runDir, store.AgentSocket),
		ControlSocket: socketIn(runDir, store.ControlSocket),
		WorkspacePath: api.WorkspacePath,
		WorkspaceSeed: r.Seed,
		LastSavedAt:   r.savedAt(),
		Secrets:       r.SecretList().Secrets,
		ServiceCount:  len(r.Services), RunningServiceCount: r.runningServices(),
		CommandCount: r.CommandCount, LastCommand: r.LastCommand,
		ResetCount: r.ResetCount, LastResetAt: r.LastResetAt,
		Metadata: r.metadata(),
	}
}

func socketIn(runDir, name string) *string {
	if runDir == "" {
		return nil
	}
	return new(filepath.Join(runDir, name))
}

// metadata is what is known of a workspace beside its fields.
func (r *Record) metadata() map[string]string {
	data := make(map[string]string)
	if o := r.Origin; o != nil {
		data[api.ForkedFrom] = o.WorkspaceID
		if o.Snapshot != "" {
			data[api.ForkedSnapshot] = o.Snapshot
		}
	}
	return data
}

// Reset gives up what was done since it was as it is now to be: image is what it was
// started from, nil for the baseline.
func (r *Record) Reset(image *SavedDisk, now time.Time) {
	at := api.At(now)
	r.ResetCount, r.LastResetAt, r.LastActivityAt = r.ResetCount+1, &at, at
	r.Disk, r.Proven, r.Pushes = image, image, r.PushesIn(image)
	r.CommandCount, r.LastCommand = 0, nil
	r.EndServices(false, now)
}

// savedAt is when that was which start would bring back.
func (r *Record) savedAt() *api.Timestamp {
	switch {
	case r.Disk != nil:
		return &r.Disk.At
	case r.State == api.StateCreated || r.State == api.StateBroken:
		return nil
	default:
		return &r.CreatedAt // the seed, or nothing
	}
}

// Summary is the record's line in a list.
func (r *Record) Summary() api.WorkspaceSummary {
	v := r.View("")
	return api.WorkspaceSummary{
		WorkspaceID: v.WorkspaceID, Name: v.Name, Labels: v.Labels, Environment: v.Environment,
		State: v.State, Reason: v.Reason, CreatedAt: v.CreatedAt, LastActivityAt: v.LastActivityAt,
		ExpiresAt: v.ExpiresAt, CommandCount: v.CommandCount,
		ServiceCount: v.ServiceCount, RunningServiceCount: v.RunningServiceCount,
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
		return Record{}, &api.Error{Kind: api.Internal, Op: "read record", ID: id, Hint: "`pyro workspace delete " + id + "` removes it", Err: fmt.Errorf("it is the record of %q", r.ID)}
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
