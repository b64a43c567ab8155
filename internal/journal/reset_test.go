package journal

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/api"
)

// later is an entry of after that many resets.
func later(resets int, e api.LogEntry) api.LogEntry {
	e.ResetCount = resets
	return e
}

func TestResetBeginsSequencesAnew(t *testing.T) {
	dir := t.TempDir()
	j, err := Open(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range []api.LogEntry{ended(1), ended(2)} {
		if err := j.Begin(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.End(ended(1)); err != nil {
		t.Fatal(err)
	}
	j.Reset(1)
	if got := j.LastSequence(); got != 0 {
		t.Errorf("after a reset the last sequence is %d", got)
	}
	fresh := later(1, ended(1))
	if err := j.Begin(fresh); err != nil {
		t.Fatal(err)
	}
	if err := j.End(ended(2)); err != nil { // of before, and only now over
		t.Fatal(err)
	}
	if err := j.End(fresh); err != nil {
		t.Fatal(err)
	}
	checkRead(t, dir, 0, ended(1), ended(2), fresh)
	for _, test := range []struct {
		resets int
		want   []api.LogEntry
	}{{0, []api.LogEntry{ended(1), ended(2)}}, {1, []api.LogEntry{fresh}}, {2, []api.LogEntry{}}} {
		got, err := Read(dir, 0, test.resets)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("after %d resets (-want +got):\n%s", test.resets, diff)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	for resets, want := range []int{2, 1, 0} {
		again, err := Open(dir, resets)
		if err != nil {
			t.Fatal(err)
		}
		if got := again.LastSequence(); got != want {
			t.Errorf("opened after %d resets: the last sequence is %d, want %d", resets, got, want)
		}
		_ = again.Close()
	}
}

func TestRotationKeepsCommandsOfBeforeAReset(t *testing.T) {
	dir := t.TempDir()
	j, err := Open(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = j.Close() }()
	j.limit = 8 << 10
	if err := j.Begin(lost(1)); err != nil {
		t.Fatal(err)
	}
	j.Reset(1)
	if err := j.Begin(later(1, lost(1))); err != nil {
		t.Fatal(err)
	}
	for n := 2; n < 200; n++ {
		if err := j.End(later(1, ended(n))); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Read(dir, 0, All)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) < 2 || got[0].ResetCount != 0 || got[1].ResetCount != 1 || got[0].Sequence != 1 || got[1].Sequence != 1 {
		t.Errorf("the running ones are %+v", got[:min(len(got), 2)])
	}
}

func TestNumbersThatNobodyWrites(t *testing.T) {
	for _, text := range []string{"0", "-1", "", "1,\"resets\":0", "1,\"resets\":-1", "1,\"resets\":", "1,\"resets\":x", "1,\"resets\":1,\"resets\":1"} {
		if n, ok := parseNumber([]byte(text)); ok {
			t.Errorf("%q is %+v", text, n)
		}
	}
	for text, want := range map[string]number{"7": {0, 7}, "1,\"resets\":3": {3, 1}} {
		if n, ok := parseNumber([]byte(text)); !ok || n != want {
			t.Errorf("%q is %+v, %v", text, n, ok)
		}
	}
}
