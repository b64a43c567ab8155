package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/pyro-sandbox/pyro/api"
)

// greedy is a workspace whose commands take all they can get. What is in it bounds the
// test where no limits are enforced: as an ordinary user, without cgroups, nothing but
// the counts in the commands themselves keeps them from the machine's memory.
type greedy struct {
	*place
	pyro string
	id   string
}

func newGreedy(t *testing.T, pyro string) *greedy {
	t.Helper()
	g := &greedy{place: newPlace(t), pyro: pyro}
	g.id = g.ok(t, pyro, "workspace", "create", "host", "--id-only")
	g.learn()
	return g
}

// shell runs a line inside and returns how it ended, and the end of what it said. Only
// the deadline of go test is above the command's own.
func (g *greedy) shell(t *testing.T, seconds int, line string) (code int, said string) {
	t.Helper()
	cmd := g.command(t, g.pyro, "workspace", "exec", g.id, "--timeout-seconds", strconv.Itoa(seconds), "--", "bash", "-c", line)
	var out tail
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode(), out.String()
	} else if err != nil {
		t.Fatal(err)
	}
	return 0, out.String()
}

// tail keeps the last of what is written to it.
type tail struct{ bytes.Buffer }

// Write implements io.Writer.
func (w *tail) Write(p []byte) (int, error) {
	const most = 4096
	_, _ = w.Buffer.Write(p[max(0, len(p)-most):])
	if over := w.Len() - most; over > 0 {
		w.Next(over)
	}
	return len(p), nil
}

// lives wants the workspace to be as usable as before.
func (g *greedy) lives(t *testing.T) {
	t.Helper()
	if code, said := g.shell(t, 60, "echo alive >/tmp/alive && cat /tmp/alive"); code != 0 || !strings.HasPrefix(said, "alive\n") {
		t.Errorf("the next command ended with %d: %s", code, said)
	}
}

// end deletes it and wants nothing to be left.
func (g *greedy) end(t *testing.T) {
	t.Helper()
	g.ok(t, g.pyro, "workspace", "delete", g.id)
	g.wantNothing(t)
}

// supervisorMiB is the resident memory of the supervisor.
func (g *greedy) supervisorMiB(t *testing.T) int {
	t.Helper()
	found := g.processes(" supervise " + g.id)
	if len(found) != 1 {
		t.Fatalf("supervisors: %v", found)
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", found[0].pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		var kib int
		if n, _ := fmt.Sscanf(line, "VmRSS: %d kB", &kib); n == 1 {
			return kib >> 10
		}
	}
	t.Fatalf("no VmRSS in %s", status)
	return 0
}

// stored is what the workspace has in its place on the host: files, and the bytes of
// what pyro itself wrote, the disk apart.
func (g *greedy) stored(t *testing.T) (files int, bytes int64) {
	t.Helper()
	own := g.at("s/workspaces/" + g.id)
	err := filepath.WalkDir(g.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // what vanishes meanwhile does not count
		}
		files++
		if info, err := entry.Info(); err == nil && filepath.Dir(path) == own {
			bytes += info.Size()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files, bytes
}

// TestExhaustion lets commands take all they can: of processes, descriptors, files,
// output, processors. They fail inside or are ended; the workspace works afterwards, and
// what the host holds for it stays within bounds.
func TestExhaustion(t *testing.T) {
	pyro := binary(t)
	requireSandboxes(t, pyro)
	g := newGreedy(t, pyro)
	for _, c := range []struct {
		name string
		test func(*testing.T, *greedy)
	}{
		{"39 fork bomb", forkBomb},
		{"42 files without end", fileFlood},
		{"43 processors", spin},
		{"44 descriptors", descriptorFlood},
		{"46 output without end", outputFlood},
		{"tiny pieces both ways", tinyPieces},
	} {
		t.Run(c.name, func(t *testing.T) {
			files, _ := g.stored(t)
			c.test(t, g)
			g.lives(t)
			if now, own := g.stored(t); now > files+10 || own > 16<<20 {
				t.Errorf("%d files on the host, before %d; %d bytes of the workspace's own", now, files, own)
			}
			if rss := g.supervisorMiB(t); rss > 128 {
				t.Errorf("the supervisor has %d MiB", rss)
			}
		})
	}
	g.end(t)
}

// forkBomb ends at the limit of processes, which is the guest's own and holds without
// cgroups too. A smaller one than the workspace's is reached sooner.
func forkBomb(t *testing.T, g *greedy) {
	code, said := g.shell(t, 40, `ulimit -u 100 && exec sh -c 'mkfifo /tmp/f; n=0
while { read x </tmp/f; } & do n=$((n+1)); [ $n -lt 1000 ] || exit 77; done'`)
	if code == 77 || code == 0 || !strings.Contains(said, "fork") {
		t.Errorf("1,000 processes where 100 are allowed: ended with %d: %s", code, said)
	}
	if code, said := g.shell(t, 20, "[ $(ulimit -u) -le 4096 ] && ! ulimit -Hu 100000"); code != 0 {
		t.Errorf("the limit can be raised: %d, %s", code, said)
	}
}

// fileFlood makes 50,000 empty files, which are none on the host. They are in the memory
// of the Sentry, about 3 kB each, and so bounded by the limit of memory where that is
// enforced; without, only the count in this command spares the machine.
func fileFlood(t *testing.T, g *greedy) {
	code, said := g.shell(t, 60, "mkdir /tmp/files && cd /tmp/files && seq 50000 | xargs touch && ls | wc -l && cd / && rm -rf /tmp/files")
	if code != 0 || !strings.HasPrefix(said, "50000\n") {
		t.Errorf("ended with %d: %s", code, said)
	}
}

func spin(t *testing.T, g *greedy) {
	code, said := g.shell(t, 3, "for i in $(seq 64); do while :; do :; done & done; wait")
	if code != 124 {
		t.Errorf("ended with %d: %s", code, said)
	}
}

func descriptorFlood(t *testing.T, g *greedy) {
	code, said := g.shell(t, 60, `ulimit -n 20000; for i in $(seq 30000); do exec {fd}</dev/null || exit 9; done; echo never`)
	if code == 0 || strings.Contains(said, "never") {
		t.Errorf("ended with %d: %s", code, said)
	}
}

// outputFlood prints for some seconds, streamed and captured. It can be killed, and the
// history has what it may have.
func outputFlood(t *testing.T, g *greedy) {
	if code, said := g.shell(t, 2, "yes"); code != 124 {
		t.Errorf("streamed: ended with %d: %.100q", code, said)
	}
	cmd := g.command(t, g.pyro, "workspace", "exec", g.id, "--json", "--timeout-seconds", "2", "--", "yes")
	var out bytes.Buffer
	cmd.Stdout = &out
	_ = cmd.Run()
	var result api.WorkspaceExec
	if err := json.Unmarshal(out.Bytes(), &result); err != nil || result.ExitCode != 124 || !result.StdoutTruncated {
		t.Errorf("captured: %v, exit code %d, cut %t", err, result.ExitCode, result.StdoutTruncated)
	}
	flood := g.command(t, g.pyro, "workspace", "exec", g.id, "--timeout-seconds", "600", "--", "yes")
	some, err := flood.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := flood.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(io.Discard, some, 1<<20); err != nil {
		t.Error(err)
	}
	if err := flood.Process.Signal(os.Interrupt); err != nil {
		t.Error(err)
	}
	_, _ = io.Copy(io.Discard, some) // until it has ended
	if err := flood.Wait(); err == nil {
		t.Error("an interrupted flood ended with success")
	}
	if info, err := os.Stat(g.at("s/workspaces/" + g.id + "/supervisor.log")); err == nil && info.Size() > 64<<10 {
		t.Errorf("supervisor.log has %d bytes", info.Size())
	}
}

// tinyPieces sends single bytes through a command that answers with single bytes.
func tinyPieces(t *testing.T, g *greedy) {
	const count = 10_000
	cmd := g.command(t, g.pyro, "workspace", "exec", g.id, "-i", "--timeout-seconds", "100", "--", "dd", "bs=1", "status=none")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for i := range count {
		if _, err := in.Write([]byte{byte(i)}); err != nil {
			t.Fatal(err)
		}
	}
	_ = in.Close()
	if err := cmd.Wait(); err != nil || out.Len() != count {
		t.Errorf("%d bytes came back, %v", out.Len(), err)
	}
}

// TestCreateStorm asks for many more workspaces at once than are allowed. Each is there
// or refused, none is half made.
func TestCreateStorm(t *testing.T) {
	pyro := binary(t)
	requireSandboxes(t, pyro)
	p := newPlace(t)
	const asked, allowed = 24, 6
	p.env = append(p.env, "PYRO_CAPACITY="+strconv.Itoa(allowed))
	var made atomic.Int32
	together(asked, func(int) {
		out, err := p.command(t, pyro, "workspace", "create", "host", "--id-only").CombinedOutput()
		switch {
		case err == nil:
			made.Add(1)
		case !strings.Contains(string(out), "as many workspaces run as are allowed"):
			t.Errorf("%v: %s", err, out)
		}
	})
	p.learn()
	if n := made.Load(); n > allowed {
		t.Errorf("%d were made, allowed are %d", n, allowed)
	}
	var list api.WorkspaceList
	if err := json.Unmarshal([]byte(p.ok(t, pyro, "workspace", "list", "--json")), &list); err != nil {
		t.Fatal(err)
	}
	if len(list.Workspaces) != int(made.Load()) {
		t.Errorf("%d were made, %d are listed", made.Load(), len(list.Workspaces))
	}
	for _, ws := range list.Workspaces {
		if ws.State != api.StateStarted {
			t.Errorf("%s is %s", ws.WorkspaceID, ws.State)
		}
		p.ok(t, pyro, "workspace", "delete", ws.WorkspaceID)
	}
	p.ok(t, pyro, "run", "host", "--", "true") // there is room again
	p.wantNothing(t)
}
