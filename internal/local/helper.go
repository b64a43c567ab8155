package local

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/store"
)

// systemAgents is where root keeps copies of the agent: sandboxes run under uids of
// their own, and can reach neither root's home nor its cache.
const systemAgents = "/var/cache/pyro/agent"

func agentCopies(st *store.Store) string {
	if os.Geteuid() == 0 {
		return systemAgents
	}
	return filepath.Join(st.Dirs().Cache, "agent")
}

// helper finds one of pyro's own programs: beside this executable, then in
// PYRO_LIBDIR, never in PATH. PYRO_RUNSC names another build of pyro-runsc.
func helper(name string) (string, error) {
	if path := os.Getenv("PYRO_RUNSC"); path != "" && name == "pyro-runsc" {
		return executable(path)
	}
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	places := []string{filepath.Dir(self)}
	if dir := os.Getenv("PYRO_LIBDIR"); dir != "" {
		places = append(places, dir)
	}
	for _, dir := range places {
		if path, err := executable(filepath.Join(dir, name)); err == nil {
			return path, nil
		}
	}
	return "", &api.Error{
		Kind: api.Unsupported, Hint: "run make, or set PYRO_LIBDIR to the directory that holds it",
		Err: fmt.Errorf("%s is not in %s", name, strings.Join(places, " or ")),
	}
}

// executable returns the absolute path of a program, or why it is none.
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
	return path, nil
}
