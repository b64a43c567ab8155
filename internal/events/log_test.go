package events

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/api"
)

func open(t *testing.T, dir string) *Log {
	t.Helper()
	l, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func add(t *testing.T, l *Log, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := l.Append(api.Event{Kind: api.EventSecretSet, Name: &name}); err != nil {
			t.Fatal(err)
		}
	}
}

// said is the names of events by number.
func said(events []api.Event) map[int64]string {
	out := make(map[int64]string)
	for _, e := range events {
		out[e.Sequence] = *e.Name
	}
	return out
}

func read(t *testing.T, dir string, after int64) map[int64]string {
	t.Helper()
	events, err := Read(dir, after)
	if err != nil {
		t.Fatal(err)
	}
	for i := range events[min(1, len(events)):] {
		if events[i].Sequence >= events[i+1].Sequence {
			t.Errorf("number %d stands before %d", events[i].Sequence, events[i+1].Sequence)
		}
	}
	return said(events)
}

func check(t *testing.T, want, got map[int64]string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestEventsAreNumberedOnAcrossWriters(t *testing.T) {
	dir := t.TempDir()
	check(t, map[int64]string{}, read(t, dir, 0))
	l := open(t, dir)
	add(t, l, "a", "b")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := Append(dir, api.Event{Kind: api.EventStopped, Name: new("c")}); err != nil {
		t.Fatal(err)
	}
	add(t, open(t, dir), "d")
	check(t, map[int64]string{1: "a", 2: "b", 3: "c", 4: "d"}, read(t, dir, 0))
	check(t, map[int64]string{4: "d"}, read(t, dir, 3))
	check(t, map[int64]string{}, read(t, dir, 9))
	if err := l.Append(api.Event{}); !errors.Is(err, os.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestAFullLogDropsTheOldest(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	l.limit = 1000
	var last int64
	for range 100 {
		add(t, l, "x")
		last++
	}
	got := read(t, dir, 0)
	if len(got) < 8 || len(got) > 40 || got[last] != "x" {
		t.Errorf("%d events are kept, the last is %q", len(got), got[last])
	}
	for name, most := range map[string]int64{currentName: 1000, olderName: 1000} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Size() > most {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	_ = l.Close()
	if err := os.Remove(filepath.Join(dir, currentName)); err != nil {
		t.Fatal(err)
	}
	add(t, open(t, dir), "after")
	if got := read(t, dir, 0); got[last] == "after" || len(got) < 2 {
		t.Errorf("the number of an older file was used again: %v", got)
	}
}

func TestDamageHidesOneLine(t *testing.T) {
	for name, damage := range map[string]func([]byte) []byte{
		"half a line at the end": func(b []byte) []byte { return b[:len(b)-5] },
		"a changed byte":         func(b []byte) []byte { return bytes.Replace(b, []byte(`"c"`), []byte(`"C"`), 1) },
		"another's line":         func(b []byte) []byte { return append(b[:bytes.LastIndexByte(b[:len(b)-1], '\n')+1], "{}\n"...) },
		"a long line": func(b []byte) []byte {
			return append(b[:bytes.LastIndexByte(b[:len(b)-1], '\n')+1], strings.Repeat("x", 2*maxLine)+"\n"...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			l := open(t, dir)
			add(t, l, "a", "b", "c")
			_ = l.Close()
			path := filepath.Join(dir, currentName)
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, damage(data), 0o600); err != nil {
				t.Fatal(err)
			}
			add(t, open(t, dir), "d")
			check(t, map[int64]string{1: "a", 2: "b", 3: "d"}, read(t, dir, 0))
		})
	}
}

func TestTextsAreCutAndValid(t *testing.T) {
	dir := t.TempDir()
	long := strings.Repeat("\x00\x01", 1<<20)
	code, number := -1, int64(1)<<62
	err := open(t, dir).Append(api.Event{
		Kind: api.EventExecEnded, Name: &long, State: &long, Reason: &long, Command: &long, Path: &long, HostPath: &long, Detail: &long,
		ExitCode: &code, DurationMS: &number, Entries: &number, Bytes: &number,
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := Read(dir, 0)
	if err != nil || len(got) != 1 {
		t.Fatalf("%d events, %v", len(got), err)
	}
	if n := len(*got[0].Command); n == 0 || n > 2*maxText || !strings.Contains(*got[0].Command, "cut out here") {
		t.Errorf("%d bytes of a command are kept", n)
	}
}

func TestALinkIsNotFollowed(t *testing.T) {
	dir, target := t.TempDir(), filepath.Join(t.TempDir(), "target")
	if err := os.Symlink(target, filepath.Join(dir, currentName)); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); err == nil {
		t.Error("a link was opened for writing")
	}
	if _, err := Read(dir, 0); err == nil {
		t.Error("a link was read")
	}
	if _, err := os.Lstat(target); err == nil {
		t.Error("the target was made")
	}
}

func TestFollowersSeeAllAndThenTheEnd(t *testing.T) {
	l := open(t, t.TempDir())
	ended := make(chan map[int64]string)
	go func() {
		seen := make(map[int64]string)
		var last int64
		for {
			news, err := l.Since(last)
			if err != nil {
				t.Error(err)
			}
			for _, e := range news.Events {
				seen[e.Sequence], last = *e.Name, e.Sequence
			}
			if news.More == nil {
				ended <- seen
				return
			}
			<-news.More
		}
	}()
	want := make(map[int64]string)
	for i := range int64(2 * maxRecent) {
		add(t, l, "x")
		want[i+1] = "x"
	}
	_ = l.Close()
	check(t, want, <-ended)
	check(t, want, said(since(t, l, 0))) // most of it from the disk
	check(t, map[int64]string{2 * maxRecent: "x"}, said(since(t, l, 2*maxRecent-1)))
	check(t, map[int64]string{}, said(since(t, l, 10*maxRecent)))
}

func since(t *testing.T, l *Log, after int64) []api.Event {
	t.Helper()
	news, err := l.Since(after)
	if err != nil {
		t.Fatal(err)
	}
	return news.Events
}

func FuzzDecode(f *testing.F) {
	line, err := encode(api.Event{Sequence: 7, Kind: api.EventStopped, Reason: new("idle")})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(bytes.TrimSuffix(line, []byte("\n")))
	f.Add([]byte(`{"sum":"00000000","event":{}}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		e, ok := decode(line)
		if !ok {
			return
		}
		again, err := encode(e)
		if err != nil {
			t.Fatal(err)
		}
		if back, ok := decode(bytes.TrimSuffix(again, []byte("\n"))); !ok || cmp.Diff(e, back) != "" {
			t.Errorf("%q became %+v", line, back)
		}
	})
}
