#!/usr/bin/env bash
# test-schemathesis.sh PYRO starts `PYRO serve` on a private state and asks it all that
# internal/httpapi/openapi.json describes, and what that forbids: answers have to be as
# described, and none a fault of pyro's. schemathesis comes from PyPI at pinned versions and
# is kept in $SCHEMATHESIS_CACHE. It takes some two minutes.
set -euo pipefail

pyro=$(realpath "$1")
shift
cd "$(dirname "$0")/schemathesis"
pins=$(sha256sum requirements.txt)
cache=${SCHEMATHESIS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/pyro/schemathesis-${pins:0:12}}
description=$PWD/../../internal/httpapi/openapi.json

# An install that was cut off leaves nothing behind that looks like one.
if [[ ! -e $cache/installed ]]; then
	rm -rf "$cache"
	python3 -m venv "$cache"
	"$cache/bin/pip" install --quiet --disable-pip-version-check --no-deps -r requirements.txt
	touch "$cache/installed"
fi

# Sockets have short names.
work=$(mktemp -d /tmp/pyro-api.XXXXXX)
chmod 755 "$work" # the sandbox has a user of its own
export PYRO_STATE_DIR=$work/s PYRO_RUN_DIR=$work/r PYRO_CAPACITY=12
server=
# Nothing may be left that runs; VMs are in no list but that of directories.
clean() {
	local id
	for id in $(ls "$PYRO_STATE_DIR/workspaces" 2>/dev/null); do
		"$pyro" workspace delete "$id" >/dev/null 2>&1 || delete_vm "$id" || true
	done
	[[ -z $server ]] || kill "$server" 2>/dev/null || true
	[[ -z $server ]] || wait "$server" || true
	rm -rf "$work"
}
delete_vm() {
	[[ -n ${PYRO_TEST_URL-} ]] || return
	"$cache/bin/python" - "$PYRO_TEST_URL/v1/vms/$1" <<-'END'
		import os, sys, urllib.request
		headers = {"Authorization": "Bearer " + os.environ["PYRO_TEST_TOKEN"]}
		urllib.request.urlopen(urllib.request.Request(sys.argv[1], method="DELETE", headers=headers), timeout=60).read()
	END
}
trap clean EXIT

"$cache/bin/openapi-spec-validator" "$description"

# The token is one that nothing else has.
PYRO_TEST_TOKEN=$(head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n')
export PYRO_TEST_TOKEN
(umask 077 && printf '%s\n' "$PYRO_TEST_TOKEN" >"$work/token")
"$pyro" serve --listen 127.0.0.1:0 --token-file "$work/token" --rate -1 --json >"$work/ready" 2>"$work/log" &
server=$!
for ((i = 0; i < 200; i++)); do
	[[ -s $work/ready ]] && break
	kill -0 "$server" || { cat "$work/log" >&2 && exit 1; }
	sleep 0.05
done
PYRO_TEST_URL=$(sed -n 's/.*"url": *"\([^"]*\)".*/\1/p' "$work/ready")
export PYRO_TEST_URL

export PYRO_TEST_ANSWERS=$work/answers PYTHONPATH=$PWD PYTHONDONTWRITEBYTECODE=1
config=$PWD/schemathesis.toml
(cd "$work" && "$cache/bin/schemathesis" --config-file "$config" run "$description" "$@") # it leaves files where it runs
kill -0 "$server" # it is still there

# What never succeeded was not asked in earnest. Frames are for other tests.
hollow=$(awk '$2 == 200 || $2 == 426 { good[$1] } { all[$1] } END { for (op in all) if (!(op in good)) print op }' "$work/answers")
[[ -z $hollow ]] || { echo "never succeeded: $hollow" >&2 && exit 1; }
