package pyro

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pyro-sandbox/pyro/api"
)

// Variables that say where things are. A supervisor gets all of them, so that it
// and its client cannot disagree.
const (
	envBinary   = "PYRO_BINARY"
	envStateDir = "PYRO_STATE_DIR"
	envRunDir   = "PYRO_RUN_DIR"
	envCacheDir = "PYRO_CACHE_DIR"
)

// environ is a list of K=V, in which the last entry of a key counts.
type environ []string

func (e environ) get(key string) string {
	for _, entry := range slices.Backward(e) {
		if k, v, _ := strings.Cut(entry, "="); k == key {
			return v
		}
	}
	return ""
}

// with returns a copy with one more entry.
func (e environ) with(key, value string) environ {
	return append(slices.Clip(e), key+"="+value)
}

// forSupervisor returns what a supervisor sees of the environment: it lives longer
// than this program and has no business with the rest, such as tokens.
func (e environ) forSupervisor() environ {
	return slices.DeleteFunc(slices.Clone(e), func(entry string) bool {
		key, _, _ := strings.Cut(entry, "=")
		ours := strings.HasPrefix(key, "PYRO_") || strings.HasPrefix(key, "XDG_")
		return !ours && key != "HOME" && key != "PATH"
	})
}

// findBinary returns the path of the pyro executable. One that was named and cannot
// be run is an error and not passed over.
func (c *Client) findBinary() (string, error) {
	for _, named := range []string{c.binary, c.env.get(envBinary)} {
		if named != "" {
			return checkBinary(named)
		}
	}
	var dirs []string
	if self, err := os.Executable(); err == nil {
		dirs = append(dirs, filepath.Dir(self))
	}
	for _, dir := range append(dirs, filepath.SplitList(c.env.get("PATH"))...) {
		if !filepath.IsAbs(dir) {
			continue // the current directory is not ours
		}
		if path, err := checkBinary(filepath.Join(dir, "pyro")); err == nil {
			return path, nil
		}
	}
	return "", noBinary(errors.New("no pyro executable beside this program or in PATH"))
}

// checkBinary returns the absolute path if it can be executed.
func checkBinary(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", noBinary(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", noBinary(err)
	}
	if !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
		return "", noBinary(fmt.Errorf("%s is not an executable file", path))
	}
	return path, nil
}

func noBinary(err error) error {
	return &api.Error{Kind: api.NotFound, Op: "find pyro", Err: err, Hint: "install pyro, or set " + envBinary + " to its path"}
}
