package cli

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/pyro-sandbox/pyro/api"
)

// fakeReports is what a workspace tells of itself.
type fakeReports struct {
	summary api.Summary
	events  []api.Event
	follow  func(ctx context.Context) error // after the events
}

func sampleEvents() []api.Event {
	ended := func(n int64, sequence, code int, command string) api.Event {
		return api.Event{
			Sequence: n, At: api.Timestamp(1700000000 + n), Kind: api.EventExecEnded, Command: &command,
			CommandSequence: &sequence, ExitCode: &code, DurationMS: new(int64(12)),
		}
	}
	failed := ended(3, 2, 124, "printf '\x1b]0;title\x07\n'")
	failed.Reason = text(api.EndedByTimeout)
	return []api.Event{
		{Sequence: 1, At: 1700000000, Kind: api.EventCreated, HostPath: text("/home/me/my project"), Entries: new(int64(3)), Bytes: new(int64(17))},
		ended(2, 1, 0, "make test"),
		failed,
		{Sequence: 4, At: 1700000004, Kind: api.EventServiceChanged, Name: text("web"), State: text("failed"), ExitCode: new(3)},
		{Sequence: 5, At: 1700000005, Kind: api.EventSecretSet, Name: text("TOKEN")},
		{Sequence: 6, At: 1700000006.5, Kind: api.EventStopped, Reason: text("idle")},
	}
}

func sampleSummary() api.Summary {
	ws, events := sampleWorkspace(), sampleEvents()
	port := []api.PublishedPort{{Host: "127.0.0.1", HostPort: 8080, GuestPort: 80, Protocol: "tcp"}}
	return api.Summary{
		WorkspaceID: testID, Name: ws.Name, Environment: "host", Engine: "gvisor", Isolation: "sentry",
		ExecutionMode: ws.ExecutionMode, State: ws.State, Since: 1700000000, LastActivityAt: 1700000006, ResetCount: 1,
		WorkspaceSeed: ws.WorkspaceSeed, Secrets: ws.Secrets, Ports: port,
		Commands: api.SummaryCommands{Total: 2, Failed: 1, Running: 1, Last: events[1:3], Failures: events[2:3]},
		Edits:    api.SummaryEdits{Pushes: 1, Last: []api.Event{{Sequence: 9, Kind: api.EventPushed, HostPath: text("/src"), Path: text("/workspace")}}},
		Changes:  &api.SummaryChanges{Total: 3, Added: 1, Modified: 1, Deleted: 1},
		Services: api.SummaryServices{Total: 2, Running: 1, Failed: 1, List: []api.SummaryService{
			{ServiceName: "db", State: api.ServiceFailed, ExitCode: new(3), StopReason: text(api.StopReadinessTimeout), PublishedPorts: []api.PublishedPort{}},
			{ServiceName: "web", State: api.ServiceRunning, RestartCount: 2, PublishedPorts: port},
		}},
		Shells:    api.SummaryShells{Total: 2, Running: 1},
		Snapshots: api.SummarySnapshots{Total: 2, Names: []string{"green", "before fix"}},
		Exports:   []api.Event{{Sequence: 10, Kind: api.EventExported, Path: text("/workspace/dist"), HostPath: text("/out"), Entries: new(int64(4)), Bytes: new(int64(99))}},
		Denials:   []api.Event{}, EventsComplete: true,
		Outcome: api.SummaryOutcome{Status: api.OutcomeFailed, LastCommand: ws.LastCommand},
	}
}

func newReports() fakeReports {
	return fakeReports{summary: sampleSummary(), events: sampleEvents()}
}

func (w fakeWorkspace) Summary(context.Context) (*api.Summary, error) {
	_, err := w.c.answer("summary")
	return &w.c.reports.summary, err
}

func (w fakeWorkspace) Events(_ context.Context, after int64) (*api.EventList, error) {
	_, err := w.c.answer(after)
	kept := w.c.reports.events
	kept = kept[min(int(after), len(kept)):]
	return &api.EventList{WorkspaceID: testID, Count: len(kept), Events: kept}, err
}

func (w fakeWorkspace) FollowEvents(ctx context.Context, after int64, each func(api.Event) error) error {
	list, err := w.Events(ctx, after)
	if err != nil {
		return err
	}
	for _, e := range list.Events {
		if err := each(e); err != nil {
			return err
		}
	}
	if w.c.reports.follow != nil {
		return w.c.reports.follow(ctx)
	}
	return nil
}

// TestReports holds what the summary and the events of a workspace look like.
func TestReports(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		fake func(*fakeClient)
	}{
		"summary":            {args: []string{"workspace", "summary", testID}},
		"summary json":       {args: []string{"workspace", "summary", testID, "--json"}},
		"summary stopped":    {args: []string{"workspace", "summary", testID}, fake: stoppedSummary},
		"summary refused":    {args: []string{"workspace", "summary", testID, "--json"}, fake: refuses},
		"events":             {args: []string{"workspace", "events", testID}},
		"events json":        {args: []string{"workspace", "events", testID, "--json", "--after", "3"}},
		"events follow":      {args: []string{"workspace", "events", testID, "--follow", "--after", "4"}},
		"events follow json": {args: []string{"workspace", "events", testID, "--follow", "--json", "--after", "5"}},
		"events empty":       {args: []string{"workspace", "events", testID, "--after", "6"}},
		"events before":      {args: []string{"workspace", "events", testID, "--after", "-1"}},
		"events refused":     {args: []string{"workspace", "events", testID}, fake: refuses},
	} {
		t.Run(name, func(t *testing.T) {
			s := &session{fake: newFake()}
			if c.fake != nil {
				c.fake(s.fake)
			}
			code := s.run(t, c.args...)
			golden(t, fmt.Sprintf("exit code %d\n--- stdout\n%s--- stderr\n%s", code, s.out.String(), s.err.String()))
		})
	}
}

func stoppedSummary(c *fakeClient) {
	c.reports.summary = api.Summary{
		WorkspaceID: testID, Environment: "host", Engine: "gvisor", Isolation: "sentry", State: api.StateStopped, Reason: text("idle"),
		Since: 1700000000, ChangesNote: text("it is stopped"), Outcome: api.SummaryOutcome{Status: api.OutcomeNone},
	}
}

func TestFollowingEventsEndsWithASignal(t *testing.T) {
	fake, signals := newFake(), make(chan os.Signal, 1)
	fake.reports.follow = func(ctx context.Context) error {
		signals <- os.Interrupt
		<-ctx.Done()
		return ctx.Err()
	}
	s := &session{fake: fake, signals: signals}
	if code := s.run(t, "workspace", "events", testID, "--follow"); code != 130 {
		t.Errorf("exit code %d, stderr %q", code, s.err.String())
	}
}

func TestFollowingEventsEndsWithItsReader(t *testing.T) {
	fake, unread := newFake(), make(chan struct{})
	fake.reports.follow = func(ctx context.Context) error {
		close(unread)
		<-ctx.Done()
		return ctx.Err()
	}
	s := &session{fake: fake, unread: unread}
	if code := s.run(t, "workspace", "events", testID, "--follow"); code != exitPipe || s.err.String() != "" {
		t.Errorf("exit code %d, stderr %q", code, s.err.String())
	}
}
