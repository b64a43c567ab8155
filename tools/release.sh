#!/usr/bin/env bash
# release.sh ARCH HELPERS OUT builds OUT, the one file pyro for an architecture (amd64,
# arm64), with the helpers that are in the directory HELPERS inside.
# release.sh dist DIR [ARCH…] makes the whole release in DIR: helpers, files, lists of
# parts, licenses, checksums. STAMP is the version, as the Makefile finds it.
#
# The same sources and the same Go give the same bytes: nothing of the machine, the
# directory, the time or the environment enters.
set -euo pipefail
umask 022

cd "$(dirname "$0")/.."
dest() { case $1 in /*) echo "$1" ;; *) echo "$OLDPWD/$1" ;; esac }

readonly module=github.com/pyro-sandbox/pyro
readonly helpers=(pyro-agent pyro-gateway pyro-runsc)
stamped="-X $module/internal/version.stamp=${STAMP-}"

# Settings of whoever builds must not enter, but for where things are. GOAMD64 and its
# like are the defaults.
for name in GOPROXY GOSUMDB GONOSUMDB GOPRIVATE GOMODCACHE GOCACHE GOTOOLCHAIN; do
	export "$name=$(go env "$name")"
done
unset GOFLAGS GOAMD64 GOARM64 GOEXPERIMENT GODEBUG GOOS GOARCH CC CXX
export CGO_ENABLED=0 GOWORK=off GOENV=off LC_ALL=C TZ=UTC
build=(go build -trimpath -buildvcs=false)

# build_helpers ARCH DIR
build_helpers() {
	local gvisor
	gvisor=$(go -C gvisor list -m -f '{{.Version}}' gvisor.dev/gvisor)
	GOOS=linux GOARCH=$1 "${build[@]}" -ldflags "-s -w $stamped" -o "$2/" ./cmd/pyro-agent
	(
		cd gvisor
		GOOS=linux GOARCH=$1 "${build[@]}" -o "$2/" \
			-ldflags "-s -w -X main.stamp=${STAMP-} -X gvisor.dev/gvisor/runsc/version.version=$gvisor" \
			./cmd/pyro-runsc ./cmd/pyro-gateway
	)
}

# build_file ARCH HELPERS OUT
build_file() {
	go run -trimpath -buildvcs=false -ldflags "$stamped" ./internal/programs/gen \
		-o "internal/programs/release/$1" -arch "$1" "${helpers[@]/#/$2/}"
	GOOS=linux GOARCH=$1 "${build[@]}" -tags release -ldflags "-s -w $stamped" -o "$3" ./cmd/pyro
}

# distribute DIR ARCH…
distribute() {
	local dist=$1 version arch name temp
	shift
	temp=$(mktemp -d)
	trap "rm -rf '$temp'" EXIT
	rm -rf "$dist" internal/programs/release
	mkdir -p "$dist"
	version=$(go run -trimpath -buildvcs=false -ldflags "$stamped" ./cmd/pyro --version)
	version=${version#pyro }
	for arch in "$@"; do
		name=pyro-$version-linux-$arch
		mkdir "$temp/$arch"
		build_helpers "$arch" "$temp/$arch"
		build_file "$arch" "$temp/$arch" "$dist/$name"
		go run -trimpath -buildvcs=false -ldflags "$stamped" ./internal/licenses/gen \
			sbom "$dist/$name.cdx.json" "$dist/$name" "${helpers[@]/#/$temp/$arch/}"
	done
	install -m 0644 LICENSE NOTICE "$dist/"
	install -m 0644 internal/licenses/third-party.txt "$dist/THIRD-PARTY-LICENSES.txt"
	(cd "$dist" && sha256sum -- * >"$temp/SHA256SUMS" && install -m 0644 "$temp/SHA256SUMS" .)
}

case ${1-} in
dist)
	out=$(dest "$2")
	shift 2
	[[ $# -gt 0 ]] || set -- amd64 arm64
	distribute "$out" "$@"
	;;
amd64 | arm64) build_file "$1" "$(dest "$2")" "$(dest "$3")" ;;
*)
	echo "usage: $0 ARCH HELPERS OUT | $0 dist DIR [ARCH…]" >&2
	exit 2
	;;
esac
