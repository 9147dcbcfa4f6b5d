# Everything that a person or CI does with a clone. Nothing is left outside it: the virtual
# environment is .venv, and every cache and temporary file is below .cache.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
BIN := .venv/bin

export TMPDIR := $(CURDIR)/.cache/tmp
export XDG_CACHE_HOME := $(CURDIR)/.cache
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_CACHE_DIR := 1
$(shell mkdir -p .cache/tmp)

PROTOS := $(shell find protos -name '*.proto' 2>/dev/null)

.PHONY: help
help: ## Show this list.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

.PHONY: setup
setup: .venv/.taskwire ## Make .venv with everything but servers; quick when nothing changed.

# The requirements come from a lock with hashes; only the lock decides what is installed.
.venv/.requirements: requirements/dev.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("taskwire needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Name another one: make setup PYTHON=python3.12")'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo 'Python has no venv module here. Install it with: apt-get install python3-venv' >&2; exit 1; }
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --require-hashes --only-binary :all: -r requirements/dev.txt
	@touch $@

# The editable install runs hatch_build.py, which generates the code of protos/. It uses the
# generators of the lock, not the ones that pip would fetch for an isolated build.
.venv/.taskwire: .venv/.requirements pyproject.toml hatch_build.py $(PROTOS)
	$(BIN)/python -m pip install --quiet --no-build-isolation --no-deps --editable .
	@touch $@

.PHONY: proto
proto: .venv/.requirements ## Generate the code of protos/ again.
	$(BIN)/python hatch_build.py
