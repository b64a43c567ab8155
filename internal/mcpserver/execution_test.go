package mcpserver

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/pyro-sandbox/pyro/api"
)

// neverEnds is a command that says that it runs, and ends with nothing but its cancel.
const neverEnds = "echo $$ >pid; sleep 1000"

func begins(t *testing.T, s *mcp.ClientSession, id string) {
	t.Helper()
	eventually(t, "the command begins", func() bool { return execIn(t, s, id, "test -s pid").ExitCode == 0 })
}

func ends(t *testing.T, s *mcp.ClientSession, id string) {
	t.Helper()
	eventually(t, "the command is gone", func() bool { return execIn(t, s, id, "kill -0 $(cat pid)").ExitCode != 0 })
}

func TestCancelEndsTheCommand(t *testing.T) {
	t.Parallel()
	s := connect(t, Options{Open: newPlace(t).open}, nil)
	id := newWorkspace(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := s.CallTool(ctx, &mcp.CallToolParams{Name: "workspace_exec", Arguments: map[string]any{"workspace_id": id, "command": neverEnds, "timeout_seconds": 2000}})
		done <- err
	}()
	begins(t, s, id)
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	ends(t, s, id)
}

func TestEndOfTheServerEndsCommands(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	server, err := New(Options{Open: p.open, Budget: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	here, there := mcp.NewInMemoryTransports()
	if _, err := server.mcp.Connect(t.Context(), there, nil); err != nil {
		t.Fatal(err)
	}
	s, err := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil).Connect(t.Context(), here, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	other := connect(t, Options{Open: p.open}, nil)
	id := newWorkspace(t, s)
	got := execIn(t, s, id, neverEnds)
	if !got.Running {
		t.Fatalf("got %+v", got)
	}
	begins(t, other, id)
	server.stop(time.Minute)
	ends(t, other, id)
	if len(server.desk.running.unfinished()) != 0 {
		t.Error("something runs on")
	}
	if got, failure := ask[execAnswer](t, s, "workspace_exec", map[string]any{"workspace_id": id, "command": "sleep 1000"}); !got.Running && !strings.HasSuffix(failure, "canceled") {
		t.Errorf("a command that begins after the end is not ended: %+v, %s", got, failure)
	}
	eventually(t, "what began too late has ended", func() bool { return len(server.desk.running.unfinished()) == 0 })
}

func TestTwoWaitForOneCommand(t *testing.T) {
	t.Parallel()
	s := connect(t, Options{Open: newPlace(t).open, Budget: time.Millisecond}, nil)
	id := newWorkspace(t, s)
	begun := execIn(t, s, id, "until test -e go; do sleep 0.01; done; echo done")
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			got := must[execAnswer](t, s, "workspace_exec_wait", map[string]any{"workspace_id": id, "exec_id": *begun.ExecID})
			if got.Running || got.Stdout != "done\n" || got.ExitCode != 0 {
				t.Errorf("got %+v", got)
			}
		})
	}
	must[api.FileWrite](t, s, "workspace_file_write", map[string]any{"workspace_id": id, "path": "go", "text": "x"})
	all.Wait()
	if again := must[execAnswer](t, s, "workspace_exec_wait", map[string]any{"workspace_id": id, "exec_id": *begun.ExecID}); again.Stdout != "done\n" {
		t.Errorf("asked again: %+v", again)
	}
}

func TestWaitThatIsGivenUpLeavesTheCommand(t *testing.T) {
	t.Parallel()
	s := connect(t, Options{Open: newPlace(t).open, Budget: time.Millisecond}, nil)
	id := newWorkspace(t, s)
	begun := execIn(t, s, id, "until test -e go; do sleep 0.01; done; echo done")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	arguments := map[string]any{"workspace_id": id, "exec_id": *begun.ExecID}
	if _, err := s.CallTool(ctx, &mcp.CallToolParams{Name: "workspace_exec_wait", Arguments: arguments}); err == nil {
		t.Error("the wait was not given up")
	}
	must[api.FileWrite](t, s, "workspace_file_write", map[string]any{"workspace_id": id, "path": "go", "text": "x"})
	if got := must[execAnswer](t, s, "workspace_exec_wait", arguments); got.Stdout != "done\n" {
		t.Errorf("got %+v", got)
	}
}

func TestWorkspaceDeletedUnderACommand(t *testing.T) {
	t.Parallel()
	for name, budget := range map[string]time.Duration{"in the call": time.Hour, "after it": time.Millisecond} {
		p := newPlace(t)
		s := connect(t, Options{Open: p.open, Budget: budget}, nil)
		other := connect(t, Options{Open: p.open}, nil)
		id := newWorkspace(t, s)
		said := make(chan string, 1)
		go func() {
			got, failure := ask[execAnswer](t, s, "workspace_exec", map[string]any{"workspace_id": id, "command": neverEnds, "timeout_seconds": 2000})
			if got.Running {
				_, failure = ask[execAnswer](t, s, "workspace_exec_wait", map[string]any{"workspace_id": id, "exec_id": *got.ExecID})
			}
			said <- failure
		}()
		begins(t, other, id)
		must[api.WorkspaceDelete](t, other, "workspace_delete", map[string]any{"workspace_id": id})
		if failure := <-said; !strings.HasPrefix(failure, "Error executing tool workspace_exec") || !strings.Contains(failure, "Next: ") {
			t.Errorf("%s: %q", name, failure)
		}
	}
}

func TestHandlesOfOthers(t *testing.T) {
	t.Parallel()
	s := connect(t, Options{Open: newPlace(t).open, Budget: time.Millisecond}, nil)
	one, two := newWorkspace(t, s), newWorkspace(t, s)
	begun := execIn(t, s, one, neverEnds)
	for name, arguments := range map[string]map[string]any{
		"unknown":              {"workspace_id": one, "exec_id": "exec-AAAAAAAAAAAA"},
		"of another workspace": {"workspace_id": two, "exec_id": *begun.ExecID},
		"to stop":              {"workspace_id": two, "exec_id": *begun.ExecID, "stop": true},
	} {
		_, failure := ask[execAnswer](t, s, "workspace_exec_wait", arguments)
		if !strings.Contains(failure, "no command with the exec_id") || !strings.HasSuffix(failure, "Next: workspace_logs shows what ran") {
			t.Errorf("%s: %q", name, failure)
		}
	}
	if got := must[execAnswer](t, s, "workspace_exec_wait", map[string]any{"workspace_id": one, "exec_id": *begun.ExecID, "wait_seconds": 1}); !got.Running {
		t.Errorf("somebody else has stopped it: %+v", got)
	}
}

func TestFewHandlesAreKept(t *testing.T) {
	t.Parallel()
	all := newExecutions()
	make := func(i int, ended bool) *execution {
		e := &execution{id: strconv.Itoa(i), workspace: &api.Workspace{WorkspaceID: "w"}, started: time.Unix(int64(i), 0), done: make(chan struct{})}
		if ended {
			close(e.done)
		}
		return e
	}
	defer all.cancelAll()
	for i := range maxExecutions {
		if err := all.keep(make(i, i == 3 || i == 5)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 2 {
		if err := all.keep(make(maxExecutions+i, false)); err != nil {
			t.Errorf("there is room: %v", err)
		}
	}
	if _, err := all.find("w", "3"); !errors.Is(err, api.NotFound) {
		t.Errorf("the oldest that has ended is kept: %v", err)
	}
	if err := all.keep(make(1000, false)); !errors.Is(err, api.Conflict) {
		t.Errorf("one too many: %v", err)
	}
}

func TestEndedCommandsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := newExecutions()
		defer all.cancelAll()
		e := &execution{id: "e", workspace: &api.Workspace{WorkspaceID: "w"}, done: make(chan struct{})}
		if err := all.keep(e); err != nil {
			t.Fatal(err)
		}
		time.Sleep(24 * time.Hour)
		if _, err := all.find("w", "e"); err != nil {
			t.Errorf("one that runs: %v", err)
		}
		close(e.done)
		time.Sleep(keepExecution - time.Second)
		if _, err := all.find("w", "e"); err != nil {
			t.Errorf("one that has just ended: %v", err)
		}
		time.Sleep(2 * time.Second)
		if _, err := all.find("w", "e"); err == nil {
			t.Error("it is kept for ever")
		}
	})
}

// TestProgress has a command that takes a while, and who asks for progress.
func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, err := New(Options{Profile: ProfileRun})
		if err != nil {
			t.Fatal(err)
		}
		e := &execution{started: time.Now(), done: make(chan struct{}), stdout: excerpt{keep: 100}}
		_, _ = e.stdout.Write([]byte("one\n\x1b[31mtwo\n"))
		waits := define(tool{name: "waits"}, func(ctx context.Context, c *call, _ none) (*none, error) {
			_, err := e.wait(ctx, 7*time.Second, c.progress(ctx, e, time.Minute))
			return &none{}, err
		})
		server.offer(selection{tools: []tool{waits}})
		var told []*mcp.ProgressNotificationParams
		here, there := mcp.NewInMemoryTransports()
		if _, err := server.mcp.Connect(t.Context(), there, nil); err != nil {
			t.Fatal(err)
		}
		client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, &mcp.ClientOptions{
			ProgressNotificationHandler: func(_ context.Context, r *mcp.ProgressNotificationClientRequest) { told = append(told, r.Params) },
		})
		s, err := client.Connect(t.Context(), here, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		call := func(token any) {
			params := &mcp.CallToolParams{Name: "waits"}
			if token != nil {
				params.SetProgressToken(token)
			}
			if _, err := s.CallTool(t.Context(), params); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			synctest.Wait()
		}
		call(nil)
		if len(told) != 0 {
			t.Errorf("nobody asked, and was told %d times", len(told))
		}
		e.started = time.Now()
		call("token")
		if len(told) != 3 {
			t.Fatalf("told %d times in 7 s", len(told))
		}
		if !slices.IsSortedFunc(told, func(a, b *mcp.ProgressNotificationParams) int { return int(a.Progress - b.Progress) }) {
			t.Error("it goes back")
		}
		if p := told[0]; p.ProgressToken != "token" || p.Progress != 2 || p.Total != 60 || p.Message != "running for 2 s: [31mtwo" {
			t.Errorf("got %+v", p)
		}
	})
}
