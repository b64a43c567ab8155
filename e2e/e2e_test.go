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

	"github.com/pyro-sandbox/pyro/internal/leaks"
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
	requireSandboxes(t, pyro)
	run := shortDir(t)
	if err := os.Chmod(run, 0o711); err != nil { // sandboxes of root have uids of their own
		t.Fatal(err)
	}
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
			switch cond {
			case "root":
				return os.Getuid() == 0, nil
			case "cgroup1": // the limits of memory are of version 1
				_, err := os.Stat("/sys/fs/cgroup/memory/cgroup.procs")
				return err == nil, nil
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
	return awaitFor(10*time.Second, func() string { return running(pattern) })
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

// nothingLeft deletes the workspaces that the script left in its list, and then wants
// nothing of them to be left on the machine.
func nothingLeft(env *testscript.Env, pyro string) {
	t := env.T()
	listed, _ := filepath.Glob(filepath.Join(env.Getenv("PYRO_STATE_DIR"), "workspaces", "*"))
	for _, path := range listed {
		id := filepath.Base(path)
		cmd := exec.Command(pyro, "workspace", "delete", id)
		cmd.Env = env.Vars
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Log(fmt.Sprintf("delete %s: %v: %s", id, err, out))
			t.FailNow()
		}
		if left := awaitFor(patience, func() string { return remains(env.Getenv("PYRO_RUN_DIR"), id) }); left != "" {
			t.Log("left of " + id + ": " + left)
			t.FailNow()
		}
	}
}

// remains names what a workspace has on the machine: a process, cgroups, directories.
func remains(run, id string) string {
	dirs, _ := filepath.Glob(filepath.Join(run, "*", id))
	left := append(leaks.Cgroups(map[string]bool{id: true}), dirs...)
	if process := running(id); process != "" {
		left = append(left, process)
	}
	return strings.Join(left, ", ")
}
