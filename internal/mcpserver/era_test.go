package mcpserver

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/pyro-sandbox/pyro/api"
)

// ways are how a client can be connected: each era over each transport.
var ways = map[string]func(*testing.T, *Server, *mcp.ClientOptions) *mcp.ClientSession{
	"stdio, 2025-11-25": func(t *testing.T, s *Server, o *mcp.ClientOptions) *mcp.ClientSession {
		return byPipes(t, s, "2025-11-25", o)
	},
	"stdio, 2026-07-28": func(t *testing.T, s *Server, o *mcp.ClientOptions) *mcp.ClientSession {
		return byPipes(t, s, "2026-07-28", o)
	},
	"HTTP, 2025-11-25": func(t *testing.T, s *Server, o *mcp.ClientOptions) *mcp.ClientSession {
		return byHTTP(t, s, "2025-11-25", o)
	},
	"HTTP, 2026-07-28": func(t *testing.T, s *Server, o *mcp.ClientOptions) *mcp.ClientSession {
		return byHTTP(t, s, "2026-07-28", o)
	},
}

func byPipes(t *testing.T, s *Server, revision string, o *mcp.ClientOptions) *mcp.ClientSession {
	t.Helper()
	in, to := io.Pipe()
	from, out := io.Pipe()
	go func() { // ends with the client's session
		_ = out.CloseWithError(s.ServeStdio(t.Context(), in, out))
	}()
	return join(t, &mcp.IOTransport{Reader: from, Writer: to}, revision, o)
}

func byHTTP(t *testing.T, s *Server, revision string, o *mcp.ClientOptions) *mcp.ClientSession {
	t.Helper()
	p := serveHTTP(t, s, HTTPOptions{})
	client := &http.Client{Transport: bearer{p.token, http.DefaultTransport}}
	return join(t, &mcp.StreamableClientTransport{Endpoint: p.url, HTTPClient: client}, revision, o)
}

// bearer shows a token.
type bearer struct {
	token string
	next  http.RoundTripper
}

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token)
	return b.next.RoundTrip(r)
}

func join(t *testing.T, transport mcp.Transport, revision string, o *mcp.ClientOptions) *mcp.ClientSession {
	t.Helper()
	client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, o)
	session, err := client.Connect(t.Context(), transport, &mcp.ClientSessionOptions{ProtocolVersion: revision})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = session.Close() })
	if got := session.InitializeResult().ProtocolVersion; got != revision {
		t.Fatalf("the revision is %s, want %s", got, revision)
	}
	return session
}

// TestACancelKillsTheGroup wants progress while a command runs, and all of its processes
// gone when the call is canceled.
func TestACancelKillsTheGroup(t *testing.T) {
	t.Parallel()
	for name, connect := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			told := make(chan string, 100)
			s := connect(t, serverWith(t, Options{Open: newPlace(t).open}, nil), &mcp.ClientOptions{
				ProgressNotificationHandler: func(_ context.Context, r *mcp.ProgressNotificationClientRequest) {
					select {
					case told <- r.Params.Message:
					default:
					}
				},
			})
			id := newWorkspace(t, s)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			ended := make(chan error, 1)
			go func() { // ends with ctx
				params := &mcp.CallToolParams{Name: "workspace_exec", Arguments: map[string]any{
					"workspace_id": id, "command": "sleep 1000 & echo $$ $! >pids; echo begun; wait", "timeout_seconds": 2000,
				}}
				params.SetProgressToken("p")
				_, err := s.CallTool(ctx, params)
				ended <- err
			}()
			select {
			case message := <-told:
				if !strings.Contains(message, "begun") {
					t.Errorf("progress is %q", message)
				}
			case err := <-ended:
				t.Fatalf("the call ended: %v", err)
			case <-time.After(time.Minute):
				t.Fatal("there is no progress")
			}
			pids := strings.Fields(must[execAnswer](t, s, "workspace_exec", map[string]any{"workspace_id": id, "command": "cat pids"}).Stdout)
			if len(pids) != 2 || !alive(pids[0]) || !alive(pids[1]) {
				t.Fatalf("pids %q", pids)
			}
			cancel()
			if err := <-ended; err == nil {
				t.Error("the call was answered")
			}
			for _, pid := range pids {
				eventually(t, "process "+pid+" to be gone", func() bool { return !alive(pid) })
			}
		})
	}
}

// alive reports whether a process runs.
func alive(pid string) bool {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	_, state, _ := strings.Cut(string(stat), ") ")
	return err == nil && !strings.HasPrefix(state, "Z")
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	late := time.After(30 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// TestAClientThatVanishes ends the connection in the middle of a call.
func TestAClientThatVanishes(t *testing.T) {
	t.Parallel()
	server := serverWith(t, Options{Open: newPlace(t).open}, nil)
	k := greeted(t, server)
	k.say(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"workspace_create","arguments":{"environment":"host"}}}` + "\n")
	var created struct{ StructuredContent api.Workspace }
	k.hear().into(t, &created)
	id := created.StructuredContent.WorkspaceID
	exec := func(n int, command string) {
		k.say(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"workspace_exec","arguments":{"workspace_id":%q,"command":%q}}}`+"\n", n, id, command))
	}
	exec(2, "sleep 1000 & echo $$ $! >pids; wait")
	exec(3, "until test -s pids; do sleep 0.01; done; cat pids")
	var got struct{ StructuredContent execAnswer }
	k.hear().into(t, &got)
	pids := strings.Fields(got.StructuredContent.Stdout)
	if len(pids) != 2 || !alive(pids[1]) {
		t.Fatalf("pids %q", pids)
	}
	_ = k.to.Close()
	go func() { _, _ = io.Copy(io.Discard, k.from) }() // ends with the pipe
	if err := <-k.ended; err != nil {
		t.Error(err)
	}
	for _, pid := range pids {
		eventually(t, "process "+pid+" to be gone", func() bool { return !alive(pid) })
	}
}

type consent struct {
	Done bool `json:"done"`
}

// TestTheUserIsAsked has a tool ask before it does something, in both eras the same way.
func TestTheUserIsAsked(t *testing.T) {
	t.Parallel()
	risky := define(tool{name: "risky", title: "Risk", says: "Do it."}, func(_ context.Context, c *call, _ struct{}) (*consent, error) {
		agreed, asked := c.answerOfUser()
		switch {
		case asked && !agreed:
			return nil, errDisagreed("do without")
		case !asked && c.canAsk():
			return nil, &question{message: "Really?"}
		}
		return &consent{Done: true}, nil
	})
	for name, connect := range ways {
		for action, done := range map[string]bool{"accept": true, "decline": false, "cancel": false, "": true} {
			t.Run(name+", "+action, func(t *testing.T) {
				t.Parallel()
				server := serverWith(t, untouched(t), nil)
				risky.add(server.mcp, server.desk, selection{})
				asked := 0
				var o mcp.ClientOptions
				if action != "" { // else nobody can be asked
					o.ElicitationHandler = func(_ context.Context, r *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
						asked++
						if r.Params.Message != "Really?" {
							t.Errorf("asked %q", r.Params.Message)
						}
						return &mcp.ElicitResult{Action: action, Content: map[string]any{}}, nil
					}
				}
				res, err := connect(t, server, &o).CallTool(t.Context(), &mcp.CallToolParams{Name: "risky", Arguments: map[string]any{}})
				if err != nil {
					t.Fatal(err)
				}
				if res.IsError == done || (asked == 1) == (action == "") {
					t.Errorf("error %t, asked %d times: %v", res.IsError, asked, res.Content)
				}
			})
		}
	}
}

// TestBothErasAtOnce has clients of both eras in one server over HTTP.
func TestBothErasAtOnce(t *testing.T) {
	t.Parallel()
	server := serverWith(t, Options{Open: newPlace(t).open}, nil)
	p := serveHTTP(t, server, HTTPOptions{})
	client := &http.Client{Transport: bearer{p.token, http.DefaultTransport}}
	old := join(t, &mcp.StreamableClientTransport{Endpoint: p.url, HTTPClient: client}, "2025-11-25", nil)
	modern := join(t, &mcp.StreamableClientTransport{Endpoint: p.url, HTTPClient: client}, "2026-07-28", nil)
	id := newWorkspace(t, old) // state lies in ids, so the other can go on
	if got := must[execAnswer](t, modern, "workspace_exec", map[string]any{"workspace_id": id, "command": "echo $((6*7)) | tee x"}); got.Stdout != "42\n" {
		t.Errorf("got %+v", got)
	}
	if got := must[execAnswer](t, old, "workspace_exec", map[string]any{"workspace_id": id, "command": "cat x"}); got.Stdout != "42\n" {
		t.Errorf("got %+v", got)
	}
	if n := server.sessions(); n != 1 {
		t.Errorf("%d sessions, want that of the old client", n)
	}
}
