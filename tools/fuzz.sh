#!/usr/bin/env bash
# fuzz.sh TIME runs every fuzz target of both modules for TIME (10s, 5m). The
# targets are found by their names, and the toolchain takes one at a time.
# An input that breaks something is left in testdata/fuzz of its package.
set -euo pipefail

time=$1
cd "$(dirname "$0")/.."

failed=()
count=0
while IFS=: read -r file declaration <&3; do
	name=${declaration#func }
	package=$(dirname "$file")
	module=. relative=$package
	if [[ $package == ./gvisor/* ]]; then
		module=gvisor relative=./${package#./gvisor/}
	fi
	count=$((count + 1))
	echo "== $package $name"
	(cd "$module" && go test -run='^$' -fuzz="^$name\$" -fuzztime="$time" "$relative") ||
		failed+=("$package $name")
done 3< <(grep -roE '^func Fuzz\w+' --include='*_test.go' . | sort)

echo "$count targets, ${#failed[@]} failed"
if ((${#failed[@]} > 0)); then
	printf 'FAIL: %s\n' "${failed[@]}"
	exit 1
fi
