package store

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pyro-sandbox/pyro/api"
)

func TestLedgerForgivesWhatACrashLeaves(t *testing.T) {
	const one, two = `{"kind":"dir","path":"/one","boot_id":"b"}` + "\n", `{"kind":"file","path":"/two"}` + "\n"
	first, second := Resource{Kind: KindDir, Path: "/one", BootID: "b"}, Resource{Kind: KindFile, Path: "/two"}
	zeros := string(make([]byte, 100))
	for name, c := range map[string]struct {
		data string
		want []Resource
		bad  bool
	}{
		"empty":               {},
		"two":                 {data: one + two, want: []Resource{first, second}},
		"half a last line":    {data: one + two[:10], want: []Resource{first}},
		"last line's end":     {data: one + strings.TrimSpace(two), want: []Resource{first}},
		"zeros at the end":    {data: one + zeros, want: []Resource{first}},
		"zeros in the middle": {data: one + zeros + "x\n" + two, want: []Resource{first, second}},
		"only zeros":          {data: zeros},
		"no json":             {data: "hello\n" + two, want: []Resource{second}, bad: true},
		"empty line":          {data: "\n" + two, want: []Resource{second}, bad: true},
		"unknown kind":        {data: `{"kind":"tap","path":"/x"}` + "\n" + two, want: []Resource{second}, bad: true},
		"unknown field":       {data: `{"kind":"dir","path":"/x","how":"gently"}` + "\n" + two, want: []Resource{second}, bad: true},
		"relative path":       {data: `{"kind":"dir","path":"x"}` + "\n", bad: true},
		"path that climbs":    {data: `{"kind":"dir","path":"/a/../b"}` + "\n", bad: true},
		"no path":             {data: `{"kind":"cgroup"}` + "\n", bad: true},
		"init":                {data: `{"kind":"process","pid":1}` + "\n", bad: true},
		"process group":       {data: `{"kind":"process","pid":-5}` + "\n", bad: true},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseLedger([]byte(c.data))
			if (err != nil) != c.bad {
				t.Errorf("error %v, want one: %v", err, c.bad)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestLedgerGoesOnAfterHalfALine(t *testing.T) {
	s := newStore(t)
	w := create(t, s, testID)
	one, two := Resource{Kind: KindDir, Path: "/one", BootID: "b"}, Resource{Kind: KindDir, Path: "/two", BootID: "b"}
	acquire(t, w, one)
	data, err := os.ReadFile(w.ledger.path)
	if err != nil {
		t.Fatal(err)
	}
	mustWrite(t, w.ledger.path, string(data)+`{"kind":"dir","pa`)
	if err := w.Unlock(); err != nil {
		t.Fatal(err)
	}
	if w, err = s.Lock(t.Context(), testID); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = w.Unlock() }()
	acquire(t, w, two)
	got, err := readLedger(w.ledger.path)
	if diff := cmp.Diff([]Resource{one, two}, got); diff != "" || err != nil {
		t.Fatal(diff, err)
	}
}

func TestLedgerFillsIn(t *testing.T) {
	s := newStore(t)
	w := create(t, s, testID)
	p := processOf(t, helper(t, "wait"))
	acquire(t, w, Resource{Kind: KindProcess, PID: p.PID})
	boot, err := s.boot()
	if err != nil {
		t.Fatal(err)
	}
	got, err := readLedger(w.ledger.path)
	want := []Resource{{Kind: KindProcess, PID: p.PID, Start: p.Start, BootID: boot}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Fatal(diff, err)
	}
}

func TestLedgerOfManyAtOnce(t *testing.T) {
	s := newStore(t)
	w := create(t, s, testID)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() { // ends after its entries
			for range 20 {
				if err := w.Ledger().Acquire(Resource{Kind: KindCgroup, Path: "/" + strings.Repeat("x", 500)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if got, err := readLedger(w.ledger.path); err != nil || len(got) != 160 {
		t.Fatalf("%d entries, %v, want 160", len(got), err)
	}
}

func TestLedgerHasALimit(t *testing.T) {
	s := newStore(t)
	w := create(t, s, testID)
	if err := w.Ledger().Acquire(Resource{Kind: KindDir, Path: "/" + strings.Repeat("x", maxLedgerLine)}); err == nil {
		t.Error("a line of any length is taken")
	}
	mustWrite(t, w.ledger.path, strings.Repeat("x", maxLedger-1)+"\n")
	if err := w.Ledger().Acquire(Resource{Kind: KindDir, Path: "/x"}); err == nil {
		t.Error("a ledger of any length is written")
	}
	mustWrite(t, w.ledger.path, strings.Repeat("x", maxLedger+1))
	if err := w.Reap(t.Context()); !errors.Is(err, api.Internal) {
		t.Errorf("Reap = %v, want Internal", err)
	}
	checkThere(t, w.Path())
}

func TestUnknownEntriesKeepTheWorkspace(t *testing.T) {
	s := newStore(t)
	w := create(t, s, testID)
	run, err := w.MakeRunDir()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(w.ledger.path)
	if err != nil {
		t.Fatal(err)
	}
	mustWrite(t, w.ledger.path, `{"kind":"tap","path":"/x"}`+"\n"+string(data))
	err = w.Remove(t.Context())
	if err == nil || !strings.Contains(err.Error(), "tap") || !strings.Contains(api.HintOf(err), "version") {
		t.Fatalf("Remove = %v, hint %q", err, api.HintOf(err))
	}
	checkGone(t, run) // what is known is freed
	checkThere(t, filepath.Join(w.Path(), ledgerName))
}

func FuzzLedger(f *testing.F) {
	f.Add([]byte(`{"kind":"dir","path":"/one","boot_id":"b"}` + "\n" + `{"kind":"process","pid":7,"start":9}` + "\n{"))
	f.Add([]byte("\n\x00\n{}\n[]\nnull\n"))
	f.Add([]byte(`{"kind":"cgroup","path":"/sys/fs/cgroup/../../etc"}` + "\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, _ := parseLedger(data)
		for _, r := range entries {
			if err := r.check(); err != nil {
				t.Fatalf("%v was accepted: %v", r, err)
			}
		}
		// What is entered next is found, whatever was there before.
		if len(data) > maxLedger/2 {
			return
		}
		path := filepath.Join(t.TempDir(), ledgerName)
		mustWrite(t, path, string(data))
		l := &Ledger{disk: osDisk{}, path: path, survive: processDeath, boot: func() (string, error) { return "b", nil }}
		next := Resource{Kind: KindDir, Path: "/next", BootID: "b"}
		if err := l.Acquire(next); err != nil {
			t.Fatal(err)
		}
		got, _ := readLedger(path)
		if diff := cmp.Diff(append(entries, next), got); diff != "" {
			t.Fatal(diff)
		}
	})
}
