package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// helper is the process of a program of this siege's workspace.
func (s *siege) helper(t *testing.T, program string) process {
	t.Helper()
	var found []process
	for _, p := range s.processes(s.id) {
		if strings.HasPrefix(p.line, program+" ") {
			found = append(found, p)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d processes are %s: %v", len(found), program, found)
	}
	return found[0]
}

// proc reads a file of /proc/PID of a program of the workspace.
func (s *siege) proc(t *testing.T, program, name string) string {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", s.helper(t, program).pid, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// mounted is a line of mountinfo (proc_pid_mountinfo(5)).
type mounted struct{ from, at, options string }

func (m mounted) has(option string) bool {
	return slices.Contains(strings.Split(m.options, ","), option)
}

func (s *siege) mounts(t *testing.T, program string) []mounted {
	t.Helper()
	var list []mounted
	for line := range strings.Lines(s.proc(t, program, "mountinfo")) {
		f := strings.Fields(line)
		list = append(list, mounted{from: f[3], at: f[4], options: f[5]})
	}
	if list == nil {
		t.Fatalf("%s has no mounts", program)
	}
	return list
}

// posture describes what a process of the sandbox may do, without what differs from
// one run to the next.
func (s *siege) posture(t *testing.T, program string) []string {
	t.Helper()
	var lines []string
	say := func(format string, args ...any) { lines = append(lines, program+": "+fmt.Sprintf(format, args...)) }
	mapping := strings.Fields(s.proc(t, program, "uid_map"))
	if len(mapping) != 3 {
		t.Fatalf("uid_map: %q", mapping)
	}
	owner := "a user of its own"
	if mapping[1] == strconv.Itoa(os.Getuid()) {
		owner = "the caller"
	}
	say("root inside is %s, %s user mapped", owner, mapping[2])
	for line := range strings.Lines(s.proc(t, program, "status")) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		value = strings.Join(strings.Fields(value), " ")
		switch name {
		case "Uid", "Gid":
			say("%s is only that one: %v", name, value == strings.TrimSpace(strings.Repeat(mapping[1]+" ", 4)))
		case "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs":
			say("%s %s", name, value)
		}
	}
	say("seccomp of its threads: %s", s.seccomp(t, program))
	for _, ns := range []string{"cgroup", "ipc", "mnt", "net", "pid", "user", "uts"} {
		say("namespace %s: %s", ns, s.namespace(t, program, ns))
	}
	for _, kind := range s.descriptors(t, program) {
		say("descriptor %s", kind)
	}
	for entry := range strings.SplitSeq(strings.Trim(s.proc(t, program, "environ"), "\x00"), "\x00") {
		name, _, _ := strings.Cut(entry, "=")
		say("variable %q", name)
	}
	return lines
}

// seccomp names the modes of all threads.
func (s *siege) seccomp(t *testing.T, program string) string {
	t.Helper()
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", s.helper(t, program).pid))
	var modes []string
	for _, file := range files {
		data, _ := os.ReadFile(file) // a thread may have ended
		for line := range strings.Lines(string(data)) {
			if mode, ok := strings.CutPrefix(line, "Seccomp:"); ok {
				modes = append(modes, strings.TrimSpace(mode))
			}
		}
	}
	slices.Sort(modes)
	return strings.Join(slices.Compact(modes), " ")
}

func (s *siege) namespace(t *testing.T, program, ns string) string {
	t.Helper()
	theirs, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", s.helper(t, program).pid, ns))
	if err != nil {
		t.Fatal(err)
	}
	ours, err := os.Readlink("/proc/self/ns/" + ns)
	if err != nil {
		t.Fatal(err)
	}
	if theirs == ours {
		return "the host's"
	}
	return "its own"
}

// descriptors names the kinds of open descriptors, each with how it is open.
func (s *siege) descriptors(t *testing.T, program string) []string {
	t.Helper()
	dir := fmt.Sprintf("/proc/%d", s.helper(t, program).pid)
	links, _ := filepath.Glob(dir + "/fd/*")
	var kinds []string
	for _, link := range links {
		target, err := os.Readlink(link)
		if err != nil {
			continue // closed since
		}
		info, _ := os.ReadFile(dir + "/fdinfo/" + filepath.Base(link))
		_, flags, _ := strings.Cut(string(info), "flags:")
		flags, _, _ = strings.Cut(strings.TrimSpace(flags), "\n")
		kind := kindOf(s, target)
		if kind == "" {
			continue
		}
		if theirs, err := os.Stat(link); target == "/" && err == nil {
			root, err := os.Stat("/")
			if err != nil {
				t.Fatal(err)
			}
			kind = map[bool]string{true: "file / of the host", false: "file of its own /proc"}[os.SameFile(root, theirs)]
		}
		if strings.HasPrefix(kind, "file") {
			kind += map[byte]string{'0': ", for reading", '1': ", for writing", '2': ", for both"}[flags[len(flags)-1]]
		}
		kinds = append(kinds, kind)
	}
	slices.Sort(kinds)
	return slices.Compact(kinds)
}

// kindOf names what a descriptor is open to. It is "" for what Go's runtime reads of
// the cgroup, which not every machine has.
func kindOf(s *siege, target string) string {
	kind, _, special := strings.Cut(target, ":[")
	switch {
	case special:
		if kind == "anon_inode" {
			_, name, _ := strings.Cut(target, "[")
			return "anon_inode:" + strings.Trim(name, "[]")
		}
		return kind // socket, pipe
	case strings.HasPrefix(target, "anon_inode:"), strings.HasPrefix(target, "/memfd:"):
		name, _, _ := strings.Cut(target, " ")
		return name
	case strings.Contains(target, "/cpu.cfs_"), strings.HasSuffix(target, "/cpu.max"):
		return ""
	case target == "/root", strings.HasPrefix(target, "/root/"):
		return "file below the root of the guest"
	case strings.Contains(target, "/runsc-filestore-"):
		return "file of the writable layer"
	case strings.HasPrefix(target, s.dir+"/"), strings.HasPrefix(target, "/var/lib/pyro/"):
		return "file of the sandbox: " + filepath.Base(target)
	}
	return "file " + target
}

// TestClaimC8Posture looks at the live Sentry and its gofer from the host.
func TestClaimC8Posture(t *testing.T) {
	s := newSiege(t)
	s.besiege(t)
	s.inside(t, "true")
	name := "posture-rootless.txt"
	if os.Getuid() == 0 {
		name = "posture-root.txt"
	}
	golden(t, name, append(s.posture(t, "runsc-sandbox"), s.posture(t, "runsc-gofer")...))
}

// TestClaimC8NoDescriptorLeaks starts pyro with descriptors that are open to the host,
// in a directory of the host.
func TestClaimC8NoDescriptorLeaks(t *testing.T) {
	s := newSiege(t)
	canary := s.canary(t, s.dir)
	s.plan.Files = []string{canary}
	s.plan.write(t, s.at("seed/plan.json"))
	cmd := s.command(t, s.pyro, "workspace", "create", "host", "--id-only", "--seed-path", s.at("seed"))
	cmd.Dir = s.at("seed")
	for i := range 50 {
		f, err := os.Open([]string{canary, "/", s.dir}[i%3])
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = f.Close() }()
		cmd.ExtraFiles = append(cmd.ExtraFiles, f)
	}
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	s.id = strings.TrimSpace(string(out))
	s.learn()
	defer s.ok(t, s.pyro, "workspace", "delete", s.id)
	for _, program := range []string{"runsc-sandbox", "runsc-gofer", "pyro-runsc"} {
		links, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", s.helper(t, program).pid))
		for _, link := range append(links, fmt.Sprintf("/proc/%d/cwd", s.helper(t, program).pid)) {
			for _, path := range []string{canary, s.dir, s.at("seed")} {
				if target, err := os.Readlink(link); err == nil && target == path {
					t.Errorf("%s has %s open", program, path)
				}
			}
		}
	}
	want(t, s.probe(t, "channel"), "inherited descriptors", "0=/dev/null 1=pipe 2=pipe")
	want(t, s.probe(t, "files"), "the mark below every descriptor", "not found")
}
