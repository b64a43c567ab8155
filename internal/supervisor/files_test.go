package supervisor

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/store"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

// sh runs a line in the workspace and returns what it prints.
func sh(t *testing.T, r *running, line string) string {
	t.Helper()
	got := do[api.WorkspaceExec](t, r, "POST", "/v1/exec", api.ExecRequest{Command: line})
	if got.ExitCode != 0 {
		t.Fatalf("%s: %+v", line, got)
	}
	return got.Stdout
}

// put sends bytes, and returns the answer of either kind.
func put[T any](t *testing.T, r *running, method, path string, body io.Reader) (T, *api.ErrorReply) {
	t.Helper()
	var got T
	req, err := http.NewRequestWithContext(t.Context(), method, "http://pyro"+path, body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := r.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var failure api.ErrorReply
	into := any(&got)
	if resp.StatusCode != http.StatusOK {
		into = &failure
	}
	if err := json.Unmarshal(answer, into); err != nil {
		t.Fatalf("%s: %v", answer, err)
	}
	if resp.StatusCode != http.StatusOK {
		return got, &failure
	}
	return got, nil
}

func query(pairs ...string) string {
	q := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	return "?" + q.Encode()
}

// aTree is a workspace with one of each.
func aTree(t *testing.T) (*bench, *running) {
	t.Helper()
	b := newBench(t)
	r := b.start(t, aWorkspace())
	sh(t, r, `mkdir -p d/e 'd!' && echo in >d/f && echo x >d/e/g && ln -s d/f link && ln -s /etc/hostname out && mkfifo d/p &&
		printf 'a\377b' >bytes && printf '\342\202' >cut && echo script >s && chmod 755 s && : >"$(printf 'odd\377')"`)
	return b, r
}

func TestListFiles(t *testing.T) {
	_, r := aTree(t)
	odd := "L3dvcmtzcGFjZS9vZGT/"
	got := do[api.FileList](t, r, "GET", "/v1/files?recursive=true", nil)
	want := []api.FileEntry{
		{Path: "/workspace/bytes", ArtifactType: "file", SizeBytes: 3, Mode: "0644"},
		{Path: "/workspace/cut", ArtifactType: "file", SizeBytes: 2, Mode: "0644"},
		{Path: "/workspace/d", ArtifactType: "directory", Mode: "0755"},
		{Path: "/workspace/d/e", ArtifactType: "directory", Mode: "0755"},
		{Path: "/workspace/d/e/g", ArtifactType: "file", SizeBytes: 2, Mode: "0644"},
		{Path: "/workspace/d/f", ArtifactType: "file", SizeBytes: 3, Mode: "0644"},
		{Path: "/workspace/d/p", ArtifactType: "special", Mode: "0644"},
		{Path: "/workspace/d!", ArtifactType: "directory", Mode: "0755"},
		{Path: "/workspace/link", ArtifactType: "symlink", SizeBytes: 3, LinkTarget: new("d/f"), Mode: "0777"},
		{Path: "/workspace/odd\ufffd", ArtifactType: "file", Mode: "0644", PathBase64: &odd},
		{Path: "/workspace/out", ArtifactType: "symlink", SizeBytes: 13, LinkTarget: new("/etc/hostname"), Mode: "0777"},
		{Path: "/workspace/s", ArtifactType: "file", SizeBytes: 7, Mode: "0755"},
	}
	untimed := cmpopts.IgnoreFields(api.FileEntry{}, "ModifiedAt")
	if diff := cmp.Diff(want, got.Entries, untimed); diff != "" || got.Count != len(want) || got.Truncated || got.ArtifactType != "directory" {
		t.Errorf("%+v\nentries (-want +got):\n%s", got, diff)
	}
	if flat := do[api.FileList](t, r, "GET", "/v1/files?path=d", nil); len(flat.Entries) != 3 || flat.Path != "/workspace/d" {
		t.Errorf("the directory alone: %+v", flat)
	}
	for _, one := range []int{4, 6, 8} { // the things themselves
		list := do[api.FileList](t, r, "GET", "/v1/files"+query("path", want[one].Path), nil)
		if diff := cmp.Diff(want[one:one+1], list.Entries, untimed); diff != "" || list.ArtifactType != want[one].ArtifactType {
			t.Errorf("%s: %s\n%s", want[one].Path, list.ArtifactType, diff)
		}
	}
}

// TestListInParts holds that parts of any size make the whole.
func TestListInParts(t *testing.T) {
	_, r := aTree(t)
	sh(t, r, `for i in 1 2 3 4; do mkdir "$i" "$i!" && : >"$i/$(printf 'x\377')" && : >"$i/z"; done`)
	whole := do[api.FileList](t, r, "GET", "/v1/files?recursive=true", nil)
	for _, limit := range []int{2, 3, 7, whole.Count} {
		var parts []api.FileEntry
		for after, more := "", true; more; {
			list := do[api.FileList](t, r, "GET", "/v1/files"+query("recursive", "true", "limit", fmt.Sprint(limit), "after", after), nil)
			if len(list.Entries) > limit || list.Truncated != (list.NextAfter != nil) {
				t.Fatalf("%+v", list)
			}
			if more = list.Truncated; more {
				after = *list.NextAfter
				for list.Entries[len(list.Entries)-1].Path != after { // one that cannot be named comes again
					list.Entries = list.Entries[:len(list.Entries)-1]
				}
			}
			parts = append(parts, list.Entries...)
		}
		if diff := cmp.Diff(whole.Entries, parts); diff != "" {
			t.Errorf("%d at once:\n%s", limit, diff)
		}
	}
	if failure := refused(t, r, "GET", "/v1/files?path=d&after=e", nil); failure.Kind != api.Invalid {
		t.Errorf("after what is not in it: %+v", failure)
	}
}

func TestReadFile(t *testing.T) {
	_, r := aTree(t)
	sh(t, r, `head -c 70000 /dev/zero | tr '\0' z >big; head -c 1048576 /dev/zero | tr '\0' m >mib; head -c 1048577 /dev/zero >over; truncate -s 1T huge`)
	for name, tc := range map[string]struct {
		query []string
		want  api.FileRead
	}{
		"text":           {[]string{"path", "d/f"}, api.FileRead{Path: "/workspace/d/f", SizeBytes: 3, MaxBytes: 65536, BytesRead: 3, Content: "in\n", Encoding: "utf-8"}},
		"no UTF-8":       {[]string{"path", "bytes", "base64", "true"}, api.FileRead{Path: "/workspace/bytes", SizeBytes: 3, MaxBytes: 65536, BytesRead: 3, Content: "a\ufffdb", Encoding: "utf-8-lossy", ContentBase64: new("Yf9i")}},
		"a cut one":      {[]string{"path", "cut"}, api.FileRead{Path: "/workspace/cut", SizeBytes: 2, MaxBytes: 65536, BytesRead: 2, Content: "\ufffd", Encoding: "utf-8-lossy"}},
		"the beginning":  {[]string{"path", "d/f", "max_bytes", "2"}, api.FileRead{Path: "/workspace/d/f", SizeBytes: 3, MaxBytes: 2, BytesRead: 2, Content: "in", Encoding: "utf-8", Truncated: true}},
		"the middle":     {[]string{"path", "d/f", "max_bytes", "1", "offset", "1"}, api.FileRead{Path: "/workspace/d/f", SizeBytes: 3, MaxBytes: 1, Offset: 1, BytesRead: 1, Content: "n", Encoding: "utf-8", Truncated: true}},
		"the end":        {[]string{"path", "d/f", "offset", "2"}, api.FileRead{Path: "/workspace/d/f", SizeBytes: 3, MaxBytes: 65536, Offset: 2, BytesRead: 1, Content: "\n", Encoding: "utf-8"}},
		"behind the end": {[]string{"path", "d/f", "offset", "99"}, api.FileRead{Path: "/workspace/d/f", SizeBytes: 3, MaxBytes: 65536, Offset: 99, Encoding: "utf-8"}},
		"over the usual": {[]string{"path", "big"}, api.FileRead{Path: "/workspace/big", SizeBytes: 70000, MaxBytes: 65536, BytesRead: 65536, Content: strings.Repeat("z", 65536), Encoding: "utf-8", Truncated: true}},
		"1 MiB":          {[]string{"path", "mib", "max_bytes", "1048576"}, api.FileRead{Path: "/workspace/mib", SizeBytes: 1 << 20, MaxBytes: 1 << 20, BytesRead: 1 << 20, Content: strings.Repeat("m", 1<<20), Encoding: "utf-8"}},
		"of a huge one":  {[]string{"path", "huge", "max_bytes", "2", "offset", "1099511627775"}, api.FileRead{Path: "/workspace/huge", SizeBytes: 1 << 40, MaxBytes: 2, Offset: 1<<40 - 1, BytesRead: 1, Content: "\x00", Encoding: "utf-8"}},
	} {
		t.Run(name, func(t *testing.T) {
			tc.want.WorkspaceID, tc.want.ExecutionMode = testID, api.ModeGuestVsock
			got := do[api.FileRead](t, r, "GET", "/v1/files/read"+query(tc.query...), nil)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%.400s", diff)
			}
		})
	}
	for path, kind := range map[string]api.Kind{
		"over": api.Invalid, "huge": api.Invalid, "none": api.NotFound, "d": api.Invalid, "d/p": api.Unsupported, "link": api.Denied, "out": api.Denied, "link/f": api.Denied, "s/x": api.Invalid,
	} {
		failure := refused(t, r, "GET", "/v1/files/read"+query("path", path), nil)
		first, _, _ := strings.Cut(path, "/") // which is what stands in the way
		if failure.Kind != kind || failure.Hint == "" || !strings.Contains(failure.Error, first) || strings.Count(failure.Error, "read file") != 1 {
			t.Errorf("%s: %+v, want kind %s", path, failure, kind)
		}
	}
}

// stream gets a file as frames.
func stream(t *testing.T, b *bench, path string) (string, wire.Frame) {
	t.Helper()
	socket := b.store.RunDir(testID) + "/" + store.ControlSocket
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(conn, "GET /v1/files/content%s HTTP/1.1\r\nHost: pyro\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", path, api.Frames); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v, %v", resp, err)
	}
	return untilEnd(t, in)
}

func TestStreamFile(t *testing.T) {
	b, r := aTree(t)
	sh(t, r, "head -c 5000000 /dev/urandom >big")
	text, last := stream(t, b, query("path", "big", "offset", "17", "length", "4000000"))
	var got api.FileRange
	if err := json.Unmarshal(last.Payload, &got); err != nil || last.Type != wire.FrameExit {
		t.Fatalf("%q: %s", last.Type, last.Payload)
	}
	if want := sh(t, r, "tail -c +18 big | head -c 4000000 | sha256sum"); sum(text) != want {
		t.Error("the bytes differ")
	}
	if got.SizeBytes != 5000000 || got.Offset != 17 || got.BytesRead != 4000000 || !got.Truncated || got.Mode != "0644" {
		t.Errorf("%+v", got)
	}
	_, last = stream(t, b, query("path", "none"))
	var failure api.ErrorReply
	if err := json.Unmarshal(last.Payload, &failure); err != nil || last.Type != wire.FrameFail || failure.Kind != api.NotFound || failure.Hint == "" {
		t.Errorf("%q: %s", last.Type, last.Payload)
	}
}

func TestWriteFile(t *testing.T) {
	_, r := aTree(t)
	write := func(body io.Reader, pairs ...string) (api.FileWrite, *api.ErrorReply) {
		return put[api.FileWrite](t, r, "PUT", "/v1/files/content"+query(pairs...), body)
	}
	before := do[api.Workspace](t, r, "GET", "/v1/workspace", nil).LastActivityAt
	got, failure := write(strings.NewReader("zwölf\n"), "path", "new/dir/f")
	want := api.FileWrite{WorkspaceID: testID, Path: "/workspace/new/dir/f", SizeBytes: 7, BytesWritten: 7, Created: true, ExecutionMode: api.ModeGuestVsock}
	if diff := cmp.Diff(want, got); diff != "" || failure != nil {
		t.Fatalf("%+v\n%s", failure, diff)
	}
	if after := do[api.Workspace](t, r, "GET", "/v1/workspace", nil).LastActivityAt; after <= before {
		t.Errorf("it counts as no activity: %v, %v", before, after)
	}
	for _, tc := range []struct {
		pairs []string
		body  string
		line  string
		want  string
	}{
		{[]string{"path", "new/dir/f"}, "x", "cat new/dir/f; stat -c ' %a' new/dir/f", "x 644\n"},
		{[]string{"path", "s"}, "y", "cat s; stat -c ' %a' s", "y 755\n"},
		{[]string{"path", "s", "mode", "0600"}, "", "cat s; stat -c '%a %s' s", "600 0\n"},
		{[]string{"path", "run", "mode", "0777"}, "\x00\xff", "stat -c '%a %s' run", "777 2\n"},
	} {
		if _, failure := write(strings.NewReader(tc.body), tc.pairs...); failure != nil {
			t.Errorf("%v: %+v", tc.pairs, failure)
		}
		if got := sh(t, r, tc.line); got != tc.want {
			t.Errorf("%v: %s printed %q, want %q", tc.pairs, tc.line, got, tc.want)
		}
	}
	tree := "find . -printf '%p %y %s %m %l\n' | sort | sha256sum"
	as := sh(t, r, tree)
	for name, tc := range map[string]struct {
		pairs []string
		kind  api.Kind
	}{
		"a directory":        {[]string{"path", "d"}, api.Invalid},
		"a link":             {[]string{"path", "link"}, api.Denied},
		"over a link":        {[]string{"path", "link/x"}, api.Denied},
		"a FIFO":             {[]string{"path", "d/p"}, api.Unsupported},
		"below a file":       {[]string{"path", "s/x"}, api.Invalid},
		"one that is there":  {[]string{"path", "s", "exclusive", "true"}, api.Exists},
		"a mode of set-id":   {[]string{"path", "s", "mode", "4755"}, api.Invalid},
		"a mode of no digit": {[]string{"path", "s", "mode", "rwx"}, api.Invalid},
		"the workspace":      {[]string{"path", "."}, api.Invalid},
	} {
		if _, failure := write(strings.NewReader("no"), tc.pairs...); failure == nil || failure.Kind != tc.kind {
			t.Errorf("%s: %+v, want kind %s", name, failure, tc.kind)
		}
	}
	if now := sh(t, r, tree); now != as {
		t.Error("what was refused has changed something")
	}
	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<18)
	if got, failure := write(bytes.NewReader(big), "path", "big"); failure != nil || got.BytesWritten != 4<<20 {
		t.Errorf("4 MiB: %+v, %+v", got, failure)
	}
}

func TestChangeFiles(t *testing.T) {
	_, r := aTree(t)
	if made := do[api.FileMkdir](t, r, "POST", "/v1/files/mkdir", api.FileMkdirRequest{Path: "x/y", Parents: true}); !made.Created || made.Path != "/workspace/x/y" {
		t.Errorf("%+v", made)
	}
	if again := do[api.FileMkdir](t, r, "POST", "/v1/files/mkdir", api.FileMkdirRequest{Path: "x", Parents: true}); again.Created {
		t.Errorf("%+v", again)
	}
	moved := do[api.FileMove](t, r, "POST", "/v1/files/move", api.FileMoveRequest{From: "d/f", To: "x/f"})
	if moved.FromPath != "/workspace/d/f" || moved.ToPath != "/workspace/x/f" || moved.Replaced {
		t.Errorf("%+v", moved)
	}
	if moved := do[api.FileMove](t, r, "POST", "/v1/files/move", api.FileMoveRequest{From: "link", To: "x/f", Overwrite: true}); !moved.Replaced {
		t.Errorf("%+v", moved)
	}
	if got := sh(t, r, "readlink x/f; test ! -e d/f"); got != "d/f\n" {
		t.Errorf("the link is %q", got)
	}
	do[api.FileDelete](t, r, "DELETE", "/v1/files?path=x/f", nil)
	do[api.FileDelete](t, r, "DELETE", "/v1/files?path=out", nil)
	do[api.FileDelete](t, r, "DELETE", "/v1/files?path=d&recursive=true", nil)
	if got := sh(t, r, "test ! -e d && test ! -e out && test -d x && test -s /etc/hostname && ls x"); got != "y\n" {
		t.Errorf("left is %q", got)
	}
	for name, tc := range map[string]struct {
		method, path string
		body         any
		kind         api.Kind
	}{
		"make one that is there":      {"POST", "/v1/files/mkdir", api.FileMkdirRequest{Path: "x"}, api.Exists},
		"make below nothing":          {"POST", "/v1/files/mkdir", api.FileMkdirRequest{Path: "n/m"}, api.NotFound},
		"make where a file is":        {"POST", "/v1/files/mkdir", api.FileMkdirRequest{Path: "s", Parents: true}, api.Exists},
		"move nothing":                {"POST", "/v1/files/move", api.FileMoveRequest{From: "none", To: "m"}, api.NotFound},
		"move onto one that is there": {"POST", "/v1/files/move", api.FileMoveRequest{From: "s", To: "cut"}, api.Exists},
		"delete nothing":              {"DELETE", "/v1/files?path=none", nil, api.NotFound},
		"delete nothing in it":        {"DELETE", "/v1/files?path=none&recursive=true", nil, api.NotFound},
		"delete a directory":          {"DELETE", "/v1/files?path=x", nil, api.Invalid},
		"delete the workspace":        {"DELETE", "/v1/files?path=/workspace&recursive=true", nil, api.Invalid},
	} {
		if failure := refused(t, r, tc.method, tc.path, tc.body); failure.Kind != tc.kind || failure.Hint == "" {
			t.Errorf("%s: %+v, want kind %s", name, failure, tc.kind)
		}
	}
}

// TestFilePathsAreChecked holds that no route takes a path that leaves the workspace.
func TestFilePathsAreChecked(t *testing.T) {
	_, r := aTree(t)
	for _, path := range []string{"..", "../etc/passwd", "/etc/passwd", "/", "d/../../x", "/workspace/../etc", "/workspace-evil", "a\x00b", strings.Repeat("n", 300), strings.Repeat("a/", 3000)} {
		q := query("path", path)
		for _, failure := range []api.ErrorReply{
			refused(t, r, "GET", "/v1/files"+q, nil),
			refused(t, r, "GET", "/v1/files/stat"+q, nil),
			refused(t, r, "GET", "/v1/files/read"+q, nil),
			refused(t, r, "GET", "/v1/files/content"+q, nil),
			refused(t, r, "PUT", "/v1/files/content"+q, nil),
			refused(t, r, "DELETE", "/v1/files"+q, nil),
			refused(t, r, "POST", "/v1/files/mkdir", api.FileMkdirRequest{Path: path}),
			refused(t, r, "POST", "/v1/files/move", api.FileMoveRequest{From: "s", To: path}),
			refused(t, r, "POST", "/v1/files/move", api.FileMoveRequest{From: path, To: "x"}),
		} {
			if failure.Kind != api.Invalid || failure.Hint == "" {
				t.Errorf("%.20q: %+v", path, failure)
			}
		}
	}
	for _, q := range []string{"limit=x", "limit=-1", "limit=9999999"} {
		if failure := refused(t, r, "GET", "/v1/files?"+q, nil); failure.Kind != api.Invalid {
			t.Errorf("%s: %+v", q, failure)
		}
	}
}

func TestTextOf(t *testing.T) {
	for given, want := range map[string]string{
		"":                     "",
		"zwölf\x00":            "zwölf\x00",
		"\xff\xfe":             "\ufffd\ufffd",
		"a\xe2\x82":            "a\ufffd",
		"\xe2\x82b":            "\ufffdb",
		"\xf0\x9f\x98\xf0\x9f": "\ufffd\ufffd",
		"\xe0\x80\x80":         "\ufffd\ufffd\ufffd",       // overlong: no byte begins a character
		"\xed\xa0\x80":         "\ufffd\ufffd\ufffd",       // half of a pair
		"\xf4\x90\x80\x80":     "\ufffd\ufffd\ufffd\ufffd", // beyond U+10FFFF
		"\ufffd":               "\ufffd",
	} {
		text, exact := textOf([]byte(given))
		if text != want || exact != (given == want) {
			t.Errorf("%q: %q, exact %v, want %q", given, text, exact, want)
		}
	}
}
