package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pyro-sandbox/pyro/internal/leaks"
)

// ground is a state directory of the soak's own, and a copy of the programs, which
// may be built anew meanwhile.
type ground struct {
	leaks.Place

	pyro string
	env  []string
}

// settle makes two grounds below one directory, one to be fought over and one that
// is left in peace. The directory is the caller's to remove.
func settle(base, bin string) (dir string, field, haven *ground, err error) {
	if dir, err = os.MkdirTemp(base, "soak"); err != nil {
		return "", nil, nil, err
	}
	if err = os.Chmod(dir, 0o711); err != nil { // sandboxes of root have user ids of their own
		return dir, nil, nil, err
	}
	programs := filepath.Join(dir, "bin")
	if err = copyPrograms(bin, programs); err != nil {
		return dir, nil, nil, fmt.Errorf("%w: run make first", err)
	}
	if field, err = newGround(filepath.Join(dir, "f"), programs); err != nil {
		return dir, nil, nil, err
	}
	haven, err = newGround(filepath.Join(dir, "h"), programs)
	return dir, field, haven, err
}

func newGround(dir, bin string) (*ground, error) {
	if err := os.Mkdir(dir, 0o711); err != nil {
		return nil, err
	}
	g := &ground{Place: leaks.Place(dir), pyro: filepath.Join(bin, "pyro")}
	g.env = slices.DeleteFunc(os.Environ(), func(entry string) bool { return strings.HasPrefix(entry, "PYRO_") })
	g.env = append(g.env, g.Env()...)
	g.env = append(g.env,
		"PYRO_LIBDIR="+bin, "PYRO_BINARY="+g.pyro,
		"PYRO_CHECKPOINT_INTERVAL_SECONDS=15", // so often that kills meet it
	)
	return g, nil
}

func copyPrograms(from, to string) error {
	if err := os.Mkdir(to, 0o755); err != nil {
		return err
	}
	for _, name := range []string{"pyro", "pyro-agent", "pyro-runsc", "pyro-gateway"} {
		if err := copyProgram(filepath.Join(from, name), filepath.Join(to, name)); err != nil {
			return err
		}
	}
	return nil
}

func copyProgram(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	if _, err = io.Copy(out, in); err != nil {
		_ = out.Close()
		return err
	}
	return out.Close()
}
