package pyro

import (
	"crypto/sha256"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// changing is a workspace whose changes are told by a script.
func changing(t *testing.T, seed api.Seed, script func(*peer)) *Workspace {
	t.Helper()
	return serve(t, newTestClient(t, ""), supervisorScript{
		status: func(w http.ResponseWriter, _ *http.Request) {
			answerJSON(w, http.StatusOK, api.Workspace{WorkspaceID: testID, State: api.StateStarted, WorkspaceSeed: seed})
		},
		more: map[string]http.HandlerFunc{"GET /v1/changes": func(w http.ResponseWriter, _ *http.Request) { serveFrames(w, script) }},
	})
}

func sideOf(content string) *api.TreeSide {
	sum := sha256.Sum256([]byte(content))
	return &api.TreeSide{Kind: "file", Mode: 0o644, Size: int64(len(content)), SHA256: sum[:]}
}

// edit is a change of a file from one content to another.
func (p *peer) edit(path, old, now string) {
	p.json(wire.FrameHead, api.TreeChange{Path: []byte(path), Old: sideOf(old), New: sideOf(now), Content: true, Base: true})
	_ = p.send(wire.FrameStdout, now)
	_ = p.send(wire.FrameStderr, old)
}

func TestApplyGoesToTheSeed(t *testing.T) {
	dir := directory(t, "a", "b")
	ws := changing(t, api.Seed{Mode: api.SeedDirectory, SeedPath: &dir}, func(p *peer) {
		p.edit("a", "a", "changed")
		p.json(wire.FrameHead, api.TreeChange{Path: []byte("b"), Old: sideOf("b")})
		p.json(wire.FrameHead, api.TreeChange{Path: []byte("l"), New: &api.TreeSide{Kind: "symlink", Target: []byte("a")}})
		p.json(wire.FrameHead, api.TreeChange{Path: []byte("e"), New: sideOf(""), Content: true})
		p.json(wire.FrameExit, api.ChangesEnd{Count: 4, Warnings: []string{"a FIFO is not told"}})
	})
	for _, dry := range []bool{true, false} {
		got, err := ws.Apply(t.Context(), "", &ApplyOptions{DryRun: dry})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(api.ApplySummary{Total: 4, Added: 2, Modified: 1, Deleted: 1}, got.Summary); diff != "" || got.DryRun != dry || got.Directory != real(dir) {
			t.Errorf("%+v (-want +got):\n%s", got, diff)
		}
		if diff := cmp.Diff([]string{"a FIFO is not told"}, got.Warnings); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		want := map[string]string{"a": "-rw-r--r-- a", "b": "-rw-r--r-- b"}
		if !dry {
			want = map[string]string{"a": "-rw-r--r-- changed", "l": "-> a", "e": "-rw-r--r-- "}
		}
		if diff := cmp.Diff(want, stands(t, dir)); diff != "" {
			t.Errorf("dry run %v (-want +got):\n%s", dry, diff)
		}
	}
}

// TestApplyTakesNoLies: an answer that is not whole, or not what it says, changes nothing.
func TestApplyTakesNoLies(t *testing.T) {
	for name, script := range map[string]func(*peer){
		"cut off": func(p *peer) { p.edit("a", "a", "x") },
		"a failure": func(p *peer) {
			p.edit("a", "a", "x")
			p.json(wire.FrameFail, api.ErrorReply{Kind: api.Conflict, Error: "changed"})
		},
		"another count": func(p *peer) { p.edit("a", "a", "x"); p.json(wire.FrameExit, api.ChangesEnd{Count: 2}) },
		"another content": func(p *peer) {
			p.json(wire.FrameHead, api.TreeChange{Path: []byte("a"), Old: sideOf("a"), New: sideOf("x"), Content: true})
			_ = p.send(wire.FrameStdout, "y")
			p.json(wire.FrameExit, api.ChangesEnd{Count: 1})
		},
		"more content": func(p *peer) {
			p.json(wire.FrameHead, api.TreeChange{Path: []byte("a"), Old: sideOf("a"), New: sideOf("x"), Content: true})
			_ = p.send(wire.FrameStdout, "xyz")
			p.json(wire.FrameExit, api.ChangesEnd{Count: 1})
		},
		"less content": func(p *peer) {
			p.json(wire.FrameHead, api.TreeChange{Path: []byte("a"), Old: sideOf("a"), New: sideOf("xy"), Content: true})
			_ = p.send(wire.FrameStdout, "x")
			p.json(wire.FrameExit, api.ChangesEnd{Count: 1})
		},
		"content of nothing": func(p *peer) { _ = p.send(wire.FrameStdout, "x"); p.json(wire.FrameExit, api.ChangesEnd{}) },
		"nothing to nothing": func(p *peer) {
			p.json(wire.FrameHead, api.TreeChange{Path: []byte("a")})
			p.json(wire.FrameExit, api.ChangesEnd{Count: 1})
		},
		"a device": func(p *peer) {
			p.json(wire.FrameHead, api.TreeChange{Path: []byte("n"), New: &api.TreeSide{Kind: "special"}})
			p.json(wire.FrameExit, api.ChangesEnd{Count: 1})
		},
		"a negative size": func(p *peer) {
			s := sideOf("x")
			s.Size = -1
			p.json(wire.FrameHead, api.TreeChange{Path: []byte("n"), New: s, Content: true})
			p.json(wire.FrameExit, api.ChangesEnd{Count: 1})
		},
		"no digest": func(p *peer) {
			s := sideOf("x")
			s.SHA256 = nil
			p.json(wire.FrameHead, api.TreeChange{Path: []byte("n"), New: s, Content: true})
			p.json(wire.FrameExit, api.ChangesEnd{Count: 1})
		},
		"no JSON": func(p *peer) { _ = p.send(wire.FrameHead, "{") },
		"a path outside": func(p *peer) {
			p.json(wire.FrameHead, api.TreeChange{Path: []byte("../n"), New: sideOf(""), Content: true})
			p.json(wire.FrameExit, api.ChangesEnd{Count: 1})
		},
		"an absolute path": func(p *peer) {
			p.json(wire.FrameHead, api.TreeChange{Path: []byte("/tmp/n"), New: sideOf(""), Content: true})
			p.json(wire.FrameExit, api.ChangesEnd{Count: 1})
		},
		"a link to nothing": func(p *peer) {
			p.json(wire.FrameHead, api.TreeChange{Path: []byte("n"), New: &api.TreeSide{Kind: "symlink"}})
			p.json(wire.FrameExit, api.ChangesEnd{Count: 1})
		},
	} {
		t.Run(name, func(t *testing.T) {
			base := t.TempDir()
			dir := filepath.Join(base, "project")
			if err := errors.Join(os.Mkdir(dir, 0o755), os.WriteFile(filepath.Join(dir, "a"), []byte("a"), 0o644)); err != nil {
				t.Fatal(err)
			}
			before := stands(t, base)
			if got, err := changing(t, api.Seed{}, script).Apply(t.Context(), dir, nil); err == nil {
				t.Errorf("it was applied: %+v", got)
			}
			if diff := cmp.Diff(before, stands(t, base)); diff != "" {
				t.Errorf("something changed (-want +got):\n%s", diff)
			}
		})
	}
}

func TestApplyNeedsADirectory(t *testing.T) {
	file := filepath.Join(directory(t, "f"), "f")
	ws := changing(t, api.Seed{Mode: api.SeedEmpty}, func(*peer) {})
	for dir, kind := range map[string]api.Kind{"": api.Invalid, file: api.NotFound, file + "/none": api.NotFound, "\x00": api.Invalid} {
		if _, err := ws.Apply(t.Context(), dir, nil); !errors.Is(err, kind) || api.HintOf(err) == "" {
			t.Errorf("%q: %v, want %s", dir, err, kind)
		}
	}
	if _, err := ws.Apply(t.Context(), t.TempDir(), &ApplyOptions{DryRun: true, Branch: "x"}); !errors.Is(err, api.Invalid) {
		t.Errorf("both: %v", err)
	}
}

// TestApplyAsksForBasesOnce: what files held before comes only where the directory has
// changed in the same files.
func TestApplyAsksForBasesOnce(t *testing.T) {
	const lines = "1\n2\n3\n4\n5\n6\n7\n8\n9\n"
	for name, c := range map[string]struct {
		here, want string
		asked      []string
	}{
		"unchanged here": {lines, "0\n" + lines, []string{"false"}},
		"changed here":   {lines + "10\n", "0\n" + lines + "10\n", []string{"false", "true"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := directory(t, "a")
			if out, err := exec.CommandContext(t.Context(), "git", "init", "-q", dir).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			if err := os.WriteFile(filepath.Join(dir, "a"), []byte(c.here), 0o644); err != nil {
				t.Fatal(err)
			}
			var asked []string
			ws := serve(t, newTestClient(t, ""), supervisorScript{more: map[string]http.HandlerFunc{
				"GET /v1/changes": func(w http.ResponseWriter, r *http.Request) {
					bases := r.URL.Query().Get("bases")
					asked = append(asked, bases)
					serveFrames(w, func(p *peer) {
						p.json(wire.FrameHead, api.TreeChange{Path: []byte("a"), Old: sideOf(lines), New: sideOf("0\n" + lines), Content: true, Base: bases == "true"})
						_ = p.send(wire.FrameStdout, "0\n"+lines)
						if bases == "true" {
							_ = p.send(wire.FrameStderr, lines)
						}
						p.json(wire.FrameExit, api.ChangesEnd{Count: 1})
					})
				},
			}})
			got, err := ws.Apply(t.Context(), dir, nil)
			if err != nil || got.Summary.Total != 1 {
				t.Fatalf("%+v, %v", got, err)
			}
			if diff := cmp.Diff(c.asked, asked); diff != "" {
				t.Errorf("asked (-want +got):\n%s", diff)
			}
			if data, err := os.ReadFile(filepath.Join(dir, "a")); err != nil || string(data) != c.want {
				t.Errorf("%q, %v", data, err)
			}
		})
	}
}
