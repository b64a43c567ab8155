package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro"
	"github.com/pyro-sandbox/pyro/api"
)

// fakeTrees is what a fake workspace gives away.
type fakeTrees struct {
	exported api.Export
	applied  api.Apply
	err      error
}

// exportRequest is what Export and ExportTo were called with.
type exportRequest struct {
	Path, Output string
	Options      pyro.ExportOptions
}

func newTrees() fakeTrees {
	return fakeTrees{exported: api.Export{
		WorkspaceID: testID, WorkspacePath: "/workspace/out", OutputPath: "/tmp/out", ArtifactType: "directory", EntryCount: 3, BytesWritten: 17,
		ExecutionMode: api.ModeGuestVsock, Format: api.ExportDir, Warnings: []string{},
	}, applied: newApplied()}
}

func (w fakeWorkspace) Export(_ context.Context, path, output string, opts *pyro.ExportOptions) (*api.Export, error) {
	if opts.Progress != nil {
		opts.Progress(7, 999)
	}
	with := *opts
	with.Progress = nil
	if _, err := w.c.answer(exportRequest{path, output, with}); err != nil {
		return nil, err
	}
	return &w.c.trees.exported, w.c.trees.err
}

func (w fakeWorkspace) ExportTo(ctx context.Context, path string, out io.Writer, opts *pyro.ExportOptions) (*api.Export, error) {
	if _, err := io.WriteString(out, "an archive"); err != nil {
		return nil, err
	}
	return w.Export(ctx, path, "-", opts)
}

func warned(c *fakeClient) {
	c.trees.exported.Skipped = 2
	c.trees.exported.Warnings = []string{
		".git/config: left out: git runs what it names; --allow-autorun brings it along",
		"\"a\x1b[31m\": leads out of what was exported, to /etc",
	}
}

func TestExportGolden(t *testing.T) {
	for name, c := range map[string]struct {
		args     []string
		fake     func(*fakeClient)
		terminal bool
	}{
		"export":              {args: []string{"workspace", "export", testID, "out", "--output", "/tmp/out"}},
		"export json":         {args: []string{"workspace", "export", testID, "out", "--output", "/tmp/out", "--json"}},
		"export warnings":     {args: []string{"workspace", "export", testID, "out", "--output", "/tmp/out"}, fake: warned},
		"export warnings jsn": {args: []string{"workspace", "export", testID, "out", "--output", "/tmp/out", "--json"}, fake: warned},
		"export stdout":       {args: []string{"workspace", "export", testID, "out", "--output", "-", "--format", "tar"}},
		"export stdout dir":   {args: []string{"workspace", "export", testID, "out", "--output", "-"}},
		"export stdout json":  {args: []string{"workspace", "export", testID, "out", "--output", "-", "--format", "tar", "--json"}},
		"export terminal":     {args: []string{"workspace", "export", testID, "out", "--output", "-", "--format", "tar"}, terminal: true},
		"export no output":    {args: []string{"workspace", "export", testID, "out"}},
		"export empty output": {args: []string{"workspace", "export", testID, "out", "--output", ""}},
		"export zip":          {args: []string{"workspace", "export", testID, "out", "--output", "x", "--format", "zip"}},
		"export no path":      {args: []string{"workspace", "export", testID, "--output", "x"}},
		"export refused": {args: []string{"workspace", "export", testID, "out", "--output", "x", "--json"}, fake: func(c *fakeClient) {
			c.trees.err = &api.Error{Kind: api.Exists, Op: "export from workspace", ID: testID, Hint: "name a path where nothing is yet", Err: errors.New("x exists already")}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := &session{fake: newFake(), terminal: c.terminal}
			if c.fake != nil {
				c.fake(s.fake)
			}
			code := s.run(t, c.args...)
			golden(t, fmt.Sprintf("exit code %d\n--- stdout\n%s--- stderr\n%s", code, s.out.String(), s.err.String()))
		})
	}
}

func TestExportPassesWhatItWasTold(t *testing.T) {
	s := &session{fake: newFake()}
	if code := s.run(t, "workspace", "export", testID, "a b", "--output", "o", "--force", "--format", "tar", "--allow-autorun", "--allow-collisions"); code != 0 {
		t.Fatalf("exit code %d: %s", code, s.err.String())
	}
	want := []any{exportRequest{"a b", "o", pyro.ExportOptions{Format: api.ExportTar, Force: true, AllowAutorun: true, AllowCollisions: true}}}
	if diff := cmp.Diff(want, s.fake.asked); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
}

// TestExportToAClosedPipe is a reader that has seen enough: no error of ours.
func TestExportToAClosedPipe(t *testing.T) {
	s := &session{stdout: closedPipe{}}
	if code := s.run(t, "workspace", "export", testID, ".", "--output", "-", "--format", "tar"); code != exitPipe || s.err.String() != "" {
		t.Errorf("exit code %d, stderr %q", code, s.err.String())
	}
}

type closedPipe struct{}

func (closedPipe) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// TestExportToAFullDisk is an error that names stdout.
func TestExportToAFullDisk(t *testing.T) {
	full, err := os.OpenFile(filepath.Join("/dev", "full"), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = full.Close() }()
	s := &session{stdout: full}
	if code := s.run(t, "workspace", "export", testID, ".", "--output", "-", "--format", "tar"); code != 1 {
		t.Errorf("exit code %d, stderr %q", code, s.err.String())
	}
}
