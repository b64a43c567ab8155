#!/usr/bin/env bash
# test-e2e.sh BIN [-v -run=X …] runs the tests that boot sandboxes: e2e/ and the suite of
# the gVisor engine, with the programs that are in BIN.
#
# Everything is copied to a directory that any user can read and run from there: a
# checkout may lie under /root. As root the suites run twice, as root and as an
# ordinary user, because the two take different ways through user namespaces.
# Each run has a home of its own, so the state of whoever runs this is left alone.
set -euo pipefail

readonly uid=1500 # any number that is nobody's account
readonly suites=(e2e internal/gvisor)

bin=$(realpath "$1")
shift
flags=(-test.timeout=20m)
for flag in "$@"; do
	flags+=("${flag/#-/-test.}") # a compiled test has its flags under this prefix
done

cd "$(dirname "$0")/.."
stage=$(mktemp -d /var/tmp/pyro-e2e.XXXXXX)
trap 'rm -rf "$stage"' EXIT
chmod 0755 "$stage"

# stage_programs installs the binaries and compiles each suite once, beside a copy
# of the tree, since tests read files relative to their package.
stage_programs() {
	mkdir -m 0755 "$stage"/{bin,fault,old,probe,release,tests,tree}
	install -m 0755 "$bin"/* "$stage/bin/"
	CGO_ENABLED=0 go build -trimpath -buildvcs=false -tags faultpoint -o "$stage/fault/" ./cmd/pyro
	# The version before this one, as far as anybody can see from outside, and the one
	# file of a release.
	CGO_ENABLED=0 go build -trimpath -buildvcs=false -o "$stage/old/" \
		-ldflags "-X github.com/pyro-sandbox/pyro/internal/version.stamp=v0.0.1" ./cmd/pyro
	tools/release.sh "$(go env GOARCH)" "$stage/bin" "$stage/release/pyro"
	CGO_ENABLED=0 go build -trimpath -buildvcs=false -o "$stage/probe/" ./e2e/probe
	chmod 0755 "$stage"/{fault,old,release}/pyro "$stage/probe/probe"
	tar -c --exclude=./.git --exclude=./bin --exclude=./dist --exclude=./internal/programs/release . | tar -x -C "$stage/tree" --no-same-owner
	chmod -R a+rX "$stage/tree"

	# The modules of the root module for a test that builds it inside; taken from what is
	# there, without a network, and readable for everybody.
	local known
	known=$(go env GOMODCACHE)/cache/download
	GOMODCACHE=$stage/gomod GOPROXY=file://$known GOSUMDB=off GOFLAGS=-modcacherw \
		go mod download || true # the test says what it lacks
	mkdir -p "$stage/gomod"
	chmod -R a+rX "$stage/gomod"

	local dir
	for dir in "${suites[@]}"; do
		go test -c -o "$stage/tests/${dir//\//-}" "./$dir"
	done
	chmod -R a+rX "$stage/tests"
}

# run_as USER COMMAND… runs every suite through the command (env or setpriv).
run_as() {
	local user=$1 home=$stage/$1 dir code=0
	shift
	install -d -m 0700 -o "$user" "$home" "$home"/{state,cache,config,run}
	for dir in "${suites[@]}"; do
		echo "== $dir as uid $user"
		(
			cd "$stage/tree/$dir" || exit 1
			unset PYRO_STATE_DIR PYRO_CACHE_DIR PYRO_RUN_DIR PYRO_RUNSC TMPDIR
			export HOME=$home XDG_STATE_HOME=$home/state XDG_CACHE_HOME=$home/cache
			export XDG_CONFIG_HOME=$home/config XDG_RUNTIME_DIR=$home/run
			export PYRO_LIBDIR=$stage/bin PYRO_BINARY=$stage/bin/pyro PATH=$stage/bin:$PATH
			export GOMODCACHE=$stage/gomod
			export PYRO_FAULT_BINARY=$stage/fault/pyro # with the fault points that the tests strike at
			export PYRO_PROBE=$stage/probe/probe # what attacks from inside
			export PYRO_OLD_BINARY=$stage/old/pyro PYRO_RELEASE_BINARY=$stage/release/pyro
			exec "$@" "$stage/tests/${dir//\//-}" "${flags[@]}"
		) || {
			code=1
			echo "FAIL: $dir as uid $user"
		}
	done
	return "$code"
}

stage_programs
failed=0
run_as "$(id -u)" env || failed=1
if [[ $(id -u) -eq 0 ]]; then
	run_as "$uid" setpriv --reuid="$uid" --regid="$uid" --clear-groups || failed=1
fi
exit "$failed"
