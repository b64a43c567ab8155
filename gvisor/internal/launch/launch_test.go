package launch

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// Prepare changes the process for good, so it runs in this program started again,
// with the argument list that is to be prepared. The test program itself is known
// by its environment, in which the others find nothing else.
const child = "PYRO_LAUNCH_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(child) == "" {
		os.Exit(m.Run())
	}
	if err := json.NewEncoder(os.Stdout).Encode(prepared()); err != nil {
		os.Exit(1)
	}
	os.Exit(0)
}

// result is what Prepare returned and what it left.
type result struct {
	Args        []string
	Err         string
	Env         []string
	CloseOnExec bool // of descriptor 3, which the caller let through
}

func prepared() result {
	var r result
	args, err := Prepare(os.Args)
	if r.Args = args; err != nil {
		r.Err = err.Error()
	}
	r.Env = os.Environ()
	flags, err := unix.FcntlInt(3, unix.F_GETFD, 0)
	if err != nil {
		r.Err += fmt.Sprintf("; descriptor 3: %v", err)
	}
	r.CloseOnExec = flags&unix.FD_CLOEXEC != 0
	return r
}

func TestPrepare(t *testing.T) {
	env := []string{child + "=1"}
	tests := []struct {
		name string
		argv []string
		want result
	}{
		{
			"shuts out what the caller let through",
			[]string{"/lib/pyro-runsc", "kill", "id"},
			result{Args: []string{"/lib/pyro-runsc", "kill", "id"}, Env: []string{}, CloseOnExec: true},
		},
		{
			"leaves the gofer alone",
			[]string{gofer, "gofer", "--pass-fd=3:3"},
			result{Args: []string{gofer, "gofer", "--pass-fd=3:3"}, Env: env},
		},
		{
			"leaves the Sentry alone but for its numbers",
			[]string{sentry, "boot", "--io-fds=3"},
			result{Args: []string{sentry, "boot", "--io-fds=3"}, Env: env},
		},
		{
			"knows --stage in the first place only",
			[]string{"pyro-runsc", "--debug", "--stage", "/missing"},
			result{Args: []string{"pyro-runsc", "--debug", "--stage", "/missing"}, Env: []string{}, CloseOnExec: true},
		},
		{
			"wants a command behind the stage",
			[]string{"pyro-runsc", "--stage", "/missing"},
			result{Err: "stage: --stage needs a file and a command behind it", Env: []string{}, CloseOnExec: true},
		},
		{
			"says that the stage failed",
			[]string{"pyro-runsc", "--stage", "/missing", "run", "id"},
			result{Err: "stage: open /missing: no such file or directory", Env: []string{}, CloseOnExec: true},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, inChild(t, env, test.argv)); diff != "" {
				t.Errorf("after Prepare (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPrepareRefusesAnEmptyArgumentList(t *testing.T) {
	if _, err := Prepare(nil); err == nil {
		t.Error("no error")
	}
}

// inChild starts the program again with a stray descriptor 3.
func inChild(t *testing.T, env, argv []string) result {
	t.Helper()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = null.Close() }()
	c := exec.CommandContext(t.Context(), "/proc/self/exe")
	c.Args, c.Env, c.ExtraFiles = argv, env, []*os.File{null}
	out, err := c.Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		t.Fatalf("%v: %s", err, strings.TrimSpace(string(exit.Stderr)))
	} else if err != nil {
		t.Fatal(err)
	}
	var r result
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatalf("%v in %q", err, out)
	}
	return r
}
