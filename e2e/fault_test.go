package e2e

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// faulty finds, or builds, a pyro that obeys PYRO_FAULT.
func faulty(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("PYRO_FAULT_BINARY"); path != "" {
		return path
	}
	path := filepath.Join(t.TempDir(), "pyro")
	build := exec.CommandContext(t.Context(), "go", "build", "-tags", "faultpoint", "-o", path, "../cmd/pyro")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building with fault points: %v: %s", err, out)
	}
	return path
}

// withFault is a place in which pyro is struck at a point, for instance
// "recorded=kill". Points are counted in a trace.
func (p *place) withFault(fault string) *place {
	struck := *p
	struck.env = append(slices.Clone(p.env), "PYRO_FAULT="+fault, "PYRO_FAULT_TRACE="+p.at("trace"))
	return &struck
}

// try runs pyro without caring how it ends: it may be the one that is struck.
func (p *place) try(t *testing.T, pyro string, args ...string) string {
	t.Helper()
	cmd := p.command(t, pyro, args...)
	cmd.WaitDelay = patience
	out, _ := cmd.Output()
	p.learn()
	return strings.TrimSpace(string(out))
}

// life goes through everything that acquires or frees something: a one-shot run, a
// seeded workspace that is stopped and started, one whose supervisor is killed, the
// clean-up after it, and its deletion.
func (p *place) life(t *testing.T, pyro string) {
	t.Helper()
	p.try(t, pyro, "run", "host", "--", "true")
	id := p.try(t, pyro, "workspace", "create", "host", "--id-only")
	for _, s := range p.processes(" supervise ") {
		_ = syscall.Kill(s.pid, syscall.SIGKILL)
	}
	p.try(t, pyro, "workspace", "list")
	if id != "" {
		p.try(t, pyro, "workspace", "delete", id)
	}
	other := p.try(t, pyro, "workspace", "create", "host", "--seed-path", p.project(t), "--id-only")
	if other != "" {
		p.try(t, pyro, "workspace", "exec", other, "--", "true")
		p.try(t, pyro, "workspace", "stop", other)
		p.try(t, pyro, "workspace", "start", other)
		p.try(t, pyro, "workspace", "delete", other)
	}
}

// wantRight is what must hold after anything: the next commands work, workspaces
// that are left can be deleted, and then nothing is left.
func (p *place) wantRight(t *testing.T, pyro string) {
	t.Helper()
	p.learn()
	p.ok(t, pyro, "workspace", "list")
	for id := range p.ids {
		p.try(t, pyro, "workspace", "delete", id) // or its supervisor does so just now
	}
	if got := p.ok(t, pyro, "run", "host", "--", "echo", "works"); got != "works" {
		t.Errorf("the next run printed %q", got)
	}
	p.wantNothing(t)
}

// TestFaultPoints kills pyro at every point at which it has just acquired or freed
// something, or is about to.
func TestFaultPoints(t *testing.T) {
	pyro := binary(t)
	requireSandboxes(t, pyro)
	struck := faulty(t)
	written := faultPoints(t)
	hit := make(map[string]func(*place, *testing.T, string)) // by the point, the first life that comes by it
	for _, lives := range []func(*place, *testing.T, string){(*place).life, (*place).branches, (*place).looks, (*place).returned} {
		for _, point := range tracedBy(t, pyro, func(p *place) { lives(p, t, struck) }) {
			if hit[point] == nil {
				hit[point] = lives
			}
		}
	}
	points := slices.Sorted(maps.Keys(hit))
	var missed []string
	for _, point := range written {
		reached := slices.ContainsFunc(points, func(name string) bool { return matches(point, name) })
		if !reached && !(os.Getuid() != 0 && ofRoot(point)) {
			missed = append(missed, point)
		}
	}
	t.Logf("%d of %d fault points are hit; not hit: %q", len(written)-len(missed), len(written), missed)
	if len(missed) > 0 {
		t.Errorf("no test reaches %q", missed)
	}
	for _, point := range points {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			hit[point](p.withFault(point+"=kill"), t, struck)
			p.wantRight(t, pyro)
		})
	}
}

// ofRoot reports whether only root comes by a point: others have neither cgroups nor
// user ids to give.
func ofRoot(point string) bool {
	return strings.HasPrefix(point, "cgroup-") || strings.HasPrefix(point, "uid-")
}

// matches reports whether a name that was hit comes from a point in the source,
// where a name may be put together from a prefix and something else.
func matches(point, name string) bool {
	prefix, open := strings.CutSuffix(point, "…")
	return point == name || open && strings.HasPrefix(name, prefix)
}

// traced lives a life without a fault and returns the points it went by.
func traced(t *testing.T, pyro string) []string {
	t.Helper()
	return tracedBy(t, pyro, func(p *place) { p.life(t, pyro) })
}

// tracedBy returns the points that something goes by.
func tracedBy(t *testing.T, pyro string, does func(*place)) []string {
	t.Helper()
	p := newPlace(t)
	does(p.withFault(""))
	p.wantRight(t, pyro)
	data, err := os.ReadFile(p.at("trace"))
	if err != nil {
		t.Fatal(err)
	}
	names := strings.Fields(string(data))
	slices.Sort(names)
	return slices.Compact(names)
}

// faultPoints reads the names of all points from the source.
func faultPoints(t *testing.T) []string {
	t.Helper()
	var points []string
	err := filepath.WalkDir("../internal", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok && isFault(call.Fun) {
				points = append(points, pointName(call.Args[0]))
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(points)
	return slices.Compact(points)
}

func isFault(fun ast.Expr) bool {
	s, ok := fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	pkg, ok := s.X.(*ast.Ident)
	return ok && pkg.Name == "fault" && (s.Sel.Name == "Hit" || s.Sel.Name == "Error")
}

func pointName(arg ast.Expr) string {
	switch arg := arg.(type) {
	case *ast.BasicLit:
		name, _ := strconv.Unquote(arg.Value)
		return name
	case *ast.BinaryExpr:
		return pointName(arg.X) + "…"
	default:
		return "…"
	}
}

// TestOthersKilledAtFaultPoints holds the supervisor of a one-shot run at every
// point, kills another process, and lets the supervisor go on.
func TestOthersKilledAtFaultPoints(t *testing.T) {
	pyro := binary(t)
	requireSandboxes(t, pyro)
	struck := faulty(t)
	for _, point := range traced(t, struck) {
		for _, victim := range []string{"the command", "the Sentry", "the gofer"} {
			t.Run(point+"/"+victim, func(t *testing.T) {
				t.Parallel()
				p := newPlace(t)
				held := p.withFault(point + "#1=stop")
				cli := held.command(t, struck, "run", "host", "--", "true")
				if err := cli.Start(); err != nil {
					t.Fatal(err)
				}
				done := make(chan error, 1)
				go func() { done <- cli.Wait() }()
				if supervisor, ok := held.awaitStopped(done); ok {
					p.learn()
					held.killIfThere(victim, cli)
					resume(supervisor, done)
				}
				p.wantRight(t, pyro)
			})
		}
	}
}

// awaitStopped waits until the supervisor has stopped itself, or the command has
// ended without coming by the point.
func (p *place) awaitStopped(done chan error) (pid int, stopped bool) {
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		for _, s := range p.processes(" supervise ") {
			stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.pid))
			if bytes.Contains(stat, []byte(") T ")) {
				return s.pid, true
			}
		}
		select {
		case <-done:
			return 0, false
		case <-ticker.C:
		}
	}
}

// resume lets a stopped process go on until the command has ended. A stop and the
// signal that ends it may meet, so it is sent more than once.
func resume(pid int, done chan error) {
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		_ = syscall.Kill(pid, syscall.SIGCONT) // perhaps it has ended
		select {
		case <-done:
			_ = syscall.Kill(pid, syscall.SIGCONT)
			return
		case <-ticker.C:
		}
	}
}

// killIfThere kills a process that at this point may not exist yet, or any more.
func (p *place) killIfThere(victim string, cli *exec.Cmd) {
	if pattern := victims[victim]; pattern == "" {
		_ = cli.Process.Kill()
	} else {
		for _, found := range p.processes(pattern) {
			_ = syscall.Kill(found.pid, syscall.SIGKILL)
		}
	}
}

// TestFullDisk makes the writes of the store fail as on a full disk: the error says
// so, and nothing is left.
func TestFullDisk(t *testing.T) {
	pyro := binary(t)
	requireSandboxes(t, pyro)
	struck := faulty(t)
	for _, point := range []string{"ledger-write", "record-write"} {
		t.Run(point, func(t *testing.T) {
			p := newPlace(t)
			out, err := p.withFault(point+"=enospc").command(t, struck, "workspace", "create", "host").CombinedOutput()
			if err == nil || !strings.Contains(string(out), "[error] ") || !strings.Contains(string(out), "no space left") {
				t.Errorf("%v: %s", err, out)
			}
			p.wantRight(t, pyro)
		})
	}
}
