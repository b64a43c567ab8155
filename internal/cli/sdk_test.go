package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRunWithTheSDK holds what the real client does without a sandbox; those that
// boot one are end to end tests.
func TestRunWithTheSDK(t *testing.T) {
	dir := t.TempDir()
	environ := []string{
		"HOME=" + dir, "XDG_RUNTIME_DIR=" + dir, "PYRO_STATE_DIR=" + filepath.Join(dir, "state"),
		"PYRO_CACHE_DIR=" + filepath.Join(dir, "cache"), "PYRO_RUN_DIR=" + filepath.Join(dir, "run"), "PYRO_BINARY=" + filepath.Join(dir, "no-pyro"),
	}
	for name, c := range map[string]struct {
		args     []string
		environ  []string
		code     int
		out, err string
	}{
		"version":               {[]string{"--version"}, nil, 0, "pyro 1.2.3\n", ""},
		"list":                  {[]string{"workspace", "list"}, environ, 0, "No workspaces.\n", ""},
		"status of none":        {[]string{"workspace", "status", testID}, environ, 1, "", "[error] "},
		"exec in none":          {[]string{"workspace", "exec", testID, "--json", "x"}, environ, 1, `"kind": "not_found"`, ""},
		"delete of none":        {[]string{"workspace", "delete", testID}, environ, 1, "", testID},
		"stop of none":          {[]string{"workspace", "stop", testID}, environ, 1, "", testID},
		"start of none":         {[]string{"workspace", "start", testID, "--json"}, environ, 1, `"kind": "not_found"`, ""},
		"update of none":        {[]string{"workspace", "update", testID, "--name", "x"}, environ, 1, "", testID},
		"logs of none":          {[]string{"workspace", "logs", testID}, environ, 1, "", testID},
		"push into none":        {[]string{"workspace", "sync", "push", testID, dir}, environ, 1, "", testID},
		"seed that is not":      {[]string{"workspace", "create", "host", "--seed-path", filepath.Join(dir, "no-seed")}, environ, 1, "", "no-seed"},
		"run without a binary":  {[]string{"run", "host", "x"}, environ, 1, "", "no-pyro"},
		"no place for state":    {[]string{"workspace", "list"}, []string{"PATH=/bin"}, 1, "", "[error] "},
		"no such thing as what": {[]string{"workspace", "exec", testID, "--nonsense"}, environ, 2, "", "usage: "},
	} {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr output
			code := Run(t.Context(), Env{
				Args: c.args, Stdin: forbidden{t}, Stdout: &stdout, Stderr: &stderr,
				Environ: c.environ, Signals: make(chan os.Signal), Version: "1.2.3",
			})
			if code != c.code || !strings.Contains(stdout.String(), c.out) || !strings.Contains(stderr.String(), c.err) {
				t.Errorf("exit code %d, stdout %q, stderr %q", code, stdout.String(), stderr.String())
			}
			if c.err == "" && stderr.String() != "" || c.out == "" && stdout.String() != "" {
				t.Errorf("stdout %q, stderr %q", stdout.String(), stderr.String())
			}
		})
	}
}
