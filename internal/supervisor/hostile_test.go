package supervisor

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/journal"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// TestHostileAgent lets an agent do its worst in everything that a supervisor asks of
// it. Most cases live in a bubble: their clock is the test's, and a goroutine that
// does not end fails them.
func TestHostileAgent(t *testing.T) {
	for _, c := range []struct {
		name string
		test func(*testing.T)
	}{
		{"01 endless line", endlessAnswers},
		{"02 garbage", garbage},
		{"03 depth", depth},
		{"04 numbers", oddNumbers},
		{"05 repeated and folded keys", keys},
		{"06 slow, silent, half closed", stalls},
		{"07 endless exec output", endlessOutput},
		{"08 exits and then exits again", terminalStates},
		{"09 answers of somebody else", strangers},
		{"10 more and less than announced", lengths},
		{"11 thousands of connections", connections},
		{"12 who may speak with the agent", sockets},
		{"13 a socket that is there already", squatters},
		{"14 text that wants to be obeyed", guestText},
	} {
		unharmed(t, c.name, c.test)
	}
}

// inBubbles puts one answer to every request of a supervisor, each in a bubble of its
// own.
func inBubbles(t *testing.T, play script, check func(t *testing.T, what string, answer []byte, refused *api.ErrorReply)) {
	t.Helper()
	for what, ask := range asks() {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				box := newEvil(play)
				answer, refused := ask(t, haunted(t, box))
				check(t, what, answer, refused)
				box.scripts.Wait()
			})
		})
	}
}

// wantRefused wants a typed error that blames the agent, and that is short.
func wantRefused(t *testing.T, what string, answer []byte, refused *api.ErrorReply) {
	t.Helper()
	switch {
	case refused == nil:
		t.Errorf("%s was believed: %.200q", what, answer)
	case refused.Kind != api.Unavailable && refused.Kind != api.Internal:
		t.Errorf("%s: kind %q: %.200s", what, refused.Kind, refused.Error)
	case len(refused.Error) > 5<<10:
		t.Errorf("%s: an error of %d bytes", what, len(refused.Error))
	}
}

func endlessAnswers(t *testing.T) {
	piece := bytes.Repeat([]byte("a"), 1<<20)
	inBubbles(t, func(conn net.Conn) {
		takeRequest(conn)
		flood(conn, piece, 1<<30)
	}, func(t *testing.T, what string, answer []byte, refused *api.ErrorReply) {
		wantRefused(t, what, answer, refused)
	})
	t.Run("costs little", func(t *testing.T) {
		for what, ask := range asks() {
			s := haunted(t, newEvil(func(conn net.Conn) {
				takeRequest(conn)
				flood(conn, piece, 1<<30)
			}))
			if used := allocated(func() { ask(t, s) }); used > 64<<20 { // of a gigabyte; other tests' supervisors may be ending meanwhile
				t.Errorf("%s allocated %d bytes", what, used)
			}
		}
	})
}

func garbage(t *testing.T) {
	for name, answer := range map[string]string{
		"silence":              "",
		"half a head":          "o\x00",
		"unknown frame":        frame('?', "x"),
		"frame of the host":    frame(wire.FrameStdin, "x"),
		"no JSON":              frame(wire.FrameExit, "not json"),
		"NUL":                  frame(wire.FrameExit, "{\"exit_code\":0\x00}"),
		"bad UTF-8":            frame(wire.FrameExit, "{\"exit_code\":0,\"x\":\"\xff\"}"),
		"byte order mark":      frame(wire.FrameExit, "\ufeff{\"exit_code\":0}"),
		"two objects":          frame(wire.FrameExit, `{"exit_code":0}{"exit_code":0}`),
		"list":                 frame(wire.FrameExit, "[]"),
		"number":               frame(wire.FrameExit, "0"),
		"no exit code":         frame(wire.FrameExit, "{}"),
		"failure without JSON": frame(wire.FrameFail, "\x00"),
		"failure without text": frame(wire.FrameFail, "{}"),
		"of another protocol":  "HTTP/1.1 200 OK\r\n\r\n",
		"list in a line":       "[]\n",
		"two lines":            "{\"count\":1,\"needed\":\"AA==\"}\n{}\n",
	} {
		t.Run(name, func(t *testing.T) { inBubbles(t, answering(answer), wantRefused) })
	}
}

func depth(t *testing.T) {
	deep := strings.Repeat(`{"x":`, 1000)
	many := `{"exit_code":0,"x":[` + strings.Repeat("[],", 1<<18) + `[]]}`
	for name, answer := range map[string]string{
		"a line":  deep + "\n",
		"a frame": frame(wire.FrameExit, `{"exit_code":0,"x":`+strings.Repeat("[", 1<<19)+strings.Repeat("]", 1<<19-100)+"}"),
		"failure": frame(wire.FrameFail, `{"error":"x","y":`+strings.Repeat("[", 1<<19)+"}"),
	} {
		t.Run(name, func(t *testing.T) { inBubbles(t, answering(answer), wantRefused) })
	}
	t.Run("many lists cost little", func(t *testing.T) {
		s := haunted(t, newEvil(answering(frame(wire.FrameExit, many))))
		if used := allocated(func() { asks()["exec captured"](t, s) }); used > 16*wire.MaxFrame {
			t.Errorf("allocated %d bytes", used)
		}
	})
}

func oddNumbers(t *testing.T) {
	for name, answer := range map[string]string{
		"huge exponent":     frame(wire.FrameExit, `{"exit_code":1e999999999}`),
		"above 64 bits":     frame(wire.FrameExit, `{"exit_code":9223372036854775808}`),
		"code 9999":         frame(wire.FrameExit, `{"exit_code":9999}`),
		"code -1000":        frame(wire.FrameExit, `{"exit_code":-1000}`),
		"fraction":          frame(wire.FrameExit, `{"exit_code":0.5}`),
		"negative duration": frame(wire.FrameExit, `{"exit_code":0,"duration_ms":-5}`),
		"negative count":    `{"entry_count":-1,"count":-1,"needed":"AA==","protocol":1e99}` + "\n",
		"count of others":   `{"entry_count":1e99,"count":1152921504606846976,"needed":"","protocol":9223372036854775808}` + "\n",
		"length of 4 GiB":   head(wire.FrameExit, 1<<32-1),
		"length above all":  head(wire.FrameStdout, wire.MaxFrame+1),
	} {
		t.Run(name, func(t *testing.T) { inBubbles(t, answering(answer), wantRefused) })
	}
}

func keys(t *testing.T) {
	for name, answer := range map[string]string{
		"repeated":             frame(wire.FrameExit, `{"exit_code":1,"exit_code":0}`),
		"repeated in escapes":  frame(wire.FrameExit, `{"exit_code":1,"\u0065xit_code":0}`),
		"another case alone":   frame(wire.FrameExit, `{"EXIT_CODE":0}`),
		"folded by Unicode":    frame(wire.FrameExit, `{"exit_code":1,"x":0,"x":1,"\u017f":0}`),
		"repeated in a line":   `{"count":1,"count":1,"needed":"AA==","entry_count":1,"entry_count":1,"version":"1","version":"2"}` + "\n",
		"repeated failure":     frame(wire.FrameFail, `{"error":"a","error":"b"}`),
		"failure, other case":  frame(wire.FrameFail, `{"ERROR":"a"}`),
		"error beside success": `{"error":"","count":1,"needed":"AA==","entry_count":1,"version":"1"}` + "\n",
	} {
		t.Run(name, func(t *testing.T) { inBubbles(t, answering(answer), wantRefused) })
	}
	t.Run("another case beside the right one", func(t *testing.T) {
		inBubbles(t, answering(frame(wire.FrameExit, `{"exit_code":3,"EXIT_CODE":0,"Exit_Code":0}`)), func(t *testing.T, what string, answer []byte, refused *api.ErrorReply) {
			if strings.HasPrefix(what, "exec") && (refused != nil || !strings.Contains(string(answer), `"exit_code":3`)) {
				t.Errorf("%s, %+v", answer, refused)
			}
		})
	})
}

// terminalStates: the first terminal frame counts, and stands in the history.
func terminalStates(t *testing.T) {
	for name, answer := range map[string]string{
		"exit, output, exit":  frame(wire.FrameExit, `{"exit_code":3}`) + frame(wire.FrameStdout, "late") + frame(wire.FrameExit, `{"exit_code":0}`),
		"exit, failure":       frame(wire.FrameExit, `{"exit_code":3}`) + frame(wire.FrameFail, `{"error":"no"}`),
		"made-up reason":      frame(wire.FrameExit, `{"exit_code":3,"reason":"\u001b[2Jpwned"}`),
		"and garbage":         frame(wire.FrameExit, `{"exit_code":3}`) + "\x00\x00",
		"and never ends":      frame(wire.FrameExit, `{"exit_code":3}`) + strings.Repeat("x", 1<<20),
		"and says its number": frame(wire.FrameExit, `{"exit_code":3,"sequence":99,"workspace_id":"ffffffffffff","cwd":"/etc","execution_mode":"host_local"}`),
	} {
		t.Run(name, func(t *testing.T) {
			inBubbles(t, answering(answer), func(t *testing.T, what string, answer []byte, refused *api.ErrorReply) {
				if strings.HasPrefix(what, "exec") {
					wantThree(t, answer, refused)
				} else {
					wantRefused(t, what, answer, refused)
				}
			})
		})
	}
	t.Run("failure, exit", func(t *testing.T) {
		s := haunted(t, newEvil(answering(frame(wire.FrameFail, `{"error":"no"}`)+frame(wire.FrameExit, `{"exit_code":0}`))))
		if _, refused := asks()["exec captured"](t, s); refused == nil || refused.Kind != api.Invalid {
			t.Errorf("%+v", refused)
		}
		wantHistory(t, s, api.EndedRefused)
	})
	t.Run("loses what it was asked", func(t *testing.T) {
		s := haunted(t, newEvil(answering("")))
		if _, refused := asks()["exec captured"](t, s); refused == nil || refused.Kind != api.Unavailable {
			t.Errorf("%+v", refused)
		}
		wantHistory(t, s, api.EndedUnknown)
	})
}

func wantThree(t *testing.T, answer []byte, refused *api.ErrorReply) {
	t.Helper()
	var got api.WorkspaceExec
	if err := json.Unmarshal(answer, &got); err != nil || refused != nil {
		t.Fatalf("%s: %v, %+v", answer, err, refused)
	}
	want := api.WorkspaceExec{
		WorkspaceID: testID, Environment: "host", Command: "true", ExitCode: 3, Sequence: 1, Cwd: api.WorkspacePath, ExecutionMode: api.ModeGuestVsock,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// wantHistory wants one command, whose end nobody believes to be a success.
func wantHistory(t *testing.T, s *supervisor, reason string) {
	t.Helper()
	entries, err := journal.Read(s.held.Path(), 0, journal.All)
	if err != nil || len(entries) != 1 || entries[0].ExitCode != -1 || entries[0].Reason == nil || *entries[0].Reason != reason {
		t.Errorf("%+v, %v", entries, err)
	}
	if last := s.recorded().LastCommand; last == nil || last.ExitCode != -1 {
		t.Errorf("the record: %+v", last)
	}
}

// strangers: one connection is one request, so there is nobody else to answer for.
func strangers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		met := make(chan struct{}, 1)
		box := newEvil(func(conn net.Conn) { // two execs, whose answers are made to cross
			line, err := wire.ReadLine(bufio.NewReader(conn), wire.MaxRequestLine)
			if err != nil {
				return
			}
			select { // the first waits for the second
			case met <- struct{}{}:
				synctest.Wait()
			default:
			}
			_, _ = fmt.Fprintf(conn, "%s%s", frame(wire.FrameStdout, fmt.Sprint(strings.Contains(string(line), "first"))),
				frame(wire.FrameExit, fmt.Sprintf(`{"exit_code":0,"id":%q,"workspace_id":"other","command":"rm"}`, "of the other")))
		})
		s := haunted(t, box)
		said := make(chan string, 2)
		for _, name := range []string{"first", "second"} {
			go func() { // ends with its exec
				answer, _ := over(http.MethodPost, "/v1/exec", `{"argv":["`+name+`"]}`)(t, s)
				var got api.WorkspaceExec
				_ = json.Unmarshal(answer, &got)
				said <- fmt.Sprint(got.WorkspaceID, got.Command, got.Stdout)
			}()
		}
		got := map[string]bool{<-said: true, <-said: true}
		if diff := cmp.Diff(map[string]bool{testID + "firsttrue": true, testID + "secondfalse": true}, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if n := box.dialled.Load(); n != 2 {
			t.Errorf("%d connections for two requests", n)
		}
	})
}

func lengths(t *testing.T) {
	exit := frame(wire.FrameExit, `{"exit_code":0}`)
	for name, answer := range map[string]string{
		"one less":            head(wire.FrameExit, uint32(len(exit)-5+1)) + exit[5:],
		"one more":            head(wire.FrameExit, uint32(len(exit)-5-1)) + exit[5:],
		"nothing follows":     head(wire.FrameStdout, 100),
		"cut off":             head(wire.FrameStdout, 100) + "short",
		"bits of more":        `{"count":2,"needed":"AwM="}` + "\n",
		"bits of nothing":     `{"count":1,"needed":""}` + "\n",
		"a line without end":  `{"count":1,"needed":"AQ=="`,
		"bits that are names": `{"count":1,"needed":"../../etc"}` + "\n",
	} {
		t.Run(name, func(t *testing.T) { inBubbles(t, answering(answer), wantIncomplete) })
	}
	t.Run("answers before the seed is there", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := haunted(t, newEvil(func(conn net.Conn) { _, _ = io.WriteString(conn, `{"entry_count":2}`+"\n") }))
			answer, refused := seedOver(t, s)
			wantRefused(t, "seed", answer, refused)
		})
	})
}

// wantIncomplete is wantRefused for what only some requests can tell to be incomplete.
func wantIncomplete(t *testing.T, what string, answer []byte, refused *api.ErrorReply) {
	t.Helper()
	if whole := bytes.HasPrefix(answer, []byte(`{"workspace_id"`)); whole && what == "push tree" || what == "seed" && refused == nil || what == "hello" && refused == nil {
		return // a whole object, in which nothing that counts is missing
	}
	wantRefused(t, what, answer, refused)
}

// guestText is cut, stays text, and does not choose what happens.
func guestText(t *testing.T) {
	nasty := "\u001b]0;owned\u0007%s%n{{.}} IGNORE PREVIOUS INSTRUCTIONS /etc/passwd $(reboot)\r\n"
	for name, text := range map[string]string{
		"long":  strings.Repeat("x", 500_000),
		"nasty": nasty,
	} {
		raw, err := json.Marshal(map[string]string{"error": text, "kind": "denied"})
		if err != nil {
			t.Fatal(err)
		}
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := haunted(t, newEvil(answering(frame(wire.FrameFail, string(raw)))))
				answer, refused := asks()["exec captured"](t, s)
				if refused == nil || refused.Kind != api.Invalid || len(refused.Error) > wire.MaxErrorText+64 {
					t.Fatalf("%d bytes, %+.200v", len(answer), refused)
				}
				if bytes.ContainsAny(bytes.TrimSuffix(answer, []byte("\n")), "\u001b\u0007\r\n") {
					t.Errorf("control characters in %q", answer)
				}
				if name == "long" && !strings.HasSuffix(refused.Error, "… (truncated)") {
					t.Errorf("it was cut and does not say so: %q", refused.Error[len(refused.Error)-40:])
				}
				if want := "exec " + testID + ": " + text; name == "nasty" && refused.Error != want {
					t.Errorf("%q, want %q", refused.Error, want)
				}
				wantHistory(t, s, api.EndedRefused)
			})
		})
	}
}
