package store

import (
	"bytes"
	"errors"
	"fmt"
	"hash/maphash"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pyro-sandbox/pyro/api"
)

// tree is all that a disk holds: files by path, and directories by path and slash.
type tree map[string][]byte

var treeSeed = maphash.MakeSeed()

func (t tree) sum() uint64 {
	var h maphash.Hash
	h.SetSeed(treeSeed)
	for _, path := range slices.Sorted(maps.Keys(t)) {
		_, _ = h.WriteString(path)
		_ = h.WriteByte(0)
		_, _ = h.Write(t[path])
		_ = h.WriteByte(0)
	}
	return h.Sum64()
}

// trees yields what the whole disk may hold after a power cut at this moment: for each
// state of the names, all unsynced data missing and all there, and each unsynced
// file in every other condition beside these two. With each comes the name of that
// file, "" for none.
func (p *platter) trees() iter.Seq2[tree, string] {
	return func(yield func(tree, string) bool) {
		for _, names := range p.views() {
			missing, there := tree{}, tree{}
			var dirty []string
			for path, b := range names {
				if b.dir {
					path += "/"
				} else if !bytes.Equal(b.safe, b.seen) {
					dirty = append(dirty, path)
				}
				missing[path], there[path] = b.safe, b.seen
			}
			if !yield(missing, "") || !yield(there, "") {
				return
			}
			slices.Sort(dirty)
			for _, path := range dirty {
				for image := range names[path].images() {
					for _, others := range []tree{missing, there} {
						one := maps.Clone(others)
						one[path] = image
						if !yield(one, filepath.Base(path)) {
							return
						}
					}
				}
			}
		}
	}
}

// place changes the real disk from one tree into another.
func (t tree) place(from tree) error {
	for _, path := range slices.Backward(slices.Sorted(maps.Keys(from))) {
		// A file is made anew, not truncated: some file systems go to the disk for that.
		if data, stays := t[path]; !stays || !bytes.Equal(data, from[path]) {
			if err := os.Remove(path); err != nil {
				return err
			}
		}
	}
	for _, path := range slices.Sorted(maps.Keys(t)) {
		old, there := from[path]
		var err error
		switch isDir := strings.HasSuffix(path, "/"); {
		case isDir && !there:
			err = os.Mkdir(path, 0o700)
		case !isDir && (!there || !bytes.Equal(old, t[path])):
			err = os.WriteFile(path, t[path], 0o600)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// crash is an image of some moment, what was promised before the operation that was
// under way, and what that was about to promise.
type crash struct {
	image         tree
	sum           uint64
	torn          string // the file that is neither old nor new, see trees
	before, after world
}

// crashes yields every image of every moment, but once for each number of operations
// that were done: where none was under way more is promised, and that comes first.
func (h *history) crashes(yield func(crash) bool) {
	type moment struct {
		sum  uint64
		done int
	}
	p, seen, done := newPlatter(), map[moment]bool{}, 0
	for n := range len(h.disk.steps) + 1 {
		if n > 0 {
			h.disk.steps[n-1](p)
		}
		for done+1 < len(h.ends) && h.ends[done+1] <= n {
			done++
		}
		before, after := h.worlds[done], h.worlds[done]
		if n > h.ends[done] {
			after = h.worlds[done+1]
		}
		for image, torn := range p.trees() {
			now := moment{image.sum(), done}
			if !seen[now] && !yield(crash{image, now.sum, torn, before, after}) {
				return
			}
			seen[now] = true
		}
	}
}

// crashed is the real disk after power cuts.
type crashed struct {
	t     *testing.T
	store *Store
	holds tree
}

// check puts an image in place and opens the store as the next process does.
func (c *crashed) check(k crash) error {
	if err := k.image.place(c.holds); err != nil {
		c.t.Fatal(err)
	}
	c.holds = k.image
	s, before, after := c.store, k.before, k.after
	found, err := s.IDs()
	if err != nil {
		return err
	}
	for _, id := range found {
		if err := checkFound(s, id, before, after); err != nil {
			return fmt.Errorf("%s: %w", id, err)
		}
	}
	for id := range before {
		_, stays := after[id]
		if stays && !before[id].volatile && !slices.Contains(found, id) {
			return fmt.Errorf("%s is lost", id)
		}
	}
	if k.torn != "" && k.torn != bootName {
		return nil // a sweep looks into no other file
	}
	left, err := checkSweep(c.t, s, before, after)
	c.holds = k.image.swept(s, found, left)
	return err
}

// swept is what is left of a tree after a sweep that found so many and left some.
func (t tree) swept(s *Store, found, left []string) tree {
	rest := maps.Clone(t)
	gone := []string{s.trash() + "/"}
	for _, id := range found {
		if !slices.Contains(left, id) {
			gone = append(gone, s.Path(id)+"/")
		}
	}
	maps.DeleteFunc(rest, func(path string, _ []byte) bool {
		return slices.ContainsFunc(gone, func(dir string) bool { return strings.HasPrefix(path, dir) })
	})
	return rest
}

// checkFound reads what there is of a workspace.
func checkFound(s *Store, id string, before, after world) error {
	was, is := before[id]
	will, stays := after[id]
	if !is && !stays && id != ephemeral {
		return errors.New("it was removed, or never made")
	}
	record, err := s.Read(id)
	entries, wrong := readLedger(filepath.Join(s.Path(id), ledgerName))
	if id == ephemeral {
		return nil // it is swept; its removal waits for no disk, so it may be back
	}
	switch {
	case errors.Is(err, api.NotFound) && was.record == "":
	case err != nil:
		return err
	case string(record) != was.record && (!stays || string(record) != will.record):
		return fmt.Errorf("its record is %.60s", record)
	}
	for _, r := range was.entries {
		if stays && !r.mortal() && !slices.Contains(entries, r) {
			return fmt.Errorf("%v is lost", r)
		}
	}
	for _, r := range entries {
		if !slices.Contains(was.entries, r) && !slices.Contains(will.entries, r) {
			return fmt.Errorf("%v was never entered", r)
		}
	}
	return wrong
}

// checkSweep sweeps, and wants to find the workspaces with a record that last longer
// than a boot, and nothing else.
func checkSweep(t *testing.T, s *Store, before, after world) (left []string, err error) {
	if err := s.Sweep(t.Context()); err != nil {
		return nil, err
	}
	if left, err = s.IDs(); err != nil {
		return nil, err
	}
	for id := range before {
		_, _ = s.Epitaph(id) // it may be anything, or nothing
	}
	for _, id := range left {
		record, err := s.Read(id)
		if err != nil || id == ephemeral {
			return nil, fmt.Errorf("%s is left by the sweep: %w", id, err)
		}
		if got := string(record); got != before[id].record && got != after[id].record {
			return nil, fmt.Errorf("%s has the record %.60s after the sweep", id, record)
		}
	}
	for id, p := range before {
		if _, stays := after[id]; stays && !p.volatile && p.record != "" && !slices.Contains(left, id) {
			return nil, fmt.Errorf("the sweep removed %s", id)
		}
	}
	trash, err := os.ReadDir(s.trash())
	if len(trash) > 0 {
		return nil, fmt.Errorf("the sweep left %v in the trash", trash)
	}
	return left, err
}

// crashStore checks every image of a history, and returns how many different ones
// there are, in how many checks, and what is wrong with the first few.
func crashStore(t *testing.T, h *history) (images, checks int, wrong []string) {
	t.Helper()
	for _, dir := range []string{h.store.workspaces(), h.store.trash(), h.store.goneDir()} {
		if err := errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o700)); err != nil {
			t.Fatal(err)
		}
	}
	s := openStore(t, h.store.dirs)
	s.boot = func() (string, error) { return "after", nil }
	disk, different := &crashed{t: t, store: s}, map[uint64]bool{}
	for k := range h.crashes {
		different[k.sum] = true
		checks++
		if err := disk.check(k); err != nil {
			wrong = append(wrong, err.Error())
		}
		if len(wrong) == 10 {
			break
		}
	}
	return len(different), checks, wrong
}

func TestStoreSurvivesPowerCuts(t *testing.T) {
	h := newHistory(t, 1)
	h.live(80)
	images, checks, wrong := crashStore(t, h)
	t.Logf("%v, %d steps, %d crash images, %d checks", h.did, len(h.disk.steps), images, checks)
	for _, what := range wrong {
		t.Error(what)
	}
	for _, name := range []string{"create", "write", "acquire", "lock", "remove"} {
		if h.did[name] == 0 {
			t.Errorf("the history has no %s", name)
		}
	}
	if len(h.ends) <= 64 || images < 10_000 {
		t.Errorf("%d crash images of %d operations, want 10000 of 64 at least", images, len(h.ends)-1)
	}
}

// Without it the test above might prove nothing.
func TestCarelessStoreDoesNotSurvivePowerCuts(t *testing.T) {
	h := newHistory(t, 1)
	h.careless = true
	h.live(10)
	if images, _, wrong := crashStore(t, h); len(wrong) == 0 {
		t.Fatalf("all %d crash images without any sync are right", images)
	}
}
