package agent

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/yamux"
	"golang.org/x/sys/unix"

	"github.com/pyro-sandbox/pyro/internal/sys"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// roleEnv makes the test binary play a part of its own in a process of its own.
const roleEnv = "PYRO_AGENT_TEST_ROLE"

func TestMain(m *testing.M) {
	if os.Getenv(roleEnv) == "init" {
		os.Exit(playInit())
	}
	atStart := descriptors()
	code := m.Run()
	if err := leaks(atStart); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// playInit is an agent that reaps orphans as PID 1 does, on descriptor 3.
func playInit() int {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := confine(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	cfg := Config{Init: true, Workspace: os.Getenv("PYRO_AGENT_TEST_WORKSPACE"), RunDir: os.Getenv("PYRO_AGENT_TEST_WORKSPACE") + "/run"}
	if err := serveControl(context.Background(), 3, cfg); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// leaks says what the tests left behind, once it had time to go.
func leaks(atStart map[string]string) error {
	var what string
	if eventually(func() bool { what = leftovers(atStart); return what == "" }) {
		return nil
	}
	return fmt.Errorf("left behind:\n%s", what)
}

func leftovers(atStart map[string]string) string {
	var left []string
	// main itself, and the one that os/signal starts for good.
	if n := runtime.NumGoroutine(); n > 2 {
		var stacks strings.Builder
		_ = pprof.Lookup("goroutine").WriteTo(&stacks, 1)
		left = append(left, fmt.Sprintf("%d goroutines\n%s", n, stacks.String()))
	}
	for _, t := range sys.Tasks() {
		if t.Parent == os.Getpid() {
			left = append(left, fmt.Sprintf("child %d (zombie: %v)", t.PID, t.Ended))
		}
	}
	for fd, target := range descriptors() {
		if _, inherited := atStart[fd]; !inherited {
			left = append(left, "descriptor "+fd+" "+target)
		}
	}
	return strings.Join(left, "\n")
}

// descriptors is what is open, but for the poller that Go keeps for good.
func descriptors() map[string]string {
	open := make(map[string]string)
	entries, _ := os.ReadDir("/proc/self/fd")
	for _, e := range entries {
		target, err := os.Readlink("/proc/self/fd/" + e.Name())
		if err == nil && !strings.HasPrefix(target, "anon_inode:") {
			open[e.Name()] = target
		}
	}
	return open
}

// eventually waits until done, and reports whether that came.
func eventually(done func() bool) bool {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); <-tick.C {
		if done() {
			return true
		}
	}
	return false
}

// testConfig is an agent over temporary directories.
func testConfig(t testing.TB) Config {
	t.Helper()
	dir := t.TempDir()
	cfg := Config{Workspace: filepath.Join(dir, "workspace"), RunDir: filepath.Join(dir, "run")}
	for _, d := range []string{cfg.Workspace, cfg.RunDir} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return cfg
}

// serve runs an agent on a unix socket until the test ends.
func serve(t testing.TB, cfg Config) *wire.Client {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	background(t, func(ctx context.Context) error { return Serve(ctx, l, cfg) })
	return &wire.Client{Dial: func(ctx context.Context) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}}
}

// serveMux runs an agent on a multiplexed socketpair until the test ends.
func serveMux(t testing.TB, cfg Config) *wire.Client {
	t.Helper()
	ours, theirs := socketpair(t)
	background(t, func(ctx context.Context) error { return serveControl(ctx, theirs, cfg) })
	return muxClient(t, ours)
}

// muxClient is the host's end of a control socket. It is closed at the end of the test.
func muxClient(t testing.TB, conn net.Conn) *wire.Client {
	t.Helper()
	session, err := yamux.Client(conn, wire.MuxConfig())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = session.Close() })
	return &wire.Client{Dial: func(context.Context) (net.Conn, error) { return session.Open() }}
}

// socketpair returns one end as a connection and the other as a descriptor, which is
// the caller's to close.
func socketpair(t testing.TB) (ours net.Conn, theirs int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fds[0]), "host")
	defer func() { _ = f.Close() }()
	ours, err = net.FileConn(f)
	if err != nil {
		t.Fatal(err)
	}
	return ours, fds[1]
}

// background runs an agent until the test ends, and fails the test if it does not
// end well.
func background(t testing.TB, run func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }() // ends with ctx
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the agent ended with %v", err)
		}
	})
}

// onEach runs a test over every transport.
func onEach(t *testing.T, test func(t *testing.T, cfg Config, c *wire.Client)) {
	for name, start := range map[string]func(testing.TB, Config) *wire.Client{"socket": serve, "mux": serveMux} {
		t.Run(name, func(t *testing.T) {
			cfg := testConfig(t)
			test(t, cfg, start(t, cfg))
		})
	}
}

// alive reports whether a process runs whose command line holds text.
func alive(text string) bool {
	for _, t := range sys.Tasks() {
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", t.PID))
		if err == nil && !t.Ended && strings.Contains(strings.ReplaceAll(string(line), "\x00", " "), text) {
			return true
		}
	}
	return false
}

// livesOn is alive for a process that was just started: while it is being replaced by
// its program it has no command line for a moment.
func livesOn(text string) bool {
	return eventually(func() bool { return alive(text) })
}

// killAlive ends what a test left running on purpose.
func killAlive(text string) {
	for _, t := range sys.Tasks() {
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", t.PID))
		if err == nil && strings.Contains(strings.ReplaceAll(string(line), "\x00", " "), text) {
			_ = syscall.Kill(t.PID, syscall.SIGKILL)
		}
	}
}
