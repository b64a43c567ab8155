package stage_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/pyro-sandbox/pyro/gvisor/internal/stage"
)

// The stage can be run but once in a process and changes it for good, so the test
// program starts itself again: "outer" in fresh namespaces, which mounts something
// below the directory to bind, as a host would have; and from there "inner" in
// namespaces below those, in which the mounts of outer are locked like a host's.
const (
	outer = "stage-test-outer"
	inner = "stage-test-inner"
	empty = "stage-test-empty"
)

func TestMain(m *testing.M) {
	role := map[string]func(dir string) error{
		outer: runOuter,
		inner: runInner,
		empty: func(string) error { return nil },
	}[os.Args[0]]
	if role == nil {
		os.Exit(m.Run())
	}
	if err := role(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, strings.TrimSpace(err.Error()))
		os.Exit(1)
	}
	os.Exit(0)
}

// again is this program in a role, in a user and mount namespace of its own.
func again(role, dir string) *exec.Cmd {
	c := exec.Command("/proc/self/exe")
	c.Args = []string{role, dir}
	c.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}},
		Credential:  &syscall.Credential{NoSetGroups: true},
	}
	return c
}

// run starts this program in a role, in fresh namespaces, and returns what it wrote
// and, as the error, what it complained about.
func run(role, dir string) ([]byte, error) {
	out, err := again(role, dir).Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return out, errors.New(strings.TrimSpace(string(exit.Stderr)))
	}
	return out, err
}

func runOuter(dir string) error {
	syscall.Umask(0o077) // must not show in the modes of what the stage makes
	if err := unix.Mount("tmpfs", filepath.Join(dir, "host/sub"), "tmpfs", 0, "mode=0777"); err != nil {
		return err
	}
	out, err := run(inner, dir)
	_, _ = os.Stdout.Write(out)
	return err
}

// report is what inner saw in the staged root: of each name its mode, a link's
// target or what a file holds, and how an attempt to write below it ended.
type report struct {
	Modes  map[string]string
	Texts  map[string]string
	Links  map[string]string
	Writes map[string]string
	Sealed map[string]bool // read-only, no set-uid, no devices
}

func runInner(dir string) error {
	if err := stage.Run(filepath.Join(dir, "stage.json")); err != nil {
		return err
	}
	r := report{Modes: map[string]string{}, Texts: map[string]string{}, Links: map[string]string{}, Writes: map[string]string{}, Sealed: map[string]bool{}}
	root := filepath.Join(dir, "root")
	for _, name := range []string{".", "proc", "etc", "etc/passwd", "usr", "usr/sub", "scratch"} {
		if err := r.look(root, name); err != nil {
			return err
		}
	}
	target, err := os.Readlink(filepath.Join(root, "bin"))
	if err != nil {
		return err
	}
	r.Links["bin"] = target
	for _, name := range []string{"etc/passwd", "etc/hostfile", "usr/tool"} {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			return err
		}
		r.Texts[name] = string(text)
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}

func (r *report) look(root, name string) error {
	at := filepath.Join(root, name)
	info, err := os.Lstat(at)
	if err != nil {
		return err
	}
	r.Modes[name] = info.Mode().String()
	var st unix.Statfs_t
	if err := unix.Statfs(at, &st); err != nil {
		return err
	}
	const sealed = unix.ST_RDONLY | unix.ST_NOSUID | unix.ST_NODEV
	r.Sealed[name] = st.Flags&sealed == sealed
	if info.IsDir() {
		r.Writes[name] = outcome(os.WriteFile(filepath.Join(at, "written"), nil, 0o600))
	} else {
		r.Writes[name] = outcome(os.WriteFile(at, nil, 0o600))
	}
	return nil
}

func outcome(err error) string {
	if errno := syscall.Errno(0); errors.As(err, &errno) {
		return unix.ErrnoName(errno)
	}
	return fmt.Sprint(err)
}

// newHost makes a directory with a host's files in it and the stage file.
func newHost(t *testing.T, binds string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"host/tool":      "a tool",
		"host/sub/under": "covered by the mount",
		"hostfile":       "a file of the host",
		"stage.json": strings.ReplaceAll(`{"Root":"DIR/root","Dirs":["proc"],"Files":{"etc/passwd":"root"},
			"Links":{"bin":"usr/bin"},"Binds":{`+binds+`},"Tmpfs":{"scratch":"size=1m,mode=0700"}}`, "DIR", dir),
	} {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "root"), 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestRunBuildsAReadOnlyRoot(t *testing.T) {
	_, err := run(empty, "")
	needNamespaces(t, err)
	dir := newHost(t, `"usr":"DIR/host","etc/hostfile":"DIR/hostfile"`)
	out, err := run(outer, dir)
	if err != nil {
		t.Fatal(err)
	}
	var got report
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v in %q", err, out)
	}
	want := report{
		Modes: map[string]string{
			".": "drwxr-xr-x", "proc": "drwxr-xr-x", "etc": "drwxr-xr-x", "etc/passwd": "-rw-r--r--",
			"usr": "drwxr-xr-x", "usr/sub": "drwxrwxrwx", "scratch": "drwx------",
		},
		Texts:  map[string]string{"etc/passwd": "root", "etc/hostfile": "a file of the host", "usr/tool": "a tool"},
		Links:  map[string]string{"bin": "usr/bin"},
		Writes: map[string]string{},
		Sealed: map[string]bool{},
	}
	for name := range want.Modes {
		want.Writes[name] = "EROFS"
		want.Sealed[name] = true
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("staged root (-want +got):\n%s", diff)
	}
	if left := entries(t, filepath.Join(dir, "root")); len(left) != 0 {
		t.Errorf("the host sees %v in the root", left)
	}
}

func entries(t *testing.T, dir string) []fs.DirEntry {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestRunNamesTheStepThatFailed(t *testing.T) {
	_, err := run(empty, "")
	needNamespaces(t, err)
	t.Run("a bind of what is not there", func(t *testing.T) {
		dir := newHost(t, `"usr":"DIR/missing"`)
		_, err := run(outer, dir)
		want := "bind /usr: open_tree " + dir + "/missing: no such file or directory"
		if err == nil || err.Error() != want {
			t.Errorf("error is %v, want %s", err, want)
		}
	})
	t.Run("a root that is not there", func(t *testing.T) {
		dir := newHost(t, "")
		if err := os.Remove(filepath.Join(dir, "root")); err != nil {
			t.Fatal(err)
		}
		_, err := run(outer, dir)
		if want := "tmpfs on /: no such file or directory"; err == nil || err.Error() != want {
			t.Errorf("error is %v, want %s", err, want)
		}
	})
}
