package cli

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/api"
)

// fakeDiffs is what a fake workspace says of its changes.
type fakeDiffs struct {
	found api.WorkspaceDiff
	patch string
	told  api.DiffPatched
	err   error // after the patch
}

const samplePatch = "diff --git a/main.go b/main.go\n" +
	"index 1..2 100644\n" +
	"--- a/main.go\n" +
	"+++ b/main.go\n" +
	"@@ -1,3 +1,2 @@ func main() {\n" +
	" a\n" +
	"--- is no head here\n" +
	"-b\x1b[31m\n" +
	"+c\n" +
	"\\ No newline at end of file\n" +
	"diff --git a/run b/run\n" +
	"old mode 100644\n" +
	"new mode 100755\n"

func newDiffs() fakeDiffs {
	one, two, small, large := 1, 2, int64(10), int64(12)
	odd := "odd\xff\n[hint] x"
	coded := base64.StdEncoding.EncodeToString([]byte(odd))
	binary := true
	return fakeDiffs{
		patch: samplePatch,
		told:  api.DiffPatched{WorkspaceID: testID, Warnings: []string{}},
		found: api.WorkspaceDiff{
			WorkspaceID: testID, Changed: true, Patch: samplePatch, Paths: []string{}, Warnings: []string{},
			Summary: api.DiffSummary{Total: 6, Added: 2, Modified: 2, Deleted: 1, TypeChanged: 1, TextPatched: 1, NonText: 5},
			Against: api.DiffAgainst{Kind: "baseline", SnapshotName: "baseline"},
			Entries: []api.DiffEntry{
				{Path: ".envrc", Status: api.DiffAdded, Type: api.ArtifactSymlink, NewMode: text("120000"), NewTarget: text("/x"), Flagged: text("direnv runs it")},
				{Path: "dir", Status: api.DiffTypeChanged, Type: api.ArtifactDirectory, Omitted: text(api.OmittedNoGitForm)},
				{Path: "main.go", Status: api.DiffModified, Type: api.ArtifactFile, Insertions: &one, Deletions: &two, OldSize: &small, NewSize: &large, TextPatch: text("--- a/main.go\n")},
				{Path: "odd\ufffd\n[hint] x", PathBase64: &coded, Status: api.DiffAdded, Type: api.ArtifactFile, Binary: &binary, NewSize: &large},
				{Path: "run", Status: api.DiffModified, Type: api.ArtifactFile, OldBits: text("0644"), NewBits: text("0755")},
				{Path: strings.Repeat("long/", 20) + "name", Status: api.DiffDeleted, Type: api.ArtifactFile, OldSize: &small, Omitted: text(api.OmittedFileTooLarge)},
			},
		},
	}
}

func (w fakeWorkspace) Diff(_ context.Context, req api.DiffRequest) (*api.WorkspaceDiff, error) {
	if _, err := w.c.answer(req); err != nil {
		return nil, err
	}
	return &w.c.diffs.found, nil
}

func (w fakeWorkspace) Patch(_ context.Context, req api.DiffRequest, to io.Writer) (*api.DiffPatched, error) {
	if _, err := w.c.answer(req); err != nil {
		return nil, err
	}
	if _, err := io.WriteString(to, w.c.diffs.patch); err != nil {
		return nil, fmt.Errorf("write stdout: %w", err)
	}
	if w.c.diffs.err != nil {
		return nil, w.c.diffs.err
	}
	return &w.c.diffs.told, nil
}

func unchanged(c *fakeClient) {
	c.diffs.found.Changed, c.diffs.found.Summary, c.diffs.found.Entries, c.diffs.found.Patch = false, api.DiffSummary{}, []api.DiffEntry{}, ""
	c.diffs.patch = ""
}

func TestDiffGolden(t *testing.T) {
	cut := func(c *fakeClient) {
		c.diffs.found.PatchTruncated, c.diffs.found.EntriesOmitted = true, 7
		c.diffs.found.Warnings = []string{"left out: \"a\x1b[31m\""}
		c.diffs.told.Warnings = c.diffs.found.Warnings
	}
	moved := func(c *fakeClient) {
		c.diffs.err = &api.Error{Kind: api.Conflict, Op: "diff workspace", ID: testID, Err: errors.New("the workspace changed while it was read")}
	}
	for name, c := range map[string]struct {
		args     string
		fake     func(*fakeClient)
		terminal bool
		environ  []string
	}{
		"diff":                 {args: ""},
		"diff unchanged":       {args: "", fake: unchanged},
		"diff truncated":       {args: "", fake: cut},
		"diff long":            {args: "", fake: func(c *fakeClient) { c.diffs.found.Entries[0].Omitted = text(api.OmittedLongPatch) }},
		"diff json":            {args: "src --json"},
		"diff refused":         {args: "", fake: refuses},
		"diff patch":           {args: "--patch"},
		"diff patch unchanged": {args: "--patch", fake: unchanged},
		"diff patch warnings":  {args: "--patch", fake: cut},
		"diff patch fails":     {args: "--patch", fake: moved},
		"diff patch json":      {args: "--patch --json"},
		"diff patch terminal":  {args: "--patch", terminal: true},
		"diff patch no color":  {args: "--patch", terminal: true, environ: []string{"NO_COLOR=1"}},
		"diff patch dumb":      {args: "--patch", terminal: true, environ: []string{"TERM=dumb"}},
		"diff patch always":    {args: "--patch --color always", environ: []string{"NO_COLOR=1"}},
		"diff patch never":     {args: "--patch --color never", terminal: true},
		"diff color":           {args: "--color sometimes"},
		"diff stat":            {args: "--stat"},
		"diff stat unchanged":  {args: "--stat", fake: unchanged},
		"diff names":           {args: "--name-only"},
		"diff names unchanged": {args: "--name-only", fake: unchanged},
		"diff statuses":        {args: "--name-status"},
		"diff two forms":       {args: "--stat --name-only"},
		"diff outside":         {args: "../etc"},
		"diff no snapshot":     {args: "--against="},
		"diff nothing":         {args: "--help --nonsense"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &session{fake: newFake(), terminal: c.terminal, environ: c.environ}
			if c.fake != nil {
				c.fake(s.fake)
			}
			code := s.run(t, append([]string{"workspace", "diff", testID}, strings.Fields(c.args)...)...)
			golden(t, fmt.Sprintf("exit code %d\n--- stdout\n%s--- stderr\n%s", code, s.out.String(), s.err.String()))
		})
	}
}

func TestDiffAsksForWhatWasTyped(t *testing.T) {
	for args, want := range map[string]api.DiffRequest{
		"":                          {Paths: []string{}},
		"src /workspace/a --stat":   {Paths: []string{"src", "/workspace/a"}},
		"--against before --json":   {Paths: []string{}, Against: "before"},
		"--name-only":               {Paths: []string{}, NoPatch: true},
		"--name-status -- --patch":  {Paths: []string{"--patch"}, NoPatch: true},
		"--patch src --color=never": {Paths: []string{"src"}},
	} {
		t.Run(args, func(t *testing.T) {
			s := &session{}
			if code := s.run(t, append([]string{"workspace", "diff", testID}, strings.Fields(args)...)...); code != 0 {
				t.Fatalf("exit code %d: %s", code, s.err.String())
			}
			if diff := cmp.Diff([]any{want}, s.fake.asked); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestPainterKeepsTheText holds that colours are all that a painter adds, however its text
// is cut.
func TestPainterKeepsTheText(t *testing.T) {
	patch := samplePatch + "@@ -1 +1 @@\n-" + strings.Repeat("x", 1000) + "\n+y\nliteral 3\n+notnew\nend without a line end"
	var whole bytes.Buffer
	p := &painter{to: &whole}
	if _, err := p.Write([]byte(patch)); err != nil {
		t.Fatal(err)
	}
	if err := p.end(); err != nil {
		t.Fatal(err)
	}
	plain := whole.String()
	for _, color := range []string{paintHead, paintHunk, paintNew, paintOld, paintReset} {
		if !strings.Contains(plain, color) {
			t.Errorf("nothing is painted %q", color)
		}
	}
	keep := strings.ReplaceAll(patch, "\x1b[31m", "")
	for _, color := range []string{paintHead, paintHunk, paintNew, paintOld, paintReset} {
		plain = strings.ReplaceAll(plain, color, "")
	}
	if diff := cmp.Diff(keep, plain); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for size := 1; size < 40; size++ {
		var pieces bytes.Buffer
		p := &painter{to: &pieces}
		for rest := patch; rest != ""; {
			n := min(size, len(rest))
			if _, err := p.Write([]byte(rest[:n])); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if err := p.end(); err != nil {
			t.Fatal(err)
		}
		if pieces.String() != whole.String() {
			t.Fatalf("in pieces of %d bytes it is painted otherwise", size)
		}
	}
}
