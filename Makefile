# Everything that a person or CI does with a clone. Nothing is left outside it: the virtual
# environment is .venv, and every cache, tool and temporary file is below .cache.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
BIN := .venv/bin
CACHE := $(CURDIR)/.cache

# What `make lint` compares the contract with: the newest release, or before the first one the
# commit that completed the contract.
PROTO_BASE ?= $(shell git describe --tags --abbrev=0 --match 'v*' 2>/dev/null || \
	git log --diff-filter=A --format=%H -- protos/taskwire/v1/errors.proto 2>/dev/null | tail -n 1)

GRPCURL_VERSION := v1.9.4

export TMPDIR := $(CACHE)/tmp
export XDG_CACHE_HOME := $(CACHE)
export PIP_NO_CACHE_DIR := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
$(shell mkdir -p .cache/tmp)

.PHONY: help
help: ## Show this list.
	@grep -hE '^[a-z-]+:.*## ' Makefile | awk -F ':.*## ' '{printf "  make %-15s %s\n", $$1, $$2}'

.PHONY: run
run: setup ## Start taskwire in one process, with the example tasks: nothing else to install.
	@$(BIN)/taskwire dev

.PHONY: setup
setup: .venv/.taskwire ## Make .venv with everything but servers; quick when nothing changed.

# The lock with its hashes decides what is installed, the generators of the build hook included.
# Everything is a wheel but for stringcase, one module that periskop-client brings along.
.venv/.requirements: requirements/dev.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit(f"taskwire needs Python 3.11 or newer, and this is {sys.version.split()[0]}. Name another one: make setup PYTHON=python3.12")'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo 'This Python cannot make virtual environments. Install: apt-get install python3-venv' >&2; exit 1; }
	@echo 'Making .venv, which takes about a minute.'
	test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --require-hashes --only-binary :all: --no-binary stringcase -r requirements/dev.txt
	@touch $@

# The editable install runs hatch_build.py, which generates the code of protos/. The folders are
# listed too, because theirs is the time that changes when a file is removed.
.venv/.taskwire: .venv/.requirements pyproject.toml hatch_build.py $(shell find protos)
	$(BIN)/python -m pip install --quiet --no-build-isolation --no-deps --editable .
	@touch $@

.PHONY: proto
proto: .venv/.requirements ## Generate the code of protos/ again.
	$(BIN)/python hatch_build.py

.PHONY: wheel
wheel: setup ## Build dist/taskwire-….whl, with the .proto files, descriptor sets and migrations inside.
	@rm -rf dist
	@$(BIN)/hatchling build --target wheel --directory dist

.PHONY: test
test: setup ## Run all tests but those of other languages; installs their servers if it may.
	@.ci/install-servers
	$(SIDE_BY_SIDE)
	$(BIN)/pytest -m "(servers or slow) and not polyglot and not chaos"

# These tests run side by side, one process a core. Those that start servers, and kill them, run
# one after another: their bounds are of times that a busy machine would stretch.
SIDE_BY_SIDE = $(BIN)/pytest --numprocesses auto --dist loadfile -m "not servers and not polyglot and not slow and not chaos"

# Left out are the tests that start taskwire, a command of it or pytest as a process.
.PHONY: test-fast
test-fast: setup ## Run the tests that start no server and no process: under two minutes.
	$(SIDE_BY_SIDE) $(addprefix --ignore tests/,cli docs e2e packaging mutations/test_check.py)

.PHONY: chaos
chaos: setup ## Play the fault matrix; MINUTES=60 for that long, ROWS=F7,F14 for these, SEED=123 STORE=sqlite for the same again.
	@.ci/install-servers
	@$(BIN)/python -m tests.chaos.run $(if $(MINUTES),--minutes $(MINUTES)) $(if $(ROWS),--rows $(ROWS)) $(if $(SEED),--seed $(SEED)) $(if $(STORE),--store $(STORE))

.PHONY: soak
soak: setup ## Play rows of the fault matrix on one long-lived cluster, for HOURS=8; SEED=123 for the same again.
	@.ci/install-servers
	@$(BIN)/python -m tests.chaos.soak $(if $(HOURS),--hours $(HOURS)) $(if $(SEED),--seed $(SEED))

.PHONY: mutations
mutations: setup ## Remove each guard on a copy of the tree: a test must fail; ONLY=name for one, WRITE=1 for its row of the docs.
	@.ci/install-servers
	@$(BIN)/python -m tests.mutations $(ONLY) $(if $(WRITE),--write)

# Go writes to its settings folder as well, so that one moves too; what it reads there stays.
GO_ENV := GOENV="$$(go env GOENV)" XDG_CONFIG_HOME="$(CACHE)/config" GOPATH="$(CACHE)/go" \
	GOBIN="$(CACHE)/bin" GOMODCACHE="$(CACHE)/go/mod" GOCACHE="$(CACHE)/go-build" \
	GOFLAGS=-modcacherw
NPM_ENV := npm_config_cache="$(CACHE)/npm" npm_config_update_notifier=false

.PHONY: test-polyglot
test-polyglot: setup .cache/grpcurl-$(GRPCURL_VERSION) tests/polyglot/node/node_modules ## Call taskwire with grpcurl and with a Node stub.
	@.ci/install-servers
	PATH="$(CACHE)/bin:$$PATH" $(BIN)/pytest -m polyglot

.cache/grpcurl-$(GRPCURL_VERSION):
	@command -v go >/dev/null || { echo 'The polyglot tests build grpcurl with Go. Install: apt-get install golang-go' >&2; exit 1; }
	$(GO_ENV) go install github.com/fullstorydev/grpcurl/cmd/grpcurl@$(GRPCURL_VERSION)
	@touch $@

tests/polyglot/node/node_modules: tests/polyglot/node/package-lock.json
	@command -v npm >/dev/null || { echo 'The polyglot tests call taskwire from Node. Install: apt-get install nodejs npm' >&2; exit 1; }
	$(NPM_ENV) npm ci --silent --no-audit --no-fund --ignore-scripts --prefix tests/polyglot/node
	@touch $@

.PHONY: recovery
recovery: setup ## Measure how long each loss delays a task, ROUNDS=5 times, and write the README's table.
	@.ci/install-servers
	$(BIN)/python -m tests.chaos.recovery --rounds $(ROUNDS)

ROUNDS := 5

.PHONY: bench
bench: setup .cache/bench-venv/.requirements ## Measure taskwire beside its peers, some 20 minutes, and write the tables and plots; BENCH="--pairs 3" for less.
	@.ci/install-servers h2load
	@$(BIN)/python -m bench --publish $(BENCH)

.PHONY: bench-quick
bench-quick: setup .cache/bench-venv/.requirements ## The part of it that fits into three minutes; nothing is written into the tree.
	@.ci/install-servers h2load
	@$(BIN)/python -m bench --quick $(BENCH)

.PHONY: bench-lists
bench-lists: setup ## Measure lists and counts with a million tasks; BENCH="--tasks 100000 --stores sqlite" for less.
	@.ci/install-servers
	$(BIN)/python -m bench.lists $(BENCH)

# The other programs have an environment of their own: their versions must not bend ours.
.cache/bench-venv/.requirements: requirements/bench.txt
	test -x .cache/bench-venv/bin/pip || $(PYTHON) -m venv .cache/bench-venv
	.cache/bench-venv/bin/python -m pip install --quiet --require-hashes --only-binary :all: -r requirements/bench.txt
	@touch $@

.PHONY: lint
lint: setup ## Check style, types, the arrows between the rooms and the contract.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --cache-dir .cache/import-linter
	$(BIN)/buf format --diff --exit-code
	$(BIN)/python hatch_build.py --image .cache/contract.binpb
	$(BIN)/buf lint .cache/contract.binpb --path taskwire
	$(BIN)/buf format --diff --exit-code examples/orders/protos
	$(BIN)/taskwire contracts build examples/orders/protos --out .cache/orders.binpb
	$(BIN)/buf lint .cache/orders.binpb --path acme
	@$(MAKE) breaking

.PHONY: breaking
breaking: .venv/.requirements
	@base="$(PROTO_BASE)"; \
	if [ -z "$$base" ]; then echo "The history holds no contract to compare this one with."; exit 0; fi; \
	echo "Comparing the contract with that of $$base."; \
	rm -rf .cache/base && mkdir -p .cache/base; \
	git archive "$$base" protos | tar -x -C .cache/base; \
	$(BIN)/python hatch_build.py --source .cache/base/protos --image .cache/base/contract.binpb; \
	$(BIN)/python hatch_build.py --image .cache/contract.binpb; \
	$(BIN)/buf breaking .cache/contract.binpb --against .cache/base/contract.binpb --path taskwire

.PHONY: lock
lock: .venv/.requirements ## Write requirements/*.txt anew from pyproject.toml; UPGRADE=--upgrade takes newer releases.
	$(BIN)/uv pip compile pyproject.toml --output-file requirements/runtime.txt $(LOCK)
	$(BIN)/uv pip compile pyproject.toml --group dev --constraint requirements/runtime.txt --output-file requirements/dev.txt $(LOCK)
	$(BIN)/uv pip compile requirements/bench.in --output-file requirements/bench.txt $(LOCK)

LOCK := --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url $(UPGRADE)

.PHONY: clean
clean: ## Remove everything that make has made; data/ stays.
	rm -rf .venv .cache dist taskwire/_contracts tests/polyglot/node/node_modules .hypothesis
	find taskwire -name '*_pb2*.py*' -delete
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
