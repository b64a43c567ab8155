package host

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/pyro-sandbox/pyro/api"
)

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
