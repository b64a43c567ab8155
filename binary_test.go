package pyro

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro/api"
)

func TestFindBinary(t *testing.T) {
	dir := t.TempDir()
	place := func(name string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	plain := place("plain/pyro", 0o600)
	first, second := place("first/pyro", 0o700), place("second/pyro", 0o700)
	search := "PATH=relative:" + filepath.Dir(plain) + ":" + filepath.Dir(first) + ":" + filepath.Dir(second)
	for name, tc := range map[string]struct {
		option string
		env    environ
		want   string
	}{
		"the option comes first":             {second, environ{"PYRO_BINARY=" + first, search}, second},
		"then the variable":                  {"", environ{"PYRO_BINARY=" + second, search}, second},
		"then the search path":               {"", environ{search}, first},
		"a named one that is missing fails":  {dir + "/none", environ{search}, ""},
		"a named one that is no program too": {"", environ{"PYRO_BINARY=" + plain, search}, ""},
		"a directory is no program":          {dir, environ{search}, ""},
		"there is none":                      {"", environ{"PATH=" + filepath.Dir(plain)}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := (&Client{binary: tc.option, env: tc.env}).findBinary()
			if got != tc.want || (err != nil) != (tc.want == "") {
				t.Fatalf("findBinary = %q, %v, want %q", got, err, tc.want)
			}
			if err != nil && (api.KindOf(err) != api.NotFound || api.HintOf(err) == "") {
				t.Errorf("error %v of kind %q with hint %q", err, api.KindOf(err), api.HintOf(err))
			}
		})
	}
}

func TestEnviron(t *testing.T) {
	base := environ{"PATH=/bin", "HOME=/h", "TOKEN=x", "PYRO_RUNSC=/r", "XDG_STATE_HOME=/s", "PATH=/usr/bin", "PYROMANIA=1"}
	if got := base.get("PATH"); got != "/usr/bin" {
		t.Errorf("PATH = %q, want the last one", got)
	}
	if got := base.get("NONE"); got != "" {
		t.Errorf("NONE = %q", got)
	}
	want := environ{"PATH=/bin", "HOME=/h", "PYRO_RUNSC=/r", "XDG_STATE_HOME=/s", "PATH=/usr/bin", "PYRO_X=1"}
	if diff := cmp.Diff(want, base.forSupervisor().with("PYRO_X", "1")); diff != "" {
		t.Errorf("environment of a supervisor (-want +got):\n%s", diff)
	}
	if len(base) != 7 {
		t.Errorf("the environment itself was changed: %q", base)
	}
}
