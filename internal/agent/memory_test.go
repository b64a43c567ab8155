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
	got := groups([]task{
		{pid: 1, session: 1, pages: 1000},
		{pid: 2, session: 0, pages: 5},
		{pid: 9, parent: 1, session: 9, pages: 1000}, // the agent
		{pid: 10, parent: 9, session: 10, pages: 3},
		{pid: 11, parent: 10, session: 10, pages: 4},
		{pid: 12, parent: 1, session: 12, pages: 9},
		{pid: 13, parent: 9, session: 10, pages: 7, ended: true},
		{pid: 14, parent: 11, session: 14, pages: 1}, // left the session, but not its parent
		{pid: 15, parent: 14, session: 15, pages: 1},
		{pid: 16, parent: 17, session: 16, pages: 2}, // each the parent of the other
		{pid: 17, parent: 16, session: 16, pages: 2},
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

func TestParseStat(t *testing.T) {
	tail := " 10 20 30 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 99 4096000 123 18446744073709551615 1 1"
	for _, tt := range []struct {
		stat string
		want task
		ok   bool
	}{
		{"42 (sh) S" + tail, task{pid: 42, parent: 10, group: 20, session: 30, pages: 123}, true},
		{"42 (a) Z b (c) Z" + tail, task{pid: 42, parent: 10, group: 20, session: 30, pages: 123, ended: true}, true},
		{"42 () \n) R" + tail, task{pid: 42, parent: 10, group: 20, session: 30, pages: 123}, true},
		{"", task{}, false},
		{"42 (sh) S 1 2", task{}, false},
		{"42 sh S" + tail, task{}, false},
	} {
		got, ok := parseStat([]byte(tt.stat))
		if ok != tt.ok || got != tt.want {
			t.Errorf("%q: got %+v, %v", tt.stat, got, ok)
		}
	}
	found := false
	for _, p := range tasks() {
		found = found || p.pid == os.Getpid() && p.parent == os.Getppid() && p.pages > 0
	}
	if !found {
		t.Error("the test itself is not in the process table")
	}
}

func TestFamily(t *testing.T) {
	list := []task{
		{pid: 1},
		{pid: 10, parent: 1, group: 10, session: 10},
		{pid: 11, parent: 10, group: 10, session: 10},
		{pid: 12, parent: 11, group: 12, session: 10},
		{pid: 13, parent: 12, group: 13, session: 13},
		{pid: 14, parent: 13, group: 13, session: 13},
		{pid: 15, parent: 1, group: 15, session: 15}, // marked
		{pid: 16, parent: 1, group: 16, session: 16},
		{pid: 17, parent: 10, group: 10, session: 10, ended: true},
		{pid: 18, parent: 1, group: 18, session: 10},
		{pid: 19, parent: 9, group: 19, session: 19}, // child of one known before
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
