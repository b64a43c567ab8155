package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/api"
)

// sampleHosts has a change for connect and repair, none for disconnect, and notes what was
// asked of it.
func sampleHosts(asked *[]string) Hosts {
	entry := &api.HostEntry{Command: []string{"/usr/bin/pyro", "mcp", "serve"}, Env: []string{}}
	return Hosts{
		Names: []string{"claude-code", "codex"},
		Plan: func(action string, req api.HostRequest) (*api.HostChange, func(context.Context) error, error) {
			*asked = append(*asked, fmt.Sprintf("%s %q", action, req))
			c := &api.HostChange{Host: req.Host, Action: action, Scope: "user", Path: "/h/\x1b[31mx.json", Run: []string{}, Entry: entry}
			switch {
			case action == "disconnect":
				c.Entry = nil
				return c, nil, nil
			case req.Host == "claude-code":
				c.Run = []string{"claude", "mcp", "add", "-s", "user", "pyro", "--", "/usr/bin/pyro", "mcp", "serve"}
			default:
				c.Diff = "--- /h/x.json\n+++ /h/x.json\n@@ -1,1 +1,1 @@\n-{}\n+{\x1b[2J}\n\\ No newline at end of file\n"
			}
			c.Changed, c.Note = true, "start it anew"
			return c, func(context.Context) error {
				*asked = append(*asked, "done")
				c.Backup = text("/h/x.json.pyro-backup-1")
				return nil
			}, nil
		},
		Config: func(req api.HostRequest) (*api.HostConfig, error) {
			return &api.HostConfig{Host: req.Host, Scope: "user", Path: "/h/x.json", Format: "json", Snippet: "{\n}\n", Run: []string{"codex", "mcp", "add"}}, nil
		},
		Doctor: func(_ context.Context, req api.HostRequest) (*api.HostDoctor, error) {
			d := &api.HostDoctor{OK: req.Host == "codex", Hosts: []api.HostInfo{{Host: "codex", Title: "Codex", Installed: true, Found: text("/usr/bin/codex"), Places: []api.HostPlace{{
				Scope: "user", Path: "/h/x.json", State: api.HostConnected, Entry: entry, Server: &api.HostServer{Version: "1.2.3", Protocol: "2025-11-25", Tools: 18},
			}}}}}
			if !d.OK {
				d.Hosts = append(d.Hosts, api.HostInfo{Host: "claude-code", Title: "Claude Code", Places: []api.HostPlace{
					{Scope: "user", Path: "/h/y", State: api.HostAbsent},
					{Scope: "local", Path: "/h/y", State: api.HostBroken, Entry: entry, Reason: text("there is no program"), Next: text("`pyro host repair claude-code`")},
				}})
			}
			return d, nil
		},
	}
}

// TestHostPages holds what the commands about hosts say.
func TestHostPages(t *testing.T) {
	for name, args := range map[string][]string{
		"host connect own":       {"connect", "claude-code", "--yes"},
		"host connect file":      {"connect", "codex", "-y"},
		"host connect json":      {"connect", "codex", "--yes", "--json"},
		"host connect unasked":   {"connect", "codex"},
		"host connect json only": {"connect", "codex", "--json"},
		"host connect nothing":   {"connect"},
		"host connect unknown":   {"connect", "emacs"},
		"host connect two":       {"connect", "codex", "claude-code"},
		"host connect both":      {"connect", "codex", "--repo-url", "u", "--no-project-source"},
		"host connect nowhere":   {"connect", "codex", "--project-path", "/nowhere"},
		"host connect relative":  {"connect", "codex", "--command", "./pyro"},
		"host connect bad scope": {"connect", "codex", "--scope", "all"},
		"host disconnect":        {"disconnect", "codex"},
		"host repair":            {"repair", "codex", "--yes"},
		"host print":             {"print-config", "codex"},
		"host print json":        {"print-config", "codex", "--json"},
		"host doctor":            {"doctor"},
		"host doctor json":       {"doctor", "--json"},
		"host doctor one":        {"doctor", "codex"},
		"host doctor unknown":    {"doctor", "emacs"},
	} {
		t.Run(name, func(t *testing.T) {
			var asked []string
			s := &session{hosts: sampleHosts(&asked)}
			code := s.run(t, append([]string{"host"}, args...)...)
			golden(t, fmt.Sprintf("exit code %d\n--- stdout\n%s--- stderr\n%s", code, s.out.String(), s.err.String()))
			if made := slices.Contains(asked, "done"); made != (code == 0 && (args[0] == "connect" || args[0] == "repair")) {
				t.Errorf("asked of the machine: %q", asked)
			}
		})
	}
}

// TestHostOptionsBecomeServeWords follows what is typed to what a host will run.
func TestHostOptionsBecomeServeWords(t *testing.T) {
	var asked []string
	s := &session{hosts: sampleHosts(&asked)}
	dir := t.TempDir()
	t.Chdir(dir)
	if err := os.Mkdir(filepath.Join(dir, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	words := "host connect codex --yes --scope project --command pyro --project-path sub"
	if code := s.run(t, strings.Fields(words)...); code != 0 {
		t.Fatal(s.err.String())
	}
	here, err := filepath.EvalSymlinks(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("connect %q", api.HostRequest{Host: "codex", Scope: "project", Command: "pyro", Serve: []string{"--project-path", filepath.Join(here, "sub")}})
	if diff := cmp.Diff([]string{want, "done"}, asked); diff != "" {
		t.Errorf("asked of the machine (-want +got):\n%s", diff)
	}
}

// TestHostAsksAtATerminal takes a yes for a yes, and everything else for a no.
func TestHostAsksAtATerminal(t *testing.T) {
	for answer, made := range map[string]bool{"y\n": true, "YES\n": true, "\n": false, "n\n": false, "": false, "yes, but\n": false} {
		var asked []string
		s := &session{hosts: sampleHosts(&asked), tty: os.Stdin, stdin: strings.NewReader(answer)}
		code := s.run(t, "host", "connect", "codex")
		if got := slices.Contains(asked, "done"); got != made || (code == 0) != made {
			t.Errorf("%q: exit code %d, made %v\n%s", answer, code, got, s.err.String())
		}
		if !strings.Contains(s.err.String(), "-{}\n+{}\n") || !strings.Contains(s.err.String(), "Make this change? [y/N] ") {
			t.Errorf("%q: it showed %q", answer, s.err.String())
		}
	}
}

// TestHostQuestionCanBeInterrupted presses Ctrl-C at the question.
func TestHostQuestionCanBeInterrupted(t *testing.T) {
	var asked []string
	silent, end := io.Pipe()
	defer func() { _ = end.Close() }()
	s := &session{hosts: sampleHosts(&asked), tty: os.Stdin, stdin: silent, signals: make(chan os.Signal, 1)}
	s.signals <- os.Interrupt
	if code := s.run(t, "host", "connect", "codex"); code != 130 || slices.Contains(asked, "done") {
		t.Errorf("exit code %d, asked %q", code, asked)
	}
}

func TestHostErrorsAreTold(t *testing.T) {
	var asked []string
	hosts := sampleHosts(&asked)
	hosts.Plan = func(string, api.HostRequest) (*api.HostChange, func(context.Context) error, error) {
		return nil, nil, &api.Error{Kind: api.Invalid, Op: "connect", ID: "codex", Err: errors.New("/h/x:3: bad"), Hint: "correct it"}
	}
	s := &session{hosts: hosts}
	if code := s.run(t, "host", "connect", "codex", "--yes"); code != 1 || s.err.String() != "[error] connect codex: /h/x:3: bad\n[hint] correct it\n" {
		t.Errorf("exit code %d: %s", code, s.err.String())
	}
	none := &session{}
	if code := none.run(t, "host", "doctor"); code != 1 || !strings.Contains(none.err.String(), "[hint] run it where the hosts are") {
		t.Errorf("exit code %d: %s", code, none.err.String())
	}
}

func TestHostCompletion(t *testing.T) {
	var asked []string
	for line, want := range map[string][]string{
		"host connect ":                {"claude-code", "codex", ":4"},
		"host repair codex ":           {":4"},
		"host doctor ":                 {"claude-code", "codex", ":4"},
		"host connect codex --scope ":  {"user", "project", "local", ":4"},
		"host connect --project-path ": {":0"},
	} {
		s := &session{hosts: sampleHosts(&asked)}
		if code := s.run(t, append([]string{"__complete"}, strings.Split(line, " ")...)...); code != 0 {
			t.Fatal(s.err.String())
		}
		if got := strings.Split(strings.TrimSpace(s.out.String()), "\n"); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", line, got, want)
		}
	}
}

// TestHostDocsParse finds a command in the pages about hosts that would be refused.
func TestHostDocsParse(t *testing.T) {
	a := &app{Env: Env{Stdout: &output{}, Stderr: &output{}}}
	g := grammarOf(a.tree())
	pages, err := filepath.Glob("../../docs/hosts/*.md")
	if err != nil || len(pages) != 7 {
		t.Fatalf("pages %q, %v", pages, err)
	}
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		parsed := 0
		for line := range strings.Lines(string(text)) {
			command, ok := strings.CutPrefix(strings.TrimSpace(line), "$ pyro ")
			if !ok {
				continue
			}
			parsed++
			if _, err := g.parse(strings.Fields(command)); err != nil {
				t.Errorf("%s: %s: %v", filepath.Base(page), command, err)
			}
		}
		if parsed == 0 {
			t.Errorf("%s has no command", filepath.Base(page))
		}
	}
}
