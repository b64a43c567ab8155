package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestClaimC6NoDevice opens and makes devices of the host.
func TestClaimC6NoDevice(t *testing.T) {
	s := newSiege(t)
	if os.Getuid() == 0 { // one that the sandbox shows
		path := "/usr/local/share/.pyro-canary-" + s.mark
		if err := unix.Mknod(path, unix.S_IFCHR|0o666, int(unix.Mkdev(10, 232))); err != nil { // /dev/kvm
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.Remove(path) })
		s.plan.Devices = append(s.plan.Devices, path)
	}
	s.besiege(t)
	found := s.probe(t, "devices")
	want(t, found, "devices that are there", "/dev/full /dev/fuse /dev/net/tun /dev/null /dev/pts/ptmx /dev/random /dev/tty /dev/urandom /dev/zero")
	for try, got := range found {
		switch {
		case try == "devices that are there", try == "/dev/fuse", try == "/dev/net/tun": // the Sentry's own
		case !slices.Contains([]string{"ENOENT", "ENXIO", "EPERM", "EACCES", "ENODEV"}, got):
			t.Errorf("%s: %s", try, got)
		}
	}
}

// settingsOnHost is what the files of /proc/sys and /sys that the probe writes to hold here.
func settingsOnHost(found map[string]string) map[string]string {
	values := make(map[string]string)
	for try := range found {
		if path, ok := strings.CutPrefix(try, "write "); ok && !strings.HasPrefix(path, "/proc/1/") && !strings.HasSuffix(path, "ns_last_pid") {
			data, err := os.ReadFile(path)
			if err != nil {
				data = []byte("none")
			}
			values[path] = string(data)
		}
	}
	return values
}

// TestClaimC7KernelIsTheSentrys writes to settings of the kernel and makes system
// calls that change a machine. What they say is a reviewed file; the host stays as it is.
func TestClaimC7KernelIsTheSentrys(t *testing.T) {
	s := newSiege(t)
	s.besiege(t)
	var before, after unix.Sysinfo_t
	if err := unix.Sysinfo(&before); err != nil {
		t.Fatal(err)
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "syscalls.txt", table(s.probe(t, "syscalls"))) // as they are before settings are changed
	first := s.probe(t, "settings")
	values := settingsOnHost(first) // a second round changes what the first could
	found := s.probe(t, "settings")
	delete(found, "messages of the kernel")
	golden(t, "settings.txt", table(found))
	if !strings.Contains(first["messages of the kernel"], "Starting gVisor") {
		t.Errorf("messages of the kernel: %q", first["messages of the kernel"])
	}
	if len(values) < 40 {
		t.Errorf("only %d settings", len(values))
	}
	for path, value := range settingsOnHost(first) {
		if value != values[path] {
			t.Errorf("%s was %q and is %q", path, values[path], value)
		}
	}
	for _, path := range []string{"/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sys/kernel/hostname"} {
		if data, err := os.ReadFile(path); err == nil && strings.Contains(string(data), "probe") {
			t.Errorf("%s is %s", path, data)
		}
	}
	if err := unix.Sysinfo(&after); err != nil || after.Uptime < before.Uptime {
		t.Errorf("the host was up for %d s, now %d: %v", before.Uptime, after.Uptime, err)
	}
	if now, err := os.Hostname(); err != nil || now != host {
		t.Errorf("the host was called %s, now %s: %v", host, now, err)
	}
}

// TestClaimC7DiffersFromTheHostAsReviewed runs what ordinary programs ask of a kernel
// in a workspace, where the answers are a reviewed file, and as an ordinary user here.
func TestClaimC7DiffersFromTheHostAsReviewed(t *testing.T) {
	s := newSiege(t)
	s.besiege(t)
	inside := s.probe(t, "differential")
	cmd := exec.CommandContext(t.Context(), s.at("seed/probe"), "differential")
	cmd.Dir = "/"
	cmd.Env = []string{"TMPDIR=/tmp"}
	if os.Getuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		for _, path := range []string{s.dir, s.at("seed")} {
			if err := os.Chmod(path, 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	outside := findings(t, cmd)
	var lines []string
	for try, got := range inside {
		line := fmt.Sprintf("%-42s %-12s", try, got)
		if slices.Contains(sameOnEveryHost, try) {
			line += " " + outside[try]
		}
		lines = append(lines, strings.TrimRight(line, " "))
		if outside[try] != got {
			t.Logf("%-42s inside %-12s here %s", try, got, outside[try])
		}
	}
	slices.Sort(lines)
	golden(t, "differential.txt", lines)
	if len(outside) != len(inside) {
		t.Errorf("%d answers here, %d inside", len(outside), len(inside))
	}
}

// sameOnEveryHost are questions that each Linux of today answers alike. Those answers
// are reviewed too; others depend on file systems and on how a kernel was built.
var sameOnEveryHost = []string{
	"there is /proc/sentry-meminfo", "there is /proc/self/maps", "there is /proc/vmstat", "there is /proc/interrupts", "there is /proc/swaps",
	"there is /proc/stat", "there is /proc/cpuinfo", "there is /sys/class/net", "there is /dev/full", "process 1", "time goes on",
	"create and write", "rename without replacing", "file lock", "FIFO", "name of 256 bytes", "a child", "pidfd", "memfd", "eventfd", "epoll", "socket pair",
	"uname: system", "uname: same as /proc/version", "clone3 of nothing",
}

// TestClaimC13PrivilegesInsideGiveNothingOutside makes set-uid programs, file
// capabilities and namespaces.
func TestClaimC13PrivilegesInsideGiveNothingOutside(t *testing.T) {
	s := newSiege(t)
	s.plan.Files = s.canaries(t)
	s.besiege(t)
	golden(t, "privileges.txt", table(s.probe(t, "privileges")))
	found := s.probe(t, "userns")
	wantOnly(t, found, "canary ", nowhere...)
	wantOnly(t, found, "the agent, written", "EACCES", "EROFS") // as it is root's or not
	for try := range found {
		if strings.HasPrefix(try, "canary ") || try == "the agent, written" {
			delete(found, try)
		}
	}
	golden(t, "userns.txt", table(found))
	s.probe(t, "setuid")
	for _, program := range []string{"runsc-gofer", "runsc-sandbox"} {
		for _, m := range s.mounts(t, program) {
			if program == "runsc-gofer" && !(m.has("ro") && m.has("nosuid") && m.has("nodev")) || !m.has("ro") {
				t.Errorf("%s: %s is mounted %s", program, m.at, m.options)
			}
		}
	}
	s.ok(t, s.pyro, "workspace", "stop", s.id) // writes its disk
	for _, dir := range []string{s.at("s"), s.at("x"), s.at("r")} {
		_ = filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
			if err != nil {
				return nil // it has gone, or was never made
			}
			info, err := entry.Info()
			if err == nil && info.Mode()&(os.ModeSetuid|os.ModeSetgid|os.ModeDevice) != 0 {
				t.Errorf("%s: %v", path, info.Mode())
			}
			return nil
		})
	}
}
