package pyro

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

func TestFileRequests(t *testing.T) {
	far, mode := int64(1<<40), uint32(0o755)
	for name, tc := range map[string]struct {
		call func(ctx context.Context, f Files) (any, error)
		want asked
	}{
		"list": {
			func(ctx context.Context, f Files) (any, error) { return f.List(ctx, api.FileListRequest{}) },
			asked{"GET", "/v1/files?limit=100000&path=%2Fworkspace&recursive=false", ""},
		},
		"list more": {
			func(ctx context.Context, f Files) (any, error) {
				return f.List(ctx, api.FileListRequest{Path: " a&b/ ", Recursive: true, Limit: 3, After: "a&b/c"})
			}, asked{"GET", "/v1/files?after=%2Fworkspace%2Fa%26b%2Fc&limit=3&path=%2Fworkspace%2Fa%26b&recursive=true", ""},
		},
		"stat": {
			func(ctx context.Context, f Files) (any, error) { return f.Stat(ctx, "a b") },
			asked{"GET", "/v1/files/stat?path=%2Fworkspace%2Fa+b", ""},
		},
		"read": {
			func(ctx context.Context, f Files) (any, error) { return f.Read(ctx, api.FileReadRequest{Path: "a"}) },
			asked{"GET", "/v1/files/read?base64=false&max_bytes=65536&path=%2Fworkspace%2Fa", ""},
		},
		"read far": {
			func(ctx context.Context, f Files) (any, error) {
				return f.Read(ctx, api.FileReadRequest{Path: "a", MaxBytes: 1, Offset: &far, Base64: true})
			}, asked{"GET", "/v1/files/read?base64=true&max_bytes=1&offset=1099511627776&path=%2Fworkspace%2Fa", ""},
		},
		"write": {
			func(ctx context.Context, f Files) (any, error) {
				return f.Write(ctx, api.FileWriteRequest{Path: "a"}, "zwölf")
			}, asked{"PUT", "/v1/files/content?path=%2Fworkspace%2Fa", "zwölf"},
		},
		"write bytes": {
			func(ctx context.Context, f Files) (any, error) {
				return f.WriteFrom(ctx, api.FileWriteRequest{Path: "a", Mode: &mode, Exclusive: true}, iotest.OneByteReader(strings.NewReader("\xff\x00")))
			}, asked{"PUT", "/v1/files/content?exclusive=true&mode=0755&path=%2Fworkspace%2Fa", "\xff\x00"},
		},
		"delete": {
			func(ctx context.Context, f Files) (any, error) {
				return f.Delete(ctx, api.FileDeleteRequest{Path: "a", Recursive: true})
			}, asked{"DELETE", "/v1/files?path=%2Fworkspace%2Fa&recursive=true", ""},
		},
		"mkdir": {
			func(ctx context.Context, f Files) (any, error) {
				return f.Mkdir(ctx, api.FileMkdirRequest{Path: "a/b", Parents: true})
			}, asked{"POST", "/v1/files/mkdir", `{"path":"/workspace/a/b","parents":true}`},
		},
		"move": {
			func(ctx context.Context, f Files) (any, error) {
				return f.Move(ctx, api.FileMoveRequest{From: "a", To: "b"})
			}, asked{"POST", "/v1/files/move", `{"from_path":"/workspace/a","to_path":"/workspace/b"}`},
		},
		"patch": {
			func(ctx context.Context, f Files) (any, error) {
				return f.w.ApplyPatch(ctx, strings.NewReader("--- a\n"), api.PatchRequest{DryRun: true})
			}, asked{"POST", "/v1/patch?dry_run=true&max_bytes=1048576", "--- a\n"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got asked
			answer := noting(&got, map[string]string{"workspace_id": testID})
			ws := serve(t, newTestClient(t, ""), supervisorScript{more: map[string]http.HandlerFunc{"/v1/files": answer, "/v1/files/": answer, "/v1/patch": answer}})
			if _, err := tc.call(t.Context(), ws.Files()); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("request (-want +got):\n%s", diff)
			}
		})
	}
}

// TestFileRefusals holds what no supervisor is asked for.
func TestFileRefusals(t *testing.T) {
	f := newTestClient(t, "").attach(testID, nil).Files() // nobody answers for it
	for name, call := range map[string]func(ctx context.Context) error{
		"list":  func(ctx context.Context) error { _, err := f.List(ctx, api.FileListRequest{Path: "../a"}); return err },
		"stat":  func(ctx context.Context) error { _, err := f.Stat(ctx, "/etc"); return err },
		"read":  func(ctx context.Context) error { _, err := f.Read(ctx, api.FileReadRequest{Path: "a\x00"}); return err },
		"bytes": func(ctx context.Context) error { _, err := f.ReadTo(ctx, api.FileRangeRequest{}, nil); return err },
		"write": func(ctx context.Context) error {
			_, err := f.WriteFrom(ctx, api.FileWriteRequest{Path: "."}, nil)
			return err
		},
		"text": func(ctx context.Context) error {
			_, err := f.Write(ctx, api.FileWriteRequest{Path: "a"}, "\xff")
			return err
		},
		"delete": func(ctx context.Context) error {
			_, err := f.Delete(ctx, api.FileDeleteRequest{Path: "/workspace"})
			return err
		},
		"mkdir": func(ctx context.Context) error { _, err := f.Mkdir(ctx, api.FileMkdirRequest{}); return err },
		"move":  func(ctx context.Context) error { _, err := f.Move(ctx, api.FileMoveRequest{From: "a"}); return err },
		"patch": func(ctx context.Context) error {
			_, err := f.w.ApplyPatch(ctx, nil, api.PatchRequest{MaxBytes: -1})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			if err := call(t.Context()); !errors.Is(err, api.Invalid) || api.HintOf(err) == "" || !strings.Contains(err.Error(), testID) {
				t.Errorf("error %v with hint %q", err, api.HintOf(err))
			}
		})
	}
}

// content is a file that is streamed by a script.
func content(t *testing.T, script func(*peer)) Files {
	t.Helper()
	return serve(t, newTestClient(t, ""), supervisorScript{more: map[string]http.HandlerFunc{"GET /v1/files/content": framed(new(string), script)}}).Files()
}

func TestReadToWritesAllThatComes(t *testing.T) {
	f := content(t, func(p *peer) {
		_ = p.send(wire.FrameStdout, "one\xff")
		_ = p.send(wire.FrameStdout, "two")
		_ = p.send(wire.FrameExit, `{"size_bytes":99,"bytes_read":7,"truncated":true}`)
	})
	var got bytes.Buffer
	done, err := f.ReadTo(t.Context(), api.FileRangeRequest{Path: "a"}, &got)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != "one\xfftwo" || done.SizeBytes != 99 || !done.Truncated {
		t.Errorf("got %q, %+v", got.String(), done)
	}
}

func TestReadToFails(t *testing.T) {
	full := errors.New("the disk here is full")
	for name, tc := range map[string]struct {
		script func(*peer)
		to     io.Writer
		is     error
	}{
		"the guest fails": {func(p *peer) {
			_ = p.send(wire.FrameStdout, "x")
			_ = p.send(wire.FrameFail, `{"error":"it became shorter","kind":"conflict","hint":"try again"}`)
		}, io.Discard, api.Conflict},
		"it is cut": {func(p *peer) { _ = p.send(wire.FrameStdout, "x") }, io.Discard, api.Unavailable},
		"it cannot be put": {func(p *peer) {
			_ = p.send(wire.FrameStdout, "x")
			p.awaitHangup()
		}, failingWriter{full}, full},
	} {
		t.Run(name, func(t *testing.T) {
			done, err := content(t, tc.script).ReadTo(t.Context(), api.FileRangeRequest{Path: "a"}, tc.to)
			if !errors.Is(err, tc.is) || done != nil {
				t.Errorf("got %+v, %v", done, err)
			}
		})
	}
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }

// TestWriteFails holds that a reader's own fault is told before what came of it.
func TestWriteFails(t *testing.T) {
	broken := errors.New("the pipe broke")
	reading := func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			answerError(w, http.StatusBadRequest, api.Unavailable, "the body ended", "")
			return
		}
		answerJSON(w, http.StatusOK, api.FileWrite{})
	}
	refusing := func(w http.ResponseWriter, _ *http.Request) {
		answerError(w, http.StatusBadRequest, api.Invalid, "it is a directory", "choose another")
	}
	for name, tc := range map[string]struct {
		put  http.HandlerFunc
		from io.Reader
		kind api.Kind
		text string
	}{
		"what is sent breaks":           {reading, io.MultiReader(strings.NewReader("x"), iotest.ErrReader(broken)), api.Invalid, "the pipe broke"},
		"refused before it was read":    {refusing, io.LimitReader(zeros{}, 64<<20), api.Invalid, "it is a directory"},
		"the supervisor goes away":      {hangUp, strings.NewReader("x"), api.Unavailable, "the supervisor is gone"},
		"an older one does not know it": {nil, strings.NewReader("x"), api.Internal, "404"},
	} {
		t.Run(name, func(t *testing.T) {
			more := map[string]http.HandlerFunc{}
			if tc.put != nil {
				more["PUT /v1/files/content"] = tc.put
			}
			ws := serve(t, newTestClient(t, ""), supervisorScript{more: more})
			_, err := ws.Files().WriteFrom(t.Context(), api.FileWriteRequest{Path: "a"}, tc.from)
			if !errors.Is(err, tc.kind) || !strings.Contains(err.Error(), tc.text) {
				t.Errorf("error %v", err)
			}
		})
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
