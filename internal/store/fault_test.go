//go:build faultpoint

package store

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pyro-sandbox/pyro/internal/sys"
)

// striking runs a whole life in a process that is struck by the fault, and returns
// what it said and the points that it reached.
func striking(t *testing.T, base, fault string) (said string, points []string) {
	t.Helper()
	trace := filepath.Join(t.TempDir(), "trace")
	cmd := helperCommand(t, "live", base)
	cmd.Env = append(cmd.Env, "PYRO_FAULT="+fault, "PYRO_FAULT_TRACE="+trace)
	out, _ := cmd.CombinedOutput() // how it ends is what varies
	data, err := os.ReadFile(trace)
	if err != nil {
		t.Fatalf("no point was reached: %v: %s", err, out)
	}
	return string(out), strings.Fields(string(data))
}

// numbered tells repeated points apart: NAME#1, NAME#2, …
func numbered(points []string) []string {
	count := map[string]int{}
	var list []string
	for _, p := range points {
		count[p]++
		list = append(list, fmt.Sprintf("%s#%d", p, count[p]))
	}
	return list
}

// recoverAll does what the next command does, and checks that nothing is left.
func recoverAll(t *testing.T, base string) {
	t.Helper()
	s := openStore(t, testDirs(base))
	if err := s.Sweep(t.Context()); err != nil {
		t.Fatalf("Sweep: %v", err)
	}
	ids, err := s.IDs()
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		w, err := s.Lock(t.Context(), id)
		if err != nil {
			t.Fatalf("Lock: %v", err)
		}
		if err := w.Remove(t.Context()); err != nil {
			t.Fatalf("Remove: %v", err)
		}
	}
	checkClean(t, s)
}

func checkClean(t *testing.T, s *Store) {
	t.Helper()
	for _, dir := range []string{s.workspaces(), s.trash(), s.dirs.Run, s.dirs.Sandbox, s.dirs.UIDs} {
		checkEmpty(t, dir)
	}
	if groups, _ := filepath.Glob(filepath.Join(cgroupRoot, "*", cgroupParent, testID)); len(groups) > 0 {
		t.Errorf("cgroups are left: %q", groups)
	}
	if left := marked(filepath.Dir(s.dirs.State)); len(left) > 0 {
		t.Errorf("processes are left: %v", left)
	}
}

// marked returns the live processes that a test below base has started.
func marked(base string) []sys.Process {
	environs, _ := filepath.Glob("/proc/[0-9]*/environ")
	var found []sys.Process
	for _, path := range environs {
		env, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(env, []byte(markEnv+"="+base+"\x00")) {
			continue
		}
		var p sys.Process
		_, _ = fmt.Sscanf(path, "/proc/%d/environ", &p.PID)
		if p.Start, err = sys.ProcessStart(p.PID); err == nil && p.Alive() {
			found = append(found, p)
		}
	}
	return found
}

func TestKillAtEveryPoint(t *testing.T) {
	base := shortTemp(t)
	said, points := striking(t, base, "")
	if said != "" || len(points) < 30 {
		t.Fatalf("the whole life reached %d points and said %q", len(points), said)
	}
	checkClean(t, openStore(t, testDirs(base)))
	for _, point := range numbered(points) {
		if strings.HasPrefix(point, "ledger-write#") || strings.HasPrefix(point, "record-write#") {
			continue // these fail, they do not kill
		}
		t.Run(point, func(t *testing.T) {
			_, reached := striking(t, base, point+"=kill")
			if last := numbered(reached)[len(reached)-1]; last != point {
				t.Fatalf("it was to end at %s and ended at %s", point, last)
			}
			recoverAll(t, base)
		})
	}
}

// The reaper itself is killed, one run after the other, each a little later.
func TestKillTheReaper(t *testing.T) {
	base := shortTemp(t)
	_, _ = striking(t, base, "free-dir#1=kill")
	for _, point := range []string{
		"free-process", "freed-process", "free-cgroup", "freed-cgroup", "free-dir", "freed-dir",
		"reap-freed", "reap-forgotten", "remove-reaped", "remove-trashed",
	} {
		if strings.HasSuffix(point, "-cgroup") && testCgroup("") == "" {
			continue // live had none
		}
		trace := filepath.Join(t.TempDir(), "trace")
		cmd := helperCommand(t, "recover", base)
		cmd.Env = append(cmd.Env, "PYRO_FAULT="+point+"=kill", "PYRO_FAULT_TRACE="+trace)
		_ = cmd.Run()
		reached, err := os.ReadFile(trace)
		if err != nil || !strings.HasSuffix(string(reached), point+"\n") {
			t.Fatalf("it was to end at %s and ended after %q, %v", point, reached, err)
		}
	}
	recoverAll(t, base)
}

func TestFullDiskAtEveryWrite(t *testing.T) {
	base := shortTemp(t)
	_, points := striking(t, base, "")
	for _, point := range numbered(points) {
		if !strings.HasPrefix(point, "ledger-write#") && !strings.HasPrefix(point, "record-write#") {
			continue
		}
		t.Run(point, func(t *testing.T) {
			said, _ := striking(t, base, point+"=enospc")
			if !strings.Contains(said, "no space left") {
				t.Errorf("it said %q", said)
			}
			for _, p := range marked(base) { // refused by the ledger, so its starter's to end
				_ = p.Kill()
				_ = p.Wait(t.Context())
			}
			recoverAll(t, base)
		})
	}
}
