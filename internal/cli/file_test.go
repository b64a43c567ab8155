package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/api"
)

// TestFileGolden is TestGolden for files and patches.
func TestFileGolden(t *testing.T) {
	none := func(c *fakeClient) { c.files.list.Entries = nil }
	more := func(c *fakeClient) {
		c.files.list.Truncated, c.files.list.NextAfter = true, text("/workspace/l\n[hint] x")
	}
	whole := func(c *fakeClient) { c.files.read.Truncated, c.files.read.Content = false, "all\n" }
	moved := func(c *fakeClient) {
		c.files.patch.Summary = api.PatchSummary{Total: 2, Added: 1, TypeChanged: 1}
		c.files.patch.Entries = []api.PatchEntry{
			{Path: "/workspace/n", Status: api.PatchAdded, FromPath: text("/workspace/o")}, {Path: "/workspace/t", Status: api.PatchTypeChanged},
		}
	}
	for name, c := range map[string]struct {
		args string
		fake func(*fakeClient)
	}{
		"file list":                {args: "file list ID"},
		"file list json":           {args: "file list ID src --json --recursive"},
		"file list empty":          {args: "file list ID --recursive", fake: none},
		"file list truncated":      {args: "file list ID", fake: more},
		"file list outside":        {args: "file list ID ../etc"},
		"file list beside":         {args: "file list ID /workspace-evil --json"},
		"file list many":           {args: "file list ID a b c"},
		"file list no limit":       {args: "file list ID --limit 0"},
		"file list high limit":     {args: "file list ID --limit 100001"},
		"file list after outside":  {args: "file list ID --after /etc"},
		"file list refused":        {args: "file list ID", fake: refuses},
		"file stat":                {args: "file stat ID f"},
		"file stat json":           {args: "file stat ID f --json"},
		"file stat outside":        {args: "file stat ID /"},
		"file read":                {args: "file read ID f"},
		"file read whole":          {args: "file read ID f", fake: whole},
		"file read json":           {args: "file read ID f --json"},
		"file read base64":         {args: "file read ID f --base64"},
		"file read base64 json":    {args: "file read ID f --base64 --json"},
		"file read content":        {args: "file read ID f --content-only"},
		"file read content json":   {args: "file read ID f --content-only --json"},
		"file read all":            {args: "file read ID f --all"},
		"file read all content":    {args: "file read ID f --all --content-only"},
		"file read all limit":      {args: "file read ID f --all --max-bytes 3"},
		"file read stdout":         {args: "file read ID f --output - --offset 3"},
		"file read no bytes":       {args: "file read ID f --max-bytes 0"},
		"file read many bytes":     {args: "file read ID f --max-bytes 1048577 --json"},
		"file read before":         {args: "file read ID f --offset -1"},
		"file read force":          {args: "file read ID f --force"},
		"file read nowhere":        {args: "file read ID f --output /no/such/directory/f"},
		"file read directory":      {args: "file read ID f --output /"},
		"file read no output":      {args: "file read ID f --output="},
		"file read refused":        {args: "file read ID f --json", fake: refuses},
		"file write":               {args: "file write ID f --text x"},
		"file write json":          {args: "file write ID f --text x --json"},
		"file write nothing":       {args: "file write ID f"},
		"file write two":           {args: "file write ID f --text a --text-file b"},
		"file write root":          {args: "file write ID . --text a"},
		"file write mode":          {args: "file write ID f --text a --mode 0888"},
		"file write high mode":     {args: "file write ID f --text a --mode 4755"},
		"file write no file":       {args: "file write ID f --file /no/such/file"},
		"file write no text file":  {args: "file write ID f --text-file /no/such/file --json"},
		"file write directory":     {args: "file write ID f --file /"},
		"file write no base64":     {args: "file write ID f --text =x= --base64"},
		"file write empty file":    {args: "file write ID f --file="},
		"file write refused":       {args: "file write ID f --text a", fake: refuses},
		"file delete":              {args: "file delete ID f"},
		"file delete json":         {args: "file delete ID f --recursive --json"},
		"file delete root":         {args: "file delete ID /workspace/ --recursive"},
		"file mkdir":               {args: "file mkdir ID d"},
		"file mkdir json":          {args: "file mkdir ID d --parents --json"},
		"file mkdir outside":       {args: "file mkdir ID d/../../x"},
		"file move":                {args: "file move ID f g"},
		"file move json":           {args: "file move ID f g --overwrite --json"},
		"file move inside":         {args: "file move ID d d/e"},
		"file move one":            {args: "file move ID d"},
		"patch apply":              {args: "patch apply ID --patch x"},
		"patch apply json":         {args: "patch apply ID --patch x --json"},
		"patch apply check":        {args: "patch apply ID --patch x --check"},
		"patch apply type changed": {args: "patch apply ID --patch x", fake: moved},
		"patch apply nothing":      {args: "patch apply ID"},
		"patch apply two":          {args: "patch apply ID --patch x --patch-file y"},
		"patch apply blank":        {args: "patch apply ID --patch="},
		"patch apply long":         {args: "patch apply ID --patch long --max-bytes 3"},
		"patch apply longest":      {args: "patch apply ID --patch x --max-bytes 67108865"},
		"patch apply no file":      {args: "patch apply ID --patch-file /no/such/file"},
		"patch apply empty file":   {args: "patch apply ID --patch-file="},
		"patch apply refused":      {args: "patch apply ID --patch x", fake: refuses},
		"patch apply refused json": {args: "patch apply ID --patch x --json", fake: refuses},
	} {
		t.Run(name, func(t *testing.T) {
			s := &session{fake: newFake()}
			if c.fake != nil {
				c.fake(s.fake)
			}
			args := strings.ReplaceAll(c.args, "ID", testID)
			code := s.run(t, append([]string{"workspace"}, strings.Fields(args)...)...)
			golden(t, fmt.Sprintf("exit code %d\n--- stdout\n%s--- stderr\n%s", code, s.out.String(), s.err.String()))
		})
	}
}

func TestFileAsksForWhatWasTyped(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"text": "zwölf\n", "bytes": "\xff\x00", "b64": "/wA=\n", "fix.patch": "--- a/f\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const stdin = "from stdin \xfe"
	zero, far := int64(0), int64(1<<40)
	mode := uint32(0o755)
	write := func(text string) written { return written{api.FileWriteRequest{Path: "f"}, text} }
	patch := func(text string) patched { return patched{api.PatchRequest{MaxBytes: 1 << 20}, text} }
	for name, c := range map[string]struct {
		args string
		want any
	}{
		"list":           {"file list ID", api.FileListRequest{Path: "/workspace", Limit: 100000}},
		"list more":      {"file list ID a/b --recursive --limit 7 --after a/b/c", api.FileListRequest{Path: "a/b", Recursive: true, Limit: 7, After: "a/b/c"}},
		"stat":           {"file stat ID f", "stat f"},
		"read":           {"file read ID f", api.FileReadRequest{Path: "f", MaxBytes: 65536}},
		"read a part":    {"file read ID f --offset 0 --max-bytes 9 --base64", api.FileReadRequest{Path: "f", MaxBytes: 9, Offset: &zero, Base64: true}},
		"read far":       {"file read ID f --offset 1099511627776", api.FileReadRequest{Path: "f", MaxBytes: 65536, Offset: &far}},
		"read all":       {"file read ID f --all --offset 5", api.FileRangeRequest{Path: "f", Offset: 5}},
		"read to stdout": {"file read ID f --output - --max-bytes 9999999999", api.FileRangeRequest{Path: "f", Length: 9999999999}},
		"write text":     {"file write ID f --text=-n", write("-n")},
		"write nothing":  {"file write ID f --text=", write("")},
		"write text of":  {"file write ID f --text-file DIR/text", write("zwölf\n")},
		"write bytes of": {"file write ID f --file DIR/bytes", write("\xff\x00")},
		"write of home":  {"file write ID f --file ~/bytes", write("\xff\x00")},
		"write stdin":    {"file write ID f --stdin", write(stdin)},
		"write base64":   {"file write ID f --file DIR/b64 --base64", write("\xff\x00")},
		"write more":     {"file write ID f --text x --mode 755 --exclusive", written{api.FileWriteRequest{Path: "f", Mode: &mode, Exclusive: true}, "x"}},
		"delete":         {"file delete ID f", api.FileDeleteRequest{Path: "f"}},
		"delete all":     {"file delete ID d --recursive", api.FileDeleteRequest{Path: "d", Recursive: true}},
		"mkdir":          {"file mkdir ID d", api.FileMkdirRequest{Path: "d"}},
		"mkdir deep":     {"file mkdir ID d/e --parents", api.FileMkdirRequest{Path: "d/e", Parents: true}},
		"move":           {"file move ID f g --overwrite", api.FileMoveRequest{From: "f", To: "g", Overwrite: true}},
		"patch":          {"patch apply ID --patch x", patch("x")},
		"patch of":       {"patch apply ID --patch-file DIR/fix.patch", patch("--- a/f\n")},
		"patch of stdin": {"patch apply ID --patch-file -", patch(stdin)},
		"patch more":     {"patch apply ID --patch x --check --max-bytes 5", patched{api.PatchRequest{MaxBytes: 5, DryRun: true}, "x"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := &session{environ: []string{"HOME=" + dir}, stdin: strings.NewReader(stdin)}
			args := strings.NewReplacer("ID", testID, "DIR", dir).Replace(c.args)
			if code := s.run(t, append([]string{"workspace"}, strings.Fields(args)...)...); code != 0 {
				t.Fatalf("exit code %d: %s", code, s.err.String())
			}
			if diff := cmp.Diff([]any{c.want}, s.fake.asked); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestTextMayBeginAsAnOption holds what patches and lists in Markdown do.
func TestTextMayBeginAsAnOption(t *testing.T) {
	for _, words := range [][]string{
		{"patch", "apply", testID, "--patch", "--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a=b\n+c\n"},
		{"patch", "apply", testID, "--patch", "---\n"},
		{"file", "write", testID, "f", "--text", "- one\n- two\n"},
		{"file", "write", testID, "f", "--text", "--json is=an option"},
	} {
		s := &session{}
		code := s.run(t, append([]string{"workspace"}, words...)...)
		want := words[len(words)-1]
		if code != 0 || len(s.fake.asked) != 1 || !strings.Contains(fmt.Sprint(s.fake.asked...), want) {
			t.Errorf("%q: exit code %d, asked %q, said %q", want, code, s.fake.asked, s.err.String())
		}
	}
	for _, word := range []string{"--json", "--text-file=a b", "-n"} {
		s := &session{}
		if code := s.run(t, "workspace", "file", "write", testID, "f", "--text", word); code != exitUsage {
			t.Errorf("%q is taken for a text: exit code %d", word, code)
		}
	}
}

// TestTextIsLookedAtFirst shows that a text which cannot be written asks nothing of the
// workspace.
func TestTextIsLookedAtFirst(t *testing.T) {
	dir := t.TempDir()
	long, odd := filepath.Join(dir, "long"), filepath.Join(dir, "odd")
	if err := errors.Join(
		os.WriteFile(long, []byte(strings.Repeat("m", api.MaxFileBytes+1)), 0o600),
		os.WriteFile(odd, []byte("\xff"), 0o600),
	); err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{
		"long text file": {"--text-file", long},
		"odd text file":  {"--text-file", odd},
		"odd text":       {"--text", "\xff"},
		"long text":      {"--text", strings.Repeat("m", api.MaxFileBytes+1)},
	} {
		t.Run(name, func(t *testing.T) {
			s := &session{}
			code := s.run(t, append([]string{"workspace", "file", "write", testID, "f"}, args...)...)
			if code != exitHandled || len(s.fake.asked) > 0 || !strings.Contains(s.err.String(), "--stdin") {
				t.Errorf("exit code %d, asked %v, said %q", code, s.fake.asked, s.err.String())
			}
		})
	}
}

func TestFileOutput(t *testing.T) {
	read := func(t *testing.T, fake *fakeClient, args ...string) (int, *session) {
		t.Helper()
		s := &session{fake: fake}
		return s.run(t, append([]string{"workspace", "file", "read", testID, "f"}, args...)...), s
	}
	here := func(t *testing.T, dir, want string) {
		t.Helper()
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, e := range entries {
			data, err := os.ReadFile(filepath.Join(dir, e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			got += e.Name() + "=" + string(data) + ";"
		}
		if got != want {
			t.Errorf("the directory has %q, want %q", got, want)
		}
	}
	t.Run("new", func(t *testing.T) {
		dir := t.TempDir()
		code, s := read(t, newFake(), "--output", filepath.Join(dir, "out"))
		if want := "bytes_read=12 output_path=" + dir + "/out execution_mode="; code != 0 || !strings.Contains(s.out.String(), want) {
			t.Errorf("exit code %d, %q, %q", code, s.out.String(), s.err.String())
		}
		here(t, dir, "out=raw \xff bytes\n;")
	})
	t.Run("as JSON", func(t *testing.T) {
		code, s := read(t, newFake(), "--json", "--output", filepath.Join(t.TempDir(), "out"))
		if code != 0 || !strings.Contains(s.out.String(), `"output_path": "/`) || !strings.Contains(s.out.String(), `"bytes_read": 12`) {
			t.Errorf("exit code %d, %q", code, s.out.String())
		}
	})
	for name, c := range map[string]struct {
		args []string
		want string
		code int
	}{
		"taken":    {nil, "out=old;", 1},
		"replaced": {[]string{"--force"}, "out=raw \xff bytes\n;", 0},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			out := filepath.Join(dir, "out")
			if err := os.WriteFile(out, []byte("old"), 0o600); err != nil {
				t.Fatal(err)
			}
			code, s := read(t, newFake(), append(c.args, "--output", out)...)
			if code != c.code || code == 1 && !strings.Contains(s.err.String(), "[hint] --force replaces it") {
				t.Errorf("exit code %d, %q", code, s.err.String())
			}
			here(t, dir, c.want)
		})
	}
	t.Run("cut", func(t *testing.T) {
		dir := t.TempDir()
		fake := newFake()
		fake.files.cut = &api.Error{Kind: api.Unavailable, Op: "read file", ID: testID, Err: io.ErrUnexpectedEOF}
		if code, _ := read(t, fake, "--output", filepath.Join(dir, "out")); code != 1 {
			t.Errorf("exit code %d", code)
		}
		here(t, dir, "")
	})
	t.Run("made meanwhile", func(t *testing.T) {
		dir := t.TempDir()
		target, err := newTarget(filepath.Join(dir, "out"), false)
		if err != nil {
			t.Fatal(err)
		}
		_, err = target.fill(func(w io.Writer) (*api.FileRange, error) {
			_, err := io.WriteString(w, "ours")
			return nil, errors.Join(err, os.WriteFile(filepath.Join(dir, "out"), []byte("theirs"), 0o600))
		})
		if !errors.Is(err, api.Exists) {
			t.Errorf("got %v", err)
		}
		here(t, dir, "out=theirs;")
	})
}

func TestPathCompletion(t *testing.T) {
	const nothing, goOn = ":4", ":6" // no files; and no blank after it
	for line, want := range map[string][]string{
		"workspace file read " + testID + " ":    {"a b", "d/", "p", goOn},
		"workspace file list " + testID + " d":   {"d/", goOn},
		"workspace file stat " + testID + " x/d": {"x/d/", goOn},
		"workspace file move " + testID + " a d": {"d/", goOn},
		"workspace file read " + testID + " a ":  {nothing},
		"workspace file read ffffffffffff ":      {goOn},
		"workspace diff " + testID + " a x p ":   {"a b", "d/", "p", goOn},
		"workspace export " + testID + " d":      {"d/", goOn},
		"workspace export " + testID + " d ":     {nothing},
		"workspace patch apply " + testID + " ":  {nothing},
	} {
		t.Run(line, func(t *testing.T) {
			if got := completionsOf(t, newFake(), line); !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func TestShownPath(t *testing.T) {
	for path, want := range map[string]string{
		"/workspace/a b":       "/workspace/a b",
		"zwölf":                "zwölf",
		"a\nb":                 `'a\nb'`,
		"\x1b]0;t\x07":         `'\x1b]0;t\x07'`,
		"\xffx":                `'\xffx'`,
		"d/\u202ef":            `'d/\u202ef'`,
		"'quoted'":             `"'quoted'"`,
		"/workspace/it's mine": "/workspace/it's mine",
	} {
		if got := shownPath(path); got != want {
			t.Errorf("%q is shown as %s, want %s", path, got, want)
		}
	}
}
