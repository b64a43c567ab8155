package cli

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro"
	"github.com/pyro-sandbox/pyro/api"
)

// applyRequest is what Apply was called with.
type applyRequest struct {
	Dir     string
	Options pyro.ApplyOptions
}

func (w fakeWorkspace) Apply(_ context.Context, dir string, opts *pyro.ApplyOptions) (*api.Apply, error) {
	with := *opts
	with.Progress = nil
	if _, err := w.c.answer(applyRequest{dir, with}); err != nil {
		return nil, err
	}
	return &w.c.trees.applied, w.c.trees.err
}

func newApplied() api.Apply {
	return api.Apply{
		WorkspaceID: testID, Directory: "/src", Changed: true,
		Summary: api.ApplySummary{Total: 5, Added: 1, Modified: 1, Deleted: 1, TypeChanged: 1, Already: 1, Merged: 1},
		Entries: []api.ApplyEntry{
			{Path: "Makefile", Status: api.DiffModified, Already: true, Flagged: text("make runs it")},
			{Path: "a\x1b[31m", Status: api.DiffAdded},
			{Path: "b", Status: api.DiffModified, Merged: true},
			{Path: "c", Status: api.DiffDeleted},
			{Path: "c\ufffd", PathBase64: text("Y/8="), Status: api.DiffDeleted},
			{Path: "d", Status: api.DiffTypeChanged},
		},
		Warnings: []string{"2 changes in a .git were left out"},
	}
}

func TestApplyGolden(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		fake func(*fakeClient)
	}{
		"apply":         {args: []string{"workspace", "apply", testID}},
		"apply json":    {args: []string{"workspace", "apply", testID, "--json"}},
		"apply dry run": {args: []string{"workspace", "apply", testID, "--dry-run"}, fake: func(c *fakeClient) { c.trees.applied.DryRun = true }},
		"apply branch":  {args: []string{"workspace", "apply", testID, "/src", "--branch", "fix"}, fake: func(c *fakeClient) { c.trees.applied.Branch, c.trees.applied.Commit = text("fix"), text("0123abc") }},
		"apply nothing": {args: []string{"workspace", "apply", testID}, fake: func(c *fakeClient) { c.trees.applied = api.Apply{WorkspaceID: testID, Directory: "/src"} }},
		"apply already": {args: []string{"workspace", "apply", testID}, fake: func(c *fakeClient) {
			c.trees.applied = api.Apply{WorkspaceID: testID, Directory: "/src", Summary: api.ApplySummary{Total: 1, Already: 1}, Entries: []api.ApplyEntry{{Path: "a", Status: api.DiffAdded, Already: true}}}
		}},
		"apply exclusive":     {args: []string{"workspace", "apply", testID, "--dry-run", "--branch", "x"}},
		"apply empty branch":  {args: []string{"workspace", "apply", testID, "--branch", ""}},
		"apply empty dir":     {args: []string{"workspace", "apply", testID, ""}},
		"apply missing":       {args: []string{"workspace", "apply"}},
		"apply moved on":      {args: []string{"workspace", "apply", testID}, fake: movedOn},
		"apply moved on json": {args: []string{"workspace", "apply", testID, "--json"}, fake: movedOn},
	} {
		t.Run(name, func(t *testing.T) {
			s := &session{fake: newFake()}
			if c.fake != nil {
				c.fake(s.fake)
			}
			code := s.run(t, c.args...)
			golden(t, fmt.Sprintf("exit code %d\n--- stdout\n%s--- stderr\n%s", code, s.out.String(), s.err.String()))
		})
	}
}

func movedOn(c *fakeClient) {
	c.trees.err = &api.Error{Kind: api.Conflict, Op: "apply changes of workspace", ID: testID, Hint: "apply to a copy", Err: errors.New("the directory has moved on: a (it was deleted here)")}
}

func TestApplyPassesWhatItWasTold(t *testing.T) {
	s := &session{fake: newFake()}
	if code := s.run(t, "workspace", "apply", testID, "dir", "--branch", "b", "--allow-autorun"); code != 0 {
		t.Fatalf("exit code %d: %s", code, s.err.String())
	}
	want := []any{applyRequest{"dir", pyro.ApplyOptions{Branch: "b", AllowAutorun: true}}}
	if diff := cmp.Diff(want, s.fake.asked); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
}
