# Two commands matter: `make demo` and `make test`. Everything runs inside .venv, made from the pinned lock.
PYTHON ?= python3
CORES ?= all
VENV := .venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
# One thread per process: at this size, jobs side by side beat threads, and numbers do not depend on the core count.
export OMP_NUM_THREADS ?= 1

.PHONY: help demo fashion test long portable slurm lint format docs bench lock clean

help:  ## Say what can be made
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

$(VENV)/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python >= 3.11 is needed, found $$($(PYTHON) --version); name another one: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

# Numbers that are not the documented ones are told, and are no error: the study has checks of its own.
COMPARE = if [ -e $(2) ]; then titok compare results/$(1) $(2) || true; \
	else echo "$(2) is not there, so the numbers were not compared with the documentation's"; fi

demo: $(VENV)/.installed  ## The whole paper in miniature, then where its report lies
	snakemake --cores $(CORES)
	@echo
	@echo "The report: $(CURDIR)/results/digits/report.html"
	@$(call COMPARE,digits,docs/measurements/digits-numbers.csv)

# One seed of the grid; `make fashion FASHION=` is the whole study.
FASHION ?= core
fashion: $(VENV)/.installed  ## The first hour of the study on photographs (Debian's dataset-fashion-mnist)
	snakemake $(FASHION) --cores $(CORES) --configfile config/fashion.yaml
	@$(call COMPARE,fashion,docs/evidence/fashion)

# Beside numbers of the released code, which were made natively, most of them at the official size.
NATIVE := tests/losses tests/models tests/generation tests/evaluation/test_reference.py \
	tests/training/test_golden_stage1_steps.py tests/training/test_golden_alit_stage1.py tests/test_benchmarks.py tests/test_benchmark_settings.py

# Which tests; `make test MARKED="-m 'not slurm and not emulated'"` is test and long at once, which then share what they train.
MARKED ?=

test: $(VENV)/.installed  ## Run the tests that a change needs (minutes)
	python -m pytest -n 2 $(MARKED) $(NATIVE:%=--ignore=%)
	TITOK_TEST_ARITHMETIC=native python -m pytest -n 2 $(MARKED) $(NATIVE)

long: MARKED = -m long
long: test  ## Run the other tests: official sizes, kills, whole studies

portable: $(VENV)/.installed  ## Compare numbers with those of emulated processors (Debian's qemu-user; 15 minutes)
	python -m pytest -n 2 --dist=load -m emulated tests/arithmetic

slurm: $(VENV)/.installed  ## Test on a Slurm cluster made here (root; Debian's slurm-wlm and munge)
	python -m pytest -n 0 -m slurm tests/slurm

lint: $(VENV)/.installed  ## Check style, types and the workflow
	ruff check .
	ruff format --check .
	mypy
	snakefmt --check Snakefile workflow
	snakemake --lint

format: $(VENV)/.installed  ## Rewrite files in the project's style
	ruff check --fix .
	ruff format .
	snakefmt Snakefile workflow

docs: $(VENV)/.installed  ## Build the documentation, warnings are errors; then where it lies
	python docs/fill_numbers.py --check
	sphinx-build --fail-on-warning --keep-going --quiet docs docs/_build/html
	@echo "The documentation: $(CURDIR)/docs/_build/html/index.html"

# Big models want all cores, unlike the study in miniature.
bench: export OMP_NUM_THREADS = $(shell $(PYTHON) -c 'import os; print(os.cpu_count())')
bench: $(VENV)/.installed  ## Time the hot paths on this machine; ARGS="--device cuda" and others, see --help
	python -m benchmarks $(ARGS)

lock:  ## Pin every package again (needs uv)
	uv pip compile pyproject.toml --extra dev --extra docs --extra weights --universal --generate-hashes \
		--no-emit-index-url --no-annotate --no-header --output-file requirements.lock

clean:  ## Remove the environment (results stay)
	rm -rf $(VENV)
