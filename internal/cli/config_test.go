package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/pyro-sandbox/pyro/api"
)

func fields(line string) []string { return strings.Fields(line) }

func sampleConfig() Configuration {
	shown := func() (*api.Config, error) {
		return &api.Config{Path: text("/h/.config/pyro/config.toml"), Exists: true, Settings: []api.Setting{
			{Key: "capacity", Value: "5", Source: api.SourceFile, Variable: "PYRO_CAPACITY", Default: "64", Allowed: "1 to 10000", Description: "how many"},
			{Key: "ttl.max_seconds", Value: "none", Source: api.SourceEnvironment, Variable: "PYRO_TTL_MAX_SECONDS", Default: "3600", Allowed: "1 to 9, or none", Description: "how long"},
			{Key: "state_dir", Value: "/h/\x1b[31m" + strings.Repeat("long/", 20), Source: api.SourceDefault, Variable: "PYRO_STATE_DIR"},
		}}, nil
	}
	path := func() (string, error) { return "/h/.config/pyro/config.toml", nil }
	return Configuration{Show: shown, Path: path, Init: path}
}

func TestConfigPages(t *testing.T) {
	good, bad := sampleConfig(), sampleConfig()
	bad.Show = func() (*api.Config, error) {
		return nil, &api.Error{Kind: api.Invalid, Op: "configuration", Hint: "correct it", Err: errors.New("/h/config.toml:3: capacity is 0, allowed are 1 to 10000")}
	}
	bad.Init = func() (string, error) {
		return "", &api.Error{Kind: api.Exists, Op: "write configuration", Hint: "edit it", Err: errors.New("/h/config.toml exists")}
	}
	none := sampleConfig()
	none.Show = func() (*api.Config, error) {
		return &api.Config{Path: text("/h/none"), Settings: []api.Setting{}}, nil
	}
	for name, c := range map[string]struct {
		line   string
		config Configuration
	}{
		"config":             {"", good},
		"config json":        {"--json", good},
		"config no file":     {"", none},
		"config broken":      {"", bad},
		"config broken json": {"--json", bad},
		"config get":         {"get ttl.max_seconds", good},
		"config get json":    {"get capacity --json", good},
		"config get unknown": {"get colour", good},
		"config get nothing": {"get", good},
		"config get two":     {"get capacity engine", good},
		"config path":        {"path", bad},
		"config path json":   {"--json path", good},
		"config init":        {"init", good},
		"config init there":  {"init", bad},
		"config unknown":     {"set", good},
		"config elsewhere":   {"", Configuration{}},
	} {
		t.Run(name, func(t *testing.T) {
			s := &session{config: c.config}
			code := s.run(t, append([]string{"config"}, fields(c.line)...)...)
			golden(t, fmt.Sprintf("exit code %d\n--- stdout\n%s--- stderr\n%s", code, s.out.String(), s.err.String()))
		})
	}
}

func TestConfigCompletion(t *testing.T) {
	for line, want := range map[string][]string{
		"config ":         {"get", "init", "path"},
		"config get ":     {"capacity\thow many", "ttl.max_seconds\thow long", "state_dir"},
		"config get st":   {"state_dir"},
		"config path ":    {},
		"config get x ":   {},
		"config get capa": {"capacity\thow many"},
	} {
		t.Run(line, func(t *testing.T) {
			s := &session{config: sampleConfig()}
			if code := s.run(t, append([]string{cobra.ShellCompRequestCmd}, strings.Split(line, " ")...)...); code != 0 {
				t.Fatalf("exit code %d: %s", code, s.err.String())
			}
			got := slices.DeleteFunc(strings.Split(strings.TrimSpace(s.out.String()), "\n"), func(l string) bool { return strings.HasPrefix(l, ":") })
			if !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}
