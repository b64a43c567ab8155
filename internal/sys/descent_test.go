//go:build linux

package sys_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/pyro-sandbox/pyro/internal/sys"
)

// patience is for a machine on which much else runs; it is asserted nowhere.
const patience = time.Minute

// tree starts a child and an orphan, adopts the latter, and stays until its stdin ends.
func tree(out *bufio.Writer) error {
	if err := sys.SetSubreaper(); err != nil {
		return err
	}
	if _, err := startHelper("wait", nil); err != nil {
		return err
	}
	cmd, err := startHelper("orphan", sys.OwnSession)
	if err != nil {
		return err
	}
	if err := cmd.Wait(); err != nil {
		return err
	}
	_, _ = out.WriteString("ready\n")
	if err := out.Flush(); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

func TestDescendantsAreNoStrangers(t *testing.T) {
	stranger := processOf(t, helper(t, "wait", nil))
	p := processOf(t, helper(t, "tree", nil))
	kin := p.Descendants()
	if len(kin) != 2 || slices.Contains(kin, stranger) || slices.Contains(kin, p) {
		t.Errorf("descendants of %v: %v", p, kin)
	}
	self, err := sys.Self()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range append(kin, p, stranger) {
		if !slices.Contains(self.Descendants(), want) {
			t.Errorf("%v is not known to descend from this process", want)
		}
	}
	for name, other := range map[string]sys.Process{"without children": stranger, "of the same number": {PID: p.PID, Start: p.Start + 1}} {
		if kin := other.Descendants(); len(kin) > 0 {
			t.Errorf("descendants of a process %s: %v", name, kin)
		}
	}
	for _, d := range kin {
		_ = d.Kill()
	}
}

func TestKillDescendantsSparesTheRest(t *testing.T) {
	stranger := processOf(t, helper(t, "wait", nil))
	p := processOf(t, helper(t, "tree", nil))
	kin := p.Descendants()
	if err := p.KillDescendants(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	for _, d := range kin {
		if d.Alive() {
			t.Errorf("%v is alive", d)
		}
	}
	if !p.Alive() || !stranger.Alive() {
		t.Errorf("alive: ancestor %v, stranger %v", p.Alive(), stranger.Alive())
	}
}

func TestKillTree(t *testing.T) {
	cmd := helper(t, "tree", nil)
	p := processOf(t, cmd)
	kin := p.Descendants()
	deadline := time.Now().Add(patience)
	other := sys.Process{PID: p.PID, Start: p.Start + 1}
	if err := other.KillTree(deadline); err != nil || !p.Alive() || len(p.Descendants()) != len(kin) {
		t.Fatalf("KillTree with another start time: %v, left %v", err, p.Descendants())
	}
	if err := p.KillTree(deadline); err != nil {
		t.Fatal(err)
	}
	for _, d := range kin {
		if d.Alive() {
			t.Errorf("%v is alive", d)
		}
	}
	if err := cmd.Wait(); err == nil {
		t.Error("the process was not killed")
	}
	if err := p.KillTree(deadline); err != nil {
		t.Errorf("KillTree of what is gone: %v", err)
	}
}

func TestPauseLetsGoWhatItStopped(t *testing.T) {
	p := processOf(t, helper(t, "tree", nil))
	kin := p.Descendants()
	deadline := time.Now().Add(patience)
	before, err := os.FindProcess(kin[0].PID)
	if err != nil {
		t.Fatal(err)
	}
	if err := before.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for ticker := time.NewTicker(time.Millisecond); states(t, kin[:1]) != "T" && time.Now().Before(deadline); {
		<-ticker.C // a signal needs a moment to arrive
	}
	resume, err := p.Pause(deadline)
	if err != nil {
		t.Fatal(err)
	}
	if got := states(t, kin); got != "TT" {
		t.Errorf("paused, they are in the states %s", got)
	}
	resume()
	if got := states(t, kin); got[0] != 'T' || got[1] == 'T' {
		t.Errorf("afterwards they are in the states %s, the first was stopped before", got)
	}
	if states(t, []sys.Process{p}) == "T" {
		t.Error("the ancestor was stopped")
	}
	if err := p.KillDescendants(deadline); err != nil {
		t.Error(err)
	}
}

// states are the letters of the processes' states.
func states(t *testing.T, list []sys.Process) (letters string) {
	t.Helper()
	for _, p := range list {
		out, err := exec.CommandContext(t.Context(), "ps", "-o", "state=", "-p", fmt.Sprint(p.PID)).Output()
		if err != nil {
			t.Fatal(err)
		}
		letters += string(out[0])
	}
	return letters
}
