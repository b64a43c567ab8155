package clone

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pyro-sandbox/pyro/internal/archive"
	"github.com/pyro-sandbox/pyro/internal/testgate"
)

// origin is a repository that somebody else has made.
type origin struct {
	t   *testing.T
	dir string // its work tree
}

func newOrigin(t *testing.T) *origin {
	t.Helper()
	_, err := exec.LookPath("git")
	testgate.Require(t, testgate.Tool, err)
	o := &origin{t: t, dir: filepath.Join(t.TempDir(), "origin")}
	if err := os.Mkdir(o.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	o.git("init", "-q", "-b", "main")
	return o
}

func (o *origin) git(args ...string) string {
	o.t.Helper()
	cmd := exec.CommandContext(o.t.Context(), "git", args...)
	cmd.Dir = o.dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@example.org", "GIT_COMMITTER_NAME=A", "GIT_COMMITTER_EMAIL=a@example.org",
		"GIT_AUTHOR_DATE=@1700000000 +0000", "GIT_COMMITTER_DATE=@1700000000 +0000")
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		o.t.Fatalf("git %s: %v: %s", strings.Join(args, " "), err, complaint.String())
	}
	return strings.TrimSpace(string(out))
}

func (o *origin) write(name, content string) {
	o.t.Helper()
	path := filepath.Join(o.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		o.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		o.t.Fatal(err)
	}
}

func (o *origin) commit(message string) string {
	o.t.Helper()
	o.git("add", "-A")
	o.git("commit", "-q", "--allow-empty", "-m", message)
	return o.git("rev-parse", "HEAD")
}

func (o *origin) file() string { return "file://" + o.dir }

func options(t *testing.T) Options {
	t.Helper()
	dir := t.TempDir()
	t.Cleanup(func() {
		if left, _ := filepath.Glob(filepath.Join(dir, staged+"*")); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	})
	return Options{Dir: dir, Environ: os.Environ()}
}

func parse(t *testing.T, address, ref string) *Repository {
	t.Helper()
	r, err := Parse(address, ref)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func fetch(t *testing.T, o Options, address, ref string) *Archive {
	t.Helper()
	got, err := parse(t, address, ref).Fetch(t.Context(), o, "")
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// unpack makes a work tree of an archive, as the guest does.
func unpack(t *testing.T, a *Archive) *origin {
	t.Helper()
	f, err := os.Open(a.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	dir := t.TempDir()
	if _, err := archive.UnpackDir(t.Context(), f, dir, archive.UnpackOptions{Links: archive.LinksAsData}); err != nil {
		t.Fatal(err)
	}
	return &origin{t: t, dir: dir}
}

// files are the names in an archive, without .git, and what they are.
func files(t *testing.T, a *Archive) map[string]string {
	t.Helper()
	f, err := os.Open(a.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	found := map[string]string{}
	for in := tar.NewReader(f); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return found
		}
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(h.Name, ".git/") {
			body, _ := io.ReadAll(in)
			found[h.Name] = fmt.Sprintf("%c %o %s%s", h.Typeflag, h.Mode, h.Linkname, body)
		}
	}
}

func project(t *testing.T) *origin {
	t.Helper()
	o := newOrigin(t)
	o.write("README", "one\n")
	o.write("sub/run.sh", "#!/bin/sh\n")
	if err := os.Chmod(filepath.Join(o.dir, "sub/run.sh"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../README", filepath.Join(o.dir, "sub/link")); err != nil {
		t.Fatal(err)
	}
	o.commit("first")
	o.git("tag", "-a", "v1", "-m", "v1")
	o.git("checkout", "-q", "-b", "side")
	o.write("README", "side\n")
	o.commit("aside")
	o.git("checkout", "-q", "main")
	o.write("README", "two\n")
	o.commit("second")
	return o
}

// served is the origin behind git's own CGI program, on loopback.
func served(t *testing.T, o *origin, wrap func(http.Handler) http.Handler) string {
	t.Helper()
	path, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		t.Fatal(err)
	}
	backend := filepath.Join(strings.TrimSpace(string(path)), "git-http-backend")
	_, err = os.Stat(backend)
	testgate.Require(t, testgate.Tool, err)
	var handler http.Handler = &cgi.Handler{Path: backend, Env: []string{
		"GIT_PROJECT_ROOT=" + filepath.Dir(o.dir), "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*",
	}, InheritEnv: []string{"PATH"}}
	if wrap != nil {
		handler = wrap(handler)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL + "/origin/.git"
}

// mktree makes a tree of lines as ls-tree has them, whatever they say.
func (o *origin) mktree(lines string) string {
	o.t.Helper()
	var raw bytes.Buffer
	for line := range strings.Lines(lines) {
		head, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		words := strings.Fields(head)
		fmt.Fprintf(&raw, "%s %s\x00", strings.TrimPrefix(words[0], "0"), name)
		for i := 0; i < len(words[2]); i += 2 {
			var b byte
			_, _ = fmt.Sscanf(words[2][i:i+2], "%02x", &b)
			raw.WriteByte(b)
		}
	}
	path := filepath.Join(o.t.TempDir(), "tree")
	if err := os.WriteFile(path, raw.Bytes(), 0o600); err != nil {
		o.t.Fatal(err)
	}
	return o.git("hash-object", "-w", "-t", "tree", "--literally", path)
}
