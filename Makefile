# Everything a newcomer needs: `make demo` and `make test`. Each sets up .venv by itself.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
STUDIES ?=

.PHONY: help demo test lint types contracts tests test-slow test-benchmarks format setup clean screenshots

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "%-18s %s\n", $$1, $$2}'

setup: $(READY) ## Make .venv with pinned dependencies

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "mi-tui needs Python 3.11 or newer: make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(READY) ## Open the app on the bundled pair
	@$(BIN)/mi-tui demo

test: lint types contracts tests ## Lint, types, import contracts and the test suite

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

contracts: $(READY)
	$(BIN)/lint-imports

tests: $(READY)
	$(BIN)/python -m pytest

test-slow: $(READY) ## The tests that take minutes
	$(BIN)/python -m pytest -m slow

test-benchmarks: $(READY) ## The tests that need lm-eval (installs it into .venv: 700 MB)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,benchmarks]'
	$(BIN)/python -m pytest -m "slow or not slow" tests/probes/test_benchmarks.py tests/probes/test_lm_eval.py tests/probes/test_lm_eval_parity.py tests/study/test_lm_eval_measures.py

screenshots: $(READY) ## Draw docs/screenshots anew, from a real study
	$(BIN)/python scripts/screenshots.py

format: $(READY) ## Let ruff sort imports and format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## Remove .venv and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
