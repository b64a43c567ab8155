#!/usr/bin/env bash
# hosts.sh DIR installs the chat hosts that pyro is tested with into DIR, at pinned
# versions, and the Node that they want. What is there already is not fetched again. Tests
# find them by PYRO_HOSTS_DIR=DIR.
set -euo pipefail

readonly node=node@22.23.3
readonly hosts=(
	@anthropic-ai/claude-code@2.1.330
	@openai/codex@0.169.0
	opencode-ai@1.18.33
	@google/gemini-cli@0.61.0
)

dir=$(realpath -m "$1")
mkdir -p "$dir"
wanted=$(printf '%s\n' "$node" "${hosts[@]}")
if [[ -f $dir/installed && $(<"$dir/installed") == "$wanted" ]]; then
	exit 0
fi
# Under an older Node npm installs older hosts without a word, so Node comes first. What
# the packages run when they are installed is not needed but for Node's own.
npm install --no-audit --no-fund --no-save --prefix "$dir" "$node"
export PATH=$dir/node_modules/.bin:$PATH
npm install --no-audit --no-fund --no-save --prefix "$dir" "$node" "${hosts[@]}"
for program in node claude codex opencode gemini; do
	"$dir/node_modules/.bin/$program" --version >/dev/null
done
chmod -R a+rX "$dir"
printf '%s\n' "$wanted" >"$dir/installed"
