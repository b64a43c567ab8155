package local

import (
	"os"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/config"
	"github.com/pyro-sandbox/pyro/internal/store"
)

// Config is the configuration in force, and the directories beside it. A file or a
// variable that is not understood is an error that names the place.
func Config() (*api.Config, error) {
	c, err := config.Load(os.Getenv)
	if err != nil {
		return nil, err
	}
	shown := &api.Config{Settings: append(c.Settings(), directories()...)}
	if path := config.Path(os.Getenv); path != "" {
		_, err := os.Stat(path)
		shown.Path, shown.Exists = &path, err == nil
	}
	return shown, nil
}

// ConfigPath is where the configuration file is looked for, whether there is one or
// not; api.Invalid where no place is known.
func ConfigPath() (string, error) {
	if path := config.Path(os.Getenv); path != "" {
		return path, nil
	}
	return "", config.ErrNoPlace
}

// InitConfig writes a configuration file that changes nothing, and returns its path.
// It replaces none: api.Exists.
func InitConfig() (string, error) { return config.Init(os.Getenv) }

// directories are shown with the settings, but chosen by variables alone: a file in
// one of them could not say where they are. They are left out where none is known,
// as doctor says.
func directories() []api.Setting {
	dirs, err := store.FindDirs(os.Getenv, os.Geteuid())
	if err != nil {
		return nil
	}
	list := []api.Setting{
		{Key: "state_dir", Value: dirs.State, Variable: "PYRO_STATE_DIR", Default: "$XDG_STATE_HOME/pyro or ~/.local/state/pyro", Description: "where workspaces are kept"},
		{Key: "cache_dir", Value: dirs.Cache, Variable: "PYRO_CACHE_DIR", Default: "$XDG_CACHE_HOME/pyro or ~/.cache/pyro", Description: "what can be made again at any time"},
		{Key: "run_dir", Value: dirs.Run, Variable: "PYRO_RUN_DIR", Default: "/run/pyro, $XDG_RUNTIME_DIR/pyro or /tmp/pyro-UID", Description: "sockets; a directory for each state directory is made in it"},
	}
	if dirs.Sandbox != "" {
		list = append(list, api.Setting{Key: "sandbox_dir", Value: dirs.Sandbox, Variable: "PYRO_SANDBOX_DIR", Default: "/var/lib/pyro/sandbox", Description: "for root: what sandboxes open by path; a directory for each state directory is made in it"})
	}
	for i := range list {
		s := &list[i]
		s.Allowed, s.Source = "a directory; by the variable only", api.SourceDefault
		if os.Getenv(s.Variable) != "" || s.Key == "cache_dir" && os.Getenv("PYRO_ENVIRONMENT_CACHE_DIR") != "" {
			s.Source = api.SourceEnvironment
		}
	}
	return list
}
