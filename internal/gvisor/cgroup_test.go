package gvisor

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/engine"
	"github.com/pyro-sandbox/pyro/internal/enginetest"
	"github.com/pyro-sandbox/pyro/internal/store"
	"github.com/pyro-sandbox/pyro/internal/testgate"
)

func TestSettingsV1(t *testing.T) {
	spec := engine.Spec{VCPUs: 3, MemMiB: 1024, PIDs: 512}
	for controller, want := range map[string][]setting{
		"memory":  {{"memory.limit_in_bytes", "1073741824"}, {"memory.swappiness", "0"}},
		"pids":    {{"pids.max", "2048"}},
		"cpu":     {{"cpu.cfs_period_us", "20000"}},
		"cpuset":  nil,
		"cpuacct": nil,
		"devices": nil,
		"":        nil,
	} {
		t.Run(controller, func(t *testing.T) {
			if diff := cmp.Diff(want, settingsV1(controller, spec), cmp.AllowUnexported(setting{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	t.Run("memory of the largest sandbox", func(t *testing.T) {
		got := settingsV1("memory", engine.Spec{MemMiB: api.MaxMemMiB})
		if len(got) != 2 || got[0].value != "34359738368" {
			t.Errorf("got %v", got)
		}
	})
}

func requireRoot(t *testing.T) {
	t.Helper()
	var err error
	if os.Geteuid() != 0 {
		err = errors.New("only root may give files away")
	}
	testgate.Require(t, testgate.Root, err)
}

// hierarchy makes directories as cgroup v1 would show them.
func hierarchy(t *testing.T, controllers ...string) limiterV1 {
	t.Helper()
	root := t.TempDir()
	for _, c := range controllers {
		if err := os.Mkdir(filepath.Join(root, c), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return limiterV1{root: root}
}

func put(t *testing.T, path, data string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(data), 0o644); err != nil {
		t.Fatal(err)
	}
}

// prepareGroup puts cgroup.procs into the group, which the kernel would do.
func prepareGroup(t *testing.T, l limiterV1, id string, controllers ...string) {
	t.Helper()
	for _, c := range controllers {
		put(t, filepath.Join(l.root, c, cgroupParent, id, "cgroup.procs"), "")
	}
}

func TestLimiterV1(t *testing.T) {
	requireRoot(t)
	there := []string{"cpu", "cpuset", "memory", "pids", "systemd"}
	l := hierarchy(t, append(there, "unified", "something else")...)
	spec := engine.Spec{ID: "0123456789ab", VCPUs: 1, MemMiB: 256, PIDs: 10, UID: 1234567}
	prepareGroup(t, l, spec.ID, there...)
	put(t, filepath.Join(l.root, "cpuset", "cpuset.cpus"), "0-3\n")
	put(t, filepath.Join(l.root, "cpuset", "cpuset.mems"), "0\n")
	var ledger enginetest.Ledger
	g, err := l.Make(spec, &ledger)
	if err != nil {
		t.Fatal(err)
	}
	want := cgroup{
		path: "/pyro/0123456789ab", events: filepath.Join(l.root, "memory/pyro/0123456789ab/memory.oom_control"), limits: api.Limits{Enforced: true},
		late: []setting{
			{filepath.Join(l.root, "cpu/pyro/0123456789ab/cpu.cfs_quota_us"), "20000"},
			{filepath.Join(l.root, "memory/pyro/0123456789ab/memory.limit_in_bytes"), "409993216"},
		},
	}
	if diff := cmp.Diff(want, g, cmp.AllowUnexported(cgroup{}, setting{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var entered []store.Resource
	for _, c := range there { // in the order of controllersV1; nothing for others
		entered = append(entered, store.Resource{Kind: store.KindCgroup, Path: filepath.Join(l.root, c, "pyro/0123456789ab")})
	}
	if diff := cmp.Diff(entered, ledger.Entries()); diff != "" {
		t.Errorf("ledger (-want +got):\n%s", diff)
	}
	if err := g.settle(); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		"cpuset/pyro/cpuset.cpus": "0-3\n", "cpuset/pyro/0123456789ab/cpuset.cpus": "0-3\n",
		"cpuset/pyro/cpuset.mems": "0\n", "cpuset/pyro/0123456789ab/cpuset.mems": "0\n",
		"memory/pyro/0123456789ab/memory.limit_in_bytes": "409993216", "memory/pyro/0123456789ab/memory.swappiness": "0", "pids/pyro/0123456789ab/pids.max": "542",
		"cpu/pyro/0123456789ab/cpu.cfs_quota_us": "20000",
	} {
		if got, err := os.ReadFile(filepath.Join(l.root, file)); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v; want %q", file, got, err, want)
		}
	}
	for _, c := range there {
		wantOwners(t, filepath.Join(l.root, c, "pyro/0123456789ab"), spec.UID)
	}
}

// wantOwners checks that the sandbox may enter its group and change nothing of it.
func wantOwners(t *testing.T, group string, uid int) {
	t.Helper()
	entries, err := os.ReadDir(group)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range append([]string{"."}, names(entries)...) {
		want := 0
		if path == "cgroup.procs" {
			want = uid
		}
		if got := owner(t, filepath.Join(group, path)); got != want {
			t.Errorf("%s/%s belongs to %d, want %d", group, path, got, want)
		}
	}
}

func names(entries []os.DirEntry) []string {
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

// refusing is a ledger on a full disk.
type refusing struct{ err error }

func (r refusing) Acquire(store.Resource) error { return r.err }

func TestLimiterV1MakesNothingThatIsNotEntered(t *testing.T) {
	l := hierarchy(t, "memory")
	full := errors.New("disk full")
	if _, err := l.Make(engine.Spec{ID: "0123456789ab"}, refusing{full}); !errors.Is(err, full) {
		t.Errorf("got %v, want %v", err, full)
	}
	if entries, err := os.ReadDir(filepath.Join(l.root, "memory")); err != nil || len(entries) > 0 {
		t.Errorf("made %v, %v", names(entries), err)
	}
}

func TestLimiterV1Fails(t *testing.T) {
	t.Run("where the parent has no processors to inherit", func(t *testing.T) {
		l := hierarchy(t, "cpuset")
		if _, err := l.Make(engine.Spec{ID: "0123456789ab"}, &enginetest.Ledger{}); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("where a file is in the way", func(t *testing.T) {
		l := hierarchy(t, "memory")
		put(t, filepath.Join(l.root, "memory", cgroupParent), "")
		if _, err := l.Make(engine.Spec{ID: "0123456789ab"}, &enginetest.Ledger{}); err == nil {
			t.Error("no error")
		}
	})
	t.Run("where the group has no cgroup.procs", func(t *testing.T) {
		l := hierarchy(t, "devices")
		if _, err := l.Make(engine.Spec{ID: "0123456789ab"}, &enginetest.Ledger{}); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("got %v", err)
		}
	})
}

func TestUnlimited(t *testing.T) {
	var ledger enginetest.Ledger
	g, err := unlimited("no root").Make(aSpec(), &ledger)
	if err != nil || g.path != "" || g.limits.Enforced || g.limits.Why == nil || *g.limits.Why != "no root" || len(ledger.Entries()) > 0 {
		t.Errorf("%+v, %v, ledger %v", g, err, ledger.Entries())
	}
	if g.killed() {
		t.Error("without a group it was out of memory")
	}
}

func TestOutOfMemory(t *testing.T) {
	for name, test := range map[string]struct {
		control string
		want    bool
	}{
		"never":            {"oom_kill_disable 0\nunder_oom 0\noom_kill 0\n", false},
		"once":             {"oom_kill_disable 0\nunder_oom 0\noom_kill 1\n", true},
		"often":            {"oom_kill 120\n", true},
		"disabled is none": {"oom_kill_disable 1\nunder_oom 1\noom_kill 0\n", false},
		"older kernel":     {"oom_kill_disable 0\nunder_oom 0\n", false},
		"empty":            {"", false},
		"version 2, never": {"low 0\nhigh 0\nmax 7\noom 1\noom_kill 0\noom_group_kill 0\n", false},
		"version 2, once":  {"low 0\nhigh 0\nmax 7\noom 1\noom_kill 3\noom_group_kill 1\n", true},
		"no line break":    {"oom_kill 3", true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			put(t, filepath.Join(dir, "memory.oom_control"), test.control)
			if got := (cgroup{events: filepath.Join(dir, "memory.oom_control")}).killed(); got != test.want {
				t.Errorf("got %t", got)
			}
		})
	}
	if (cgroup{events: filepath.Join(t.TempDir(), "gone")}).killed() {
		t.Error("a group that is gone was out of memory")
	}
}
