package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/leaks"
)

const oldVersion = "0.0.1"

// oldPyro finds, or builds, a pyro that says that it is of an older version.
func oldPyro(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("PYRO_OLD_BINARY"); path != "" {
		return path
	}
	path := filepath.Join(t.TempDir(), "pyro")
	stamp := "-X github.com/pyro-sandbox/pyro/internal/version.stamp=v" + oldVersion
	build := exec.CommandContext(t.Context(), "go", "build", "-ldflags", stamp, "-o", path, "../cmd/pyro")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building an older version: %v: %s", err, out)
	}
	return path
}

// socket is where the supervisor of a workspace listens.
func (p *place) socket(t *testing.T, id string) string {
	t.Helper()
	found, err := filepath.Glob(p.at(leaks.Run + "/*/" + id + "/control.sock"))
	if err != nil || len(found) != 1 {
		t.Fatalf("sockets of %s: %v, %v", id, found, err)
	}
	return found[0]
}

func over(socket string) *http.Transport {
	return &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}
}

// supervisedBy asks a supervisor of which version it is.
func (p *place) supervisedBy(t *testing.T, id string) string {
	t.Helper()
	client := http.Client{Transport: over(p.socket(t, id)), Timeout: patience}
	response, err := client.Get("http://pyro/v1/hello")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	var hello api.Hello
	if err := json.NewDecoder(response.Body).Decode(&hello); err != nil {
		t.Fatal(err)
	}
	return hello.Version
}

// A supervisor of the version before serves the new command line, and what it leaves
// behind is taken up by one of the new version.
func TestOldSupervisorAndNewCommands(t *testing.T) {
	pyro, old := binary(t), oldPyro(t)
	requireSandboxes(t, pyro)
	p := newPlace(t)
	id := p.ok(t, old, "workspace", "create", "host", "--seed-path", p.project(t), "--id-only")
	p.learn()
	if v := p.supervisedBy(t, id); v != oldVersion {
		t.Fatalf("the supervisor is of version %s", v)
	}
	if out := p.ok(t, pyro, "workspace", "exec", id, "--", "cat", "a"); out != "seed" {
		t.Errorf("exec printed %q", out)
	}
	p.ok(t, pyro, "workspace", "sync", "push", id, p.project(t))
	p.ok(t, pyro, "workspace", "update", id, "--name", "renamed")
	p.ok(t, pyro, "workspace", "stop", id)
	p.ok(t, pyro, "workspace", "start", id)
	if v := p.supervisedBy(t, id); v == oldVersion {
		t.Errorf("a new start has a supervisor of version %s", v)
	}
	if out := p.ok(t, pyro, "workspace", "logs", id); !strings.Contains(out, "seed") {
		t.Errorf("the history is %q", out)
	}
	// And the other way round: whoever has gone back to the version before.
	if out := p.ok(t, old, "workspace", "exec", id, "--", "cat", "b"); out != "seed" {
		t.Errorf("exec by the older version printed %q", out)
	}
	p.ok(t, old, "workspace", "delete", id)
	p.wantNothing(t)
}

// between stands in for a supervisor: it passes on what handle does not answer. The
// supervisor itself goes on behind it.
func (p *place) between(t *testing.T, id string, handle map[string]http.HandlerFunc) {
	t.Helper()
	socket := p.socket(t, id)
	moved := filepath.Join(filepath.Dir(socket), "real.sock")
	if err := os.Rename(socket, moved); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: "pyro"})
	proxy.Transport = over(moved)
	mux := http.NewServeMux()
	mux.Handle("/", proxy)
	for pattern, h := range handle {
		mux.HandleFunc(pattern, h)
	}
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: mux}}
	server.Start()
	t.Cleanup(func() {
		server.Close()
		_ = os.Rename(moved, socket)
	})
}

func answer(status int, v any) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(v)
	}
}

// refused wants a command to fail with these words and a hint, and returns.
func (p *place) refused(t *testing.T, pyro, word, hint string, args ...string) {
	t.Helper()
	out, err := p.command(t, pyro, args...).CombinedOutput()
	if err == nil || !strings.Contains(string(out), word) || !strings.Contains(string(out), "[hint]") || !strings.Contains(string(out), hint) {
		t.Errorf("pyro %s: %v: %s; want %q and the hint %q", strings.Join(args, " "), err, out, word, hint)
	}
}

func TestSupervisorThatIsTooNew(t *testing.T) {
	pyro := binary(t)
	requireSandboxes(t, pyro)
	p := newPlace(t)
	id := p.ok(t, pyro, "workspace", "create", "host", "--id-only")
	p.learn()
	t.Run("of another API", func(t *testing.T) {
		p.between(t, id, map[string]http.HandlerFunc{
			"GET /v1/hello": answer(http.StatusOK, api.Hello{Version: "9.0.0", API: api.APIVersion + 1}),
			"/v1/exec":      func(http.ResponseWriter, *http.Request) { t.Error("it was asked to run something all the same") },
		})
		p.refused(t, pyro, "version 2 of the API", "update this client to pyro 9.0.0", "workspace", "exec", id, "--", "true")
		p.refused(t, pyro, "version 2 of the API", "update this client to pyro 9.0.0", "workspace", "stop", id)
	})
	if out := p.ok(t, pyro, "workspace", "exec", id, "--", "echo", "alive"); out != "alive" {
		t.Errorf("afterwards it prints %q", out)
	}
	p.ok(t, pyro, "workspace", "delete", id)
	p.wantNothing(t)
}

// The first supervisors had neither history nor stop. They answered so.
func TestSupervisorThatCannotDoIt(t *testing.T) {
	pyro := binary(t)
	requireSandboxes(t, pyro)
	p := newPlace(t)
	id := p.ok(t, pyro, "workspace", "create", "host", "--id-only")
	p.learn()
	t.Run("what it lacks", func(t *testing.T) {
		lacks := answer(http.StatusNotImplemented, api.ErrorReply{Error: "it is not known to pyro 0.0.1", Kind: api.Unsupported})
		p.between(t, id, map[string]http.HandlerFunc{
			"GET /v1/hello": answer(http.StatusOK, map[string]any{"version": oldVersion, "api": 1, "capabilities": []string{"exec", "exec-frames", "delete"}, "later": true}),
			"/v1/logs":      lacks, "/v1/stop": lacks, "/v1/sync": lacks, "/v1/sync/compare": lacks, "PATCH /v1/workspace": lacks,
		})
		const hint = "it was started by another version of pyro"
		p.refused(t, pyro, "not known", hint, "workspace", "logs", id)
		p.refused(t, pyro, "not known", hint, "workspace", "stop", id)
		p.refused(t, pyro, "not known", hint, "workspace", "update", id, "--name", "x")
		p.refused(t, pyro, "not known", hint, "workspace", "sync", "push", id, p.project(t))
		if out := p.ok(t, pyro, "workspace", "exec", id, "--", "echo", "works"); out != "works" {
			t.Errorf("what it can do gives %q", out)
		}
	})
	p.ok(t, pyro, "workspace", "delete", id)
	p.wantNothing(t)
}

// An upgrade puts another file in the place of pyro, or takes it away for a moment.
func TestProgramIsReplacedWhileItSupervises(t *testing.T) {
	pyro, old := binary(t), oldPyro(t)
	requireSandboxes(t, pyro)
	p := newPlace(t)
	installed := p.install(t, old, "bin")
	id := p.ok(t, installed, "workspace", "create", "host", "--id-only")
	p.learn()
	if err := os.Remove(installed); err != nil {
		t.Fatal(err)
	}
	if out := p.ok(t, pyro, "workspace", "exec", id, "--", "echo", "without"); out != "without" {
		t.Errorf("without its file it prints %q", out)
	}
	p.install(t, pyro, "bin")
	if out := p.ok(t, installed, "workspace", "exec", id, "--", "echo", "replaced"); out != "replaced" {
		t.Errorf("with another file it prints %q", out)
	}
	if v := p.supervisedBy(t, id); v != oldVersion {
		t.Errorf("the one that runs is of version %s", v)
	}
	second := p.ok(t, installed, "workspace", "create", "host", "--id-only")
	p.learn()
	if v := p.supervisedBy(t, second); v == oldVersion {
		t.Errorf("one that was made later is of version %s", v)
	}
	p.ok(t, installed, "workspace", "stop", id) // the old one still saves its disk
	p.ok(t, installed, "workspace", "delete", id)
	p.ok(t, installed, "workspace", "delete", second)
	p.wantNothing(t)
}

// layouts are workspaces as versions so far have left them, see testdata/layouts.
const layouts = "testdata/layouts"

var moment = regexp.MustCompile(`"(created_at|expires_at|last_activity_at|at)":(\d+\.\d+)`)

// plant puts a workspace of layouts into the state of this place, as if it had been
// made just now: else its time to live would be over.
func (p *place) plant(t *testing.T, name string) (id string) {
	t.Helper()
	from := filepath.Join(layouts, name)
	data, err := os.ReadFile(filepath.Join(from, "record.json"))
	if err != nil {
		t.Fatal(err)
	}
	var sealed struct {
		Layout int             `json:"layout"`
		Record json.RawMessage `json:"record"`
	}
	var record struct {
		ID        string  `json:"id"`
		CreatedAt float64 `json:"created_at"`
	}
	if err := errors.Join(json.Unmarshal(data, &sealed), json.Unmarshal(sealed.Record, &record)); err != nil {
		t.Fatal(err)
	}
	later := float64(time.Now().Unix()) - record.CreatedAt
	text := moment.ReplaceAllFunc(sealed.Record, func(m []byte) []byte {
		parts := moment.FindSubmatch(m)
		at, err := strconv.ParseFloat(string(parts[2]), 64)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Appendf(nil, `"%s":%.6f`, parts[1], at+later)
	})
	p.ids[record.ID] = true
	to := p.at(leaks.State + "/workspaces/" + record.ID)
	copyTree(t, from, to)
	if err := os.WriteFile(filepath.Join(to, "record.json"), seal(sealed.Layout, text), 0o600); err != nil {
		t.Fatal(err)
	}
	return record.ID
}

// seal makes the file around a record: layout 1 is a contract with every version.
func seal(layout int, record []byte) []byte {
	sum := sha256.Sum256(fmt.Appendf(nil, `{"layout":%d,"record":%s}`, layout, record))
	return fmt.Appendf(nil, `{"layout":%d,"sha256":"%x","record":%s}`+"\n", layout, sum, record)
}

// copyTree copies files and directories, private as those of the state are. Only the
// sandbox's own user can read a saved disk, which is another where root starts it.
func copyTree(t *testing.T, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		rel, wrong := filepath.Rel(from, path)
		if err != nil || wrong != nil {
			return errors.Join(err, wrong)
		}
		dir, file := fs.FileMode(0o700), fs.FileMode(0o600)
		if strings.HasPrefix(rel, "saved/") {
			dir, file = 0o755, 0o644
		}
		if entry.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), dir)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), data, file)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// makeState lets pyro make the directories of this place.
func (p *place) makeState(t *testing.T, pyro string) {
	t.Helper()
	p.ok(t, pyro, "run", "host", "--", "true")
}

func TestWorkspaceOfAnOlderVersion(t *testing.T) {
	pyro := binary(t)
	requireSandboxes(t, pyro)
	entries, err := os.ReadDir(layouts)
	if err != nil {
		t.Fatal(err)
	}
	planted := 0
	for _, entry := range entries {
		if !entry.IsDir() {
			continue
		}
		planted++
		t.Run(entry.Name(), func(t *testing.T) {
			p := newPlace(t)
			p.makeState(t, pyro)
			id := p.plant(t, entry.Name())
			if out := p.ok(t, pyro, "workspace", "list"); !strings.Contains(out, id) || strings.Contains(out, "broken") {
				t.Fatalf("the list is %q", out)
			}
			p.ok(t, pyro, "workspace", "logs", id)
			p.ok(t, pyro, "workspace", "update", id, "--name", "of-old")
			p.lives(t, pyro, id)
			p.ok(t, pyro, "workspace", "delete", id)
			p.wantNothing(t)
		})
	}
	if planted == 0 {
		t.Errorf("in %s is nothing", layouts)
	}
}

// lives starts a workspace of an older version. One whose disk was never saved, and
// that has no seed either, has nothing that it could be started from, and says so.
func (p *place) lives(t *testing.T, pyro, id string) {
	t.Helper()
	if _, err := os.Stat(p.at(leaks.State + "/workspaces/" + id + "/saved")); errors.Is(err, fs.ErrNotExist) {
		out, err := p.command(t, pyro, "workspace", "start", id).CombinedOutput()
		if err != nil && !bytes.Contains(out, []byte("[hint]")) {
			t.Errorf("start: %v: %s", err, out)
		}
		return
	}
	if out, err := p.command(t, pyro, "workspace", "start", id).CombinedOutput(); err != nil {
		if !bytes.Contains(out, []byte("its disk was saved as")) || !bytes.Contains(out, []byte("[hint]")) {
			t.Errorf("start: %v: %s", err, out)
		}
		return // of another gVisor than this one
	}
	if out := p.ok(t, pyro, "workspace", "exec", id, "--", "cat", "file.txt", "made.txt"); out != "hello seed\nchanged" {
		t.Errorf("its files read %q", out)
	}
	p.ok(t, pyro, "workspace", "stop", id)
}

// What a later version has made is shown as what it is, and nothing but a delete
// touches it.
func TestWorkspaceOfALaterVersion(t *testing.T) {
	pyro := binary(t)
	requireSandboxes(t, pyro)
	p := newPlace(t)
	p.makeState(t, pyro)
	id := p.plant(t, "first-stopped")
	record := p.at(leaks.State + "/workspaces/" + id + "/record.json")
	later := seal(2, []byte(`{"id":"`+id+`","newer":{"shape":[1,2]}}`))
	if err := os.WriteFile(record, later, 0o600); err != nil {
		t.Fatal(err)
	}
	if out := p.ok(t, pyro, "workspace", "list"); !strings.Contains(out, id) || !strings.Contains(out, "unknown layout 2") {
		t.Errorf("the list is %q", out)
	}
	const hint = "use the version of pyro that made the workspace"
	p.refused(t, pyro, "unknown layout 2", hint, "workspace", "start", id)
	p.refused(t, pyro, "unknown layout 2", hint, "workspace", "update", id, "--name", "x")
	p.refused(t, pyro, "unknown layout 2", "", "workspace", "exec", id, "--", "true")
	p.ok(t, pyro, "run", "host", "--", "true") // sweeps
	p.ok(t, pyro, "doctor", "--fix")
	if data, err := os.ReadFile(record); err != nil || !bytes.Equal(data, later) {
		t.Errorf("the record is now %q, %v", data, err)
	}
	if _, err := os.Stat(p.at(leaks.State + "/workspaces/" + id + "/saved/1/pages.img")); err != nil {
		t.Errorf("its disk was touched: %v", err)
	}
	p.ok(t, pyro, "workspace", "delete", id)
	p.wantNothing(t)
}
