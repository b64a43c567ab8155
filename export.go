package pyro

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/archive"
	"github.com/pyro-sandbox/pyro/internal/fault"
	"github.com/pyro-sandbox/pyro/internal/sys"
	"github.com/pyro-sandbox/pyro/internal/wire"
)

const opExport = "export from workspace"

// ExportOptions say how something is brought out of a workspace. nil is the zero value.
type ExportOptions struct {
	Format string // api.ExportDir, which "" is too, or api.ExportTar
	Force  bool   // replace what is at the output, whatever it is

	// AllowAutorun takes along what of a .git would run by itself on this machine: its
	// hooks, its configuration and where it points to, if they are not as in the seed.
	AllowAutorun bool

	// AllowCollisions takes names that some file system takes for the same.
	AllowCollisions bool

	// Progress is told from time to time how much has come; nil: nobody asks.
	Progress func(entries int, bytes int64)
}

// Export brings a file, directory or symlink below /workspace to a path of this machine,
// where nothing may be yet; "~" at its beginning is the user's home, and missing parents
// are made. Nothing is there before all of it is, and after an error nothing of it is
// left. See docs/export.md for what is kept and what is refused.
//
// What is there already is api.Exists, a path in the workspace that leads over a link
// api.Denied, and so are names that are refused.
func (w *Workspace) Export(ctx context.Context, workspacePath, output string, opts *ExportOptions) (*api.Export, error) {
	x, err := w.newExport(workspacePath, opts)
	if err != nil {
		return nil, err
	}
	if err := x.aim(output); err != nil {
		return nil, api.About(opExport, w.id, err)
	}
	return x.run(ctx, x.toStage)
}

// ExportTo writes a path of the workspace to out, as an archive whatever opts.Format
// says. After an error out has got a part, which no reader of archives takes for a whole.
func (w *Workspace) ExportTo(ctx context.Context, workspacePath string, out io.Writer, opts *ExportOptions) (*api.Export, error) {
	x, err := w.newExport(workspacePath, opts)
	if err != nil {
		return nil, err
	}
	x.opts.Format, x.output = api.ExportTar, "-"
	return x.run(ctx, func(ctx context.Context, tree *treeBody) error { return x.repack(ctx, out, tree) })
}

// export is one on its way.
type export struct {
	w      *Workspace
	path   string // in the workspace
	output string
	opts   ExportOptions
	judge  *exportJudge
	counts archive.Counts
	parts  []string // parents that were made for it, the deepest first
	left   error    // what could not be removed afterwards
}

func (w *Workspace) newExport(workspacePath string, opts *ExportOptions) (*export, error) {
	if opts == nil {
		opts = &ExportOptions{}
	}
	clean, err := api.GuestPath("workspace_path", workspacePath)
	if err != nil {
		return nil, api.About(opExport, w.id, err)
	}
	x := &export{w: w, path: clean, opts: *opts}
	switch opts.Format {
	case "":
		x.opts.Format = api.ExportDir
	case api.ExportDir, api.ExportTar:
	default:
		return nil, &api.Error{
			Kind: api.Invalid, Op: opExport, ID: w.id, Hint: "use dir or tar",
			Err: fmt.Errorf("format %q is not known", opts.Format),
		}
	}
	return x, nil
}

// aim finds out where the output goes, and refuses what cannot be without asking the
// workspace.
func (x *export) aim(output string) error {
	target, err := x.w.client.localPath("output_path", output)
	if err != nil {
		return err
	}
	x.output = target
	info, err := os.Lstat(target)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return unfit(err)
	case !x.opts.Force:
		return taken(target)
	case info.IsDir():
		return x.mayReplace(target)
	}
	return nil
}

func taken(target string) error {
	return &api.Error{
		Kind: api.Exists, Hint: "name a path where nothing is yet, or replace what is there with --force",
		Err: fmt.Errorf("%s exists already", target),
	}
}

// mayReplace refuses to replace a directory that more depends on than its user thinks of.
func (x *export) mayReplace(target string) error {
	target = real(target)
	here, _ := os.Getwd() // where it has gone, it is in no danger
	for _, held := range []struct{ what, dir string }{
		{"the current directory", here},
		{"the home directory", x.w.client.env.get("HOME")},
		{"the state of pyro", x.w.client.dirs.State},
	} {
		if dir := real(held.dir); dir == target || strings.HasPrefix(dir, strings.TrimSuffix(target, "/")+"/") {
			return &api.Error{
				Kind: api.Denied, Hint: "name a new path, or move that directory away yourself",
				Err: fmt.Errorf("%s holds %s and is not replaced", target, held.what),
			}
		}
	}
	return nil
}

// real is path without symlinks, where that can be had.
func real(path string) string {
	if resolved, err := filepath.EvalSymlinks(path); err == nil {
		return resolved
	}
	return path
}

// localPath is a path of this machine in full.
func (c *Client) localPath(field, path string) (string, error) {
	if rest, ok := strings.CutPrefix(path, "~"); ok && (rest == "" || rest[0] == '/') {
		home := c.env.get("HOME")
		if home == "" {
			return "", &api.Error{Kind: api.Invalid, Hint: "write the path in full", Err: errors.New("the home directory is not known")}
		}
		path = home + rest
	}
	if path == "" || strings.ContainsRune(path, 0) {
		return "", &api.Error{Kind: api.Invalid, Hint: "name a path of this machine", Err: errors.New(field + " is empty or holds a zero byte")}
	}
	full, err := filepath.Abs(path)
	return full, api.About("", "", err)
}

// run asks for the tree and lets take have it.
func (x *export) run(ctx context.Context, take func(context.Context, *treeBody) error) (*api.Export, error) {
	q := question{
		op: opExport, method: http.MethodGet, within: answerTime + compareTime,
		path: "/v1/tree?" + url.Values{"path": {x.path}}.Encode(),
	}
	c, err := x.w.connect(ctx, q)
	if err != nil {
		return nil, x.w.explain(ctx, opExport, err)
	}
	tree := &treeBody{connection: c, tell: x.opts.Progress}
	defer tree.close()
	if err := tree.begin(); err != nil {
		return nil, err
	}
	x.judge = newExportJudge(x, tree.head)
	if err := take(ctx, tree); err != nil {
		return nil, x.failed(err)
	}
	x.w.tell(ctx, api.Event{Kind: api.EventExported, Path: &x.path, HostPath: &x.output, Entries: new(int64(x.counts.Entries)), Bytes: &x.counts.Bytes})
	return &api.Export{
		WorkspaceID: x.w.id, WorkspacePath: x.path, OutputPath: x.output, ArtifactType: tree.head.ArtifactType,
		EntryCount: x.counts.Entries, BytesWritten: x.counts.Bytes, ExecutionMode: tree.end.ExecutionMode, Format: x.opts.Format,
		Skipped:  int(min(tree.end.Skipped, math.MaxInt32)) + x.counts.Skipped + x.judge.skipped,
		Warnings: x.judge.said(x.left),
	}, nil
}

// failed words an error of an archive that was refused, or could not be put in place.
func (x *export) failed(err error) error {
	e := &api.Error{Kind: api.KindOf(err), Op: opExport, ID: x.w.id, Hint: api.HintOf(err), Err: err}
	var known *api.Error
	switch {
	case errors.As(err, &known):
		if known.Op == opExport || named(opExport, x.w.id, err) {
			return err
		}
	case errors.Is(err, archive.ErrCollides):
		e.Kind, e.Hint = api.Denied, "rename one of them in the workspace, or bring both out with --allow-collisions"
	case errors.Is(err, archive.ErrName), errors.Is(err, archive.ErrEscapes):
		e.Kind, e.Hint = api.Denied, "rename it in the workspace, or export the directories beside it"
	case refusable(err):
		e.Kind, e.Hint = api.Denied, "what came from the workspace is no tree that may be put here; nothing was"
	default:
		return sys.Explain(opExport+" "+x.w.id, err)
	}
	return e
}

// named reports whether an error names its workspace already: those that come from a
// supervisor do, as text.
func named(op, id string, err error) bool {
	return strings.HasPrefix(err.Error(), op+" "+id+": ")
}

// refusable knows the errors of an archive that nobody honest makes.
func refusable(err error) bool {
	for _, known := range []error{archive.ErrLimit, archive.ErrLink, archive.ErrSymlink, archive.ErrFormat, fs.ErrExist, fs.ErrNotExist} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}

// toStage makes the output beside its place, and then puts it there.
func (x *export) toStage(ctx context.Context, tree *treeBody) (err error) {
	if err := x.makeParents(); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			x.dropParents()
		}
	}()
	stage, err := archive.OpenStage(x.output)
	if err != nil {
		return unfit(err)
	}
	defer func() {
		if closeErr := stage.Close(); err == nil {
			x.left = closeErr
		}
	}()
	fault.Hit("export-staged")
	only, err := x.fill(ctx, stage, tree)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return ended(ctx, opExport, x.w.id)
	}
	fault.Hit("export-filled")
	err = stage.Publish(only, x.opts.Force)
	if errors.Is(err, fs.ErrExist) { // since a moment ago
		return taken(x.output)
	}
	if err != nil {
		return unfit(err)
	}
	fault.Hit("export-published")
	return nil
}

// fill makes the output in the stage. only is the name of the one thing that it is, where
// it is no directory.
func (x *export) fill(ctx context.Context, stage *archive.Stage, tree *treeBody) (only string, err error) {
	if x.opts.Format == api.ExportTar {
		_, err := x.toFile(stage, func(out io.Writer) error { return x.repack(ctx, out, tree) })
		return "", err
	}
	root, err := stage.Dir()
	if err != nil {
		return "", err
	}
	defer func() { _ = root.Close() }()
	x.counts, err = archive.Unpack(ctx, tree, root, archive.UnpackOptions{
		Links: archive.LinksAsData, Specials: archive.SpecialsSkipped, Modes: archive.ModesPlain, Names: x.names(),
		Limits: archive.TreeLimits, Private: true, Admit: x.judge.admit, Seen: tree.seen,
	})
	if sys.IsNoSpace(err) { // a disk is full here, not there
		err = fmt.Errorf("write %s: %w", x.output, err)
	}
	if err := tree.finished(err); err != nil {
		return "", err
	}
	if tree.head.ArtifactType != string(wire.Directory) {
		only = path.Base(x.path)
	}
	return only, x.judge.whole(x.counts)
}

// toFile makes the output as one file in the stage, and tells how long it is.
func (x *export) toFile(stage *archive.Stage, write func(io.Writer) error) (bytes int64, err error) {
	f, err := stage.File()
	if err != nil {
		return 0, unfit(err)
	}
	count := &counted{Writer: f}
	out := bufio.NewWriterSize(count, 256<<10)
	if err = write(out); err == nil {
		err = out.Flush()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if count.err != nil { // whoever wrote has words of its own for that, and its place another name
		err = sys.Explain("", fmt.Errorf("write %s: %w", x.output, bare(count.err)))
	}
	return count.n, err
}

// bare is an error of a file without the file's name.
func bare(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}

// repack writes the output as an archive, from which is gone what would be refused.
func (x *export) repack(ctx context.Context, out io.Writer, tree *treeBody) (err error) {
	x.counts, err = archive.Repack(ctx, out, tree, archive.RepackOptions{
		Specials: archive.SpecialsSkipped, Limits: archive.TreeLimits, Names: x.names(), Plain: true,
		Admit: x.judge.admit, Seen: tree.seen,
	})
	if err := tree.finished(err); err != nil {
		return err
	}
	return x.judge.whole(x.counts)
}

func (x *export) names() archive.Names {
	if x.opts.AllowCollisions {
		return archive.NamesNoAlias
	}
	return archive.NamesDistinct
}

// makeParents makes what is missing of the way to the output, whose links are followed
// this once.
func (x *export) makeParents() error {
	parent := filepath.Dir(x.output)
	for dir := parent; ; dir = filepath.Dir(dir) {
		if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) || dir == filepath.Dir(dir) {
			break
		}
		x.parts = append(x.parts, dir)
	}
	if err := os.MkdirAll(parent, 0o777); err != nil {
		x.dropParents()
		return unfit(err)
	}
	resolved, err := filepath.EvalSymlinks(parent)
	if err != nil {
		return unfit(err)
	}
	x.output = filepath.Join(resolved, filepath.Base(x.output))
	return nil
}

// unfit is the error of a way to the output that cannot be made.
func unfit(err error) error {
	e := &api.Error{Kind: api.KindOf(sys.Explain("", err)), Hint: api.HintOf(sys.Explain("", err)), Err: fmt.Errorf("the directory for it: %w", err)}
	if e.Kind == api.Internal {
		e.Kind, e.Hint = api.Invalid, "name a path whose directory is there or can be made"
	}
	return e
}

// dropParents removes those that were made for nothing.
func (x *export) dropParents() {
	for _, dir := range x.parts {
		_ = os.Remove(dir) // one that somebody else uses stays
	}
}
