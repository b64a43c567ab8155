package host

import (
	"path/filepath"

	"github.com/pyro-sandbox/pyro/api"
)

// row is one host.
type row struct {
	name, title string
	programs    []string                 // what it is called in PATH
	apps        []string                 // what it is called among the programs of macOS
	traces      func(m Machine) []string // directories that only it makes
	places      func(m Machine) []place
	shape       shape
	own         *ownCommand // how it is told by itself; nil: not
	bare        bool        // it starts servers without the variables of the user's shell
	note        string      // what is left to do by hand after a change
}

// place is one file of settings.
type place struct {
	scope string
	paths []string // of which the first that names pyro is meant, else the first that is there, else the first
	keys  []string // the way to the table of servers
	toml  bool
	root  string // what the files may not lead out of; empty: they may lead anywhere
}

// places are those of a host. A project may come from anybody, so its files are not
// followed to where they would change something else of the user's.
func (m Machine) places(h *row) []place {
	places := h.places(m)
	for i := range places {
		if places[i].scope == api.HostScopeProject {
			places[i].root = m.Dir
		}
	}
	return places
}

func jsonPlace(scope, path string, keys ...string) place {
	return place{scope: scope, paths: []string{path}, keys: keys}
}

// table has all hosts. What each reads was taken from the program itself where it is one
// that can be read (Claude Code 2.1.330, Codex 0.169.0, OpenCode 1.18.33, Gemini CLI
// 0.61.0), else from its documentation.
func table() []row {
	return []row{claudeCode(), codex(), openCode(), geminiCLI(), cursor(), vsCode(), claudeDesktop()}
}

func claudeCode() row {
	return row{
		name: "claude-code", title: "Claude Code", programs: []string{"claude"},
		traces: func(m Machine) []string { return []string{m.home(".claude")} },
		places: func(m Machine) []place {
			return []place{
				jsonPlace(api.HostScopeUser, claudeFile(m), "mcpServers"),
				jsonPlace(api.HostScopeProject, filepath.Join(m.Dir, ".mcp.json"), "mcpServers"),
				jsonPlace(api.HostScopeLocal, claudeFile(m), "projects", m.checkout(), "mcpServers"),
			}
		},
		shape: shape{kind: "stdio"},
		own:   &ownCommand{program: "claude", add: claudeAdd, remove: claudeRemove},
		note:  "sessions that are open see it when they are started anew",
	}
}

// claudeFile is where Claude Code keeps what it remembers. An older place counts first.
func claudeFile(m Machine) string {
	dir := m.env("CLAUDE_CONFIG_DIR")
	old := m.home(".claude", ".config.json")
	if dir != "" {
		old = filepath.Join(dir, ".config.json")
	}
	if exists(old) {
		return old
	}
	if dir == "" {
		dir = m.home()
	}
	return filepath.Join(dir, ".claude.json")
}

func codex() row {
	dir := func(m Machine) string {
		if dir := m.env("CODEX_HOME"); dir != "" {
			return dir
		}
		return m.home(".codex")
	}
	return row{
		name: "codex", title: "Codex", programs: []string{"codex"},
		traces: func(m Machine) []string { return []string{dir(m)} },
		places: func(m Machine) []place {
			keys := []string{"mcp_servers"}
			return []place{
				{scope: api.HostScopeUser, paths: []string{filepath.Join(dir(m), "config.toml")}, keys: keys, toml: true},
				{scope: api.HostScopeProject, paths: []string{filepath.Join(m.Dir, ".codex", "config.toml")}, keys: keys, toml: true},
			}
		},
		// Its own command writes the whole table of servers anew, and drops the comments in it.
		own:  &ownCommand{program: "codex", add: codexAdd, firstOnly: true},
		bare: true,
		note: "sessions that are open see it when they are started anew",
	}
}

func openCode() row {
	dir := func(m Machine) string { return m.config("opencode") }
	in := func(dir string) []string {
		return []string{filepath.Join(dir, "opencode.json"), filepath.Join(dir, "opencode.jsonc")}
	}
	return row{
		name: "opencode", title: "OpenCode", programs: []string{"opencode"},
		traces: func(m Machine) []string { return []string{dir(m), m.home(".opencode")} },
		places: func(m Machine) []place {
			project := append(in(m.Dir), in(filepath.Join(m.Dir, ".opencode"))...)
			return []place{
				{scope: api.HostScopeUser, paths: in(dir(m)), keys: []string{"mcp"}},
				{scope: api.HostScopeProject, paths: project, keys: []string{"mcp"}},
			}
		},
		shape: shape{kind: "local", joined: true, env: "environment"},
	}
}

func geminiCLI() row {
	dir := func(m Machine) string {
		if dir := m.env("GEMINI_CLI_HOME"); dir != "" {
			return filepath.Join(dir, ".gemini")
		}
		return m.home(".gemini")
	}
	return row{
		name: "gemini-cli", title: "Gemini CLI", programs: []string{"gemini"},
		traces: func(m Machine) []string { return []string{dir(m)} },
		places: func(m Machine) []place {
			return []place{
				jsonPlace(api.HostScopeUser, filepath.Join(dir(m), "settings.json"), "mcpServers"),
				jsonPlace(api.HostScopeProject, filepath.Join(m.Dir, ".gemini", "settings.json"), "mcpServers"),
			}
		},
		note: "it starts servers in folders that it was told to trust",
	}
}

func cursor() row {
	return row{
		name: "cursor", title: "Cursor", programs: []string{"cursor", "cursor-agent"}, apps: []string{"Cursor"},
		traces: func(m Machine) []string { return []string{m.home(".cursor")} },
		places: func(m Machine) []place {
			return []place{
				jsonPlace(api.HostScopeUser, m.home(".cursor", "mcp.json"), "mcpServers"),
				jsonPlace(api.HostScopeProject, filepath.Join(m.Dir, ".cursor", "mcp.json"), "mcpServers"),
			}
		},
		bare: true,
		note: "if it does not show up among the MCP servers, restart Cursor",
	}
}

func vsCode() row {
	dir := func(m Machine) string {
		if dir := m.env("VSCODE_PORTABLE"); dir != "" {
			return filepath.Join(dir, "user-data")
		}
		if dir := m.env("VSCODE_APPDATA"); dir != "" {
			return filepath.Join(dir, "Code")
		}
		return m.app("Code")
	}
	return row{
		name: "vscode", title: "VS Code", programs: []string{"code"}, apps: []string{"Visual Studio Code"},
		traces: func(m Machine) []string { return []string{dir(m)} },
		places: func(m Machine) []place {
			return []place{
				jsonPlace(api.HostScopeUser, filepath.Join(dir(m), "User", "mcp.json"), "servers"),
				jsonPlace(api.HostScopeProject, filepath.Join(m.Dir, ".vscode", "mcp.json"), "servers"),
			}
		},
		shape: shape{kind: "stdio"},
		bare:  true,
		note:  "start it from `MCP: List Servers` in the command palette",
	}
}

func claudeDesktop() row {
	return row{
		name: "claude-desktop", title: "Claude Desktop", programs: []string{"claude-desktop"}, apps: []string{"Claude"},
		traces: func(m Machine) []string { return []string{m.app("Claude")} },
		places: func(m Machine) []place {
			return []place{jsonPlace(api.HostScopeUser, m.app("Claude", "claude_desktop_config.json"), "mcpServers")}
		},
		bare: true,
		note: "quit Claude Desktop and start it again",
	}
}
