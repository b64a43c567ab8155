#!/usr/bin/env bash
# test-python.sh [WORDS FOR PYTEST…] checks sdk/python on every Python from 3.10 to 3.13 that
# this machine has: formatting and lint once, then types and tests on each. The tools come
# from PyPI at pinned versions and are kept in $PYTHON_CACHE. The tests that need a workspace
# run if PYRO_BINARY is set.
set -euo pipefail

readonly minors=(10 11 12 13)

cd "$(dirname "$0")/../sdk/python"
pins=$(sha256sum requirements-dev.txt)
cache=${PYTHON_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/pyro/python-${pins:0:12}}
mkdir -p "$cache"
# Nothing is left in the tree.
export PYTHONPYCACHEPREFIX=$cache/bytecode RUFF_CACHE_DIR=$cache/ruff

# find_python MINOR prints the path of that Python. pyenv has a python3.x in PATH for each that is
# installed, and most of them do not run.
find_python() {
	local candidate
	for candidate in "python3.$1" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"3.$1".*/bin/python3; do
		if "$candidate" -c "import sys, venv; print(sys.executable); sys.exit(sys.version_info[:2] != (3, $1))" 2>/dev/null; then
			return
		fi
	done
	return 1
}

# An install that was cut off leaves nothing behind that looks like one.
install() {
	local python=$1 venv=$2
	if [[ ! -e $venv/installed ]]; then
		rm -rf "$venv"
		"$python" -m venv "$venv"
		"$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps -r requirements-dev.txt
		touch "$venv/installed"
	fi
}

checked=
for minor in "${minors[@]}"; do
	if ! python=$(find_python "$minor"); then
		echo "python3.$minor: not here"
		continue
	fi
	venv=$cache/3.$minor
	install "$python" "$venv"
	if [[ -z $checked ]]; then
		"$venv/bin/ruff" format --check --quiet --diff .
		"$venv/bin/ruff" check --quiet .
	fi
	checked+=" 3.$minor"
	echo "python3.$minor: mypy, pytest"
	"$venv/bin/mypy" --cache-dir "$cache/mypy" --no-error-summary
	"$venv/bin/pytest" --quiet -p no:cacheprovider "$@"
done
[[ -n $checked ]] || { echo "no Python from 3.10 to 3.13 is here" >&2 && exit 1; }
echo "checked on$checked"
