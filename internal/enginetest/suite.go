// Package enginetest has the behaviours that every engine shares, as one test
// suite, and a fake engine that passes it: the real agent on a temporary directory,
// without any sandbox. Because the fake behaves like the real ones, the domain is
// tested on it in milliseconds.
//
// Only tests import this package.
package enginetest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/engine"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// patience is how long the suite waits for what should come at once. It ends tests
// that would hang, and is asserted nowhere.
const patience = 30 * time.Second

// Subject is an engine under test.
type Subject struct {
	Engine engine.Engine

	// Spec returns the specification and ledger of a sandbox that did not exist
	// before. What the engine acquires is freed at the end of the test.
	Spec func(t *testing.T) (engine.Spec, engine.Ledger)

	// Isolated says that the sandbox has processes and files of its own. The fake
	// has not; what only holds behind a wall is left out for it.
	Isolated bool
}

// Run runs the suite.
func Run(t *testing.T, s Subject) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, Subject)
	}{
		{"Output", testOutput},
		{"ExitStatus", testExitStatus},
		{"Stdin", testStdin},
		{"Bytes", testBytes},
		{"Signal", testSignal},
		{"Timeout", testTimeout},
		{"CancelKills", testCancel},
		{"Concurrent", testConcurrent},
		{"Shell", testShell},
		{"IdleConnections", testIdleConnections},
		{"BaseProtocol", testBaseProtocol},
		{"Stop", testStop},
		{"StopTwice", testStopTwice},
		{"DialAfterStop", testDialAfterStop},
		{"StartCanceled", testStartCanceled},
		{"UnknownEnvironment", testUnknownEnvironment},
		{"TwoAtOnce", testTwoAtOnce},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, s) })
	}
	if _, ok := s.Engine.(engine.DiskKeeper); ok {
		t.Run("Disk", func(t *testing.T) { runDisk(t, s) })
	}
	if _, ok := s.Engine.(engine.MemoryKeeper); ok {
		t.Run("Memory", func(t *testing.T) { runMemory(t, s) })
	}
	if s.Isolated {
		t.Run("Isolated", func(t *testing.T) { runIsolated(t, s) })
	}
}

// Start starts a sandbox that is stopped at the end of the test.
func Start(t *testing.T, s Subject) engine.Sandbox {
	t.Helper()
	spec, ledger := s.Spec(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	box, err := s.Engine.Start(ctx, spec, ledger)
	if err != nil {
		t.Fatalf("start: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := box.Stop(ctx); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return box
}

// Result is what came of a command.
type Result struct {
	Stdout, Stderr string
	wire.Exit
}

// Exec runs a command in a sandbox, with the given input.
func Exec(t *testing.T, box engine.Sandbox, stdin string, req wire.StreamRequest) Result {
	t.Helper()
	r, err := exec(t.Context(), box, stdin, req)
	if err != nil {
		t.Fatalf("%v %s: %v", req.Argv, req.Command, err)
	}
	return r
}

// Shell runs a shell line and wants it to succeed. It returns its output.
func Shell(t *testing.T, box engine.Sandbox, line string) string {
	t.Helper()
	r := Exec(t, box, "", sh(line))
	if r.Code != 0 {
		t.Fatalf("%s: exit %d: %s", line, r.Code, r.Stderr)
	}
	return r.Stdout
}

// TryShell runs a shell line where an error is none of the test's, such as in another
// goroutine.
func TryShell(ctx context.Context, box engine.Sandbox, line string) (Result, error) {
	return exec(ctx, box, "", sh(line))
}

func exec(ctx context.Context, box engine.Sandbox, stdin string, req wire.StreamRequest) (Result, error) {
	conn, err := open(ctx, box, req)
	if err != nil {
		return Result{}, err
	}
	defer func() { _ = conn.Close() }()
	if req.Stdin {
		go feed(conn, stdin) // ends when all is written or conn is closed
	}
	return collect(conn)
}

// open starts a streamed command and returns its connection.
func open(ctx context.Context, box engine.Sandbox, req wire.StreamRequest) (net.Conn, error) {
	conn, err := box.Dial(ctx)
	if err != nil {
		return nil, err
	}
	req.Action = wire.ActionStream
	line, err := json.Marshal(req)
	if err == nil {
		err = conn.SetDeadline(time.Now().Add(patience))
	}
	if err == nil {
		_, err = conn.Write(append(line, '\n'))
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

// begin starts a command whose first line is "ready", and returns its connection when
// it has said so.
func begin(t *testing.T, box engine.Sandbox, req wire.StreamRequest) net.Conn {
	t.Helper()
	conn, err := open(t.Context(), box, req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	var buf []byte
	if f, err := wire.ReadFrame(conn, &buf); err != nil || string(f.Payload) != "ready\n" {
		t.Fatalf("%q, %v", f.Payload, err)
	}
	return conn
}

func feed(conn net.Conn, stdin string) {
	const chunk = 1000 // small, so that several frames are sent
	for rest := []byte(stdin); len(rest) > 0; {
		n := min(chunk, len(rest))
		if wire.WriteFrame(conn, wire.FrameStdin, rest[:n]) != nil {
			return
		}
		rest = rest[n:]
	}
	_ = wire.WriteFrame(conn, wire.FrameStdin, nil)
}

// collect reads frames up to the terminal one.
func collect(conn net.Conn) (Result, error) {
	var stdout, stderr bytes.Buffer
	var buf []byte
	for {
		frame, err := wire.ReadFrame(conn, &buf)
		if err != nil {
			return Result{}, err
		}
		switch frame.Type {
		case wire.FrameStdout:
			stdout.Write(frame.Payload)
		case wire.FrameStderr:
			stderr.Write(frame.Payload)
		case wire.FrameFail:
			return Result{}, errors.New(string(frame.Payload))
		case wire.FrameExit:
			r := Result{Stdout: stdout.String(), Stderr: stderr.String()}
			return r, json.Unmarshal(frame.Payload, &r.Exit)
		default:
			return Result{}, fmt.Errorf("frame %q", byte(frame.Type))
		}
	}
}

func sh(line string) wire.StreamRequest {
	return wire.StreamRequest{Argv: []string{"/bin/sh", "-c", line}}
}

func testOutput(t *testing.T, s Subject) {
	r := Exec(t, Start(t, s), "", sh("echo out; echo err >&2"))
	if r.Stdout != "out\n" || r.Stderr != "err\n" || r.Code != 0 {
		t.Errorf("got %+v", r)
	}
}

func testExitStatus(t *testing.T, s Subject) {
	box := Start(t, s)
	for line, want := range map[string]int{
		"exit 0": 0, "exit 3": 3, "exit 125": 125, "exit 128": 128, "exit 255": 255,
		"kill -9 $$": -9, "kill -TERM $$": -15,
	} {
		if r := Exec(t, box, "", sh(line)); r.Code != want {
			t.Errorf("%s: exit %d, want %d", line, r.Code, want)
		}
	}
	if r := Exec(t, box, "", wire.StreamRequest{Argv: []string{"no-such-program"}}); r.Code != 127 || r.Stderr == "" {
		t.Errorf("missing program: %+v", r)
	}
}

func testStdin(t *testing.T, s Subject) {
	box := Start(t, s)
	text := strings.Repeat("all of it\n", 50_000)
	if r := Exec(t, box, text, wire.StreamRequest{Argv: []string{"cat"}, Stdin: true}); r.Stdout != text {
		t.Errorf("%d bytes came back of %d", len(r.Stdout), len(text))
	}
	if r := Exec(t, box, "", wire.StreamRequest{Argv: []string{"cat"}}); r.Stdout != "" || r.Code != 0 {
		t.Errorf("without stdin: %+v", r)
	}
}

func testBytes(t *testing.T, s Subject) {
	r := Exec(t, Start(t, s), "", sh(`printf 'a\377\200b\000c\r\n'; head -c 3000000 /dev/zero >&2`))
	if r.Stdout != "a\xff\x80b\x00c\r\n" || len(r.Stderr) != 3_000_000 || strings.Trim(r.Stderr, "\x00") != "" {
		t.Errorf("stdout %q, stderr of %d bytes", r.Stdout, len(r.Stderr))
	}
}

func testSignal(t *testing.T, s Subject) {
	conn := begin(t, Start(t, s), sh(`trap 'echo caught; exit 5' INT; echo ready; while :; do sleep 0.1; done`))
	if err := wire.WriteFrame(conn, wire.FrameSignal, []byte(`{"name":"INT"}`)); err != nil {
		t.Fatal(err)
	}
	if r, err := collect(conn); err != nil || r.Stdout != "caught\n" || r.Code != 5 {
		t.Errorf("%+v, %v", r, err)
	}
}

func testTimeout(t *testing.T, s Subject) {
	req := sh("echo before; sleep 1000 & sleep 1000")
	req.TimeoutMS = 300
	if r := Exec(t, Start(t, s), "", req); r.Code != 124 || r.Reason != api.EndedByTimeout || r.Stdout != "before\n" {
		t.Errorf("got %+v", r)
	}
}

// testCancel closes a connection in the middle and asks another command when the
// first is gone.
func testCancel(t *testing.T, s Subject) {
	box := Start(t, s)
	marker := fmt.Sprintf("9%09d", time.Now().UnixNano()%1e9) // an odd number of seconds to sleep
	conn := begin(t, box, sh("echo ready; sleep "+marker+" & wait"))
	_ = conn.Close()
	line := `while grep -qs "sleep.` + marker + `" /proc/[0-9]*/cmdline; do sleep 0.05; done`
	req := sh(strings.ReplaceAll(line, marker, marker[:4]+`""`+marker[4:])) // must not find itself
	req.TimeoutMS = patience.Milliseconds() / 2
	if r := Exec(t, box, "", req); r.Code != 0 {
		t.Errorf("the command still runs: %+v", r)
	}
}

func testConcurrent(t *testing.T, s Subject) {
	box := Start(t, s)
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			r, err := exec(t.Context(), box, "", sh(fmt.Sprintf("echo %d; exit %d", i, i)))
			if err != nil || r.Code != i || r.Stdout != fmt.Sprintln(i) {
				t.Errorf("command %d: %+v, %v", i, r, err)
			}
		})
	}
	all.Wait()
}

func testIdleConnections(t *testing.T, s Subject) {
	box := Start(t, s)
	for range 64 {
		conn, err := box.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
	}
	if got := Shell(t, box, "echo served"); got != "served\n" {
		t.Errorf("got %q", got)
	}
}

// testBaseProtocol is the one request that every client of the replaced product
// sends: no action, one line, one object, then the end.
func testBaseProtocol(t *testing.T, s Subject) {
	conn, err := Start(t, s).Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, `{"command":"echo $((6*7)); exit 3","timeout_seconds":"20","env":null}`+"\n"); err != nil {
		t.Fatal(err)
	}
	line, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	var reply struct {
		Stdout   string `json:"stdout"`
		ExitCode int    `json:"exit_code"`
	}
	if err := json.Unmarshal(line, &reply); err != nil || reply.Stdout != "42\n" || reply.ExitCode != 3 {
		t.Errorf("reply %s: %v", line, err)
	}
}
