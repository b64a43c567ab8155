package host

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/api"
)

// TestDoctor holds what is said of each state that a file can be in.
func TestDoctor(t *testing.T) {
	const serves = `{"mcpServers": {"pyro": {"command": "HOME/bin/pyro", "args": ["mcp", "serve"]}}}`
	for name, c := range map[string]struct {
		host, file, text string
		serve            []string
		script           string // "slow" in PATH
		want             string
	}{
		"nothing there": {"cursor", "", "", nil, "", "user absent"},
		"connected":     {"cursor", ".cursor/mcp.json", serves, nil, "", "user connected 1 tool"},
		"by its name":   {"cursor", ".cursor/mcp.json", `{"mcpServers": {"pyro": {"command": "pyro", "args": ["mcp", "serve", "--mode", "inspect"]}}}`, nil, "", "user connected 1 tool"},
		"other options": {"cursor", ".cursor/mcp.json", serves, []string{"--mode", "inspect"}, "", "user drift 1 tool it runs HOME/bin/pyro mcp serve, connect would write HOME/bin/pyro mcp serve --mode inspect; `pyro host repair cursor`"},
		"another pyro":  {"cursor", ".cursor/mcp.json", `{"mcpServers": {"pyro": {"command": "slow", "args": ["mcp", "serve"]}}}`, nil, `exec "$HOME/bin/pyro"`, "user drift 1 tool it runs slow mcp serve, connect would write HOME/bin/pyro mcp serve; `pyro host repair cursor`"},
		"foreign":       {"cursor", ".cursor/mcp.json", `{"mcpServers": {"pyro": {"command": "pyro"}}}`, nil, "", "user foreign it is no `mcp serve`; `pyro host repair cursor` puts pyro in its place"},
		"reached":       {"cursor", ".cursor/mcp.json", `{"mcpServers": {"pyro": {"url": "http://x"}}}`, nil, "", "user foreign it is no `mcp serve`; `pyro host repair cursor` puts pyro in its place"},
		"gone":          {"cursor", ".cursor/mcp.json", `{"mcpServers": {"pyro": {"command": "/old/pyro", "args": ["mcp", "serve"]}}}`, nil, "", "user broken there is no program /old/pyro; `pyro host repair cursor`"},
		"silent":        {"cursor", ".cursor/mcp.json", `{"mcpServers": {"pyro": {"command": "slow", "args": ["mcp", "serve"]}}}`, nil, "echo no room >&2", "user broken it did not answer, and said: no room; `pyro host repair cursor`"},
		"malformed":     {"cursor", ".cursor/mcp.json", "{\n]", nil, "", "user unreadable HOME/.cursor/mcp.json:2: invalid character ']' at start of value; correct the file; it was left as it is"},
		"disabled":      {"opencode", ".config/opencode/opencode.jsonc", `{"mcp": {"pyro": {"command": ["HOME/bin/pyro", "mcp", "serve"], "enabled": false}}}`, nil, "", "user disabled the host was told not to use it; enable it in HOME/.config/opencode/opencode.jsonc"},
		"switched off":  {"codex", ".codex/config.toml", "[mcp_servers.pyro]\ncommand = \"pyro\"\nargs = [\"mcp\", \"serve\"]\nenabled = false\n", nil, "", "user disabled the host was told not to use it; enable it in HOME/.codex/config.toml"},
		"a folder":      {"vscode", ".config/Code/User/mcp.json", `{"servers": {"pyro": {"command": "slow", "args": ["mcp", "serve", "--project-path", "${workspaceFolder}"]}}}`, nil, `[ "$4" = "$HOME/project" ] || exit 1; exec "$HOME/bin/pyro"`, "user drift 1 tool it runs slow mcp serve --project-path '${workspaceFolder}', connect would write HOME/bin/pyro mcp serve --project-path '${workspaceFolder}'; `pyro host repair vscode`"},
		"in a project":  {"cursor", "project/.cursor/mcp.json", serves, nil, "", "user absent\nproject connected 1 tool"},
		"a project's program": {
			"cursor", "project/.cursor/mcp.json", `{"mcpServers": {"pyro": {"command": "slow", "args": ["mcp", "serve"]}}}`, nil, `touch "$HOME/started"`,
			"user absent\nproject drift it runs slow mcp serve, connect would write HOME/bin/pyro mcp serve; `pyro host repair cursor --scope project`",
		},
		"a project's variables": {
			"cursor", "project/.cursor/mcp.json", `{"mcpServers": {"pyro": {"command": "HOME/bin/pyro", "args": ["mcp", "serve"], "env": {"LD_PRELOAD": "x"}}}}`, nil, "",
			"user absent\nproject connected it was not started, since a project brings it along",
		},
		"for me here": {"claude-code", ".claude.json", `{"projects": {"HOME/project": {"mcpServers": {"pyro": {"command": "/old/pyro", "args": ["mcp", "serve"]}}}}}`, nil, "", "user absent\nlocal broken there is no program /old/pyro; `pyro host repair claude-code --scope local`"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t)
			if c.script != "" {
				m.Environ[1] += ":/usr/bin:/bin"
				m.script(t, "slow", c.script)
			}
			if c.file != "" {
				m.put(t, c.file, strings.ReplaceAll(c.text, "HOME", m.home()), 0o600)
			}
			d, err := m.Doctor(t.Context(), api.HostRequest{Host: c.host, Serve: c.serve})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, strings.ReplaceAll(told(d), m.home(), "HOME")); diff != "" {
				t.Errorf("doctor says (-want +got):\n%s", diff)
			}
			if broken := strings.Contains(c.want, "broken") || strings.Contains(c.want, "unreadable"); d.OK == broken {
				t.Errorf("ok is %v", d.OK)
			}
			if exists(m.home("started")) {
				t.Error("what a project brings along was started")
			}
		})
	}
}

// told has a line for each place.
func told(d *api.HostDoctor) string {
	var lines []string
	for _, p := range d.Hosts[0].Places {
		line := p.Scope + " " + string(p.State)
		if p.Server != nil {
			line += fmt.Sprintf(" %d tool", p.Server.Tools)
		}
		if p.Reason != nil {
			line += " " + *p.Reason
		}
		if p.Next != nil {
			line += "; " + *p.Next
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

// TestRepairMendsWhatDoctorFound brings everything that pyro has written, or that an
// upgrade has left, to connected.
func TestRepairMendsWhatDoctorFound(t *testing.T) {
	for _, host := range []string{"cursor", "codex", "opencode"} { // a host of each format
		t.Run(host, func(t *testing.T) {
			t.Parallel()
			for i, s := range seeds[:6] {
				m := newMachine(t)
				path, _ := m.seed(t, host, i)
				m.must(t, Repair, api.HostRequest{Host: host})
				d, err := m.Doctor(t.Context(), api.HostRequest{Host: host})
				if err != nil {
					t.Fatal(err)
				}
				if got := told(d); got != "user connected 1 tool" {
					t.Errorf("%s: %s\n%s", s.name, got, content(t, path))
				}
				if s.name == "there with more" && !strings.Contains(content(t, path), `"vm-run"`) {
					t.Errorf("the options are gone:\n%s", content(t, path))
				}
			}
		})
	}
}

// TestInstalled tells a host from what pyro wrote for one.
func TestInstalled(t *testing.T) {
	m := newMachine(t)
	m.must(t, Connect, api.HostRequest{Host: "cursor"})
	installed := func() bool {
		d, err := m.Doctor(t.Context(), api.HostRequest{Host: "cursor"})
		if err != nil {
			t.Fatal(err)
		}
		return d.Hosts[0].Installed
	}
	if installed() {
		t.Error("what connect wrote counts as the host")
	}
	m.put(t, ".cursor/extensions/x", "", 0o600)
	if !installed() {
		t.Error("a directory of the host does not count")
	}
}

// TestExecutable prefers the path that an upgrade leaves alone.
func TestExecutable(t *testing.T) {
	m := newMachine(t)
	got, err := Executable(m.Environ)
	if err != nil {
		t.Fatal(err)
	}
	if filepath.Base(got) == "pyro" {
		t.Errorf("%s is another program", got)
	}
	link := m.home("bin", "pyro")
	if err := relink(got, link); err != nil {
		t.Fatal(err)
	}
	if found, err := Executable(m.Environ); err != nil || found != link {
		t.Errorf("got %s, %v, want %s", found, err, link)
	}
}

func relink(to, link string) error {
	return errors.Join(os.Remove(link), os.Symlink(to, link))
}
