# The front door: `make demo` runs the pipeline on a real plate, `make test` passes the tests.
# Both set up what they need in .venv; nothing outside this folder is changed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CORES ?= all
PYTEST_WORKERS ?= 2

export PATH := $(CURDIR)/$(BIN):$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help demo test setup check lint types pytest test-all fmt golden schemas clean

help: ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

demo: $(BIN)/.installed ## Set up, run the pipeline on the demo plate, say where results are
	@echo "Running the pipeline on data/demo/9987_Plate_3434 …"
	@$(BIN)/snakemake --cores $(CORES) --quiet rules host

test: $(BIN)/.installed-dev check ## Set up, then lint, type-check and test

setup: $(BIN)/.installed-dev ## Set up for development

check: lint types pytest

lint: $(BIN)/.installed-dev ## Style, layers, spelling, workflow format and lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint
	$(BIN)/codespell

types: $(BIN)/.installed-dev ## mypy, strict
	$(BIN)/mypy

pytest: $(BIN)/.installed-dev
	$(BIN)/pytest -n $(PYTEST_WORKERS) --dist worksteal -m "not gpu and not thorough"

test-all: $(BIN)/.installed-dev lint types ## Everything this machine can run
	$(BIN)/pytest -n $(PYTEST_WORKERS) --dist worksteal

fmt: $(BIN)/.installed-dev ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile workflow

golden: $(BIN)/.installed-dev ## Rewrite golden files; review the diff
	OPENHCS_REWRITE_GOLDEN=1 $(BIN)/pytest tests/golden

schemas: $(BIN)/.installed-dev ## Rewrite workflow/schemas from the models
	$(BIN)/python -m openhcs_core.config.schemas workflow/schemas

clean: ## Remove results and the environment
	rm -rf results .snakemake $(VENV)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11, 1))' \
	  || { echo "Python 3.11.1 or newer is needed; set PYTHON=…"; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
	  || { rm -rf $(VENV); echo "On Debian and Ubuntu: apt install python3-venv"; exit 1; }

$(BIN)/.installed: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(BIN)/.installed-dev: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@ $(BIN)/.installed
