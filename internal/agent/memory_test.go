package agent

import (
	"context"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/sys"
)

const mib = 1 << 20

func TestVictim(t *testing.T) {
	short, fine := memory{used: 1020 * mib, limit: 1024 * mib}, memory{used: 500 * mib, limit: 1024 * mib}
	for _, tt := range []struct {
		name string
		all  []group
		m    memory
		want int // leader; 0: none
	}{
		{"nothing runs", nil, short, 0},
		{"memory is not short", []group{{leader: 5, pages: 100}}, fine, 0},
		{"the biggest", []group{{leader: 5, pages: 100}, {leader: 6, pages: 300}, {leader: 7, pages: 200}}, short, 6},
		{"of equals the youngest", []group{{leader: 6, pages: 100}, {leader: 7, pages: 100}, {leader: 5, pages: 100}}, short, 7},
		{"one that holds nothing", []group{{leader: 5}}, short, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := victim(tt.all, tt.m, 1)
			if ok != (tt.want != 0) || ok && got.leader != tt.want {
				t.Errorf("got %+v, %v", got, ok)
			}
		})
	}
}

// Between the death of a command and the return of its memory, one that merely began
// at the wrong moment is left alone, and one that fills what is left is not.
func TestVictimWhileMemoryComesBack(t *testing.T) {
	m := memory{used: 1020 * mib, limit: 1024 * mib}
	pages := func(bytes int64) int { return int(bytes) / os.Getpagesize() }
	for _, tt := range []struct {
		name  string
		pages int
		since time.Duration
		want  bool
	}{
		{"small, at once", pages(mib), 0, false},
		{"big, at once", pages(m.margin()), 0, true},
		{"small, later", pages(mib), comingBack, true},
	} {
		if _, got := victim([]group{{leader: 5, pages: tt.pages}}, m, m.least(tt.since)); got != tt.want {
			t.Errorf("%s: killed is %v", tt.name, got)
		}
	}
}

func TestGroups(t *testing.T) {
	got := groups([]sys.Task{
		{PID: 1, Session: 1, Pages: 1000},
		{PID: 2, Session: 0, Pages: 5},
		{PID: 9, Parent: 1, Session: 9, Pages: 1000}, // the agent
		{PID: 10, Parent: 9, Session: 10, Pages: 3},
		{PID: 11, Parent: 10, Session: 10, Pages: 4},
		{PID: 12, Parent: 1, Session: 12, Pages: 9},
		{PID: 13, Parent: 9, Session: 10, Pages: 7, Ended: true},
		{PID: 14, Parent: 11, Session: 14, Pages: 1}, // left the session, but not its parent
		{PID: 15, Parent: 14, Session: 15, Pages: 1},
		{PID: 16, Parent: 17, Session: 16, Pages: 2}, // each the parent of the other
		{PID: 17, Parent: 16, Session: 16, Pages: 2},
	}, 9, func(leader int) bool { return leader == 10 })
	want := []group{
		{leader: 10, pages: 9, pids: []int{10, 11, 14, 15}},
		{leader: 12, pages: 9, pids: []int{12}},
		{leader: 16, pages: 4, pids: []int{16, 17}},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(group{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestMemoryPause(t *testing.T) {
	const limit = 4096 * mib
	last := slowestPoll
	for used := int64(0); used < 2*limit; used += limit / 64 {
		m := memory{used: used, limit: limit}
		p := m.pause()
		switch {
		case p > last:
			t.Errorf("with %d used the pause grows to %v", used, p)
		case p < fastestPoll || p > slowestPoll:
			t.Errorf("with %d used the pause is %v", used, p)
		case m.short() && p != fastestPoll:
			t.Errorf("memory is short and the pause is %v", p)
		}
		last = p
	}
}

func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		began := time.Now()
		const limit = 1024 * mib
		var struck time.Duration
		read := func() memory { // fills 256 MiB a second
			return memory{used: int64(time.Since(began).Seconds() * 256 * mib), limit: limit}
		}
		watch(ctx, read, func(m memory) {
			struck = time.Since(began)
			if m.used >= limit {
				t.Errorf("%d MiB were used before something was done", m.used/mib)
			}
			cancel()
		})
		if struck < 3*time.Second || struck > 4*time.Second {
			t.Errorf("something was done after %v", struck)
		}
	})
}

func TestParseMeminfo(t *testing.T) {
	good := "MemTotal:        2048 kB\nMemFree:          100 kB\nMemAvailable:     1024 kB\nHugePages_Total:       0\n"
	if used, err := parseMeminfo([]byte(good)); err != nil || used != mib {
		t.Errorf("used is %d, %v", used, err)
	}
	for _, bad := range []string{"", "MemTotal: 5 kB\n", "MemTotal: x kB\nMemAvailable: 1 kB\n", "MemTotal: 5\nMemAvailable: 1 kB\n"} {
		if used, err := parseMeminfo([]byte(bad)); err == nil {
			t.Errorf("%q gives %d", bad, used)
		}
	}
	if used, err := usedMemory(); err != nil || used <= 0 {
		t.Errorf("of this machine: %d, %v", used, err)
	}
}

func TestFamily(t *testing.T) {
	list := []sys.Task{
		{PID: 1},
		{PID: 10, Parent: 1, Group: 10, Session: 10},
		{PID: 11, Parent: 10, Group: 10, Session: 10},
		{PID: 12, Parent: 11, Group: 12, Session: 10},
		{PID: 13, Parent: 12, Group: 13, Session: 13},
		{PID: 14, Parent: 13, Group: 13, Session: 13},
		{PID: 15, Parent: 1, Group: 15, Session: 15}, // marked
		{PID: 16, Parent: 1, Group: 16, Session: 16},
		{PID: 17, Parent: 10, Group: 10, Session: 10, Ended: true},
		{PID: 18, Parent: 1, Group: 18, Session: 10},
		{PID: 19, Parent: 9, Group: 19, Session: 19}, // child of one known before
	}
	got := family(list, 10, map[int]bool{9: true}, func(pid int) bool { return pid == 15 })
	want := map[int]bool{10: true, 11: true, 12: true, 13: true, 14: true, 15: true, 18: true, 19: true}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestKillForMemoryIsReported(t *testing.T) {
	a := newAgent(testConfig(t))
	env, err := a.environment(nil)
	if err != nil {
		t.Fatal(err)
	}
	errs := newCapture(1000)
	end, err := a.run(t.Context(), command{argv: []string{"/bin/sh", "-c", "setsid sleep 3070 & sleep 3070"}, env: env}, newCapture(1000), errs, func(p *process) {
		go a.killForMemory(group{leader: p.pid})
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(ending{code: 137, reason: api.EndedByOOM}, end, cmp.AllowUnexported(ending{}), cmpopts.IgnoreFields(ending{}, "took")); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if errs.text() == "" {
		t.Error("stderr says nothing")
	}
	if !eventually(func() bool { return !alive("sleep 3070") }) {
		t.Error("some of it lives on")
	}
}

// An agent that is told a limit far above what is there leaves everybody alone.
func TestMemoryWatchLeavesOthersAlone(t *testing.T) {
	cfg := testConfig(t)
	cfg.MemMiB = 1 << 30
	if got := exec(t, serve(t, cfg), "echo on"); got.Stdout != "on\n" {
		t.Errorf("got %+v", got)
	}
}
