# Everything runs in .venv, made from the locked requirements; nothing else is needed than Python 3.11 or newer.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test check explore format elm oracle conformance contract reliability sekmet fuzz audit lock mutation benchmark clean

demo: $(VENV)/.ready  ## screen the sample bundles and print the table
	$(BIN)/trial-adapter screen sample_bundles/ --as-of 2026-11-01T00:00:00Z

test: $(VENV)/.ready  ## everything that needs no network service
	$(BIN)/pytest -n auto --dist loadgroup

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

elm: $(VENV)/.ready tests/oracle/node_modules/.package-lock.json  ## export to EXPORT with the CQL compiled by the official translator (needs Node)
	$(BIN)/trial-adapter export --out $(EXPORT)
	node tests/oracle/compile.mjs $(EXPORT)/cql $(EXPORT)/elm
	$(BIN)/trial-adapter export --out $(EXPORT) --elm $(EXPORT)/elm --package
EXPORT ?= out/export

oracle: $(VENV)/.ready tests/oracle/node_modules/.package-lock.json  ## the emitted CQL, run by an engine we did not write (needs Node)
	ORACLE=$(or $(ORACLE),whole) $(BIN)/pytest -n0 tests/oracle

contract: $(VENV)/.ready tests/contract/node_modules/.package-lock.json  ## the export, and the delivery of results, on a real FHIR server: Medplum's router, or FHIR_BASE_URL (needs Node)
	CONTRACT=$(or $(CONTRACT),whole) $(BIN)/pytest -n0 tests/contract

reliability: $(VENV)/.ready  ## kills, full disks, locks, stops under load: the whole figures
	RELIABILITY=whole $(BIN)/pytest -n0 -s tests/reliability

SEKMET_HOME ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/fhir-trial-adapter/sekmet
sekmet: $(VENV)/.ready $(SEKMET_HOME)/.ready  ## a hospital system that others wrote posts to us
	SEKMET=$(SEKMET_HOME)/bin/python $(BIN)/pytest -n0 -s tests/sekmet
$(SEKMET_HOME)/.ready:
	$(PYTHON) -m venv $(SEKMET_HOME)
	$(SEKMET_HOME)/bin/pip install --quiet sekmet-fhir==0.1.1
	touch $@

fuzz: $(VENV)/.ready  ## 2,000 requests of each operation, and atheris for a minute at each entry point (Linux)
	FUZZ_CASES=2000 $(BIN)/pytest -n0 tests/fuzz
	-$(BIN)/pip install --quiet atheris==3.0.0
	for target in reading_typed reading_strictly resolving screening converting validating unpacking; do $(BIN)/python tests/fuzz/run.py $$target --seconds 60 || exit 1; done

audit: $(VENV)/.ready  ## our code, and what is known of the packages we use (needs the network)
	$(BIN)/pip install --quiet bandit==1.9.4 pip-audit==2.10.1
	$(BIN)/bandit -q -r adapter --severity-level high
	$(BIN)/pip-audit --disable-pip -r requirements.lock

# HL7's own definitions; they are large, so they stand outside the checkout and are fetched once.
HL7 ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/fhir-trial-adapter/hl7
conformance: $(VENV)/.ready $(HL7)/.ready  ## hold all that is emitted against HL7's own definitions (needs npm)
	HL7_R4_EXAMPLES=$(HL7)/node_modules/hl7.fhir.r4.examples HL7_R5_CORE=$(HL7)/node_modules/hl7.fhir.r5.core \
	HL7_R5_EXAMPLES=$(HL7)/node_modules/hl7.fhir.r5.examples $(BIN)/pytest -n auto tests/conformance tests/validate/test_validate_hl7.py

tests/oracle/node_modules/.package-lock.json: tests/oracle/package-lock.json
	npm ci --prefix tests/oracle --ignore-scripts --no-progress

tests/contract/node_modules/.package-lock.json: tests/contract/package-lock.json
	npm ci --prefix tests/contract --ignore-scripts --no-progress

$(HL7)/.ready: tests/conformance/package-lock.json
	mkdir -p $(HL7) && cp tests/conformance/package.json tests/conformance/package-lock.json tests/conformance/.npmrc $(HL7)
	cd $(HL7) && npm ci --ignore-scripts --no-progress
	touch $@

mutation: $(VENV)/.ready  ## how many wrong versions of the judging and mapping code the tests notice
	$(BIN)/python tests/mutation.py

benchmark: $(VENV)/.ready  ## speed and memory on the bundles of REAL_BUNDLES (else the samples)
	$(BIN)/python benchmarks/screening.py
	$(BIN)/python benchmarks/exporting.py
	$(BIN)/python benchmarks/serving.py

lock:  ## refresh requirements.lock from pyproject.toml (needs uv)
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate -o requirements.lock

$(VENV)/.ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

clean:
	rm -rf tests/oracle/node_modules tests/contract/node_modules $(VENV) dist build out .mypy_cache .ruff_cache .pytest_cache .hypothesis
