package runsc

import (
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gvisor.dev/gvisor/runsc/version"

	"github.com/pyro-sandbox/pyro/gvisor/internal/filters"
)

// The test program started under this name is pyro-runsc.
const program = "pyro-runsc"

func TestMain(m *testing.M) {
	if os.Args[0] == program {
		os.Exit(Main(os.Args, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// runProgram returns pyro-runsc's exit status and what it wrote.
func runProgram(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, complaints strings.Builder
	c := exec.CommandContext(t.Context(), "/proc/self/exe")
	c.Args, c.Env = append([]string{program}, args...), []string{}
	c.Stdout, c.Stderr = &out, &complaints
	if err := c.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	return c.ProcessState.ExitCode(), out.String(), complaints.String()
}

func TestCommands(t *testing.T) {
	var names, internals []string
	for command, group := range Commands() {
		if group == internal {
			internals = append(internals, command.Name())
		} else {
			names = append(names, command.Name())
		}
	}
	slices.Sort(names)
	slices.Sort(internals)
	want := []string{
		"checkpoint", "debug", "delete", "events", "exec", "fscheckpoint", "kill", "pause",
		"ps", "restore-fd", "resume", "run", "state", "tar", "update", "wait",
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"boot", "gofer", "umount"}, internals); diff != "" {
		t.Errorf("internal commands (-want +got):\n%s", diff)
	}
}

func TestVersion(t *testing.T) {
	status, stdout, stderr := runProgram(t, "--version")
	if want := "pyro-runsc " + version.Version() + "\n"; status != 0 || stdout != want || stderr != "" {
		t.Errorf("status %d, stdout %q, stderr %q, want 0 and %q", status, stdout, stderr, want)
	}
}

func TestSeccompKeys(t *testing.T) {
	status, stdout, stderr := runProgram(t, "seccomp-keys")
	if want := strings.Join(filters.Keys(), "\n") + "\n"; status != 0 || stdout != want || stderr != "" {
		t.Errorf("status %d, stdout %q, stderr %q, want 0 and %q", status, stdout, stderr, want)
	}
}

func TestFailures(t *testing.T) {
	dir := t.TempDir()
	tests := []struct {
		name   string
		args   []string
		status int
		stderr string // empty: runsc's words, whatever they are
	}{
		{"stage file missing", []string{"--stage", dir + "/no", "run", "id"}, 125, "pyro-runsc: stage: open " + dir + "/no: no such file or directory\n"},
		{"line break in a name", []string{"--stage", "a\nb", "run", "id"}, 125, "pyro-runsc: stage: open a?b: no such file or directory\n"},
		{"runsc's own failure", []string{"--root=" + dir, "state", "missing"}, 128, ""},
		{"command that is left out", []string{"--root=" + dir, "list"}, 128, ""},
		{"restore-fd without an image", []string{"--root=" + dir, "restore-fd", "-bundle", dir, "id"}, 128, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			status, stdout, stderr := runProgram(t, test.args...)
			if status != test.status || stdout != "" {
				t.Errorf("status %d, stdout %q, want %d and nothing", status, stdout, test.status)
			}
			if stderr == "" || test.stderr != "" && stderr != test.stderr {
				t.Errorf("stderr %q, want %q", stderr, test.stderr)
			}
		})
	}
}
