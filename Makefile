PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.set-up
DEMO := out/demo
TRACKERS := trackers==2.6.1  # without its dependencies: docs/decisions/trackers.md
SIDE_BY_SIDE := --numprocesses 2 --dist loadgroup  # whatever starts Ray, or a server, in one of them

.DEFAULT_GOAL := help
.PHONY: help setup demo test check chaos lint bench constraints clean

help:  ## Say what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "%-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP)  ## Make .venv with the pinned versions; PYTHON=python3.12 chooses the interpreter

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev,s3]'
	$(BIN)/pip install --quiet --no-deps $(TRACKERS)
	touch $@

demo: setup  ## Segment the bundled clips with the embedded model and show the masks
	$(BIN)/python -m jobs.segment manifest=pipeline/bundled/clips/prompts.parquet run=$(DEMO) precision=fp32
	$(BIN)/python -m jobs.render run=$(DEMO)
	$(BIN)/python -m jobs.show run=$(DEMO)

test: lint  ## Check the code and run all tests
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m "not chaos"

check: lint  ## The same without the slow tests
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m "not chaos and not slow"

chaos: setup  ## Try many more faults than the tests do, and write what they cost into docs/reliability.md
	rm -f out/outcomes.jsonl
	mkdir -p out
	OUTCOMES=$(CURDIR)/out/outcomes.jsonl $(BIN)/python -m pytest $(SIDE_BY_SIDE) tests/faults
	$(BIN)/python -m tests.faults.outcomes out/outcomes.jsonl

lint: setup  ## Check style, import rule and types only
	$(BIN)/ruff check --quiet
	$(BIN)/ruff format --check --quiet
	$(BIN)/lint-imports --no-logo
	$(BIN)/basedpyright

bench: setup  ## Measure speed, memory and masks beside every peer: a table, JSON and a plot
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev,s3,bench]'
	$(BIN)/python -m benchmarks.compare

constraints:  ## Pin the newest versions anew, for all supported Pythons; needs uv
	uv pip compile --quiet --universal --upgrade --python-version 3.10 --all-extras \
		--no-annotate --no-header --output-file constraints.txt pyproject.toml

clean:  ## Remove what make made, but for .venv
	rm -rf build dist out *.egg-info .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
