# make builds everything into bin/. make help lists the rest.
#
# Two modules: the root, and gvisor/, which alone depends on gVisor and takes
# minutes the first time. Everything is static: no cgo but for the race detector.

BIN       := $(CURDIR)/bin
FUZZTIME  ?= 10s
TESTFLAGS ?=

export CGO_ENABLED := 0

# A release tag as it is, any other commit by its short name; empty outside git.
STAMP := $(shell git describe --tags --exact-match --match 'v[0-9]*' --dirty=+dirty 2>/dev/null \
	|| git describe --always --exclude '*' --dirty=.dirty 2>/dev/null)

export STAMP # for tools/release.sh

# -buildvcs=false: the version comes by -X, so that a build neither needs git
# nor differs with GOFLAGS. See internal/version.
STAMPED := -X github.com/pyro-sandbox/pyro/internal/version.stamp=$(STAMP)
GOBUILD := go build -trimpath -buildvcs=false

# The tools are pinned in a module of their own, off the product's go.mod.
GOTOOL := go tool -modfile=$(CURDIR)/tools/go.mod

# tools/test-e2e.sh runs what boots sandboxes; all else is a unit test.
UNIT = $$(go list ./... | grep -v -e '/e2e$$' -e '/internal/gvisor$$')

.DEFAULT_GOAL := build

.PHONY: build
build: ## build pyro, pyro-agent, pyro-runsc and pyro-gateway into bin/
	$(GOBUILD) -ldflags "-s -w $(STAMPED)" -o $(BIN)/ ./cmd/pyro ./cmd/pyro-agent
	cd gvisor && $(GOBUILD) -ldflags "-s -w -X main.stamp=$(STAMP) \
		-X gvisor.dev/gvisor/runsc/version.version=$$(go list -m -f '{{.Version}}' gvisor.dev/gvisor)" \
		-o $(BIN)/ ./cmd/pyro-runsc ./cmd/pyro-gateway

.PHONY: run
run: build ## build, then run a first command in a sandbox
	$(BIN)/pyro run host -- sh -c 'id; uname -a'

.PHONY: test
test: build ## unit tests, end to end, Python; as root: end to end also as uid 1500 (TESTFLAGS=-v)
	PYRO_LIBDIR=$(BIN) PYRO_BINARY=$(BIN)/pyro go test $(TESTFLAGS) $(UNIT)
	go test $(TESTFLAGS) -tags faultpoint ./internal/store
	cd gvisor && go test -trimpath $(TESTFLAGS) ./...
	tools/test-e2e.sh $(BIN) $(TESTFLAGS)
	$(MAKE) --no-print-directory test-python

# A test binary with the race detector cannot boot gVisor, so nothing here is
# told where the helpers are, and what e2e runs is not instrumented anyway.
.PHONY: test-race
test-race: ## unit tests under the race detector (needs a C compiler)
	env -u PYRO_LIBDIR -u PYRO_BINARY -u PYRO_RUNSC -u PYRO_REQUIRE CGO_ENABLED=1 \
		go test -race -short $(TESTFLAGS) $$(go list ./... | grep -v '/e2e$$')

# The file for both architectures, twice, and nothing of where and how may show.
.PHONY: test-release
test-release: ## make the release twice, in other places, and want equal files
	tools/test-release.sh

# The suite comes from npm and is kept; see tools/conformance.sh.
.PHONY: test-conformance
test-conformance: build ## the protocol's own conformance suite, both eras (needs npm)
	tools/conformance.sh $(BIN)/pyro

# The hosts come from npm, 1.4 GB, and are kept; see tools/hosts.sh. Without them the
# tests are skipped. This runs none of the others.
HOSTS ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/pyro/hosts
.PHONY: test-hosts
test-hosts: build ## pyro in Claude Code, Codex, OpenCode and Gemini CLI (needs npm)
	tools/hosts.sh $(HOSTS)
	PYRO_REQUIRE=hosts PYRO_HOSTS_DIR=$(HOSTS) go test $(TESTFLAGS) -count=1 -run '^Test(HostsAreConnected|AgentFixesABug|ClaudeByHand)$$' ./e2e

# The tools come from PyPI and are kept; see tools/test-python.sh.
.PHONY: test-python
test-python: build ## the Python package on each Python 3.10 to 3.13 that is here (needs PyPI)
	PYRO_LIBDIR=$(BIN) PYRO_BINARY=$(BIN)/pyro tools/test-python.sh

# schemathesis comes from PyPI and is kept; see tools/test-schemathesis.sh.
.PHONY: test-api
test-api: build ## what openapi.json says against `pyro serve`, and what it forbids (needs PyPI)
	tools/test-schemathesis.sh $(BIN)/pyro

.PHONY: lint
lint: ## formatting, vet, staticcheck, house rules, the other platforms
	@echo gofumpt -l .
	@out=$$($(GOTOOL) gofumpt -l .) && test -z "$$out" || { echo "run make format:"; echo "$$out"; exit 1; }
	go vet ./...
	cd gvisor && go vet -trimpath ./...
	$(GOTOOL) staticcheck ./...
	go test ./internal/houserules
	GOOS=darwin go vet . ./api
	GOARCH=arm64 $(GOBUILD) -o /dev/null ./cmd/pyro ./cmd/pyro-agent

.PHONY: format
format: ## rewrite the sources as gofumpt wants them
	$(GOTOOL) gofumpt -w .

.PHONY: fuzz
fuzz: ## each fuzz target for FUZZTIME (10s)
	tools/fuzz.sh $(FUZZTIME)

.PHONY: release
release: ## one file pyro for each architecture, checksums, licenses, parts: into dist/
	tools/release.sh dist $(CURDIR)/dist

# GOARCH=arm64 makes the other one.
.PHONY: wheel
wheel: ## the Python package with the one file pyro in it, for GOARCH: into dist/
	tools/wheel.sh $(CURDIR)/dist $$(go env GOARCH)

.PHONY: generate
generate: ## run go generate in both modules
	go generate ./...
	cd gvisor && go generate ./...

.PHONY: clean
clean: ## remove what make made
	rm -rf $(BIN) $(CURDIR)/dist $(CURDIR)/internal/programs/release

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 14
