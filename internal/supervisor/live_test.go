package supervisor

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/workspace"
)

// do makes a request that must succeed.
func do[T any](t *testing.T, r *running, method, path string, body any) T {
	t.Helper()
	var got T
	if failure := r.call(t, method, path, body, &got); failure != nil {
		t.Fatalf("%s %s: %+v", method, path, *failure)
	}
	return got
}

// refused makes a request that must fail, and returns why it did.
func refused(t *testing.T, r *running, method, path string, body any) api.ErrorReply {
	t.Helper()
	var got any
	failure := r.call(t, method, path, body, &got)
	if failure == nil {
		t.Fatalf("%s %s: %v", method, path, got)
	}
	return *failure
}

// until asks again and again until what comes is fine.
func until[T any](t *testing.T, ask func() T, fine func(T) bool) T {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(20 * time.Second); ; <-tick.C {
		got := ask()
		if fine(got) {
			return got
		}
		if time.Now().After(end) {
			t.Fatalf("at last: %+v", got)
		}
	}
}

// echoServer is a service that answers each connection with what it is sent, and says
// so when it has all.
func echoServer(port int) string {
	return fmt.Sprintf(`exec python3 -uc '
import socket, threading
def serve(c):
    data = b""
    while True:
        piece = c.recv(65536)
        if not piece: break
        data += piece
    c.sendall(b"you said " + data); c.close()
s = socket.create_server(("127.0.0.1", %d), backlog=200)
print("up")
while True:
    c, _ = s.accept()
    threading.Thread(target=serve, args=(c,)).start()'`, port)
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

// say sends text to a port, ends that direction, and returns the answer.
func say(port int, text string) (string, error) {
	conn, err := net.Dial("tcp4", fmt.Sprint("127.0.0.1:", port))
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(conn, text); err != nil {
		return "", err
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(conn)
	return string(answer), err
}

func TestServiceWithAPort(t *testing.T) {
	b := newBench(t)
	r := b.start(t, aWorkspace())
	guest, host := freePort(t), freePort(t)
	start := api.ServiceStartRequest{
		ServiceName: "echo", Command: echoServer(guest),
		Readiness: &api.Readiness{Type: api.ReadyTCP, Address: fmt.Sprint("127.0.0.1:", guest)}, ReadyIntervalMS: 20,
		Publish: []api.PublishRequest{{GuestPort: guest, HostPort: host}, {GuestPort: guest}},
	}
	service := do[api.Service](t, r, "POST", "/v1/services", start)
	if service.State != api.ServiceRunning || service.ReadyAt == nil || len(service.PublishedPorts) != 2 {
		t.Fatalf("%+v", service)
	}
	for _, port := range service.PublishedPorts {
		text := strings.Repeat("hello ", 50_000) // more than any buffer on the way
		if got, err := say(port.HostPort, text); err != nil || got != "you said "+text {
			t.Errorf("port %+v answered %d bytes, %v", port, len(got), err)
		}
	}
	list := do[api.ServiceList](t, r, "GET", "/v1/services", nil)
	if list.Count != 1 || list.RunningCount != 1 || cmp.Diff(service.PublishedPorts, list.Services[0].PublishedPorts) != "" {
		t.Errorf("list %+v", list)
	}
	if status := do[api.Workspace](t, r, "GET", "/v1/workspace", nil); status.ServiceCount != 1 || status.RunningServiceCount != 1 {
		t.Errorf("status counts %d/%d", status.RunningServiceCount, status.ServiceCount)
	}
	taken := start
	taken.ServiceName = "other"
	if failure := refused(t, r, "POST", "/v1/services", taken); failure.Kind != api.Conflict || !strings.Contains(failure.Error, fmt.Sprint(host)) {
		t.Errorf("a taken port: %+v", failure)
	}
	logs := do[api.ServiceLogs](t, r, "GET", "/v1/services/echo/logs", nil)
	if logs.Stdout != "up\n" || logs.TailLines == nil || *logs.TailLines != api.DefaultTailLines {
		t.Errorf("logs %+v", logs)
	}
	if got, err := say(host, "still"); err != nil || got != "you said still" {
		t.Errorf("after reading the logs: %q, %v", got, err)
	}
	stopped := do[api.Service](t, r, "POST", "/v1/services/echo/stop", nil)
	if stopped.State != api.ServiceStopped || stopped.StopReason == nil || *stopped.StopReason != api.StoppedByTerm || len(stopped.PublishedPorts) != 0 {
		t.Errorf("stopped %+v", stopped)
	}
	if _, err := say(host, "gone"); err == nil {
		t.Error("the port is open after the service ended")
	}
	again := do[api.Service](t, r, "POST", "/v1/services/echo/restart", nil)
	if diff := cmp.Diff(service.PublishedPorts, again.PublishedPorts); again.State != api.ServiceRunning || diff != "" {
		t.Errorf("restarted %+v, ports (-before +now):\n%s", again, diff)
	}
	do[api.Service](t, r, "POST", "/v1/services/echo/stop", nil)
	others, err := net.Listen("tcp4", fmt.Sprint("127.0.0.1:", service.PublishedPorts[1].HostPort))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = others.Close() }()
	again = do[api.Service](t, r, "POST", "/v1/services/echo/restart", nil)
	if again.State != api.ServiceRunning || again.PublishedPorts[0].HostPort != host || again.PublishedPorts[1].HostPort == service.PublishedPorts[1].HostPort {
		t.Errorf("restarted while another has a port: %+v", again)
	}
}

func TestServicePortClosesWhenItCrashes(t *testing.T) {
	b := newBench(t)
	r := b.start(t, aWorkspace())
	service := do[api.Service](t, r, "POST", "/v1/services", api.ServiceStartRequest{
		ServiceName: "x", Command: "while [ ! -e crash ]; do sleep 0.02; done; exit 3", Publish: []api.PublishRequest{{GuestPort: 9}},
	})
	port := service.PublishedPorts[0].HostPort
	if conn, err := net.Dial("tcp4", fmt.Sprint("127.0.0.1:", port)); err == nil { // it is reset, perhaps at once: nobody listens inside
		defer func() { _ = conn.Close() }()
	} else if !strings.Contains(err.Error(), "reset") {
		t.Fatal(err)
	}
	do[api.WorkspaceExec](t, r, "POST", "/v1/exec", api.ExecRequest{Argv: []string{"touch", "crash"}})
	until(t, func() error {
		c, err := net.Dial("tcp4", fmt.Sprint("127.0.0.1:", port))
		if err == nil {
			_ = c.Close()
		}
		return err
	}, func(err error) bool { return err != nil && strings.Contains(err.Error(), "refused") }) // not reset, as by a port that nobody serves
	ended := do[api.Service](t, r, "GET", "/v1/services/x", nil)
	if ended.State != api.ServiceExited || *ended.ExitCode != 3 || len(ended.PublishedPorts) != 0 {
		t.Errorf("%+v", ended)
	}
}

func TestServiceThatFails(t *testing.T) {
	b := newBench(t)
	r := b.start(t, aWorkspace())
	service := do[api.Service](t, r, "POST", "/v1/services", api.ServiceStartRequest{
		ServiceName: "x", Command: "echo no config >&2; exit 2", Readiness: &api.Readiness{Type: api.ReadyFile, Path: "never"}, ReadyIntervalMS: 10,
		Publish: []api.PublishRequest{{GuestPort: 80}},
	})
	if service.State != api.ServiceFailed || service.Error == nil || !strings.Contains(*service.Error, "no config") || len(service.PublishedPorts) != 0 {
		t.Errorf("%+v", service)
	}
	for path, body := range map[string]any{
		"/v1/services": api.ServiceStartRequest{ServiceName: "a/b", Command: "true"},
	} {
		if failure := refused(t, r, "POST", path, body); failure.Kind != api.Invalid {
			t.Errorf("%+v", failure)
		}
	}
	for _, path := range []string{"/v1/services/none/stop", "/v1/services/none/restart"} {
		if failure := refused(t, r, "POST", path, nil); failure.Kind != api.NotFound || failure.Hint == "" {
			t.Errorf("%s: %+v", path, failure)
		}
	}
}

// A client that goes away while it waits has called the service off.
func TestServiceWhoseClientLeaves(t *testing.T) {
	b := newBench(t)
	r := b.start(t, aWorkspace())
	body := `{"service_name":"x","command":"touch begun; exec sleep 614001","readiness":{"type":"file","path":"never"}}`
	ctx, leave := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://pyro/v1/services", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	left := make(chan error, 1)
	go func() { // ends with ctx
		resp, err := r.http.Do(req)
		if err == nil {
			_ = resp.Body.Close()
		}
		left <- err
	}()
	services := func() api.ServiceList { return do[api.ServiceList](t, r, "GET", "/v1/services", nil) }
	until(t, services, func(l api.ServiceList) bool { return l.RunningCount == 1 })
	leave()
	if err := <-left; err == nil {
		t.Error("it was answered")
	}
	until(t, services, func(l api.ServiceList) bool { return l.Count == 1 && l.Services[0].State != api.ServiceRunning })
}

func TestShell(t *testing.T) {
	b := newBench(t)
	r := b.start(t, aWorkspace())
	shell := do[api.Shell](t, r, "POST", "/v1/shells", api.ShellOpenRequest{})
	if shell.State != api.ShellRunning || shell.Cols != api.DefaultCols || shell.Rows != api.DefaultRows || shell.Cwd != api.WorkspacePath {
		t.Fatalf("%+v", shell)
	}
	path := "/v1/shells/" + shell.ShellID
	write := do[api.ShellWrite](t, r, "POST", path+"/input", api.ShellWriteRequest{Input: "X=ä; echo got-$X", AppendNewline: true})
	if write.InputLength != 16 || !write.AppendNewline {
		t.Errorf("write %+v", write)
	}
	read := until(t, func() api.ShellRead {
		return do[api.ShellRead](t, r, "GET", path+"/output?plain=true&wait_for_idle_ms=50", nil)
	}, func(read api.ShellRead) bool { return strings.Contains(read.Output, "\ngot-ä\n") })
	if read.Cursor != 0 || read.NextCursor <= 0 || strings.Contains(read.Output, "\x1b") || read.Truncated || !read.Plain || *read.WaitForIdleMS != 50 {
		t.Errorf("read %+v", read)
	}
	piece := do[api.ShellRead](t, r, "GET", fmt.Sprintf("%s/output?cursor=%d&max_chars=3", path, read.Cursor), nil)
	if piece.NextCursor != 3 || !piece.Truncated {
		t.Errorf("a piece %+v", piece)
	}
	if sized := do[api.Shell](t, r, "POST", path+"/resize", api.TerminalSize{Cols: 33, Rows: 11}); sized.Cols != 33 || sized.Rows != 11 {
		t.Errorf("resized %+v", sized)
	}
	list := do[api.ShellList](t, r, "GET", "/v1/shells", nil)
	if list.Count != 1 || list.Shells[0].ShellID != shell.ShellID {
		t.Errorf("list %+v", list)
	}
	do[api.ShellSignal](t, r, "POST", path+"/signal", api.ShellSignalRequest{Signal: "INT"})
	closed := do[api.ShellClose](t, r, "DELETE", path, nil)
	if !closed.Closed || closed.State != api.ShellStopped {
		t.Errorf("closed %+v", closed)
	}
	for method, path := range map[string]string{"DELETE": path, "GET": path + "/output"} {
		if failure := refused(t, r, method, path, nil); failure.Kind != api.NotFound {
			t.Errorf("%s of a closed one: %+v", method, failure)
		}
	}
	for _, query := range []string{"cursor=-1", "cursor=x", "max_chars=-5", "wait_for_idle_ms=0", "wait_for_idle_ms=10001"} {
		if failure := refused(t, r, "GET", path+"/output?"+query, nil); failure.Kind != api.Invalid {
			t.Errorf("%s: %+v", query, failure)
		}
	}
}

const token = "s3cr3t-t0k3n-value"

func withSecret() workspace.Launch {
	launch := aWorkspace()
	launch.Request.Secrets = []api.SecretValue{{Name: "TOKEN", Value: token, SourceKind: api.SecretLiteral}}
	return launch
}

// secretIsNowhere fails the test where a file below dir holds the token, but for the store of
// secrets.
func secretIsNowhere(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || filepath.Base(filepath.Dir(path)) == "secrets" {
			return err
		}
		data, err := os.ReadFile(path)
		if bytes.Contains(data, []byte(token)) {
			t.Errorf("the secret stands in %s", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestSecrets(t *testing.T) {
	b := newBench(t)
	r := b.start(t, withSecret())
	exec := func(env map[string]string, line string) api.WorkspaceExec {
		return do[api.WorkspaceExec](t, r, "POST", "/v1/exec", api.ExecRequest{Command: line, SecretEnv: env})
	}
	got := exec(map[string]string{"TOKEN": "T"}, `printf '%s' "$T" | wc -c; echo "$T" >&2; printf s3cr3t-; sleep 0.05; echo t0k3n-value; echo `+token)
	if want := fmt.Sprintf("%d\n[REDACTED]\n[REDACTED]\n", len(token)); got.Stdout != want || got.Stderr != "[REDACTED]\n" || strings.Contains(got.Command, token) {
		t.Errorf("exec %+v", got)
	}
	if got := exec(nil, `echo "${TOKEN-none}${T-none}"`); got.Stdout != "nonenone\n" {
		t.Errorf("a call that did not ask: %q", got.Stdout)
	}
	if failure := refused(t, r, "POST", "/v1/exec", api.ExecRequest{Command: "true", SecretEnv: map[string]string{"OTHER": "X"}}); failure.Kind != api.Invalid {
		t.Errorf("an unknown secret: %+v", failure)
	}
	status := do[api.Workspace](t, r, "GET", "/v1/workspace", nil)
	if diff := cmp.Diff([]api.Secret{{Name: "TOKEN", SourceKind: "literal"}}, status.Secrets); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
	for _, entry := range do[api.WorkspaceLogs](t, r, "GET", "/v1/logs", nil).Entries {
		if strings.Contains(entry.Command+entry.Stdout+entry.Stderr, token) {
			t.Errorf("history %+v", entry)
		}
	}
	do[api.Service](t, r, "POST", "/v1/services", api.ServiceStartRequest{ServiceName: "x", Command: `echo "svc $T"`, SecretEnv: map[string]string{"TOKEN": "T"}})
	logs := until(t, func() api.ServiceLogs { return do[api.ServiceLogs](t, r, "GET", "/v1/services/x/logs", nil) },
		func(l api.ServiceLogs) bool { return l.Stdout != "" })
	if logs.Stdout != "svc [REDACTED]\n" {
		t.Errorf("service log %q", logs.Stdout)
	}
	do[api.SecretList](t, r, "PUT", "/v1/secrets/LINES", api.SecretRequest{Value: "first line of three\nsecond line of three\nthird line of three\n", SourceKind: api.SecretFromFile})
	do[api.Service](t, r, "POST", "/v1/services", api.ServiceStartRequest{ServiceName: "y", Command: `printf %s "$T"; echo end`, SecretEnv: map[string]string{"LINES": "T"}})
	logs = until(t, func() api.ServiceLogs {
		return do[api.ServiceLogs](t, r, "GET", "/v1/services/y/logs?tail_lines=2", nil)
	},
		func(l api.ServiceLogs) bool { return strings.Contains(l.Stdout, "end") })
	if logs.Stdout != "[REDACTED]\nend\n" {
		t.Errorf("the last lines of a secret of several: %q", logs.Stdout)
	}
	do[api.SecretList](t, r, "DELETE", "/v1/secrets/LINES", nil)
	shell := do[api.Shell](t, r, "POST", "/v1/shells", api.ShellOpenRequest{SecretEnv: map[string]string{"TOKEN": "T"}})
	do[api.ShellWrite](t, r, "POST", "/v1/shells/"+shell.ShellID+"/input", api.ShellWriteRequest{Input: `echo "sh$((1+1)) $T."`, AppendNewline: true})
	until(t, func() api.ShellRead {
		return do[api.ShellRead](t, r, "GET", "/v1/shells/"+shell.ShellID+"/output", nil)
	},
		func(read api.ShellRead) bool { return strings.Contains(read.Output, "sh2 [REDACTED].") })

	list := do[api.SecretList](t, r, "PUT", "/v1/secrets/NEXT", api.SecretRequest{Value: "another-value", SourceKind: api.SecretFromFile})
	if list.Count != 2 || list.Secrets[0].Name != "NEXT" {
		t.Errorf("after set: %+v", list)
	}
	if got := exec(map[string]string{"NEXT": "N"}, `echo "$N"`); got.Stdout != "[REDACTED]\n" {
		t.Errorf("the new one: %q", got.Stdout)
	}
	do[api.SecretList](t, r, "DELETE", "/v1/secrets/TOKEN", nil)
	if got := exec(nil, "echo "+token); got.Stdout != "[REDACTED]\n" {
		t.Errorf("one that was unset is shown: %q", got.Stdout)
	}
	if failure := refused(t, r, "DELETE", "/v1/secrets/TOKEN", nil); failure.Kind != api.NotFound {
		t.Errorf("a second unset: %+v", failure)
	}
	secretIsNowhere(t, b.store.Path(testID))
}

func TestSecretsComeBackAfterAStop(t *testing.T) {
	b := newBench(t)
	r := b.start(t, withSecret())
	do[api.Workspace](t, r, "POST", "/v1/stop", api.StopRequest{Discard: true})
	if err := r.wait(t); err != nil {
		t.Fatal(err)
	}
	secretIsNowhere(t, b.store.Path(testID))
	r = b.start(t, workspace.Launch{Kind: workspace.KindWorkspace, Start: &api.StartRequest{}})
	got := do[api.WorkspaceExec](t, r, "POST", "/v1/exec", api.ExecRequest{Command: `printf '%s' "$TOKEN" | wc -c`, SecretEnv: map[string]string{"TOKEN": "TOKEN"}})
	if got.Stdout != fmt.Sprintln(len(token)) {
		t.Errorf("after a start: %q", got.Stdout)
	}
}
