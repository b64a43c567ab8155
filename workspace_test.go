package pyro

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/api"
)

func TestStatusAsksTheSupervisor(t *testing.T) {
	ws := serve(t, newTestClient(t, ""), supervisorScript{})
	got, err := ws.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := &api.Workspace{WorkspaceID: testID, State: api.StateStarted, Engine: "fake"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
}

func TestStatusReadsTheRecord(t *testing.T) {
	t.Run("where nobody listens", func(t *testing.T) {
		c := newTestClient(t, "")
		record(t, c, testID, api.StateStopped)
		got, err := c.attach(testID, nil).Status(t.Context())
		if err != nil || got.State != api.StateStopped {
			t.Errorf("Status = %+v, %v, want it stopped", got, err)
		}
	})
	t.Run("where the supervisor goes away", func(t *testing.T) {
		c := newTestClient(t, "")
		record(t, c, testID, api.StateStopped)
		ws := serve(t, c, supervisorScript{status: hangUp})
		got, err := ws.Status(t.Context())
		if err != nil || got.State != api.StateStopped {
			t.Errorf("Status = %+v, %v, want it stopped", got, err)
		}
	})
	t.Run("where there is nothing", func(t *testing.T) {
		c := newTestClient(t, "")
		if _, err := c.attach(testID, nil).Status(t.Context()); !errors.Is(err, api.NotFound) {
			t.Errorf("error %v, want not found", err)
		}
	})
}

// A supervisor that is stopped still has its socket. Whoever deletes the workspace must
// not wait longer for its greeting than for its answer.
func TestGreetingTakesNoLongerThanItsQuestion(t *testing.T) {
	c := newTestClient(t, "")
	ws := c.attach(testID, nil)
	if err := os.MkdirAll(filepath.Dir(ws.control.socket), 0o700); err != nil {
		t.Fatal(err)
	}
	var config net.ListenConfig
	silent, err := config.Listen(t.Context(), "unix", ws.control.socket)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	q := question{op: opDelete, method: http.MethodDelete, path: "/v1/workspace", within: time.Millisecond, limit: maxReply}
	if _, err := ask[api.WorkspaceDelete](t.Context(), ws.control, q); !errors.Is(err, api.Timeout) || !strings.Contains(err.Error(), "within 1ms") {
		t.Errorf("error %v, want one about a millisecond", err)
	}
}

// hangUp ends the connection without an answer.
func hangUp(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	_ = conn.Close()
}

func TestGet(t *testing.T) {
	c := newTestClient(t, "")
	if _, err := c.Get(t.Context(), testID); !errors.Is(err, api.NotFound) {
		t.Errorf("Get of nothing: %v, want not found", err)
	}
	if _, err := c.Get(t.Context(), "../../etc"); !errors.Is(err, api.Invalid) {
		t.Errorf("Get of a path: %v, want it invalid", err)
	}
	record(t, c, testID, api.StateStopped)
	ws, err := c.Get(t.Context(), testID)
	if err != nil || ws.ID() != testID || ws.Seen().State != api.StateStopped {
		t.Errorf("Get = %+v, %v", ws, err)
	}
}

func TestList(t *testing.T) {
	c := newTestClient(t, "")
	record(t, c, testID, api.StateStopped)
	list, err := c.List(t.Context())
	if err != nil || list.Count != 1 || list.Workspaces[0].WorkspaceID != testID {
		t.Errorf("List = %+v, %v, want %s", list, err, testID)
	}
}

func TestAnswersAreChecked(t *testing.T) {
	for name, tc := range map[string]struct {
		script     supervisorScript
		kind       api.Kind
		text, hint string
	}{
		"an error passes through": {
			supervisorScript{exec: func(w http.ResponseWriter, _ *http.Request) {
				answerError(w, http.StatusGone, api.Expired, "exec: it has expired", "make another")
			}},
			api.Expired, "exec: it has expired", "make another",
		},
		"an error page is none": {
			supervisorScript{exec: func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "<html>", http.StatusTeapot) }},
			api.Internal, "unexpected answer with HTTP status 418", "",
		},
		"no JSON": {
			supervisorScript{exec: func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }},
			api.Internal, "answer: invalid character", "",
		},
		"without end": {
			supervisorScript{exec: func(w http.ResponseWriter, _ *http.Request) {
				for block := make([]byte, 1<<20); ; {
					if _, err := w.Write(block); err != nil {
						return
					}
				}
			}},
			api.Internal, fmt.Sprintf("longer than %d bytes", maxCapture), "",
		},
		"cut short": {
			supervisorScript{exec: func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Length", "100")
				_, _ = io.WriteString(w, "{")
				_ = http.NewResponseController(w).Flush()
				hangUp(w, r)
			}},
			api.Unavailable, "the supervisor is gone: unexpected EOF", "`pyro workspace status " + testID,
		},
		"from the future": {
			supervisorScript{hello: api.Hello{Version: "9.0.0", API: api.APIVersion + 1}},
			api.Unsupported, "it speaks version 2 of the API", "update this client to pyro 9.0.0",
		},
	} {
		t.Run(name, func(t *testing.T) {
			ws := serve(t, newTestClient(t, ""), tc.script)
			_, err := ws.Exec(t.Context(), api.ExecRequest{Argv: []string{"true"}})
			if api.KindOf(err) != tc.kind {
				t.Fatalf("error %v of kind %q, want %q", err, api.KindOf(err), tc.kind)
			}
			if !strings.Contains(err.Error(), tc.text) || !strings.Contains(api.HintOf(err), tc.hint) {
				t.Errorf("error %q with hint %q, want %q and %q", err, api.HintOf(err), tc.text, tc.hint)
			}
		})
	}
}

func TestExec(t *testing.T) {
	request := api.ExecRequest{Command: "exit 3", Cwd: "/tmp", Env: map[string]string{"K": "V"}, TimeoutSeconds: 7}
	want := api.WorkspaceExec{WorkspaceID: testID, Stdout: "\x00é", ExitCode: 3, Sequence: 1}
	ws := serve(t, newTestClient(t, ""), supervisorScript{exec: func(w http.ResponseWriter, r *http.Request) {
		var got api.ExecRequest
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(request, got); diff != "" {
			t.Errorf("request (-want +got):\n%s", diff)
		}
		answerJSON(w, http.StatusOK, want)
	}})
	got, err := ws.Exec(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&want, got); diff != "" {
		t.Errorf("result (-want +got):\n%s", diff)
	}
}

func TestExecCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	heard := make(chan struct{})
	ws := serve(t, newTestClient(t, ""), supervisorScript{exec: func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // else the server does not watch the connection
		cancel()
		<-r.Context().Done() // the client has hung up
		close(heard)
	}})
	_, err := ws.Exec(ctx, api.ExecRequest{Argv: []string{"sleep", "60"}})
	if !errors.Is(err, api.Canceled) || !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want it canceled", err)
	}
	<-heard
}

func TestExecSaysWhyNobodyAnswers(t *testing.T) {
	for name, tc := range map[string]struct {
		prepare func(t *testing.T, c *Client)
		kind    api.Kind
		text    string
	}{
		"deleted": {func(*testing.T, *Client) {}, api.NotFound, testID},
		"stopped": {func(t *testing.T, c *Client) { record(t, c, testID, api.StateStopped) }, api.Conflict, "it is stopped"},
		"killed": {func(t *testing.T, c *Client) {
			if err := record(t, c, testID, api.StateStarted).Unlock(); err != nil {
				t.Fatal(err)
			}
		}, api.Conflict, "it is stopped: supervisor_lost"},
		"about to start": {func(t *testing.T, c *Client) { record(t, c, testID, api.StateCreated) }, api.Unavailable, "no supervisor answers"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newTestClient(t, "")
			tc.prepare(t, c)
			ws := c.attach(testID, nil)
			_, captured := ws.Exec(t.Context(), api.ExecRequest{Argv: []string{"true"}})
			streamed := ws.Command(t.Context(), "true").Run()
			for _, err := range []error{captured, streamed} {
				if api.KindOf(err) != tc.kind || !strings.Contains(err.Error(), tc.text) || api.HintOf(err) == "" {
					t.Errorf("error %q of kind %q with hint %q, want kind %q and %q", err, api.KindOf(err), api.HintOf(err), tc.kind, tc.text)
				}
			}
		})
	}
}

func TestDeleteOfAStoppedOne(t *testing.T) {
	c := newTestClient(t, "")
	if err := record(t, c, testID, api.StateStopped).Unlock(); err != nil {
		t.Fatal(err)
	}
	deleted, err := c.Delete(t.Context(), testID)
	if err != nil || *deleted != deletedReply(testID) {
		t.Errorf("Delete = %+v, %v", deleted, err)
	}
	if _, err := c.Delete(t.Context(), testID); !errors.Is(err, api.NotFound) {
		t.Errorf("second Delete: %v, want not found", err)
	}
	if _, err := c.Delete(t.Context(), "x"); !errors.Is(err, api.Invalid) {
		t.Errorf("Delete of no id: %v, want it invalid", err)
	}
}

func TestDeleteInTheMiddleOfAChange(t *testing.T) {
	t.Run("the supervisor is busy", func(t *testing.T) {
		tries := 0
		ws := serve(t, newTestClient(t, ""), supervisorScript{delete: func(w http.ResponseWriter, _ *http.Request) {
			if tries++; tries < 3 {
				answerError(w, http.StatusConflict, api.Conflict, "it was just stopping", "")
				return
			}
			answerJSON(w, http.StatusOK, deletedReply(testID))
		}})
		if deleted, err := ws.Delete(t.Context()); err != nil || !deleted.Deleted || tries != 3 {
			t.Errorf("Delete = %+v, %v after %d tries, want success after 3", deleted, err, tries)
		}
	})
	t.Run("the supervisor stops", func(t *testing.T) {
		c := newTestClient(t, "")
		held := record(t, c, testID, api.StateStopped)
		ws := serve(t, c, supervisorScript{delete: func(w http.ResponseWriter, r *http.Request) {
			if err := held.Unlock(); err != nil {
				t.Error(err)
			}
			hangUp(w, r)
		}})
		if deleted, err := ws.Delete(t.Context()); err != nil || !deleted.Deleted {
			t.Errorf("Delete = %+v, %v, want success", deleted, err)
		}
		if _, err := c.Get(t.Context(), testID); !errors.Is(err, api.NotFound) {
			t.Errorf("Get afterwards: %v, want not found", err)
		}
	})
	t.Run("the answer is lost", func(t *testing.T) {
		ws := serve(t, newTestClient(t, ""), supervisorScript{delete: hangUp})
		if deleted, err := ws.Delete(t.Context()); err != nil || !deleted.Deleted {
			t.Errorf("Delete = %+v, %v, want success", deleted, err)
		}
	})
	t.Run("the caller gives up", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		ws := serve(t, newTestClient(t, ""), supervisorScript{delete: func(w http.ResponseWriter, _ *http.Request) {
			answerError(w, http.StatusConflict, api.Conflict, "busy", "")
			cancel()
		}})
		if _, err := ws.Delete(ctx); !errors.Is(err, api.Canceled) {
			t.Errorf("error %v, want it canceled", err)
		}
	})
}

func TestOpen(t *testing.T) {
	base := t.TempDir()
	env := []string{"HOME=" + base, "PYRO_SANDBOX_DIR=" + filepath.Join(base, "sandbox"), "PYRO_RUN_DIR=/elsewhere"}
	c, err := Open(&Options{StateDir: filepath.Join(base, "s"), RunDir: filepath.Join(base, "r"), Env: env})
	if err != nil {
		t.Fatal(err)
	}
	dirs := c.store.Dirs()
	if dirs.State != filepath.Join(base, "s") || filepath.Dir(dirs.Run) != filepath.Join(base, "r") || dirs.Cache != filepath.Join(base, ".cache/pyro") {
		t.Errorf("directories %+v", dirs)
	}
	if _, err := Open(&Options{Env: []string{}}); !errors.Is(err, api.Invalid) || api.HintOf(err) == "" {
		t.Errorf("Open without HOME: %v, want it invalid, with a hint", err)
	}
}
