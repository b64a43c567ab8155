#!/usr/bin/env bash
# conformance.sh PYRO runs the protocol's official conformance suite against a pyro,
# over HTTP, for one revision of each era. The suite's fixtures are the hidden profile
# `conformance`, on the stack that serves all others (internal/mcpserver/conformance).
#
# It fails on every scenario that fails and is not in tools/conformance.expected, and on
# those in there that pass. The suite and the Node that it wants come from npm and are
# kept in $CONFORMANCE_CACHE.
set -euo pipefail

readonly suite=0.2.0-alpha.12 node=22.23.3
readonly revisions=(2025-11-25 2026-07-28)

pyro=$(realpath "$1")
cd "$(dirname "$0")/.."
cache=${CONFORMANCE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/pyro/conformance-$suite-$node}
work=$(mktemp -d /var/tmp/pyro-conformance.XXXXXX)
server=
finish() {
	if [[ -n $server ]]; then kill "$server" && wait "$server" || true; fi
	rm -rf "$work"
}
trap finish EXIT

# An install that was cut off leaves nothing behind that looks like one.
if [[ ! -e $cache/node_modules/.bin/conformance ]]; then
	mkdir "$work/npm" && echo '{"private": true}' >"$work/npm/package.json"
	npm --prefix "$work/npm" install --no-audit --no-fund --loglevel=error \
		"node@$node" "@modelcontextprotocol/conformance@$suite"
	mkdir -p "$(dirname "$cache")" && rm -rf "$cache" && mv "$work/npm" "$cache"
fi
export PATH=$cache/node_modules/.bin:$PATH

env -u PYRO_MCP_TOKEN PYRO_STATE_DIR="$work/s" PYRO_RUN_DIR="$work/r" PYRO_CACHE_DIR="$work/c" \
	"$pyro" mcp serve --profile conformance --transport http --listen 127.0.0.1:0 --no-auth 2>"$work/server" &
server=$!
url=
for ((i = 0; i < 100 && ${#url} == 0; i++)); do
	url=$(sed -n 's/^listening on //p' "$work/server")
	[[ -n $url ]] || sleep 0.1
done
[[ -n $url ]] || { cat "$work/server" >&2 && exit 1; }

sed -n 's/^\([a-z][^ ]*\)  *.*/\1/p' tools/conformance.expected | sort >"$work/expected"
verdict=0
for revision in "${revisions[@]}"; do
	(cd "$work" && timeout 300 conformance server --url "$url" --requirements "$revision") >"$work/log" || true
	sed -n '/^=== SUMMARY ===$/,/^Total:/p' "$work/log" >"$work/summary"
	if ! grep -q '^Total:' "$work/summary"; then
		echo "$revision: the suite came to no end" >&2
		tail -n 40 "$work/log" >&2
		exit 1
	fi
	sed -n 's/^✗ \([^:]*\):.*/\1/p' "$work/summary" | sort >"$work/failed"
	sed -n 's/^✓ \([^:]*\):.*/\1/p' "$work/summary" | sort >"$work/passed"
	echo "$revision: $(wc -l <"$work/passed") scenarios passed, $(wc -l <"$work/failed") failed; $(grep '^Total:' "$work/summary")"
	unexpected=$(comm -23 "$work/failed" "$work/expected")
	outdated=$(comm -12 "$work/passed" "$work/expected")
	if [[ -n $unexpected$outdated ]]; then
		verdict=1
		for name in $outdated; do echo "  $name passes, and is expected to fail"; done
		for name in $unexpected; do
			echo "  $name FAILED"
			sed -n "/^=== Running scenario: $name ===\$/,/^=== /p" "$work/log"
		done
		tail -n 20 "$work/server"
	fi
done
exit "$verdict"
