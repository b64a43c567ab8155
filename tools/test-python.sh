#!/usr/bin/env bash
# test-python.sh [WORDS FOR PYTEST…] checks sdk/python on every Python from 3.10 to 3.13 that
# this machine has: formatting and lint once, then types and tests on each, and what is
# installed of it, as many at once as there are processors. The tools come from PyPI at pinned
# versions and are kept in $PYTHON_CACHE. The tests that need a workspace run on the oldest
# and the newest, if PYRO_BINARY is set.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/tools/python.sh"
cd "$python_sdk"
logs=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$logs"' EXIT
failed=0

# begin NAME COMMAND… starts a check when there is a processor for it.
begin() {
	while (($(jobs -rp | wc -l) >= $(nproc))); do
		wait -n || true
	done
	("${@:2}" >"$logs/$1" 2>&1 || echo "== $1 failed ==" >>"$logs/$1") &
}

# finish waits for all checks and shows what they said.
finish() {
	local log
	wait
	for log in "$logs"/*; do
		echo "== ${log##*/}"
		cat "$log"
		if tail -n 1 "$log" | grep -q '^== .* failed ==$'; then failed=1; fi
	done
}

# check VENV WORDS…
check() {
	"$1/bin/mypy" --cache-dir "$python_cache/mypy" --no-error-summary || return
	"$1/bin/pytest" --quiet -p no:cacheprovider "${@:2}"
}

found=()
for minor in "${python_minors[@]}"; do
	if find_python "$minor" >/dev/null; then found+=("$minor"); else echo "python3.$minor: not here"; fi
done
[[ ${#found[@]} -gt 0 ]] || { echo "no Python from 3.10 to 3.13 is here" >&2 && exit 1; }
for minor in "${found[@]}"; do
	venv=$(python_tools "$(find_python "$minor")" "$minor")
	which=()
	case $minor in
	"${found[0]}")
		"$venv/bin/ruff" format --check --quiet --diff . "$root/tools/wheel.py"
		"$venv/bin/ruff" check --quiet . "$root/tools/wheel.py"
		;;
	"${found[-1]}") ;;
	*) which=("--ignore-glob=*live*") ;; # the oldest and the newest tell
	esac
	begin "python3.$minor" check "$venv" "${which[@]}" "$@"
done
begin wheel "$root/tools/test-wheel.sh"
finish
echo "checked on ${found[*]/#/3.}"
exit "$failed"
