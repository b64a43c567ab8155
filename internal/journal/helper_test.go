package journal

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pyro-sandbox/pyro/api"
)

// helperEnv makes the test binary a writer in another process; its value is the
// directory and the first sequence.
const helperEnv = "PYRO_TEST_HELPER"

func TestMain(m *testing.M) {
	part := os.Getenv(helperEnv)
	if part == "" {
		os.Exit(m.Run())
	}
	if err := write(part); err != nil {
		fmt.Println(err)
	}
	os.Exit(1) // it is killed before
}

// write notes commands for ever and says what it has noted.
func write(part string) error {
	var dir string
	var sequence int
	if _, err := fmt.Sscanf(part, "%s %d", &dir, &sequence); err != nil {
		return err
	}
	j, err := Open(dir, 0)
	if err != nil {
		return err
	}
	j.limit = 1 << 20 // so that it rotates
	out := bufio.NewWriter(os.Stdout)
	for ; ; sequence++ {
		e := ended(sequence)
		e.Stdout = strings.Repeat("x", rand.IntN(MaxStream/4))
		if err := errors.Join(j.Begin(e), j.End(e)); err != nil {
			return err
		}
		if _, err := fmt.Fprintf(out, "%d %d\n", sequence, len(e.Stdout)); err != nil {
			return err
		}
		if err := out.Flush(); err != nil {
			return err
		}
	}
}

// begun is what is known of a command before it runs.
func begun(sequence int) api.LogEntry {
	return api.LogEntry{
		LastCommand: api.LastCommand{
			Sequence: sequence, Command: fmt.Sprintf("make %d", sequence), Cwd: api.WorkspacePath, ExecutionMode: api.ModeGuestVsock,
		},
		RecordedAt: api.Timestamp(1000 + sequence),
	}
}

// ended is the same command with its end.
func ended(sequence int) api.LogEntry {
	e := begun(sequence)
	e.ExitCode, e.DurationMS = sequence%256, int64(sequence)
	e.Stdout, e.Stderr = fmt.Sprintf("out %d <&> \u2028 ä\n", sequence), fmt.Sprintf("err \x00\x1b %d\n", sequence)
	return e
}

// lost is what is read of a command whose end was not noted.
func lost(sequence int) api.LogEntry {
	e := begun(sequence)
	reason := api.EndedUnknown
	e.ExitCode, e.Reason = -1, &reason
	return e
}

func openJournal(t testing.TB, dir string) *Journal {
	t.Helper()
	j, err := Open(dir, 0)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return j
}

func begin(t testing.TB, j *Journal, entries ...api.LogEntry) {
	t.Helper()
	for _, e := range entries {
		if err := j.Begin(e); err != nil {
			t.Fatalf("Begin: %v", err)
		}
	}
}

func end(t testing.TB, j *Journal, entries ...api.LogEntry) {
	t.Helper()
	for _, e := range entries {
		if err := j.End(e); err != nil {
			t.Fatalf("End: %v", err)
		}
	}
}

// checkRead reads everything and says how it differs.
func checkRead(t testing.TB, dir string, skipped int, want ...api.LogEntry) {
	t.Helper()
	got, err := load(dir, 0, All)
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	if want == nil {
		want = []api.LogEntry{}
	}
	if diff := cmp.Diff(history{Entries: want, Skipped: skipped}, got); diff != "" {
		t.Error(diff)
	}
}

func contents(t testing.TB, dir string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, currentName))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func put(t testing.TB, dir, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
		t.Fatal(err)
	}
}
