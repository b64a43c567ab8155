package journal

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/sys"
)

func TestHistory(t *testing.T) {
	dir := t.TempDir()
	checkRead(t, dir, 0)
	j := openJournal(t, dir)
	checkRead(t, dir, 0)
	begin(t, j, begun(1))
	checkRead(t, dir, 0, lost(1))
	end(t, j, ended(1))
	checkRead(t, dir, 0, ended(1))
	begin(t, j, begun(2), begun(3))
	end(t, j, ended(3)) // before 2, which began before it
	checkRead(t, dir, 0, ended(1), lost(2), ended(3))
	end(t, j, ended(4)) // there was no room for its begin
	end(t, j, ended(2))
	checkRead(t, dir, 0, ended(1), ended(2), ended(3), ended(4))
	if got := j.LastSequence(); got != 4 {
		t.Errorf("LastSequence = %d, want 4", got)
	}
}

func TestHistoryOutlivesItsWriter(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir)
	begin(t, j, begun(1), begun(2))
	end(t, j, ended(2))
	if err := errors.Join(j.Close(), j.Close()); err != nil {
		t.Fatal(err)
	}
	if err := j.Begin(begun(3)); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("Begin after Close = %v", err)
	}
	if err := j.Clear(); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("Clear after Close = %v", err)
	}
	j = openJournal(t, dir)
	if got := j.LastSequence(); got != 2 {
		t.Errorf("LastSequence = %d, want 2", got)
	}
	begin(t, j, begun(3))
	checkRead(t, dir, 0, lost(1), ended(2), lost(3))
}

func TestReadTheLast(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir)
	begin(t, j, begun(2), begun(1), begun(3))
	end(t, j, ended(3), ended(1))
	for last, want := range map[int][]api.LogEntry{
		0: {ended(1), lost(2), ended(3)}, 1: {ended(3)}, 2: {lost(2), ended(3)},
		3: {ended(1), lost(2), ended(3)}, 9: {ended(1), lost(2), ended(3)},
	} {
		got, err := Read(dir, last, All)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("the last %d: %v %s", last, err, diff)
		}
	}
}

func TestUnfinished(t *testing.T) {
	hangup, timeout := ended(1), lost(1)
	hangup.ExitCode = -1
	*timeout.Reason = api.EndedByTimeout
	for name, c := range map[string]struct {
		entry api.LogEntry
		want  bool
	}{"lost": {lost(1), true}, "ended": {ended(1), false}, "by SIGHUP": {hangup, false}, "by timeout": {timeout, false}} {
		if got := Unfinished(c.entry); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// The file is a contract between versions of pyro.
func TestLine(t *testing.T) {
	reason := "timeout"
	got, err := encode(eventEnd, api.LogEntry{
		LastCommand: api.LastCommand{Sequence: 7, Command: "a <b>", Cwd: "/w", ExitCode: 124, DurationMS: 5, ExecutionMode: "guest_vsock"},
		Stdout:      "o\n", Stderr: "\x1b", StderrTruncated: true, Reason: &reason, RecordedAt: 1.5,
	})
	const want = `{"sum":"44a36ba6","event":"end","sequence":7,"entry":{"sequence":7,"command":"a <b>","cwd":"/w","exit_code":124,` +
		`"duration_ms":5,"execution_mode":"guest_vsock","stdout":"o\n","stderr":"\u001b","stdout_truncated":false,` +
		`"stderr_truncated":true,"stdout_file":null,"stderr_file":null,"reason":"timeout","recorded_at":1.5,"reset_count":0}}` + "\n"
	if string(got) != want || err != nil {
		t.Errorf("encode = %s, %v", got, err)
	}
	if !json.Valid(got) {
		t.Error("it is no JSON")
	}
}

func TestEveryFlippedBitIsSeen(t *testing.T) {
	line, err := encode(eventBegin, begun(1))
	if err != nil {
		t.Fatal(err)
	}
	line = line[:len(line)-1]
	if _, _, ok := parse(line); !ok {
		t.Fatalf("parse refuses %s", line)
	}
	for i := range len(line) * 8 {
		line[i/8] ^= 1 << (i % 8)
		if _, _, ok := parse(line); ok {
			t.Errorf("bit %d: %s", i, line)
		}
		line[i/8] ^= 1 << (i % 8)
	}
}

func TestLongTextsAreClipped(t *testing.T) {
	control, text := strings.Repeat("\x01", MaxStream+1), strings.Repeat("ä", MaxStream)
	for name, c := range map[string]struct {
		stdout, stderr string
		atLeast        int
		cut            bool
	}{
		"at the limit": {stdout: text[:MaxStream], stderr: text[:MaxStream], atLeast: 2 * MaxStream},
		"text":         {stdout: text, stderr: text, atLeast: 2*MaxStream - 200, cut: true},
		"escapes":      {stdout: control, stderr: control, atLeast: 500 << 10, cut: true},
		"no text":      {stdout: strings.Repeat("\xff", MaxStream+1), stderr: control, atLeast: 500 << 10, cut: true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			j := openJournal(t, dir)
			e := ended(1)
			e.Stdout, e.Stderr = c.stdout, c.stderr
			e.Command, e.Cwd = strings.Repeat("\x01", 2*MaxCommand), "/"+strings.Repeat("d", MaxStream)
			begin(t, j, e)
			end(t, j, e)
			if n := len(contents(t, dir)); n > maxLine+maxLine/2 {
				t.Errorf("the file has %d bytes", n)
			}
			h, err := load(dir, 0, All)
			if err != nil || len(h.Entries) != 1 || h.Skipped != 0 {
				t.Fatalf("%d entries, %d skipped, %v", len(h.Entries), h.Skipped, err)
			}
			got := h.Entries[0]
			if n := len(got.Stdout) + len(got.Stderr); n < c.atLeast || got.StdoutTruncated != c.cut || got.StderrTruncated != c.cut {
				t.Errorf("%d bytes of output, cut %v and %v", n, got.StdoutTruncated, got.StderrTruncated)
			}
			if len(got.Command) > MaxCommand || len(got.Cwd) > maxCwd || !strings.Contains(got.Command, "[pyro: ") {
				t.Errorf("command of %d bytes in a directory of %d", len(got.Command), len(got.Cwd))
			}
		})
	}
}

func TestWhatWasCutBeforeStaysCut(t *testing.T) {
	dir := t.TempDir()
	e := ended(1)
	e.StdoutTruncated = true
	end(t, openJournal(t, dir), e)
	checkRead(t, dir, 0, e)
}

func TestRefusedEntries(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir)
	endless := ended(1)
	endless.ExecutionMode = api.ExecutionMode(strings.Repeat("x", maxLine))
	for name, err := range map[string]error{
		"no sequence":       j.Begin(begun(0)),
		"negative sequence": j.End(ended(-1)),
		"huge sequence":     j.End(ended(maxSequence + 1)),
		"endless mode":      j.End(endless),
	} {
		if !errors.Is(err, api.Internal) {
			t.Errorf("%s: %v, want Internal", name, err)
		}
	}
	checkRead(t, dir, 0)
}

func TestClear(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir)
	j.limit = 1500
	for i := range 20 {
		begin(t, j, begun(i+1))
		end(t, j, ended(i+1))
	}
	for range 2 {
		if err := j.Clear(); err != nil {
			t.Fatal(err)
		}
		checkRead(t, dir, 0)
		for _, name := range []string{currentName, olderName} {
			if _, err := os.Lstat(filepath.Join(dir, name)); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s is still there: %v", name, err)
			}
		}
	}
	if got := j.LastSequence(); got != 0 {
		t.Errorf("LastSequence = %d, want 0", got)
	}
	begin(t, j, begun(1))
	end(t, j, ended(1))
	checkRead(t, dir, 0, ended(1))
}

func TestFilesArePrivateAndNoLinks(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir)
	begin(t, j, begun(1))
	info, err := os.Stat(filepath.Join(dir, currentName))
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v, want 0600", info.Mode(), err)
	}
	for _, name := range []string{currentName, olderName} {
		dir := t.TempDir()
		target := filepath.Join(t.TempDir(), "target")
		put(t, filepath.Dir(target), "target", []byte("mine"))
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		if j, err := Open(dir, 0); err == nil {
			_ = j.Close()
			t.Errorf("Open follows %s", name)
		}
		if _, err := Read(dir, 0, All); err == nil {
			t.Errorf("Read follows %s", name)
		}
		if data, err := os.ReadFile(target); string(data) != "mine" {
			t.Errorf("the target was changed: %q, %v", data, err)
		}
	}
}

// fullDisk is a file to which only so many bytes can be written.
type fullDisk struct {
	file
	room  int
	stuck bool // nor can it be cut
}

func (f *fullDisk) Write(p []byte) (int, error) {
	if len(p) <= f.room {
		f.room -= len(p)
		return f.file.Write(p)
	}
	n, err := f.file.Write(p[:f.room])
	f.room = 0
	return n, errors.Join(err, sys.ErrNoSpace)
}

func (f *fullDisk) Truncate(size int64) error {
	if f.stuck {
		return sys.ErrReadOnly
	}
	return f.file.Truncate(size)
}

func TestFullDisk(t *testing.T) {
	for _, stuck := range []bool{false, true} {
		dir := t.TempDir()
		j := openJournal(t, dir)
		end(t, j, ended(1))
		disk := &fullDisk{file: j.file, stuck: stuck}
		j.file = disk
		for _, room := range []int{0, 1, 50} {
			disk.room = room
			err := j.Begin(begun(2))
			if !sys.IsNoSpace(err) || !errors.Is(err, api.Unavailable) || api.HintOf(err) == "" {
				t.Errorf("Begin = %v, want Unavailable with a hint", err)
			}
			checkReadAny(t, dir, ended(1))
		}
		disk.room = 1 << 20
		begin(t, j, begun(3))
		end(t, j, ended(3))
		checkReadAny(t, dir, ended(1), ended(3))
		if n := int64(len(contents(t, dir))); n != j.size {
			t.Errorf("the file has %d bytes, %d are counted", n, j.size)
		}
	}
}

// checkReadAny is checkRead where lines may be skipped.
func checkReadAny(t testing.TB, dir string, want ...api.LogEntry) {
	t.Helper()
	got, err := Read(dir, 0, All)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
}
