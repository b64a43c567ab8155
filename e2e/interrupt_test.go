package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/pyro-sandbox/pyro/api"
)

// bigTree makes a tree that takes long to send and little to keep: nearly all of it
// is a hole.
func (p *place) bigTree(t *testing.T) string {
	t.Helper()
	p.write(t, "big/a", "pushed\n")
	p.write(t, "big/hole", "")
	if err := os.Truncate(p.at("big/hole"), 4<<30); err != nil {
		t.Fatal(err)
	}
	return p.at("big")
}

// startSending starts pyro with a command that sends a tree, and returns when it is
// in the middle of that.
func (p *place) startSending(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if seen := p.await(func() string {
		counts, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", cmd.Process.Pid))
		if err != nil {
			return err.Error()
		}
		var read int64
		_, _ = fmt.Sscanf(string(counts), "rchar: %d", &read)
		if read > 2<<20 { // far more than a program reads of itself and of /proc
			return ""
		}
		return fmt.Sprint(read, " bytes are read")
	}); seen != "" {
		t.Error(seen)
	}
}

// struck are the ways in which a command line ends before its work is done, and the
// exit code that a shell sees, -1 for none.
var struck = map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143, syscall.SIGKILL: -1}

// TestCreateEndsInTheMiddleOfItsSeed wants nothing to be left of a workspace whose
// seed did not arrive.
func TestCreateEndsInTheMiddleOfItsSeed(t *testing.T) {
	pyro := binary(t)
	requireSandboxes(t, pyro)
	for signal, code := range struck {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			cmd := p.command(t, pyro, "workspace", "create", "host", "--seed-path", p.bigTree(t))
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			p.startSending(t, cmd)
			p.learn()
			p.strike(t, cmd, signal, code)
			if code >= 0 && !strings.Contains(out.String(), "[error] workspace-create: ended by ") {
				t.Errorf("it says %q", out.String())
			}
			p.wantNothing(t)
		})
	}
}

// strike sends a signal to a command line and wants it to end with a code.
func (p *place) strike(t *testing.T, cmd *exec.Cmd, signal syscall.Signal, code int) {
	t.Helper()
	if err := cmd.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if got := cmd.ProcessState.ExitCode(); got != code {
		t.Errorf("ended with %d, want %d", got, code)
	}
}

// TestPushEndsInTheMiddle wants a workspace to be as it was, and its disk too, when
// a push did not arrive as a whole.
func TestPushEndsInTheMiddle(t *testing.T) {
	pyro := binary(t)
	requireSandboxes(t, pyro)
	for signal, code := range struck {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			id := p.create(t, pyro, "--seed-path", p.project(t))
			look := func() string {
				return p.ok(t, pyro, "workspace", "exec", id, "--", "sh", "-c", "cat a b; ls -lA --full-time /workspace / /tmp /var /opt | grep -v -e ' proc$' -e ' pyro$'") // the agent's directory is the machine's
			}
			before := look()
			cmd := p.command(t, pyro, "workspace", "sync", "push", id, p.bigTree(t))
			p.startSending(t, cmd)
			p.strike(t, cmd, signal, code)
			if seen := p.await(func() string {
				if now := look(); now != before {
					return now
				}
				return ""
			}); seen != "" {
				t.Errorf("it was\n%s\nand is\n%s", before, seen)
			}
			p.ok(t, pyro, "workspace", "sync", "push", id, p.at("big"), "--exclude", "hole")
			if got := p.ok(t, pyro, "workspace", "exec", id, "--", "cat", "a"); got != "pushed" {
				t.Errorf("the next push brought %q", got)
			}
			p.wantRight(t, pyro)
		})
	}
}

// TestTwoPushesAtOnce pushes two trees from two processes, to one place.
func TestTwoPushesAtOnce(t *testing.T) {
	t.Parallel()
	pyro := binary(t)
	requireSandboxes(t, pyro)
	p := newPlace(t)
	const trees, files = 2, 300
	for i := range trees {
		for n := range files {
			p.write(t, fmt.Sprintf("tree%d/dir%d/%d-%d", i, n%7, i, n), "text\n")
		}
	}
	id := p.create(t, pyro)
	together(trees, func(i int) { p.ok(t, pyro, "workspace", "sync", "push", id, p.at(fmt.Sprint("tree", i))) })
	if got := p.ok(t, pyro, "workspace", "exec", id, "--", "sh", "-c", "find . -type f | wc -l"); got != fmt.Sprint(trees*files) {
		t.Errorf("%s files are there, want %d", got, trees*files)
	}
	p.wantRight(t, pyro)
}

// lastLog is the newest entry of a workspace's history.
func (p *place) lastLog(t *testing.T, pyro, id string) api.LogEntry {
	t.Helper()
	var logs api.WorkspaceLogs
	out := p.ok(t, pyro, "workspace", "logs", id, "--last", "1", "--json")
	if err := json.Unmarshal([]byte(out), &logs); err != nil || len(logs.Entries) != 1 {
		t.Fatalf("%v: %s", err, out)
	}
	return logs.Entries[0]
}

// TestHistoryOfAKilledClient wants the history to tell how a command ended that
// nobody waited for any more.
func TestHistoryOfAKilledClient(t *testing.T) {
	t.Parallel()
	pyro := binary(t)
	requireSandboxes(t, pyro)
	p := newPlace(t)
	id := p.create(t, pyro)
	cmd := p.startSlow(t, pyro, "workspace", "exec", id)
	p.strike(t, cmd, syscall.SIGKILL, -1)
	if seen := p.await(func() string {
		e := p.lastLog(t, pyro, id)
		if e.ExitCode == -int(syscall.SIGKILL) && e.Stdout == "ready\n" && e.DurationMS > 0 {
			return ""
		}
		return fmt.Sprintf("%+v", e)
	}); seen != "" {
		t.Errorf("the history says %s", seen)
	}
	p.wantRight(t, pyro)
}

// TestStopWhileACommandRuns wants the command to end with an error that says where
// to look, and its output so far to be in the history.
func TestStopWhileACommandRuns(t *testing.T) {
	t.Parallel()
	pyro := binary(t)
	requireSandboxes(t, pyro)
	p := newPlace(t)
	id := p.create(t, pyro)
	cmd := p.startSlow(t, pyro, "workspace", "exec", id)
	p.ok(t, pyro, "workspace", "stop", id)
	_ = cmd.Wait()
	if said := fmt.Sprint(cmd.Stderr); cmd.ProcessState.ExitCode() != 1 || !strings.Contains(said, "[error] ") || !strings.Contains(said, "[hint] ") {
		t.Errorf("the command ended with %d and says %q", cmd.ProcessState.ExitCode(), said)
	}
	p.wantState(t, pyro, id, "explicit_stop")
	if e := p.lastLog(t, pyro, id); e.ExitCode == 0 || e.Stdout != "ready\n" {
		t.Errorf("the history says %+v", e)
	}
	p.wantRight(t, pyro)
}

// TestDoctorFixesAKilledSupervisor wants what its supervisor left to be freed, and
// the workspace to be kept.
func TestDoctorFixesAKilledSupervisor(t *testing.T) {
	t.Parallel()
	pyro := binary(t)
	requireSandboxes(t, pyro)
	p := newPlace(t)
	id := p.create(t, pyro, "--seed-path", p.project(t))
	p.killSupervisor(t, id)
	if got := p.ok(t, pyro, "doctor", "--fix"); !strings.Contains(got, "- sandbox of workspace "+id+", whose supervisor was killed") {
		t.Errorf("doctor says %s", got)
	}
	if left := p.processes("runsc"); len(left)+len(p.cgroups()) > 0 {
		t.Errorf("there is still %v %v", left, p.cgroups())
	}
	p.wantState(t, pyro, id, "supervisor_lost")
	p.ok(t, pyro, "workspace", "start", id)
	if got := p.ok(t, pyro, "workspace", "exec", id, "--", "cat", "a"); got != "seed" {
		t.Errorf("the workspace came back with %q", got)
	}
	p.wantRight(t, pyro)
}
