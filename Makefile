# Two commands matter: `make run` and `make test`. Both make their own environment.
PYTHON ?= python3
VENV ?= .venv
HOST ?= 127.0.0.1
PORT ?= 8000
WORKERS ?= auto

# A version that test-all leaves out
EXCEPT ?=

# Seconds of the crash storm, both databases together; STORM_SEED=… repeats one
STORM_SECONDS ?= 600

# Stories for each property of the search for an order that ends in other tables
CONVERGENCE_EXAMPLES ?= 2000

# A folder with floor.py and compare.py; without it PostgreSQL is not set beside its floor
BENCH ?= ../shared/bench
BENCH_ROUNDS ?= 5

.PHONY: run test test-all storm converge bench bench-growth check format clean

run: $(VENV)/.runs
	$(VENV)/bin/omreceiver serve --demo --host $(HOST) --port $(PORT)

test: $(VENV)/.tests
	$(VENV)/bin/python -m pytest -n $(WORKERS)

test-all:
	@set -e; for python in $$(.ci/pythons); do \
		version=$$($$python -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
		[ "$$version" != "$(EXCEPT)" ] || continue; \
		echo "== Python $$version ($$python)"; \
		$(MAKE) --no-print-directory test PYTHON=$$python VENV=.venv-$$version; \
	done

storm: $(VENV)/.tests
	STORM_SECONDS=$(STORM_SECONDS) $(VENV)/bin/python -m pytest -n 0 -rP tests/test_storm.py

converge: $(VENV)/.tests
	CONVERGENCE_EXAMPLES=$(CONVERGENCE_EXAMPLES) $(VENV)/bin/python -m pytest -n $(WORKERS) --timeout 0 tests/test_convergence.py

# pytest-benchmark would warn the parallel tests of itself: an environment of its own
bench: .venv-bench/.bench
	.venv-bench/bin/python -m tests.benchmarks --bench $(BENCH) --rounds $(BENCH_ROUNDS)

bench-growth: .venv-bench/.bench
	.venv-bench/bin/python -m tests.benchmarks.growth
	.venv-bench/bin/python -m tests.benchmarks.report

check: $(VENV)/.tests
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

format: $(VENV)/.tests
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

clean:
	rm -rf .venv .venv-* build *.egg-info

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

.venv-bench/.bench: pyproject.toml
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check --use-pep517 --editable '.[dev,bench]'
	touch $@

$(VENV)/.runs: $(VENV)/bin/python pyproject.toml
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --use-pep517 --editable .
	touch $@

$(VENV)/.tests: $(VENV)/bin/python pyproject.toml
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --use-pep517 --editable '.[dev]'
	touch $@
