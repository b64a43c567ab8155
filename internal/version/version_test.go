package version

import (
	"runtime/debug"
	"testing"
)

func TestDescribe(t *testing.T) {
	vcs := func(settings ...debug.BuildSetting) *debug.BuildInfo {
		return &debug.BuildInfo{Main: debug.Module{Version: "(devel)"}, Settings: settings}
	}
	revision := debug.BuildSetting{Key: "vcs.revision", Value: "0123456789abcdef"}
	modified := debug.BuildSetting{Key: "vcs.modified", Value: "true"}
	module := func(v string) *debug.BuildInfo {
		return &debug.BuildInfo{Main: debug.Module{Version: v}, Settings: []debug.BuildSetting{revision}}
	}

	for name, tc := range map[string]struct {
		stamp string
		info  *debug.BuildInfo
		want  string
	}{
		"release tag from the linker":        {"v0.1.0", nil, "0.1.0"},
		"pre-release tag from the linker":    {"v0.2.0-rc.1", nil, "0.2.0-rc.1"},
		"commit from the linker":             {"abc1234", nil, number + "-dev+abc1234"},
		"changed tree from the linker":       {"abc1234.dirty", nil, number + "-dev+abc1234.dirty"},
		"the linker wins over the toolchain": {"v0.1.0", vcs(revision), "0.1.0"},
		"installed at a module version":      {"", module("v0.3.1"), "0.3.1"},
		"pseudo-version names the commit":    {"", module("v0.0.0-20260101000000-0123456789ab"), number + "-dev+0123456"},
		"changed tree over a tag":            {"", module("v0.1.0+dirty"), number + "-dev+0123456"},
		"revision recorded by the toolchain": {"", vcs(revision), number + "-dev+0123456"},
		"changed tree recorded":              {"", vcs(revision, modified), number + "-dev+0123456.dirty"},
		"no trace of the origin":             {"", vcs(), number + "-dev"},
		"no build information at all":        {"", nil, number + "-dev"},
		"shorter revision than the usual seven": {
			"", vcs(debug.BuildSetting{Key: "vcs.revision", Value: "abc"}), number + "-dev+abc",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := describe(tc.stamp, tc.info); got != tc.want {
				t.Errorf("describe(%q) = %q, want %q", tc.stamp, got, tc.want)
			}
		})
	}
}
