package e2e

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pyro-sandbox/pyro/internal/testgate"
)

// tools wants programs of the host that a test uses inside.
func tools(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		_, err := exec.LookPath(name)
		testgate.Require(t, testgate.Tool, err)
	}
}

// write puts a file into the place, with its directories.
func (p *place) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(p.at(name)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p.at(name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// restart stops a workspace and starts it again.
func (p *place) restart(t *testing.T, pyro, id string) {
	t.Helper()
	p.ok(t, pyro, "workspace", "stop", id)
	p.ok(t, pyro, "workspace", "start", id)
}

func number(t *testing.T, text string) float64 {
	t.Helper()
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

const makefile = `test: hello
	./hello | grep -q hello

hello: hello.c
	cc -Wall -o hello hello.c

.PHONY: test
`

// TestProjectInC builds a project with the host's compiler. What was built is still
// there after stop and start, and make sees no reason to build it again until the
// source is pushed with a change.
func TestProjectInC(t *testing.T) {
	t.Parallel()
	pyro := binary(t)
	requireSandboxes(t, pyro)
	tools(t, "make", "cc")
	p := newPlace(t)
	p.write(t, "project/Makefile", makefile)
	p.write(t, "project/hello.c", "#include <stdio.h>\nint main(void) { puts(\"hello\"); return 0; }\n")
	id := p.create(t, pyro, "--seed-path", p.at("project"))
	inside := func(words ...string) string {
		t.Helper()
		return p.ok(t, pyro, append([]string{"workspace", "exec", id, "--timeout-seconds", "120", "--"}, words...)...)
	}
	if got := inside("make", "test"); !strings.HasPrefix(got, "cc ") {
		t.Errorf("the first make printed %q", got)
	}
	const facts = "stat -c '%s %a' hello; sha256sum hello"
	built, when := inside("sh", "-c", facts), inside("stat", "-c", "%.Y", "hello")
	p.restart(t, pyro, id)
	if got := inside("sh", "-c", facts); got != built {
		t.Errorf("hello was %q and is %q", built, got)
	}
	if got := inside("stat", "-c", "%.Y", "hello"); math.Abs(number(t, got)-number(t, when)) > 1 { // whole seconds are kept
		t.Errorf("hello was of %s and is of %s", when, got)
	}
	if got := inside("make", "test"); got != "./hello | grep -q hello" {
		t.Errorf("after stop and start make test printed %q", got)
	}
	if got := inside("make", "hello"); !strings.Contains(got, "up to date") {
		t.Errorf("after stop and start make printed %q", got)
	}

	p.write(t, "project/hello.c", "int main(void) { return 1; }\n")
	later := time.Now().Add(2 * time.Second) // whole seconds arrive; it must be newer in these
	if err := os.Chtimes(p.at("project/hello.c"), later, later); err != nil {
		t.Fatal(err)
	}
	p.ok(t, pyro, "workspace", "sync", "push", id, p.at("project"))
	cmd := p.command(t, pyro, "workspace", "exec", id, "--", "make", "test")
	if out, err := cmd.CombinedOutput(); cmd.ProcessState.ExitCode() != 2 || !bytes.Contains(out, []byte("cc ")) {
		t.Errorf("with a broken source: %v: %s", err, out)
	}
	p.wantRight(t, pyro)
}

// projectPackages are tested inside: few, since all that they need is compiled there.
var projectPackages = []string{"./api", "./internal/redact"}

// moduleCache makes a module cache with what these packages need, from the one of
// whoever runs the test. Nothing is fetched from elsewhere.
func moduleCache(t *testing.T, dir string) error {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "env", "GOMODCACHE").Output()
	if err != nil {
		return err
	}
	known := filepath.Join(strings.TrimSpace(string(out)), "cache", "download")
	if _, err := os.ReadDir(known); err != nil {
		return fmt.Errorf("no module cache to take from: %w", err)
	}
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list", "-deps", "-test"}, projectPackages...)...)
	cmd.Dir = ".."
	cmd.Env = append(os.Environ(), "GOMODCACHE="+dir, "GOPROXY=file://"+known, "GOSUMDB=off", "GOFLAGS=-modcacherw", "GOTOOLCHAIN=local")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go list: %w: %s", err, out)
	}
	return nil
}

// goInside runs the go of the host's /usr/local inside, with nothing to be had from
// the network.
var goInside = []string{
	"env", "PATH=/usr/local/go/bin:/usr/bin:/bin", "GOMODCACHE=/workspace/.gomod", "GOCACHE=/workspace/.gocache",
	"GOPROXY=off", "GOFLAGS=-mod=mod", "GOTOOLCHAIN=local", "CGO_ENABLED=0", "go",
}

// TestProjectInGo tests packages of this module inside, with a module cache that was
// pushed. After stop and start go finds its own cache again.
func TestProjectInGo(t *testing.T) {
	t.Parallel()
	pyro := binary(t)
	requireSandboxes(t, pyro)
	tools(t, "/usr/local/go/bin/go")
	p := newPlace(t)
	testgate.Require(t, testgate.Tool, moduleCache(t, p.at("gomod")))
	id := p.ok(t, pyro, "workspace", "create", "host", "--mem-mib", "4096", "--vcpu-count", "2", "--ttl-seconds", "3600",
		"--seed-path", "..", "--exclude", "/bin/", "--exclude", "/dist/", "--exclude", "/.git", "--id-only")
	p.learn()
	p.ok(t, pyro, "workspace", "sync", "push", id, p.at("gomod"), "--dest", "/workspace/.gomod", "--exclude", "*.zip")
	test := func(words ...string) string {
		t.Helper()
		args := append([]string{"workspace", "exec", id, "--timeout-seconds", "600", "--"}, goInside...)
		return p.ok(t, pyro, append(append(args, "test"), words...)...)
	}
	if got := test(projectPackages...); strings.Count(got, "ok ") != 2 || strings.Contains(got, "(cached)") {
		t.Errorf("the first test printed %q", got)
	}
	p.restart(t, pyro, id)
	if got := test(projectPackages...); strings.Count(got, "(cached)") != 2 {
		t.Errorf("after stop and start the test printed %q", got)
	}
	p.wantRight(t, pyro)
}
