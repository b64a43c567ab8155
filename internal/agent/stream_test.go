package agent

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// streamed is what came of a stream.
type outcome struct {
	Stdout, Stderr string
	Exit           wire.Exit
}

var ignoreDurations = cmpopts.IgnoreFields(wire.Exit{}, "DurationMS", "DurationUS")

func open(t *testing.T, c *wire.Client, req wire.StreamRequest) *wire.Stream {
	t.Helper()
	s, err := c.Stream(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// collect reads a stream to its end.
func collect(t *testing.T, s *wire.Stream) (outcome, error) {
	t.Helper()
	var o outcome
	for {
		f, err := s.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		switch f.Type {
		case wire.FrameStdout:
			o.Stdout += string(f.Payload)
		case wire.FrameStderr:
			o.Stderr += string(f.Payload)
		case wire.FrameExit:
			o.Exit, err = f.Exit()
			return o, err
		case wire.FrameFail:
			return o, f.Failure()
		}
	}
}

func send(t *testing.T, s *wire.Stream, kind wire.FrameType, payload []byte) {
	t.Helper()
	if err := s.WriteFrame(kind, payload); err != nil {
		t.Fatal(err)
	}
}

func sendSignal(t *testing.T, s *wire.Stream, name string) {
	t.Helper()
	payload, err := json.Marshal(wire.Signal{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	send(t, s, wire.FrameSignal, payload)
}

func TestStream(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config, c *wire.Client) {
		write := func(name, text string, perm os.FileMode) {
			if err := os.WriteFile(filepath.Join(cfg.Workspace, name), []byte(text), perm); err != nil {
				t.Fatal(err)
			}
		}
		write("plain", "#!/bin/sh\necho no\n", 0o644)
		write("script", "#!/bin/sh\necho \"$@\"\n", 0o755)
		write("lost", "#!/nowhere/interpreter\n", 0o755)
		write("bytes", "\x7f not a program\n", 0o755)
		for _, tt := range []struct {
			name string
			req  wire.StreamRequest
			want outcome
		}{
			{"argv as it is", wire.StreamRequest{Argv: []string{"printf", "%s|", "a b", "$HOME", ""}}, outcome{Stdout: "a b|$HOME||"}},
			{"status", wire.StreamRequest{Argv: []string{"sh", "-c", "exit 9"}}, outcome{Exit: wire.Exit{Code: 9}}},
			{"signal", wire.StreamRequest{Argv: []string{"sh", "-c", "kill -TERM $$"}}, outcome{Exit: wire.Exit{Code: -15}}},
			{"command line", wire.StreamRequest{Command: "echo $((1 + 2))"}, outcome{Stdout: "3\n"}},
			{"builtin", wire.StreamRequest{Argv: []string{"type", "cd"}}, outcome{Stdout: "cd is a shell builtin\n"}},
			{"relative path", wire.StreamRequest{Argv: []string{"./script", "x", "y"}}, outcome{Stdout: "x y\n"}},
			{"path through the request's PATH", wire.StreamRequest{Argv: []string{"script", "z"}, Env: map[string]string{"PATH": cfg.Workspace}}, outcome{Stdout: "z\n"}},
			{"cwd", wire.StreamRequest{Argv: []string{"/bin/pwd"}, Cwd: "/tmp"}, outcome{Stdout: "/tmp\n"}},
			{"cwd is made in the workspace", wire.StreamRequest{Command: "pwd -P; echo $PWD", Cwd: "/workspace/a/b"}, outcome{Stdout: cfg.Workspace + "/a/b\n" + cfg.Workspace + "/a/b\n"}},
			{"path that does not exist", wire.StreamRequest{Argv: []string{"./missing"}}, outcome{Stderr: "pyro: ./missing: not found\n", Exit: wire.Exit{Code: 127}}},
			{"path below a file", wire.StreamRequest{Argv: []string{"/etc/passwd/x"}}, outcome{Stderr: "pyro: /etc/passwd/x: not found\n", Exit: wire.Exit{Code: 127}}},
			{"path that is a directory", wire.StreamRequest{Argv: []string{"/tmp"}}, outcome{Stderr: "pyro: /tmp: is a directory\n", Exit: wire.Exit{Code: 126}}},
			{"path that is not executable", wire.StreamRequest{Argv: []string{"./plain"}}, outcome{Stderr: "pyro: ./plain: permission denied\n", Exit: wire.Exit{Code: 126}}},
			{"interpreter that does not exist", wire.StreamRequest{Argv: []string{"./lost"}}, outcome{Stderr: "pyro: ./lost: interpreter not found\n", Exit: wire.Exit{Code: 127}}},
			{"no format that the kernel knows", wire.StreamRequest{Argv: []string{"./bytes"}}, outcome{Stderr: "pyro: ./bytes: exec format error\n", Exit: wire.Exit{Code: 126}}},
			{"timeout", wire.StreamRequest{Command: "printf half >&2; sleep 3030", TimeoutMS: 500}, outcome{Stderr: "half\npyro: command timed out after 0.5 seconds\n", Exit: wire.Exit{Code: 124, Reason: api.EndedByTimeout}}},
		} {
			t.Run(tt.name, func(t *testing.T) {
				got, err := collect(t, open(t, c, tt.req))
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(tt.want, got, ignoreDurations); diff != "" {
					t.Errorf("-want +got:\n%s", diff)
				}
			})
		}
	})
}

func TestStreamNameThatDoesNotExist(t *testing.T) {
	c := serve(t, testConfig(t))
	got, err := collect(t, open(t, c, wire.StreamRequest{Argv: []string{"no-such-program", "a b"}}))
	if err != nil || got.Exit.Code != 127 || !strings.Contains(got.Stderr, "no-such-program") || strings.Contains(got.Stderr, "pyro") {
		t.Errorf("got %+v, %v: want 127 with the words of the shell", got, err)
	}
}

func TestStreamFails(t *testing.T) {
	c := serve(t, testConfig(t))
	for _, tt := range []struct {
		name string
		req  wire.StreamRequest
		kind api.Kind
		text string
	}{
		{"nothing to run", wire.StreamRequest{}, api.Invalid, "no command"},
		{"two things to run", wire.StreamRequest{Argv: []string{"a"}, Command: "b"}, api.Invalid, "both"},
		{"empty program", wire.StreamRequest{Argv: []string{""}}, api.Invalid, "no command"},
		{"NUL in an argument", wire.StreamRequest{Argv: []string{"echo", "a\x00b"}}, api.Invalid, "invalid argument"},
		{"relative cwd", wire.StreamRequest{Argv: []string{"true"}, Cwd: "a"}, api.Invalid, "not absolute"},
		{"cwd that does not exist", wire.StreamRequest{Argv: []string{"true"}, Cwd: "/no/such/place"}, api.NotFound, "does not exist"},
		{"cwd that is a file", wire.StreamRequest{Argv: []string{"true"}, Cwd: "/etc/passwd"}, api.Invalid, "no directory"},
		{"bad variable", wire.StreamRequest{Argv: []string{"true"}, Env: map[string]string{"A B": ""}}, api.Invalid, "A B"},
		{"negative timeout", wire.StreamRequest{Argv: []string{"true"}, TimeoutMS: -1}, api.Invalid, "negative"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := collect(t, open(t, c, tt.req))
			if api.KindOf(err) != tt.kind || err == nil || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("error is %v (%s), want %s with %q", err, api.KindOf(err), tt.kind, tt.text)
			}
		})
	}
}

func TestStreamStdin(t *testing.T) {
	onEach(t, func(t *testing.T, _ Config, c *wire.Client) {
		t.Run("comes through and ends", func(t *testing.T) {
			s := open(t, c, wire.StreamRequest{Argv: []string{"wc", "-c"}, Stdin: true})
			for range 40 {
				send(t, s, wire.FrameStdin, make([]byte, 100_000))
			}
			send(t, s, wire.FrameStdin, nil)
			if got, err := collect(t, s); err != nil || strings.TrimSpace(got.Stdout) != "4000000" {
				t.Errorf("got %+v, %v", got, err)
			}
		})
		t.Run("is empty unless asked for", func(t *testing.T) {
			s := open(t, c, wire.StreamRequest{Argv: []string{"cat"}})
			send(t, s, wire.FrameStdin, []byte("unasked"))
			if got, err := collect(t, s); err != nil || got.Stdout != "" {
				t.Errorf("got %+v, %v", got, err)
			}
		})
		t.Run("may be closed by the command", func(t *testing.T) {
			s := open(t, c, wire.StreamRequest{Command: "exec <&-; echo closed; sleep 0.1; echo end", Stdin: true})
			for range 4 {
				send(t, s, wire.FrameStdin, make([]byte, 100_000))
			}
			if got, err := collect(t, s); err != nil || got.Stdout != "closed\nend\n" {
				t.Errorf("got %+v, %v", got, err)
			}
		})
		t.Run("may be left open", func(t *testing.T) {
			s := open(t, c, wire.StreamRequest{Argv: []string{"echo", "done"}, Stdin: true})
			if got, err := collect(t, s); err != nil || got.Stdout != "done\n" {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	})
}

func TestStreamSignals(t *testing.T) {
	onEach(t, func(t *testing.T, _ Config, c *wire.Client) {
		for _, name := range []string{"HUP", "INT", "QUIT", "TERM", "USR1", "USR2"} {
			t.Run(name, func(t *testing.T) {
				s := open(t, c, wire.StreamRequest{Command: "trap 'echo caught; exit 5' " + name + "; echo ready; while :; do sleep 0.02; done"})
				if f, err := s.ReadFrame(); err != nil || string(f.Payload) != "ready\n" {
					t.Fatalf("got %q, %v", f.Payload, err)
				}
				sendSignal(t, s, "NONSENSE")
				sendSignal(t, s, name)
				if got, err := collect(t, s); err != nil || got.Exit.Code != 5 || got.Stdout != "caught\n" {
					t.Errorf("got %+v, %v", got, err)
				}
			})
		}
		t.Run("KILL reaches the whole group", func(t *testing.T) {
			s := open(t, c, wire.StreamRequest{Command: "sleep 3040 | sleep 3040 & echo ready; sleep 3040"})
			if _, err := s.ReadFrame(); err != nil {
				t.Fatal(err)
			}
			sendSignal(t, s, "KILL")
			if got, err := collect(t, s); err != nil || got.Exit.Code != -9 || got.Exit.Reason != "" {
				t.Errorf("got %+v, %v", got, err)
			}
			if !eventually(func() bool { return !alive("sleep 3040") }) {
				t.Error("some of it lives on")
			}
		})
	})
}

func TestClosedStreamKillsCommand(t *testing.T) {
	onEach(t, func(t *testing.T, _ Config, c *wire.Client) {
		for name, line := range map[string]string{
			"quiet":   "echo ready; setsid sleep 3050 & sleep 3050",
			"writing": "echo ready; setsid sleep 3050 & yes",
		} {
			t.Run(name, func(t *testing.T) {
				s := open(t, c, wire.StreamRequest{Command: line})
				if _, err := s.ReadFrame(); err != nil {
					t.Fatal(err)
				}
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				if !eventually(func() bool { return !alive("sleep 3050") }) {
					t.Error("the command lives on")
				}
			})
		}
	})
}

// A peer that reads slowly gets every byte, and nothing piles up for it.
func TestSlowReaderHoldsCommandBack(t *testing.T) {
	const size = 50_000_000
	onEach(t, func(t *testing.T, _ Config, c *wire.Client) {
		runtime.GC() // twice, since pools give up what they hold at the second
		runtime.GC()
		before := heap()
		s := open(t, c, wire.StreamRequest{Command: "head -c 50000000 /dev/zero | tr '\\0' x"})
		peak, sum := before, 0
		for n := 0; ; n++ {
			f, err := s.ReadFrame()
			if err != nil {
				t.Fatal(err)
			}
			if f.Type == wire.FrameExit {
				break
			}
			sum += bytes.Count(f.Payload, []byte("x"))
			if n%64 == 0 {
				peak = max(peak, heap())
			}
		}
		if sum != size {
			t.Errorf("%d bytes of %d came", sum, size)
		}
		if peak > before+size/2 {
			t.Errorf("the heap grew from %d to %d bytes", before, peak)
		}
	})
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestStreamOverIsEOF(t *testing.T) {
	c := serve(t, testConfig(t))
	s := open(t, c, wire.StreamRequest{Argv: []string{"true"}})
	if _, err := collect(t, s); err != nil {
		t.Fatal(err)
	}
	if _, err := s.ReadFrame(); !errors.Is(err, io.EOF) {
		t.Errorf("after the exit comes %v", err)
	}
}
