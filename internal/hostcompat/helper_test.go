package hostcompat_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pyro-sandbox/pyro/internal/agent"
	"github.com/pyro-sandbox/pyro/internal/engine"
	"github.com/pyro-sandbox/pyro/internal/enginetest"
	"github.com/pyro-sandbox/pyro/internal/hostcompat"
	"github.com/pyro-sandbox/pyro/internal/store"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// helperEnv makes the test binary play a supervisor; its value is the shell line of
// the command that it runs.
const helperEnv = "PYRO_TEST_HELPER"

// stateEnv is the directory of the supervisor's store.
const stateEnv = "PYRO_TEST_STATE"

// TestMain plays other programs too: the agent, which is started with its arguments
// and without an environment.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "--fd" {
		os.Exit(agent.Main(context.Background(), os.Args[1:], os.Stderr))
	}
	if line := os.Getenv(helperEnv); line != "" {
		if err := supervise(context.Background(), line); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

const testID = "0123456789ab"

// supervise runs one command and prints what that prints. For each line on its stdin
// it does what the line says.
func supervise(ctx context.Context, line string) error {
	st, err := openStore(os.Getenv(stateEnv))
	if err != nil {
		return err
	}
	held, err := st.Create(testID)
	if err != nil {
		return err
	}
	spec, err := specOf(st, held)
	if err != nil {
		return err
	}
	box, err := hostcompat.New().Start(ctx, spec, held.Ledger())
	if err != nil {
		return err
	}
	client := wire.Client{Dial: box.Dial}
	s, err := client.Stream(ctx, wire.StreamRequest{Argv: []string{"/bin/sh", "-c", line}, TimeoutMS: 60_000})
	if err != nil {
		return err
	}
	go printFrames(s) // ends with the sandbox
	for orders := bufio.NewScanner(os.Stdin); orders.Scan(); {
		switch orders.Text() {
		case "cancel":
			err = s.Close()
		case "stop":
			err = box.Stop(ctx)
		case "wait":
			var exit engine.Exit
			if exit, err = box.Wait(ctx); err == nil {
				_, _ = fmt.Fprintf(os.Stdout, "%+v\n", exit)
			}
		}
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintln(os.Stdout, "done")
	}
	return nil
}

func printFrames(s *wire.Stream) {
	for {
		f, err := s.ReadFrame()
		if err != nil {
			return
		}
		if f.Type == wire.FrameStdout {
			_, _ = os.Stdout.Write(f.Payload)
		}
	}
}

// supervisor is a process that plays one.
type supervisor struct {
	cmd *exec.Cmd
	in  io.Writer
	out *bufio.Reader
}

// startSupervisor starts one in dir and returns the first line of its command.
func startSupervisor(t *testing.T, dir, line string) (*supervisor, string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), self(t))
	cmd.Env = append(os.Environ(), helperEnv+"="+line, stateEnv+"="+dir)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s := &supervisor{cmd: cmd, in: in, out: bufio.NewReader(out)}
	t.Cleanup(func() { s.kill() })
	return s, s.line(t)
}

func (s *supervisor) line(t *testing.T) string {
	t.Helper()
	text, err := s.out.ReadString('\n')
	if err != nil {
		t.Fatalf("the supervisor said %q: %v", text, err)
	}
	return strings.TrimSpace(text)
}

// order returns the line with which an order is answered.
func (s *supervisor) order(t *testing.T, what string) string {
	t.Helper()
	if _, err := fmt.Fprintln(s.in, what); err != nil {
		t.Fatal(err)
	}
	return s.line(t)
}

func (s *supervisor) kill() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

func self(t testing.TB) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func openStore(base string) (*store.Store, error) {
	dirs := store.Dirs{State: filepath.Join(base, "s"), Cache: filepath.Join(base, "c"), Run: filepath.Join(base, "r")}
	if os.Geteuid() == 0 {
		dirs.Sandbox, dirs.UIDs = filepath.Join(base, "x"), filepath.Join(base, "u")
	}
	return store.Open(dirs)
}

func specOf(st *store.Store, held *store.Workspace) (engine.Spec, error) {
	run, err := held.MakeRunDir()
	if err != nil {
		return engine.Spec{}, err
	}
	program, err := os.Executable()
	return engine.Spec{
		ID: held.ID(), Environment: engine.EnvironmentHost, VCPUs: 1, MemMiB: enginetest.MemMiB, DiskMiB: enginetest.DiskMiB,
		PIDs: enginetest.PIDs, UID: 2_000_000_000, Dir: st.SandboxDir(held.ID()), Run: run, Agent: program,
	}, err
}

// newSpec describes a sandbox; what it acquires is freed at the end of the test.
func newSpec(t *testing.T, st *store.Store) (engine.Spec, engine.Ledger) {
	t.Helper()
	var random [6]byte
	_, _ = rand.Read(random[:])
	held, err := st.Create(hex.EncodeToString(random[:]))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := held.Remove(ctx); err != nil {
			t.Errorf("remove: %v", err)
		}
	})
	spec, err := specOf(st, held)
	if err != nil {
		t.Fatal(err)
	}
	return spec, held.Ledger()
}

func subject(t *testing.T) enginetest.Subject {
	t.Helper()
	st := enginetest.NewStore(t)
	return enginetest.Subject{
		Engine: hostcompat.New(),
		Spec:   func(t *testing.T) (engine.Spec, engine.Ledger) { return newSpec(t, st) },
	}
}

// shortTemp is a directory whose path leaves room for sockets below it.
func shortTemp(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "pt")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// seconds is an odd number of seconds to sleep, by which a process is known again.
func seconds(t *testing.T) string {
	t.Helper()
	var random [4]byte
	_, _ = rand.Read(random[:])
	return "9" + strconv.Itoa(int(random[0])<<24|int(random[1])<<16|int(random[2])<<8|int(random[3]))
}

// sleepers are the processes that run sleep for the given time.
func sleepers(duration string) (pids []int) {
	names, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, name := range names {
		line, err := os.ReadFile(name)
		if err != nil || string(line) != "sleep\x00"+duration+"\x00" {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name))); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
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
