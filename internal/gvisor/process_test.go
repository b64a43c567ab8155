package gvisor

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/engine"
	"github.com/pyro-sandbox/pyro/internal/testgate"
)

// requireUserNS tries what every boot does first.
func requireUserNS(t *testing.T) {
	t.Helper()
	cmd := exec.Command("/bin/true")
	cmd.SysProcAttr = attributes(testUID())
	testgate.Require(t, testgate.UserNS, cmd.Run())
}

// testUID is who a sandbox of this test may be on the host.
func testUID() int {
	if uid := os.Geteuid(); uid != 0 {
		return uid
	}
	return 2_000_000_000
}

// TestBootOfWhatIsNoSandbox has a shell in the place of pyro-runsc.
func TestBootOfWhatIsNoSandbox(t *testing.T) {
	requireUserNS(t)
	for name, test := range map[string]struct {
		script string
		code   int
		says   string
	}{
		"stage fails":             {"echo 'pyro-runsc: mount: no such device' >&2; exit 125", 125, "mount: no such device"},
		"runsc fails":             {"echo 'creating container'; exit 128", 128, "creating container"},
		"ends at once":            {"exit 0", 0, ""},
		"nonsense on the channel": {"echo nonsense >&3; echo done; exit 7", 7, "done"},
		"much to say":             {"i=0; while [ $i -lt 9999 ]; do echo abcdefghijklmnop; i=$((i+1)); done; exit 5", 5, "abc"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSandbox(engine.Spec{UID: testUID()}, newHelper("/bin/sh"), cgroup{})
			err := s.boot(t.Context(), []string{"-c", test.script}, nil)
			var failed *bootError
			if !errors.As(err, &failed) {
				t.Fatalf("got %v", err)
			}
			if failed.step != "hello" || failed.code != test.code || !strings.Contains(failed.said, test.says) || len(failed.said) > 4096 {
				t.Errorf("step %s, code %d, said %.100q", failed.step, failed.code, failed.said)
			}
			if exit, err := s.Wait(t.Context()); err != nil || exit.Code != test.code || exit.Reason != engine.EndedByLoss {
				t.Errorf("it ended as %+v, %v", exit, err)
			}
		})
	}
}

// TestBootSharesNothing looks at what the child was given.
func TestBootSharesNothing(t *testing.T) {
	requireUserNS(t)
	t.Setenv("PYRO_TEST_SECRET", "of the host")
	s := newSandbox(engine.Spec{UID: testUID()}, newHelper("/bin/sh"), cgroup{})
	err := s.boot(t.Context(), []string{"-c", "env; pwd; id -u; cat /proc/$$/uid_map; ls /proc/$$/fd; exit 1"}, nil)
	var failed *bootError
	if !errors.As(err, &failed) {
		t.Fatalf("got %v", err)
	}
	said := strings.Fields(failed.said)
	if strings.Contains(failed.said, "of the host") {
		t.Errorf("our environment: %q", failed.said)
	}
	for _, fd := range []string{"0", "1", "2", "3", "255"} {
		if !slices.Contains(said, fd) {
			t.Errorf("no descriptor %s: %q", fd, failed.said)
		}
	}
	for _, fd := range []string{"4", "5", "6", "7", "8"} {
		if slices.Contains(said, fd) {
			t.Errorf("descriptor %s is open: %q", fd, failed.said)
		}
	}
}

func TestBootWithoutHelper(t *testing.T) {
	s := newSandbox(engine.Spec{UID: testUID()}, newHelper(filepath.Join(t.TempDir(), "none")), cgroup{})
	err := s.boot(t.Context(), nil, nil)
	var failed *bootError
	if !errors.As(err, &failed) || failed.step != "fork" || !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("got %v", err)
	}
	if _, err := s.Wait(t.Context()); err != nil {
		t.Errorf("Wait: %v", err)
	}
}

func TestVersion(t *testing.T) {
	for name, test := range map[string]struct {
		script, want, says string
	}{
		"as it should be": {"echo pyro-runsc release-20260101.0", "release-20260101.0", ""},
		"another program": {"echo runsc version 1", "", "calls itself"},
		"one word":        {"echo pyro-runsc", "", "calls itself"},
		"much to say":     {"echo pyro-runsc one; echo two", "", "calls itself"},
		"nothing":         {"exit 0", "", "calls itself"},
		"fails":           {"exit 3", "", "exit status 3"},
		"our environment": {`echo "pyro-runsc v$PYRO_TEST_SECRET"`, "v", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("PYRO_TEST_SECRET", "secret")
			helper := filepath.Join(t.TempDir(), "helper")
			put(t, helper, "#!/bin/sh\n"+test.script+"\n")
			chmod(t, helper, 0o755)
			got, err := New(helper, "").Version(t.Context())
			if got != test.want || (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
				t.Errorf("%q, %v; want %q, %q", got, err, test.want, test.says)
			}
			if test.says == "calls itself" && (!errors.Is(err, api.Unsupported) || api.HintOf(err) == "") {
				t.Errorf("kind %s, hint %q", api.KindOf(err), api.HintOf(err))
			}
		})
	}
}

func TestBootIsInterrupted(t *testing.T) {
	requireUserNS(t)
	s := newSandbox(engine.Spec{UID: testUID()}, newHelper("/bin/sh"), cgroup{})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	err := s.boot(ctx, []string{"-c", "exec sleep 1000"}, nil)
	var failed *bootError
	if !errors.As(err, &failed) || failed.step != "hello" || failed.code != -1 {
		t.Fatalf("got %#v", err)
	}
	if why, _ := diagnose(failed); !strings.Contains(why, "did not answer in time") {
		t.Errorf("diagnosed as %q: %v", why, failed)
	}
	select {
	case <-s.done:
	default:
		t.Error("boot returned before the process was gone")
	}
}
