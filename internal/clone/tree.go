package clone

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/archive"
)

// entry is a file or directory of a commit.
type entry struct {
	mode, object, path string
}

// The modes of a tree, see git-fast-import(1).
const (
	modeDir     = "040000"
	modeFile    = "100644"
	modeOldFile = "100664" // of early versions: a file
	modeProgram = "100755"
	modeLink    = "120000"
	modeModule  = "160000" // a submodule: a commit of another repository
)

const (
	maxPath   = 4096
	maxTarget = 4095 // of a symlink, see symlink(7)
)

// list reads what is in a commit.
func (g *git) list(ctx context.Context, commit string, limit int) ([]entry, error) {
	var all []entry
	err := g.read(ctx, func(out io.Reader) error {
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, maxPath+200)
		lines.Split(splitNUL)
		for lines.Scan() {
			e, err := parseEntry(lines.Text())
			if err != nil {
				return err
			}
			if all = append(all, e); len(all) > limit {
				return tooLarge("the commit has more than %d files and directories", limit)
			}
		}
		if errors.Is(lines.Err(), bufio.ErrTooLong) {
			return tooLarge("a name has more than %d bytes", maxPath)
		}
		return lines.Err()
	}, nil, "ls-tree", "-r", "-t", "-z", "--full-tree", "--end-of-options", commit)
	return all, err
}

// parseEntry reads MODE TYPE OBJECT TAB PATH. A path that no checkout would make is
// refused here: the archive has a .git of its own.
func parseEntry(line string) (entry, error) {
	head, path, ok := strings.Cut(line, "\t")
	words := strings.Fields(head)
	if !ok || len(words) != 3 || !object().MatchString(words[2]) {
		return entry{}, errBroken
	}
	for part := range strings.SplitSeq(path, "/") {
		if part == "" || part == "." || part == ".." || archive.IsGit(part) {
			return entry{}, &api.Error{
				Kind: api.Invalid, Hint: "the repository is damaged, or made to do harm",
				Err: fmt.Errorf("the commit has the path %s, which git would not check out", strconv.Quote(path)),
			}
		}
	}
	return entry{mode: words[0], object: words[2], path: path}, nil
}

func splitNUL(data []byte, atEnd bool) (advance int, token []byte, err error) {
	for i, c := range data {
		if c == 0 {
			return i + 1, data[:i], nil
		}
	}
	if atEnd && len(data) > 0 {
		return 0, nil, io.ErrUnexpectedEOF
	}
	return 0, nil, nil
}

// hasBody tells the entries whose content is an object of this repository.
func (e entry) hasBody() bool {
	return e.mode != modeDir && e.mode != modeModule
}

// contents calls take for each entry that has one, with its content, in their order.
func (g *git) contents(ctx context.Context, entries []entry, take func(e entry, size int64, body io.Reader) error) error {
	var asked strings.Builder
	for _, e := range entries {
		if e.hasBody() {
			asked.WriteString(e.object + "\n")
		}
	}
	return g.read(ctx, func(out io.Reader) error {
		in := bufio.NewReaderSize(out, 64<<10)
		for _, e := range entries {
			if !e.hasBody() {
				if err := take(e, 0, nil); err != nil {
					return err
				}
				continue
			}
			if err := one(in, e, take); err != nil {
				return err
			}
		}
		return nil
	}, strings.NewReader(asked.String()), "cat-file", "--batch")
}

// one reads OBJECT TYPE SIZE LF CONTENT LF.
func one(in *bufio.Reader, e entry, take func(e entry, size int64, body io.Reader) error) error {
	head, err := in.ReadString('\n')
	if err != nil {
		return broken(err)
	}
	words := strings.Fields(head)
	if len(words) != 3 || words[0] != e.object || words[1] != "blob" {
		return errBroken
	}
	size, err := strconv.ParseInt(words[2], 10, 64)
	if err != nil || size < 0 {
		return errBroken
	}
	body := io.LimitReader(in, size)
	if err := take(e, size, body); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, body); err != nil {
		return broken(err)
	}
	if end, err := in.ReadByte(); err != nil || end != '\n' {
		return broken(err)
	}
	return nil
}

func broken(err error) error {
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errBroken
	}
	return err
}
