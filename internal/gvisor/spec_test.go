package gvisor

import (
	"encoding/json"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pyro-sandbox/pyro/internal/engine"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares v as JSON with the file named after the test.
func golden(t *testing.T, v any) {
	t.Helper()
	got, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	path := filepath.Join("testdata", strings.NewReplacer("/", "_", " ", "_").Replace(t.Name())+".golden")
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (go test -update writes it)", err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func aSpec() engine.Spec {
	return engine.Spec{
		ID: "0123456789ab", Environment: engine.EnvironmentHost, VCPUs: 2, MemMiB: 1024, DiskMiB: 2048, PIDs: 512,
		UID: 2_000_000_007, Dir: "/state/disk", Run: "/run/pyro/0123456789ab", Agent: "/lib/pyro-agent",
	}
}

func TestOCISpec(t *testing.T) {
	t.Run("without limits", func(t *testing.T) { golden(t, ociSpec(aSpec(), "/cache/agent", "")) })
	t.Run("with limits", func(t *testing.T) { golden(t, ociSpec(aSpec(), "/cache/agent", "/pyro/0123456789ab")) })
}

// TestOCISpecIsClosed says in words what the golden files say in full, so that
// writing them anew does not open a sandbox unnoticed.
func TestOCISpecIsClosed(t *testing.T) {
	t.Setenv("PYRO_TEST_SECRET", "of the host")
	s := ociSpec(aSpec(), "/cache/agent", "/pyro/0123456789ab")
	if len(s.Annotations) > 0 {
		t.Errorf("annotations: %v", s.Annotations)
	}
	if s.Hooks != nil {
		t.Errorf("hooks: %v", s.Hooks)
	}
	for _, v := range s.Process.Env {
		if name, _, _ := strings.Cut(v, "="); !slices.Contains([]string{"PATH", "HOME", "LANG"}, name) || strings.Contains(v, "of the host") {
			t.Errorf("variable %s", v)
		}
	}
	if !s.Process.NoNewPrivileges {
		t.Error("programs may gain privileges")
	}
	for _, m := range s.Mounts {
		if m.Type == "bind" && (m.Source != "/cache/agent" || !slices.Contains(m.Options, "ro")) {
			t.Errorf("bind mount %+v", m)
		}
	}
	for _, ns := range s.Linux.Namespaces {
		if ns.Path != "" {
			t.Errorf("the %s namespace is that of %s", ns.Type, ns.Path)
		}
	}
}

func TestDangerousCapabilitiesAreLeftOut(t *testing.T) {
	c := ociSpec(aSpec(), "/a", "").Process.Capabilities
	sets := map[string][]string{
		"bounding": c.Bounding, "effective": c.Effective, "permitted": c.Permitted, "inheritable": c.Inheritable, "ambient": c.Ambient,
	}
	for name, set := range sets {
		for _, bad := range []string{
			"SYS_ADMIN", "SYS_RESOURCE", "SYS_PTRACE", "SYS_MODULE", "SYS_RAWIO", "SYS_BOOT", "SYS_TIME",
			"NET_ADMIN", "NET_RAW", "MKNOD", "DAC_READ_SEARCH", "BPF", "PERFMON", "MAC_ADMIN", "SYSLOG",
		} {
			if slices.Contains(set, "CAP_"+bad) {
				t.Errorf("the %s set has %s", name, bad)
			}
		}
	}
	if !slices.Equal(slices.Sorted(maps.Keys(sets)), []string{"ambient", "bounding", "effective", "inheritable", "permitted"}) || len(c.Bounding) == 0 {
		t.Error("not all sets were looked at")
	}
}

func TestArguments(t *testing.T) {
	for name, limited := range map[string]bool{"with limits": true, "without limits": false} {
		t.Run(name, func(t *testing.T) { golden(t, arguments(aSpec(), layoutOf(aSpec()), limited)) })
	}
	t.Run("from a saved disk", func(t *testing.T) {
		spec := aSpec()
		spec.Disk = "/state/disks/1" // named by descriptor
		golden(t, arguments(spec, layoutOf(spec), true))
	})
	t.Run("from a saved memory", func(t *testing.T) {
		spec := aSpec()
		spec.Memory = "/state/forks/1"
		golden(t, arguments(spec, layoutOf(spec), true))
	})
	t.Run("save memory", func(t *testing.T) { golden(t, saveArguments(memoryForm.command, aSpec(), layoutOf(aSpec()), true)) })
	t.Run("save", func(t *testing.T) { golden(t, saveArguments(diskForm.command, aSpec(), layoutOf(aSpec()), true)) })
}

func TestCheck(t *testing.T) {
	fits := maxSocketPath - len("/r/runsc-0123456789ab.sock")
	for name, test := range map[string]struct {
		change func(*engine.Spec)
		says   string
	}{
		"as it should be":     {func(*engine.Spec) {}, ""},
		"another environment": {func(s *engine.Spec) { s.Environment = "debian:12" }, `no environment "debian:12"`},
		"no environment":      {func(s *engine.Spec) { s.Environment = "" }, "no environment"},
		"longest run path":    {func(s *engine.Spec) { s.Run = "/" + strings.Repeat("x", fits-1) }, ""},
		"run path too long":   {func(s *engine.Spec) { s.Run = "/" + strings.Repeat("x", fits) }, "has 108 bytes, allowed are 107"},
	} {
		t.Run(name, func(t *testing.T) {
			spec := aSpec()
			test.change(&spec)
			err := check(spec, layoutOf(spec))
			if (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v, want %q", err, test.says)
			}
		})
	}
}
