package agent

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// begin starts a service, which need not become ready.
func begin(t *testing.T, c *wire.Client, r wire.StartServiceRequest) wire.ServiceReply {
	t.Helper()
	if r.ReadyTimeoutSeconds == 0 {
		r.ReadyTimeoutSeconds = 20
	}
	if r.ReadyIntervalMS == 0 {
		r.ReadyIntervalMS = 10
	}
	if r.Cwd == "" {
		r.Cwd = wireRoot
	}
	reply, err := c.StartService(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return reply
}

// awaitEnd waits until a service has left the state running.
func awaitEnd(t *testing.T, c *wire.Client, name string) wire.ServiceReply {
	t.Helper()
	var reply wire.ServiceReply
	if !eventually(func() bool {
		var err error
		reply, err = c.StatusService(t.Context(), name)
		return err == nil && reply.State != string(api.ServiceRunning)
	}) {
		t.Fatalf("it still runs: %+v", reply)
	}
	return reply
}

func stopService(t *testing.T, c *wire.Client, name string) wire.ServiceReply {
	t.Helper()
	reply, err := c.StopService(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return reply
}

// verdict is what a test wants to know of a service.
type verdict struct {
	State, StopReason string
	Code              int // noCode: none
}

const noCode = 999

func judge(r wire.ServiceReply) verdict {
	v := verdict{State: r.State, Code: noCode}
	if r.StopReason != nil {
		v.StopReason = *r.StopReason
	}
	if r.ExitCode != nil {
		v.Code = *r.ExitCode
	}
	return v
}

func wantVerdict(t *testing.T, r wire.ServiceReply, want verdict) {
	t.Helper()
	if diff := cmp.Diff(want, judge(r)); diff != "" {
		t.Errorf("service (-want +got):\n%s%+v", diff, r)
	}
}

func TestServiceLife(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config, c *wire.Client) {
		r := begin(t, c, wire.StartServiceRequest{ServiceName: "web", Command: "echo up; echo bad >&2; exec sleep 613001"})
		wantVerdict(t, r, verdict{State: "running", Code: noCode})
		if r.PID == nil || r.ReadyAt == nil || r.Cwd != wireRoot || r.Command != "echo up; echo bad >&2; exec sleep 613001" {
			t.Errorf("reply %+v", r)
		}
		if _, err := c.StartService(t.Context(), wire.StartServiceRequest{ServiceName: "web", Command: "true", Cwd: wireRoot, ReadyTimeoutSeconds: 1, ReadyIntervalMS: 1}); api.KindOf(err) != api.Conflict {
			t.Errorf("a second of the same name: %v", err)
		}
		if !eventually(func() bool {
			l, _ := c.LogsService(t.Context(), "web", nil)
			return l.Stdout == "up\n" && l.Stderr == "bad\n"
		}) {
			t.Error("its output is not in the log")
		}
		r = stopService(t, c, "web")
		wantVerdict(t, r, verdict{State: "stopped", StopReason: "sigterm", Code: -15})
		if alive("sleep 613001") {
			t.Error("its process lives")
		}
		if again := stopService(t, c, "web"); cmp.Diff(r, again) != "" {
			t.Errorf("a second stop says %+v", again)
		}
		wantVerdict(t, begin(t, c, wire.StartServiceRequest{ServiceName: "web", Argv: []string{"sleep", "613002"}}), verdict{State: "running", Code: noCode})
		list, err := c.ListServices(t.Context())
		if err != nil || len(list.Services) != 1 || list.Services[0].Command != "sleep 613002" {
			t.Errorf("list %+v, %v", list, err)
		}
	})
}

func TestServiceEndsAreSeen(t *testing.T) {
	for name, c := range map[string]struct {
		command string
		want    verdict
	}{
		"by itself":     {"exit 3", verdict{State: "exited", Code: 3}},
		"well":          {"true", verdict{State: "exited", Code: 0}},
		"by a signal":   {"kill -9 $$", verdict{State: "exited", Code: -9}},
		"with children": {"sleep 613010 & exit 4", verdict{State: "exited", Code: 4}},
	} {
		t.Run(name, func(t *testing.T) {
			client := serve(t, testConfig(t))
			begin(t, client, wire.StartServiceRequest{ServiceName: "x", Command: wire.LaxString(c.command)})
			r := awaitEnd(t, client, "x")
			wantVerdict(t, r, c.want)
			if r.EndedAt == nil || r.EndedAt.Time().Before(r.StartedAt.Time()) {
				t.Errorf("ended at %v", r.EndedAt)
			}
			if alive("sleep 613010") {
				t.Error("a child lives on")
			}
		})
	}
}

func TestServiceThatCannotStart(t *testing.T) {
	client := serve(t, testConfig(t))
	r := begin(t, client, wire.StartServiceRequest{ServiceName: "x", Argv: []string{"/no/such/program"}})
	wantVerdict(t, r, verdict{State: "failed", StopReason: api.StopExitedBeforeReady, Code: codeNotFound})
	if !strings.Contains(r.Failure, "/no/such/program: not found") {
		t.Errorf("failure %q", r.Failure)
	}
	for name, bad := range map[string]wire.StartServiceRequest{
		"name":       {ServiceName: "a/b", Command: "true"},
		"no name":    {Command: "true"},
		"no command": {ServiceName: "x"},
		"cwd":        {ServiceName: "x", Command: "true", Cwd: "/workspace/none"},
		"outside":    {ServiceName: "x", Command: "true", Cwd: "/etc"},
		"restart":    {ServiceName: "x", Command: "true", Restart: "always"},
		"restart 0":  {ServiceName: "x", Command: "true", Restart: "on-failure:0"},
		"type":       {ServiceName: "x", Command: "true", Readiness: &wire.Readiness{Type: "hope"}},
		"path":       {ServiceName: "x", Command: "true", Readiness: &wire.Readiness{Type: "file", Path: "../x"}},
		"address":    {ServiceName: "x", Command: "true", Readiness: &wire.Readiness{Type: "tcp", Address: "localhost"}},
		"port":       {ServiceName: "x", Command: "true", Readiness: &wire.Readiness{Type: "tcp", Address: "localhost:65536"}},
		"url":        {ServiceName: "x", Command: "true", Readiness: &wire.Readiness{Type: "http", URL: "ftp://x/"}},
		"probe":      {ServiceName: "x", Command: "true", Readiness: &wire.Readiness{Type: "command"}},
		"timeout":    {ServiceName: "x", Command: "true", ReadyTimeoutSeconds: -1},
		"interval":   {ServiceName: "x", Command: "true", ReadyIntervalMS: -1},
		"env":        {ServiceName: "x", Command: "true", Env: wire.LaxEnv{"a b": "c"}},
	} {
		t.Run(name, func(t *testing.T) {
			if bad.Cwd == "" {
				bad.Cwd = wireRoot
			}
			if bad.ReadyTimeoutSeconds == 0 {
				bad.ReadyTimeoutSeconds = 1
			}
			if bad.ReadyIntervalMS == 0 {
				bad.ReadyIntervalMS = 1
			}
			if _, err := client.StartService(t.Context(), bad); api.KindOf(err) != api.Invalid && api.KindOf(err) != api.NotFound {
				t.Errorf("error %v", err)
			}
		})
	}
	for name, call := range map[string]func() error{
		"status": func() error { _, err := client.StatusService(t.Context(), "none"); return err },
		"logs":   func() error { _, err := client.LogsService(t.Context(), "none", nil); return err },
		"stop":   func() error { _, err := client.StopService(t.Context(), "none"); return err },
	} {
		if err := call(); api.KindOf(err) != api.NotFound || !strings.Contains(err.Error(), "does not exist") {
			t.Errorf("%s of no service: %v", name, err)
		}
	}
}

func TestServiceReadiness(t *testing.T) {
	port := freePort(t)
	answer := func(head string) string {
		return fmt.Sprintf(`python3 -c 'import socket
s=socket.create_server(("127.0.0.1",%d))
while True:
    c,_=s.accept(); c.recv(4096); c.sendall(%q.encode()); c.close()'`, port, head)
	}
	url := wire.LaxString(fmt.Sprintf("http://127.0.0.1:%d/", port))
	for name, c := range map[string]struct {
		command string
		ready   wire.Readiness
		want    verdict
	}{
		"file":               {"touch ok; exec sleep 613020", wire.Readiness{Type: "file", Path: "ok"}, verdict{State: "running", Code: noCode}},
		"absolute file":      {"touch ok; exec sleep 613020", wire.Readiness{Type: "file", Path: "/workspace/ok"}, verdict{State: "running", Code: noCode}},
		"command":            {"touch ok; exec sleep 613020", wire.Readiness{Type: "command", Command: "test -e ok"}, verdict{State: "running", Code: noCode}},
		"tcp":                {answer("x"), wire.Readiness{Type: "tcp", Address: wire.LaxString(fmt.Sprintf("127.0.0.1:%d", port))}, verdict{State: "running", Code: noCode}},
		"http":               {answer("HTTP/1.1 204 No Content\r\n\r\n"), wire.Readiness{Type: "http", URL: url}, verdict{State: "running", Code: noCode}},
		"http not found":     {answer("HTTP/1.1 404 Not Found\r\n\r\n"), wire.Readiness{Type: "http", URL: url}, verdict{State: "failed", StopReason: "readiness_timeout", Code: -15}},
		"http in a circle":   {answer("HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n"), wire.Readiness{Type: "http", URL: url}, verdict{State: "failed", StopReason: "readiness_timeout", Code: -15}},
		"http to elsewhere":  {answer("HTTP/1.1 302 Found\r\nLocation: https://example.com/\r\n\r\n"), wire.Readiness{Type: "http", URL: url}, verdict{State: "failed", StopReason: "readiness_timeout", Code: -15}},
		"http that lies":     {answer("SSH-2.0-OpenSSH\r\n"), wire.Readiness{Type: "http", URL: url}, verdict{State: "failed", StopReason: "readiness_timeout", Code: -15}},
		"never":              {"exec sleep 613020", wire.Readiness{Type: "file", Path: "never"}, verdict{State: "failed", StopReason: "readiness_timeout", Code: -15}},
		"a probe that hangs": {"exec sleep 613020", wire.Readiness{Type: "command", Command: "sleep 613021"}, verdict{State: "failed", StopReason: "readiness_timeout", Code: -15}},
		"dies":               {"echo last words; exit 9", wire.Readiness{Type: "file", Path: "never"}, verdict{State: "failed", StopReason: "process_exited_before_ready", Code: 9}},
	} {
		t.Run(name, func(t *testing.T) {
			client := serve(t, testConfig(t))
			r := begin(t, client, wire.StartServiceRequest{
				ServiceName: "x", Command: wire.LaxString(c.command), Readiness: &c.ready,
				ReadyTimeoutSeconds: map[bool]wire.LaxInt{true: 1, false: 20}[c.want.StopReason == api.StopReadinessTimeout],
			})
			wantVerdict(t, r, c.want)
			if (r.ReadyAt != nil) != (r.State == "running") {
				t.Errorf("ready at %v", r.ReadyAt)
			}
			if c.want.Code == 9 && !strings.Contains(r.Failure, "last words") {
				t.Errorf("failure %q", r.Failure)
			}
			if r.State == "failed" && (alive("sleep 613020") || alive("sleep 613021")) {
				t.Error("something of it lives")
			}
		})
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

func TestServiceStop(t *testing.T) {
	for name, c := range map[string]struct {
		command string
		want    verdict
		gone    string
	}{
		// What is looked for is in the command line of sleep alone: a signal that comes to a
		// child of the shell before it is sleep is lost.
		"ignores TERM":     {"trap '' TERM; n=613030; echo up; while :; do sleep $n & wait; done", verdict{State: "stopped", StopReason: "sigkill", Code: -9}, "sleep 613030"},
		"catches TERM":     {"trap 'exit 7' TERM; n=613031; echo up; while :; do sleep $n & wait; done", verdict{State: "stopped", StopReason: "sigterm", Code: 7}, "sleep 613031"},
		"left its session": {"setsid sleep 613032 & echo up; exec sleep 613033", verdict{State: "stopped", StopReason: "sigterm", Code: -15}, "sleep 61303"},
		"daemon":           {"(setsid sleep 613034 >/dev/null 2>&1 &); echo up", verdict{State: "stopped", StopReason: "sigterm", Code: 0}, "sleep 613034"},
		"closed its files": {"echo up; exec sleep 613035 >&- 2>&-", verdict{State: "stopped", StopReason: "sigterm", Code: -15}, "sleep 613035"},
	} {
		t.Run(name, func(t *testing.T) {
			client := serve(t, testConfig(t))
			begin(t, client, wire.StartServiceRequest{ServiceName: "x", Command: wire.LaxString(c.command)})
			if !eventually(func() bool { l, _ := client.LogsService(t.Context(), "x", nil); return l.Stdout == "up\n" }) || !livesOn(c.gone) {
				t.Fatal("it did not come up")
			}
			wantVerdict(t, stopService(t, client, "x"), c.want)
			if alive(c.gone) {
				t.Error("something of it lives")
			}
		})
	}
}

func TestServiceRestarts(t *testing.T) {
	client := serve(t, testConfig(t))
	begin(t, client, wire.StartServiceRequest{ServiceName: "x", Command: "echo go; exit 5", Restart: "on-failure:2"})
	r := awaitEnd(t, client, "x")
	wantVerdict(t, r, verdict{State: "exited", Code: 5})
	logs, err := client.LogsService(t.Context(), "x", nil)
	if err != nil || logs.Stdout != "go\ngo\ngo\n" || r.RestartCount != 2 {
		t.Errorf("%d restarts, log %q, %v", r.RestartCount, logs.Stdout, err)
	}
	begin(t, client, wire.StartServiceRequest{ServiceName: "y", Command: "exit 0", Restart: "on-failure"})
	if r := awaitEnd(t, client, "y"); r.RestartCount != 0 {
		t.Errorf("one that ended well was restarted: %+v", r)
	}
	begin(t, client, wire.StartServiceRequest{ServiceName: "z", Command: "exit 1", Restart: "on-failure"})
	stopped := stopService(t, client, "z")
	wantVerdict(t, stopped, verdict{State: "stopped", StopReason: "sigterm", Code: *stopped.ExitCode}) // while it runs, or between two runs
}

func TestServiceLogTail(t *testing.T) {
	client := serve(t, testConfig(t))
	begin(t, client, wire.StartServiceRequest{ServiceName: "x", Command: `for n in 1 2 3; do echo $n; done; printf 'end\377' >&2`})
	awaitEnd(t, client, "x")
	for lines, want := range map[wire.LaxInt]string{1: "3\n", 2: "2\n3\n", 3: "1\n2\n3\n", 9: "1\n2\n3\n"} {
		got, err := client.LogsService(t.Context(), "x", &lines)
		if err != nil || got.Stdout != want || got.Stderr != "end\uFFFD" || got.Truncated != (lines < 3) {
			t.Errorf("%d lines: %q, %q, %v, %v", lines, got.Stdout, got.Stderr, got.Truncated, err)
		}
	}
	zero := wire.LaxInt(0)
	if _, err := client.LogsService(t.Context(), "x", &zero); api.KindOf(err) != api.Invalid {
		t.Errorf("no lines: %v", err)
	}
}

func TestServiceLogIsBounded(t *testing.T) {
	dir := t.TempDir()
	l, err := newServiceLog(filepath.Join(dir, "x"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	line := []byte(strings.Repeat("x", 999) + "\n")
	for range 3*wire.MaxServiceLog/len(line) + 1 {
		if n, err := l.Write(line); n != len(line) || err != nil {
			t.Fatal(n, err)
		}
	}
	var size int64
	for _, name := range []string{"x", "x.1"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		size += info.Size()
	}
	text, cut := l.tail(2)
	if size > wire.MaxServiceLog || !cut || text != string(line)+string(line) {
		t.Errorf("%d bytes on disk, tail %d bytes, cut %v", size, len(text), cut)
	}
	if all, _ := l.tail(-1); len(all) < logHalf || !strings.HasSuffix(string(line)+string(line), all[len(all)-1500:]) {
		t.Errorf("%d bytes are kept", len(all))
	}
}

func TestServicesEndWithTheAgent(t *testing.T) {
	t.Run("run", func(t *testing.T) {
		client := serve(t, testConfig(t))
		begin(t, client, wire.StartServiceRequest{ServiceName: "x", Command: "trap '' TERM; sleep 613040; sleep 613041"})
	})
	if alive("sleep 61304") {
		t.Error("a service outlived its agent")
	}
}

func TestServicesAreBounded(t *testing.T) {
	client := serve(t, testConfig(t))
	for i := range api.MaxServices {
		begin(t, client, wire.StartServiceRequest{ServiceName: wire.LaxString(fmt.Sprint("s", i)), Argv: []string{"sleep", "613050"}})
	}
	_, err := client.StartService(t.Context(), wire.StartServiceRequest{ServiceName: "more", Command: "true", Cwd: wireRoot, ReadyTimeoutSeconds: 1, ReadyIntervalMS: 1})
	if api.KindOf(err) != api.Conflict {
		t.Errorf("one more: %v", err)
	}
	stopService(t, client, "s7")
	begin(t, client, wire.StartServiceRequest{ServiceName: "more", Argv: []string{"sleep", "613050"}})
	if _, err := client.StatusService(t.Context(), "s7"); api.KindOf(err) != api.NotFound {
		t.Errorf("the one that ended: %v", err)
	}
}

// say sends a request and returns what comes back.
func say(t *testing.T, c *wire.Client, request any) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn := dial(t, c)
	body, err := json.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(append(body, '\n')); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	return conn, bufio.NewReader(conn)
}

func TestWatchServices(t *testing.T) {
	onEach(t, func(t *testing.T, _ Config, c *wire.Client) {
		begin(t, c, wire.StartServiceRequest{ServiceName: "x", Argv: []string{"sleep", "613060"}})
		conn, r := say(t, c, wire.WatchServicesRequest{Action: wire.ActionWatchServices})
		var buf []byte
		next := func() (string, verdict) {
			f, err := wire.ReadFrame(r, &buf)
			if err != nil || f.Type != wire.FrameService {
				t.Fatalf("frame %q, %v", f.Type, err)
			}
			var reply wire.ServiceReply
			if len(f.Payload) > 0 {
				if err := json.Unmarshal(f.Payload, &reply); err != nil {
					t.Fatal(err)
				}
			}
			return reply.ServiceName, judge(reply)
		}
		if name, v := next(); name != "x" || v.State != "running" {
			t.Errorf("first %q %+v", name, v)
		}
		if name, _ := next(); name != "" {
			t.Errorf("the end of the list is %q", name)
		}
		stopService(t, c, "x")
		for {
			if _, v := next(); v.State != "running" {
				if v.StopReason != "sigterm" {
					t.Errorf("ended %+v", v)
				}
				break
			}
		}
		_ = conn.Close()
	})
}

func TestFollowService(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config, c *wire.Client) {
		begin(t, c, wire.StartServiceRequest{ServiceName: "x", Command: "echo 1; echo 2; while [ ! -e go ]; do sleep 0.05; done; echo 3; echo e >&2; exit 6"})
		if !eventually(func() bool { l, _ := c.LogsService(t.Context(), "x", nil); return l.Stdout == "1\n2\n" }) {
			t.Fatal("it did not begin")
		}
		one := wire.LaxInt(1)
		_, r := say(t, c, wire.FollowServiceRequest{Action: wire.ActionFollowService, ServiceName: "x", TailLines: &one})
		var out, errs strings.Builder
		var buf []byte
		for {
			f, err := wire.ReadFrame(r, &buf)
			if err != nil {
				t.Fatal(err)
			}
			switch f.Type {
			case wire.FrameStdout:
				out.Write(f.Payload)
				if out.String() == "2\n" {
					if err := os.WriteFile(filepath.Join(cfg.Workspace, "go"), nil, 0o644); err != nil {
						t.Fatal(err)
					}
				}
			case wire.FrameStderr:
				errs.Write(f.Payload)
			case wire.FrameExit:
				exit, err := f.Exit()
				if err != nil || exit.Code != 6 || out.String() != "2\n3\n" || errs.String() != "e\n" {
					t.Errorf("exit %+v, %v, stdout %q, stderr %q", exit, err, out.String(), errs.String())
				}
				if _, err := r.ReadByte(); err != io.EOF {
					t.Errorf("after the end: %v", err)
				}
				return
			}
		}
	})
}

func FuzzReadHead(f *testing.F) {
	f.Add("HTTP/1.1 200 OK\r\n\r\n")
	f.Add("HTTP/1.0 302 Found\r\nLocation:  /x \r\nA: b\r\n\r\nbody")
	f.Add("HTTP/1.1 \r\n")
	f.Fuzz(func(t *testing.T, head string) {
		status, location, err := readHead(bufio.NewReader(strings.NewReader(head)))
		if err == nil && (!strings.HasPrefix(head, "HTTP/1.") || strings.ContainsAny(location, "\r\n")) {
			t.Errorf("status %d, location %q", status, location)
		}
	})
}
