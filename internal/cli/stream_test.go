package cli

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/api"
)

func TestExitCodes(t *testing.T) {
	for name, c := range map[string]struct{ guest, want int }{
		"success": {0, 0}, "failure": {1, 1}, "another": {3, 3}, "most": {255, 255}, "beyond a byte": {256, 0}, "far beyond": {515, 3},
		"timeout": {124, 124}, "not found": {127, 127}, "SIGKILL": {-9, 247}, "SIGTERM": {-15, 241}, "real-time signal": {-64, 192},
	} {
		t.Run(name, func(t *testing.T) {
			for _, args := range [][]string{{"run", "host", "x"}, {"run", "host", "--json", "x"}, {"workspace", "exec", testID, "x"}, {"workspace", "exec", testID, "x", "--json"}} {
				s := &session{fake: newFake()}
				s.fake.guest = prints("", "", c.guest)
				if got := s.run(t, args...); got != c.want {
					t.Errorf("%v: %d, want %d", args, got, c.want)
				}
			}
		})
	}
}

func TestRunAsksForWhatWasTyped(t *testing.T) {
	s := &session{}
	code := s.run(t, "run", "--vcpu-count=2", "host", "--mem-mib", "512", "--disk", "64", "--ttl-seconds", "60", "--engine", "gvisor", "--allow", "--timeout-seconds", "7", "--", "ls", "--json")
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, s.err.String())
	}
	want := api.CreateRequest{Environment: "host", VCPUCount: 2, MemMiB: 512, DiskMiB: 64, TTLSeconds: 60, NetworkPolicy: "off", Engine: "gvisor", AllowHostCompat: true}
	if diff := cmp.Diff([]api.CreateRequest{want}, s.fake.created); diff != "" {
		t.Error(diff)
	}
	if s.fake.lives[0] != withUs {
		t.Error("the sandbox could outlive the process")
	}
	ran := s.fake.ran[0]
	if diff := cmp.Diff([]string{"ls", "--json"}, ran.Argv); diff != "" || ran.Timeout != 7*time.Second || ran.Stdin != nil {
		t.Errorf("ran %+v", ran)
	}
	if diff := cmp.Diff([]string{testID}, s.fake.deleted); diff != "" {
		t.Error(diff)
	}
}

func TestCreateAsksForWhatWasTyped(t *testing.T) {
	s := &session{}
	if code := s.run(t, "workspace", "create", "host", "--name", " my ws ", "--label", "a = 1 ", "--label", "b=x=y", "--label", "a=2"); code != 0 {
		t.Fatalf("exit code %d: %s", code, s.err.String())
	}
	want := api.CreateRequest{
		Environment: "host", NetworkPolicy: "off",
		Name: "my ws", Labels: map[string]string{"a": "2", "b": "x=y"},
	}
	if diff := cmp.Diff([]api.CreateRequest{want}, s.fake.created); diff != "" {
		t.Error(diff)
	}
	if s.fake.lives[0] != untilDeleted || len(s.fake.deleted) > 0 {
		t.Error("the workspace does not stay")
	}
}

// TestRefusedBeforeAnythingIsMade holds what must cost no sandbox.
func TestRefusedBeforeAnythingIsMade(t *testing.T) {
	for name, c := range map[string]struct {
		args string
		code int
	}{
		"zero CPUs":           {"run host --vcpu-count 0 -- true", 1},
		"zero memory":         {"run host --mem-mib 0 -- true", 1},
		"zero disk":           {"run host --disk-mib=0 -- true", 1},
		"negative life":       {"workspace create host --ttl-seconds -1", 1},
		"overflowing life":    {"run host --ttl-seconds 9223372036854775807 -- true", 1},
		"negative idle time":  {"workspace create host --idle-seconds -1", 1},
		"empty seed path":     {"workspace create host --seed-path=", 1},
		"exclude of no seed":  {"run host --exclude x -- true", 2},
		"git of no seed":      {"workspace create host --gitignore", 2},
		"specials of no seed": {"workspace create host --skip-special", 2},
		"life in words":       {"workspace create host --ttl-seconds forever", 2},
		"zero timeout":        {"run host --timeout-seconds 0 -- true", 1},
		"endless timeout":     {"run host --timeout-seconds 9223372036854775807 -- true", 1},
		"negative CPUs":       {"run host --vcpu-count -1 -- true", 1},
		"too much memory":     {"workspace create host --mem-mib 32769", 1},
		"long name":           {"workspace create host --name " + strings.Repeat("x", 121), 1},
		"label key":           {"workspace create host --label !=1", 1},
		"label without value": {"workspace create host --label k=", 1},
		"network":             {"workspace create host --network-policy egress+published-ports", 1},
		"beyond an int":       {"run host --vcpu-count 99999999999999999999 -- true", 2},
		"hexadecimal":         {"run host --vcpu-count 0x1 -- true", 2},
		"underscores":         {"run host --vcpu-count 1_0 -- true", 2},
		"fraction":            {"run host --vcpu-count 1.5 -- true", 2},
		"empty number":        {"run host --vcpu-count= -- true", 2},
		"capital policy":      {"workspace create host --network-policy OFF", 2},
		"later option":        {"workspace create host --snapshot x", 2},
		"secret of no name":   {"workspace create host --secret y", 1},
		"secret of nothing":   {"workspace create host --secret X=", 1},
		"secret file":         {"workspace create host --secret-file X=/nowhere/at/all", 1},
		"secret directory":    {"workspace create host --secret-file X=/", 1},
		"secret twice":        {"workspace create host --secret X=longenough --secret X=longenough", 1},
		"secret variable":     {"workspace create host --secret-from-env NO_SUCH_VARIABLE", 1},
		"secret command":      {"workspace create host --secret-command X=false", 1},
		"secret name":         {"workspace create host --secret 1X=longenough", 1},
		"terminal":            {"run host -t true", 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := &session{}
			code := s.run(t, strings.Fields(c.args)...)
			if code != c.code || s.out.String() != "" || len(s.fake.created) > 0 {
				t.Errorf("exit code %d, stdout %q, created %v", code, s.out.String(), s.fake.created)
			}
			if said := s.err.String(); !strings.Contains(said, "[hint] ") || !strings.Contains(said, "error") {
				t.Errorf("stderr %q", said)
			}
		})
	}
}

// echo is a guest that gives its stdin back.
func echo(_ context.Context, p *fakeProcess) (int, error) {
	if p.Stdin == nil {
		return 9, nil
	}
	_, err := io.Copy(p.Stdout, p.Stdin)
	return 0, err
}

func TestStdin(t *testing.T) {
	t.Run("passed on with -i, up to its end", func(t *testing.T) {
		s := &session{fake: newFake(), stdin: strings.NewReader("a\x00\xff\nb")}
		s.fake.guest = echo
		if code := s.run(t, "run", "-i", "host", "cat"); code != 0 || s.out.String() != "a\x00\xff\nb" {
			t.Errorf("exit code %d, stdout %q", code, s.out.String())
		}
	})
	t.Run("not touched without it", func(t *testing.T) { // the session's stdin fails the test when read
		s := &session{fake: newFake()}
		s.fake.guest = echo
		if code := s.run(t, "workspace", "exec", testID, "cat"); code != 9 {
			t.Errorf("exit code %d", code)
		}
	})
}

func TestGuestOutput(t *testing.T) {
	const wild = "\x1b[31mred\x1b[0m \x1b]52;c;AA\x07 a\rb \xff\n"
	t.Run("untouched where nobody looks", func(t *testing.T) {
		s := &session{fake: newFake()}
		s.fake.guest = prints(wild, wild, 0)
		s.run(t, "workspace", "exec", testID, "x")
		if s.out.String() != wild || !strings.HasPrefix(s.err.String(), wild) {
			t.Errorf("stdout %q, stderr %q", s.out.String(), s.err.String())
		}
	})
	t.Run("harmless on a terminal", func(t *testing.T) {
		s := &session{fake: newFake(), terminal: true}
		s.fake.guest = prints(wild, wild+"\x1b[3", 0)
		s.run(t, "workspace", "exec", testID, "x")
		const tame = "red ^[]52;c;AA^G a\nb \\xff\n"
		if s.out.String() != tame || !strings.HasPrefix(s.err.String(), tame+"^[[3\n[workspace-exec] ") {
			t.Errorf("stdout %q, stderr %q", s.out.String(), s.err.String())
		}
	})
	t.Run("streamed as it comes", func(t *testing.T) {
		s := &session{fake: newFake()}
		var early string
		s.fake.guest = func(_ context.Context, p *fakeProcess) (int, error) {
			_, err := io.WriteString(p.Stdout, "first")
			early = s.out.String()
			return 0, err
		}
		s.run(t, "run", "host", "x")
		if early != "first" {
			t.Errorf("while the command ran there was %q", early)
		}
	})
	t.Run("cut in JSON and said so", func(t *testing.T) {
		s := &session{fake: newFake()}
		s.fake.guest = prints("head"+strings.Repeat("x", maxCapture)+"tail", "short", 0)
		s.run(t, "run", "host", "--json", "x")
		out := s.out.String()
		if !strings.Contains(out, `"stdout_truncated": true`) || !strings.Contains(out, `"stderr_truncated": false`) || !strings.Contains(out, `"stdout": "headx`) || !strings.Contains(out, `xtail"`) {
			t.Errorf("%d bytes that begin with %.200q", len(out), out)
		}
	})
	t.Run("cut by others and said so", func(t *testing.T) {
		s := &session{}
		a := &app{Env: Env{Stderr: &s.err}}
		a.remarks("run", &api.WorkspaceExec{StdoutTruncated: true, StderrTruncated: true}, execution{})
		if got := s.err.String(); strings.Count(got, "truncated") != 2 {
			t.Errorf("stderr %q", got)
		}
	})
}

// TestMoreTimeIsHintedAt wants the option to be named to those who did not use it.
func TestMoreTimeIsHintedAt(t *testing.T) {
	timeout, oom := api.EndedByTimeout, api.EndedByOOM
	for name, c := range map[string]struct {
		reason  *string
		seconds int
		want    string
	}{
		"everybody's time":  {&timeout, api.DefaultTimeoutSeconds, "[hint] --timeout-seconds gives it more time\n"},
		"a time of its own": {&timeout, 7, ""},
		"another end":       {&oom, api.DefaultTimeoutSeconds, ""},
		"an end by itself":  {nil, api.DefaultTimeoutSeconds, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := &session{}
			a := &app{Env: Env{Stderr: &s.err}}
			a.remarks("run", &api.WorkspaceExec{Reason: c.reason}, execution{timeoutSeconds: c.seconds})
			if diff := cmp.Diff(c.want, s.err.String()); diff != "" {
				t.Errorf("stderr (-want +got):\n%s", diff)
			}
		})
	}
}

func TestClosedStdoutIsQuiet(t *testing.T) {
	want := func(name string) int {
		if name == "error as JSON" {
			return exitHandled
		}
		return exitPipe
	}
	for name, args := range map[string][]string{
		"output of a guest": {"run", "host", "x"}, "JSON": {"run", "host", "--json", "x"}, "list": {"workspace", "list"},
		"version": {"--version"}, "help": {"run", "--help"}, "completion": {"completion", "bash"}, "error as JSON": {"run", "host", "--json"},
	} {
		t.Run(name, func(t *testing.T) {
			read, write, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			_ = read.Close()
			defer func() { _ = write.Close() }()
			s := &session{fake: newFake(), stdout: write}
			s.fake.guest = prints("text\n", "", 0)
			code := s.run(t, args...)
			if said := s.err.String(); strings.Contains(said, "error") || strings.Contains(said, "pipe") || code != want(name) {
				t.Errorf("exit code %d, stderr %q", code, said)
			}
			if args[0] == "run" && len(s.fake.created) > len(s.fake.deleted) {
				t.Error("the sandbox is left")
			}
		})
	}
}

// full is a disk without room.
type full struct{}

func (full) Write([]byte) (int, error) {
	return 0, &fs.PathError{Op: "write", Path: "/dev/stdout", Err: errors.New("no space left on device")}
}

func TestFullDiskIsTold(t *testing.T) {
	s := &session{fake: newFake(), stdout: full{}}
	s.fake.guest = prints("text\n", "", 0)
	code := s.run(t, "run", "host", "x")
	want := lines("[error] write to stdout: no space left on device", "[hint] what was written is not whole: make room there, or write elsewhere, and try again")
	if code != exitHandled || !strings.HasSuffix(s.err.String(), want) {
		t.Errorf("exit code %d, stderr %q", code, s.err.String())
	}
}

func TestErrorsOfTheClient(t *testing.T) {
	boom := &api.Error{Kind: api.Unavailable, Op: "create workspace", ID: testID, Err: errors.New("gone\n[run] fake\x1b[2J"), Hint: "look"}
	s := &session{fake: newFake()}
	s.fake.creating = func(context.Context) error { return boom }
	if code := s.run(t, "run", "host", "x"); code != 1 {
		t.Errorf("exit code %d", code)
	}
	want := lines("[run] phase=create environment=host", `[error] create workspace 0123456789ab: gone\n[run] fake`, "[hint] look")
	if diff := cmp.Diff(want, s.err.String()); diff != "" {
		t.Error(diff)
	}
}

// hangs is a guest that ends by a signal of the given name, or with its context.
func hangs(name string) func(context.Context, *fakeProcess) (int, error) {
	return func(ctx context.Context, p *fakeProcess) (int, error) {
		for {
			select {
			case got := <-p.signals:
				if got == name {
					return -2, nil
				}
			case <-ctx.Done():
				return 0, &api.Error{Kind: api.Canceled, Err: ctx.Err()}
			}
		}
	}
}

// interrupt sends signals, each when all else has come to rest.
func (s *session) interrupt(signals ...os.Signal) {
	s.signals = make(chan os.Signal)
	go func() { // ends when the last signal is taken
		for _, sig := range signals {
			synctest.Wait()
			s.signals <- sig
		}
	}()
}

func TestSignals(t *testing.T) {
	run, exec := []string{"run", "host", "x"}, []string{"workspace", "exec", testID, "x"}
	for name, c := range map[string]struct {
		args    []string
		guest   func(context.Context, *fakeProcess) (int, error)
		signals []os.Signal
		code    int
		says    string
	}{
		"the first goes to the command":       {exec, hangs("INT"), []os.Signal{os.Interrupt}, 254, "[workspace-exec] INT sent to the command; once more leaves at once\n"},
		"also to that of run":                 {run, hangs("INT"), []os.Signal{os.Interrupt}, 254, "[run] INT sent to the command; once more leaves at once\n"},
		"also with JSON":                      {append(exec, "--json"), hangs("INT"), []os.Signal{os.Interrupt}, 254, "[workspace-exec] INT sent"},
		"what is no interrupt is a TERM":      {exec, hangs("TERM"), []os.Signal{os.Kill}, 254, "TERM sent"},
		"the second leaves":                   {exec, hangs("-"), []os.Signal{os.Interrupt, os.Interrupt}, 130, "INT sent"},
		"the second decides about the code":   {exec, hangs("-"), []os.Signal{os.Interrupt, os.Kill}, 143, "INT sent"},
		"leaving a run needs no further word": {run, hangs("-"), []os.Signal{os.Interrupt, os.Interrupt}, 130, "INT sent"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &session{fake: newFake()}
				s.fake.guest = c.guest
				s.interrupt(c.signals...)
				if code := s.run(t, c.args...); code != c.code || !strings.Contains(s.err.String(), c.says) {
					t.Errorf("exit code %d, stderr %q", code, s.err.String())
				}
				if code := c.code; (code == 130 || code == 143) && strings.Contains(s.err.String(), "[error]") {
					t.Errorf("leaving was told as an error: %q", s.err.String())
				}
			})
		})
	}
}

func TestSignalsWhileNoCommandRuns(t *testing.T) {
	waits := func(ctx context.Context) error { <-ctx.Done(); return &api.Error{Kind: api.Canceled, Err: ctx.Err()} }
	never := func(context.Context) error { select {} }
	for name, c := range map[string]struct {
		args     []string
		creating func(context.Context) error
		deleting func(context.Context) error
		signals  []os.Signal
		code     int
		want     string
	}{
		"create is undone": {
			args: []string{"workspace", "create", "host"}, creating: waits, signals: []os.Signal{os.Interrupt}, code: 130,
			want: lines("[workspace-create] INT: cleaning up; once more leaves at once", "[error] workspace-create: ended by INT"),
		},
		"create succeeds all the same": {
			args: []string{"workspace", "create", "host", "--id-only"}, creating: func(ctx context.Context) error { <-ctx.Done(); return nil },
			signals: []os.Signal{os.Interrupt}, code: 0,
			want: lines("[workspace-create] INT: cleaning up; once more leaves at once", "[warning] limits are not enforced: no cgroup can be made here"),
		},
		"delete is given up": {
			args: []string{"workspace", "delete", testID}, deleting: waits, signals: []os.Signal{os.Kill}, code: 143,
			want: lines("[workspace-delete] TERM: cleaning up; once more leaves at once", "[error] workspace-delete: ended by TERM"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &session{fake: newFake()}
				s.fake.creating, s.fake.deleting = c.creating, c.deleting
				s.interrupt(c.signals...)
				code := s.run(t, c.args...)
				if diff := cmp.Diff(c.want, s.err.String()); diff != "" || code != c.code {
					t.Errorf("exit code %d, stderr (-want +got):\n%s", code, diff)
				}
			})
		})
	}
	t.Run("the second does not wait for the undoing", func(t *testing.T) {
		s := &session{fake: newFake(), signals: make(chan os.Signal, 2)}
		s.fake.creating = never // its goroutine stays, as it would in a process that is about to end
		s.signals <- os.Interrupt
		s.signals <- os.Interrupt
		if code := s.run(t, "run", "host", "x"); code != 130 || strings.Contains(s.err.String(), "[error]") {
			t.Errorf("exit code %d, stderr %q", code, s.err.String())
		}
	})
}

func TestRunRemovesTheSandboxWhateverHappens(t *testing.T) {
	for name, guest := range map[string]func(context.Context, *fakeProcess) (int, error){
		"success":  prints("", "", 0),
		"failure":  prints("", "", 1),
		"no end":   func(context.Context, *fakeProcess) (int, error) { return 0, errors.New("the supervisor is gone") },
		"canceled": func(context.Context, *fakeProcess) (int, error) { return 0, context.Canceled },
	} {
		t.Run(name, func(t *testing.T) {
			s := &session{fake: newFake()}
			s.fake.guest = guest
			s.run(t, "run", "host", "x")
			if diff := cmp.Diff([]string{testID}, s.fake.deleted); diff != "" {
				t.Error(diff)
			}
		})
	}
	t.Run("also when the caller gives up", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := &session{fake: newFake(), ctx: ctx}
		s.fake.guest = func(ctx context.Context, _ *fakeProcess) (int, error) { cancel(); <-ctx.Done(); return 0, ctx.Err() }
		s.fake.deleting = func(ctx context.Context) error { return ctx.Err() }
		if code := s.run(t, "run", "host", "x"); code != exitHandled || len(s.fake.deleted) != 1 {
			t.Errorf("exit code %d, deleted %v", code, s.fake.deleted)
		}
	})
	t.Run("also when the deletion hangs", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := &session{fake: newFake()}
			s.fake.deleting = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
			if code := s.run(t, "run", "host", "x"); code != 1 || !strings.Contains(s.err.String(), "[error] context deadline exceeded") {
				t.Errorf("exit code %d, stderr %q", code, s.err.String())
			}
		})
	})
}
