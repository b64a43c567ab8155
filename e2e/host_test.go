package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/testgate"
)

// hostTime is how long a chat host may take for one command. They are large programs.
const hostTime = 90 * time.Second

// hostBed is a home in which a chat host believes itself to be at home.
type hostBed struct {
	*place
	home, project string
	pyro          string
	env           []string
}

// newHostBed skips a test on a machine without the chat hosts.
func newHostBed(t *testing.T) *hostBed {
	t.Helper()
	programs, err := hostPrograms()
	testgate.Require(t, testgate.Hosts, err)
	p := newPlace(t)
	b := &hostBed{place: p, home: p.at("home"), project: p.at("project"), pyro: binary(t)}
	for _, dir := range []string{b.home, b.project} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	b.env = []string{
		"PATH=" + programs + ":" + filepath.Dir(b.pyro) + ":/usr/local/bin:/usr/bin:/bin", "HOME=" + b.home, "TERM=dumb", "LANG=C.UTF-8",
		"DISABLE_AUTOUPDATER=1", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1", // nothing here may need a network
		"OPENCODE_DISABLE_AUTOUPDATE=1", "OPENCODE_DISABLE_MODELS_FETCH=1",
	}
	for _, item := range p.env {
		if strings.HasPrefix(item, "PYRO_") && !strings.HasPrefix(item, "PYRO_BINARY=") {
			b.env = append(b.env, item)
		}
	}
	trusted, err := json.Marshal(map[string]string{b.project: "TRUST_FOLDER"})
	if err != nil {
		t.Fatal(err)
	}
	b.put(t, ".gemini/trustedFolders.json", string(trusted))
	return b
}

// hostPrograms finds the directory with all of them.
func hostPrograms() (string, error) {
	dir := os.Getenv("PYRO_HOSTS_DIR")
	if dir == "" {
		return "", errors.New("PYRO_HOSTS_DIR is not set: tools/hosts.sh DIR installs the hosts into DIR")
	}
	dir = filepath.Join(dir, "node_modules", ".bin")
	for _, program := range []string{"node", "claude", "codex", "opencode", "gemini"} {
		if _, err := os.Stat(filepath.Join(dir, program)); err != nil {
			return "", err
		}
	}
	return dir, nil
}

func (b *hostBed) put(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(b.home, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
		t.Fatal(err)
	}
	return path
}

// call runs a program in the project and wants it to succeed. It returns what that said on
// stdout and stderr.
func (b *hostBed) call(t *testing.T, program string, args ...string) (stdout, stderr string) {
	t.Helper()
	stdout, stderr, err := b.try(t, program, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s\n%s", program, strings.Join(args, " "), err, stdout, stderr)
	}
	return stdout, stderr
}

func (b *hostBed) try(t *testing.T, program string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, talk bytes.Buffer
	cmd := b.prepare(t, program, args...)
	cmd.Stdout, cmd.Stderr = &out, &talk
	err = cmd.Run()
	return out.String(), talk.String(), err
}

func (b *hostBed) prepare(t *testing.T, program string, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), hostTime)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, b.find(t, program), args...)
	cmd.Env, cmd.Dir, cmd.WaitDelay = b.env, b.project, 5*time.Second
	return cmd
}

func (b *hostBed) find(t *testing.T, program string) string {
	t.Helper()
	for dir := range strings.SplitSeq(strings.TrimPrefix(b.env[0], "PATH="), ":") {
		if _, err := os.Stat(filepath.Join(dir, program)); err == nil {
			return filepath.Join(dir, program)
		}
	}
	t.Fatalf("no %s", program)
	return ""
}

// codexStatus asks Codex, whose list of servers does not connect to them, as its
// editors do.
func codexStatus(t *testing.T, b *hostBed) string {
	t.Helper()
	cmd := b.prepare(t, "codex", "app-server")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { // it ends with its input
		_ = in.Close()
		_ = cmd.Wait()
	}()
	for _, line := range []string{
		`{"method":"initialize","id":0,"params":{"clientInfo":{"name":"test","version":"1"}}}`,
		`{"method":"initialized"}`,
		`{"method":"mcpServerStatus/list","id":1,"params":{}}`,
	} {
		if _, err := io.WriteString(in, line+"\n"); err != nil {
			t.Fatal(err)
		}
	}
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 8<<20)
	for lines.Scan() {
		var reply struct {
			ID     *int
			Result struct {
				Data []struct {
					Name       string
					Tools      map[string]any
					ToolsError string
				}
			}
		}
		if err := json.Unmarshal(lines.Bytes(), &reply); err != nil || reply.ID == nil || *reply.ID != 1 {
			continue
		}
		said := ""
		for _, s := range reply.Result.Data {
			_, has := s.Tools["workspace_create"]
			said += fmt.Sprintf("%s connected=%v %s\n", s.Name, has, s.ToolsError)
		}
		return said
	}
	t.Fatalf("codex app-server ended: %v", lines.Err())
	return ""
}

// TestHostsAreConnected puts pyro into the settings of real chat hosts and asks them
// whether they see it. None of it needs an account.
func TestHostsAreConnected(t *testing.T) {
	const other = `"other": {"command": "/bin/false"}`
	listing := func(words ...string) func(*testing.T, *hostBed) string {
		return func(t *testing.T, b *hostBed) string {
			out, talk := b.call(t, words[0], words[1:]...)
			return out + talk
		}
	}
	for name, c := range map[string]struct {
		file, before string // before: none if empty
		asks         func(*testing.T, *hostBed) string
		connected    string
	}{
		"claude-code": {".claude.json", "{\n  \"mcpServers\": {\n    " + other + "\n  },\n  \"numStartups\": 3\n}", listing("claude", "mcp", "list"), "pyro: PYRO mcp serve - ✔ Connected"},
		"codex":       {".codex/config.toml", "", codexStatus, "pyro connected=true"},
		"codex, with others": {
			".codex/config.toml", "# mine\nmodel = \"m\"\n\n[mcp_servers.other] # not this\ncommand = \"/bin/false\" # at all\n\n[history]\npersistence = \"none\"",
			codexStatus, "pyro connected=true",
		},
		"opencode":   {".config/opencode/opencode.jsonc", "{\n\t// mine\n\t\"$schema\": \"https://opencode.ai/config.json\",\n\t\"mcp\": {}, // none yet\n}\n", listing("opencode", "mcp", "list"), "✓ pyro"},
		"gemini-cli": {".gemini/settings.json", "{\n  // mine\n  \"mcpServers\": {\n    " + other + " // another\n  },\n  \"ui\": {\"hideTips\": true}\n}\n", listing("gemini", "mcp", "list"), "✓ pyro: PYRO mcp serve (stdio) - Connected"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newHostBed(t)
			host, _, _ := strings.Cut(name, ",")
			path := filepath.Join(b.home, c.file)
			if c.before != "" {
				b.put(t, c.file, c.before)
			}
			b.call(t, "pyro", "host", "connect", host, "--yes")
			if said, want := c.asks(t, b), strings.ReplaceAll(c.connected, "PYRO", b.pyro); !strings.Contains(said, want) {
				t.Errorf("%s says %q, want %q in it", host, said, want)
			}
			b.wantState(t, host, api.HostConnected)
			if again, _ := b.call(t, "pyro", "host", "connect", host, "--yes"); !strings.HasPrefix(again, "Already connected: "+host) {
				t.Errorf("connected again: %q", again)
			}
			b.call(t, "pyro", "host", "disconnect", host, "--yes")
			b.wantState(t, host, api.HostAbsent)
			if host == "claude-code" {
				b.wantMembers(t, path, c.before)
				return
			}
			after, err := os.ReadFile(path)
			if err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.before, string(after)); diff != "" {
				t.Errorf("%s afterwards (-want +got):\n%s", path, diff)
			}
		})
	}
}

// wantState asks doctor.
func (b *hostBed) wantState(t *testing.T, host string, want api.HostState) {
	t.Helper()
	out, _ := b.call(t, "pyro", "host", "doctor", host, "--json")
	var d api.HostDoctor
	if err := json.Unmarshal([]byte(out), &d); err != nil {
		t.Fatal(err)
	}
	if len(d.Hosts) != 1 || !d.Hosts[0].Installed || d.Hosts[0].Places[0].State != want {
		t.Errorf("doctor says %s, want %s", out, want)
	}
	if want == api.HostConnected && (d.Hosts[0].Places[0].Server == nil || d.Hosts[0].Places[0].Server.Tools < 10) {
		t.Errorf("doctor says %s, want a server that answers", out)
	}
}

// wantMembers finds what a file has lost. Claude Code adds to its own as it likes.
func (b *hostBed) wantMembers(t *testing.T, path, before string) {
	t.Helper()
	var had, has map[string]any
	after, err := os.ReadFile(path)
	if err = errors.Join(err, json.Unmarshal(after, &has), json.Unmarshal([]byte(before), &had)); err != nil {
		t.Fatal(err)
	}
	for key, want := range had {
		if diff := cmp.Diff(want, has[key]); diff != "" {
			t.Errorf("%s of %s afterwards (-want +got):\n%s", key, path, diff)
		}
	}
	if copies, _ := filepath.Glob(path + ".pyro-backup-*"); len(copies) == 0 || !slices.ContainsFunc(copies, func(copied string) bool {
		data, err := os.ReadFile(copied)
		return err == nil && string(data) == before
	}) {
		t.Errorf("no copy of what was before: %q", copies)
	}
}

// TestClaudeByHand types what the README says, in a directory below the project's.
func TestClaudeByHand(t *testing.T) {
	b := newHostBed(t)
	below := filepath.Join(b.project, "below")
	if err := os.Mkdir(below, 0o755); err != nil {
		t.Fatal(err)
	}
	b.call(t, "git", "init", "-q")
	b.project = below
	b.call(t, "claude", "mcp", "add", "pyro", "--", "pyro", "mcp", "serve")
	if said, _ := b.call(t, "claude", "mcp", "list"); !strings.Contains(said, "pyro: pyro mcp serve - ✔ Connected") {
		t.Errorf("claude says %q", said)
	}
	out, _ := b.call(t, "pyro", "host", "doctor", "claude-code", "--scope", "local", "--json")
	var d api.HostDoctor
	if err := json.Unmarshal([]byte(out), &d); err != nil {
		t.Fatal(err)
	}
	if len(d.Hosts[0].Places) != 1 || d.Hosts[0].Places[0].State != api.HostConnected {
		t.Errorf("doctor says %s", out)
	}
	b.call(t, "pyro", "host", "disconnect", "claude-code", "--scope", "local", "--yes")
	if said, _ := b.call(t, "claude", "mcp", "list"); strings.Contains(said, "pyro") {
		t.Errorf("after disconnect claude says %q", said)
	}
}
