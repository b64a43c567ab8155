package e2e

import (
	"bytes"
	"io"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// stalling serves a git repository, and never ends its answer to a fetch. What it returns
// besides the address says when one has begun.
func stalling(t *testing.T) (address string, begun <-chan struct{}) {
	t.Helper()
	dir := t.TempDir()
	run := func(args ...string) string {
		cmd := exec.CommandContext(t.Context(), "git", args...)
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=A",
			"GIT_AUTHOR_EMAIL=a@example.org", "GIT_COMMITTER_NAME=A", "GIT_COMMITTER_EMAIL=a@example.org")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v: %s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	run("init", "-q", filepath.Join(dir, "r"))
	run("-C", filepath.Join(dir, "r"), "commit", "-q", "--allow-empty", "-m", "first")
	backend := &cgi.Handler{Path: filepath.Join(run("--exec-path"), "git-http-backend"), Env: []string{
		"GIT_PROJECT_ROOT=" + dir, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_GLOBAL=/dev/null",
	}, InheritEnv: []string{"PATH"}}
	fetching := make(chan struct{}, 8)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if bytes.Contains(body, []byte("command=fetch")) {
			fetching <- struct{}{}
			<-r.Context().Done()
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		backend.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections)
	return server.URL + "/r/.git", fetching
}

// staged are the directories in which repositories are being fetched.
func (p *place) staged(t *testing.T) []string {
	t.Helper()
	for _, entry := range p.env {
		if cache, ok := strings.CutPrefix(entry, "PYRO_CACHE_DIR="); ok {
			found, err := filepath.Glob(filepath.Join(cache, "repositories", "making-*"))
			if err != nil {
				t.Fatal(err)
			}
			return found
		}
	}
	t.Fatal("no cache directory")
	return nil
}

func TestAFetchThatIsInterrupted(t *testing.T) {
	pyro := binary(t)
	requireSandboxes(t, pyro)
	tools(t, "git")
	for name, row := range map[string]struct {
		signal syscall.Signal
		code   int
	}{"Ctrl-C": {syscall.SIGINT, 130}, "terminated": {syscall.SIGTERM, 143}, "killed": {syscall.SIGKILL, -1}} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			address, begun := stalling(t)
			cmd := p.command(t, pyro, "workspace", "create", "host", "--repo-url", address)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			select {
			case <-begun:
			case <-time.After(time.Minute):
				_ = cmd.Process.Kill()
				t.Fatal("nothing is fetched")
			}
			if err := cmd.Process.Signal(row.signal); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait()
			if code := cmd.ProcessState.ExitCode(); code != row.code {
				t.Errorf("exit code %d, want %d", code, row.code)
			}
			if row.signal == syscall.SIGKILL { // git itself goes with us, its helper when nobody answers
				if left := waitGone("--end-of-options " + address); left != "" {
					t.Errorf("it runs on: %s", left)
				}
				if out, err := p.command(t, pyro, "run", "host", "--repo-url", "file:///nonexistent/x", "--", "true").CombinedOutput(); err == nil {
					t.Errorf("it worked: %s", out)
				}
			} else if left := waitGone(address); left != "" {
				t.Errorf("it runs on: %s", left)
			}
			if left := p.staged(t); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
			p.wantNothing(t)
		})
	}
}
