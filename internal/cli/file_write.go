package cli

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pyro-sandbox/pyro/api"
)

// content is where the bytes of a write come from: one of its fields.
type content struct {
	text, textFile, file string
	stdin                bool
	base64               bool
}

func (a *app) fileWriteCommand() *cobra.Command {
	var (
		from content
		req  api.FileWriteRequest
		mode string
	)
	cmd := &cobra.Command{
		Use:   "write WORKSPACE_ID PATH",
		Short: "put text or bytes into a file",
		Long: `Puts text or bytes into a file, and makes the directories above it. A file that is
there keeps its mode, a new one has 0644. Whoever reads it sees the old content or
the new one, never a part; if the write fails, it is the old one. --text and
--text-file take up to 1 MiB of UTF-8, --file and --stdin bytes of any number.`,
		Example: `  pyro workspace file write 0123456789ab notes.txt --text 'look at main.c'
  pyro workspace file write 0123456789ab src/main.c --text-file main.c
  pyro workspace file write 0123456789ab run.sh --file run.sh --mode 755
  tar -c src | pyro workspace file write 0123456789ab src.tar --stdin
  pyro workspace file write 0123456789ab key.bin --text AAECAw== --base64`,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			req.Path = args[1]
			if err := from.check(cmd); err != nil {
				return err
			}
			if cmd.Flags().Changed("mode") {
				if req.Mode, err = octalMode(mode); err != nil {
					return err
				}
			}
			if _, err := req.Check(); err != nil {
				return err
			}
			return a.fileWrite(cmd.Context(), args[0], req, from)
		},
		ValidArgsFunction: a.completeIDs(a.completePaths, api.StateStarted),
	}
	f := cmd.Flags()
	from.flags(f)
	f.Var(textValue{&mode, "MODE"}, "mode", "its mode, 000 to 777 octal; without it that which it has, or 644")
	f.BoolVar(&req.Exclusive, "exclusive", false, "refuse to replace a file that is there")
	a.jsonFlag(f)
	return cmd
}

func (c *content) flags(f *pflag.FlagSet) {
	f.Var(textValue{&c.text, "TEXT"}, "text", "the text to write")
	f.Var(pathValue{&c.textFile, "FILE"}, "text-file", "a file here with the text to write; - is stdin")
	f.Var(pathValue{&c.file, "FILE"}, "file", "a file here with the bytes to write")
	f.BoolVar(&c.stdin, "stdin", false, "write the bytes that come from stdin")
	f.BoolVar(&c.base64, "base64", false, "what is given is base64: write the bytes that it stands for")
}

func (c *content) check(cmd *cobra.Command) error {
	n := 0
	for _, name := range []string{"text", "text-file", "file", "stdin"} {
		if cmd.Flags().Changed(name) {
			n++
		}
	}
	if n != 1 {
		return misuse(cmd, "exactly one of the arguments --text, --text-file, --file and --stdin is required")
	}
	for name, file := range map[string]string{"text-file": c.textFile, "file": c.file} {
		if cmd.Flags().Changed(name) && file == "" {
			return invalid("--"+name+" is empty", "name a file; --stdin writes what comes from stdin")
		}
	}
	return nil
}

// octalMode reads the digits of a mode. Its range is checked with the request.
func octalMode(text string) (*uint32, error) {
	n, err := strconv.ParseUint(text, 8, 32)
	if err != nil {
		return nil, invalid("mode "+quote(text)+" is no octal number", "for example --mode 644")
	}
	return new(uint32(n)), nil
}

func (a *app) fileWrite(ctx context.Context, id string, req api.FileWriteRequest, from content) error {
	const tag = "workspace-file-write"
	done, err := await(ctx, a, tag, func(ctx context.Context) (*api.FileWrite, error) {
		bytes, closer, err := a.openContent(from)
		if err != nil {
			return nil, err
		}
		defer func() { _ = closer.Close() }()
		ws, err := a.get(ctx, id)
		if err != nil {
			return nil, err
		}
		return ws.Files().WriteFrom(ctx, req, bytes)
	})
	if err != nil {
		return err
	}
	return a.show(done, func() string {
		return oneLine(fmt.Sprintf("[%s] workspace_id=%s path=%s bytes_written=%d execution_mode=%s",
			tag, done.WorkspaceID, shownPath(done.Path), done.BytesWritten, done.ExecutionMode)) + "\n"
	})
}

// openContent opens what is to be written. Text is read whole and looked at first.
func (a *app) openContent(c content) (io.Reader, io.Closer, error) {
	r, closer, err := a.openBytes(c)
	if err == nil && c.base64 {
		r = decoded{base64.NewDecoder(base64.StdEncoding, r)}
	}
	return r, closer, err
}

// decoded says of an error that it may come from base64 that is none.
type decoded struct{ io.Reader }

// Read implements io.Reader.
func (d decoded) Read(p []byte) (int, error) {
	n, err := d.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("decode base64: %w", err)
	}
	return n, err
}

func (a *app) openBytes(c content) (io.Reader, io.Closer, error) {
	none := io.NopCloser(nil)
	switch {
	case c.stdin:
		return a.Stdin, none, nil
	case c.file != "":
		f, err := a.openLocal("file", c.file)
		return f, f, err
	case c.textFile != "":
		data, err := a.readLocal("text file", c.textFile, api.MaxFileBytes)
		if err == nil {
			err = api.CheckText(string(data))
		}
		return bytes.NewReader(data), none, err
	}
	return strings.NewReader(c.text), none, api.CheckText(c.text)
}

// readLocal reads a file of this machine, or stdin for "-", and at most one byte more than
// limit.
func (a *app) readLocal(what, path string, limit int64) ([]byte, error) {
	var from io.Reader = a.Stdin
	if path != "-" {
		f, err := a.openLocal(what, path)
		if err != nil {
			return nil, err
		}
		defer func() { _ = f.Close() }()
		from = f
	}
	data, err := io.ReadAll(io.LimitReader(from, limit+1))
	if err != nil {
		return nil, fileFault(what, path, err)
	}
	return data, nil
}

// openLocal opens a file of this machine. "~" at the beginning is the user's home.
func (a *app) openLocal(what, path string) (*os.File, error) {
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		path = filepath.Join(variable(a.Environ, "HOME"), rest)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fileFault(what, path, err)
	}
	if info, err := f.Stat(); err == nil && info.IsDir() {
		_ = f.Close()
		return nil, invalid(what+" "+quote(path)+" is a directory", "name a file; `pyro workspace sync push` brings directories in")
	}
	return f, nil
}

func fileFault(what, path string, err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		err = p.Err
	}
	return &api.Error{Kind: api.Invalid, Hint: "name a file that you can read", Err: fmt.Errorf("%s %s: %w", what, quote(path), err)}
}
