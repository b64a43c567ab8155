package api

// HostRequest says which chat host is meant, and what it is to run. A chat host is a
// program such as Claude Code or Codex that starts MCP servers which its settings name.
type HostRequest struct {
	Host    string   // by its short name, "codex"; for doctor "" is all of them
	Scope   string   // one of HostScopes; "" is HostScopeUser
	Command string   // the program that the host is to start; "" is this one
	Serve   []string // options of `mcp serve`; for doctor and repair none means: as they are
}

// Where a setting of a chat host holds.
const (
	HostScopeUser    = "user"    // for this user, everywhere
	HostScopeProject = "project" // for whoever works in the current directory: a file to be committed
	HostScopeLocal   = "local"   // for this user in the current directory; Claude Code alone has it
)

// HostScopes are all of them.
var HostScopes = []string{HostScopeUser, HostScopeProject, HostScopeLocal}

// HostEntry is what a chat host runs as a server. The values of variables are left out,
// since they may be secret.
type HostEntry struct {
	Command []string `json:"command"`   // the program and its arguments
	Env     []string `json:"env_names"` // variables that are set for it
}

// HostChange is a change to the settings of a chat host, before or after it was made.
type HostChange struct {
	Host    string     `json:"host"`
	Action  string     `json:"action"` // connect, disconnect or repair
	Scope   string     `json:"scope"`
	Path    string     `json:"path"`    // the file of settings
	Changed bool       `json:"changed"` // false: all was as it should be
	Run     []string   `json:"run"`     // the host's own command that makes the change; empty: pyro does
	Diff    string     `json:"diff"`    // of the file, where pyro makes the change
	Entry   *HostEntry `json:"entry"`   // what the host runs afterwards; none after disconnect
	Backup  *string    `json:"backup"`  // a copy of the file as it was
	Note    string     `json:"note"`    // what is left to do by hand
}

// HostConfig is what to write into the settings of a chat host.
type HostConfig struct {
	Host    string   `json:"host"`
	Scope   string   `json:"scope"`
	Path    string   `json:"path"`
	Format  string   `json:"format"`  // json or toml
	Snippet string   `json:"snippet"` // a whole file with this one server
	Run     []string `json:"run"`     // the host's own command that does the same; empty: it has none
}

// HostDoctor is how pyro and the chat hosts of this machine stand to each other.
type HostDoctor struct {
	OK    bool       `json:"ok"` // nothing that is configured is broken
	Hosts []HostInfo `json:"hosts"`
}

// HostInfo is one chat host.
type HostInfo struct {
	Host      string      `json:"host"`
	Title     string      `json:"title"`
	Installed bool        `json:"installed"`
	Found     *string     `json:"found"`  // what says that it is installed: its program, or a directory of its
	Places    []HostPlace `json:"places"` // the user's, and each other that names pyro
}

// HostState is how it stands with pyro in one file of settings.
type HostState string

// The states of a place.
const (
	HostAbsent     HostState = "absent"     // no server of pyro's is named there
	HostConnected  HostState = "connected"  // all is as connect would write it
	HostDrift      HostState = "drift"      // it works, but connect would write something else
	HostDisabled   HostState = "disabled"   // it is there, and the host was told not to use it
	HostForeign    HostState = "foreign"    // something else goes by the name of pyro
	HostBroken     HostState = "broken"     // the server does not start or does not answer
	HostUnreadable HostState = "unreadable" // the file cannot be read or makes no sense
)

// HostPlace is one file of settings and what it says of pyro.
type HostPlace struct {
	Scope  string      `json:"scope"`
	Path   string      `json:"path"`
	State  HostState   `json:"state"`
	Entry  *HostEntry  `json:"entry"`
	Server *HostServer `json:"server"` // none: it was not asked, or did not answer
	Reason *string     `json:"reason"`
	Next   *string     `json:"next_step"`
}

// HostServer is what a server said of itself.
type HostServer struct {
	Version  string `json:"version"`
	Protocol string `json:"protocol"` // the revision that was agreed upon
	Tools    int    `json:"tools"`
}
