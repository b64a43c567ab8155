// Package version says which pyro this is. It is one string and knows nothing
// else: not what a peer can do (that is asked of the peer), not which gVisor
// is built in.
package version

import (
	"runtime/debug"
	"strings"
)

// number is the release being worked on; a tag vNUMBER makes it one.
const number = "0.1.0"

// stamp is written by the linker and by nothing else:
//
//	go build -ldflags "-X github.com/pyro-sandbox/pyro/internal/version.stamp=$(git describe …)"
//
// The Makefile does so because builders commonly set GOFLAGS=-buildvcs=false,
// and then the build information holds no revision. It is a release tag
// (v0.1.0) or an abbreviated commit (abc1234, abc1234.dirty).
var stamp string

// String returns the version in the form of semver.org: "0.1.0" for a release,
// "0.1.0-dev+abc1234" for a build of that commit, "0.1.0-dev" if the build
// left no trace of where it comes from.
func String() string {
	info, _ := debug.ReadBuildInfo()
	return describe(stamp, info)
}

// describe decides between what the linker wrote and what the toolchain knows.
// The linker wins; then the module version (`go install …/cmd/pyro@v0.1.0`);
// then the revision that the toolchain recorded.
func describe(stamp string, info *debug.BuildInfo) string {
	if stamp == "" {
		stamp = fromBuild(info)
	}
	switch {
	case stamp == "":
		return number + "-dev"
	case isTag(stamp):
		return strings.TrimPrefix(stamp, "v")
	default:
		return number + "-dev+" + stamp
	}
}

// fromBuild returns a stamp made from build information, "" without any.
func fromBuild(info *debug.BuildInfo) string {
	if info == nil {
		return ""
	}
	if v := info.Main.Version; isTag(v) && !isPseudo(v) {
		return v
	}
	var revision, dirty string
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value[:min(7, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = ".dirty"
		}
	}
	if revision == "" {
		return ""
	}
	return revision + dirty
}

// isTag tells v0.1.0 from a commit, which is hexadecimal and so never
// begins with a v.
func isTag(s string) bool {
	return strings.HasPrefix(s, "v")
}

// isPseudo reports whether v is no tag but a version the toolchain made up
// from a commit (go.dev/ref/mod#pseudo-versions) or from a changed tree.
func isPseudo(v string) bool {
	return strings.Contains(v, "+dirty") || strings.Count(v, "-") >= 2
}
