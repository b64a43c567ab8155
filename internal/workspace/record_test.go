package workspace

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/enginetest"
)

func text(s string) *string { return &s }

func TestNewRecord(t *testing.T) {
	got := NewRecord(testID, Launch{Kind: KindRun, Lease: true, Request: api.CreateRequest{Environment: "host"}.WithDefaults(api.DefaultPolicy)}, testEngine, noon)
	want := Record{
		ID: testID, Kind: KindRun, Engine: testEngine, State: api.StateCreated,
		Request: api.CreateRequest{
			Environment: "host", VCPUCount: 1, MemMiB: 1024, DiskMiB: 10240, TTLSeconds: 600, NetworkPolicy: "off",
		},
		CreatedAt: 1714996800.25, LastActivityAt: 1714996800.25, ExpiresAt: stamp(1714997400.25),
		Seed: api.Seed{Mode: api.SeedEmpty, Destination: "/workspace"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func stamp(t api.Timestamp) *api.Timestamp { return &t }

func TestRenew(t *testing.T) {
	r := record(testID, KindWorkspace, api.StateStarted)
	later := noon.Add(time.Hour)
	r.Renew(90, later)
	if r.Expired(later.Add(89*time.Second)) || !r.Expired(later.Add(90*time.Second)) || r.View("").TTLSeconds != 90 {
		t.Errorf("after 90 seconds more: %+v", r.View(""))
	}
	r.Renew(api.Forever, later)
	if r.Expired(later.AddDate(100, 0, 0)) || r.View("").ExpiresAt != nil {
		t.Errorf("without an end: %+v", r.View(""))
	}
}

// Two sources that are pushed to the same place hide each other's files.
func TestPushForgetsThoseThatItMayHide(t *testing.T) {
	for at, want := range map[string]api.Timestamp{
		"/workspace": 0, "/workspace/a": 0, "/workspace/a/b": 0, "/workspace/ab": 1, "/workspace/c": 1,
	} {
		var r Record
		r.Pushed(Push{Source: "/first", Destination: at, At: 1})
		r.Pushed(Push{Source: "/second", Destination: "/workspace/a", At: 2})
		if got := r.LastPush("/first", at); got != want {
			t.Errorf("after another push to /workspace/a that to %s was at %v, want %v", at, got, want)
		}
	}
}

// Of two commands at once the one that began later is the last, whichever ends first.
func TestLastCommandIsTheOneThatBeganLast(t *testing.T) {
	r := record(testID, KindWorkspace, api.StateStarted)
	first, second := r.Began(noon), r.Began(noon)
	r.Ran(api.LastCommand{Sequence: second}, noon)
	r.Ran(api.LastCommand{Sequence: first}, noon)
	if r.CommandCount != 2 || r.LastCommand.Sequence != second {
		t.Errorf("%d commands, the last is %+v", r.CommandCount, r.LastCommand)
	}
}

func TestPushesAreRemembered(t *testing.T) {
	var r Record
	for i := range 2 * maxPushes {
		r.Pushed(Push{Source: "/src", Destination: fmt.Sprint("/workspace/", i), At: api.Timestamp(i + 1)})
	}
	r.Pushed(Push{Source: "/src", Destination: "/workspace/40", At: 1000})
	if len(r.Pushes) != maxPushes {
		t.Errorf("%d pushes are kept", len(r.Pushes))
	}
	for destination, want := range map[string]api.Timestamp{"/workspace/40": 1000, "/workspace/63": 64, "/workspace/0": 0, "/other": 0} {
		if got := r.LastPush("/src", destination); got != want {
			t.Errorf("last push to %s at %v, want %v", destination, got, want)
		}
	}
}

func TestView(t *testing.T) {
	r := record(testID, KindWorkspace, api.StateStarted)
	r.Limits = api.Limits{Enforced: true}
	r.CommandCount = 3
	r.Renew(600, noon)
	r.Ran(api.LastCommand{Sequence: 3, Command: "false", ExitCode: 1}, noon.Add(time.Second))
	want := &api.Workspace{
		WorkspaceID: testID, Name: text("n"), Labels: map[string]string{"k": "v"}, Environment: "host",
		VCPUCount: 1, MemMiB: 1024, DiskMiB: 10240, TTLSeconds: 600,
		CreatedAt: 1714996800.25, LastActivityAt: 1714996801.25, ExpiresAt: stamp(1714997400.25),
		LastSavedAt: stamp(1714996800.25), State: api.StateStarted, NetworkPolicy: "off", ExecutionMode: api.ModeGuestVsock,
		Engine: "fake", Isolation: "sentry", Limits: api.Limits{Enforced: true}, AgentSocket: text("/run/agent.sock"), ControlSocket: text("/run/control.sock"),
		WorkspacePath: "/workspace", WorkspaceSeed: api.Seed{Mode: "empty", Destination: "/workspace"},
		Secrets: []api.Secret{}, CommandCount: 3,
		LastCommand: &api.LastCommand{Sequence: 3, Command: "false", ExitCode: 1}, Metadata: map[string]string{},
	}
	if diff := cmp.Diff(want, r.View("/run")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestViewOfWhatIsNotThere(t *testing.T) {
	r := NewRecord(testID, Launch{Kind: KindWorkspace, Request: api.CreateRequest{Environment: "host"}}, testEngine, noon)
	for _, state := range []api.State{api.StateCreated, api.StateStopped, api.StateBroken} {
		r.State = state
		v := r.View("")
		if v.Name != nil || v.Reason != nil || v.AgentSocket != nil || v.LastCommand != nil {
			t.Errorf("%s: name %v, reason %v, socket %v, last command %v", state, v.Name, v.Reason, v.AgentSocket, v.LastCommand)
		}
		if v.Labels == nil || v.Secrets == nil || v.Metadata == nil {
			t.Errorf("%s: a list or map is null", state)
		}
		want := api.ModePending
		if state == api.StateBroken {
			want = api.ModeUnknown
		}
		if v.ExecutionMode != want {
			t.Errorf("%s: mode %s, want %s", state, v.ExecutionMode, want)
		}
	}
}

func TestSummaryIsPartOfTheView(t *testing.T) {
	r := record(testID, KindWorkspace, api.StateStopped)
	r.Reason = "oom"
	r.CommandCount = 2
	r.Ran(api.LastCommand{Sequence: 2}, noon.Add(time.Minute))
	view, summary := fields(t, r.View("")), fields(t, r.Summary())
	for name, got := range summary {
		if diff := cmp.Diff(view[name], got); diff != "" {
			t.Errorf("%s (-view +summary):\n%s", name, diff)
		}
	}
	if len(summary) == 0 || summary["reason"] != "oom" || summary["command_count"] != 2.0 {
		t.Errorf("summary: %v", summary)
	}
}

func fields(t *testing.T, v any) map[string]any {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestRecordRoundTrip(t *testing.T) {
	st := enginetest.NewStore(t)
	r := record(testID, KindWorkspace, api.StateStarted)
	held := hold(t, st, r)
	for range 2 { // it is replaced
		r.Ran(api.LastCommand{Sequence: r.CommandCount + 1, Command: "x\x00 ü<>", Cwd: "/"}, noon.Add(time.Hour))
		r.Limits = api.Limits{Why: text("no cgroup")}
		r.Reason = "because"
		if err := Write(held, r); err != nil {
			t.Fatal(err)
		}
		got, err := Read(st, testID)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(r, got); diff != "" {
			t.Errorf("(-written +read):\n%s", diff)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		payload string // "" for none
		kind    api.Kind
		says    string
	}{
		"a workspace without a record": {"", api.NotFound, testID},
		"the record of another":        {`{"id":"ba9876543210"}`, api.Internal, `"ba9876543210"`},
		"no id":                        {`{}`, api.Internal, `""`},
		"another type":                 {`{"id":7}`, api.Internal, "id"},
	} {
		t.Run(name, func(t *testing.T) {
			st := enginetest.NewStore(t)
			held, err := st.Create(testID)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = held.Unlock() })
			if test.payload != "" {
				if err := held.WriteRecord([]byte(test.payload)); err != nil {
					t.Fatal(err)
				}
			}
			_, err = Read(st, testID)
			if !errors.Is(err, test.kind) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v, want kind %s and %s", err, test.kind, test.says)
			}
		})
	}
	if _, err := Read(enginetest.NewStore(t), testID); !errors.Is(err, api.NotFound) {
		t.Errorf("no workspace at all: %v", err)
	}
}

// A push that is not on the disk that comes back is none.
func TestPushesThatAreOnTheDisk(t *testing.T) {
	r := record(testID, KindWorkspace, api.StateStopped)
	r.Pushed(Push{Source: "/seed", Destination: "/workspace/a", At: r.CreatedAt - 1})
	saved := &SavedDisk{Pushes: []Push{{Source: "/seed", Destination: "/workspace/a", At: r.CreatedAt + 1}}}
	r.Pushed(Push{Source: "/late", Destination: "/workspace/b", At: r.CreatedAt + 2})
	for name, tt := range map[string]struct {
		image *SavedDisk
		seed  api.Timestamp
	}{"of an image": {saved, r.CreatedAt + 1}, "of the seed": {nil, r.CreatedAt - 1}} {
		back := r
		back.Pushes = r.PushesIn(tt.image)
		if seed, late := back.LastPush("/seed", "/workspace/a"), back.LastPush("/late", "/workspace/b"); seed != tt.seed || late != 0 {
			t.Errorf("%s: the seed %v, the late one %v", name, seed, late)
		}
	}
}

func TestPushedLeavesCopiesAlone(t *testing.T) {
	var r Record
	r.Pushed(Push{Source: "/a", Destination: "/a", At: 1})
	r.Pushed(Push{Source: "/b", Destination: "/b", At: 2})
	seen := r
	r.Pushed(Push{Source: "/a", Destination: "/a", At: 3})
	if got := seen.LastPush("/a", "/a"); got != 1 {
		t.Errorf("a copy of the record changed: %v", got)
	}
}
