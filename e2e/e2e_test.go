// Package e2e runs the pyro that users get, as they use it: each file in testdata is
// a script of commands and what they must print. It tests nothing from inside.
package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pyro-sandbox/pyro/internal/testgate"
	"github.com/rogpeppe/go-internal/testscript"
)

// binary finds the pyro under test: PYRO_BINARY, or the one that make has built.
func binary(t *testing.T) string {
	t.Helper()
	path := os.Getenv("PYRO_BINARY")
	if path == "" {
		path = filepath.Join("..", "bin", "pyro")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("no pyro to test (run make first): %v", err)
	}
	return path
}

// probe runs a sandbox the way a user would.
func probe(pyro, run string) error {
	cmd := exec.Command(pyro, "run", "host", "--", "true")
	cmd.Env = append(os.Environ(), "PYRO_STATE_DIR="+filepath.Join(run, "probe"), "PYRO_RUN_DIR="+run)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}

// shortDir makes a directory whose path leaves room for sockets, which t.TempDir
// does not.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "pe")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func TestScripts(t *testing.T) {
	pyro := binary(t)
	run := shortDir(t)
	if err := os.Chmod(run, 0o711); err != nil { // sandboxes of root have uids of their own
		t.Fatal(err)
	}
	testgate.Require(t, testgate.GVisor, probe(pyro, run))
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", filepath.Dir(pyro)+":"+os.Getenv("PATH"))
			env.Setenv("PYRO_STATE_DIR", filepath.Join(env.WorkDir, "state"))
			env.Setenv("PYRO_CACHE_DIR", filepath.Join(env.WorkDir, "cache"))
			env.Setenv("PYRO_RUN_DIR", run)
			env.Setenv("PYRO_LIBDIR", os.Getenv("PYRO_LIBDIR"))
			env.Setenv("UID", strconv.Itoa(os.Getuid()))
			env.Defer(func() { nothingLeft(env, pyro) })
			return nil
		},
		Condition: func(cond string) (bool, error) {
			if cond == "root" {
				return os.Getuid() == 0, nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"status":  status,
			"capture": capture,
			"gone":    gone,
		},
	})
}

// status N COMMAND… runs a command and wants it to end with N. Its output is then
// there for stdout and stderr.
func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N command [arg…]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	err = ts.Exec(args[1], args[2:]...)
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("%s ended with %d, want %d", strings.Join(args[1:], " "), got, want)
	}
}

// capture VARIABLE puts the last command's output, trimmed, into a variable.
func capture(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: capture variable")
	}
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile("stdout")))
}

// gone PATTERN waits until no process of this machine has the pattern in its
// command line. It fails the script after ten seconds.
func gone(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: gone pattern")
	}
	if left := waitGone(args[0]); left != "" {
		ts.Fatalf("still there: %s", left)
	}
}

func waitGone(pattern string) string {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(10 * time.Second)
	for {
		left := running(pattern)
		if left == "" {
			return ""
		}
		select {
		case <-ticker.C:
		case <-deadline:
			return left
		}
	}
}

// running returns a process whose command line holds the pattern.
func running(pattern string) string {
	names, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, name := range names {
		data, err := os.ReadFile(name)
		line := string(bytes.ReplaceAll(data, []byte{0}, []byte{' '}))
		if err == nil && strings.Contains(line, pattern) && !strings.HasPrefix(name, fmt.Sprintf("/proc/%d/", os.Getpid())) {
			return filepath.Dir(name) + " " + line
		}
	}
	return ""
}

// nothingLeft deletes what the script left in its list, and then wants nothing of
// pyro to exist that belongs to its state directory.
func nothingLeft(env *testscript.Env, pyro string) {
	t := env.T()
	state := env.Getenv("PYRO_STATE_DIR")
	ids, _ := filepath.Glob(filepath.Join(state, "workspaces", "*"))
	for _, path := range ids {
		cmd := exec.Command(pyro, "workspace", "delete", filepath.Base(path))
		cmd.Env = env.Vars
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Log(fmt.Sprintf("delete %s: %v: %s", path, err, out))
			t.FailNow()
		}
		if left := waitGone(filepath.Base(path)); left != "" {
			t.Log("process left: " + left)
			t.FailNow()
		}
	}
}
