package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/pyro-sandbox/pyro"
	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/bench/plain"
	"github.com/pyro-sandbox/pyro/bench/truth"
	"github.com/pyro-sandbox/pyro/internal/store"
	"github.com/pyro-sandbox/pyro/internal/sys"
	"github.com/pyro-sandbox/pyro/internal/workspace"
)

// bench has a state directory of its own, away from the user's workspaces.
type bench struct {
	bin    string // the directory of the programs
	n      int
	dir    string // scratch, removed at the end
	env    []string
	client *pyro.Client
	store  *store.Store
	recipe *plain.Recipe // made when the first row needs it
}

func open(bin string, n int) (_ *bench, err error) {
	if bin, err = filepath.Abs(bin); err != nil {
		return nil, err
	}
	b := &bench{bin: bin, n: n, env: os.Environ()}
	if _, err := os.Stat(b.program("pyro")); err != nil {
		return nil, fmt.Errorf("%w: run make first", err)
	}
	if b.dir, err = os.MkdirTemp("", "pyro-bench-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(b.dir)
		}
	}()
	if err := os.Chmod(b.dir, 0o711); err != nil { // the sandboxes' users pass through
		return nil, err
	}
	places := map[string]string{
		"PYRO_STATE_DIR": filepath.Join(b.dir, "state"),
		"PYRO_RUN_DIR":   filepath.Join(b.dir, "run"),
		"PYRO_CACHE_DIR": filepath.Join(b.dir, "cache"),
	}
	for key, dir := range places {
		b.env = append(b.env, key+"="+dir) // of a repeated key the last one counts
	}
	if b.client, err = pyro.Open(&pyro.Options{Binary: b.program("pyro"), Env: b.env}); err != nil {
		return nil, err
	}
	b.store, err = openStore(places)
	return b, err
}

// openStore opens the store in places, given as variables of the environment; of what
// is not among them our own counts.
func openStore(places map[string]string) (*store.Store, error) {
	dirs, err := store.FindDirs(func(key string) string {
		if dir, ok := places[key]; ok {
			return dir
		}
		return os.Getenv(key)
	}, os.Geteuid())
	if err != nil {
		return nil, err
	}
	return store.Open(dirs)
}

func (b *bench) close() {
	if dir := b.store.Dirs().Sandbox; dir != "" {
		_ = os.Remove(dir) // empty, since every workspace is deleted
	}
	_ = os.RemoveAll(b.dir)
}

func (b *bench) program(name string) string { return filepath.Join(b.bin, name) }

// wall measures a whole process, from fork to wait.
func (b *bench) wall(program string, args ...string) side { return wallIn(b.env, program, args...) }

func wallIn(env []string, program string, args ...string) side {
	return func(ctx context.Context) (time.Duration, error) {
		cmd := exec.CommandContext(ctx, program, args...)
		cmd.Env = env
		began := time.Now()
		if err := cmd.Run(); err != nil {
			return 0, fmt.Errorf("%s %s: %w", program, strings.Join(args, " "), err)
		}
		return time.Since(began), nil
	}
}

// within runs f with a workspace that is deleted afterwards.
func (b *bench) within(ctx context.Context, f func(*pyro.Workspace) error) (err error) {
	return b.with(ctx, &pyro.CreateOptions{OneShot: true}, f)
}

// with is within, for a workspace of another kind.
func (b *bench) with(ctx context.Context, options *pyro.CreateOptions, f func(*pyro.Workspace) error) (err error) {
	ws, err := b.client.Create(ctx, "host", options)
	if err != nil {
		return err
	}
	defer func() {
		_, deleteErr := ws.Delete(context.WithoutCancel(ctx))
		err = errors.Join(err, deleteErr)
	}()
	return f(ws)
}

// processes are those of a running workspace, outside in.
type processes struct{ supervisor, runsc, gofer, sentry int }

func (b *bench) processesOf(id string) (processes, error) {
	var p processes
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return p, err
	}
	want := strings.Join([]string{b.program("pyro"), "supervise", id, ""}, "\x00")
	for _, name := range lines {
		if line, err := os.ReadFile(name); err == nil && string(line) == want {
			_, _ = fmt.Sscanf(name, "/proc/%d/", &p.supervisor)
		}
	}
	children := sys.ChildrenOf(p.supervisor)
	if p.supervisor == 0 || len(children) != 1 {
		return p, fmt.Errorf("supervisor of %s: pid %d with %d children, want 1", id, p.supervisor, len(children))
	}
	p.runsc = children[0].PID
	for _, child := range sys.ChildrenOf(p.runsc) {
		line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", child.PID))
		if strings.HasPrefix(string(line), "runsc-gofer") {
			p.gofer = child.PID
		} else {
			p.sentry = child.PID
		}
	}
	return p, nil
}

// learn looks at a sandbox of pyro and makes the recipe for plain ones.
func (b *bench) learn(ctx context.Context) error {
	if b.recipe != nil {
		return nil
	}
	text, err := truth.Program()
	if err != nil {
		return err
	}
	dir := filepath.Join(b.dir, "program")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	program := filepath.Join(dir, "true")
	if err := os.WriteFile(program, text, 0o755); err != nil {
		return err
	}
	return b.within(ctx, func(ws *pyro.Workspace) error {
		model, err := b.model(ws.ID())
		if err != nil {
			return err
		}
		b.recipe, err = plain.Learn(model, b.program("pyro-runsc"), program)
		return err
	})
}

// model is the sandbox of a running workspace.
func (b *bench) model(id string) (plain.Model, error) {
	p, err := b.processesOf(id)
	return plain.Model{ID: id, Dir: b.store.SandboxDir(id), Run: b.store.RunDir(id), PID: p.runsc}, err
}

// plain runs the smallest program in a plain sandbox. What has to be made before
// and removed afterwards is not in the time.
func (b *bench) plain(ctx context.Context) (time.Duration, error) {
	return b.prepared(ctx, b.recipe, (*plain.Sandbox).Run)
}

// prepared makes a plain sandbox, has it measured, and removes what it had.
func (b *bench) prepared(ctx context.Context, recipe *plain.Recipe, run func(*plain.Sandbox, context.Context) (time.Duration, error)) (_ time.Duration, err error) {
	var random [6]byte
	_, _ = rand.Read(random[:]) // never fails, see crypto/rand
	held, err := b.store.CreateVolatile(hex.EncodeToString(random[:]))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, held.Remove(context.WithoutCancel(ctx))) }()
	request := api.CreateRequest{Environment: "host"}.WithDefaults(api.DefaultPolicy)
	spec, err := workspace.Spec(held, b.store, request, "")
	if err != nil {
		return 0, err
	}
	sandbox, err := recipe.Prepare(spec, held.Ledger())
	if err != nil {
		return 0, err
	}
	return run(sandbox, ctx)
}
