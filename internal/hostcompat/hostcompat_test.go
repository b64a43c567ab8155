package hostcompat_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/engine"
	"github.com/pyro-sandbox/pyro/internal/enginetest"
	"github.com/pyro-sandbox/pyro/internal/hostcompat"
	"github.com/pyro-sandbox/pyro/internal/store"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

func TestEngine(t *testing.T) { enginetest.Run(t, subject(t)) }

func TestInfo(t *testing.T) {
	want := engine.Info{Name: "host-compat", Isolation: "none", Mode: api.ModeHostCompat}
	if diff := cmp.Diff(want, hostcompat.New().Info()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRefuseNamesWhatCannotBe(t *testing.T) {
	for name, test := range map[string]struct {
		req  api.CreateRequest
		says string
	}{
		"nothing asked":     {api.CreateRequest{Environment: "host", TTLSeconds: 60, Name: "n"}, ""},
		"network off":       {api.CreateRequest{NetworkPolicy: api.NetworkOff}, ""},
		"processors":        {api.CreateRequest{VCPUCount: api.DefaultVCPUCount, MemMiB: 1024}, "vcpu_count is 1,"},
		"memory":            {api.CreateRequest{MemMiB: 512, DiskMiB: 64}, "mem_mib is 512,"},
		"disk":              {api.CreateRequest{DiskMiB: 64, NetworkPolicy: api.NetworkEgress}, "disk_mib is 64,"},
		"network":           {api.CreateRequest{NetworkPolicy: api.NetworkEgress}, `network_policy is "egress"`},
		"network and ports": {api.CreateRequest{NetworkPolicy: api.NetworkEgressPublishedPorts}, `network_policy is "egress+published-ports"`},
	} {
		t.Run(name, func(t *testing.T) {
			err := hostcompat.New().Refuse(test.req)
			if test.says == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if !errors.Is(err, api.Unsupported) || !strings.Contains(err.Error(), test.says) || api.HintOf(err) == "" {
				t.Errorf("got %v, hint %q", err, api.HintOf(err))
			}
		})
	}
}

func TestLimitsAreNotPretended(t *testing.T) {
	l := enginetest.Start(t, subject(t)).Limits()
	if l.Enforced || l.Why == nil || !strings.Contains(*l.Why, "nothing limits them") {
		t.Errorf("got %+v", l)
	}
}

// start starts a sandbox and returns its workspace directory.
func start(t *testing.T) (engine.Sandbox, string) {
	t.Helper()
	s := subject(t)
	spec, ledger := s.Spec(t)
	s.Spec = func(*testing.T) (engine.Spec, engine.Ledger) { return spec, ledger }
	return enginetest.Start(t, s), filepath.Join(spec.Dir, "workspace")
}

func TestCommandsSeeTheHostDirectory(t *testing.T) {
	t.Setenv("PYRO_TEST_SECRET", "of the caller")
	t.Setenv("PATH", "/usr/bin:/bin")
	t.Setenv("LANG", "")
	box, dir := start(t)
	env := strings.Fields(enginetest.Exec(t, box, "", wire.StreamRequest{Argv: []string{"env"}}).Stdout)
	env = slices.DeleteFunc(env, func(v string) bool { return strings.HasPrefix(v, "PYRO_EXEC_ID=") })
	slices.Sort(env)
	if diff := cmp.Diff([]string{"HOME=" + dir, "LANG=C.UTF-8", "PATH=/usr/bin:/bin", "PWD=" + dir}, env); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
	for cwd, want := range map[string]string{"": dir, "/workspace": dir, "/workspace/sub": dir + "/sub", "/usr": "/usr"} {
		r := enginetest.Exec(t, box, "", wire.StreamRequest{Argv: []string{"sh", "-c", `pwd -P; echo "$PWD"`}, Cwd: cwd})
		if r.Stdout != want+"\n"+want+"\n" {
			t.Errorf("in %q: %+v", cwd, r)
		}
	}
	client := wire.Client{Dial: box.Dial}
	if got, err := client.Exec(t.Context(), wire.ExecRequest{Command: "pwd; id -u", TimeoutSeconds: 20}); err != nil || got.Stdout != dir+"\n"+enginetest.Shell(t, box, "id -u") {
		t.Errorf("base protocol: %+v, %v", got, err)
	}
}

func TestCommandsRunAsTheCaller(t *testing.T) {
	box, dir := start(t)
	if got, want := enginetest.Shell(t, box, "touch f && stat -c %u f && cat /proc/$$/loginuid /proc/$$/ns/mnt 2>/dev/null; readlink /proc/$$/ns/mnt"), readlink(t, "/proc/self/ns/mnt"); !strings.Contains(got, want) {
		t.Errorf("got %q, want the mount namespace %s", got, want)
	}
	info, err := os.Stat(filepath.Join(dir, "f"))
	if err != nil {
		t.Fatal(err)
	}
	mine, err := os.Stat(filepath.Dir(dir))
	if err != nil || mine.Mode().Perm() != 0o700 || !info.Mode().IsRegular() {
		t.Errorf("the directory has mode %v: %v", mine.Mode(), err)
	}
}

func readlink(t *testing.T, name string) string {
	t.Helper()
	target, err := os.Readlink(name)
	if err != nil {
		t.Fatal(err)
	}
	return target
}

func TestCommandsInheritNoDescriptor(t *testing.T) {
	box, _ := start(t)
	r := enginetest.Exec(t, box, "", wire.StreamRequest{Argv: []string{"ls", "/proc/self/fd"}})
	if r.Stdout != "0\n1\n2\n3\n" { // 3 is the directory that ls reads
		t.Errorf("descriptors %q", r.Stdout)
	}
}

func TestStartFails(t *testing.T) {
	script := func(text string) func(*testing.T, *engine.Spec) {
		return func(t *testing.T, spec *engine.Spec) {
			spec.Agent = filepath.Join(t.TempDir(), "agent")
			if err := os.WriteFile(spec.Agent, []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, test := range map[string]struct {
		change func(*testing.T, *engine.Spec)
		kind   api.Kind
		says   string
	}{
		"no agent":      {func(_ *testing.T, s *engine.Spec) { s.Agent = "/nonexistent/agent" }, api.Unsupported, "/nonexistent/agent"},
		"agent ends":    {script("echo no such thing >&2; exit 3"), api.Unsupported, "no such thing"},
		"says nonsense": {script("echo much nonsense >&3; exec sleep 1000"), api.Unsupported, "the agent does not run"},
		"other image":   {func(_ *testing.T, s *engine.Spec) { s.Environment = "debian:12" }, api.NotFound, "debian:12"},
		"no saved disk": {func(t *testing.T, s *engine.Spec) { s.Disk = t.TempDir() }, api.Internal, "saved disk"},
		"directory there": {func(t *testing.T, s *engine.Spec) {
			if err := os.Mkdir(s.Dir, 0o700); err != nil {
				t.Fatal(err)
			}
		}, api.Internal, "file exists"},
	} {
		t.Run(name, func(t *testing.T) {
			s := subject(t)
			spec, ledger := s.Spec(t)
			test.change(t, &spec)
			box, err := s.Engine.Start(t.Context(), spec, ledger)
			if err == nil {
				_ = box.Stop(t.Context())
			}
			if api.KindOf(err) != test.kind || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v of kind %s", err, api.KindOf(err))
			}
		})
	}
}

// fullLedger takes no entry of one kind.
type fullLedger struct {
	engine.Ledger
	full store.Kind
}

func (l fullLedger) Acquire(r store.Resource) error {
	if r.Kind == l.full {
		return api.Unavailable
	}
	return l.Ledger.Acquire(r)
}

func TestNothingIsAcquiredWithoutLedger(t *testing.T) {
	for _, kind := range []store.Kind{store.KindDir, store.KindProcess} {
		t.Run(string(kind), func(t *testing.T) {
			s := subject(t)
			spec, ledger := s.Spec(t)
			if _, err := s.Engine.Start(t.Context(), spec, fullLedger{ledger, kind}); !errors.Is(err, api.Unavailable) {
				t.Errorf("got %v", err)
			}
			if _, err := os.Stat(spec.Dir); kind == store.KindDir && !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the directory: %v", err)
			}
			if n := agents(spec.Dir); n != 0 {
				t.Errorf("%d agents run", n)
			}
		})
	}
}

// agents counts the agents of a sandbox directory.
func agents(dir string) (n int) {
	names, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, name := range names {
		if line, err := os.ReadFile(name); err == nil && strings.Contains(string(line), "\x00--workspace\x00"+dir+"/") {
			n++
		}
	}
	return n
}

func TestStopOfTheImpatient(t *testing.T) {
	box, _ := start(t)
	duration := seconds(t)
	enginetest.Shell(t, box, "setsid sleep "+duration+" >/dev/null 2>&1 &")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := box.Stop(ctx); err != nil {
		t.Error(err)
	}
	if left := sleepers(duration); len(left) > 0 {
		t.Errorf("processes %v are left", left)
	}
}
