package e2e

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// nowhere are the answers about something that is not there, or not to be had.
var nowhere = []string{"ENOENT", "ESRCH", "EPERM", "EACCES", "ENOTDIR", "ENOSYS", "ENOTSUP", "EINVAL", "not found"}

// TestClaimC1NoHostProcess looks for processes of the host by list and by number.
func TestClaimC1NoHostProcess(t *testing.T) {
	s := newSiege(t)
	victim := exec.CommandContext(t.Context(), "sleep", "1000")
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = victim.Process.Kill(), victim.Wait() })
	other := s.create(t, s.pyro)
	defer s.ok(t, s.pyro, "workspace", "delete", other)
	s.plan.PIDs = []int{victim.Process.Pid, os.Getpid()}
	for _, p := range s.processes(other) { // the supervisor and the sandbox of another workspace
		s.plan.PIDs = append(s.plan.PIDs, p.pid)
	}
	if len(s.plan.PIDs) < 4 {
		t.Fatalf("too few processes of pyro: %v", s.plan.PIDs)
	}
	s.besiege(t)
	found := s.probe(t, "processes")
	want(t, found, "programs that are seen", "probe pyro-agent")
	wantOnly(t, found, "process ", nowhere...)
	wantOnly(t, found, "kill -1", "ESRCH", "done")
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", victim.Process.Pid))
	if err != nil || strings.Contains(string(stat), ") Z ") { // a zombie can be signalled too
		t.Errorf("the process of the host is dead: %s, %v", stat, err)
	}
	for _, pid := range s.plan.PIDs[1:] {
		if err := syscall.Kill(pid, 0); err != nil {
			t.Errorf("process %d: %v", pid, err)
		}
	}
	s.inside(t, "true")
}

// canaries puts one into every directory that this user may write to.
func (s *siege) canaries(t *testing.T) []string {
	t.Helper()
	for _, own := range []string{"s", "r", "c"} {
		if err := os.MkdirAll(s.at(own), 0o711); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(s.at("s"), 0o700); err != nil { // pyro refuses any other
		t.Fatal(err)
	}
	var made []string
	for _, dir := range []string{"/", "/root", "/home", "/etc", "/var", "/var/tmp", "/var/lib", "/opt", "/srv", "/tmp", "/dev/shm", os.Getenv("HOME"), s.at("s"), s.at("r"), s.at("c")} {
		if path := s.canary(t, dir); path != "" {
			made = append(made, path)
		}
	}
	if len(made) < 5 {
		t.Fatalf("too few canaries: %v", made)
	}
	return made
}

// TestClaimC2NoHostFileIsRead reads canaries by every way that there is to name them.
func TestClaimC2NoHostFileIsRead(t *testing.T) {
	s := newSiege(t)
	s.plan.Files = append(s.canaries(t), "/etc/shadow", "/etc/machine-id", "/root/.bash_history")
	s.besiege(t)
	found := s.probe(t, "files")
	wantOnly(t, found, "", nowhere...)
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(s.inside(t, "sh", "-c", "cat /proc/sys/kernel/random/boot_id /etc/hostname /etc/passwd 2>&1; env"), strings.TrimSpace(string(boot))) {
		t.Error("the guest knows the host's boot id")
	}
	for _, path := range s.plan.Files[:len(s.plan.Files)-3] { // it was there all the time
		if data, err := os.ReadFile(path); err != nil || string(data) != s.mark+"\n" {
			t.Errorf("%s: %q, %v", path, data, err)
		}
	}
}

// fingerprint is all that a write could change of a file.
func fingerprint(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var st syscall.Stat_t
	if err := syscall.Lstat(path, &st); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s %x mode %o uid %d links %d modified %v changed %v", path, sha256.Sum256(data), st.Mode, st.Uid, st.Nlink, st.Mtim, st.Ctim)
}

// names lists directories of the host, without canaries of other tests.
func names(t *testing.T, dirs ...string) []string {
	t.Helper()
	var all []string
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			if !strings.HasPrefix(entry.Name(), ".pyro-canary") {
				all = append(all, filepath.Join(dir, entry.Name()))
			}
		}
	}
	return all
}

// TestClaimC3NothingOnTheHostIsWritten changes what the sandbox shows of the host in
// every way that there is, which mostly succeeds, and compares the host.
func TestClaimC3NothingOnTheHostIsWritten(t *testing.T) {
	s := newSiege(t)
	s.plan.Files = s.canaries(t)
	s.plan.Shown = []string{"/usr/bin/env", "/usr/bin/true", "/etc/ld.so.cache"}
	if path := s.canary(t, "/usr/local/share"); path != "" {
		s.plan.Shown = append(s.plan.Shown, path) // may be written by everybody, so that no owner protects it
	}
	s.plan.Places = []string{s.dir, "/root", "/home", "/etc", "/var/lib", "/var/tmp", "/tmp"}
	dirs := []string{"/usr", "/usr/bin", "/usr/lib", "/usr/local", "/usr/local/share", "/usr/local/bin"}
	watched := slices.Concat(s.plan.Shown, s.plan.Files)
	var before []string
	for _, path := range watched {
		before = append(before, fingerprint(t, path))
	}
	listed := names(t, dirs...)
	s.besiege(t)
	agent := s.agentDir(t)
	before = append(before, fingerprint(t, filepath.Join(agent, "pyro-agent")))
	watched = append(watched, filepath.Join(agent, "pyro-agent"))

	found := s.probe(t, "writes")
	wantOnly(t, found, "shown 1: written", "done") // in its own layer; else nothing was tried
	wantOnly(t, found, "the agent: ", "EROFS", "EACCES", "EPERM")
	for _, try := range []string{"remount ", "bind remount ", "umount ", "mount_setattr "} {
		wantOnly(t, found, try, "EPERM", "ENOSYS", "EINVAL")
	}
	s.ok(t, s.pyro, "workspace", "stop", s.id)
	for i, path := range watched {
		if after := fingerprint(t, path); after != before[i] {
			t.Errorf("changed:\n%s\n%s", before[i], after)
		}
	}
	if after := names(t, dirs...); !slices.Equal(after, listed) {
		t.Errorf("there was %d entries in %v, now %d", len(listed), dirs, len(after))
	}
	for _, dir := range append(s.plan.Places, agent) {
		if _, err := os.Lstat(filepath.Join(dir, "planted")); err == nil {
			t.Errorf("%s/planted is there", dir)
		}
	}
}

// agentDir is the directory that the gofer serves at /opt/pyro.
func (s *siege) agentDir(t *testing.T) string {
	t.Helper()
	for _, mount := range s.mounts(t, "runsc-gofer") {
		if mount.at == "/opt/pyro" {
			return mount.from
		}
	}
	t.Fatal("nothing is mounted at /opt/pyro")
	return ""
}
