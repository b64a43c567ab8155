package pyro

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/api"
)

func mkfifo(t *testing.T, path string) {
	t.Helper()
	if err := exec.Command("mkfifo", path).Run(); err != nil {
		t.Fatal(err)
	}
}

// directory is one with these files, each of which holds its name.
func directory(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// compared answers a comparison: the members whose bit is set are needed, and the last
// push was then.
func compared(last time.Time, needed byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		n := int64(0)
		for lines := bufio.NewScanner(r.Body); lines.Scan(); n++ {
		}
		found := api.SyncCompare{Count: n, Needed: []byte{needed}}
		if !last.IsZero() {
			found.LastPush = api.At(last)
		}
		answerJSON(w, http.StatusOK, found)
	}
}

// taking takes a tree and appends the names of its files to got.
func taking(got *[]string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var bytes int64
		tree := tar.NewReader(r.Body)
		for {
			h, err := tree.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil { // the client gave it up
				answerError(w, http.StatusBadRequest, api.Invalid, err.Error(), "")
				return
			}
			if h.Typeflag == tar.TypeReg {
				*got = append(*got, h.Name)
				bytes += h.Size
			}
		}
		_, _ = io.Copy(io.Discard, r.Body)
		q := r.URL.Query()
		answerJSON(w, http.StatusOK, api.Sync{WorkspaceID: testID, WorkspaceSync: api.SyncCounts{
			Mode: q.Get("mode"), SourcePath: q.Get("source"), Destination: q.Get("destination"), EntryCount: len(*got), BytesWritten: bytes,
		}})
	}
}

func TestPushSendsWhatDiffers(t *testing.T) {
	later, before := time.Now().Add(time.Hour), time.Now().Add(-time.Hour)
	for name, tc := range map[string]struct {
		compare http.HandlerFunc
		whole   bool
		want    []string
	}{
		"nothing differs":                    {compared(later, 0), false, nil},
		"the workspace lacks one":            {compared(later, 0b010), false, []string{"bb"}},
		"it was never pushed":                {compared(time.Time{}, 0), false, []string{"a", "bb"}},
		"all have changed since":             {compared(before, 0), false, []string{"a", "bb"}},
		"they may have changed in that tick": {compared(time.Now().Add(time.Second), 0), false, []string{"a", "bb"}},
		"whole":                              {nil, true, []string{"a", "bb"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := directory(t, "a", "bb")
			var got []string
			routes := map[string]http.HandlerFunc{"PUT /v1/sync": taking(&got)}
			if tc.compare != nil {
				routes["POST /v1/sync/compare"] = tc.compare
			}
			ws := serve(t, newTestClient(t, ""), supervisorScript{more: routes})
			done, err := ws.Push(t.Context(), &Source{Path: dir, Whole: tc.whole}, "")
			if err != nil {
				t.Fatal(err)
			}
			slices.Sort(got)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("sent (-want +got):\n%s", diff)
			}
			want := api.SyncCounts{Mode: api.SeedDirectory, SourcePath: dir, Destination: "/workspace", EntryCount: 2, BytesWritten: 3, UnchangedCount: 2 - len(tc.want)}
			if diff := cmp.Diff(want, done.WorkspaceSync); diff != "" {
				t.Errorf("counts (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPushFails(t *testing.T) {
	refuse := func(w http.ResponseWriter, _ *http.Request) {
		answerError(w, http.StatusBadRequest, api.Invalid, "/etc is not below /workspace", "choose another")
	}
	for name, tc := range map[string]struct {
		put     http.HandlerFunc
		special bool
		kind    api.Kind
		text    string
	}{
		"refused before it was read":   {refuse, false, api.Invalid, "/etc is not below"},
		"a file that cannot be packed": {taking(new([]string)), true, api.Invalid, "pipe"},
		"the supervisor goes away":     {hangUp, false, api.Unavailable, "the supervisor is gone"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := project(t, 64<<20)
			if tc.special {
				dir = directory(t, "a")
				mkfifo(t, filepath.Join(dir, "pipe"))
			}
			ws := serve(t, newTestClient(t, ""), supervisorScript{more: map[string]http.HandlerFunc{"PUT /v1/sync": tc.put}})
			_, err := ws.Push(t.Context(), &Source{Path: dir, Whole: true}, "/etc")
			if api.KindOf(err) != tc.kind || !strings.Contains(err.Error(), tc.text) {
				t.Errorf("error %v of kind %q, want kind %q and %q", err, api.KindOf(err), tc.kind, tc.text)
			}
		})
	}
}

func TestPushCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ws := serve(t, newTestClient(t, ""), supervisorScript{more: map[string]http.HandlerFunc{"PUT /v1/sync": func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		_, _ = io.Copy(io.Discard, r.Body)
	}}})
	if _, err := ws.Push(ctx, &Source{Path: project(t, 64<<20), Whole: true}, ""); !errors.Is(err, api.Canceled) {
		t.Error(err)
	}
}

func TestPushToAStoppedOne(t *testing.T) {
	ws := atRest(t, newTestClient(t, ""), api.StateStopped)
	_, err := ws.Push(t.Context(), &Source{Path: project(t, 1)}, "")
	if !errors.Is(err, api.Conflict) || !strings.Contains(api.HintOf(err), "workspace start") {
		t.Errorf("error %v with hint %q", err, api.HintOf(err))
	}
}
