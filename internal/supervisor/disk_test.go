package supervisor

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/engine"
	"github.com/pyro-sandbox/pyro/internal/enginetest"
	"github.com/pyro-sandbox/pyro/internal/workspace"
)

func (b *bench) fake() *enginetest.Fake { return b.cfg.Engines[0].(*enginetest.Fake) }

func again() workspace.Launch {
	return workspace.Launch{Kind: workspace.KindWorkspace, Start: &api.StartRequest{}}
}

// shell runs a line that must succeed, and returns its output.
func (r *running) shell(t *testing.T, line string) string {
	t.Helper()
	var result api.WorkspaceExec
	if f := r.call(t, "POST", "/v1/exec", api.ExecRequest{Argv: []string{"sh", "-c", line}}, &result); f != nil {
		t.Fatalf("%s: %+v", line, *f)
	}
	if result.ExitCode != 0 {
		t.Fatalf("%s: exit %d: %s", line, result.ExitCode, result.Stderr)
	}
	return result.Stdout
}

// stop stops the workspace, which must work, and waits for the supervisor's end.
func (r *running) stop(t *testing.T) api.Workspace {
	t.Helper()
	var ws api.Workspace
	if f := r.call(t, "POST", "/v1/stop", api.StopRequest{}, &ws); f != nil {
		t.Fatalf("stop: %+v", *f)
	}
	if err := r.wait(t); err != nil {
		t.Fatal(err)
	}
	return ws
}

func TestStopAndStartKeepTheDisk(t *testing.T) {
	b := newBench(t)
	r := b.start(t, aWorkspace())
	r.shell(t, "echo kept >file; mkdir d; ln -s ../x d/link")
	ws := r.stop(t)
	if ws.State != api.StateStopped || *ws.Reason != workspace.ReasonStopped || ws.LastSavedAt == nil || *ws.LastSavedAt <= ws.CreatedAt {
		t.Errorf("stopped: %+v", ws)
	}
	for range 2 { // also a disk that was restored itself
		r = b.start(t, again())
		if got := r.shell(t, "cat file; readlink d/link"); got != "kept\n../x\n" {
			t.Errorf("after the start: %q", got)
		}
		r.stop(t)
	}
	r = b.start(t, again())
	var now api.Workspace
	if f := r.call(t, "GET", "/v1/workspace", nil, &now); f != nil || now.State != api.StateStarted || now.Reason != nil || now.CommandCount != 3 {
		t.Errorf("started again: %+v, %+v", now, f)
	}
	if n := b.images(t); n != 1 {
		t.Errorf("%d images are kept, one is newest and proven", n)
	}
}

// A supervisor may be killed when the record says already that it is stopped.
func TestStartFreesWhatAKilledStopLeft(t *testing.T) {
	b := newBench(t)
	b.start(t, aWorkspace()).stop(t)
	left := filepath.Join(b.store.SandboxDir(testID), "left")
	if err := os.MkdirAll(left, 0o700); err != nil {
		t.Fatal(err)
	}
	b.start(t, again())
	if _, err := os.Lstat(left); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is still there: %v", left, err)
	}
}

func (b *bench) images(t *testing.T) int {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(b.store.Path(testID), "saved", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return len(found)
}

// A disk that cannot be saved is no reason to lose it.
func TestStopFailsWithoutASavedDisk(t *testing.T) {
	b := newBench(t)
	full := errors.New("no space left on device")
	b.fake().Saving = func(context.Context, *enginetest.FakeSandbox) error { return full }
	r := b.start(t, aWorkspace())
	r.shell(t, "echo precious >file")
	if f := r.call(t, "POST", "/v1/stop", api.StopRequest{}, nil); f == nil || !strings.Contains(f.Error, full.Error()) {
		t.Errorf("stop: %+v", f)
	}
	if got := r.shell(t, "cat file"); got != "precious\n" {
		t.Errorf("the workspace lost %q", got)
	}
	if n := b.images(t); n != 0 {
		t.Errorf("%d half-made images are left", n)
	}
	var ws api.Workspace
	if f := r.call(t, "POST", "/v1/stop", api.StopRequest{Discard: true}, &ws); f != nil || ws.State != api.StateStopped {
		t.Errorf("stop without saving: %+v, %+v", ws, f)
	}
	if err := r.wait(t); err != nil {
		t.Error(err)
	}
}

// What was saved last comes back after a crash, and what was written since does not.
func TestCrashBringsTheLastImageBack(t *testing.T) {
	b := newBench(t)
	b.cfg.SaveEvery = 10 * time.Millisecond
	boxes := make(chan *enginetest.FakeSandbox, 2)
	b.fake().Started = func(s *enginetest.FakeSandbox) { boxes <- s }
	r := b.start(t, aWorkspace())
	box := <-boxes
	r.shell(t, "echo first >file")
	var ws api.Workspace
	for ws.LastSavedAt == nil || *ws.LastSavedAt < ws.LastActivityAt {
		if f := r.call(t, "GET", "/v1/workspace", nil, &ws); f != nil {
			t.Fatalf("%+v", *f)
		}
	}
	box.Crash()
	if err := r.wait(t); err != nil {
		t.Error(err)
	}
	b.cfg.SaveEvery = 0
	r = b.start(t, again())
	if got := r.shell(t, "cat file"); got != "first\n" {
		t.Errorf("after the crash: %q", got)
	}
}

// A workspace in which nothing is done is not saved again and again.
func TestNothingIsSavedWithoutUse(t *testing.T) {
	b := newBench(t)
	b.cfg.SaveEvery = time.Millisecond
	r := b.start(t, aWorkspace())
	before := b.fake().Saves.Load()
	for range 20 {
		var ws api.Workspace
		r.call(t, "GET", "/v1/workspace", nil, &ws)
	}
	if got := b.fake().Saves.Load(); got != before {
		t.Errorf("it was saved %d times", got-before)
	}
}

// A damaged image is refused by name, and nothing is lost: the one before it, here the
// empty beginning, can still be had.
func TestDamagedDiskIsRefused(t *testing.T) {
	b := newBench(t)
	r := b.start(t, aWorkspace())
	r.shell(t, "echo x >file")
	r.stop(t)
	image := filepath.Join(b.store.Path(testID), "saved", "1", "tree.tar")
	if err := os.Truncate(image, 700); err != nil {
		t.Fatal(err)
	}
	r, launched := b.launch(t, b.cfg, again())
	if launched.Error == nil || launched.Error.Kind != api.Conflict || !strings.Contains(launched.Error.Error, "tree.tar has 700 bytes") {
		t.Fatalf("%+v", launched.Error)
	}
	_ = r.wait(t)
	ws, err := workspace.Status(t.Context(), b.store, testID)
	if err != nil || ws.State != api.StateStopped || *ws.Reason != workspace.ReasonStopped {
		t.Errorf("afterwards: %+v, %v", ws, err)
	}
	launch := again()
	launch.Start.Previous = true
	r = b.start(t, launch)
	if got := r.shell(t, "ls"); got != "" {
		t.Errorf("the one before had %q", got)
	}
	if n := b.images(t); n != 0 {
		t.Errorf("%d images are left, the only one was given up", n)
	}
}

// The image that a start has proven is kept until another is.
func TestProvenImageIsKept(t *testing.T) {
	b := newBench(t)
	r := b.start(t, aWorkspace())
	r.shell(t, "echo one >file")
	r.stop(t)
	r = b.start(t, again())
	r.shell(t, "echo two >file")
	r.stop(t)
	if n := b.images(t); n != 2 {
		t.Errorf("%d images are kept", n)
	}
	if err := os.RemoveAll(filepath.Join(b.store.Path(testID), "saved", "2")); err != nil {
		t.Fatal(err)
	}
	launch := again()
	launch.Start.Previous = true
	r = b.start(t, launch)
	if got := r.shell(t, "cat file"); got != "one\n" {
		t.Errorf("the one before had %q", got)
	}
}

func TestForeignDiskIsRefused(t *testing.T) {
	b := newBench(t)
	b.start(t, aWorkspace()).stop(t)
	b.fake().Format = "fake/2"
	r, launched := b.launch(t, b.cfg, again())
	if launched.Error == nil || launched.Error.Kind != api.Unsupported || !strings.Contains(launched.Error.Error, "fake/1") {
		t.Errorf("%+v", launched.Error)
	}
	_ = r.wait(t)
}

func TestStartOfARunningOneIsRefused(t *testing.T) {
	b := newBench(t)
	b.start(t, aWorkspace())
	r, launched := b.launch(t, b.cfg, again())
	if launched.Error == nil || launched.Error.Kind != api.Conflict {
		t.Errorf("%+v", launched.Error)
	}
	_ = r.wait(t)
}

func TestStartOfAnExpiredOne(t *testing.T) {
	b := newBench(t)
	b.start(t, aWorkspace()).stop(t)
	b.cfg.Now = func() time.Time { return time.Now().Add(2 * time.Hour) }
	r, launched := b.launch(t, b.cfg, again())
	if launched.Error == nil || launched.Error.Kind != api.Expired {
		t.Errorf("%+v", launched.Error)
	}
	_ = r.wait(t)
	b.wantNothing(t)
}

// On the way down of the whole machine the disk is saved too.
func TestShutdownSavesTheDisk(t *testing.T) {
	b := newBench(t)
	ctx, cancel := context.WithCancel(t.Context())
	r := b.startIn(t, ctx, aWorkspace())
	r.shell(t, "echo kept >file")
	cancel()
	if err := r.wait(t); err != nil {
		t.Error(err)
	}
	ws, err := workspace.Status(t.Context(), b.store, testID)
	if err != nil || *ws.Reason != workspace.ReasonShutdown {
		t.Errorf("%+v, %v", ws, err)
	}
	r = b.start(t, again())
	if got := r.shell(t, "cat file"); got != "kept\n" {
		t.Errorf("after the start: %q", got)
	}
}

// An idle workspace is stopped, with its disk saved; one in which a command runs is
// not idle.
func TestIdleIsStopped(t *testing.T) {
	b := newBench(t)
	var ahead atomic.Int64
	b.cfg.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	launch := aWorkspace()
	launch.Request.IdleSeconds = 1
	r := b.start(t, launch)
	r.shell(t, "echo kept >file; sleep 1.2") // longer than it may be idle
	if err := r.wait(t); err != nil {
		t.Error(err)
	}
	ws, err := workspace.Status(t.Context(), b.store, testID)
	if err != nil || ws.State != api.StateStopped || *ws.Reason != workspace.ReasonIdle || ws.CommandCount != 1 {
		t.Errorf("%+v, %v", ws, err)
	}
	r = b.start(t, again())
	if got := r.shell(t, "cat file"); got != "kept\n" {
		t.Errorf("after the start: %q", got)
	}
}

// refusing is an engine that does not work on this machine, or not for what is asked.
type refusing struct {
	engine.Engine
	info    engine.Info
	start   error
	refused error
}

func (r refusing) Info() engine.Info              { return r.info }
func (r refusing) Refuse(api.CreateRequest) error { return r.refused }
func (r refusing) Start(ctx context.Context, spec engine.Spec, l engine.Ledger) (engine.Sandbox, error) {
	if r.start != nil {
		return nil, r.start
	}
	return r.Engine.Start(ctx, spec, l)
}

// Without consent in that very call nothing runs where nothing isolates, whatever
// else fails.
func TestConsent(t *testing.T) {
	broken := refusing{info: engine.Info{Name: "strong", Isolation: "sentry"}, start: &api.Error{Kind: api.Unsupported, Err: errors.New("no user namespaces")}}
	working := refusing{info: engine.Info{Name: "strong", Isolation: "sentry"}}
	open := refusing{info: engine.Info{Name: "open", Isolation: "none", Mode: api.ModeHostCompat}}
	picky := open
	picky.refused = &api.Error{Kind: api.Unsupported, Err: errors.New("it limits nothing")}
	for name, tt := range map[string]struct {
		engines []refusing
		req     api.CreateRequest
		want    string // the engine
		kind    api.Kind
	}{
		"the best":                    {engines: []refusing{working, open}, want: "strong"},
		"consent is no selection":     {engines: []refusing{working, open}, req: api.CreateRequest{AllowHostCompat: true}, want: "strong"},
		"by name with consent":        {engines: []refusing{working, open}, req: api.CreateRequest{Engine: "open", AllowHostCompat: true}, want: "open"},
		"by name without consent":     {engines: []refusing{working, open}, req: api.CreateRequest{Engine: "open"}, kind: api.Denied},
		"broken without consent":      {engines: []refusing{broken, open}, kind: api.Unsupported},
		"broken with consent":         {engines: []refusing{broken, open}, req: api.CreateRequest{AllowHostCompat: true}, want: "open"},
		"broken by name with consent": {engines: []refusing{broken, open}, req: api.CreateRequest{Engine: "strong", AllowHostCompat: true}, kind: api.Unsupported},
		"more than it can":            {engines: []refusing{broken, picky}, req: api.CreateRequest{AllowHostCompat: true}, kind: api.Unsupported},
		"unknown":                     {engines: []refusing{working}, req: api.CreateRequest{Engine: "magic"}, kind: api.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			fake := b.fake()
			b.cfg.Engines = nil
			for _, e := range tt.engines {
				e.Engine = fake
				b.cfg.Engines = append(b.cfg.Engines, e)
			}
			launch := aWorkspace()
			launch.Request.Engine, launch.Request.AllowHostCompat = tt.req.Engine, tt.req.AllowHostCompat
			r, launched := b.launch(t, b.cfg, launch)
			switch {
			case tt.kind != "" && (launched.Error == nil || launched.Error.Kind != tt.kind):
				t.Errorf("%+v, want an error of kind %s", launched.Error, tt.kind)
			case tt.kind == "" && (launched.Workspace == nil || launched.Workspace.Engine != tt.want):
				t.Errorf("%+v, %+v, want engine %s", launched.Workspace, launched.Error, tt.want)
			}
			if launched.Error != nil {
				_ = r.wait(t)
				b.wantNothing(t)
			}
		})
	}
}

// Consent given at create does not count at start.
func TestConsentForStart(t *testing.T) {
	b := newBench(t)
	b.cfg.Engines = []engine.Engine{keeping{refusing{Engine: b.fake(), info: engine.Info{Name: "open", Isolation: "none"}}, b.fake()}}
	launch := aWorkspace()
	launch.Request.Engine, launch.Request.AllowHostCompat = "open", true
	b.start(t, launch).stop(t)
	r, launched := b.launch(t, b.cfg, again())
	if launched.Error == nil || launched.Error.Kind != api.Denied {
		t.Errorf("%+v", launched.Error)
	}
	_ = r.wait(t)
	launch = again()
	launch.Start.AllowHostCompat = true
	b.start(t, launch)
}

// keeping is a refusing engine that can keep disks.
type keeping struct {
	refusing
	engine.DiskKeeper
}
