package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pyro-sandbox/pyro/api"
)

// fileReading is what workspace file read was told.
type fileReading struct {
	req         api.FileReadRequest
	offset      int
	contentOnly bool
	all         bool
	output      string
	force       bool
}

const readTag = "workspace-file-read"

func (a *app) fileReadCommand() *cobra.Command {
	var r fileReading
	cmd := &cobra.Command{
		Use:   "read WORKSPACE_ID PATH",
		Short: "show what a file holds",
		Long: `Shows the first bytes of a file as text; what is not UTF-8 is shown as U+FFFD, and
truncated says whether it goes on. A file of more than 1 MiB is refused, unless a part
of it is asked for by --offset, or all of it by --all or --output, which give the bytes
as they are. What a file holds is not looked through for secrets.`,
		Example: `  pyro workspace file read 0123456789ab src/main.c
  pyro workspace file read 0123456789ab build.log --offset 1048576 --max-bytes 4096
  pyro workspace file read 0123456789ab logo.png --base64 --json
  pyro workspace file read 0123456789ab core.bin --output core.bin`,
		RunE: func(cmd *cobra.Command, args []string) error {
			r.req.Path = args[1]
			if err := r.check(cmd, a.json); err != nil {
				return err
			}
			if r.output != "" {
				return a.fileSave(cmd.Context(), args[0], r.saving(cmd))
			}
			return a.fileRead(cmd.Context(), args[0], r)
		},
		ValidArgsFunction: a.completeIDs(a.completePaths, api.StateStarted),
	}
	r.flags(cmd.Flags())
	a.jsonFlag(cmd.Flags())
	return cmd
}

func (r *fileReading) flags(f *pflag.FlagSet) {
	intFlag(f, &r.req.MaxBytes, "max-bytes", "N", api.DefaultReadBytes, "how much to show, 1 to %d bytes; with --output any number", api.MaxFileBytes)
	intFlag(f, &r.offset, "offset", "N", 0, "where to begin, 0 bytes or more; the file may then be of any size")
	f.BoolVar(&r.req.Base64, "base64", false, "show the bytes as base64; with --json beside the text")
	f.BoolVar(&r.contentOnly, "content-only", false, "print the text and nothing else, no line end added")
	f.BoolVar(&r.all, "all", false, "print all bytes of a file of any size as they are")
	f.Var(pathValue{&r.output, "FILE"}, "output", "put the bytes into a new file here, of any size; - is stdout")
	f.BoolVar(&r.force, "force", false, "with --output: replace the file that is there")
}

// check refuses what no guest needs to be asked for.
func (r *fileReading) check(cmd *cobra.Command, asJSON bool) error {
	f := cmd.Flags()
	for _, pair := range [][2]string{
		{"content-only", "json"},
		{"all", "json"},
		{"all", "max-bytes"},
		{"all", "output"},
		{"all", "base64"},
		{"output", "base64"},
		{"output", "content-only"},
	} {
		if f.Changed(pair[0]) && f.Changed(pair[1]) {
			return misuse(cmd, "argument --%s: not allowed with argument --%s", pair[0], pair[1])
		}
	}
	switch {
	case f.Changed("output") && r.output == "":
		return invalid("output is empty", "name a file, or - for stdout")
	case r.output == "-" && asJSON:
		return misuse(cmd, "argument --output: - not allowed with argument --json")
	case r.force && r.output == "":
		return misuse(cmd, "argument --force: not allowed without argument --output")
	}
	if err := typedZero(cmd, "max-bytes", "max_bytes", r.req.MaxBytes, api.MaxFileBytes); err != nil {
		return err
	}
	if r.all {
		r.output = "-"
	}
	if f.Changed("offset") {
		r.req.Offset = new(int64(r.offset))
	}
	if r.output != "" {
		_, err := r.saving(cmd).req.Check()
		return err
	}
	_, err := r.req.Check()
	return err
}

// saving is the same for bytes of any number.
func (r *fileReading) saving(cmd *cobra.Command) saving {
	req := api.FileRangeRequest{Path: r.req.Path, Offset: int64(r.offset)}
	if cmd.Flags().Changed("max-bytes") {
		req.Length = int64(r.req.MaxBytes)
	}
	return saving{req: req, output: r.output, force: r.force, quiet: r.contentOnly}
}

func (a *app) fileRead(ctx context.Context, id string, r fileReading) error {
	got, err := awaitOf(ctx, a, readTag, id, func(ctx context.Context, ws workspace) (*api.FileRead, error) {
		return ws.Files().Read(ctx, r.req)
	})
	switch {
	case err != nil:
		return err
	case a.json:
		return a.printJSON(got)
	}
	text := got.Content
	if r.req.Base64 && got.ContentBase64 != nil {
		text = *got.ContentBase64
	}
	if r.contentOnly {
		return a.pass(a.Stdout, "stdout", text)
	}
	if err := a.relay(a.Stdout, "stdout", text); err != nil {
		return err
	}
	a.sayRead(got.WorkspaceID, got.Path, got.SizeBytes, got.Truncated, got.Offset+int64(got.BytesRead))
	return nil
}

// sayRead tells what was shown, and where to go on if there is more.
func (a *app) sayRead(id, path string, size int64, truncated bool, next int64) {
	line := fmt.Sprintf("[%s] workspace_id=%s path=%s size_bytes=%d truncated=%s", readTag, id, shownPath(path), size, yesNo(truncated))
	if truncated {
		line += fmt.Sprintf(" next_offset=%d", next)
	}
	a.say("%s", line)
}

// saving is a part of a file that goes to a file of this machine, or to stdout.
type saving struct {
	req    api.FileRangeRequest
	output string // "-": stdout
	force  bool
	quiet  bool // nothing but the bytes
}

func (a *app) fileSave(ctx context.Context, id string, s saving) error {
	if s.output == "-" {
		return a.fileToStdout(ctx, id, s)
	}
	target, err := newTarget(s.output, s.force)
	if err != nil {
		return err
	}
	got, err := awaitOf(ctx, a, readTag, id, func(ctx context.Context, ws workspace) (*api.FileRange, error) {
		return target.fill(func(w io.Writer) (*api.FileRange, error) { return ws.Files().ReadTo(ctx, s.req, w) })
	})
	if err != nil {
		return err
	}
	return a.show(api.FileSave{FileRange: *got, OutputPath: target.path}, func() string {
		return oneLine(fmt.Sprintf("[%s] workspace_id=%s path=%s size_bytes=%d bytes_read=%d output_path=%s execution_mode=%s",
			readTag, got.WorkspaceID, shownPath(got.Path), got.SizeBytes, got.BytesRead, shownPath(target.path), got.ExecutionMode)) + "\n"
	})
}

func (a *app) fileToStdout(ctx context.Context, id string, s saving) error {
	out := a.outlet(a.Stdout, "stdout")
	// Without progress: its line would stand in the way of the file.
	got, err := awaitWith(ctx, a, readTag, nil, func(ctx context.Context) (*api.FileRange, error) {
		ws, err := a.get(ctx, id)
		if err != nil {
			return nil, err
		}
		return ws.Files().ReadTo(ctx, s.req, out)
	})
	if _, ok := errors.AsType[*leaving](err); !ok { // else it may still be writing
		err = errors.Join(err, out.flush())
	}
	if err != nil || s.quiet {
		return err
	}
	a.sayRead(got.WorkspaceID, got.Path, got.SizeBytes, got.Truncated, got.Offset+got.BytesRead)
	return nil
}
