# python.sh is read by the scripts that use Python: it finds those that sdk/python is for, and
# keeps an environment with the pinned tools for each in $PYTHON_CACHE. Nothing is left in
# the tree.

readonly python_sdk=$root/sdk/python
readonly python_minors=(10 11 12 13)

python_pins=$(sha256sum "$python_sdk/requirements-dev.txt")
python_cache=${PYTHON_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/pyro/python-${python_pins:0:12}}
mkdir -p "$python_cache"
export PYTHONPYCACHEPREFIX=$python_cache/bytecode RUFF_CACHE_DIR=$python_cache/ruff PIP_DISABLE_PIP_VERSION_CHECK=1

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

# python_tools PYTHON MINOR prints the environment of that Python, and makes it first if need be.
# An install that was cut off leaves nothing behind that looks like one.
python_tools() {
	local venv=$python_cache/3.$2
	if [[ ! -e $venv/installed ]]; then
		rm -rf "$venv"
		"$1" -m venv "$venv"
		"$venv/bin/pip" install --quiet --no-deps -r "$python_sdk/requirements-dev.txt"
		touch "$venv/installed"
	fi
	echo "$venv"
}

# newest_tools prints the environment of the newest Python that is here.
newest_tools() {
	local at python
	for ((at = ${#python_minors[@]} - 1; at >= 0; at--)); do
		if python=$(find_python "${python_minors[at]}"); then
			python_tools "$python" "${python_minors[at]}"
			return
		fi
	done
	echo "no Python from 3.${python_minors[0]} on is here" >&2
	return 1
}
