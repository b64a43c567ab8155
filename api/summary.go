package api

// Summary is one screen about a workspace: what ran, what failed and what changed since
// it was created or last reset. Lists in it are the newest of their kind, the oldest
// first, at most SummaryList of each.
type Summary struct {
	WorkspaceID    string        `json:"workspace_id"`
	Name           *string       `json:"name"`
	Environment    string        `json:"environment"`
	Engine         string        `json:"engine"`
	Isolation      string        `json:"isolation"`
	ExecutionMode  ExecutionMode `json:"execution_mode"`
	State          State         `json:"state"`
	Reason         *string       `json:"reason"`
	Since          Timestamp     `json:"since"` // creation, or the last reset
	LastActivityAt Timestamp     `json:"last_activity_at"`
	ExpiresAt      *Timestamp    `json:"expires_at"`
	ResetCount     int           `json:"reset_count"`
	WorkspaceSeed  Seed          `json:"workspace_seed"`

	Commands  SummaryCommands  `json:"commands"`
	Edits     SummaryEdits     `json:"edits"`
	Changes   *SummaryChanges  `json:"changes"` // against the baseline; null: see ChangesNote
	Services  SummaryServices  `json:"services"`
	Shells    SummaryShells    `json:"shells"`
	Secrets   []Secret         `json:"secrets"` // by name alone
	Ports     []PublishedPort  `json:"published_ports"`
	Snapshots SummarySnapshots `json:"snapshots"`
	Exports   []Event          `json:"exports"` // what was taken out or applied back
	Denials   []Event          `json:"denials"` // what was refused; there is no network yet that could
	Outcome   SummaryOutcome   `json:"outcome"`

	// ChangesNote says why Changes is null.
	ChangesNote *string `json:"changes_note"`

	// EventsComplete is false where the log of events was full and the oldest are gone, or
	// begins after Since: then what is counted from it is the least that happened.
	EventsComplete bool `json:"events_complete"`
}

// SummaryList is how many of a kind a summary shows.
const SummaryList = 5

// SummaryCommands are the commands of a workspace. Failed are those that ended with
// another code than 0, or whose end nobody knows.
type SummaryCommands struct {
	Total    int     `json:"total"`
	Failed   int     `json:"failed"`
	Running  int     `json:"running"`
	Last     []Event `json:"last"`
	Failures []Event `json:"failures"`
}

// SummaryEdits counts what was done to the workspace's files from outside: what commands
// did is in Changes alone.
type SummaryEdits struct {
	Pushes  int     `json:"pushes"`
	Files   int     `json:"files"`
	Patches int     `json:"patches"`
	Last    []Event `json:"last"`
}

// SummaryChanges counts what differs from the baseline.
type SummaryChanges struct {
	Total       int `json:"total"`
	Added       int `json:"added"`
	Modified    int `json:"modified"`
	Deleted     int `json:"deleted"`
	TypeChanged int `json:"type_changed"`
}

// SummaryServices are the services of a workspace.
type SummaryServices struct {
	Total   int              `json:"total"`
	Running int              `json:"running"`
	Failed  int              `json:"failed"`
	List    []SummaryService `json:"list"` // by name, all of them
}

// SummaryService is a service in one line.
type SummaryService struct {
	ServiceName    string          `json:"service_name"`
	State          ServiceState    `json:"state"`
	ExitCode       *int            `json:"exit_code"`
	StopReason     *string         `json:"stop_reason"`
	RestartCount   int             `json:"restart_count"`
	PublishedPorts []PublishedPort `json:"published_ports"`
}

// SummaryShells counts shells.
type SummaryShells struct {
	Total   int `json:"total"`
	Running int `json:"running"`
}

// SummarySnapshots are the snapshots that there are, by name.
type SummarySnapshots struct {
	Total int      `json:"total"`
	Names []string `json:"names"` // the newest last, all of them
}

// What a workspace's last command says about it.
const (
	OutcomeNone      = "none" // nothing ran
	OutcomeRunning   = "running"
	OutcomeSucceeded = "succeeded"
	OutcomeFailed    = "failed"
)

// SummaryOutcome is what came of the last command that ended.
type SummaryOutcome struct {
	Status      string       `json:"status"` // see OutcomeNone and so on; running only where nothing has ended yet
	LastCommand *LastCommand `json:"last_command"`
}
