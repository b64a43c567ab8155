package launch

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTheGuestSeesTheLimitOfItsCgroup(t *testing.T) {
	const host = "17179869184"
	boot := func(mem string) []string { return []string{"runsc-sandbox", "boot", "--total-memory", mem, "id"} }
	for name, test := range map[string]struct {
		cgroup string // of the process
		max    map[string]string
		argv   []string
		want   []string
	}{
		"its own":                   {"0::/pyro/a\n", map[string]string{"pyro/a": "268435456\n"}, boot(host), boot("268435456")},
		"of one above":              {"0::/x/pyro/a\n", map[string]string{"x": "1048576\n", "x/pyro/a": "268435456\n"}, boot(host), boot("1048576")},
		"none":                      {"0::/pyro/a\n", map[string]string{"pyro/a": "max\n"}, boot(host), boot(host)},
		"no file":                   {"0::/\n", nil, boot(host), boot(host)},
		"larger than the machine":   {"0::/a\n", map[string]string{"a": "99999999999999\n"}, boot(host), boot(host)},
		"the second time":           {"0::/a\n", map[string]string{"a": "2147483648\n"}, boot("268435456"), boot("268435456")},
		"version 1":                 {"4:memory:/a\n0::/\n", map[string]string{"a": "1048576\n"}, boot(host), boot(host)},
		"outside of the namespace":  {"0::/../a\n", map[string]string{"a": "1048576\n"}, boot(host), boot(host)},
		"no flag":                   {"0::/a\n", map[string]string{"a": "1048576\n"}, []string{"runsc-sandbox", "boot"}, []string{"runsc-sandbox", "boot"}},
		"a flag without its number": {"0::/a\n", map[string]string{"a": "1048576\n"}, []string{"runsc-sandbox", "--total-memory"}, []string{"runsc-sandbox", "--total-memory"}},
		"no proc, as after chroot":  {"", nil, boot(host), boot(host)},
	} {
		t.Run(name, func(t *testing.T) {
			proc, root := t.TempDir(), t.TempDir()
			if test.cgroup != "" {
				write(t, filepath.Join(proc, "self/cgroup"), test.cgroup)
			}
			for dir, value := range test.max {
				write(t, filepath.Join(root, dir, "memory.max"), value)
			}
			if diff := cmp.Diff(test.want, showLimit(test.argv, proc, root)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func write(t *testing.T, path, data string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(data), 0o644); err != nil {
		t.Fatal(err)
	}
}
