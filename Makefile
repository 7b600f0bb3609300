# The front door: `make demo` runs the pipeline on a real plate, `make test` passes the tests.
# Both set up what they need in .venv; nothing outside this folder is changed.
PYTHON ?= python3
VENV := .venv
PROTOTYPE := .venv-prototype
COMMA := ,
BIN := $(VENV)/bin
CORES ?= all
PYTEST_WORKERS ?= 2
# what `make test` tests the conversions of; one that is missing then fails. Empty: what is installed.
# OpenCL needs a driver (pocl-opencl-icd for CPUs), which pip cannot install
OPENCL := $(if $(wildcard /etc/OpenCL/vendors/*.icd),$(COMMA)pyclesperanto)
export OPENHCS_TEST_MEMORY_TYPES ?= numpy,torch,tensorflow,jax$(OPENCL)

export PATH := $(CURDIR)/$(BIN):$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help demo test setup check lint types pytest test-all test-gpu test-prototype fmt golden schemas clean

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
	$(BIN)/pytest -n $(PYTEST_WORKERS) --dist worksteal -m "not gpu and not prototype and not thorough" --durations 20

test-all: $(BIN)/.installed-dev lint types ## Everything this machine can run
	$(BIN)/pytest -n $(PYTEST_WORKERS) --dist worksteal -m "not gpu and not prototype"

test-gpu: $(BIN)/.installed-dev ## What needs a CUDA device, with the libraries installed there
	OPENHCS_TEST_MEMORY_TYPES= $(BIN)/pytest -m gpu

test-prototype: $(PROTOTYPE)/.installed ## pyclesperanto-prototype, in an environment with numpy < 2
	PYTHONPATH=$(CURDIR) $(PROTOTYPE)/bin/python -m pytest -m prototype tests/conformance/memory

fmt: $(BIN)/.installed-dev ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile workflow

golden: $(BIN)/.installed-dev ## Rewrite golden files; review the diff
	OPENHCS_REWRITE_GOLDEN=1 $(BIN)/pytest tests/golden

schemas: $(BIN)/.installed-dev ## Rewrite workflow/schemas from the models
	$(BIN)/python -m openhcs_core.config.schemas workflow/schemas

clean: ## Remove results and the environment
	rm -rf results .snakemake $(VENV) $(PROTOTYPE)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11, 1))' \
	  || { echo "Python 3.11.1 or newer is needed; set PYTHON=…"; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
	  || { rm -rf $(VENV); echo "On Debian and Ubuntu: apt install python3-venv"; exit 1; }

$(BIN)/.installed: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

# torch alone and first: a mirror may have a CPU build of this version, and of this one only, which
# is a tenth of the size; elsewhere any will do
$(BIN)/.installed-dev: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet 'torch==2.13.0' || $(BIN)/python -m pip install --quiet 'torch>=2.4'
	$(BIN)/python -m pip install --quiet --editable '.[dev,frameworks]'
	@touch $@ $(BIN)/.installed

# only openhcs_core.memory is imported there: the rest needs numpy 2
$(PROTOTYPE)/.installed: $(BIN)/python pyproject.toml
	$(PYTHON) -m venv $(PROTOTYPE)
	$(PROTOTYPE)/bin/python -m pip install --quiet 'numpy<2' pyclesperanto-prototype pydantic natsort ruamel.yaml pytest
	@touch $@
