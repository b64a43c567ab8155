package supervisor

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/wire"
	"github.com/pyro-sandbox/pyro/internal/workspace"
)

// archiveOf is a clean archive of some files.
func archiveOf(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for name, data := range files {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o754, Size: int64(len(data)), Format: tar.FormatPAX}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(data)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// aSeededWorkspace is a launch with a seed, and seed its frames.
func aSeededWorkspace() workspace.Launch {
	launch := aWorkspace()
	path := "/host/project"
	launch.Request.Seed = &api.Seed{Mode: api.SeedDirectory, SeedPath: &path, Destination: api.WorkspacePath}
	launch.PackedAt = 1700000000
	return launch
}

type piece struct {
	t    wire.FrameType
	data []byte
}

func piecesOf(archive []byte) []piece {
	var all []piece
	for rest := archive; len(rest) > 0; {
		n := min(len(rest), 700)
		all = append(all, piece{wire.FrameData, rest[:n]})
		rest = rest[n:]
	}
	return append(all, piece{wire.FrameEnd, []byte(`{"skipped":2}`)})
}

// launchSeed launches a workspace and sends frames after the launch.
func (b *bench) launchSeed(t *testing.T, launch workspace.Launch, seed []piece, hangUp bool) (*running, workspace.Launched) {
	t.Helper()
	return b.launchWith(t, b.cfg, launch, func(r *running) {
		for _, f := range seed {
			if wire.WriteFrame(r.client, f.t, f.data) != nil {
				return // the supervisor has heard enough
			}
		}
		if hangUp {
			_ = r.client.Close()
		}
	})
}

func TestSeedIsThereAndKept(t *testing.T) {
	b := newBench(t)
	archive := archiveOf(t, map[string]string{"a": "one", "b": "twotwo"})
	r, launched := b.launchSeed(t, aSeededWorkspace(), piecesOf(archive), false)
	if launched.Error != nil {
		t.Fatalf("%+v", *launched.Error)
	}
	path := "/host/project"
	want := api.Seed{Mode: api.SeedDirectory, SeedPath: &path, Destination: api.WorkspacePath, EntryCount: 2, BytesWritten: 9, SkippedCount: 2}
	if diff := cmp.Diff(want, launched.Workspace.WorkspaceSeed); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := r.shell(t, "cat a b; stat -c %a a"); got != "onetwotwo754\n" {
		t.Errorf("inside: %q", got)
	}
	kept, err := os.ReadFile(filepath.Join(b.store.Path(testID), "baseline", "workspace.tar"))
	if err != nil || !bytes.Equal(kept, archive) {
		t.Errorf("%d bytes of %d are kept, %v", len(kept), len(archive), err)
	}
	record, err := workspace.Read(b.store, testID)
	if err != nil || record.LastPush(path, api.WorkspacePath) != 1700000000 || record.Request.Seed != nil {
		t.Errorf("%+v, %v", record, err)
	}
}

// Without an image the seed comes back.
func TestSeedComesBackAfterACrash(t *testing.T) {
	b := newBench(t)
	r, _ := b.launchSeed(t, aSeededWorkspace(), piecesOf(archiveOf(t, map[string]string{"a": "one"})), false)
	r.shell(t, "echo lost >new")
	var ws api.Workspace
	if f := r.call(t, "POST", "/v1/stop", api.StopRequest{Discard: true}, &ws); f != nil {
		t.Fatal(*f)
	}
	_ = r.wait(t)
	r = b.start(t, again())
	if got := r.shell(t, "cat a; ls"); got != "onea\n" {
		t.Errorf("after the start: %q", got)
	}
	r.call(t, "POST", "/v1/stop", api.StopRequest{Discard: true}, &ws)
	_ = r.wait(t)
	if err := os.Truncate(filepath.Join(b.store.Path(testID), "baseline", "workspace.tar"), 600); err != nil {
		t.Fatal(err)
	}
	r, launched := b.launch(t, b.cfg, again())
	if launched.Error == nil || !strings.Contains(launched.Error.Error, "seed is damaged") {
		t.Errorf("of a damaged seed: %+v", launched.Error)
	}
	_ = r.wait(t)
}

// Whatever goes wrong with a seed, nothing of the workspace is left.
func TestFailedSeedLeavesNothing(t *testing.T) {
	good := piecesOf(archiveOf(t, map[string]string{"a": strings.Repeat("x", 5000)}))
	refusal, err := json.Marshal(api.ReplyTo(&api.Error{Kind: api.Invalid, Err: fmt.Errorf("fifo: is a FIFO")}))
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		seed   []piece
		hangUp bool
		says   string
	}{
		"the client says no": {[]piece{good[0], {wire.FrameFail, refusal}}, false, "is a FIFO"},
		"garbage":            {[]piece{{wire.FrameData, []byte("garbage")}, {wire.FrameEnd, []byte("{}")}}, false, "archive"},
		"cut":                {[]piece{good[0], {wire.FrameEnd, []byte("{}")}}, false, "archive"},
		"another frame":      {[]piece{{t: 'q'}}, false, "unexpected frame"},
		"climbing names":     {piecesOf(archiveOf(t, map[string]string{"../a": "x"})), false, "../a"},
		"the client leaves":  {good[:3], true, ""},
		"it leaves at once":  {nil, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			r, launched := b.launchSeed(t, aSeededWorkspace(), tt.seed, tt.hangUp)
			if tt.says != "" && (launched.Error == nil || !strings.Contains(launched.Error.Error, tt.says)) {
				t.Errorf("%+v, want %q", launched.Error, tt.says)
			}
			if err := r.wait(t); err == nil {
				t.Error("the supervisor went on")
			}
			b.wantNothing(t)
		})
	}
}

// put pushes an archive.
func (r *running) put(t *testing.T, query url.Values, archive []byte) (*api.Sync, *api.ErrorReply) {
	t.Helper()
	query.Set("packed_at", "1700000001.5")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://pyro/v1/sync?"+query.Encode(), bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := r.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		var failure api.ErrorReply
		if err := json.NewDecoder(resp.Body).Decode(&failure); err != nil {
			t.Fatal(err)
		}
		return nil, &failure
	}
	var done api.Sync
	if err := json.NewDecoder(resp.Body).Decode(&done); err != nil {
		t.Fatal(err)
	}
	return &done, nil
}

func TestSync(t *testing.T) {
	b := newBench(t)
	r := b.start(t, aWorkspace())
	query := url.Values{"source": {"/src"}, "mode": {api.SeedDirectory}, "destination": {"sub/"}}
	done, f := r.put(t, query, archiveOf(t, map[string]string{"a": "one"}))
	if f != nil {
		t.Fatalf("%+v", *f)
	}
	want := api.SyncCounts{Mode: api.SeedDirectory, SourcePath: "/src", Destination: "/workspace/sub", EntryCount: 1, BytesWritten: 3}
	if diff := cmp.Diff(want, done.WorkspaceSync); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := r.shell(t, "cat sub/a"); got != "one" {
		t.Errorf("inside: %q", got)
	}
	var compared api.SyncCompare
	entry := wire.TreeEntry{Path: []byte("a"), Kind: "file", Mode: 0o754, Size: 3}
	if f := r.call(t, "POST", "/v1/sync/compare?"+query.Encode(), entry, &compared); f != nil {
		t.Fatalf("%+v", *f)
	}
	if diff := cmp.Diff(api.SyncCompare{Count: 1, Needed: []byte{0}, LastPush: 1700000001.5}, compared); diff != "" {
		t.Errorf("of the same tree (-want +got):\n%s", diff)
	}
	entry.Size = 4
	if f := r.call(t, "POST", "/v1/sync/compare?"+query.Encode(), entry, &compared); f != nil || compared.Needed[0] != 1 {
		t.Errorf("of another size: %+v, %+v", compared, f)
	}
	if _, f := r.put(t, url.Values{"destination": {"/etc"}}, archiveOf(t, map[string]string{"a": "x"})); f == nil || f.Kind != api.Invalid {
		t.Errorf("outside: %+v", f)
	}
	if _, f := r.put(t, query, []byte("garbage")); f == nil {
		t.Error("garbage was taken")
	}
	if f := r.call(t, "POST", "/v1/sync/compare?"+query.Encode(), "garbage", &compared); f == nil || f.Kind != api.Invalid {
		t.Errorf("garbage was compared: %+v", f)
	}
}
