# Everything runs in .venv, made from the locked requirements; nothing else is needed than Python 3.11 or newer.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test check explore format lock mutation benchmark clean

demo: $(VENV)/.ready  ## screen the sample bundles and print the table
	$(BIN)/trial-adapter screen sample_bundles/ --as-of 2026-11-01T00:00:00Z

test: $(VENV)/.ready  ## everything that needs no network service
	$(BIN)/pytest -n auto

check: $(VENV)/.ready  ## what CI runs: format, lint, types, import layers, definitions, tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/trial-adapter check
	$(MAKE) test

format: $(VENV)/.ready
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

explore: $(VENV)/.ready  ## draw new random examples for the laws, ten times; a red run is a fault to mend
	for run in 1 2 3 4 5 6 7 8 9 10; do HYPOTHESIS_PROFILE=explore $(BIN)/pytest -q -n auto tests/properties || exit 1; done

mutation: $(VENV)/.ready  ## how many wrong versions of the judging and mapping code the tests notice
	$(BIN)/python tests/mutation.py

benchmark: $(VENV)/.ready  ## speed and memory on the bundles of REAL_BUNDLES (else the samples)
	$(BIN)/python benchmarks/screening.py

lock:  ## refresh requirements.lock from pyproject.toml (needs uv)
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate -o requirements.lock

$(VENV)/.ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

clean:
	rm -rf $(VENV) dist build out .mypy_cache .ruff_cache .pytest_cache .hypothesis
