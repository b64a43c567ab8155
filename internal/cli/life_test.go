package cli

import (
	"context"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/api"
)

// TestRequests holds what the client is asked for.
func TestRequests(t *testing.T) {
	id := testID
	for line, want := range map[string]any{
		"stop " + id:                                       api.StopRequest{},
		"stop --discard " + id:                             api.StopRequest{Discard: true},
		"start " + id:                                      api.StartRequest{},
		"start " + id + " --allow-host-compat":             api.StartRequest{AllowHostCompat: true},
		"start --previous " + id:                           api.StartRequest{Previous: true},
		"logs " + id:                                       0,
		"logs --last=3 " + id:                              3,
		"update " + id + " --name x":                       api.UpdateRequest{Name: text("x"), Labels: map[string]string{}},
		"update " + id + " --clear-name --clear-label a":   api.UpdateRequest{ClearName: true, Labels: map[string]string{}, ClearLabels: []string{"a"}},
		"update " + id + " --label a=1 --label b=2=3":      api.UpdateRequest{Labels: map[string]string{"a": "1", "b": "2=3"}},
		"update " + id + " --ttl-seconds 60":               api.UpdateRequest{Labels: map[string]string{}, TTLSeconds: 60},
		"update " + id + " --ttl-seconds none":             api.UpdateRequest{Labels: map[string]string{}, TTLSeconds: api.Forever},
		"update " + id + " --ttl-seconds 0":                api.UpdateRequest{Labels: map[string]string{}, TTLSeconds: api.Forever},
		"sync push " + id + " .":                           pushRequest{source{Path: "."}, "/workspace"},
		"sync push " + id + " a.tar --dest /workspace/d":   pushRequest{source{Path: "a.tar"}, "/workspace/d"},
		"sync push " + id + " ~/x --exclude a --exclude b": pushRequest{source{Path: "~/x", Exclude: []string{"a", "b"}}, "/workspace"},
		"sync push --gitignore --skip-special " + id + " x --whole": pushRequest{
			source{Path: "x", Gitignore: true, SkipSpecial: true, Whole: true}, "/workspace",
		},
	} {
		t.Run(line, func(t *testing.T) {
			s := &session{}
			if code := s.run(t, append([]string{"workspace"}, strings.Fields(line)...)...); code != 0 {
				t.Fatalf("exit code %d: %s", code, s.err.String())
			}
			if diff := cmp.Diff([]any{want}, s.fake.asked); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTimeToLiveOfANewWorkspace(t *testing.T) {
	for typed, want := range map[string]int{
		"": 0, "--ttl-seconds 60": 60, "--ttl-seconds 5": 5, "--ttl-seconds none": api.Forever, "--ttl-seconds=0": api.Forever,
	} {
		t.Run(typed, func(t *testing.T) {
			s := &session{}
			code := s.run(t, append([]string{"workspace", "create", "host"}, strings.Fields(typed)...)...)
			if code != 0 || s.fake.created[0].TTLSeconds != want {
				t.Errorf("exit code %d, asked for %+v", code, s.fake.created)
			}
		})
	}
}

func TestSeedIsAskedFor(t *testing.T) {
	for line, want := range map[string]*source{
		"workspace create host":                             nil,
		"run host true":                                     nil,
		"workspace create host --seed-path a":               {Path: "a"},
		"run host --seed-path a --gitignore true":           {Path: "a", Gitignore: true},
		"run host --seed-path a --exclude *.o --skip -- rm": {Path: "a", Exclude: []string{"*.o"}, SkipSpecial: true},
	} {
		t.Run(line, func(t *testing.T) {
			s := &session{}
			if code := s.run(t, strings.Fields(line)...); code != 0 {
				t.Fatalf("exit code %d: %s", code, s.err.String())
			}
			if diff := cmp.Diff([]*source{want}, s.fake.seeds); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestIdleTimeLeavesTheShortNameToTheID(t *testing.T) {
	s := &session{}
	if code := s.run(t, "workspace", "create", "host", "--id", "--idle", "900"); code != 0 || s.out.String() != testID+"\n" {
		t.Fatalf("exit code %d, stdout %q, stderr %q", code, s.out.String(), s.err.String())
	}
	if got := s.fake.created[0].IdleSeconds; got != 900 {
		t.Errorf("idle_seconds is %d", got)
	}
}

// TestRefusedWithoutAWorkspace holds what is wrong whatever the workspace is.
func TestRefusedWithoutAWorkspace(t *testing.T) {
	for line, code := range map[string]int{
		"update ID":         1,
		"update ID --name=": 1,
		"update ID --name " + strings.Repeat("x", 121): 1,
		"update ID --label x":                          1,
		"update ID --label !=x":                        1,
		"update ID --clear-label=":                     1,
		"update ID --ttl-seconds -5":                   1,
		"update ID --ttl-seconds 1h":                   2,
		"update ID --name x --clear-name":              2,
		"update":                                       2,
		"stop":                                         2,
		"stop ID more":                                 2,
		"stop nonsense":                                1,
		"start nonsense":                               1,
		"logs ID --last -1":                            1,
		"logs ID --last x":                             2,
		"sync push ID":                                 2,
		"sync push ID a b":                             2,
		"sync push nonsense a":                         1,
		"sync push ID a --nonsense":                    2,
		"sync pull ID a":                               2,
	} {
		t.Run(line, func(t *testing.T) {
			s := &session{}
			words := strings.Fields(strings.ReplaceAll(line, "ID", testID))
			got := s.run(t, append([]string{"workspace"}, words...)...)
			if got != code || s.out.String() != "" || len(s.fake.asked) > 0 {
				t.Errorf("exit code %d, stdout %q, asked %v", got, s.out.String(), s.fake.asked)
			}
			if said := s.err.String(); !strings.Contains(said, "[hint] ") || !strings.Contains(said, "error") {
				t.Errorf("stderr %q", said)
			}
		})
	}
	t.Run("an empty source", func(t *testing.T) {
		s := &session{}
		if code := s.run(t, "workspace", "sync", "push", testID, ""); code != 1 || len(s.fake.asked) > 0 {
			t.Errorf("exit code %d, asked %v", code, s.fake.asked)
		}
	})
}

func TestLogsOnATerminalAreHarmless(t *testing.T) {
	s := &session{fake: newFake(), terminal: true}
	s.fake.logs.Entries = s.fake.logs.Entries[:1]
	s.fake.logs.Entries[0].Stdout = "\x1b[2Jgone\x1b]0;title\x07"
	s.fake.logs.Entries[0].Stderr = "a\rb"
	if code := s.run(t, "workspace", "logs", testID); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	want := lines("#1 exit_code=0 duration_ms=12 cwd=/workspace", "$ echo a", "gone^[]0;title^G")
	if diff := cmp.Diff(want, s.out.String()); diff != "" {
		t.Error(diff)
	}
	if got := s.err.String(); got != "a\nb\n" {
		t.Errorf("stderr %q", got)
	}
}

func TestInterruptedPushIsUndone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &session{fake: newFake()}
		s.fake.pushing = func(ctx context.Context, _ source) error { <-ctx.Done(); return ctx.Err() }
		s.interrupt(os.Interrupt)
		code := s.run(t, "workspace", "sync", "push", testID, ".")
		want := lines("[workspace-sync] INT: cleaning up; once more leaves at once", "[error] workspace-sync: ended by INT")
		if diff := cmp.Diff(want, s.err.String()); diff != "" || code != 130 {
			t.Errorf("exit code %d, stderr (-want +got):\n%s", code, diff)
		}
	})
}

func TestProgress(t *testing.T) {
	slow := func(d time.Duration) func(context.Context) error {
		return func(ctx context.Context) error {
			select {
			case <-time.After(d):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	create := []string{"workspace", "create", "host", "--id-only"}
	seeded := append(create, "--seed-path", ".")
	blank := func(line string) string { return "\r" + strings.Repeat(" ", len(line)) + "\r" }
	const seedLine = "[seed] 12,345 entries, 118.2 MB"
	const warning = "[warning] limits are not enforced: no cgroup can be made here\n"
	for name, c := range map[string]struct {
		args     []string
		took     time.Duration
		terminal bool
		signals  []os.Signal
		want     string
	}{
		"not without a terminal":   {seeded, 3 * time.Second, false, nil, warning},
		"not for what is quick":    {seeded, 900 * time.Millisecond, true, nil, warning},
		"counts of a seed":         {seeded, 1100 * time.Millisecond, true, nil, "\r" + seedLine + blank(seedLine) + warning},
		"drawn in its place":       {seeded, 1300 * time.Millisecond, true, nil, "\r" + seedLine + "\r" + seedLine + blank(seedLine) + warning},
		"seconds where none count": {create, 1100 * time.Millisecond, true, nil, "\r[workspace-create] 1 s" + blank("[workspace-create] 1 s") + warning},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &session{fake: newFake(), terminal: c.terminal}
				s.fake.creating = slow(c.took)
				code := s.run(t, c.args...)
				if diff := cmp.Diff(c.want, s.err.String()); diff != "" || code != 0 {
					t.Errorf("exit code %d, stderr (-want +got):\n%s", code, diff)
				}
			})
		})
	}
	t.Run("gone before a signal is answered", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := &session{fake: newFake(), terminal: true, signals: make(chan os.Signal)}
			s.fake.pushing = func(ctx context.Context, _ source) error { <-ctx.Done(); return ctx.Err() }
			go func() { // ends when the signal is taken
				time.Sleep(1100 * time.Millisecond)
				s.signals <- os.Interrupt
			}()
			code := s.run(t, "workspace", "sync", "push", testID, ".")
			line := "[sync] 7 entries, 999 B"
			want := "\r" + line + blank(line) + lines("[workspace-sync] INT: cleaning up; once more leaves at once", "[error] workspace-sync: ended by INT")
			if diff := cmp.Diff(want, s.err.String()); diff != "" || code != 130 {
				t.Errorf("exit code %d, stderr (-want +got):\n%s", code, diff)
			}
		})
	})
}

func TestNumbersForPeople(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 12345: "12,345", 1234567: "1,234,567"} {
		if got := grouped(n); got != want {
			t.Errorf("grouped(%d) = %s, want %s", n, got, want)
		}
	}
	for n, want := range map[int64]string{
		0: "0 B", 999: "999 B", 1000: "1.0 kB", 999_949: "999.9 kB", 999_950: "1.0 MB", 118_200_000: "118.2 MB", 5e9: "5.0 GB", 1<<63 - 1: "9.2 EB",
	} {
		if got := size(n); got != want {
			t.Errorf("size(%d) = %s, want %s", n, got, want)
		}
	}
}
