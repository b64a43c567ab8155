package gvisor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/pyro-sandbox/pyro/internal/programs"
	"github.com/pyro-sandbox/pyro/internal/store"
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
	// Doctor removes copies of other builds that nobody used for an hour, and sees
	// this sandbox no earlier than it has mounted its own.
	now := time.Now()
	_ = os.Chtimes(dir, now, now)
	switch err := programs.Check(filepath.Join(dir, agentName), info.Size()); {
	case err == nil:
		return dir, nil
	case !errors.Is(err, fs.ErrNotExist):
		return "", err
	}
	return dir, copyAgent(agent, dir)
}

// copyAgent makes dir with the agent in it.
func copyAgent(agent, dir string) error {
	from, err := os.Open(agent)
	if err != nil {
		return err
	}
	defer func() { _ = from.Close() }()
	mode := fs.FileMode(0o700)
	if os.Geteuid() == 0 {
		mode = 0o755 // for the uids of the sandboxes
	}
	base := filepath.Dir(dir)
	if err := store.MakeCacheDir(base, mode); err != nil {
		return err
	}
	return programs.Place(base, filepath.Base(dir), func(temp string) error {
		return programs.Write(filepath.Join(temp, agentName), from)
	})
}
