package store

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
)

// promise is what the store has said about a workspace.
type promise struct {
	volatile bool
	record   string     // "": none yet
	entries  []Resource // in its ledger
}

// world is what has been promised, by id.
type world map[string]promise

// history is a sequence of operations and what was promised after each.
type history struct {
	t      *testing.T
	store  *Store
	disk   *crashDisk
	random *rand.Rand
	held   map[string]*Workspace
	now    world
	worlds []world
	ends   []int // steps of the disk after each operation
	did    map[string]int

	careless bool // nothing is synced
}

func newHistory(t *testing.T, seed uint64) *history {
	t.Helper()
	s, disk := openStore(t, testDirs(memoryTemp(t))), &crashDisk{}
	s.disk, s.boot = disk, func() (string, error) { return "before", nil }
	return &history{
		t: t, store: s, disk: disk, random: rand.New(rand.NewPCG(seed, 0)),
		held: map[string]*Workspace{}, now: world{}, worlds: []world{{}}, ends: []int{0}, did: map[string]int{},
	}
}

// memoryTemp is a temporary directory on no disk where the machine has such a place:
// some ten thousand images are written to it.
func memoryTemp(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "pyro")
	if err != nil {
		return shortTemp(t)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// do is one operation; what it promises holds once it has returned.
func (h *history) do(name string, operate func() error) {
	h.t.Helper()
	if err := operate(); err != nil {
		h.t.Fatalf("%s: %v", name, err)
	}
	h.did[name]++
	h.worlds, h.ends = append(h.worlds, maps.Clone(h.now)), append(h.ends, len(h.disk.steps))
}

func (h *history) create(id string, volatile bool) {
	h.do("create", func() (err error) {
		make := h.store.Create
		if volatile {
			make = h.store.CreateVolatile
		}
		h.held[id], err = make(id)
		h.now[id] = promise{volatile: volatile}
		if err == nil && h.careless {
			h.held[id].survive, h.held[id].ledger.survive = processDeath, processDeath
		}
		return err
	})
}

func (h *history) write(id string) {
	h.do("write", func() error {
		p := h.now[id]
		p.record = fmt.Sprintf(`{"id":%q,"n":%d,"pad":%q}`, id, len(h.ends), bytes.Repeat([]byte{'p'}, h.random.IntN(2500)))
		h.now[id] = p
		return h.held[id].WriteRecord([]byte(p.record))
	})
}

func (h *history) acquire(id string) {
	h.do("acquire", func() error {
		p := h.now[id]
		r := Resource{Kind: KindProcess, PID: 1<<30 + len(h.ends), Start: 1, BootID: "before"} // none has this number
		if h.random.IntN(3) > 0 {
			path := fmt.Sprintf("%s/%d%s", h.store.RunDir(id), len(h.ends), bytes.Repeat([]byte{'p'}, h.random.IntN(900)))
			r = Resource{Kind: KindDir, Path: path, BootID: "before"}
		}
		p.entries = append(slices.Clip(p.entries), r)
		h.now[id] = p
		return h.held[id].Ledger().Acquire(r)
	})
}

func (h *history) remove(id string) {
	h.do("bury", func() error { return h.held[id].WriteEpitaph([]byte(`{"id":"` + id + `"}`)) })
	h.do("remove", func() error {
		delete(h.now, id)
		return h.held[id].Remove(h.t.Context())
	})
	delete(h.held, id)
}

// relock is what the next process does that changes a stopped workspace.
func (h *history) relock(id string) {
	h.do("lock", func() error {
		err := h.held[id].Unlock()
		if err == nil {
			h.held[id], err = h.store.Lock(h.t.Context(), id)
		}
		return err
	})
}

const (
	bystander = "ffffffffffff" // is made first and then left alone
	ephemeral = "eeeeeeeeeeee" // lasts no longer than a boot, each time that it is made
)

// live does so many operations on a few workspaces.
func (h *history) live(count int) {
	h.create(bystander, false)
	h.write(bystander)
	h.acquire(bystander)
	ids := []string{"000000000001", "000000000002", ephemeral}
	for len(h.ends) <= count {
		id := ids[h.random.IntN(len(ids))]
		if h.held[id] == nil {
			h.create(id, id == ephemeral)
			continue
		}
		switch n := h.random.IntN(20); {
		case n < 9:
			h.write(id)
		case n < 17:
			h.acquire(id)
		case n < 18:
			h.relock(id)
		default:
			h.remove(id)
		}
	}
	for _, w := range h.held {
		h.t.Cleanup(func() { _ = w.Unlock() })
	}
}
