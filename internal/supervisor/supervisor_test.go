package supervisor

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/engine"
	"github.com/pyro-sandbox/pyro/internal/enginetest"
	"github.com/pyro-sandbox/pyro/internal/wire"
	"github.com/pyro-sandbox/pyro/internal/workspace"
)

func TestLifeOfAWorkspace(t *testing.T) {
	b := newBench(t)
	r := b.start(t, aWorkspace())
	var hello api.Hello
	if f := r.call(t, "GET", "/v1/hello", nil, &hello); f != nil || hello.API != api.APIVersion {
		t.Errorf("hello: %+v, %+v", hello, f)
	}
	var result api.WorkspaceExec
	if f := r.call(t, "POST", "/v1/exec", api.ExecRequest{Argv: []string{"sh", "-c", "echo out; echo err >&2; exit 3"}}, &result); f != nil {
		t.Fatal(*f)
	}
	if result.Stdout != "out\n" || result.Stderr != "err\n" || result.ExitCode != 3 || result.Sequence != 1 || result.Cwd != api.WorkspacePath {
		t.Errorf("exec: %+v", result)
	}
	var ws api.Workspace
	if f := r.call(t, "GET", "/v1/workspace", nil, &ws); f != nil || ws.State != api.StateStarted || ws.CommandCount != 1 || ws.LastCommand.ExitCode != 3 {
		t.Errorf("status: %+v, %+v", ws, f)
	}
	stored, err := workspace.Read(b.store, testID)
	if err != nil || stored.CommandCount != 1 || stored.State != api.StateStarted {
		t.Errorf("record: %+v, %v", stored, err)
	}
	var deleted api.WorkspaceDelete
	if f := r.call(t, "DELETE", "/v1/workspace", nil, &deleted); f != nil || !deleted.Deleted || deleted.WorkspaceID != testID {
		t.Errorf("delete: %+v, %+v", deleted, f)
	}
	if err := r.wait(t); err != nil {
		t.Error(err)
	}
	b.wantNothing(t)
}

// wantNothing checks that neither state nor sockets of the workspace are left.
func (b *bench) wantNothing(t *testing.T) {
	t.Helper()
	if ids, err := b.store.IDs(); err != nil || len(ids) > 0 {
		t.Errorf("left in the state: %v, %v", ids, err)
	}
	for _, dir := range []string{b.store.RunDir(testID), b.store.SandboxDir(testID)} {
		if _, err := os.Lstat(dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is left: %v", dir, err)
		}
	}
}

func TestLeaseEndsWithItsClient(t *testing.T) {
	b := newBench(t)
	r := b.start(t, workspace.Launch{Kind: workspace.KindRun, Lease: true, Request: aWorkspace().Request})
	_ = r.client.Close()
	if err := r.wait(t); err != nil {
		t.Error(err)
	}
	b.wantNothing(t)
}

func TestClientGoneBeforeReady(t *testing.T) {
	b := newBench(t)
	fake := enginetest.NewFake(t)
	cfg := b.cfg
	cfg.Engines = []engine.Engine{fake}
	gone := make(chan struct{})
	r := &running{}
	fake.Started = func(*enginetest.FakeSandbox) { <-gone }
	r, _ = b.launchAndLeave(t, cfg, gone)
	if err := r.wait(t); err == nil {
		t.Error("the supervisor went on for a client who had left")
	}
	b.wantNothing(t)
}

func TestLostSandboxIsStoppedWithItsReason(t *testing.T) {
	b := newBench(t)
	fake := enginetest.NewFake(t)
	boxes := make(chan *enginetest.FakeSandbox, 1)
	fake.Started = func(s *enginetest.FakeSandbox) { boxes <- s }
	b.cfg.Engines = []engine.Engine{fake}
	r := b.start(t, aWorkspace())
	(<-boxes).Crash()
	if err := r.wait(t); err != nil {
		t.Error(err)
	}
	ws, err := workspace.Status(t.Context(), b.store, testID)
	if err != nil || ws.State != api.StateStopped || ws.Reason == nil || *ws.Reason != engine.EndedByLoss {
		t.Errorf("%+v, %v", ws, err)
	}
	if ws.AgentSocket != nil || ws.ExecutionMode != api.ModePending {
		t.Errorf("a stopped workspace shows socket %v and mode %s", ws.AgentSocket, ws.ExecutionMode)
	}
	if _, err := workspace.Delete(t.Context(), b.store, testID); err != nil {
		t.Error(err)
	}
	b.wantNothing(t)
}

func TestExpiryRemovesAndLeavesALine(t *testing.T) {
	b := newBench(t)
	born := time.Now().Add(-api.MinTTLSeconds*time.Second + 300*time.Millisecond)
	first := true
	b.cfg.Now = func() time.Time {
		if first {
			first = false
			return born
		}
		return time.Now()
	}
	launch := aWorkspace()
	launch.Request.TTLSeconds = api.MinTTLSeconds
	if err := b.start(t, launch).wait(t); err != nil {
		t.Error(err)
	}
	b.wantNothing(t)
	_, err := workspace.Status(t.Context(), b.store, testID)
	if !errors.Is(err, api.Expired) || !strings.Contains(err.Error(), testID) {
		t.Errorf("got %v, want an error of kind %s that names the workspace", err, api.Expired)
	}
}

func TestRefusedBeforeAnythingIsMade(t *testing.T) {
	for name, test := range map[string]struct {
		request api.CreateRequest
		kind    api.Kind
		says    string
	}{
		"no environment":   {api.CreateRequest{}, api.Invalid, "environment"},
		"unknown":          {api.CreateRequest{Environment: "nowhere"}, api.NotFound, "nowhere"},
		"memory":           {api.CreateRequest{Environment: "host", MemMiB: 1}, api.Invalid, "mem_mib is 1, allowed are 256 to 32768"},
		"processors":       {api.CreateRequest{Environment: "host", VCPUCount: 99}, api.Invalid, "vcpu_count is 99, allowed are 1 to 8"},
		"disk":             {api.CreateRequest{Environment: "host", DiskMiB: -1}, api.Invalid, "disk_mib"},
		"time":             {api.CreateRequest{Environment: "host", TTLSeconds: 59}, api.Invalid, "ttl_seconds is 59, allowed are 60 to 3600"},
		"network":          {api.CreateRequest{Environment: "host", NetworkPolicy: "egress"}, api.Unsupported, "egress"},
		"name":             {api.CreateRequest{Environment: "host", Name: strings.Repeat("x", 121)}, api.Invalid, "121"},
		"label":            {api.CreateRequest{Environment: "host", Labels: map[string]string{"-": "x"}}, api.Invalid, "label key"},
		"name with escape": {api.CreateRequest{Environment: "host", Name: "a\x1b[2J"}, api.Invalid, "control"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			r, launched := b.launch(t, b.cfg, workspace.Launch{Kind: workspace.KindWorkspace, Request: test.request})
			if launched.Error == nil || launched.Error.Kind != test.kind || !strings.Contains(launched.Error.Error, test.says) {
				t.Errorf("got %+v, want kind %s and %q", launched.Error, test.kind, test.says)
			}
			if err := r.wait(t); err == nil {
				t.Error("no error")
			}
			b.wantNothing(t)
		})
	}
}

func TestCapacity(t *testing.T) {
	b := newBench(t)
	b.cfg.Policy.Capacity = 1
	b.start(t, aWorkspace())
	second := b.cfg
	second.ID = "ba9876543210"
	_, launched := b.launch(t, second, aWorkspace())
	if launched.Error == nil || launched.Error.Kind != api.Conflict || launched.Error.Hint == "" {
		t.Errorf("got %+v", launched.Error)
	}
}

func TestStreamedExec(t *testing.T) {
	b := newBench(t)
	r := b.start(t, aWorkspace())
	socket := b.store.RunDir(testID) + "/" + ControlSocket
	conn, frames := r.upgrade(t, socket, api.ExecRequest{Argv: []string{"sh", "-c", "cat; exit 4"}, Stdin: true})
	for _, p := range []string{"one ", "two", ""} {
		if err := wire.WriteFrame(conn, wire.FrameStdin, []byte(p)); err != nil {
			t.Fatal(err)
		}
	}
	stdout, last := untilEnd(t, frames)
	var result api.WorkspaceExec
	if err := json.Unmarshal(last.Payload, &result); err != nil {
		t.Fatal(err)
	}
	if stdout != "one two" || last.Type != wire.FrameExit || result.ExitCode != 4 || result.Sequence != 1 {
		t.Errorf("%q, frame %c, %+v", stdout, last.Type, result)
	}
}

func TestClientMayNotSendAnything(t *testing.T) {
	b := newBench(t)
	r := b.start(t, aWorkspace())
	socket := b.store.RunDir(testID) + "/" + ControlSocket
	for name, frame := range map[string]wire.FrameType{"output": wire.FrameStdout, "exit": wire.FrameExit, "stdin not asked for": wire.FrameStdin} {
		t.Run(name, func(t *testing.T) {
			conn, frames := r.upgrade(t, socket, api.ExecRequest{Argv: []string{"sleep", "1000"}})
			if err := wire.WriteFrame(conn, frame, []byte("x")); err != nil {
				t.Fatal(err)
			}
			var result api.WorkspaceExec
			_, last := untilEnd(t, frames)
			if err := json.Unmarshal(last.Payload, &result); err != nil || result.Reason == nil || *result.Reason != api.EndedByCancel {
				t.Errorf("the command went on: frame %c, %s", last.Type, last.Payload)
			}
		})
	}
}

func TestBadExecRequests(t *testing.T) {
	b := newBench(t)
	r := b.start(t, aWorkspace())
	for name, request := range map[string]any{
		"nothing":        api.ExecRequest{},
		"both":           api.ExecRequest{Argv: []string{"true"}, Command: "true"},
		"empty program":  api.ExecRequest{Argv: []string{""}},
		"relative cwd":   api.ExecRequest{Argv: []string{"true"}, Cwd: "x"},
		"zero byte":      api.ExecRequest{Argv: []string{"a\x00b"}},
		"negative time":  api.ExecRequest{Argv: []string{"true"}, TimeoutSeconds: -1},
		"endless time":   api.ExecRequest{Argv: []string{"true"}, TimeoutSeconds: 1 << 40},
		"captured stdin": api.ExecRequest{Argv: []string{"cat"}, Stdin: true},
		"unknown field":  map[string]any{"argv": []string{"true"}, "no_such_field": 1},
		"no object":      []int{1},
	} {
		t.Run(name, func(t *testing.T) {
			var result api.WorkspaceExec
			if f := r.call(t, "POST", "/v1/exec", request, &result); f == nil || f.Kind != api.Invalid {
				t.Errorf("got %+v", f)
			}
		})
	}
	if f := r.call(t, "POST", "/v1/no-such-thing", nil, nil); f == nil || f.Kind != api.Unsupported {
		t.Errorf("unknown path: %+v", f)
	}
}

// launchAndLeave closes the client's end while the sandbox is being made.
func (b *bench) launchAndLeave(t *testing.T, cfg Config, gone chan struct{}) (*running, error) {
	t.Helper()
	ours, theirs := pipe(t)
	cfg.Client = theirs
	r := &running{client: ours, ended: make(chan error, 1)}
	go func() { r.ended <- Run(t.Context(), cfg) }()
	err := json.NewEncoder(ours).Encode(aWorkspace())
	_ = ours.Close()
	close(gone)
	return r, err
}
