package host

import (
	"maps"
	"slices"
	"strings"

	"github.com/pyro-sandbox/pyro/api"
)

// entry is a server in the settings of a host.
type entry struct {
	command  []string // the program and its arguments; empty: it is not started but reached
	env      map[string]string
	disabled bool
}

// serving returns where in the command stands `mcp serve`, -1 if it does not. Where it
// does, this is a pyro, of whatever version and however started.
func (e entry) serving() int {
	for i := 1; i+1 < len(e.command); i++ {
		if e.command[i] == "mcp" && e.command[i+1] == "serve" {
			return i
		}
	}
	return -1
}

// shown is e as others may see it.
func (e entry) shown() *api.HostEntry {
	shown := &api.HostEntry{Command: e.command, Env: slices.Sorted(maps.Keys(e.env))}
	if shown.Command == nil {
		shown.Command = []string{}
	}
	if shown.Env == nil {
		shown.Env = []string{}
	}
	return shown
}

// passed are the variables by which a pyro finds its places. Two that find different ones
// do not see each other's workspaces.
var passed = []string{
	"PYRO_STATE_DIR", "PYRO_RUN_DIR", "PYRO_CACHE_DIR", "PYRO_LIBDIR",
	"XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR",
}

// inherited is what a host gives a server that is said not to get the user's variables.
var inherited = []string{"HOME", "LANG", "LC_ALL", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "TZ", "USER"}

// wanted is the entry that a host should have. Of one that is there the program is kept if
// it is the same by another path.
func (m Machine) wanted(h *row, scope string, req api.HostRequest, have *entry) entry {
	program := []string{m.Executable}
	switch {
	case req.Command != "":
		program = []string{req.Command}
	case have != nil && have.serving() == 1 && sameFile(m.resolve(have.command[0]), m.Executable):
		program = have.command[:1]
	}
	e := entry{command: slices.Concat(program, []string{"mcp", "serve"}, req.Serve)}
	if h.bare && scope != api.HostScopeProject {
		e.env = m.passed()
	}
	return e
}

// kept are the options that an entry serves with.
func (e entry) kept() []string {
	if i := e.serving(); i >= 0 {
		return e.command[i+2:]
	}
	return nil
}

func (m Machine) passed() map[string]string {
	set := map[string]string{}
	for _, key := range passed {
		if value := m.env(key); value != "" {
			set[key] = value
		}
	}
	return set
}

// drift says in what e is not as it is wanted, "" if it is. Variables that e has on top
// are its user's.
func (e entry) drift(want entry) string {
	if !slices.Equal(e.command, want.command) {
		return "it runs " + api.Quote(e.command) + ", connect would write " + api.Quote(want.command)
	}
	var missing []string
	for _, key := range slices.Sorted(maps.Keys(want.env)) {
		if e.env[key] != want.env[key] {
			missing = append(missing, key)
		}
	}
	if len(missing) > 0 {
		return "it sees other workspaces than this shell: " + strings.Join(missing, ", ") + " is set here and not there"
	}
	return ""
}
