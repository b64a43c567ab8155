#!/usr/bin/env bash
# fuzz.sh TIME runs every fuzz target of both modules for TIME (10s, 5m). The
# targets are found by their names, and the toolchain takes one at a time.
# An input that breaks something is left in testdata/fuzz of its package.
#
# On a busy machine the toolchain itself fails at the end of TIME with nothing but
# "context deadline exceeded" (golang.org/issue/75804): no input was found then, and
# that is not taken for a failure.
set -euo pipefail

time=$1
cd "$(dirname "$0")/.."

log=$(mktemp)
trap 'rm -f "$log"' EXIT

# found tells a run that found an input, or broke otherwise, from one that was only
# cut off at the end of its time.
found() {
	! grep -qx ' *context deadline exceeded' "$log" ||
		grep -qE 'Failing input written|panic:|_test\.go:[0-9]+:|fuzzing process' "$log"
}

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
	(cd "$module" && go test -run='^$' -fuzz="^$name\$" -fuzztime="$time" "$relative") 2>&1 |
		tee "$log" || ! found || failed+=("$package $name")
done 3< <(grep -roE '^func Fuzz\w+' --include='*_test.go' . | sort)

echo "$count targets, ${#failed[@]} failed"
if ((${#failed[@]} > 0)); then
	printf 'FAIL: %s\n' "${failed[@]}"
	exit 1
fi
