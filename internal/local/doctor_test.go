package local

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pyro-sandbox/pyro/api"
)

// checked returns the checks of a doctor in one line each: name and result.
func checked(d *api.Doctor) []string {
	var list []string
	for _, c := range d.Checks {
		list = append(list, c.Name+" "+string(c.Result))
	}
	return list
}

func checkNamed(t *testing.T, d *api.Doctor, name string) api.DoctorCheck {
	t.Helper()
	i := slices.IndexFunc(d.Checks, func(c api.DoctorCheck) bool { return c.Name == name })
	if i < 0 {
		t.Fatalf("no check %s among %v", name, checked(d))
	}
	return d.Checks[i]
}

func diagnose(t *testing.T, req api.DoctorRequest) *api.Doctor {
	t.Helper()
	d, err := Doctor(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range d.Checks {
		if c.Name == "" || c.Result == "" || c.Reason == "" || c.Result == api.CheckFail && c.NextStep == nil {
			t.Errorf("%+v", c)
		}
	}
	if d.Issues == nil || d.Fixed == nil || d.Checks == nil {
		t.Errorf("a list is null: %+v", d)
	}
	return d
}

func TestDoctorWithoutHelpers(t *testing.T) {
	alone(t)
	got := diagnose(t, api.DoctorRequest{Environment: "host"})
	if got.RuntimeOK || got.Runtime != nil {
		t.Fatalf("got %+v", got)
	}
	e := got.Engines[0]
	if e.Name != "gvisor" || e.Available || e.Why == nil || !strings.Contains(*e.Why, "pyro-agent") || e.Hint == nil || e.Weakens == nil {
		t.Errorf("engine: %+v", e)
	}
	if diff := cmp.Diff([]string{"helpers: " + *e.Why + "; " + *e.Hint}, got.Issues); diff != "" {
		t.Errorf("issues (-want +got):\n%s", diff)
	}
	for _, want := range []string{"configuration ok", "directories ok", "helpers fail", "gvisor skip", "limits skip", "environment skip", "workspaces ok"} { // leftovers are the whole machine's
		if !slices.Contains(checked(got), want) {
			t.Errorf("%s is missing in %v", want, checked(got))
		}
	}
}

func TestHostCompatIsLoud(t *testing.T) {
	lib := alone(t)
	for _, available := range []bool{false, true} {
		if available {
			program755(t, filepath.Join(lib, "pyro-agent"), "")
		}
		got := diagnose(t, api.DoctorRequest{})
		e := got.Engines[len(got.Engines)-1]
		if e.Name != api.EngineHostCompat || e.Isolation != "none" || !e.NeedsConsent || !strings.Contains(strings.Join(e.Weakens, ""), "NO ISOLATION") {
			t.Errorf("%+v", e)
		}
		if e.Available != available || (e.Why == nil) != available {
			t.Errorf("available: %+v", e)
		}
		if got.RuntimeOK {
			t.Error("it counts as an engine that isolates")
		}
	}
}

func TestDoctorOfAHelperThatIsNone(t *testing.T) {
	lib := alone(t)
	for _, name := range []string{"pyro-agent", "pyro-runsc"} {
		program755(t, filepath.Join(lib, name), "no program at all")
	}
	got := diagnose(t, api.DoctorRequest{})
	if got.RuntimeOK || len(got.Issues) != 1 || !strings.HasPrefix(got.Issues[0], "helpers: ") {
		t.Errorf("%v, %v", got.Issues, checked(got))
	}
}

// TestDoctorOfASandboxThatDoesNotStart goes as far as a sandbox, and cleans up.
func TestDoctorOfASandboxThatDoesNotStart(t *testing.T) {
	lib := alone(t)
	program755(t, filepath.Join(lib, "pyro-agent"), "")
	program755(t, filepath.Join(lib, "pyro-runsc"), "#!/bin/sh\ntest \"$1\" = --version && echo pyro-runsc release-x && exit 0\nexit 1\n")
	t.Setenv("PYRO_SANDBOX_DIR", filepath.Join(filepath.Dir(lib), "x"))
	got := diagnose(t, api.DoctorRequest{})
	if got.RuntimeOK || got.Engines[0].Why == nil || checkNamed(t, got, "gvisor").Result != api.CheckFail || checkNamed(t, got, "limits").Result != api.CheckSkip {
		t.Fatalf("%+v, %v", got.Engines[0], checked(got))
	}
	st, err := openStore()
	if err != nil {
		t.Fatal(err)
	}
	if ids, err := st.IDs(); err != nil || len(ids) > 0 {
		t.Errorf("left behind: %v, %v", ids, err)
	}
}

func TestDoctorWithNothingInOrder(t *testing.T) {
	alone(t)
	for _, name := range []string{"HOME", "PYRO_STATE_DIR", "XDG_STATE_HOME", "XDG_CONFIG_HOME"} {
		t.Setenv(name, "")
	}
	t.Setenv("PYRO_CAPACITY", "none at all")
	got := diagnose(t, api.DoctorRequest{Environment: "debian:12", Fix: true})
	want := []string{"configuration fail", "directories fail", "helpers fail", "gvisor skip", "limits skip", "environment fail", "workspaces skip", "leftovers skip"}
	rest := slices.DeleteFunc(checked(got), func(c string) bool { return strings.HasPrefix(c, "namespaces ") })
	if diff := cmp.Diff(want, rest); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(got.Issues) != 4 || len(got.Fixed) != 0 || strings.Contains(strings.Join(got.Issues, ""), "\n") {
		t.Errorf("issues %v, fixed %v", got.Issues, got.Fixed)
	}
}

func TestDoctorNamesBrokenWorkspaces(t *testing.T) {
	alone(t)
	st, err := openStore()
	if err != nil {
		t.Fatal(err)
	}
	held, err := st.Create("0123456789ab")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(held.Unlock(), os.WriteFile(filepath.Join(held.Path(), "record.json"), []byte("{"), 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, fix := range []bool{false, true} { // it is removed by nobody but its owner
		c := checkNamed(t, diagnose(t, api.DoctorRequest{Fix: fix}), "workspaces")
		if c.Result != api.CheckWarn || !strings.HasPrefix(c.Reason, "1 of 1 cannot be read: 0123456789ab (") || c.NextStep == nil || !strings.Contains(*c.NextStep, "workspace delete 0123456789ab") {
			t.Errorf("%+v", c)
		}
		if _, err := os.Stat(held.Path()); err != nil {
			t.Error(err)
		}
	}
}

func TestDoctorIsInterrupted(t *testing.T) {
	alone(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Doctor(ctx, api.DoctorRequest{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}

func TestVersionsAreCompared(t *testing.T) {
	for version, want := range map[string]api.CheckResult{"": api.CheckOK, "0.0.1-other": api.CheckWarn} {
		if c := (&helpers{runsc: "/lib/pyro-runsc", agentVersion: version}).compared(); c.Result != want {
			t.Errorf("%q: %+v", version, c)
		}
	}
}

func TestLimits(t *testing.T) {
	if c := limits("cgroup v2 below /a", nil); c.Result != api.CheckOK || c.Reason != "memory, processors and processes by cgroup v2 below /a; disk, /dev/shm and /run by gVisor" {
		t.Errorf("%+v", c)
	}
	for why, step := range map[string]string{
		"limits are not enforced: no cgroup":          "docs/limits.md says what is needed",
		"limits are not enforced: no cgroup; make it": "make it",
	} {
		c := limits("", []string{why})
		if c.Result != api.CheckWarn || c.Reason != "limits are not enforced: no cgroup; disk, /dev/shm and /run are limited by gVisor" || c.NextStep == nil || *c.NextStep != step {
			t.Errorf("%+v", c)
		}
	}
}

// other is a machine made up of files of /proc.
func other(uid int, files map[string]string) machine {
	return machine{uid: uid, getenv: func(string) string { return "" }, read: func(path string) ([]byte, error) {
		if text, ok := files[strings.TrimPrefix(path, "/proc/sys/")]; ok {
			return []byte(text), nil
		}
		return nil, fs.ErrNotExist
	}}
}

func TestNamespaces(t *testing.T) {
	for name, test := range map[string]struct {
		uid   int
		files map[string]string
		want  string // in the reason; empty: ok
	}{
		"nothing known":          {1000, nil, ""},
		"all allowed":            {1000, map[string]string{"kernel/osrelease": "6.1.0-13-amd64\n", "user/max_user_namespaces": "63000\n", "kernel/unprivileged_userns_clone": "1\n", "kernel/apparmor_restrict_unprivileged_userns": "0\n"}, ""},
		"an old kernel":          {0, map[string]string{"kernel/osrelease": "5.4.0-99-generic\n"}, "Linux 5.4.0-99-generic"},
		"an ancient kernel":      {0, map[string]string{"kernel/osrelease": "4.19.0\n"}, "Linux 4.19.0"},
		"the first that will do": {0, map[string]string{"kernel/osrelease": "5.12.0\n"}, ""},
		"no version":             {0, map[string]string{"kernel/osrelease": "strange\n"}, ""},
		"none at all":            {0, map[string]string{"user/max_user_namespaces": "0\n"}, "user.max_user_namespaces is 0"},
		"for root only":          {1000, map[string]string{"kernel/unprivileged_userns_clone": "0\n"}, "kernel.unprivileged_userns_clone is 0"},
		"for root only, root":    {0, map[string]string{"kernel/unprivileged_userns_clone": "0\n"}, ""},
		"AppArmor":               {1000, map[string]string{"kernel/apparmor_restrict_unprivileged_userns": "1\n"}, "kernel.apparmor_restrict_unprivileged_userns is 1"},
		"AppArmor, root":         {0, map[string]string{"kernel/apparmor_restrict_unprivileged_userns": "1\n"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := other(test.uid, test.files).namespaces()
			if test.want == "" {
				if c.Result != api.CheckOK || c.NextStep != nil {
					t.Errorf("%+v", c)
				}
				return
			}
			if c.Result != api.CheckWarn || !strings.Contains(c.Reason, test.want) || c.NextStep == nil {
				t.Errorf("%+v", c)
			}
		})
	}
}

const mountinfo = `22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
23 22 0:20 / /proc rw - proc proc rw
40 22 0:41 / /home rw,relatime - nfs4 server:/home rw,vers=4.2
41 40 0:42 / /home/me/with\040blank rw - fuse.sshfs host: rw
42 22 0:43 / /ro ro,relatime - xfs /dev/vdb rw
43 22 0:44 / /alsoro rw,relatime - squashfs /dev/loop0 ro
44 22 0:45 / /run rw - tmpfs tmpfs rw
45 22 0:46 / /run rw - ramfs ramfs rw
46 22 0:47 / /small rw - ext4 /dev/vdc rw
not a mount
`

// node is a directory or file of somebody.
type node struct {
	fs.FileInfo
	uid uint32
}

func (n node) Sys() any { return &syscall.Stat_t{Uid: n.uid} }

func TestPlaces(t *testing.T) {
	const me = 1000
	directories := map[string]struct {
		mode fs.FileMode
		uid  uint32
	}{
		"/": {0o755 | fs.ModeDir, 0}, "/home": {0o755 | fs.ModeDir, 0}, "/mine": {0o700 | fs.ModeDir, me},
		"/locked": {0o500 | fs.ModeDir, me}, "/tmp": {0o777 | fs.ModeDir | fs.ModeSticky, 0}, "/group": {0o775 | fs.ModeDir, 0},
		"/file": {0o600, me}, "/home/me": {0o700 | fs.ModeDir, me}, "/home/me/with blank": {0o700 | fs.ModeDir, me},
		"/ro": {0o777 | fs.ModeDir, 0}, "/alsoro": {0o777 | fs.ModeDir, 0}, "/run": {0o777 | fs.ModeDir, 0}, "/small": {0o777 | fs.ModeDir, 0},
	}
	m := other(me, map[string]string{"/proc/self/mountinfo": mountinfo})
	m.stat = func(path string) (fs.FileInfo, error) {
		d, ok := directories[path]
		if !ok {
			return nil, &fs.PathError{Op: "stat", Path: path, Err: fs.ErrNotExist}
		}
		info, err := fstest.MapFS{"x": {Mode: d.mode, ModTime: time.Unix(0, 0)}}.Stat("x")
		return node{info, d.uid}, err
	}
	m.free = func(path string) (uint64, error) {
		if path == "/small" || path == "/run" {
			return 700 << 20, nil
		}
		return 5 << 30, nil
	}
	for name, test := range map[string]struct {
		check, dir string
		result     api.CheckResult
		reason     string
	}{
		"there":                      {"state_directory", "/mine", api.CheckOK, "/mine on ext4, 5120 MiB free"},
		"to be made":                 {"state_directory", "/mine/a/b", api.CheckOK, "/mine/a/b on ext4, 5120 MiB free"},
		"for everybody":              {"state_directory", "/tmp/p", api.CheckOK, "/tmp/p on ext4, 5120 MiB free"},
		"perhaps for our group":      {"state_directory", "/group/p", api.CheckOK, "/group/p on ext4, 5120 MiB free"},
		"root's":                     {"state_directory", "/nowhere/p", api.CheckFail, "/nowhere/p cannot be written: / has mode 0755 and owner 0"},
		"ours, and closed":           {"state_directory", "/locked/p", api.CheckFail, "/locked/p cannot be written: /locked has mode 0500 and owner 1000"},
		"a file":                     {"state_directory", "/file", api.CheckFail, "/file is no directory"},
		"on NFS":                     {"state_directory", "/home/me/.local/state/pyro", api.CheckWarn, "/home/me/.local/state/pyro lies on nfs4: locks and sockets may not work on a network's file system"},
		"on sshfs":                   {"cache_directory", "/home/me/with blank/c", api.CheckWarn, "/home/me/with blank/c lies on fuse.sshfs: locks and sockets may not work on a network's file system"},
		"read-only":                  {"state_directory", "/ro/p", api.CheckFail, "/ro/p lies on a file system that is mounted read-only"},
		"read-only below":            {"state_directory", "/alsoro/p", api.CheckFail, "/alsoro/p lies on a file system that is mounted read-only"},
		"nearly full":                {"state_directory", "/small/p", api.CheckWarn, "/small/p has 700 MiB left"},
		"sockets need little":        {"run_directory", "/small/p", api.CheckOK, "/small/p on ext4, 700 MiB free"},
		"the last mount is on top":   {"run_directory", "/run/p", api.CheckOK, "/run/p on ramfs, 700 MiB free"},
		"a name that only resembles": {"cache_directory", "/homestead", api.CheckFail, "/homestead cannot be written: / has mode 0755 and owner 0"},
	} {
		t.Run(name, func(t *testing.T) {
			c := m.place(test.check, test.dir, m.mounts())
			if c.Name != test.check || c.Result != test.result || c.Reason != test.reason || (c.NextStep == nil) != (c.Result == api.CheckOK) {
				t.Errorf("%+v", c)
			}
		})
	}
	m.free = func(string) (uint64, error) { return 0, errors.New("no idea") }
	if c := m.place("state_directory", "/mine", m.mounts()); c.Result != api.CheckWarn {
		t.Errorf("%+v", c)
	}
	m.uid = 0
	if c := m.place("state_directory", "/locked", nil); strings.Contains(c.Reason, "cannot be written") {
		t.Errorf("root: %+v", c)
	}
}

func TestConfigurationIsChecked(t *testing.T) {
	for variable, want := range map[string]api.CheckResult{"": api.CheckOK, "5": api.CheckOK, "many": api.CheckFail} {
		m := other(1000, nil)
		m.getenv = func(name string) string {
			if name == "PYRO_CAPACITY" {
				return variable
			}
			return ""
		}
		if c := m.configuration(); c.Result != want || strings.HasPrefix(c.Reason, c.Name) || (variable == "5") != strings.Contains(c.Reason, "1 of 7") {
			t.Errorf("%q: %+v", variable, c)
		}
	}
}

func TestSome(t *testing.T) {
	if got := some([]string{"a", "b"}); got != "a, b" {
		t.Error(got)
	}
	if got := some(strings.Split("a b c d e f g", " ")); got != "a, b, c, d, e and 2 more" {
		t.Error(got)
	}
}

func TestIssue(t *testing.T) {
	hint := "do that"
	if got := issue("broken", &hint); got != "broken; do that" {
		t.Error(got)
	}
	if got := issue("broken", nil); got != "broken" {
		t.Error(got)
	}
}

func TestProgram(t *testing.T) {
	dir := t.TempDir()
	want := program755(t, filepath.Join(dir, "ip"), "")
	t.Setenv("PATH", dir)
	if got := program("ip"); got == nil || *got != want {
		t.Errorf("got %v, want %s", got, want)
	}
	if got := program("nft"); got != nil {
		t.Errorf("found %s", *got)
	}
}

func TestOpens(t *testing.T) {
	file := program755(t, filepath.Join(t.TempDir(), "x"), "")
	if !opens(file, os.O_RDONLY) || !opens(file, os.O_WRONLY) || opens(file+"x", os.O_RDONLY) {
		t.Error("a file that is there does not open, or one that is not does")
	}
}

func TestDoctorSaysHowWarmAnEnvironmentIs(t *testing.T) {
	alone(t)
	if got := diagnose(t, api.DoctorRequest{}); got.Environment != nil {
		t.Errorf("nobody asked, and it is %+v", got.Environment)
	}
	got := diagnose(t, api.DoctorRequest{Environment: "host"}).Environment
	if got == nil || got.Name != "host" || got.State != api.Cold || got.Reason == nil || got.PreparedAt != nil {
		t.Errorf("got %+v", got)
	}
}
