# One-command entry points; each sets up what it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
.DEFAULT_GOAL := help

.PHONY: help demo demo-bucket test check format generate bench fuzz live chaos image-check clean

help:  ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/pip install --quiet --editable ".[local]"
	@touch $@

$(VENV)/.dev: $(STAMP)
	$(BIN)/pip install --quiet --group dev
	@touch $@

demo: $(STAMP)  ## Set up and run the quickstart: webhook to JetStream to HTTP and log
	$(BIN)/tocsin run examples/quickstart

demo-bucket: $(VENV)/.dev  ## Run the bucket example: Pub/Sub to a Workflow, on servers of its own
	PYTHONPATH=.:tests $(BIN)/python tests/bucket_demo.py $(MANIFESTS)

test: $(VENV)/.dev  ## Set up and run all tests
	$(BIN)/python -m pytest -n 3 --dist loadfile

live: $(VENV)/.dev  ## Run only the tests that need real servers
	CI=true $(BIN)/python -m pytest -n 3 --dist loadfile tests/live tests/stories

fuzz: $(VENV)/.dev  ## Feed 100,000 made-up inputs to every parser and evaluator
	FUZZ_EXAMPLES=$${FUZZ_EXAMPLES:-100000} $(BIN)/python -m pytest -v -m fuzz --timeout 0 tests

check: $(VENV)/.dev  ## Format, lint, types, import contracts, generated files
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tocsin.generate --check

format: $(VENV)/.dev  ## Rewrite formatting and fix what can be fixed
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format --quiet .

generate: $(VENV)/.dev  ## Write crds/, editor schemas and the reference from the models
	$(BIN)/python -m tocsin.generate

bench: $(VENV)/.dev  ## Measure ingest, drain, latency and memory; prints ratios
	$(BIN)/python -m benchmarks

chaos: $(VENV)/.dev  ## Run the crash suite: 1,000,000 events under faults, with an account; needs root
	PYTHONPATH=.:tests $(BIN)/python -m chaos $(CHAOS)

image-check: $(VENV)/.dev  ## Build the image with Podman (else by its steps) in a clean Debian, and run it; needs root and debootstrap
	sudo $(abspath $(BIN))/python tests/image/check.py

clean:  ## Remove the virtual environment
	rm -rf $(VENV)
