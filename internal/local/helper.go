package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/programs"
	"github.com/pyro-sandbox/pyro/internal/store"
)

// systemAgents is where root keeps copies of the agent: sandboxes run under uids of
// their own, and can reach neither root's home nor its cache.
const systemAgents = systemCache + "/agent"

func agentCopies(st *store.Store) string {
	if os.Geteuid() == 0 {
		return systemAgents
	}
	return filepath.Join(st.Dirs().Cache, "agent")
}

// systemCache is where root unpacks the programs that pyro carries.
const systemCache = "/var/cache/pyro"

// finder finds pyro's own programs, never in PATH. PYRO_RUNSC names another build of
// pyro-runsc and PYRO_LIBDIR a directory with all of them. A pyro that carries its
// programs uses those where PYRO_LIBDIR has none, and does not look at what lies
// beside it in somebody's ~/bin or /tmp; any other looks there first.
type finder struct {
	cache  string // the user's
	verify bool   // read what was unpacked, however it looks
}

// find returns the paths of agent and pyro-runsc.
func (f finder) find(ctx context.Context) (agent, runsc string, err error) {
	if agent, err = f.program(ctx, "pyro-agent"); err != nil {
		return "", "", err
	}
	f.verify = false // it was
	runsc, err = f.program(ctx, "pyro-runsc")
	return agent, runsc, err
}

func (f finder) program(ctx context.Context, name string) (string, error) {
	path, err := installed(name)
	if _, missing := errors.AsType[notInstalled](err); !missing {
		return path, err
	}
	carried, wrong := programs.Carried()
	if wrong != nil || carried == nil {
		return "", errors.Join(wrong, err)
	}
	dir, err := f.unpack(ctx, carried)
	return filepath.Join(dir, name), err
}

// notInstalled is the error of a program that is in none of its places.
type notInstalled string

func (e notInstalled) Error() string { return string(e) }

// installed finds a program outside pyro itself.
func installed(name string) (string, error) {
	if path := os.Getenv("PYRO_RUNSC"); path != "" && name == "pyro-runsc" {
		return executable(path)
	}
	var places []string
	if !programs.AreCarried {
		self, err := os.Executable()
		if err != nil {
			return "", err
		}
		places = append(places, filepath.Dir(self))
	}
	if dir := os.Getenv("PYRO_LIBDIR"); dir != "" {
		places = append(places, dir)
	}
	for _, dir := range places {
		if path, err := executable(filepath.Join(dir, name)); err == nil || errors.Is(err, api.Denied) {
			return path, err
		}
	}
	return "", &api.Error{
		Kind: api.Unsupported, Hint: "run make, or set PYRO_LIBDIR to the directory that holds it",
		Err: notInstalled(fmt.Sprintf("%s is not in %s", name, strings.Join(places, " or "))),
	}
}

// unpack returns the directory with what pyro carries. Root has one for the machine,
// unless PYRO_CACHE_DIR names another.
func (f finder) unpack(ctx context.Context, carried *programs.Bundle) (string, error) {
	base, mode := f.cache, fs.FileMode(0o700)
	if os.Geteuid() == 0 {
		mode = 0o755
		if os.Getenv("PYRO_CACHE_DIR") == "" {
			base = systemCache
		}
	}
	if base == "" {
		return "", &api.Error{Kind: api.Invalid, Hint: "set HOME, or PYRO_CACHE_DIR", Err: errors.New("there is no directory to unpack pyro's programs to")}
	}
	base = filepath.Join(base, "programs")
	if f.verify {
		return carried.Verify(ctx, base, mode)
	}
	return carried.Unpack(ctx, base, mode)
}

// executable returns the absolute path of a program, or why it is none. One that
// everybody may change, or put there, is api.Denied.
func executable(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0 {
		return "", &api.Error{Kind: api.Unsupported, Hint: "run make, or name a program", Err: fmt.Errorf("%s is not executable", path)}
	}
	dir, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return "", err
	}
	if (info.Mode()|dir.Mode())&0o002 != 0 {
		return "", &api.Error{
			Kind: api.Denied, Hint: "keep pyro's programs where only you or root may write",
			Err: fmt.Errorf("everybody may replace %s", path),
		}
	}
	return path, nil
}
