package supervisor

import (
	"archive/tar"
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// aProject is a seed with one of everything.
func aProject(t *testing.T) []byte {
	t.Helper()
	return tarOf(
		t,
		tar.Header{Typeflag: tar.TypeDir, Name: "d/", Mode: 0o755},
		tar.Header{Typeflag: tar.TypeReg, Name: "d/first", Mode: 0o644, Uname: "one\ntwo\n"},
		tar.Header{Typeflag: tar.TypeLink, Name: "d/second", Mode: 0o644, Linkname: "d/first"},
		tar.Header{Typeflag: tar.TypeReg, Name: "data", Mode: 0o644, Uname: "a\x00b"},
		tar.Header{Typeflag: tar.TypeDir, Name: "empty/", Mode: 0o755},
		tar.Header{Typeflag: tar.TypeSymlink, Name: "link", Linkname: "/nowhere", Mode: 0o777},
		tar.Header{Typeflag: tar.TypeReg, Name: "run", Mode: 0o644, Uname: "#!/bin/sh\n"},
		tar.Header{Typeflag: tar.TypeReg, Name: "same", Mode: 0o644, Uname: "same\n"},
	)
}

func (b *bench) startSeeded(t *testing.T, archive []byte) *running {
	t.Helper()
	r, launched := b.launchSeed(t, aSeededWorkspace(), piecesOf(archive), false)
	if launched.Error != nil {
		t.Fatalf("launch: %+v", *launched.Error)
	}
	return r
}

func (r *running) diff(t *testing.T, query url.Values) api.WorkspaceDiff {
	t.Helper()
	var found api.WorkspaceDiff
	if f := r.call(t, "GET", "/v1/diff?"+query.Encode(), nil, &found); f != nil {
		t.Fatalf("%+v", *f)
	}
	return found
}

// patch reads a streamed patch to its end.
func (r *running) patch(t *testing.T, query url.Values) (string, wire.Frame) {
	t.Helper()
	query.Set("format", "patch")
	conn, err := r.http.Transport.(*http.Transport).DialContext(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	_, err = fmt.Fprintf(conn, "GET /v1/diff?%s HTTP/1.1\r\nHost: pyro\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", query.Encode(), api.Frames)
	if err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v, %v", resp, err)
	}
	return untilEnd(t, in)
}

// lines says each entry in a line.
func linesOf(found api.WorkspaceDiff) []string {
	var said []string
	for _, e := range found.Entries {
		said = append(said, fmt.Sprintf("%s %s %s", e.Status, e.Type, e.Path))
	}
	return said
}

// TestDiff holds that everything that changed is told, and that git makes of the seed what
// is there.
func TestDiff(t *testing.T) {
	b := newBench(t)
	r := b.startSeeded(t, aProject(t))
	if found := r.diff(t, nil); found.Changed || len(found.Entries) > 0 || found.Patch != "" || len(found.Warnings) > 0 {
		t.Fatalf("right after create: %+v", found)
	}
	if text, last := r.patch(t, url.Values{}); text != "" || last.Type != wire.FrameExit {
		t.Fatalf("right after create: %q, %s", text, last.Payload)
	}
	r.shell(t, `set -e
		echo three >>d/second # and so d/first
		printf 'a\0c' >data
		rmdir empty; echo now >empty
		ln -sfn elsewhere link
		chmod 755 run; chmod 600 same
		mkdir -p new/dir; echo text >new/file; : >new/nothing
		mkfifo pipe
		echo x >"$(printf 'odd\377')"; echo y >"$(printf 'line\nfeed "q"')"
		mkdir .git; echo '[core]' >.git/config`)
	found := r.diff(t, nil)
	want := []string{
		"added file .git/config", "modified file d/first", "modified file d/second", "modified file data", "type_changed file empty",
		"added file line\nfeed \"q\"", "modified symlink link", "added directory new/dir", "added file new/file", "added file new/nothing",
		"added file odd\ufffd", "modified file run", "modified file same",
	}
	if diff := cmp.Diff(want, linesOf(found)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	sum := api.DiffSummary{Total: 13, Added: 6, Modified: 6, TypeChanged: 1, TextPatched: 6, NonText: 7}
	if diff := cmp.Diff(sum, found.Summary); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
	checkEntries(t, found)
	streamed, last := r.patch(t, url.Values{})
	if streamed != found.Patch {
		t.Errorf("streamed it is another patch:\n%s\n---\n%s", streamed, found.Patch)
	}
	var told api.DiffPatched
	if err := json.Unmarshal(last.Payload, &told); err != nil || told.Summary != found.Summary || told.Redacted {
		t.Errorf("its end: %s, %v", last.Payload, err)
	}
	if diff := cmp.Diff(found.Warnings, told.Warnings); diff != "" {
		t.Errorf("warnings of the patch (-JSON +stream):\n%s", diff)
	}
	wantWarnings(t, found, "modes that git does not keep: 2", "as git takes nothing in a .git: 1", `left out, being devices, FIFOs or sockets: "pipe"`)
	applied := applyTo(t, aProject(t), streamed)
	inside := r.shell(t, `find . -path ./.git -prune -o -type f -exec sha256sum {} + -o -type l -printf '%l %p\n' | LC_ALL=C sort`)
	if diff := cmp.Diff(inside, strings.ToValidUTF8(applied, "\uFFFD")); diff != "" {
		t.Errorf("git apply made another tree (-inside +applied):\n%s", diff)
	}
}

// TestDiffFlagsRepositories: changes that make a repository of a directory, with what was
// there before, are flagged.
func TestDiffFlagsRepositories(t *testing.T) {
	b := newBench(t)
	r := b.startSeeded(t, aProject(t))
	r.shell(t, `set -e
		mkdir -p bare/objects bare/refs half/objects
		echo 'ref: refs/heads/a' | tee bare/HEAD half/HEAD >half/config
		echo '[core]' >bare/config; : >bare/description`)
	for _, e := range r.diff(t, nil).Entries {
		want := e.Path == "bare/HEAD" || e.Path == "bare/config"
		if (e.Flagged != nil) != want {
			t.Errorf("%s is flagged: %v", e.Path, !want)
		}
	}
}

// TestDiffOfATreeThatIsTooDeep ends with a next step that is of use.
func TestDiffOfATreeThatIsTooDeep(t *testing.T) {
	b := newBench(t)
	r := b.startSeeded(t, aProject(t))
	r.shell(t, `for i in $(seq 300); do mkdir deep && cd deep || exit 1; done`)
	said := r.call(t, "GET", "/v1/diff", nil, nil)
	if said == nil || said.Kind != api.Invalid || !strings.Contains(said.Hint, "file delete") {
		t.Errorf("%+v", said)
	}
}

func checkEntries(t *testing.T, found api.WorkspaceDiff) {
	t.Helper()
	by := make(map[string]api.DiffEntry)
	for _, e := range found.Entries {
		by[e.Path] = e
	}
	deref := func(s *string) string {
		if s == nil {
			return "null"
		}
		return *s
	}
	for _, c := range []struct{ what, got, want string }{
		{"text patch", deref(by["d/first"].TextPatch), "--- a/d/first\n+++ b/d/first\n@@ -1,2 +1,3 @@\n one\n two\n+three\n"},
		{"lines", fmt.Sprint(*by["d/first"].Insertions, *by["d/first"].Deletions), "1 0"},
		{"old target", deref(by["link"].OldTarget), "/nowhere"},
		{"new target", deref(by["link"].NewTarget), "elsewhere"},
		{"modes", deref(by["run"].OldMode) + deref(by["run"].NewMode), "100644100755"},
		{"bits", deref(by["same"].OldBits) + deref(by["same"].NewBits), "06440600"},
		{"omitted", deref(by["same"].Omitted), api.OmittedNoGitForm},
		{"omitted", deref(by["new/dir"].Omitted), api.OmittedNoGitForm},
		{"omitted", deref(by[".git/config"].Omitted), api.OmittedGitDirectory},
		{"binary", fmt.Sprint(*by["data"].Binary, *by["run"].Binary), "true false"},
		{"old size", fmt.Sprint(*by["data"].OldSize), "3"},
		{"empty", deref(by["new/nothing"].TextPatch), "null"},
		{"type change", deref(by["empty"].TextPatch) + deref(by["empty"].OldMode) + deref(by["empty"].NewMode), "nullnull100644"},
		{"path", deref(by["odd\ufffd"].PathBase64), base64.StdEncoding.EncodeToString([]byte("odd\xff"))},
	} {
		if c.got != c.want {
			t.Errorf("%s: %q, want %q", c.what, c.got, c.want)
		}
	}
	if by[".git/config"].Flagged == nil {
		t.Error("what git runs is not flagged")
	}
}

func wantWarnings(t *testing.T, found api.WorkspaceDiff, want ...string) {
	t.Helper()
	for i, w := range found.Warnings {
		if i >= len(want) || !strings.Contains(w, want[i]) {
			t.Errorf("warning %q", w)
		}
	}
	if len(found.Warnings) != len(want) {
		t.Errorf("%d warnings, want %d", len(found.Warnings), len(want))
	}
}

// applyTo unpacks a seed, has git apply a patch to it, and tells what is there then.
func applyTo(t *testing.T, seed []byte, patch string) string {
	t.Helper()
	dir := t.TempDir()
	run := func(stdin []byte, name string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Dir, cmd.Stdin = dir, bytes.NewReader(stdin)
		cmd.Env = append(os.Environ(), "GIT_CEILING_DIRECTORIES="+filepath.Dir(dir), "LC_ALL=C")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %v: %v: %s", name, args, err, out)
		}
		return string(out)
	}
	run(seed, "tar", "-xf", "-")
	run([]byte(patch), "git", "apply", "--whitespace=nowarn", "-")
	return run(nil, "sh", "-c", `find . -type f -exec sha256sum {} + -o -type l -printf '%l %p\n' | LC_ALL=C sort`)
}

func TestDiffOfPaths(t *testing.T) {
	b := newBench(t)
	r := b.startSeeded(t, aProject(t))
	r.shell(t, `echo x >>same; echo y >>d/first; mkdir dd; echo z >dd/f`)
	for query, want := range map[string][]string{
		"path=d":                            {"modified file d/first", "modified file d/second"},
		"path=/workspace/dd/&no_patch=true": {"added file dd/f"},
		"path=same&path=dd":                 {"added file dd/f", "modified file same"},
		"path=.":                            {"added file dd/f", "modified file d/first", "modified file d/second", "modified file same"},
		"path=none":                         nil,
	} {
		q, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		got := linesOf(r.diff(t, q))
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", query, diff)
		}
	}
	for _, bad := range []string{"path=../x", "path=", "path=/etc", "path=a%00b", "path=/workspace-evil"} {
		var none api.WorkspaceDiff
		if f := r.call(t, "GET", "/v1/diff?"+bad, nil, &none); f == nil || f.Kind != api.Invalid {
			t.Errorf("%s: %+v", bad, f)
		}
	}
}

// Without a seed the former tree is empty, and nothing that a guest may name escapes it.
func TestDiffWithoutASeed(t *testing.T) {
	b := newBench(t)
	r := b.start(t, aWorkspace())
	if found := r.diff(t, nil); found.Changed {
		t.Fatalf("right after create: %+v", found)
	}
	r.shell(t, `mkdir -p a/b; echo x >a/b/f`)
	if diff := cmp.Diff([]string{"added file a/b/f"}, linesOf(r.diff(t, nil))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var ws api.Workspace
	r.call(t, "POST", "/v1/stop", api.StopRequest{Discard: true}, &ws)
	_ = r.wait(t)
}

// A diff is no use of the workspace.
func TestDiffIsNoActivity(t *testing.T) {
	b := newBench(t)
	r := b.startSeeded(t, aProject(t))
	var before, after api.Workspace
	r.call(t, "GET", "/v1/workspace", nil, &before)
	r.shell(t, "true")
	r.call(t, "GET", "/v1/workspace", nil, &before)
	r.diff(t, nil)
	r.call(t, "GET", "/v1/workspace", nil, &after)
	if before.LastActivityAt != after.LastActivityAt {
		t.Errorf("activity at %v, and after a diff at %v", before.LastActivityAt, after.LastActivityAt)
	}
	left, err := filepath.Glob(filepath.Join(b.store.Path(testID), "diff-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left on disk: %v, %v", left, err)
	}
}

// What was kept of the seed is proven before it is shown.
func TestDiffOfADamagedSeed(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, dir string){
		"archive": func(t *testing.T, dir string) {
			replaceIn(t, filepath.Join(dir, "workspace.tar"), "same\n", "evil\n")
		},
		"manifest": func(t *testing.T, dir string) {
			replaceIn(t, filepath.Join(dir, "manifest"), "same", "Same")
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			r := b.startSeeded(t, aProject(t))
			r.shell(t, "rm same")
			spoil(t, filepath.Join(b.store.Path(testID), "baseline"))
			var found api.WorkspaceDiff
			if f := r.call(t, "GET", "/v1/diff", nil, &found); f == nil || f.Kind != api.Conflict || !strings.Contains(f.Error, "damaged") {
				t.Errorf("%+v, %+v", f, found)
			}
		})
	}
}

func replaceIn(t *testing.T, path, old, with string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(data, []byte(old)) {
		t.Fatalf("%s holds no %q", path, old)
	}
	if err := os.WriteFile(path, bytes.ReplaceAll(data, []byte(old), []byte(with)), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestDiffHidesSecrets(t *testing.T) {
	const value = "s3cr3t-value-of-some-length"
	b := newBench(t)
	launch := aWorkspace()
	launch.Request.Secrets = []api.SecretValue{{Name: "TOKEN", Value: value, SourceKind: api.SecretFromFile}}
	r := b.start(t, launch)
	r.shell(t, "echo key="+value+" >config; ln -s "+value+" link; echo x >f-"+value)
	found := r.diff(t, nil)
	data, err := json.Marshal(found)
	if err != nil {
		t.Fatal(err)
	}
	text, last := r.patch(t, url.Values{})
	for what, said := range map[string]string{"JSON": string(data), "patch": text, "end": string(last.Payload)} {
		if strings.Contains(said, value) || strings.Contains(said, base64.StdEncoding.EncodeToString([]byte(value))) {
			t.Errorf("the secret stands in the %s: %s", what, said)
		}
	}
	if !strings.Contains(text, "+key="+api.RedactedText) || !strings.Contains(found.Patch, api.RedactedText) {
		t.Errorf("nothing is redacted: %s", text)
	}
	wantWarnings(t, found, "redacted")
	var told api.DiffPatched
	if err := json.Unmarshal(last.Payload, &told); err != nil || !told.Redacted || len(told.Warnings) != 1 {
		t.Errorf("the end says %s, %v", last.Payload, err)
	}
}

// The seed may lie below /workspace: then all else is new.
func TestDiffOfASeedBelow(t *testing.T) {
	b := newBench(t)
	launch := aSeededWorkspace()
	launch.Request.Seed.Destination = api.WorkspacePath + "/src/app"
	r, launched := b.launchSeed(t, launch, piecesOf(aProject(t)), false)
	if launched.Error != nil {
		t.Fatalf("%+v", *launched.Error)
	}
	if found := r.diff(t, nil); found.Changed {
		t.Fatalf("right after create: %q", linesOf(found))
	}
	r.shell(t, "echo more >>src/app/d/second; rm src/app/same; echo x >src/new")
	found := r.diff(t, nil)
	want := []string{"modified file src/app/d/first", "modified file src/app/d/second", "deleted file src/app/same", "added file src/new"}
	if diff := cmp.Diff(want, linesOf(found)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !strings.Contains(found.Patch, "-same\n") {
		t.Errorf("what was deleted is not shown:\n%s", found.Patch)
	}
}

func TestDiffOfLargeFiles(t *testing.T) {
	b := newBench(t)
	r := b.start(t, aWorkspace())
	r.shell(t, fmt.Sprintf("truncate -s %d large; truncate -s %d huge; printf '%%2000000s' x >long; echo x >small", api.MaxDiffFile+1, int64(api.MaxPatchFile)+1))
	found := r.diff(t, nil)
	omitted := make(map[string]string)
	for _, e := range found.Entries {
		if e.Omitted != nil {
			omitted[e.Path] = *e.Omitted
		}
	}
	want := map[string]string{"large": api.OmittedFileTooLarge, "huge": api.OmittedFileTooLarge, "long": api.OmittedLongPatch}
	if diff := cmp.Diff(want, omitted); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !found.PatchTruncated {
		t.Error("it is not said that the patch is not whole")
	}
	_, last := r.patch(t, url.Values{})
	var failure api.ErrorReply
	if err := json.Unmarshal(last.Payload, &failure); err != nil || last.Type != wire.FrameFail || !strings.Contains(failure.Error, `"huge" has 1073741825 bytes`) {
		t.Errorf("%c %s, %v", last.Type, last.Payload, err)
	}
	text, last := r.patch(t, url.Values{"path": {"large"}})
	if last.Type != wire.FrameExit || !strings.HasPrefix(text, "diff --git a/large b/large\n") {
		t.Errorf("%c %s: %d bytes of patch", last.Type, last.Payload, len(text))
	}
}
