package store

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pyro-sandbox/pyro/internal/testgate"
)

// helperEnv makes the test binary play another process: a part and its arguments,
// with blanks between.
const helperEnv = "PYRO_TEST_HELPER"

// markEnv tells the processes of one test from those of others.
const markEnv = "PYRO_TEST_MARK"

const testID = "0123456789ab"

func TestMain(m *testing.M) {
	part := strings.Fields(os.Getenv(helperEnv))
	if len(part) == 0 {
		os.Exit(m.Run())
	}
	if err := play(part[0], part[1:]); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(0)
}

func play(part string, args []string) error {
	if part == "wait" {
		return ready()
	}
	s, err := Open(testDirs(args[0]))
	if err != nil {
		return err
	}
	switch part {
	case "hold":
		if _, err := s.Create(args[1]); err != nil {
			return err
		}
		return ready()
	case "hammer":
		return hammer(s, args[1])
	case "live":
		return live(context.Background(), s, testID)
	case "recover":
		w, err := s.Lock(context.Background(), testID)
		if err != nil {
			return err
		}
		return w.Remove(context.Background())
	default:
		return errors.New("no such part")
	}
}

// ready says so, and stays until its stdin ends.
func ready() error {
	if _, err := os.Stdout.WriteString("ready\n"); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

func testDirs(base string) Dirs {
	return Dirs{
		State:   filepath.Join(base, "state"),
		Cache:   filepath.Join(base, "cache"),
		Run:     filepath.Join(base, "run", "x"),
		Sandbox: filepath.Join(base, "sandbox", "x"),
		UIDs:    filepath.Join(base, "uid"),
	}
}

// shortTemp is a temporary directory with a path short enough for sockets, which
// t.TempDir's is not where a test has a long name.
func shortTemp(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pyro")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func openStore(t testing.TB, dirs Dirs) *Store {
	t.Helper()
	s, err := Open(dirs)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return s
}

func newStore(t testing.TB) *Store {
	t.Helper()
	return openStore(t, testDirs(shortTemp(t)))
}

func create(t testing.TB, s *Store, id string) *Workspace {
	t.Helper()
	w, err := s.Create(id)
	if err != nil {
		t.Fatalf("Create: %v", err)
	}
	t.Cleanup(func() { _ = w.Unlock() })
	return w
}

func helperCommand(t testing.TB, part ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), helperEnv+"="+strings.Join(part, " "))
	return cmd
}

// helper starts a part that says when it is ready, and ends it with the test.
func helper(t testing.TB, part ...string) *exec.Cmd {
	t.Helper()
	cmd := helperCommand(t, part...)
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
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatalf("helper %q said %q: %v", part, line, err)
	}
	return cmd
}

func requireRoot(t testing.TB) {
	t.Helper()
	var err error
	if os.Geteuid() != 0 {
		err = errors.New("it changes owners")
	}
	testgate.Require(t, testgate.Root, err)
}

func mustWrite(t testing.TB, path, data string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
}

func checkGone(t testing.TB, path string) {
	t.Helper()
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there: %v", path, err)
	}
}

func checkThere(t testing.TB, path string) {
	t.Helper()
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("%s is gone: %v", path, err)
	}
}
