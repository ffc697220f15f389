# `make run` shows the pipeline at work, `make test` runs everything this machine can run. Needs Python 3.11 to 3.13 and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
MUTANTS := .venv-mutants
CODE := pipeline sinks tests benchmarks docs

.DEFAULT_GOAL := help
.PHONY: help run test unit check format bench picture mutants services services-stop lock wheel clean

help:  ## what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

$(VENV)/.ready: requirements-dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
		{ echo "$(PYTHON) is not Python 3.11 to 3.13; say which one is: make PYTHON=python3.12"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements-dev.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

run: $(VENV)/.ready  ## the embedded pipeline over config/examples
	@$(BIN)/gpu-rescue run

test: $(VENV)/.ready  ## every test
	$(BIN)/pytest tests

unit: $(VENV)/.ready  ## the tests that take seconds
	$(BIN)/pytest tests/unit

check: $(VENV)/.ready  ## format, lint, types, layers
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.ready  ## write the code in its form
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix $(CODE)

bench: $(VENV)/.ready  ## what the stages cost, as ratios against baselines of the same run
	$(BIN)/python -m benchmarks

picture: $(VENV)/.ready  ## docs/run.svg, the picture of the README
	$(BIN)/python -m docs.picture

$(MUTANTS)/.ready: requirements-mutants.txt
	$(PYTHON) -m venv $(MUTANTS)
	$(MUTANTS)/bin/python -m pip install --quiet --require-hashes -r requirements-mutants.txt
	@touch $@

mutants: $(MUTANTS)/.ready  ## every way to change a decision, and whether a test notices; ten minutes
	rm -rf mutants
	$(MUTANTS)/bin/mutmut run
	$(MUTANTS)/bin/python -m docs.mutation

services: $(VENV)/.ready  ## real Kafka, Elasticsearch and Kubernetes, in the background, on free ports
	@$(BIN)/python -m tests.services start

services-stop: $(VENV)/.ready  ## end what `make services` started
	@$(BIN)/python -m tests.services stop

wheel: $(VENV)/.ready  ## the wheel, in dist/
	$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

lock:  ## pin the dependencies anew, with hashes; needs uv
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header pyproject.toml -o requirements.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --extra dev pyproject.toml -o requirements-dev.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --extra dev --extra mutants -c requirements-dev.txt pyproject.toml -o requirements-mutants.txt

clean:  ## everything that was made
	rm -rf $(VENV) $(MUTANTS) mutants dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
