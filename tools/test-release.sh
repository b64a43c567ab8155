#!/usr/bin/env bash
# test-release.sh [ARCH…] makes the release in two copies of the tree, under other
# paths, users' settings, time zones and umasks, and fails unless all files are equal.
# The build cache is shared: with -trimpath it knows no paths. FRESH=1 gives the
# second copy a cache of its own, which takes minutes.
set -euo pipefail

cd "$(dirname "$0")/.."
stage=$(mktemp -d /var/tmp/pyro-release.XXXXXX)
trap 'rm -rf "$stage"' EXIT
GOMODCACHE=$(go env GOMODCACHE)
GOCACHE=$(go env GOCACHE)
export GOMODCACHE GOCACHE
first=$stage/a second=$stage/another/directory/with-a-longer-name

for copy in "$first" "$second"; do
	mkdir -p "$copy"
	tar -c --exclude=./.git --exclude=./bin --exclude=./dist --exclude=./internal/programs/release . | tar -x -C "$copy"
done

"$first/tools/release.sh" dist "$stage/first" "$@"
(
	umask 077
	cd / # and not in the tree
	if [[ -n ${FRESH-} ]]; then export GOCACHE=$stage/cache; fi
	mkdir "$stage/home"
	env HOME="$stage/home" TZ=Pacific/Auckland LC_ALL=C.UTF-8 GOFLAGS="-tags=faultpoint -buildvcs=true" GOAMD64=v3 \
		CGO_ENABLED=1 GOARCH=arm64 SOURCE_DATE_EPOCH=1 "$second/tools/release.sh" dist "$stage/second" "$@"
)
diff -r "$stage/first" "$stage/second" # says which, and ends with 1
(cd "$stage/second" && sha256sum --quiet -c SHA256SUMS && cat SHA256SUMS)
