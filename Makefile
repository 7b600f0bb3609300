# The front door: `make demo` runs the pipeline on a real plate, `make test` passes the tests.
# Both set up what they need in .venv; nothing outside this folder is changed.
PYTHON ?= python3
VENV := .venv
PROTOTYPE := .venv-prototype
SLURM := .venv-slurm
TOOLS := .venv-tools
COMMA := ,
BIN := $(VENV)/bin
CORES ?= all
PYTEST_WORKERS ?= 2
# what `make test` tests the conversions of; one that is missing then fails. Empty: what is installed.
# OpenCL needs a driver (pocl-opencl-icd for CPUs), which pip cannot install
OPENCL := $(if $(wildcard /etc/OpenCL/vendors/*.icd),$(COMMA)pyclesperanto)
export OPENHCS_TEST_MEMORY_TYPES ?= numpy,torch,tensorflow,jax$(OPENCL)

HAS_SLURM := PATH="$$PATH:/usr/sbin" command -v slurmctld >/dev/null
NO_SLURM := tests of Slurm are skipped: there is none here (apt install slurmctld slurmd slurm-client munge)

export PATH := $(CURDIR)/$(BIN):$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help demo test setup check lint types pytest test-all test-gpu test-prototype test-tools test-slurm slurm-sample run-slurm-sample fmt golden schemas lock clean

help: ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

demo: $(BIN)/.installed ## Set up, run the pipeline on the demo plate, say where results are
	@echo "Running the pipeline on data/demo/9987_Plate_3434 …"
	@$(BIN)/snakemake --cores $(CORES) --quiet rules host

test: $(BIN)/.installed-dev check slurm-sample ## Set up, then lint, type-check and test

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
	$(BIN)/pytest -n $(PYTEST_WORKERS) --dist worksteal -m "not gpu and not prototype and not slurm and not thorough" --durations 20

test-all: $(BIN)/.installed-dev lint types ## Everything this machine can run
	$(BIN)/pytest -n $(PYTEST_WORKERS) --dist worksteal -m "not gpu and not prototype and not slurm"
	@if $(HAS_SLURM); then $(MAKE) test-slurm; else echo "$(NO_SLURM)"; fi

test-gpu: $(BIN)/.installed-dev ## What needs a CUDA device, with the libraries installed there
	OPENHCS_TEST_MEMORY_TYPES= $(BIN)/pytest -m gpu

test-prototype: $(PROTOTYPE)/.installed ## pyclesperanto-prototype, in an environment with numpy < 2
	PYTHONPATH=$(CURDIR) $(PROTOTYPE)/bin/python -m pytest -m prototype tests/conformance/memory

test-slurm: $(SLURM)/.installed ## On a Slurm cluster that the tests start on this machine
	PATH="$(CURDIR)/$(SLURM)/bin:$$PATH" OPENHCS_TEST_SLURM=1 $(SLURM)/bin/python -m pytest tests/slurm

# a part of them, for every change; OPENHCS_TEST_SLURM=1 makes it an error that there is no Slurm
slurm-sample:
	@if $(HAS_SLURM) || [ "$$OPENHCS_TEST_SLURM" = 1 ]; then $(MAKE) run-slurm-sample; else echo "$(NO_SLURM)"; fi

run-slurm-sample: $(SLURM)/.installed
	PATH="$(CURDIR)/$(SLURM)/bin:$$PATH" $(SLURM)/bin/python -m pytest -m "slurm and not thorough" tests/slurm

test-tools: $(BIN)/.installed-dev $(TOOLS)/.installed ## With a validator of crates and snakedeploy, in an environment of their own
	$(BIN)/pytest tests/integration/test_crates.py tests/integration/test_deployed.py

fmt: $(BIN)/.installed-dev ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile workflow

golden: $(BIN)/.installed-dev ## Rewrite golden files; review the diff
	OPENHCS_REWRITE_GOLDEN=1 $(BIN)/pytest tests/golden

schemas: $(BIN)/.installed-dev ## Rewrite workflow/schemas from the models
	$(BIN)/python -m openhcs_core.config.schemas workflow/schemas

lock: $(BIN)/.installed-dev ## Write the lock file of every extra anew, with the newest versions (uv)
	$(BIN)/python locks/make_locks.py $(LOCK_OPTIONS)

clean: ## Remove results and the environment
	rm -rf results .snakemake $(VENV) $(PROTOTYPE) $(TOOLS) $(SLURM)

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

# what $(VENV) has is seen there and not installed again
$(SLURM)/.installed: $(BIN)/.installed
	$(PYTHON) -m venv $(SLURM)
	$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' \
	  > "$$($(SLURM)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/of_venv.pth"
	$(SLURM)/bin/python -m pip install --quiet --editable '.[slurm]' pytest pytest-xdist
	@touch $@

# they need other versions of libraries than the rest
$(TOOLS)/.installed: $(BIN)/python
	$(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/python -m pip install --quiet roc-validator snakedeploy
	@touch $@
