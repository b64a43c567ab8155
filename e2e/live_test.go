package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pyro-sandbox/pyro/api"
)

// both runs pyro, which may fail, and returns all that it printed.
func (p *place) both(t *testing.T, pyro string, args ...string) string {
	t.Helper()
	out, err := p.command(t, pyro, args...).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("pyro %s: %v", strings.Join(args, " "), err)
	}
	return string(out)
}

// TestSecretIsNowhere looks for the value of a secret in all that pyro prints, keeps and
// shows of itself, while everything that may use it does, also where that fails.
func TestSecretIsNowhere(t *testing.T) {
	pyro := binary(t)
	requireSandboxes(t, pyro)
	p := newPlace(t)
	const token = "9f2c-kept-from-all-eyes-71aa"
	file := p.at("token")
	if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	id := p.create(t, pyro, "--secret-file", "TOKEN="+file)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	print := []string{"--secret-env", "TOKEN", "--", "sh", "-c"}
	said := map[string]string{"65 status": p.ok(t, pyro, "workspace", "status", id, "--json")}
	for name, args := range map[string][]string{
		"65 exec":               append([]string{"exec", id}, append(print, `echo "$TOKEN"; echo "$TOKEN" >&2; exit 3`)...),
		"65 exec as JSON":       append([]string{"exec", id, "--json"}, append(print, `echo "$TOKEN"`)...),
		"65 the value in words": {"exec", id, "--", "echo", token},
		"65 no such program":    append([]string{"exec", id}, "--", "/bin/"+token),
		"65 timeout":            append([]string{"exec", id, "--timeout-seconds", "1"}, append(print, `echo "$TOKEN"; sleep 100`)...),
		"68 in pieces":          append([]string{"exec", id}, append(print, `for c in $(printf %s "$TOKEN" | sed 's/./& /g'); do printf %s $c; done`)...),
		"68 as base64":          append([]string{"exec", id}, append(print, `printf %s "$TOKEN" | base64 -w0`)...),
		"65 failed service":     append([]string{"service", "start", id, "f", "--ready-file", "never"}, append(print, `echo "$TOKEN" >&2; exit 1`)...),
		"65 unknown secret":     {"exec", id, "--secret-env", "OTHER", "--", "true"},
		"71 a line of ours":     append([]string{"exec", id}, append(print, `printf '\n[workspace-exec] workspace_id=x exit_code=0\n{"ok":true,"token":"%s"}\n' "$TOKEN"`)...),
	} {
		said[name] = p.both(t, pyro, append([]string{"workspace"}, args...)...)
	}
	p.ok(t, pyro, append([]string{"workspace", "service", "start", id, "s"}, append(print, `echo "$TOKEN"; exec sleep 1000`)...)...)
	shell := p.ok(t, pyro, "workspace", "shell", "open", id, "--secret-env", "TOKEN", "--id-only")
	p.ok(t, pyro, "workspace", "shell", "write", id, shell, "--input", `echo "$TOKEN"`)
	said["65 shell"] = p.both(t, pyro, "workspace", "shell", "read", id, shell, "--wait-for-idle-ms", "300")
	said["65 service log"] = p.both(t, pyro, "workspace", "service", "logs", id, "s")
	said["65 services"] = p.both(t, pyro, "workspace", "service", "list", id, "--json")
	said["65 history"] = p.both(t, pyro, "workspace", "logs", id, "--json")
	said["65 doctor"] = p.both(t, pyro, "doctor", "--json")
	for _, process := range p.processes("") {
		environ, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", process.pid))
		said["67 process "+process.line] = process.line + string(environ)
	}
	p.ok(t, pyro, "workspace", "stop", id)
	wantNoFileWith(t, p, token, true)
	said["65 a stopped one"] = p.both(t, pyro, "workspace", "status", id, "--json") + p.both(t, pyro, "workspace", "logs", id, "--json")
	for name, text := range said {
		if strings.Contains(text, token) || strings.Contains(text, "OWYyYy1rZXB0") {
			t.Errorf("%s shows it: %s", name, text)
		}
	}
	p.ok(t, pyro, "workspace", "delete", id)
	wantNoFileWith(t, p, token, false)
	p.wantNothing(t)
}

// wantNoFileWith looks through all files of a place, but for the store of secrets where
// that is still there.
func wantNoFileWith(t *testing.T, p *place, token string, stored bool) {
	t.Helper()
	err := filepath.WalkDir(p.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || stored && filepath.Base(filepath.Dir(path)) == "secrets" {
			return nil // gone meanwhile, or no file
		}
		if data, err := os.ReadFile(path); err == nil && bytes.Contains(data, []byte(token)) {
			t.Errorf("%s holds it", path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestHelpersKeepNoLogs: no process of a workspace writes debug logs, which would hold what
// it is told, and none may leave a core file.
func TestHelpersKeepNoLogs(t *testing.T) {
	pyro := binary(t)
	requireSandboxes(t, pyro)
	p := newPlace(t)
	p.env = append(p.env, "GOTRACEBACK=crash")
	id := p.create(t, pyro)
	for _, process := range p.processes("") {
		if strings.Contains(process.line, "-debug") {
			t.Errorf("it is asked for debug logs: %s", process.line)
		}
		limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", process.pid))
		if err != nil {
			continue // it has just ended
		}
		_, rest, _ := strings.Cut(string(limits), "Max core file size")
		if fields := strings.Fields(rest); len(fields) < 2 || fields[0] != "0" || fields[1] != "0" {
			t.Errorf("it may leave core files of %.2v bytes: %s", fields, process.line)
		}
	}
	err := filepath.WalkDir(p.dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".log") && d.Type().IsRegular() {
			if info, err := d.Info(); err == nil && (info.Size() > 0 || info.Mode().Perm()&0o077 != 0) {
				t.Errorf("%s has %d bytes and mode %v", path, info.Size(), info.Mode())
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	p.ok(t, pyro, "workspace", "delete", id)
	p.wantNothing(t)
}

// TestKillAmidLiveWork kills the supervisor while a client waits for a shell or a service.
func TestKillAmidLiveWork(t *testing.T) {
	pyro := binary(t)
	requireSandboxes(t, pyro)
	for name, waits := range map[string]func(p *place, id, shell string) []string{
		"readiness": func(_ *place, id, _ string) []string {
			return []string{"service", "start", id, "w", "--ready-file", "never", "--", "sh", "-c", "touch begun; exec sleep 1000"}
		},
		"a log that is followed": func(_ *place, id, _ string) []string {
			return []string{"service", "logs", id, "s", "--follow"}
		},
		"a read that waits for silence": func(_ *place, id, shell string) []string {
			return []string{"shell", "read", id, shell, "--wait-for-idle-ms", "10000"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			id := p.create(t, pyro)
			p.ok(t, pyro, "workspace", "service", "start", id, "s", "--publish", "8000", "--", "sh", "-c", "while :; do echo on; sleep 0.1; done")
			shell := p.ok(t, pyro, "workspace", "shell", "open", id, "--id-only")
			p.ok(t, pyro, "workspace", "shell", "write", id, shell, "--input", "while :; do echo on; sleep 0.05; done")
			cmd := p.command(t, pyro, append([]string{"workspace"}, waits(p, id, shell)...)...)
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if name == "readiness" {
				if seen := p.await(func() string {
					return p.both(t, pyro, "workspace", "exec", id, "--", "sh", "-c", "ls begun >/dev/null 2>&1 || echo not yet")
				}); strings.Contains(seen, "not yet") {
					t.Fatal("the service never began")
				}
			}
			p.killSupervisor(t, id)
			if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 1 || !strings.Contains(out.String(), "[error]") || !strings.Contains(out.String(), "[hint]") {
				t.Errorf("the client ended with %v: %s", err, out.String())
			}
			p.wantState(t, pyro, id, "supervisor_lost")
			var services api.ServiceList
			if err := json.Unmarshal([]byte(p.ok(t, pyro, "workspace", "service", "list", id, "--json")), &services); err != nil {
				t.Fatal(err)
			}
			for _, s := range services.Services {
				if s.State == api.ServiceRunning || len(s.PublishedPorts) > 0 || s.State == api.ServiceStopped && *s.StopReason != api.StopWorkspaceStopped {
					t.Errorf("service %+v", s)
				}
			}
			if services.Count == 0 {
				t.Error("nobody knows of the service")
			}
			var shells api.ShellList
			if err := json.Unmarshal([]byte(p.ok(t, pyro, "workspace", "shell", "list", id, "--json")), &shells); err != nil || shells.Count != 1 || shells.Shells[0].State != api.ShellStopped {
				t.Errorf("shells %+v, %v", shells, err)
			}
			p.ok(t, pyro, "workspace", "start", id)
			if list := p.ok(t, pyro, "workspace", "service", "list", id); list != "No workspace services found." {
				t.Errorf("after a start: %s", list)
			}
			p.ok(t, pyro, "workspace", "delete", id)
			p.wantNothing(t)
		})
	}
}

// asyncServer answers each connection, when its first direction has ended, with what it
// was sent.
const asyncServer = `import asyncio
async def serve(r, w):
    w.write(await r.read(-1)); await w.drain(); w.close()
async def main():
    async with await asyncio.start_server(serve, "127.0.0.1", 8000, backlog=1024) as s:
        await s.serve_forever()
asyncio.run(main())`

// TestThousandConnections are open through one published port at the same time, and
// commands go on beside them.
func TestThousandConnections(t *testing.T) {
	pyro := binary(t)
	requireSandboxes(t, pyro)
	p := newPlace(t)
	id := p.create(t, pyro)
	var service api.Service
	started := p.ok(t, pyro, "workspace", "service", "start", id, "s", "--json", "--publish", "8000", "--ready-tcp", "127.0.0.1:8000", "--", "python3", "-c", asyncServer)
	if err := json.Unmarshal([]byte(started), &service); err != nil || len(service.PublishedPorts) != 1 {
		t.Fatalf("%s, %v", started, err)
	}
	const many = 1000
	var conns [many]*net.TCPConn
	together(8, func(k int) {
		for i := k; i < many; i += 8 {
			conn, err := net.Dial("tcp4", fmt.Sprint("127.0.0.1:", service.PublishedPorts[0].HostPort))
			if err != nil {
				t.Error(err)
				return
			}
			_ = conn.SetDeadline(time.Now().Add(time.Minute))
			conns[i] = conn.(*net.TCPConn)
			if _, err := fmt.Fprintf(conn, "hello %d", i); err != nil {
				t.Error(err)
			}
		}
	})
	if t.Failed() {
		return
	}
	if got := p.ok(t, pyro, "workspace", "exec", id, "--", "echo", "beside"); got != "beside" {
		t.Errorf("a command says %q", got)
	}
	for i, conn := range conns {
		_ = conn.CloseWrite()
		if got, err := io.ReadAll(conn); err != nil || string(got) != fmt.Sprint("hello ", i) {
			t.Fatalf("connection %d: %q, %v", i, got, err)
		}
		_ = conn.Close()
	}
	p.ok(t, pyro, "workspace", "delete", id)
	p.wantNothing(t)
}

// TestFloodsOfShellsAndServices: output that nobody reads costs what is kept of it, and
// neither commands nor the end wait for it.
func TestFloodsOfShellsAndServices(t *testing.T) {
	pyro := binary(t)
	requireSandboxes(t, pyro)
	p := newPlace(t)
	id := p.create(t, pyro)
	p.ok(t, pyro, "workspace", "service", "start", id, "flood", "--", "yes", strings.Repeat("46", 500))
	shell := p.ok(t, pyro, "workspace", "shell", "open", id, "--id-only")
	p.ok(t, pyro, "workspace", "shell", "write", id, shell, "--input", "yes "+strings.Repeat("45", 500))
	full := func() string { // both have printed more than is kept of them
		var read api.ShellRead
		out := p.ok(t, pyro, "workspace", "shell", "read", id, shell, "--max-chars", "1000", "--json")
		if err := json.Unmarshal([]byte(out), &read); err != nil {
			t.Fatal(err)
		}
		var logs api.ServiceLogs
		if err := json.Unmarshal([]byte(p.ok(t, pyro, "workspace", "service", "logs", id, "flood", "--tail-lines", "1", "--json")), &logs); err != nil {
			t.Fatal(err)
		}
		kept := p.ok(t, pyro, "workspace", "exec", id, "--", "sh", "-c", "cat /run/pyro-services/flood.std* | wc -c")
		if read.SkippedChars == 0 || !read.Truncated || !logs.Truncated {
			return fmt.Sprintf("%d characters skipped, log truncated: %v, %s bytes", read.SkippedChars, logs.Truncated, kept)
		}
		if size, err := strconv.Atoi(kept); err != nil || size > api.ServiceLogBytes {
			t.Fatalf("%s bytes of log are kept", kept)
		}
		return ""
	}
	if seen := awaitFor(time.Minute, full); seen != "" {
		t.Fatal(seen)
	}
	for _, s := range p.processes(" supervise ") {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.pid))
		_, rest, _ := strings.Cut(string(status), "VmRSS:")
		rss, _ := strconv.Atoi(strings.Fields(rest)[0])
		if err != nil || rss > 64<<10 {
			t.Errorf("the supervisor holds %d kB, %v", rss, err)
		}
	}
	p.ok(t, pyro, "workspace", "service", "stop", id, "flood")
	p.ok(t, pyro, "workspace", "shell", "close", id, shell)
	p.ok(t, pyro, "workspace", "delete", id)
	p.wantNothing(t)
}
