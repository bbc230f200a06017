# `make` alone says what there is. Every verb sets up what it needs first: a virtual environment in
# .venv from uv.lock, with uv itself through pip where the machine has none. Nothing else of the
# machine is touched.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= $(firstword $(shell command -v python3.11 python3.12 python3.13 python3))
BIN    := .venv/bin
# A shim that answers for no version is as good as none, so ask it.
UV     := $(shell uv --version >/dev/null 2>&1 && echo uv || echo $(BIN)/uv)
SYNC   := $(UV) sync --frozen --inexact --quiet --extra all
export UV_PROJECT_ENVIRONMENT := .venv
export UV_PYTHON_DOWNLOADS := never
# A virtual environment of the caller is not ours to fill.
unexport VIRTUAL_ENV

.PHONY: help up test test-real servers up-servers lint pytest bench audit clean

help: ## What each verb does
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up: .venv/run ## Run everything: CONTACT=you@example.org (live) SOURCE=… PORT=… ARGS="--open …"
	@$(BIN)/bvw up $(if $(CONTACT),--contact '$(CONTACT)') \
		$(if $(SOURCE),--source '$(SOURCE)') $(if $(PORT),--port '$(PORT)') $(ARGS)

test: lint pytest ## All that CI checks: lint, then the tests: ARGS="-k words …"

pytest: .venv/dev
	$(BIN)/pytest -n auto --maxprocesses 4 --dist loadfile $(ARGS)

# What runs over real servers too. A launcher of tests/launchers starts each that has no BVW_TEST_…_URL.
REAL := tests/contract/test_batchview.py tests/contract/test_cache.py tests/contract/test_elasticsearch.py \
        tests/contract/test_kafka.py tests/contract/test_log.py tests/contract/test_mongo.py \
        tests/contract/test_speedview.py tests/contract/test_topics.py tests/journeys/test_servers.py

test-real: .venv/dev ## The tests that need real servers, which it starts and stops
	$(BIN)/python -m tests.launchers with -- $(BIN)/pytest --backends=real $(REAL) $(ARGS)

servers: .venv/dev ## Start the servers that tests use, print their URLs, stop them at Ctrl-C
	@$(BIN)/python -m tests.launchers up

# The servers begin empty and keep nothing, so the data directory does too.
up-servers: .venv/dev ## Run everything over servers that it starts: SOURCE=… CONTACT=… PORT=… ARGS=…
	@data=$$(mktemp -d) && trap 'rm -rf "$$data"' EXIT && \
		$(BIN)/python -m tests.launchers product -- $(BIN)/bvw up --data "$$data" \
		$(if $(CONTACT),--contact '$(CONTACT)') $(if $(SOURCE),--source '$(SOURCE)') \
		$(if $(PORT),--port '$(PORT)') $(ARGS)

lint: .venv/dev ## ruff, mypy --strict and the import contracts
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/dev ## Benchmarks beside their peers: JSON=out.json
	$(BIN)/python -m bench $(if $(JSON),--json '$(JSON)') $(ARGS)

audit: .venv/run ## Recount what the running product (or the last directory) answers
	@$(BIN)/bvw audit $(ARGS)

clean: ## Remove the environment and the caches (never data)
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build
	find . -name __pycache__ -prune -exec rm -rf {} +

# uv from the machine makes the environment itself; otherwise pip brings uv into a new one.
.venv/made:
	@test -n "$(PYTHON)" && "$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "make: Python 3.11 or newer is needed; PYTHON=/path/to/python names one" >&2; exit 1; }
	@test "$(UV)" = uv && uv venv --quiet --allow-existing --python "$(PYTHON)" .venv \
		|| "$(PYTHON)" -m venv .venv \
		|| { echo "make: '$(PYTHON) -m venv' fails; Debian: apt-get install python3-venv" >&2; exit 1; }
	@test "$(UV)" = uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check 'uv>=0.7'
	@touch $@

.venv/run: pyproject.toml uv.lock | .venv/made
	$(SYNC) --no-dev
	@touch $@

.venv/dev: pyproject.toml uv.lock | .venv/made
	$(SYNC)
	@touch $@ .venv/run
