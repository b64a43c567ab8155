package gvisor

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/pyro-sandbox/pyro/internal/sys"
)

// shareAgent returns a directory below base that holds nothing but the agent and
// that every uid can reach if base can be. A copy is needed because the original
// may lie below a closed directory, and because its neighbours are nothing for the
// guest to see. It is made once for each build, and named by size, inode and time
// of the original.
func shareAgent(agent, base string) (string, error) {
	info, err := os.Stat(agent)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(base, fmt.Sprintf("%x-%x-%x", info.Size(), sys.Inode(info), info.ModTime().UnixNano()))
	switch err := trusted(filepath.Join(dir, agentName), info.Size()); {
	case err == nil:
		return dir, nil
	case !errors.Is(err, fs.ErrNotExist):
		return "", err
	}
	return dir, copyAgent(agent, dir)
}

// trusted refuses a copy that somebody else could have put there or changed.
func trusted(path string, size int64) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if uid := sys.Owner(info); uid != os.Geteuid() || !info.Mode().IsRegular() || info.Mode().Perm()&0o022 != 0 || info.Size() != size {
		return fmt.Errorf("%s: unsafe: owner %d, mode %s, %d bytes", path, uid, info.Mode(), info.Size())
	}
	return nil
}

// copyAgent makes dir with the agent in it. It appears at once and whole; who
// comes second finds it there.
func copyAgent(agent, dir string) error {
	mode := fs.FileMode(0o700)
	if os.Geteuid() == 0 {
		mode = 0o755 // for the uids of the sandboxes
	}
	if err := os.MkdirAll(filepath.Dir(dir), mode); err != nil {
		return err
	}
	temp, err := os.MkdirTemp(filepath.Dir(dir), ".new-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(temp) }()
	if err := copyFile(agent, filepath.Join(temp, agentName)); err != nil {
		return err
	}
	if err := os.Chmod(temp, 0o755); err != nil {
		return err
	}
	if err := os.Rename(temp, dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	// Chmod, because the caller's umask may have taken what other uids need.
	return errors.Join(err, out.Chmod(0o755), out.Close())
}
