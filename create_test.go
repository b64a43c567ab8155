package pyro

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/workspace"
)

func marked(c *Client, name string) func() bool {
	return func() bool {
		_, err := os.Stat(filepath.Join(c.env.get(envMarks), name))
		return err == nil
	}
}

func TestCreateAndDelete(t *testing.T) {
	c := newTestClient(t, roleServe)
	opts := &CreateOptions{Name: "n", Labels: map[string]string{"k": "v"}, VCPUs: 2, MemMiB: 512, DiskMiB: 128, TTL: 61 * time.Second, AllowHostCompat: true}
	ws, err := c.Create(t.Context(), "host", opts)
	if err != nil {
		t.Fatal(err)
	}
	if err := api.CheckID(ws.ID()); err != nil || ws.Seen().WorkspaceID != ws.ID() {
		t.Errorf("id %q of %q: %v", ws.ID(), ws.Seen().WorkspaceID, err)
	}
	var launch workspace.Launch
	if err := json.Unmarshal([]byte(ws.Seen().Metadata["launch"]), &launch); err != nil {
		t.Fatal(err)
	}
	want := workspace.Launch{Kind: workspace.KindWorkspace, Request: api.CreateRequest{
		Environment: "host", Name: "n", Labels: map[string]string{"k": "v"}, VCPUCount: 2, MemMiB: 512, DiskMiB: 128,
		TTLSeconds: 61, AllowHostCompat: true,
	}}
	if diff := cmp.Diff(want, launch); diff != "" {
		t.Errorf("launch (-want +got):\n%s", diff)
	}
	deleted, err := ws.Delete(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(deletedReply(ws.ID()), *deleted); diff != "" {
		t.Errorf("delete (-want +got):\n%s", diff)
	}
	eventually(t, "the supervisor ends", marked(c, "deleted"))
}

func TestSupervisorIsOnItsOwn(t *testing.T) {
	c := newTestClient(t, roleServe)
	ws, err := c.Create(t.Context(), "host", nil)
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for line := range strings.SplitSeq(ws.Seen().Metadata["environ"], "\n") {
		key, _, _ := strings.Cut(line, "=")
		keys = append(keys, key)
	}
	slices.Sort(keys)
	want := []string{"HOME", "PATH", envCacheDir, envRunDir, envStateDir, envMarks, envRole}
	slices.Sort(want)
	if diff := cmp.Diff(want, keys); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
	pid, fields := parseStat(t, ws.Seen().Metadata["stat"])
	if session := fields[3]; session != pid {
		t.Errorf("process %s is in session %s, want its own", pid, session)
	}
	if _, err := ws.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the supervisor is reaped", func() bool {
		_, err := os.Stat("/proc/" + pid)
		return errors.Is(err, os.ErrNotExist)
	})
}

// parseStat returns the number of a process and what follows its name, see
// proc_pid_stat(5): state, parent, group, session, ….
func parseStat(t *testing.T, stat string) (pid string, fields []string) {
	t.Helper()
	pid, _, _ = strings.Cut(stat, " ")
	_, rest, ok := strings.Cut(stat, ") ")
	fields = strings.Fields(rest)
	if !ok || len(fields) < 4 {
		t.Fatalf("stat %q", stat)
	}
	return pid, fields
}

func TestCreateFails(t *testing.T) {
	for role, want := range map[string]struct {
		kind       api.Kind
		text, hint string
	}{
		roleRefuse:  {api.Unsupported, "create workspace: no engine", "buy one"},
		roleDie:     {api.Internal, "the supervisor ended without an answer: exit status 3: fatal: no luck", "`pyro doctor`"},
		roleKilled:  {api.Unavailable, "the supervisor ended without an answer: signal: killed", "try again"},
		roleGarbage: {api.Internal, "answer of the supervisor: invalid character 'r'", "`pyro doctor`"},
	} {
		t.Run(role, func(t *testing.T) {
			c := newTestClient(t, role)
			ws, err := c.Create(t.Context(), "host", nil)
			if ws != nil || api.KindOf(err) != want.kind {
				t.Fatalf("Create = %v, %v, want kind %v", ws, err, want.kind)
			}
			if !strings.Contains(err.Error(), want.text) || !strings.Contains(api.HintOf(err), want.hint) {
				t.Errorf("error %q with hint %q, want %q and %q", err, api.HintOf(err), want.text, want.hint)
			}
			entries, err := os.ReadDir(c.store.Dirs().State)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				if !e.IsDir() {
					t.Errorf("%s is left in the state directory", e.Name())
				}
			}
		})
	}
}

func TestCreateStartsNothing(t *testing.T) {
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, tc := range map[string]struct {
		ctx  context.Context
		env  string
		opts CreateOptions
		bin  string
		want api.Kind
	}{
		"without an environment":        {t.Context(), "", CreateOptions{}, "", api.Invalid},
		"with too little memory":        {t.Context(), "host", CreateOptions{MemMiB: 1}, "", api.Invalid},
		"with a negative time to live":  {t.Context(), "host", CreateOptions{TTL: -time.Millisecond}, "", api.Invalid},
		"with a seed that is not there": {t.Context(), "host", CreateOptions{Seed: &Source{Path: "/nonexistent"}}, "", api.NotFound},
		"with a context that has ended": {canceled, "host", CreateOptions{}, "", api.Canceled},
		"without an executable":         {t.Context(), "host", CreateOptions{}, "/nonexistent/pyro", api.NotFound},
	} {
		t.Run(name, func(t *testing.T) {
			c := newTestClient(t, roleDie)
			if tc.bin != "" {
				c.binary = tc.bin
			}
			if _, err := c.Create(tc.ctx, tc.env, &tc.opts); api.KindOf(err) != tc.want {
				t.Errorf("error %v of kind %q, want %q", err, api.KindOf(err), tc.want)
			}
		})
	}
}

func TestCreateCanceled(t *testing.T) {
	for role, want := range map[string]string{
		roleHang: "undone",  // the supervisor noticed in time
		roleLate: "deleted", // it did not, and the client had to
	} {
		t.Run(role, func(t *testing.T) {
			c := newTestClient(t, role)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var ws *Workspace
			var err error
			var creating sync.WaitGroup
			creating.Go(func() { ws, err = c.Create(ctx, "host", nil) })
			eventually(t, "the supervisor is asked", marked(c, "asked"))
			cancel()
			creating.Wait()
			if ws != nil || !errors.Is(err, api.Canceled) || !errors.Is(err, context.Canceled) {
				t.Fatalf("Create = %v, %v, want it canceled", ws, err)
			}
			eventually(t, "the supervisor undoes", marked(c, want))
		})
	}
}

func TestOneShotEndsWithItsLease(t *testing.T) {
	c := newTestClient(t, roleServe)
	ws, err := c.Create(t.Context(), "host", &CreateOptions{OneShot: true})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(ws.Seen().Metadata["launch"], `"kind":"run","lease":true`) {
		t.Errorf("launch = %s", ws.Seen().Metadata["launch"])
	}
	if err := ws.lease.Close(); err != nil { // as the end of this process would
		t.Fatal(err)
	}
	eventually(t, "the supervisor notices", marked(c, "lease-ended"))
}

func TestRun(t *testing.T) {
	c := newTestClient(t, roleServe)
	got, err := c.Run(t.Context(), "host", &RunOptions{Exec: api.ExecRequest{Argv: []string{"true"}}})
	if err != nil {
		t.Fatal(err)
	}
	want := &api.VMExec{
		VMID: got.VMID, Environment: "host", Stdout: "hello\n", Engine: "fake", Isolation: "none",
		Cleanup: api.VMDelete{VMID: got.VMID, Deleted: true, Reason: api.ReasonPostExecCleanup},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("result (-want +got):\n%s", diff)
	}
	if err := api.CheckID(got.VMID); err != nil {
		t.Error(err)
	}
	deleted, lapsed := marked(c, "deleted"), marked(c, "lease-ended")
	eventually(t, "the supervisor ends", func() bool { return deleted() || lapsed() })
}

func TestSeconds(t *testing.T) {
	for d, want := range map[time.Duration]int{
		0: 0, time.Second: 1, time.Nanosecond: 1, 1500 * time.Millisecond: 2, -time.Nanosecond: -1, -time.Second: -1,
	} {
		if got := seconds(d); got != want {
			t.Errorf("seconds(%v) = %d, want %d", d, got, want)
		}
	}
}

func TestStreamsSayWhatTheyAre(t *testing.T) {
	long := strings.Repeat("x", 4097)
	for name, seed := range map[string]api.Seed{
		"mode":   {Mode: "empty"},
		"kind":   {OriginKind: new("friend")},
		"path":   {SeedPath: &long},
		"ref":    {OriginRef: &long},
		"commit": {OriginCommit: &long},
	} {
		t.Run(name, func(t *testing.T) {
			from := &Source{Stream: &Stream{Reader: strings.NewReader(""), Seed: seed}}
			if _, err := newTestClient(t, "").Create(t.Context(), "host", &CreateOptions{Seed: from}); !errors.Is(err, api.Invalid) || api.HintOf(err) == "" {
				t.Errorf("got %v", err)
			}
		})
	}
	both := &Source{Path: "/", Stream: &Stream{Reader: strings.NewReader("")}}
	if _, err := newTestClient(t, "").Create(t.Context(), "host", &CreateOptions{Seed: both}); !errors.Is(err, api.Invalid) {
		t.Errorf("a path and a stream: %v", err)
	}
}
