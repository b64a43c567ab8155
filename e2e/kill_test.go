package e2e

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/testgate"
)

// victims are the processes of a running workspace, by their command lines.
var victims = map[string]string{
	"supervisor":  " supervise ",
	"pyro-runsc":  "pyro-runsc --stage",
	"the Sentry":  "runsc-sandbox",
	"the gofer":   "runsc-gofer",
	"the command": "", // the CLI itself
}

// requireSandboxes skips a test on a machine where none runs.
func requireSandboxes(t *testing.T, pyro string) {
	t.Helper()
	p := newPlace(t)
	cmd := p.command(t, pyro, "run", "host", "--", "true")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Logf("%s", out)
	}
	testgate.Require(t, testgate.GVisor, err)
}

// slowCommand prints a line, so that one knows that it runs, and then sleeps.
var slowCommand = []string{"--timeout-seconds", "1000", "--", "sh", "-c", "echo ready; sleep 1000"}

// startSlow starts pyro with a slow command and returns when that runs.
func (p *place) startSlow(t *testing.T, pyro string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := p.command(t, pyro, append(args, slowCommand...)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatalf("%q, %v: %s", line, err, stderr.String())
	}
	return cmd
}

func (p *place) kill(t *testing.T, victim string, cli *exec.Cmd) {
	t.Helper()
	pid := cli.Process.Pid
	if pattern := victims[victim]; pattern != "" {
		found := p.processes(pattern)
		if len(found) != 1 {
			t.Fatalf("%d processes are %s: %v", len(found), victim, found)
		}
		pid = found[0].pid
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// TestKillInRun kills each process of a one-shot run in the middle of its command.
// Nothing is left, and where pyro itself survives it says what happened; where it
// was the supervisor, the next command cleans up.
func TestKillInRun(t *testing.T) {
	pyro := binary(t)
	requireSandboxes(t, pyro)
	for victim := range victims {
		t.Run(victim, func(t *testing.T) {
			p := newPlace(t)
			cli := p.startSlow(t, pyro, "run", "host")
			p.learn()
			p.kill(t, victim, cli)
			if err := cli.Wait(); err == nil {
				t.Error("the run ended with success")
			}
			if victim == "supervisor" {
				p.ok(t, pyro, "workspace", "list")
			}
			p.wantNothing(t)
		})
	}
}

// TestKillInWorkspace kills each process of a workspace in the middle of a command.
// The workspace stays, unless only the command was killed it is stopped and says
// why, and deleting it leaves nothing.
func TestKillInWorkspace(t *testing.T) {
	pyro := binary(t)
	requireSandboxes(t, pyro)
	for victim, reason := range map[string]string{
		"supervisor": "supervisor_lost", "pyro-runsc": "sandbox_lost", "the Sentry": "sandbox_lost", "the gofer": "sandbox_lost", "the command": "",
	} {
		t.Run(victim, func(t *testing.T) {
			p := newPlace(t)
			id := p.create(t, pyro)
			cli := p.startSlow(t, pyro, "workspace", "exec", id)
			p.kill(t, victim, cli)
			if err := cli.Wait(); err == nil {
				t.Error("the command ended with success")
			}
			p.wantState(t, pyro, id, reason)
			if reason == "" { // the workspace works, and the command is gone from it
				p.ok(t, pyro, "workspace", "exec", id, "--", "sh", "-c", `while grep -qs "sleep.10""00" /proc/[0-9]*/cmdline; do sleep 0.05; done`)
			}
			p.ok(t, pyro, "workspace", "delete", id)
			p.wantNothing(t)
		})
	}
}

// wantState waits until a workspace is stopped for a reason, or started for none.
func (p *place) wantState(t *testing.T, pyro, id, reason string) {
	t.Helper()
	seen := p.await(func() string {
		var ws api.Workspace
		out := p.ok(t, pyro, "workspace", "status", id, "--json")
		if err := json.Unmarshal([]byte(out), &ws); err != nil {
			t.Fatal(err)
		}
		stopped := ws.State == api.StateStopped && ws.Reason != nil && *ws.Reason == reason
		if stopped || reason == "" && ws.State == api.StateStarted {
			return ""
		}
		return out
	})
	if seen != "" {
		t.Errorf("want reason %q, got %s", reason, seen)
	}
}

// TestGarbageRecord breaks one workspace's record. It is listed as broken, others
// work, and it can be deleted.
func TestGarbageRecord(t *testing.T) {
	pyro := binary(t)
	requireSandboxes(t, pyro)
	p := newPlace(t)
	broken, whole := p.create(t, pyro), p.create(t, pyro)
	p.killSupervisor(t, broken)
	if err := os.WriteFile(p.at("s/workspaces/"+broken+"/record.json"), []byte("\x00garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	list := p.ok(t, pyro, "workspace", "list")
	if !strings.Contains(list, "workspace_id="+broken+" state=broken") || !strings.Contains(list, "workspace_id="+whole+" state=started") {
		t.Errorf("list: %s", list)
	}
	p.ok(t, pyro, "workspace", "exec", whole, "--", "true")
	for _, id := range []string{broken, whole} {
		p.ok(t, pyro, "workspace", "delete", id)
	}
	p.wantNothing(t)
}

// TestManyAtOnce creates twenty workspaces together and runs fifty commands together
// in one of them.
func TestManyAtOnce(t *testing.T) {
	pyro := binary(t)
	requireSandboxes(t, pyro)
	p := newPlace(t)
	ids := make([]string, 20)
	together(len(ids), func(i int) { ids[i] = p.ok(t, pyro, "workspace", "create", "host", "--id-only") })
	p.learn()
	together(50, func(i int) {
		word := strings.Repeat("x", i+1)
		if got := p.ok(t, pyro, "workspace", "exec", ids[0], "--", "echo", word); got != word {
			t.Errorf("command %d printed %q", i, got)
		}
	})
	together(len(ids), func(i int) { p.ok(t, pyro, "workspace", "delete", ids[i]) })
	p.wantNothing(t)
}
