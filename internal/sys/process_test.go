//go:build linux

package sys_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/pyro-sandbox/pyro/internal/sys"
)

func processOf(t *testing.T, cmd *exec.Cmd) sys.Process {
	t.Helper()
	start, err := sys.ProcessStart(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	return sys.Process{PID: cmd.Process.Pid, Start: start}
}

func TestKillNeverTouchesAStranger(t *testing.T) {
	p := processOf(t, helper(t, "wait", nil))
	stranger := sys.Process{PID: p.PID, Start: p.Start + 1}
	if err := stranger.Kill(); err != nil {
		t.Fatalf("Kill with another start time: %v", err)
	}
	if err := stranger.Wait(t.Context()); err != nil {
		t.Fatalf("Wait with another start time: %v", err)
	}
	if stranger.Alive() || !p.Alive() {
		t.Fatalf("alive: stranger %v, process %v", stranger.Alive(), p.Alive())
	}
}

func TestKillAndWait(t *testing.T) {
	cmd := helper(t, "wait", nil)
	p := processOf(t, cmd)
	if !slices.Contains(sys.ChildrenOf(os.Getpid()), p) {
		t.Errorf("ChildrenOf lacks %v", p)
	}
	gone := make(chan error, 1)
	go func() { gone <- p.Wait(t.Context()) }() // ends with the process
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := <-gone; err != nil {
		t.Fatalf("Wait: %v", err)
	}
	if p.Alive() {
		t.Error("a process without a parent's wait is called alive")
	}
	_ = cmd.Wait()
	if err := p.Kill(); err != nil {
		t.Errorf("Kill of what is gone: %v", err)
	}
	if err := p.Wait(t.Context()); err != nil {
		t.Errorf("Wait for what is gone: %v", err)
	}
	if _, err := sys.ProcessStart(p.PID); !errors.Is(err, sys.ErrNoProcess) {
		t.Errorf("ProcessStart = %v, want ErrNoProcess", err)
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	p := processOf(t, helper(t, "wait", nil))
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := make(chan error, 1)
	go func() { gone <- p.Wait(ctx) }() // ends with ctx
	cancel(why)
	if err := <-gone; !errors.Is(err, why) {
		t.Fatalf("Wait = %v, want %v", err, why)
	}
	if err := p.Wait(ctx); !errors.Is(err, why) {
		t.Fatalf("Wait with an ended context = %v, want %v", err, why)
	}
}

func TestReap(t *testing.T) {
	cmd := helper(t, "wait", nil)
	p := processOf(t, cmd)
	p.Reap() // still runs: nothing to take
	if !p.Alive() {
		t.Fatal("Reap ended the process")
	}
	if err := errors.Join(p.Kill(), p.Wait(t.Context())); err != nil {
		t.Fatal(err)
	}
	p.Reap()
	_ = cmd.Process.Release() // its Wait finds no child and would leave the descriptor to the collector
	if _, err := sys.ProcessStart(p.PID); !errors.Is(err, sys.ErrNoProcess) {
		t.Fatalf("after Reap: ProcessStart = %v, want ErrNoProcess", err)
	}
}

func TestOrphansAreAdoptedAndReaped(t *testing.T) {
	helper(t, "adopt", nil)
}

func TestBootID(t *testing.T) {
	one, err := sys.BootID()
	if err != nil {
		t.Fatal(err)
	}
	two, err := sys.BootID()
	if err != nil || one != two || len(one) != 36 || strings.TrimSpace(one) != one {
		t.Fatalf("BootID = %q, then %q, %v", one, two, err)
	}
}

func TestMountsAt(t *testing.T) {
	at, err := sys.MountsAt("/proc")
	if err != nil || !slices.Contains(at, "/proc") {
		t.Fatalf("MountsAt(/proc) = %v, %v", at, err)
	}
	all, err := sys.MountsAt("/")
	if err != nil || len(all) <= len(at) {
		t.Fatalf("MountsAt(/) = %v, %v", all, err)
	}
	if at, err = sys.MountsAt("/pro"); err != nil || len(at) > 0 {
		t.Fatalf("MountsAt(/pro) = %v, %v: the start of a name is no directory", at, err)
	}
}
