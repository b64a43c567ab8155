package source

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/pyro-sandbox/pyro/internal/archive"
)

// maxGitFile is the longest file that is read as one with a path in it, in bytes;
// paths have at most 4,096.
const maxGitFile = 8 << 10

// gitLink is a file .git whose repository does not come along.
type gitLink struct {
	at  string // its name in the source
	dir string // the directory that it names, absolute
}

// readGitFile looks at the file .git at name, and tells what it links to if that has
// to be brought along. A file that says nothing of the kind is a file like others, and
// a relative path that stays in the source works in the guest as it does here.
func readGitFile(root *archive.Root, base, name string) (gitLink, bool, error) {
	text, err := readSmall(root, name, maxGitFile)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errTooLong) {
		return gitLink{}, false, nil
	}
	if err != nil {
		return gitLink{}, false, err
	}
	target, ok := strings.CutPrefix(text, "gitdir: ")
	target = strings.TrimRight(target, "\r\n")
	if !ok || target == "" || strings.IndexByte(target, 0) >= 0 {
		return gitLink{}, false, nil
	}
	if path.IsAbs(target) {
		return gitLink{at: name, dir: filepath.Clean(target)}, true, nil
	}
	inside := path.Join(path.Dir(name), target)
	if inside != ".." && !strings.HasPrefix(inside, "../") {
		// Where a symlink is on the way, the path may lead anywhere.
		if _, err := root.Stat(inside); !errors.Is(err, archive.ErrSymlink) {
			return gitLink{}, false, nil
		}
	}
	return gitLink{at: name, dir: filepath.Join(base, path.Dir(name), target)}, true, nil
}

var errTooLong = errors.New("too long")

// readSmall reads a file of at most limit bytes.
func readSmall(root *archive.Root, name string, limit int64) (string, error) {
	f, err := root.Open(name, os.O_RDONLY, 0)
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = errTooLong
	}
	return string(data), err
}
