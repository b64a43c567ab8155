package pyro

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/wire"
	"github.com/pyro-sandbox/pyro/internal/workspace"
)

// asked is what a fake supervisor was asked for.
type asked struct {
	Method, Path, Body string
}

// noting answers every request of a pattern with v and notes it.
func noting(got *asked, v any) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(err)
		}
		*got = asked{r.Method, r.URL.RequestURI(), string(body)}
		answerJSON(w, http.StatusOK, v)
	}
}

func TestLiveRequests(t *testing.T) {
	idle := 300
	for name, tc := range map[string]struct {
		call func(ctx context.Context, ws *Workspace) (any, error)
		want asked
	}{
		"open shell": {
			func(ctx context.Context, ws *Workspace) (any, error) {
				return ws.OpenShell(ctx, api.ShellOpenRequest{Cols: 80, SecretEnv: map[string]string{"A": "B"}})
			}, asked{"POST", "/v1/shells", `{"cols":80,"secret_env":{"A":"B"}}`},
		},
		"shells": {func(ctx context.Context, ws *Workspace) (any, error) { return ws.Shells(ctx) }, asked{"GET", "/v1/shells", ""}},
		"shell":  {func(ctx context.Context, ws *Workspace) (any, error) { return ws.Shell(ctx, "a1") }, asked{"GET", "/v1/shells/a1", ""}},
		"read shell": {
			func(ctx context.Context, ws *Workspace) (any, error) {
				return ws.ReadShell(ctx, "a1", api.ShellReadRequest{Cursor: 1 << 40, MaxChars: 9, Plain: true, WaitForIdleMS: &idle})
			}, asked{"GET", "/v1/shells/a1/output?cursor=1099511627776&max_chars=9&plain=true&wait_for_idle_ms=300", ""},
		},
		"read shell plainly": {
			func(ctx context.Context, ws *Workspace) (any, error) {
				return ws.ReadShell(ctx, "a/../b?", api.ShellReadRequest{})
			}, asked{"GET", "/v1/shells/a%2F..%2Fb%3F/output?cursor=0", ""},
		},
		"write shell": {
			func(ctx context.Context, ws *Workspace) (any, error) {
				return ws.WriteShell(ctx, "a1", api.ShellWriteRequest{Input: "é\n", AppendNewline: true})
			}, asked{"POST", "/v1/shells/a1/input", `{"input":"é\n","append_newline":true}`},
		},
		"signal shell": {func(ctx context.Context, ws *Workspace) (any, error) { return ws.SignalShell(ctx, "a1", "int") }, asked{"POST", "/v1/shells/a1/signal", `{"signal":"int"}`}},
		"resize shell": {
			func(ctx context.Context, ws *Workspace) (any, error) {
				return ws.ResizeShell(ctx, "a1", api.TerminalSize{Cols: 1, Rows: 2})
			}, asked{"POST", "/v1/shells/a1/resize", `{"cols":1,"rows":2}`},
		},
		"close shell": {func(ctx context.Context, ws *Workspace) (any, error) { return ws.CloseShell(ctx, "a1") }, asked{"DELETE", "/v1/shells/a1", ""}},
		"start service": {
			func(ctx context.Context, ws *Workspace) (any, error) {
				return ws.StartService(ctx, api.ServiceStartRequest{ServiceName: "web", Argv: []string{"x"}, Readiness: &api.Readiness{Type: "file", Path: "up"}})
			}, asked{"POST", "/v1/services", `{"service_name":"web","argv":["x"],"readiness":{"type":"file","path":"/workspace/up"}}`},
		},
		"services":        {func(ctx context.Context, ws *Workspace) (any, error) { return ws.Services(ctx) }, asked{"GET", "/v1/services", ""}},
		"service":         {func(ctx context.Context, ws *Workspace) (any, error) { return ws.Service(ctx, "web") }, asked{"GET", "/v1/services/web", ""}},
		"stop service":    {func(ctx context.Context, ws *Workspace) (any, error) { return ws.StopService(ctx, "web") }, asked{"POST", "/v1/services/web/stop", ""}},
		"restart service": {func(ctx context.Context, ws *Workspace) (any, error) { return ws.RestartService(ctx, "web") }, asked{"POST", "/v1/services/web/restart", ""}},
		"logs of service": {func(ctx context.Context, ws *Workspace) (any, error) { return ws.ServiceLogs(ctx, "web", 7) }, asked{"GET", "/v1/services/web/logs?tail_lines=7", ""}},
		"all of the logs": {func(ctx context.Context, ws *Workspace) (any, error) { return ws.ServiceLogs(ctx, "web", 0) }, asked{"GET", "/v1/services/web/logs?tail_lines=0", ""}},
		"secrets":         {func(ctx context.Context, ws *Workspace) (any, error) { return ws.Secrets(ctx) }, asked{"GET", "/v1/secrets", ""}},
		"unset secret":    {func(ctx context.Context, ws *Workspace) (any, error) { return ws.UnsetSecret(ctx, "A") }, asked{"DELETE", "/v1/secrets/A", ""}},
		"set secret": {
			func(ctx context.Context, ws *Workspace) (any, error) {
				return ws.SetSecret(ctx, api.SecretValue{Name: "A", Value: "hunter2", SourceKind: "env"})
			}, asked{"PUT", "/v1/secrets/A", `{"value":"hunter2","source_kind":"env"}`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got asked
			all := noting(&got, map[string]string{"workspace_id": testID})
			ws := serve(t, newTestClient(t, ""), supervisorScript{more: map[string]http.HandlerFunc{
				"/v1/shells": all, "/v1/shells/": all, "/v1/services": all, "/v1/services/": all, "/v1/secrets": all, "/v1/secrets/": all,
			}})
			answer, err := tc.call(t.Context(), ws)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("request (-want +got):\n%s", diff)
			}
			if text, err := json.Marshal(answer); err != nil || !strings.Contains(string(text), testID) {
				t.Errorf("answer %s, %v", text, err)
			}
		})
	}
}

// TestLiveRefusals holds what no supervisor is asked for, and that no value is quoted.
func TestLiveRefusals(t *testing.T) {
	const value = "hunter2-hunter2"
	ws := newTestClient(t, "").attach(testID, nil) // nobody answers for it
	for name, call := range map[string]func(ctx context.Context) error{
		"too wide": func(ctx context.Context) error {
			_, err := ws.OpenShell(ctx, api.ShellOpenRequest{Cols: 5000})
			return err
		},
		"no size": func(ctx context.Context) error { _, err := ws.ResizeShell(ctx, "a", api.TerminalSize{}); return err },
		"cursor": func(ctx context.Context) error {
			_, err := ws.ReadShell(ctx, "a", api.ShellReadRequest{Cursor: -1})
			return err
		},
		"signal": func(ctx context.Context) error { _, err := ws.SignalShell(ctx, "a", "USR1"); return err },
		"input": func(ctx context.Context) error {
			_, err := ws.WriteShell(ctx, "a", api.ShellWriteRequest{Input: strings.Repeat("x", api.MaxShellInput+1)})
			return err
		},
		"no command": func(ctx context.Context) error {
			_, err := ws.StartService(ctx, api.ServiceStartRequest{ServiceName: "a"})
			return err
		},
		"service name": func(ctx context.Context) error { _, err := ws.StopService(ctx, "../a"); return err },
		"followed":     func(ctx context.Context) error { _, err := ws.FollowService(ctx, "", 0, nil, nil); return err },
		"secret name":  func(ctx context.Context) error { _, err := ws.UnsetSecret(ctx, "a/b"); return err },
		"secret": func(ctx context.Context) error {
			_, err := ws.SetSecret(ctx, api.SecretValue{Name: "A", Value: value, SourceKind: "air"})
			return err
		},
		"exec": func(ctx context.Context) error {
			c := ws.Command(ctx, "x")
			c.SecretEnv = map[string]string{"A": "="}
			return c.Run()
		},
		"terminal": func(ctx context.Context) error {
			c := ws.Command(ctx, "x")
			c.TTY = new(api.TerminalSize)
			return c.Run()
		},
	} {
		t.Run(name, func(t *testing.T) {
			err := call(t.Context())
			if !errors.Is(err, api.Invalid) || strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), value) {
				t.Errorf("error %v", err)
			}
		})
	}
}

// TestLiveOfOneThatIsStopped holds that lists are there and the rest says what to do.
func TestLiveOfOneThatIsStopped(t *testing.T) {
	c := newTestClient(t, "")
	held := record(t, c, testID, api.StateStopped)
	r, err := workspace.Read(c.store, testID)
	if err != nil {
		t.Fatal(err)
	}
	r.Secrets = []api.Secret{{Name: "A", SourceKind: "file"}}
	r.Services = []api.Service{{ServiceName: "web", State: api.ServiceStopped}}
	r.Shells = []api.Shell{{ShellID: "a1", State: api.ShellStopped}}
	if err := workspace.Write(held, r); err != nil {
		t.Fatal(err)
	}
	if err := held.Unlock(); err != nil {
		t.Fatal(err)
	}
	ws, err := c.Get(t.Context(), testID)
	if err != nil {
		t.Fatal(err)
	}
	if list, err := ws.Shells(t.Context()); err != nil || list.Count != 1 || list.Shells[0].ShellID != "a1" {
		t.Errorf("shells %+v, %v", list, err)
	}
	if list, err := ws.Services(t.Context()); err != nil || list.Count != 1 || list.Services[0].ServiceName != "web" {
		t.Errorf("services %+v, %v", list, err)
	}
	if list, err := ws.Secrets(t.Context()); err != nil || list.Count != 1 || list.Secrets[0].Name != "A" {
		t.Errorf("secrets %+v, %v", list, err)
	}
	for name, call := range map[string]func() error{
		"open":   func() error { _, err := ws.OpenShell(t.Context(), api.ShellOpenRequest{}); return err },
		"read":   func() error { _, err := ws.ReadShell(t.Context(), "a1", api.ShellReadRequest{}); return err },
		"attach": func() error { _, err := ws.AttachShell(t.Context(), "a1", ShellAttachment{}); return err },
		"start": func() error {
			_, err := ws.StartService(t.Context(), api.ServiceStartRequest{ServiceName: "a", Argv: []string{"x"}})
			return err
		},
		"follow": func() error { _, err := ws.FollowService(t.Context(), "web", 0, nil, nil); return err },
		"set": func() error {
			_, err := ws.SetSecret(t.Context(), api.SecretValue{Name: "A", Value: "v", SourceKind: "env"})
			return err
		},
	} {
		if err := call(); !errors.Is(err, api.Conflict) || !strings.Contains(api.HintOf(err), "workspace start") {
			t.Errorf("%s: %v, hint %q", name, err, api.HintOf(err))
		}
	}
}

// TestUnknownShell holds that the next step is to look which there are.
func TestUnknownShell(t *testing.T) {
	ws := serve(t, newTestClient(t, ""), supervisorScript{more: map[string]http.HandlerFunc{"/v1/shells/": func(w http.ResponseWriter, _ *http.Request) {
		answerError(w, http.StatusNotFound, api.NotFound, `shell "x" does not exist`, "")
	}}})
	for name, call := range map[string]func() error{
		"read":   func() error { _, err := ws.ReadShell(t.Context(), "x", api.ShellReadRequest{}); return err },
		"close":  func() error { _, err := ws.CloseShell(t.Context(), "x"); return err },
		"attach": func() error { _, err := ws.AttachShell(t.Context(), "x", ShellAttachment{}); return err },
	} {
		if err := call(); !errors.Is(err, api.NotFound) || !strings.Contains(api.HintOf(err), "shell list") {
			t.Errorf("%s: %v, hint %q", name, err, api.HintOf(err))
		}
	}
}

// framed plays the supervisor's side of a connection of frames.
func framed(body *string, script func(*peer)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		if err != nil {
			panic(err)
		}
		*body = r.URL.RequestURI() + " " + string(text)
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		defer func() { _ = conn.Close() }()
		_, _ = fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", api.Frames)
		script(&peer{conn: conn, in: rw.Reader})
	}
}

func attaching(t *testing.T, body *string, script func(*peer)) *Workspace {
	t.Helper()
	return serve(t, newTestClient(t, ""), supervisorScript{more: map[string]http.HandlerFunc{
		"POST /v1/shells/{id}/attach": framed(body, script),
		"GET /v1/shells/{id}": func(w http.ResponseWriter, r *http.Request) {
			answerJSON(w, http.StatusOK, api.Shell{ShellID: r.PathValue("id"), State: api.ShellStopped, ExitCode: new(3)})
		},
	}})
}

func TestAttachShell(t *testing.T) {
	var body string
	var out strings.Builder
	resize := make(chan api.TerminalSize, 1)
	ws := attaching(t, &body, func(p *peer) {
		typed, size := "", ""
		for typed != "ls\n" || size == "" {
			frame, err := p.receive()
			if err != nil {
				return
			}
			switch frame.Type {
			case wire.FrameStdin:
				typed += string(frame.Payload)
			case wire.FrameResize:
				size = string(frame.Payload)
			}
		}
		_ = p.send(wire.FrameStdout, "got "+typed+size)
		_ = p.send(wire.FrameType('?'), "what only a newer one knows")
		_ = p.send(wire.FrameExit, `{"exit_code":3}`)
	})
	resize <- api.TerminalSize{Cols: 7, Rows: 8}
	shell, err := ws.AttachShell(t.Context(), "a1", ShellAttachment{
		Stdin: strings.NewReader("ls\n"), Stdout: &out, Cursor: 42, Size: api.TerminalSize{Cols: 100, Rows: 40}, Resize: resize,
	})
	if err != nil {
		t.Fatal(err)
	}
	if shell.ShellID != "a1" || shell.State != api.ShellStopped || *shell.ExitCode != 3 {
		t.Errorf("shell %+v", shell)
	}
	if want := `/v1/shells/a1/attach {"cursor":42,"cols":100,"rows":40}`; body != want {
		t.Errorf("asked for %s", body)
	}
	if want := "got ls\n" + `{"cols":7,"rows":8}`; out.String() != want {
		t.Errorf("printed %q", out.String())
	}
}

// TestAttachShellEnds holds the ways out that are not the shell's own.
func TestAttachShellEnds(t *testing.T) {
	full := errors.New("full")
	for name, tc := range map[string]struct {
		script func(*peer)
		stdout io.Writer
		cancel bool
		want   error
	}{
		"left":               {(*peer).awaitHangup, nil, true, api.Canceled},
		"supervisor is gone": {func(*peer) {}, nil, false, api.Unavailable},
		"refused":            {func(p *peer) { _ = p.send(wire.FrameFail, `{"error":"gone","kind":"not_found"}`) }, nil, false, api.NotFound},
		"no exit":            {func(p *peer) { _ = p.send(wire.FrameExit, `nonsense`) }, nil, false, api.Internal},
		"stdout fails":       {func(p *peer) { _ = p.send(wire.FrameStdout, "x"); p.awaitHangup() }, failing{full}, false, full},
	} {
		t.Run(name, func(t *testing.T) {
			var body string
			there := make(chan struct{})
			ws := attaching(t, &body, func(p *peer) {
				close(there)
				tc.script(p)
			})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if tc.cancel {
				go func() { <-there; cancel() }()
			}
			_, err := ws.AttachShell(ctx, "a1", ShellAttachment{Stdout: tc.stdout, Cursor: -1, Resize: make(chan api.TerminalSize)})
			if !errors.Is(err, tc.want) && api.KindOf(err) != tc.want {
				t.Errorf("error %v, want %v", err, tc.want)
			}
		})
	}
}

func TestFollowService(t *testing.T) {
	var path string
	ws := serve(t, newTestClient(t, ""), supervisorScript{more: map[string]http.HandlerFunc{
		"POST /v1/services/{name}/logs/follow": framed(&path, func(p *peer) {
			_ = p.send(wire.FrameStdout, "out")
			_ = p.send(wire.FrameStderr, "err")
			_ = p.send(wire.FrameExit, `{"service_name":"web","state":"exited","exit_code":4}`)
		}),
	}})
	var stdout, stderr strings.Builder
	service, err := ws.FollowService(t.Context(), "web", 9, &stdout, &stderr)
	if err != nil {
		t.Fatal(err)
	}
	if service.State != api.ServiceExited || *service.ExitCode != 4 || stdout.String() != "out" || stderr.String() != "err" {
		t.Errorf("service %+v, printed %q and %q", service, stdout.String(), stderr.String())
	}
	if path != "/v1/services/web/logs/follow?tail_lines=9 " {
		t.Errorf("asked for %q", path)
	}
}

func TestCmdOnATerminal(t *testing.T) {
	var got api.ExecRequest
	ws := streaming(t, func(p *peer) {
		got = p.request
		for {
			frame, err := p.receive()
			if err != nil {
				return
			}
			if frame.Type == wire.FrameResize {
				_ = p.send(wire.FrameStdout, string(frame.Payload))
				p.exit(api.WorkspaceExec{})
				return
			}
		}
	})
	var out strings.Builder
	cmd := ws.Command(t.Context(), "top")
	cmd.TTY, cmd.SecretEnv, cmd.Stdout = &api.TerminalSize{Cols: 80, Rows: 24}, map[string]string{"A": "B"}, &out
	if err := cmd.Resize(api.TerminalSize{Cols: 1, Rows: 1}); err == nil {
		t.Error("it was resized before it was started")
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Resize(api.TerminalSize{}); !errors.Is(err, api.Invalid) {
		t.Errorf("no size: %v", err)
	}
	if err := cmd.Resize(api.TerminalSize{Cols: 100, Rows: 40}); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	want := api.ExecRequest{
		Argv: []string{"top"}, TimeoutSeconds: api.DefaultTimeoutSeconds,
		TTY: &api.TerminalSize{Cols: 80, Rows: 24}, SecretEnv: map[string]string{"A": "B"},
	}
	if diff := cmp.Diff(want, got); diff != "" || out.String() != `{"cols":100,"rows":40}` {
		t.Errorf("printed %q, request (-want +got):\n%s", out.String(), diff)
	}
}

func TestCreateWithSecrets(t *testing.T) {
	secret := api.SecretValue{Name: "A", Value: "hunter2-hunter2", SourceKind: api.SecretLiteral}
	request, err := (&CreateOptions{Secrets: []api.SecretValue{secret}}).request("host")
	if err != nil || len(request.Secrets) != 1 || request.Secrets[0] != secret {
		t.Errorf("request %+v, %v", request, err)
	}
	_, err = (&CreateOptions{Secrets: []api.SecretValue{secret, secret}}).request("host")
	if !errors.Is(err, api.Invalid) || strings.Contains(err.Error(), string(secret.Value)) {
		t.Errorf("twice: %v", err)
	}
}
