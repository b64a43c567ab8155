package hostcompat_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/pyro-sandbox/pyro/internal/enginetest"
	"github.com/pyro-sandbox/pyro/internal/sys"
)

// brood is a shell line that starts sleepers in every way to get out of sight that a
// command has, and says in its first line who its agent is.
func brood(duration string) string {
	return strings.ReplaceAll("setsid sleep N >/dev/null & (setsid sleep N >/dev/null &); nohup sleep N >/dev/null 2>&1 & "+
		`(setsid sh -c "setsid sleep N & exit" >/dev/null &); while [ $(pgrep -cfx "sleep N") -lt 4 ]; do sleep 0.01; done; `, "N", duration)
}

// stripped adds one without an environment.
func stripped(duration string) string {
	return fmt.Sprintf(`(env -i setsid sleep %s >/dev/null &); while [ $(pgrep -cfx "sleep %[1]s") -lt 5 ]; do sleep 0.01; done; `, duration)
}

func gone(t *testing.T, duration string) {
	t.Helper()
	if !eventually(func() bool { return len(sleepers(duration)) == 0 }) {
		t.Errorf("processes %v are left", sleepers(duration))
	}
}

func TestStopEndsAllThatWasStarted(t *testing.T) {
	box, _ := start(t)
	duration := seconds(t)
	enginetest.Shell(t, box, brood(duration)+stripped(duration))
	if n := len(sleepers(duration)); n != 5 {
		t.Fatalf("%d sleepers run after their command", n)
	}
	if err := box.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left := sleepers(duration); len(left) > 0 { // at once
		t.Errorf("processes %v are left", left)
	}
}

func TestSupervisorKilled(t *testing.T) {
	duration := seconds(t)
	s, agent := startSupervisor(t, shortTemp(t), brood(duration)+stripped(duration)+"echo $PPID; exec sleep "+duration)
	s.kill()
	gone(t, duration)
	if !eventually(func() bool { return !runs(t, agent) }) {
		t.Errorf("the agent, process %s, runs", agent)
	}
}

func runs(t *testing.T, pid string) bool {
	t.Helper()
	n, err := strconv.Atoi(pid)
	if err != nil {
		t.Fatal(err)
	}
	start, err := sys.ProcessStart(n)
	return err == nil && sys.Process{PID: n, Start: start}.Alive() // not one that nobody has asked how it ended
}

func TestAgentKilled(t *testing.T) {
	duration := seconds(t)
	s, agent := startSupervisor(t, shortTemp(t), brood(duration)+"echo $PPID; exec sleep "+duration)
	signal(t, agent, syscall.SIGKILL)
	if got := s.order(t, "wait"); got != "{Code:137 Reason:sandbox_lost}" {
		t.Errorf("the sandbox ended as %s", got)
	}
	if left := sleepers(duration); len(left) > 0 { // at once
		t.Errorf("processes %v are left", left)
	}
}

// With both of its keepers gone, a command ends by the kernel's hand.
func TestSupervisorAndAgentKilled(t *testing.T) {
	duration := seconds(t)
	s, agent := startSupervisor(t, shortTemp(t), "echo $PPID; exec sleep "+duration)
	signal(t, agent, syscall.SIGSTOP) // so that it does not see the supervisor's end
	s.kill()
	signal(t, agent, syscall.SIGKILL)
	gone(t, duration)
}

func signal(t *testing.T, pid string, sig syscall.Signal) {
	t.Helper()
	n, err := strconv.Atoi(pid)
	if err == nil {
		err = syscall.Kill(n, sig)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// An agent that hangs does not see its supervisor's end. What the ledger knows is
// enough to end it with all its commands.
func TestReaperEndsHungAgent(t *testing.T) {
	dir, duration := shortTemp(t), seconds(t)
	s, agent := startSupervisor(t, dir, brood(duration)+stripped(duration)+"echo $PPID; exec sleep "+duration)
	signal(t, agent, syscall.SIGSTOP)
	s.kill()
	st, err := openStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	held, err := st.Lock(t.Context(), testID)
	if err != nil {
		t.Fatal(err)
	}
	if err := held.Remove(t.Context()); err != nil {
		t.Error(err)
	}
	if left := sleepers(duration); len(left) > 0 || runs(t, agent) {
		t.Errorf("processes %v are left, agent: %v", left, runs(t, agent))
	}
}

// A bystander has the name of a command, its variables, the mark among them, and the
// group and session of nobody; it came from somebody else.
func TestBystandersAreLeftAlone(t *testing.T) {
	for _, end := range []string{"cancel", "stop", "agent killed", "killed"} {
		t.Run(end, func(t *testing.T) {
			duration, other := seconds(t), seconds(t)
			s, said := startSupervisor(t, shortTemp(t), brood(duration)+"echo $PPID $PYRO_EXEC_ID; sleep "+duration)
			agent, mark, _ := strings.Cut(said, " ")
			bystander := startBystander(t, other, mark)
			switch end {
			case "cancel":
				if got := s.order(t, end); got != "done" {
					t.Fatal(got)
				}
				gone(t, duration)
				if got := s.order(t, "stop"); got != "done" {
					t.Fatal(got)
				}
			case "stop":
				if got := s.order(t, end); got != "done" {
					t.Fatal(got)
				}
			case "agent killed":
				signal(t, agent, syscall.SIGKILL)
			case "killed":
				s.kill()
			}
			gone(t, duration)
			if got := sleepers(other); len(got) != 1 || got[0] != bystander {
				t.Errorf("of the bystander %d are left %v", bystander, got)
			}
		})
	}
}

func startBystander(t *testing.T, duration, mark string) int {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cmd := exec.CommandContext(ctx, "sleep", duration)
	cmd.Env = append(os.Environ(), "PYRO_EXEC_ID="+mark)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait()
	})
	return cmd.Process.Pid
}
