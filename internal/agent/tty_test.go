package agent

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

var screen = &api.TerminalSize{Cols: 70, Rows: 20}

func TestStreamOnTerminal(t *testing.T) {
	onEach(t, func(t *testing.T, _ Config, c *wire.Client) {
		for _, tt := range []struct {
			name string
			req  wire.StreamRequest
			want outcome
		}{
			{"one stream of lines for a person", wire.StreamRequest{Command: "echo out; echo err >&2; exit 4"}, outcome{Stdout: "out\r\nerr\r\n", Exit: wire.Exit{Code: 4}}},
			{"all three files", wire.StreamRequest{Command: "test -t 0 && test -t 1 && test -t 2 && stty size && echo $TERM"}, outcome{Stdout: "20 70\r\nxterm-256color\r\n"}},
			{"a terminal of its own", wire.StreamRequest{Command: "echo x >/dev/tty", Env: map[string]string{"TERM": "other"}}, outcome{Stdout: "x\r\n"}},
			{"closed files", wire.StreamRequest{Command: "exec </dev/null >/dev/null 2>&1; sleep 0.1; echo x >/dev/tty"}, outcome{Stdout: "x\r\n"}},
			{"a process left behind", wire.StreamRequest{Command: "sleep 4060 & echo x"}, outcome{Stdout: "x\r\n"}},
			{"no such program", wire.StreamRequest{Argv: []string{"./none"}}, outcome{Stdout: "pyro: ./none: not found\r\n", Exit: wire.Exit{Code: 127}}},
			{"timeout", wire.StreamRequest{Command: "printf half; sleep 4061", TimeoutMS: 500}, outcome{Stdout: "half\r\npyro: command timed out after 0.5 seconds\r\n", Exit: wire.Exit{Code: 124, Reason: api.EndedByTimeout}}},
		} {
			t.Run(tt.name, func(t *testing.T) {
				defer killAlive("sleep 4060")
				tt.req.TTY = screen
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

func TestTerminalShowsAllOutput(t *testing.T) {
	c := serve(t, testConfig(t))
	for range 20 {
		got, err := collect(t, open(t, c, wire.StreamRequest{Command: "head -c 200000 /dev/zero | tr '\\0' x; echo end", TTY: screen}))
		if err != nil || len(got.Stdout) != 200000+len("end\r\n") || !strings.HasSuffix(got.Stdout, "xend\r\n") {
			t.Fatalf("%d bytes came, %v", len(got.Stdout), err)
		}
	}
}

func TestTerminalInput(t *testing.T) {
	onEach(t, func(t *testing.T, _ Config, c *wire.Client) {
		for name, keys := range map[string]string{"a line": "hello\n", "half a line": "hello", "nothing": ""} {
			t.Run(name, func(t *testing.T) {
				s := open(t, c, wire.StreamRequest{Command: "stty -echo; echo ready; cat; echo =$?", TTY: screen, Stdin: true})
				until(t, s, "ready\r\n")
				send(t, s, wire.FrameStdin, []byte(keys))
				send(t, s, wire.FrameStdin, nil)
				got, err := collect(t, s)
				if want := strings.ReplaceAll(keys, "\n", "\r\n") + "=0\r\n"; err != nil || got.Stdout != want {
					t.Errorf("got %+v, %v", got, err)
				}
			})
		}
	})
}

func TestTerminalSignals(t *testing.T) {
	onEach(t, func(t *testing.T, _ Config, c *wire.Client) {
		t.Run("a key", func(t *testing.T) {
			s := open(t, c, wire.StreamRequest{Command: "trap 'echo caught; exit 5' INT; echo ready; while :; do sleep 0.02; done", TTY: screen, Stdin: true})
			until(t, s, "ready\r\n")
			send(t, s, wire.FrameStdin, []byte{3})
			if got, err := collect(t, s); err != nil || got.Exit.Code != 5 || !strings.Contains(got.Stdout, "caught") {
				t.Errorf("got %+v, %v", got, err)
			}
		})
		t.Run("the foreground of a shell", func(t *testing.T) {
			s := open(t, c, wire.StreamRequest{Argv: []string{"bash", "--norc", "--noprofile", "-i"}, Env: map[string]string{"PS1": "$ ", "TERM": "dumb"}, TTY: screen, Stdin: true})
			send(t, s, wire.FrameStdin, []byte("sleep 4062; echo =$?; exit 6\n"))
			if !livesOn("sleep 4062") {
				t.Fatal("it never began")
			}
			sendSignal(t, s, "TERM")
			if got, err := collect(t, s); err != nil || got.Exit.Code != 6 || !strings.Contains(got.Stdout, "=143\r\n") {
				t.Errorf("got %+v, %v", got, err)
			}
		})
		t.Run("size", func(t *testing.T) {
			s := open(t, c, wire.StreamRequest{Command: "trap 'stty size; exit' WINCH; echo ready; while :; do sleep 0.02; done", TTY: screen})
			until(t, s, "ready\r\n")
			send(t, s, wire.FrameResize, []byte(`{"cols":0,"rows":1}`))
			send(t, s, wire.FrameResize, []byte(`{"cols":33,"rows":22}`))
			if got, err := collect(t, s); err != nil || got.Stdout != "22 33\r\n" {
				t.Errorf("got %+v, %v", got, err)
			}
		})
		t.Run("the peer is gone", func(t *testing.T) {
			s := open(t, c, wire.StreamRequest{Command: "echo ready; setsid sleep 4063 & sleep 4063", TTY: screen, Stdin: true})
			until(t, s, "ready\r\n")
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if !eventually(func() bool { return !alive("sleep 4063") }) {
				t.Error("the command lives on")
			}
		})
	})
}

func TestTerminalOfNoSize(t *testing.T) {
	c := serve(t, testConfig(t))
	if _, err := collect(t, open(t, c, wire.StreamRequest{Command: "true", TTY: &api.TerminalSize{Cols: 80}})); api.KindOf(err) != api.Invalid {
		t.Errorf("got %v", err)
	}
}
