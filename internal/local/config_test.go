package local

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pyro-sandbox/pyro/api"
)

func TestConfigShowsSettingsAndDirectories(t *testing.T) {
	alone(t)
	t.Setenv("PYRO_CAPACITY", "3")
	t.Setenv("PYRO_CACHE_DIR", "")
	c, err := Config()
	if err != nil {
		t.Fatal(err)
	}
	path, err := ConfigPath()
	if err != nil || c.Path == nil || *c.Path != path || c.Exists {
		t.Errorf("path %v, %q, %v; exists %t", c.Path, path, err, c.Exists)
	}
	sources := map[string]string{}
	for _, s := range c.Settings {
		if s.Value == "" || s.Variable == "" || s.Default == "" || s.Allowed == "" || s.Description == "" {
			t.Errorf("%+v", s)
		}
		if s.Key == "capacity" || strings.HasSuffix(s.Key, "_dir") && s.Key != "sandbox_dir" {
			sources[s.Key] = s.Source
		}
	}
	if diff := cmp.Diff(map[string]string{
		"capacity": api.SourceEnvironment, "state_dir": api.SourceEnvironment, "cache_dir": api.SourceDefault, "run_dir": api.SourceEnvironment,
	}, sources); diff != "" {
		t.Errorf("sources (-want +got):\n%s", diff)
	}
	if root := slices.ContainsFunc(c.Settings, func(s api.Setting) bool { return s.Key == "sandbox_dir" }); root != (os.Geteuid() == 0) {
		t.Errorf("a sandbox directory is shown: %t", root)
	}
}

func TestInitConfig(t *testing.T) {
	alone(t)
	path, err := InitConfig()
	if err != nil {
		t.Fatal(err)
	}
	if c, err := Config(); err != nil || !c.Exists || *c.Path != path {
		t.Errorf("%+v, %v", c, err)
	}
	if _, err := InitConfig(); !errors.Is(err, api.Exists) {
		t.Errorf("a second time: %v", err)
	}
}

func TestConfigThatIsNotUnderstood(t *testing.T) {
	lib := alone(t)
	for _, name := range []string{"pyro-agent", "pyro-runsc"} {
		program755(t, filepath.Join(lib, name), "")
	}
	t.Setenv("PYRO_CAPACITY", "0")
	if _, err := Config(); !errors.Is(err, api.Invalid) {
		t.Errorf("got %v", err)
	}
	if _, err := configure(t.Context(), "0123456789ab"); !errors.Is(err, api.Invalid) || !strings.Contains(err.Error(), "PYRO_CAPACITY") {
		t.Errorf("making a workspace: %v", err)
	}
}

func TestConfigWithoutAHome(t *testing.T) {
	alone(t)
	for _, name := range []string{"HOME", "XDG_CONFIG_HOME", "PYRO_STATE_DIR"} {
		t.Setenv(name, "")
	}
	if c, err := Config(); err != nil || c.Path != nil || len(c.Settings) == 0 {
		t.Errorf("%+v, %v", c, err)
	}
	if _, err := ConfigPath(); !errors.Is(err, api.Invalid) || api.HintOf(err) == "" {
		t.Errorf("got %v", err)
	}
}
