package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

// branches goes through everything that makes, uses and removes earlier states of a
// workspace, and copies of it.
func (p *place) branches(t *testing.T, pyro string) {
	t.Helper()
	id := p.try(t, pyro, "workspace", "create", "host", "--seed-path", p.project(t), "--id-only")
	if id == "" {
		return
	}
	p.try(t, pyro, "workspace", "snapshot", "create", id, "one")
	p.try(t, pyro, "workspace", "snapshot", "create", id, "two")
	p.try(t, pyro, "workspace", "reset", id, "--snapshot", "one")
	p.try(t, pyro, "workspace", "reset", id)
	p.try(t, pyro, "workspace", "fork", id, "-n", "2")
	p.try(t, pyro, "workspace", "snapshot", "delete", id, "two")
	p.try(t, pyro, "workspace", "stop", id)
	p.try(t, pyro, "workspace", "reset", id, "--snapshot", "one")
	p.try(t, pyro, "workspace", "stop", id)
	p.try(t, pyro, "workspace", "snapshot", "delete", id, "one")
	p.try(t, pyro, "workspace", "delete", id)
}

// twoStates makes a workspace in which two places of the disk say "new", with a snapshot
// in which both say "old", and stops it.
func (p *place) twoStates(t *testing.T, pyro string) (id string) {
	t.Helper()
	id = p.create(t, pyro)
	write := func(text string) {
		p.ok(t, pyro, "workspace", "exec", id, "--", "sh", "-c", "echo "+text+" | tee /opt/there > here")
	}
	write("old")
	p.ok(t, pyro, "workspace", "snapshot", "create", id, "one")
	write("new")
	p.ok(t, pyro, "workspace", "stop", id)
	return id
}

// pointsAfterStart are the points that a command about a workspace of two states comes by,
// each with how often the start of its supervisor had come by it before.
func pointsAfterStart(t *testing.T, pyro, struck string, args ...string) map[string]int {
	t.Helper()
	p := newPlace(t)
	id := p.twoStates(t, pyro)
	traced := p.withFault("")
	traced.ok(t, struck, "workspace", "start", id)
	before := p.points(t)
	traced.ok(t, struck, of(id, args)...)
	points := make(map[string]int)
	for point, times := range p.points(t) {
		if times > before[point] {
			points[point] = before[point]
		}
	}
	p.wantRight(t, pyro)
	return points
}

// points counts those in the trace.
func (p *place) points(t *testing.T) map[string]int {
	t.Helper()
	data, err := os.ReadFile(p.at("trace"))
	if err != nil {
		t.Fatal(err)
	}
	counts := make(map[string]int)
	for _, name := range strings.Fields(string(data)) {
		counts[name]++
	}
	return counts
}

// awaitPoint waits until a point was come by so many times, and whoever is killed there is
// gone.
func (p *place) awaitPoint(t *testing.T, point string, times int) {
	t.Helper()
	missing := awaitFor(patience, func() string {
		if p.points(t)[point] >= times && len(p.processes(" supervise ")) == 0 {
			return ""
		}
		return "nobody was killed at " + point
	})
	if missing != "" {
		t.Error(missing)
	}
}

// of is a command about a workspace, in which ID stands for that.
func of(id string, args []string) []string {
	words := []string{"workspace"}
	for _, word := range args {
		words = append(words, strings.ReplaceAll(word, "ID", id))
	}
	return words
}

// ofResets begin the names of the points that only a reset comes by, and those around the
// replacement of the record. TestFaultPoints has the others.
var ofResets = regexp.MustCompile("^(reset-[dpr]|record-[ab]|image-borrowed|part|second)")

// TestResetIsWholeOrNotAtAll kills the supervisor at the points of a reset. Whatever is
// there then is all old or all new, the record agrees, and it can be reset again.
func TestResetIsWholeOrNotAtAll(t *testing.T) {
	pyro := binary(t)
	requireSandboxes(t, pyro)
	struck := faulty(t)
	reset := []string{"reset", "ID", "--snapshot", "one"}
	points := pointsAfterStart(t, pyro, struck, reset...)
	points["part-freed"], points["part-forgotten"] = 0, 0 // behind the answer, perhaps not yet in the trace
	for point, before := range points {
		if !ofResets.MatchString(point) {
			continue
		}
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			id := p.twoStates(t, pyro)
			hit := p.withFault(fmt.Sprintf("%s#%d=kill", point, before+1))
			hit.ok(t, struck, "workspace", "start", id)
			p.try(t, pyro, of(id, reset)...)
			p.awaitPoint(t, point, before+1) // some come behind the answer
			p.wantOneState(t, pyro, id)
			p.wantRight(t, pyro)
		})
	}
}

// wantOneState wants the disk of a workspace to be wholly from before a reset, or after.
func (p *place) wantOneState(t *testing.T, pyro, id string) {
	t.Helper()
	p.ok(t, pyro, "workspace", "start", id) // it may run
	there := p.ok(t, pyro, "workspace", "exec", id, "--", "cat", "/workspace/here", "/opt/there")
	var now struct {
		ResetCount int `json:"reset_count"`
	}
	if err := json.Unmarshal([]byte(p.ok(t, pyro, "workspace", "status", id, "--json")), &now); err != nil {
		t.Fatal(err)
	}
	want := map[int]string{0: "new\nnew", 1: "old\nold"}[now.ResetCount]
	if there != want {
		t.Errorf("after %d resets the disk says %q, want %q", now.ResetCount, there, want)
	}
	p.ok(t, pyro, "workspace", "reset", id, "--snapshot", "one")
	if again := p.ok(t, pyro, "workspace", "exec", id, "--", "cat", "/workspace/here", "/opt/there"); again != "old\nold" {
		t.Errorf("after another reset the disk says %q", again)
	}
}

// TestStatesOnAFullDisk makes writes fail as on a full disk: the error says so, and
// everything is as it was.
func TestStatesOnAFullDisk(t *testing.T) {
	pyro := binary(t)
	requireSandboxes(t, pyro)
	struck := faulty(t)
	for _, args := range [][]string{
		{"snapshot", "create", "ID", "two"},
		{"snapshot", "delete", "ID", "one"},
		{"reset", "ID", "--snapshot", "one"},
		{"fork", "ID"},
	} {
		points := pointsAfterStart(t, pyro, struck, args...)
		for _, point := range []string{"ledger-write", "record-write", "snapshot-write", "image-borrow", "reset-write"} {
			before, hit := points[point]
			if !hit {
				continue
			}
			t.Run(args[0]+" "+point, func(t *testing.T) {
				t.Parallel()
				p := newPlace(t)
				id := p.twoStates(t, pyro)
				full := p.withFault(fmt.Sprintf("%s#%d=enospc", point, before+1))
				full.ok(t, struck, "workspace", "start", id)
				out, err := full.command(t, struck, of(id, args)...).CombinedOutput()
				if err == nil || !strings.Contains(string(out), "[error] ") || !strings.Contains(string(out), "no space left") {
					t.Errorf("%v: %s", err, out)
				}
				p.wantOneState(t, pyro, id) // with its snapshot
				p.wantRight(t, pyro)
			})
		}
	}
}
