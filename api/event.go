package api

// EventKind says what an event is about.
type EventKind string

// What is done to a workspace, and what happens in it. The last two end the log: they
// reach those who follow it, and are gone with the workspace.
const (
	EventCreated         EventKind = "created"
	EventStarted         EventKind = "started"
	EventStopped         EventKind = "stopped"          // Reason: as in Workspace
	EventUpdated         EventKind = "updated"          // name, labels or time to live
	EventExecEnded       EventKind = "exec_ended"       // Command, CommandSequence, ExitCode, DurationMS, Reason
	EventShellOpened     EventKind = "shell_opened"     // Name: the shell's id
	EventShellEnded      EventKind = "shell_ended"      // Name, ExitCode
	EventServiceChanged  EventKind = "service_changed"  // Name, State, Reason, ExitCode
	EventSecretSet       EventKind = "secret_set"       // Name; never a value
	EventSecretUnset     EventKind = "secret_unset"     // Name
	EventPushed          EventKind = "sync_pushed"      // HostPath, Path, Entries, Bytes
	EventFileChanged     EventKind = "file_changed"     // State: what was done; Path, Bytes
	EventPatchApplied    EventKind = "patch_applied"    // Entries
	EventSnapshotCreated EventKind = "snapshot_created" // Name, Bytes
	EventSnapshotDeleted EventKind = "snapshot_deleted" // Name
	EventReset           EventKind = "reset"            // Name: of the snapshot
	EventForked          EventKind = "forked"           // Name: of the snapshot, if one was named; Entries: how many
	EventExported        EventKind = "exported"         // Path, HostPath, Entries, Bytes
	EventApplied         EventKind = "applied"          // HostPath, Entries
	EventSaveFailed      EventKind = "disk_save_failed" // Detail; the workspace went on
	EventDropped         EventKind = "events_left_out"  // Entries: how many changes of services came too fast to be noted
	EventDeleted         EventKind = "deleted"
	EventExpired         EventKind = "expired"
)

// Event is one line of a workspace's log of events. Fields that say nothing about its
// kind are null. Texts are cut at some kilobytes, and know no values of secrets; what
// a guest can choose (commands, paths, states and exit codes) is its word.
type Event struct {
	Sequence int64     `json:"sequence"` // from 1, each used once
	At       Timestamp `json:"at"`       // by the clock of the host
	Kind     EventKind `json:"kind"`

	Name            *string `json:"name"`
	State           *string `json:"state"`
	Reason          *string `json:"reason"`
	Command         *string `json:"command"`
	CommandSequence *int    `json:"command_sequence"`
	ExitCode        *int    `json:"exit_code"`
	DurationMS      *int64  `json:"duration_ms"`
	Path            *string `json:"path"`      // in the guest
	HostPath        *string `json:"host_path"` // on this machine
	Entries         *int64  `json:"entries"`
	Bytes           *int64  `json:"bytes"`
	Detail          *string `json:"detail"` // a sentence
}

// EventList is what is kept of a workspace's events, the oldest first.
type EventList struct {
	WorkspaceID string  `json:"workspace_id"`
	Count       int     `json:"count"`
	Events      []Event `json:"events"`
}

// EventsEnd is the end of a followed log: the workspace does not run any more.
type EventsEnd struct {
	WorkspaceID  string `json:"workspace_id"`
	LastSequence int64  `json:"last_sequence"`
}
