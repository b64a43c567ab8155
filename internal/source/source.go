package source

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/archive"
)

// Options say what of a source is wanted.
type Options struct {
	Home        string         // what "~" stands for; empty: there is no such thing
	Exclude     []string       // patterns as in .gitignore, from the source's root: what they match is left out
	Gitignore   bool           // leave out what git ignores; directories only
	SkipSpecial bool           // leave out FIFOs, sockets and devices, which are errors otherwise
	Limits      archive.Limits // of what is wanted

	// Skipped says of a stream, when it has ended, how many special files its sender left
	// out; nil: none.
	Skipped func() int

	// Progress is told after each piece of the stream how many members have begun and
	// how many bytes were written, headers and all; nil: nobody asks. It is called from
	// the goroutine that packs.
	Progress func(entries int, bytes int64)
}

// Source is a directory or tar archive on the host. It holds nothing open. Its methods
// are not for several goroutines at once. What git ignores is asked once and kept, so
// that what Entries lists is what PackOnly packs.
type Source struct {
	path     string // absolute, without symlinks; empty for a stream
	stream   io.Reader
	mode     string
	opts     Options
	excluded patterns
	ignored  *ignored // nil: git is not asked
}

// ends are those of the names of archives, in lower case.
var ends = []string{".tar", ".tar.gz", ".tgz", ".tar.zst", ".tzst", ".tar.xz", ".txz", ".tar.bz2", ".tbz2"}

// Open looks at what is at path, and reads nothing of it yet. "~" and what begins with
// "~/" is below Home; symlinks in path are followed, as a user names a place. A
// directory is one whatever it is called; a file has to be called like a tar archive
// (*.tar, *.tar.gz, *.tgz, *.tar.zst, *.tzst, *.tar.xz, *.txz, *.tar.bz2, *.tbz2, in
// upper or lower case). Errors are api.NotFound, api.Denied, and api.Invalid for
// anything that is neither and for options that cannot be met.
func Open(path string, o Options) (*Source, error) {
	excluded, err := parsePatterns(o.Exclude)
	if err != nil {
		return nil, invalid("exclude", err, patternHint)
	}
	resolved, info, err := resolve(path, o.Home)
	if err != nil {
		return nil, err
	}
	s := &Source{path: resolved, opts: o, excluded: excluded}
	switch {
	case info.IsDir():
		dir, err := os.Open(resolved) // said here, before anything is started
		if err != nil {
			return nil, unreadable(resolved, err)
		}
		_ = dir.Close()
		s.mode = api.SeedDirectory
		if o.Gitignore {
			s.ignored = newIgnored(resolved)
		}
		return s, nil
	case !info.Mode().IsRegular() || !namesArchive(path) && !namesArchive(resolved):
		const hint = "unpack it, or put it into a tar archive"
		return nil, invalid(resolved, errors.New("neither a directory nor a file called *"+strings.Join(ends, ", *")), hint)
	case o.Gitignore:
		return nil, invalid(resolved, errNoWorkTree, excludeHint)
	}
	s.mode = api.SeedTarArchive
	return s, nil
}

// OpenStream is Open of an archive that comes from somewhere: a tar, plain or compressed. It
// can be packed once. Closing it, and bounding how long a Read takes, is the caller's.
func OpenStream(from io.Reader, o Options) (*Source, error) {
	excluded, err := parsePatterns(o.Exclude)
	if err != nil {
		return nil, invalid("exclude", err, patternHint)
	}
	if o.Gitignore {
		return nil, invalid("source", errNoWorkTree, excludeHint)
	}
	return &Source{stream: from, mode: api.SeedTarArchive, opts: o, excluded: excluded}, nil
}

const (
	patternHint = "patterns are those of .gitignore, for example node_modules or /build/"
	excludeHint = "name with --exclude what should be left out"
)

var errNoWorkTree = errors.New("an archive has no git work tree that could be asked")

// Mode is api.SeedDirectory or api.SeedTarArchive.
func (s *Source) Mode() string { return s.mode }

// Path is absolute and has no symlinks in it; empty for a stream.
func (s *Source) Path() string { return s.path }

func resolve(path, home string) (string, fs.FileInfo, error) {
	if rest, ok := strings.CutPrefix(path, "~"); ok && (rest == "" || rest[0] == '/') {
		if home == "" {
			return "", nil, invalid(path, errors.New("the home directory is not known"), "write the path in full")
		}
		path = home + rest
	}
	if path == "" {
		return "", nil, invalid("source", errors.New("the path is empty"), "name a directory or a tar archive")
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return "", nil, unreadable(path, err)
	}
	resolved, err := filepath.EvalSymlinks(absolute)
	if err != nil {
		return "", nil, unreadable(absolute, err)
	}
	info, err := os.Stat(resolved)
	if err != nil {
		return "", nil, unreadable(absolute, err)
	}
	return resolved, info, nil
}

func namesArchive(path string) bool {
	name := strings.ToLower(filepath.Base(path))
	for _, end := range ends {
		if strings.HasSuffix(name, end) && name != end {
			return true
		}
	}
	return false
}

// unreadable says why what the user named cannot be looked at.
func unreadable(path string, err error) error {
	kind, hint := api.Invalid, "name a directory or a tar archive"
	var at *fs.PathError
	if errors.As(err, &at) {
		err = at.Err
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		kind, err = api.NotFound, fs.ErrNotExist
		hint = "check the path"
	case errors.Is(err, fs.ErrPermission):
		kind, hint = api.Denied, "check its permissions, and those of the directories on the way to it"
	}
	return &api.Error{Kind: kind, Hint: hint, Err: fmt.Errorf("%s: %w", quoted(path), err)}
}
