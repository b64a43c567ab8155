package supervisor

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/events"
	"github.com/pyro-sandbox/pyro/internal/wire"
	"github.com/pyro-sandbox/pyro/internal/workspace"
)

// kinds are events by their kind, with what each is about.
func kinds(list []api.Event) []string {
	var out []string
	for _, e := range list {
		line := string(e.Kind)
		for _, text := range []*string{e.Name, e.State, e.Reason, e.Command} {
			if text != nil {
				line += " " + *text
			}
		}
		if e.ExitCode != nil {
			line += fmt.Sprint(" ", *e.ExitCode)
		}
		out = append(out, line)
	}
	return out
}

// follow starts following events by hand.
func (b *bench) follow(t *testing.T, after int) *bufio.Reader {
	t.Helper()
	conn, err := net.Dial("unix", b.store.RunDir(testID)+"/"+ControlSocket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	_, err = fmt.Fprintf(conn, "POST /v1/events/follow?after=%d HTTP/1.1\r\nHost: pyro\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", after, api.Frames)
	if err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v, %v", resp, err)
	}
	return in
}

// toTheEnd reads events until the frame that ends them.
func toTheEnd(t *testing.T, in io.Reader) (list []api.Event, end api.EventsEnd) {
	t.Helper()
	for {
		var buf []byte
		frame, err := wire.ReadFrame(in, &buf)
		if err != nil {
			t.Fatal(err)
		}
		switch frame.Type {
		case wire.FrameStdout:
			var e api.Event
			if err := json.Unmarshal(frame.Payload, &e); err != nil {
				t.Fatal(err)
			}
			list = append(list, e)
		case wire.FrameExit:
			if err := json.Unmarshal(frame.Payload, &end); err != nil {
				t.Fatal(err)
			}
			return list, end
		default:
			t.Fatalf("frame %q: %s", byte(frame.Type), frame.Payload)
		}
	}
}

func TestEventsTellTheLifeOfAWorkspace(t *testing.T) {
	b := newBench(t)
	launch := aWorkspace()
	launch.Request.Secrets = []api.SecretValue{{Name: "TOKEN", Value: "s3cret-value", SourceKind: api.SecretLiteral}}
	r := b.start(t, launch)
	in := b.follow(t, 0)
	do[api.WorkspaceExec](t, r, "POST", "/v1/exec", api.ExecRequest{Command: "echo s3cret-value; exit 3"})
	do[api.SecretList](t, r, "PUT", "/v1/secrets/KEY", api.SecretRequest{Value: "another one", SourceKind: api.SecretLiteral})
	do[api.SecretList](t, r, "DELETE", "/v1/secrets/KEY", nil)
	do[api.Workspace](t, r, "PATCH", "/v1/workspace", api.UpdateRequest{Name: new("renamed")})
	do[api.Service](t, r, "POST", "/v1/services", api.ServiceStartRequest{ServiceName: "web", Command: "sleep 60"})
	do[api.Service](t, r, "POST", "/v1/services/web/stop", nil)
	shell := do[api.Shell](t, r, "POST", "/v1/shells", api.ShellOpenRequest{})
	do[api.ShellClose](t, r, "DELETE", "/v1/shells/"+shell.ShellID, nil)
	if got := refused(t, r, "POST", "/v1/events", api.Event{Kind: api.EventStopped}); got.Kind != api.Invalid {
		t.Errorf("a client may tell of any event: %+v", got)
	}
	do[struct{}](t, r, "POST", "/v1/events", api.Event{Kind: api.EventExported, Path: new("/workspace/x"), HostPath: new("/tmp/x")})
	list := do[api.EventList](t, r, "GET", "/v1/events", nil)
	do[api.Workspace](t, r, "POST", "/v1/stop", api.StopRequest{Discard: true})
	followed, end := toTheEnd(t, in)
	if err := r.wait(t); err != nil {
		t.Error(err)
	}
	want := []string{
		"created", "exec_ended echo [redacted]; exit 3 3", "secret_set KEY", "secret_unset KEY", "updated",
		"service_changed web running sleep 60", "service_changed web stopped sigterm sleep 60 -15",
		"shell_opened " + shell.ShellID, "shell_ended " + shell.ShellID, "exported",
	}
	got := kinds(list.Events)
	for i := range got { // how a shell ends is its own affair, and the token's form the redactor's
		if strings.HasPrefix(got[i], "shell_ended") {
			got[i] = strings.Join(strings.Fields(got[i])[:2], " ")
		}
		if strings.HasPrefix(got[i], "exec_ended") && !strings.Contains(got[i], "s3cret") {
			got[i] = want[1]
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	kept, err := events.Read(b.store.Path(testID), 0)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(kept, followed); diff != "" || end.LastSequence != int64(len(kept)) {
		t.Errorf("followed up to %d (-kept +followed):\n%s", end.LastSequence, diff)
	}
	if last := kinds(kept[len(kept)-1:]); last[0] != "stopped explicit_stop" {
		t.Errorf("the last event is %q", last)
	}
}

func TestWhoFollowsIsToldOfADeletion(t *testing.T) {
	b := newBench(t)
	r := b.start(t, aWorkspace())
	in := b.follow(t, 0)
	do[api.WorkspaceDelete](t, r, "DELETE", "/v1/workspace", nil)
	list, _ := toTheEnd(t, in)
	if diff := cmp.Diff([]string{"created", "deleted"}, kinds(list)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err := r.wait(t); err != nil {
		t.Error(err)
	}
}

func TestASummaryCountsSinceTheBeginning(t *testing.T) {
	b := newBench(t)
	r := b.start(t, aWorkspace())
	for _, command := range []string{"true", "exit 4", "true"} {
		do[api.WorkspaceExec](t, r, "POST", "/v1/exec", api.ExecRequest{Command: command})
	}
	s := do[api.Summary](t, r, "GET", "/v1/summary", nil)
	if s.Commands.Total != 3 || s.Commands.Failed != 1 || s.Commands.Running != 0 || len(s.Commands.Last) != 3 || len(s.Commands.Failures) != 1 {
		t.Errorf("commands: %+v", s.Commands)
	}
	if !s.EventsComplete || s.Outcome.Status != api.OutcomeSucceeded || s.State != api.StateStarted {
		t.Errorf("complete %v, outcome %+v, state %s", s.EventsComplete, s.Outcome, s.State)
	}
	do[api.Workspace](t, r, "POST", "/v1/stop", api.StopRequest{Discard: true})
	if err := r.wait(t); err != nil {
		t.Error(err)
	}
	stopped, err := workspace.ReadSummary(t.Context(), b.store, testID)
	if err != nil {
		t.Fatal(err)
	}
	if stopped.Commands.Failed != 1 || stopped.State != api.StateStopped || stopped.ChangesNote == nil {
		t.Errorf("stopped: %+v", stopped)
	}
}

func TestAGuestCannotFillTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var err error
		s := aSupervisor(time.Hour)
		s.events.credit, s.events.at = guestEvents, time.Now()
		if s.events.log, err = events.Open(t.TempDir()); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.events.log.Close() }()
		flap := func(n int) {
			for i := range n {
				s.tellServices(nil, []api.Service{{ServiceName: "web", RestartCount: i}})
			}
		}
		count := func() int {
			news, err := s.events.log.Since(0)
			if err != nil {
				t.Fatal(err)
			}
			return len(news.Events)
		}
		flap(10 * guestEvents)
		if n := count(); n != guestEvents {
			t.Errorf("%d events, want %d", n, guestEvents)
		}
		time.Sleep(3 * time.Second)
		flap(5)
		news, err := s.events.log.Since(guestEvents)
		if err != nil {
			t.Fatal(err)
		}
		if len(news.Events) != 4 || news.Events[0].Kind != api.EventDropped || *news.Events[0].Entries != 9*guestEvents {
			t.Errorf("after a while: %q", kinds(news.Events))
		}
	})
}
