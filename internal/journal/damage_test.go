package journal

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pyro-sandbox/pyro/api"
)

func TestTornAtEveryByte(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir)
	begin(t, j, begun(1))
	whole := contents(t, dir)
	end(t, j, ended(1))
	data := contents(t, dir)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	for n := len(whole); n < len(data); n++ {
		put(t, dir, currentName, data[:n])
		checkRead(t, dir, 0, lost(1))
		j := openJournal(t, dir)
		if got := contents(t, dir); !bytes.Equal(got, whole) {
			t.Fatalf("cut at %d: %d bytes are left, want %d", n, len(got), len(whole))
		}
		end(t, j, ended(2))
		checkRead(t, dir, 0, lost(1), ended(2))
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDamagedLinesHideNoOthers(t *testing.T) {
	var lines [3][]byte
	for i := range lines {
		var err error
		if lines[i], err = encode(eventEnd, ended(i+1)); err != nil {
			t.Fatal(err)
		}
	}
	resealed := func(from, to string) []byte {
		line := bytes.Replace(lines[1], []byte(from), []byte(to), 1)
		copy(line[len(sumPart):], sum(line[headLength:len(line)-1]))
		return line
	}
	for name, c := range map[string]struct {
		line    []byte
		skipped int
	}{
		"none":             {},
		"empty":            {line: []byte("\n\n")},
		"text":             {[]byte("hello\n"), 1},
		"zeros":            {append(make([]byte, 4096), '\n'), 1},
		"half a line":      {append(lines[1][:50:50], '\n'), 1},
		"half, then whole": {append(lines[1][:50:50], lines[1]...), 1},
		"changed":          {bytes.Replace(lines[1], []byte("make"), []byte("fake"), 1), 1},
		"no sum":           {lines[1][headLength:], 1},
		"short":            {[]byte(sumPart + "\n"), 1},
		"too long":         {append(bytes.Repeat([]byte{'x'}, 2*maxLine), '\n'), 1},
		"just too long":    {append(bytes.Repeat([]byte{'x'}, maxLine), '\n'), 1},
		"unknown event":    {resealed(`"end"`, `"fork"`), 1},
		"no number":        {resealed(`"sequence":2`, `"sequence":x`), 1},
		"negative":         {resealed(`"sequence":2`, `"sequence":-2`), 1},
		"two sequences":    {resealed(`"sequence":2`, `"sequence":9`), 1},
		"wrong type":       {resealed(`"exit_code":2`, `"exit_code":"2"`), 1},
		"open brace":       {resealed("}}\n", "}\n"), 1},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			put(t, dir, currentName, bytes.Join([][]byte{lines[0], c.line, lines[2]}, nil))
			checkRead(t, dir, c.skipped, ended(1), ended(3))
			put(t, dir, olderName, c.line)
			put(t, dir, currentName, lines[2])
			checkRead(t, dir, c.skipped, ended(3))
			begin(t, openJournal(t, dir), begun(10))
			checkRead(t, dir, c.skipped, ended(3), lost(10))
		})
	}
}

func TestOversizeFileIsReadFromItsEnd(t *testing.T) {
	dir := t.TempDir()
	line, err := encode(eventEnd, ended(1))
	if err != nil {
		t.Fatal(err)
	}
	put(t, dir, currentName, line)
	path := filepath.Join(dir, currentName)
	if err := os.Truncate(path, 1<<40); err != nil { // takes no space
		t.Fatal(err)
	}
	j := openJournal(t, dir)
	if info, err := os.Stat(path); err != nil || info.Size() != 1<<40-maxScan {
		t.Fatalf("%v bytes are left, %v", info.Size(), err)
	}
	end(t, j, ended(2)) // in a new file
	checkRead(t, dir, 0, ended(2))
}

// TestKilledWriter kills a writer at any moment, again and again, and goes on with
// what it left.
func TestKilledWriter(t *testing.T) {
	dir := t.TempDir()
	sequence, noted := 1, map[int]int{}
	for round := range 25 {
		killWriter(t, dir, sequence, 1+round%7, noted)
		j := openJournal(t, dir)
		h, err := load(dir, 0, All)
		if err != nil || h.Skipped != 0 {
			t.Fatalf("%d skipped, %v", h.Skipped, err)
		}
		if len(h.Entries) == 0 || h.Entries[len(h.Entries)-1].Sequence != j.LastSequence() {
			t.Fatalf("%d entries, the last sequence is %d", len(h.Entries), j.LastSequence())
		}
		checkSequence(t, h.Entries, j.LastSequence())
		for _, e := range h.Entries {
			if n, ok := noted[e.Sequence]; ok && len(e.Stdout) != n {
				t.Errorf("%d has %d bytes of output, want %d", e.Sequence, len(e.Stdout), n)
			}
		}
		sequence = j.LastSequence() + 1
		if noted[sequence] != 0 {
			t.Errorf("%d was noted and is lost", sequence)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// killWriter starts a writer, reads that it has noted so many commands, kills it
// while it goes on, and adds what it said to noted.
func killWriter(t *testing.T, dir string, sequence, count int, noted map[int]int) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d", helperEnv, dir, sequence))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for n := 1; lines.Scan(); n++ {
		number, size, _ := strings.Cut(lines.Text(), " ")
		i, err1 := strconv.Atoi(number)
		bytes, err2 := strconv.Atoi(size)
		if err1 != nil || err2 != nil {
			t.Errorf("the writer said %q", lines.Text())
		}
		noted[i] = bytes
		if n == count {
			_ = cmd.Process.Kill()
		}
	}
	_ = cmd.Wait() // it was killed
}

func FuzzRead(f *testing.F) {
	one, err := encode(eventBegin, begun(1))
	if err != nil {
		f.Fatal(err)
	}
	two, err := encode(eventEnd, ended(1))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(one, append(bytes.Clone(two), one...), false)
	f.Add(one[:20], append([]byte("\n\x00\n"), two[:90]...), false)
	f.Add([]byte{}, append(one[headLength:], two[headLength:]...), true)
	f.Fuzz(func(t *testing.T, older, current []byte, sums bool) {
		if sums {
			older, current = withSums(older), withSums(current)
		}
		dir := t.TempDir()
		put(t, dir, olderName, older)
		put(t, dir, currentName, current)
		before, err := Read(dir, 0, All)
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(older, []byte("\n")) + bytes.Count(current, []byte("\n")); len(before) > n {
			t.Fatalf("%d entries of %d lines", len(before), n)
		}
		j := openJournal(t, dir)
		next := j.LastSequence() + 1
		if next > maxSequence {
			return
		}
		begin(t, j, begun(next))
		end(t, j, ended(next))
		after, err := Read(dir, 0, All)
		if diff := cmp.Diff(append(before, ended(next)), after); diff != "" || err != nil {
			t.Fatal(err, diff)
		}
		if last, err := Read(dir, 1, All); err != nil || !cmp.Equal(last, []api.LogEntry{ended(next)}) {
			t.Fatalf("the last is %v, %v", last, err)
		}
		if _, err := json.Marshal(after); err != nil {
			t.Fatal(err)
		}
	})
}

// withSums makes lines of what is none, so that more than their sums is tried.
func withSums(data []byte) []byte {
	var lines []byte
	for rest := range bytes.Lines(data) {
		rest = bytes.TrimSuffix(rest, []byte("\n"))
		lines = fmt.Appendf(lines, "%s%s%s%s\n", sumPart, sum(rest), sumEnd, rest)
	}
	return lines
}
