package e2e

import (
	"bufio"
	"errors"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestClaimC9WorkspacesAreApart lets one workspace show itself in every way, and
// another look for it.
func TestClaimC9WorkspacesAreApart(t *testing.T) {
	s := newSiege(t)
	s.besiege(t)
	other := s.create(t, s.pyro, "--seed-path", s.at("seed"))
	s.learn()
	defer s.ok(t, s.pyro, "workspace", "delete", other)
	beacon := s.command(t, s.pyro, "workspace", "exec", s.id, "-i", "--timeout-seconds", "100", "--", "/workspace/probe", "beacon")
	in, err := beacon.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := beacon.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := beacon.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("%q, %v", line, err)
	}
	wantOnly(t, s.probe(t, "seek"), "", "done") // else nothing can be concluded
	there := *s
	there.id = other
	wantOnly(t, there.probe(t, "seek"), "", "ENOENT", "ECONNREFUSED")
	if err := errors.Join(in.Close(), beacon.Wait()); err != nil {
		t.Error(err)
	}
	if os.Getuid() == 0 && s.proc(t, "runsc-sandbox", "uid_map") == there.proc(t, "runsc-sandbox", "uid_map") {
		t.Error("two sandboxes have the same user")
	}
	for _, ns := range []string{"net", "ipc", "mnt", "pid", "user"} {
		if s.nsOf(t, ns) == there.nsOf(t, ns) {
			t.Errorf("two sandboxes share a namespace: %s", ns)
		}
	}
}

func (s *siege) nsOf(t *testing.T, ns string) string {
	t.Helper()
	link, err := os.Readlink("/proc/" + strconv.Itoa(s.helper(t, "runsc-sandbox").pid) + "/ns/" + ns)
	if err != nil {
		t.Fatal(err)
	}
	return link
}

// TestClaimC10ChannelGivesNoWayOut looks at what a command has of the agent's channel,
// and then attacks the agent: that workspace is lost, and nothing else.
func TestClaimC10ChannelGivesNoWayOut(t *testing.T) {
	s := newSiege(t)
	other := s.create(t, s.pyro)
	s.besiege(t)
	defer s.ok(t, s.pyro, "workspace", "delete", other)
	found := s.probe(t, "channel")
	want(t, found, "inherited descriptors", "0=/dev/null 1=pipe 2=pipe")
	want(t, found, "descriptors of process 1", "host:4 socket:0")
	for _, try := range []string{"ptrace attach", "ptrace seize", "pidfd_getfd", "the channel opened by /proc", "its memory read", "its memory written"} {
		wantOnly(t, found, try, "EPERM", "EACCES", "ENXIO", "EIO")
	}
	for _, attack := range []string{"hijack", "stop"} { // what root may do to its own agent
		victim := *s
		victim.id = s.create(t, s.pyro, "--seed-path", s.at("seed"))
		attacking := s.command(t, s.pyro, "workspace", "exec", victim.id, "--timeout-seconds", "5", "--", "/workspace/probe", attack)
		if err := attacking.Start(); err != nil {
			t.Fatal(err)
		}
		s.ok(t, s.pyro, "workspace", "exec", other, "--", "true")
		time.AfterFunc(3*time.Second, func() { _ = attacking.Process.Kill() }) // the answer may not come
		_ = attacking.Wait()
		s.ok(t, s.pyro, "workspace", "exec", s.id, "--", "true")
		s.ok(t, s.pyro, "workspace", "delete", victim.id)
	}
}

// TestClaimC11LimitsHold uses up all that there is, and tries to raise it before.
func TestClaimC11LimitsHold(t *testing.T) {
	s := newSiege(t)
	s.besiege(t, "--disk-mib", "64", "--mem-mib", "512")
	found := s.probe(t, "limits")
	for _, try := range []string{"more ", "core ", "a bigger "} {
		wantOnly(t, found, try, "EPERM")
	}
	for _, place := range []string{"/run/filled", "/dev/shm/filled", "/workspace/filled"} {
		got, why, _ := strings.Cut(s.inside(t, "/workspace/probe", "fill", place, "200"), " ")
		if n, err := strconv.Atoi(got); err != nil || n < 16 || n > 64 || why != "ENOSPC" {
			t.Errorf("%s: %s MiB, then %s", place, got, why)
		}
		s.inside(t, "rm", place)
	}
	out, err := s.command(t, s.pyro, "workspace", "exec", s.id, "--", "/workspace/probe", "threads", "3000").CombinedOutput()
	had := regexp.MustCompile(`have (\d+) already`).FindSubmatch(out)
	if had == nil || err == nil {
		t.Fatalf("3000 processes could be started: %v, %.300s", err, out)
	}
	if n, err := strconv.Atoi(string(had[1])); err != nil || n < 100 || n > 1100 { // 1024, and what the agent leaves of its own
		t.Errorf("%s processes could be started", had[1])
	}
	for _, tc := range []struct {
		what string
		code int
		args []string
		says string
	}{
		{"memory", 137, []string{"--", "/workspace/probe", "eat", "2000"}, `"reason": "oom"`},
		{"time", 124, []string{"--timeout-seconds", "1", "--", "sleep", "100"}, `"exit_code": 124`},
		{"output", 0, []string{"--", "head", "-c", "20000000", "/dev/zero"}, `"stdout_truncated": true`},
	} {
		cmd := s.command(t, s.pyro, append([]string{"workspace", "exec", s.id, "--json"}, tc.args...)...)
		out, err := cmd.Output()
		if code := cmd.ProcessState.ExitCode(); code != tc.code || !strings.Contains(string(out), tc.says) {
			t.Errorf("%s: exit code %d, %v: %.300s", tc.what, code, err, out)
		}
	}
	s.inside(t, "true")
}

// TestClaimC12NoVariableArrives gives pyro an environment with canaries in it.
func TestClaimC12NoVariableArrives(t *testing.T) {
	s := newSiege(t)
	for _, name := range []string{
		"PYRO_CANARY", "PYRO_NETWORK_POLICY", "MCPGODEBUG", "AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "HTTP_PROXY", "https_proxy", "LD_PRELOAD",
		"SSH_AUTH_SOCK", "GVISOR_CANARY", "RUNSC_CANARY", "BASH_ENV", "LANG", "LC_ALL",
	} {
		s.env = append(s.env, name+"="+s.mark)
	}
	s.env = append(s.env, "GODEBUG=canary="+s.mark)
	s.besiege(t)
	found := s.probe(t, "environment")
	want(t, found, "variables", "HOME LANG PATH PWD PYRO_EXEC_ID")
	for _, where := range []string{"environments", "command lines"} {
		want(t, found, "the mark in the "+where+" of all processes", "not found")
	}
	wantOnly(t, found, "the mark in the memory of process 1", "EACCES", "not found")
	all := s.processes(s.id)
	if len(all) < 4 {
		t.Fatalf("too few processes: %v", all)
	}
	for _, p := range all {
		data, err := os.ReadFile("/proc/" + strconv.Itoa(p.pid) + "/environ")
		if err != nil || strings.Contains(string(data), s.mark) && !strings.Contains(p.line, " supervise ") {
			t.Errorf("%s has the host's variables: %v", p, err)
		}
	}
}
