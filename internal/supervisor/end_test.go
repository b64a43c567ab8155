package supervisor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/enginetest"
	"github.com/pyro-sandbox/pyro/internal/workspace"
)

// answered is what came of a request in the background: status 0 is no answer.
type answered struct {
	status int
	text   string
}

// background makes a request in a goroutine, which ends with the answer.
func (r *running) background(path string, body any) <-chan answered {
	done := make(chan answered, 1)
	go func() {
		data, _ := json.Marshal(body) // a struct of ours
		resp, err := r.http.Post("http://pyro"+path, "application/json", bytes.NewReader(data))
		if err != nil {
			done <- answered{text: err.Error()}
			return
		}
		defer func() { _ = resp.Body.Close() }()
		text, _ := io.ReadAll(resp.Body)
		done <- answered{resp.StatusCode, string(text)}
	}()
	return done
}

func (r *running) begin(line string) <-chan answered {
	return r.background("/v1/exec", api.ExecRequest{Argv: []string{"sh", "-c", line}})
}

// A command that ends while the disk is being saved for a stop may have written what
// is not in the image: it succeeds only if the stop does not.
func TestNoSuccessIsToldThatIsNotSaved(t *testing.T) {
	for name, full := range map[string]error{"the stop works": nil, "the stop fails": errors.New("no space left on device")} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			late := make(chan (<-chan answered), 1)
			var r *running
			b.fake().Saving = func(ctx context.Context, box *enginetest.FakeSandbox) error {
				if len(late) > 0 { // the end of the test
					return nil
				}
				late <- r.begin("echo too late")
				if err := os.WriteFile(filepath.Join(box.Workspace, "go"), nil, 0o644); err != nil {
					return err
				}
				for ctx.Err() == nil {
					if _, err := os.Stat(filepath.Join(box.Workspace, "written")); err == nil {
						return full
					}
				}
				return ctx.Err()
			}
			r = b.start(t, aWorkspace())
			early := r.begin("touch ready; until test -e go; do sleep 0.01; done; echo x >written")
			for r.shell(t, "ls") != "ready\n" {
			}
			var ws api.Workspace
			stopped := r.call(t, "POST", "/v1/stop", api.StopRequest{}, &ws)
			if (stopped == nil) != (full == nil) {
				t.Errorf("stop: %+v", stopped)
			}
			want := answered{http.StatusOK, `"exit_code":0`}
			if full == nil {
				want = answered{http.StatusConflict, "it was just stopped: " + workspace.ReasonStopped}
			}
			for who, done := range map[string]<-chan answered{"that ended": early, "that began": <-late} {
				if got := <-done; got.status != want.status || !strings.Contains(got.text, want.text) {
					t.Errorf("the command %s: %+v, want %+v", who, got, want)
				}
			}
		})
	}
}

func TestTwoStopsAreOne(t *testing.T) {
	b := newBench(t)
	r := b.start(t, aWorkspace())
	second := make(chan (<-chan answered), 1)
	b.fake().Saving = func(context.Context, *enginetest.FakeSandbox) error {
		second <- r.background("/v1/stop", api.StopRequest{})
		return nil
	}
	before := b.fake().Saves.Load()
	var ws api.Workspace
	if f := r.call(t, "POST", "/v1/stop", api.StopRequest{}, &ws); f != nil {
		t.Errorf("the first: %+v", *f)
	}
	if got := <-<-second; got.status != http.StatusOK && got.status != 0 { // it may come too late
		t.Errorf("the second: %+v", got)
	}
	if got := b.fake().Saves.Load() - before; got != 1 {
		t.Errorf("the disk was saved %d times", got)
	}
}

// A client that goes away in the middle of a stop has called it off.
func TestStopThatNobodyWaitsFor(t *testing.T) {
	b := newBench(t)
	ctx, leave := context.WithCancel(t.Context())
	b.fake().Saving = func(ctx context.Context, _ *enginetest.FakeSandbox) error {
		leave()
		<-ctx.Done()
		return ctx.Err()
	}
	r := b.start(t, aWorkspace())
	r.shell(t, "echo kept >file")
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://pyro/v1/stop", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := r.http.Do(req); err == nil {
		_ = resp.Body.Close()
		t.Error("there was an answer")
	}
	if got := r.shell(t, "cat file"); got != "kept\n" {
		t.Errorf("afterwards: %q", got)
	}
	b.fake().Saving = nil
	if ws := r.stop(t); *ws.Reason != workspace.ReasonStopped {
		t.Errorf("the next stop: %+v", ws)
	}
}

// A sandbox that is lost while its disk is saved takes with it what was not saved.
func TestStopThatLosesTheSandboxFails(t *testing.T) {
	b := newBench(t)
	b.fake().Saving = func(_ context.Context, box *enginetest.FakeSandbox) error {
		box.Crash()
		return nil
	}
	r := b.start(t, aWorkspace())
	if f := r.call(t, "POST", "/v1/stop", api.StopRequest{}, nil); f == nil {
		t.Error("the stop was a success")
	}
	if err := r.wait(t); err != nil {
		t.Error(err)
	}
	ws, err := workspace.Status(t.Context(), b.store, testID)
	if err != nil || ws.State != api.StateStopped || *ws.Reason == workspace.ReasonStopped {
		t.Errorf("%+v, %v", ws, err)
	}
}

// aSupervisor is one without a sandbox, in the middle of its life.
func aSupervisor(expires time.Duration) *supervisor {
	at := api.At(time.Now().Add(expires))
	s := &supervisor{Config: Config{ID: testID, Now: time.Now, Policy: api.DefaultPolicy}, kind: workspace.KindWorkspace, end: make(chan struct{}), gone: make(chan struct{})}
	s.record = workspace.Record{ID: testID, State: api.StateStarted, ExpiresAt: &at}
	s.expiry = time.NewTimer(time.Hour)
	return s
}

// The timer may strike although the time was set anew in the same moment.
func TestExpiryGoesByTheRecord(t *testing.T) {
	s := aSupervisor(time.Hour)
	defer s.expiry.Stop()
	if s.expire(); s.over() {
		t.Error("it ended an hour too early")
	}
	s = aSupervisor(-time.Second)
	defer s.expiry.Stop()
	if s.expire(); !s.over() || !s.why.remove {
		t.Errorf("it did not end: %+v", s.why)
	}
}

func TestWhatComesAfterTheEnd(t *testing.T) {
	for name, tt := range map[string]struct {
		why  ending
		kind api.Kind
	}{
		"expired": {ending{remove: true, reason: workspace.ReasonExpired}, api.Expired},
		"deleted": {ending{remove: true, reason: api.ReasonExplicitDelete}, api.NotFound},
		"stopped": {ending{reason: workspace.ReasonIdle}, api.Conflict},
	} {
		t.Run(name, func(t *testing.T) {
			s := aSupervisor(time.Hour)
			defer s.expiry.Stop()
			s.finish(tt.why)
			s.record.State = api.StateStopped
			close(s.gone)
			for what, request := range map[string]*http.Request{
				"exec":   httptest.NewRequest(http.MethodPost, "/v1/exec", strings.NewReader(`{"argv":["true"]}`)),
				"update": httptest.NewRequest(http.MethodPatch, "/v1/workspace", strings.NewReader(`{"ttl_seconds":600}`)),
				"push":   httptest.NewRequest(http.MethodPut, "/v1/sync?packed_at=1", new(bytes.Reader)),
				"status": httptest.NewRequest(http.MethodGet, "/v1/workspace", nil),
			} {
				w := httptest.NewRecorder()
				s.routes().ServeHTTP(w, request)
				if what == "status" && tt.kind == api.Conflict { // there it is
					var ws api.Workspace
					if err := json.Unmarshal(w.Body.Bytes(), &ws); err != nil || ws.State != api.StateStopped {
						t.Errorf("status: %s, %v", w.Body, err)
					}
					continue
				}
				var failure api.ErrorReply
				if err := json.Unmarshal(w.Body.Bytes(), &failure); err != nil || failure.Kind != tt.kind || failure.Hint == "" {
					t.Errorf("%s: %s, want kind %s", what, w.Body, tt.kind)
				}
			}
		})
	}
}

// An update that cannot be written does not come to count later.
func TestUpdateThatCannotBeWritten(t *testing.T) {
	b := newBench(t)
	r := b.start(t, aWorkspace())
	inTheWay := filepath.Join(b.store.Path(testID), "record.json.tmp")
	if err := os.Mkdir(inTheWay, 0o700); err != nil {
		t.Fatal(err)
	}
	name := "new"
	if f := r.call(t, "PATCH", "/v1/workspace", api.UpdateRequest{Name: &name, TTLSeconds: 60}, nil); f == nil {
		t.Fatal("the update was a success")
	}
	if err := os.Remove(inTheWay); err != nil {
		t.Fatal(err)
	}
	var ws api.Workspace
	if f := r.call(t, "GET", "/v1/workspace", nil, &ws); f != nil || ws.Name != nil || ws.TTLSeconds == 60 {
		t.Errorf("%+v, %+v", ws, f)
	}
}

// The next supervisor may listen before the last one has closed its sockets.
func TestOldSocketsLeaveTheNewOnesAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	last, err := listenUnix(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	next, err := listenUnix(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = next.Close() }()
	if err := last.Close(); err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
}

// A client has to tell a workspace that somebody else is starting from one that
// cannot be started.
func TestHeldIsSaid(t *testing.T) {
	b := newBench(t)
	b.start(t, aWorkspace())
	r, launched := b.launch(t, b.cfg, again())
	if launched.Error == nil || !launched.Held {
		t.Errorf("%+v", launched)
	}
	_ = r.wait(t)
}
