package pyro

import (
	"bufio"
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/api"
)

func TestVsockExecClientNeedsAnAddress(t *testing.T) {
	_, err := NewVsockExecClient("", 0).Exec(t.Context(), "true", time.Second, nil)
	if !errors.Is(err, api.Unsupported) {
		t.Errorf("error %v, want it unsupported", err)
	}
}

func TestVsockExecClientOverABridge(t *testing.T) {
	dir, err := os.MkdirTemp("", "pyro") // t.TempDir is too long for sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "agent.sock")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	heard := make(chan []string, 1)
	go func() { heard <- bridge(listener, `{"stdout":"hi\n","stderr":"","exit_code":0,"duration_ms":4}`) }() // ends with the one connection
	got, err := NewVsockExecClient(path, 3).Exec(t.Context(), "echo hi", 1500*time.Millisecond, map[string]string{"K": "V"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(AgentExec{Stdout: "hi\n", DurationMS: 4}, got); diff != "" {
		t.Errorf("reply (-want +got):\n%s", diff)
	}
	want := []string{"CONNECT 5005\n", `{"action":"exec","command":"echo hi","timeout_seconds":2,"env":{"K":"V"}}` + "\n"}
	if diff := cmp.Diff(want, <-heard); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

// bridge serves one connection and returns the lines that it was sent.
func bridge(listener net.Listener, reply string) (lines []string) {
	defer func() { _ = listener.Close() }()
	conn, err := listener.Accept()
	if err != nil {
		return nil
	}
	defer func() { _ = conn.Close() }()
	in := bufio.NewReader(conn)
	for _, answer := range []string{"OK 1024\n", reply + "\n"} {
		line, err := in.ReadString('\n')
		if err != nil {
			return lines
		}
		lines = append(lines, line)
		if _, err := conn.Write([]byte(answer)); err != nil {
			return lines
		}
	}
	return lines
}
