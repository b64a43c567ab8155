#!/usr/bin/env bash
# wheel.sh OUT ARCH… makes the wheels of sdk/python for these architectures (amd64, arm64) in
# the directory OUT, each with the one file pyro inside, as tools/release.sh makes it. STAMP
# is its version, as the Makefile finds it; that of the wheel is the package's.
# wheel.sh OUT ARCH PYRO puts that file in, whatever it is.
#
# The same sources, and the same Go, Python and setuptools, give the same bytes.
set -euo pipefail
umask 022

root=$(cd "$(dirname "$0")/.." && pwd)
dest() { case $1 in /*) echo "$1" ;; *) echo "$PWD/$1" ;; esac }
. "$root/tools/python.sh"

# pack OUT ARCH PYRO
pack() {
	local tree=$stage/tree-$2 machine
	case $2 in
	amd64) machine=x86_64 ;;
	arm64) machine=aarch64 ;;
	*) echo "no such architecture: $2" >&2 && return 2 ;;
	esac
	# A copy: setuptools leaves things beside what it builds, and takes them for sources later.
	mkdir -p "$tree"
	tar -C "$python_sdk" -c --exclude=__pycache__ --exclude='*.egg-info' pyproject.toml README.md LICENSE src | tar -C "$tree" -xm
	install -D -m 0755 "$3" "$tree/src/pyro_mcp/bin/pyro"
	install -m 0644 "$root/NOTICE" "$tree/NOTICE"
	install -m 0644 "$root/internal/licenses/third-party.txt" "$tree/LICENSE-THIRD-PARTY.txt"
	"$venv/bin/pip" wheel --quiet --no-deps --no-index --no-build-isolation --wheel-dir "$stage/pure-$2" \
		--config-settings=--build-option=--compression=stored "$tree"
	# pyro is static: neither the C library of manylinux nor that of musllinux is asked for.
	"$venv/bin/python" "$root/tools/wheel.py" "$stage/pure-$2"/*.whl "$1" \
		"manylinux_2_17_$machine" "manylinux2014_$machine" "musllinux_1_1_$machine"
}

out=$(dest "$1")
shift
venv=$(newest_tools)
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
mkdir -p "$out"
if [[ $# -eq 2 && $2 != arm64 && $2 != amd64 ]]; then
	pack "$out" "$1" "$2"
	exit
fi
"$root/tools/release.sh" dist "$stage/release" "$@"
for arch in "$@"; do
	pack "$out" "$arch" "$stage"/release/pyro-*-linux-"$arch"
done
