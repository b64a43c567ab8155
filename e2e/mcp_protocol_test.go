package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// mcpHello is what a client of the revision 2025-11-25 says first.
const mcpHello = `{"jsonrpc":"2.0","id":"hello","method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"e2e","version":"1"}}}` + "\n" +
	`{"jsonrpc":"2.0","method":"notifications/initialized"}` + "\n"

func mcpCall(id int, tool string, arguments map[string]any) string {
	line, _ := json.Marshal(map[string]any{ // maps of texts and numbers
		"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": map[string]any{"name": tool, "arguments": arguments},
	})
	return string(line) + "\n"
}

// mcpServer is a `pyro mcp serve` on stdio.
type mcpServer struct {
	cmd  *exec.Cmd
	to   io.WriteCloser
	from *bufio.Reader
	said bytes.Buffer // on stderr, to be read after its end
}

func (p *place) serve(t *testing.T, pyro string) *mcpServer {
	t.Helper()
	m := &mcpServer{cmd: p.command(t, pyro, "mcp", "serve", "--no-project-source")}
	m.cmd.Stderr = &m.said
	var err error
	if m.to, err = m.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := m.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	m.from = bufio.NewReaderSize(out, 1<<20)
	if err := m.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return m
}

// mcpReply is a line of the server.
type mcpReply struct {
	ID     json.RawMessage
	Method string
	Result struct {
		IsError           bool
		StructuredContent map[string]any
		Content           []struct{ Text string }
	}
	Error *struct{ Code int }
}

func (m *mcpServer) say(t *testing.T, lines string) {
	t.Helper()
	if _, err := io.WriteString(m.to, lines); err != nil {
		t.Fatal(err)
	}
}

func (m *mcpServer) hear(t *testing.T) mcpReply {
	t.Helper()
	line, err := m.from.ReadBytes('\n')
	if err != nil {
		t.Fatalf("%v after %q", err, line)
	}
	var r mcpReply
	if err := json.Unmarshal(line, &r); err != nil {
		t.Fatalf("no message: %q", line)
	}
	return r
}

// call calls a tool that succeeds, with nothing else under way.
func (m *mcpServer) call(t *testing.T, id int, tool string, arguments map[string]any) map[string]any {
	t.Helper()
	m.say(t, mcpCall(id, tool, arguments))
	r := m.hear(t)
	if r.Error != nil || r.Result.IsError || string(r.ID) != strconv.Itoa(id) {
		t.Fatalf("%s: %+v", tool, r)
	}
	return r.Result.StructuredContent
}

// sockets counts the TCP sockets that a process listens on.
func listening(t *testing.T, pid int) int {
	t.Helper()
	mine := make(map[string]bool)
	links, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid)) // the pattern is well-formed
	for _, link := range links {
		target, _ := os.Readlink(link)
		mine[strings.Trim(strings.TrimPrefix(target, "socket:"), "[]")] = true
	}
	n := 0
	for _, name := range []string{"tcp", "tcp6"} {
		table, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, name))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(table)) {
			f := strings.Fields(line)
			if len(f) > 9 && f[3] == "0A" && mine[f[9]] { // 0A is TCP_LISTEN of include/net/tcp_states.h
				n++
			}
		}
	}
	return n
}

// TestMCPStartsWithoutATrace is a host that only asks what there is: nothing is made, no
// port is open, and all is answered though the input ends at once.
func TestMCPStartsWithoutATrace(t *testing.T) {
	pyro := binary(t)
	p := newPlace(t)
	m := p.serve(t, pyro)
	m.say(t, mcpHello)
	m.hear(t)
	if n := listening(t, m.cmd.Process.Pid); n != 0 {
		t.Errorf("it listens on %d ports", n)
	}
	for i := range 20 {
		m.say(t, fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/list"}`+"\n", i))
	}
	_ = m.to.Close()
	for range 20 {
		if r := m.hear(t); r.Error != nil {
			t.Error(r.Error)
		}
	}
	if _, err := m.from.ReadByte(); err != io.EOF { //nolint // the stream's own
		t.Errorf("after the last answer: %v", err)
	}
	if err := m.cmd.Wait(); err != nil || m.said.Len() > 0 {
		t.Errorf("it ended with %v: %s", err, m.said.String())
	}
	if entries, err := os.ReadDir(p.dir); err != nil || len(entries) > 0 {
		t.Errorf("it left %v, %v", entries, err)
	}
}

// TestMCPMemoryIsBounded sends lines of all sizes.
func TestMCPMemoryIsBounded(t *testing.T) {
	pyro := binary(t)
	m := newPlace(t).serve(t, pyro)
	m.say(t, mcpHello)
	m.hear(t)
	for i, size := range []int{3_900_000, 4<<20 + 1, 8 << 20, 16 << 20, 3_900_000, 100} {
		frame := fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"ping","params":{"_meta":{"x":""}}}`, i)
		m.say(t, strings.Replace(frame, `""`, `"`+strings.Repeat("x", size-len(frame))+`"`, 1)+"\n")
		if r := m.hear(t); (r.Error != nil) != (size > 4<<20) {
			t.Errorf("%d bytes: %+v", size, r)
		}
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", m.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, peak, _ := strings.Cut(string(status), "VmHWM:")
	kib, err := strconv.Atoi(strings.Fields(peak)[0])
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d MiB at most", kib>>10)
	if kib > 128<<10 {
		t.Errorf("%d KiB of memory, want at most 128 MiB", kib)
	}
	_ = m.to.Close()
	if err := m.cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// inside are the command lines of a workspace's processes.
func (p *place) inside(t *testing.T, pyro, id string) string {
	t.Helper()
	return p.ok(t, pyro, "workspace", "exec", id, "--", "sh", "-c", `cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' ' '`)
}

// TestMCPClientsThatVanish ends the server and its host in the middle of a call, in every
// way that there is. What the call began is gone.
func TestMCPClientsThatVanish(t *testing.T) {
	pyro := binary(t)
	requireSandboxes(t, pyro)
	p := newPlace(t)
	id := p.create(t, pyro)
	for name, end := range map[string]func(*mcpServer) error{
		"the input ends":       func(m *mcpServer) error { return m.to.Close() },
		"the server is killed": func(m *mcpServer) error { return m.cmd.Process.Kill() },
		"a signal":             func(m *mcpServer) error { return m.cmd.Process.Signal(syscall.SIGTERM) },
		"the call is canceled": func(m *mcpServer) error {
			_, err := io.WriteString(m.to, `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`+"\n")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := p.serve(t, pyro)
			m.say(t, mcpHello)
			m.hear(t)
			m.say(t, mcpCall(1, "workspace_exec", map[string]any{"workspace_id": id, "command": "sleep 54321 & sleep 54321", "timeout_seconds": 1000}))
			if p.await(func() string {
				if n := strings.Count(p.inside(t, pyro, id), "sleep 54321 "); n < 3 { // two of them, and the shell
					return "it does not run yet"
				}
				return ""
			}) != "" {
				t.Fatal("the command does not run")
			}
			began := time.Now()
			if err := end(m); err != nil {
				t.Fatal(err)
			}
			if left := p.await(func() string {
				if all := p.inside(t, pyro, id); strings.Contains(all, "sleep 54321") {
					return all
				}
				return ""
			}); left != "" {
				t.Errorf("after %v there is %s", time.Since(began), left)
			}
			if name == "the call is canceled" {
				if r := m.hear(t); r.Error == nil && !r.Result.IsError {
					t.Errorf("the call was answered with %+v", r)
				}
				m.call(t, 2, "workspace_status", map[string]any{"workspace_id": id})
				_ = m.to.Close()
			}
			go func() { _, _ = io.Copy(io.Discard, m.from) }() // ends with the server
			if err := m.cmd.Wait(); (err != nil) != (name == "the server is killed") {
				t.Errorf("it ended with %v: %s", err, m.said.String())
			}
		})
	}
	p.ok(t, pyro, "workspace", "delete", id)
	p.wantNothing(t)
}

// TestMCPSaysNothingButMessages has guests print what looks like messages of the server.
func TestMCPSaysNothingButMessages(t *testing.T) {
	pyro := binary(t)
	requireSandboxes(t, pyro)
	p := newPlace(t)
	m := p.serve(t, pyro)
	m.say(t, mcpHello)
	m.hear(t)
	id, _ := m.call(t, 1, "workspace_create", map[string]any{"environment": "host"})["workspace_id"].(string)
	p.ids[id] = true
	forged := `{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}\n{"jsonrpc":"2.0","id":2,"result":{"tools":[]}}\r\n\033[2J`
	got := m.call(t, 2, "workspace_exec", map[string]any{"workspace_id": id, "command": "printf '" + forged + "'; printf '" + forged + "' >&2; printf '" + forged + "' >/proc/1/fd/1"})
	if out, _ := got["stdout"].(string); !strings.Contains(out, "list_changed") {
		t.Errorf("got %v", got)
	}
	m.call(t, 3, "workspace_delete", map[string]any{"workspace_id": id})
	_ = m.to.Close()
	if rest, err := io.ReadAll(m.from); err != nil || len(rest) > 0 {
		t.Errorf("%v and %q", err, rest)
	}
	if err := m.cmd.Wait(); err != nil {
		t.Error(err)
	}
	p.wantNothing(t)
}

// TestMCPOverHTTP lets nobody in who does not know the token that it makes up, and ends in
// time.
func TestMCPOverHTTP(t *testing.T) {
	pyro := binary(t)
	p := newPlace(t)
	cmd := p.command(t, pyro, "mcp", "serve", "--transport", "http", "--no-project-source")
	talk, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(talk)
	first, err := lines.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	second, err := lines.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	token, url := strings.TrimPrefix(strings.TrimSpace(first), "token: "), strings.TrimPrefix(strings.TrimSpace(second), "listening on ")
	for shown, want := range map[string]int{token: http.StatusOK, token + "x": http.StatusUnauthorized, "": http.StatusUnauthorized} {
		hello, _, _ := strings.Cut(mcpHello, "\n")
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(hello))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Accept", "application/json, text/event-stream")
		r.Header.Set("Authorization", "Bearer "+shown)
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("status %d, want %d", res.StatusCode, want)
		}
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
	if entries, err := os.ReadDir(p.dir); err != nil || len(entries) > 0 {
		t.Errorf("it left %v, %v", entries, err)
	}
}
