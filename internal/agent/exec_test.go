package agent

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// exec runs a line and fails the test if there is no result.
func exec(t *testing.T, c *wire.Client, line string) wire.ExecReply {
	t.Helper()
	reply, err := c.Exec(t.Context(), wire.ExecRequest{Command: wire.LaxString(line), TimeoutSeconds: 60})
	if err != nil {
		t.Fatalf("exec %q: %v", line, err)
	}
	return reply
}

var ignoreDuration = cmpopts.IgnoreFields(wire.ExecReply{}, "DurationMS")

func TestExec(t *testing.T) {
	c := serve(t, testConfig(t))
	for _, tt := range []struct {
		name string
		req  wire.ExecRequest
		want wire.ExecReply
	}{
		{"streams and status", wire.ExecRequest{Command: "echo out; echo err >&2; exit 7"}, wire.ExecReply{Stdout: "out\n", Stderr: "err\n", ExitCode: 7}},
		{"nothing", wire.ExecRequest{}, wire.ExecReply{}},
		{"its own signal", wire.ExecRequest{Command: "kill -9 $$"}, wire.ExecReply{ExitCode: -9}},
		{"stdin is empty", wire.ExecRequest{Command: "cat; echo done"}, wire.ExecReply{Stdout: "done\n"}},
		{"carriage returns stay", wire.ExecRequest{Command: `printf 'a\r\nb\rc'`}, wire.ExecReply{Stdout: "a\r\nb\rc"}},
		{"environment", wire.ExecRequest{Command: `echo "$A|$HOME|$LANG"`, Env: wire.LaxEnv{"A": "x y"}}, wire.ExecReply{Stdout: "x y|/root|C.UTF-8\n"}},
		{"environment over the defaults", wire.ExecRequest{Command: `echo "$HOME"`, Env: wire.LaxEnv{"HOME": "/tmp"}}, wire.ExecReply{Stdout: "/tmp\n"}},
		{"a session of its own", wire.ExecRequest{Command: `read -r pid comm state ppid pgrp session rest </proc/$$/stat; test "$session" = $$ && echo yes`}, wire.ExecReply{Stdout: "yes\n"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.req.TimeoutSeconds = 60
			got, err := c.Exec(t.Context(), tt.req)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got, ignoreDuration); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestExecRefusesVariableNames(t *testing.T) {
	c := serve(t, testConfig(t))
	for _, name := range []string{"", "1A", "A-B", "A=B", "Ä", strings.Repeat("A", 65)} {
		t.Run(name, func(t *testing.T) {
			_, err := c.Exec(t.Context(), wire.ExecRequest{Command: "true", TimeoutSeconds: 60, Env: wire.LaxEnv{name: "x"}})
			if api.KindOf(err) != api.Invalid {
				t.Errorf("error is %v", err)
			}
		})
	}
}

// A child in the background that holds the pipes neither delays the reply nor loses
// what was written before it.
func TestExecDrainsNotHangs(t *testing.T) {
	onEach(t, func(t *testing.T, _ Config, c *wire.Client) {
		t.Run("background child", func(t *testing.T) {
			t.Cleanup(func() { killAlive("sleep 3001") })
			got := exec(t, c, "sleep 3001 & echo started; exit 4")
			if diff := cmp.Diff(wire.ExecReply{Stdout: "started\n", ExitCode: 4}, got, ignoreDuration); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if !livesOn("sleep 3001") {
				t.Error("the child in the background did not live on")
			}
		})
		t.Run("all output before the exit", func(t *testing.T) {
			t.Cleanup(func() { killAlive("sleep 3002") })
			for range 20 {
				if got := exec(t, c, "sleep 3002 & head -c 60000 /dev/zero | tr '\\0' x"); len(got.Stdout) != 60000 {
					t.Fatalf("%d bytes of 60000 came", len(got.Stdout))
				}
			}
		})
		t.Run("background child that never stops writing", func(t *testing.T) {
			t.Cleanup(func() { killAlive("yes pyro3003") })
			got := exec(t, c, "yes pyro3003 & echo last >&2")
			if got.Stderr != "last\n" {
				t.Errorf("stderr is %q", got.Stderr)
			}
			if !livesOn("yes pyro3003") {
				t.Error("the child in the background died of the end of the command")
			}
		})
		t.Run("stdout closed early", func(t *testing.T) {
			got := exec(t, c, "echo first; exec >&- 2>&-; sleep 0.2; exit 7")
			if diff := cmp.Diff(wire.ExecReply{Stdout: "first\n", ExitCode: 7}, got, ignoreDuration); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if got.DurationMS < 200 {
				t.Errorf("the reply came after %d ms, before the command ended", got.DurationMS)
			}
		})
	})
}

func TestPartialOutputOnTimeout(t *testing.T) {
	onEach(t, func(t *testing.T, _ Config, c *wire.Client) {
		got, err := c.Exec(t.Context(), wire.ExecRequest{Command: "echo before; printf half >&2; sleep 3010", TimeoutSeconds: 1})
		if err != nil {
			t.Fatal(err)
		}
		want := wire.ExecReply{
			Stdout: "before\n", Stderr: "half\npyro: command timed out after 1 seconds\n",
			ExitCode: 124, Reason: api.EndedByTimeout,
		}
		if diff := cmp.Diff(want, got, ignoreDuration); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}

func TestTimeoutThatHasStruck(t *testing.T) {
	cfg := testConfig(t)
	c := serve(t, cfg)
	for _, seconds := range []wire.LaxInt{0, -5} {
		got, err := c.Exec(t.Context(), wire.ExecRequest{Command: wire.LaxString("touch " + cfg.Workspace + "/ran"), TimeoutSeconds: seconds})
		if err != nil || got.ExitCode != 124 {
			t.Errorf("timeout %d: exit code %d, %v", seconds, got.ExitCode, err)
		}
	}
	if _, err := os.Stat(filepath.Join(cfg.Workspace, "ran")); err == nil {
		t.Error("the command ran")
	}
}

// Everything that came from a command goes with it, however it tried to get away.
func TestExecKillsWholeGroup(t *testing.T) {
	lines := map[string]string{
		"trap and children":   "trap '' TERM HUP INT; sh -c 'sleep 3020; sleep 3020' & sleep 3020 | cat; sleep 3020",
		"job control":         "set -m; sleep 3020 & sleep 3020 & sleep 3020",
		"own session":         "setsid sleep 3020 & sleep 3020",
		"double fork":         "(setsid sh -c 'sleep 3020 & sleep 3020 &' &) ; sleep 0.2; sleep 3020",
		"descriptors closed":  "setsid sleep 3020 <&- >&- 2>&- & sleep 3020",
		"parent already gone": "setsid sh -c '(setsid sleep 3020 &) & exit' ; sleep 3020",
	}
	onEach(t, func(t *testing.T, _ Config, c *wire.Client) {
		for name, line := range lines {
			t.Run(name, func(t *testing.T) {
				got, err := collect(t, open(t, c, wire.StreamRequest{Command: line, TimeoutMS: 400}))
				if err != nil || got.Exit.Code != 124 {
					t.Fatalf("got %+v, %v", got, err)
				}
				if alive("sleep 3020") {
					t.Error("some of it lives on")
					killAlive("sleep 3020")
				}
			})
		}
	})
}

func TestLossyUTF8(t *testing.T) {
	c := serve(t, testConfig(t))
	got := exec(t, c, `printf 'a\377\200b\000c\r\nd\re\n'; printf '\303' >&2`)
	if want := "ab\x00c\r\nd\re\n"; strings.ReplaceAll(got.Stdout, "\uFFFD", "") != want || !strings.HasPrefix(got.Stdout, "a\uFFFD") {
		t.Errorf("stdout is %q, want %q with replacements", got.Stdout, want)
	}
	if got.Stderr != "\uFFFD" {
		t.Errorf("stderr is %q", got.Stderr)
	}
	text := strings.Repeat("ü€𝄞", 3000)
	if got := exec(t, c, "printf %s '"+text+"'"); got.Stdout != text {
		t.Error("text beyond ASCII came back changed")
	}
}

func TestCapturedOutputIsCapped(t *testing.T) {
	c := serve(t, testConfig(t))
	got := exec(t, c, "echo first; head -c 20000000 /dev/zero | tr '\\0' x; echo; echo last; echo whole >&2")
	if !got.StdoutTruncated || got.StderrTruncated {
		t.Errorf("truncated: stdout %v, stderr %v", got.StdoutTruncated, got.StderrTruncated)
	}
	if n := len(got.Stdout); n > wire.MaxCapture || n < wire.MaxCapture-200 {
		t.Errorf("%d bytes came, allowed are %d", n, wire.MaxCapture)
	}
	if !strings.HasPrefix(got.Stdout, "first\nxxx") || !strings.HasSuffix(got.Stdout, "x\nlast\n") || !strings.Contains(got.Stdout, "bytes are cut out here") {
		t.Errorf("head %.10q, tail %q", got.Stdout, got.Stdout[len(got.Stdout)-10:])
	}
}

// The worst output that there is for JSON still fits into a reply.
func TestCapturedControlBytesFit(t *testing.T) {
	out := newCapture(wire.MaxCapture)
	_, _ = out.Write(make([]byte, 2*wire.MaxCapture))
	var line bytes.Buffer
	if err := wire.Reply(&line, wire.ExecReply{Stdout: out.text(), Stderr: out.text()}); err != nil {
		t.Fatal(err)
	}
	if line.Len() > wire.MaxReplyLine {
		t.Errorf("the reply has %d bytes, allowed are %d", line.Len(), wire.MaxReplyLine)
	}
}

func TestCapture(t *testing.T) {
	limit := 20 + len(cutMark(1<<62))
	for _, tt := range []struct{ name, all, head, tail string }{
		{"empty", "", "", ""},
		{"fits", "0123456789abcdefghij", "0123456789abcdefghij", ""},
		{"one too many", "0123456789abcdefghijk", "0123456789", "bcdefghijk"},
		{"many", "0123456789" + strings.Repeat("-", 1000) + "abcdefghij", "0123456789", "abcdefghij"},
		{"character at the cut of the head", "012345678€" + strings.Repeat("-", 100), "012345678", "----------"},
		{"character at the cut of the tail", strings.Repeat("-", 100) + "€12345678", "----------", "12345678"},
		{"whole characters at the cuts", "0123456€" + strings.Repeat("-", 100) + "€1234567", "0123456€", "€1234567"},
		{"bytes that are no characters", strings.Repeat("\xff", 100), strings.Repeat("\xff", 10), strings.Repeat("\xff", 10)},
	} {
		for _, step := range []int{1, 3, 10, 11, 1000} {
			t.Run(fmt.Sprintf("%s by %d", tt.name, step), func(t *testing.T) {
				c := newCapture(limit)
				for rest := []byte(tt.all); len(rest) > 0; {
					n, err := c.Write(rest[:min(step, len(rest))])
					if err != nil {
						t.Fatal(err)
					}
					rest = rest[n:]
				}
				want := tt.all
				if cut := len(tt.all) - len(tt.head) - len(tt.tail); cut > 0 {
					want = tt.head + cutMark(int64(cut)) + tt.tail
				}
				if diff := cmp.Diff(want, c.text()); diff != "" {
					t.Errorf("-want +got:\n%s", diff)
				}
			})
		}
	}
}

// A timeout that strikes with the exit leaves one result, and the right one.
func TestTimeoutRacesExit(t *testing.T) {
	a := newAgent(testConfig(t))
	for i := range 200 {
		env, err := a.environment(nil)
		if err != nil {
			t.Fatal(err)
		}
		c := command{argv: []string{"/bin/sh", "-c", "exit 3"}, env: env, timeout: time.Duration(i*20) * time.Microsecond}
		if i == 0 {
			c.timeout = 1
		}
		end, err := a.run(t.Context(), c, newCapture(1000), newCapture(1000), func(*process) {})
		if err != nil {
			t.Fatal(err)
		}
		own := end.code == 3 && end.reason == ""
		struck := end.code == 124 && end.reason == api.EndedByTimeout
		if own == struck {
			t.Fatalf("round %d: %+v", i, end)
		}
	}
}
