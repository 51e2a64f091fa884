# Everything runs from a checkout with Python 3.11+ and make; both main targets install what they need.
PYTHON ?= python3
BIN := .venv/bin
CLOCKS := 2026-03-31T23:30Z 2026-11-30T23:30Z 2026-12-31T23:30Z 2027-01-01T00:10Z 2026-12-28T08:00Z 2027-01-04T00:10Z
TESTS ?= tests/defs tests/indicators tests/lookup tests/views tests/fhir tests/sandbox tests/warehouse tests/test_*.py

run: install        ## the whole chain on the embedded default; DATA=folder takes other FHIR resources
	@$(BIN)/opensrp-dhis2 demo $(if $(DATA),--data "$(DATA)")

test: check         ## everything: check, then pytest on a real Postgres, one process a core
	@$(BIN)/pytest -q -n auto

test-clocks: install ## what takes the day, at the edges of quarter, month and year and in a week 53; TESTS=tests takes all
	@for now in $(CLOCKS); do echo "TEST_NOW=$$now"; TEST_NOW=$$now $(BIN)/pytest -q -n auto $(TESTS) || exit 1; done

check: install
	@$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy
	@$(BIN)/sqlfluff lint --disable-progress-bar -q sql dbt_like_views examples

dev: install        ## Dagster's webserver and daemon with the sandbox servers behind them
	@$(BIN)/opensrp-dhis2 dev

golden: install     ## rewrite the golden files, to be reviewed in the diff
	@REWRITE_GOLDEN=1 $(BIN)/pytest -q -k golden

chaos: install      ## the push killed at 200 points, FHIR lying in 10,000 plays and killed at 200 points, 20 months; or POINTS=n
	@CHAOS_POINTS=$(or $(POINTS),200) $(BIN)/pytest -q -s tests/chaos

test-hapi: install  ## the extraction against a real HAPI FHIR 8.8 from Maven's artifacts; needs Java 17 and Maven
	@HAPI_TESTS=1 $(BIN)/pytest -q -rs tests/hapi && $(BIN)/python -m bench hapi

lock:               ## write requirements.lock anew from pyproject.toml, with the hash of every file; UPGRADE=1: the newest of all
	@test -x .venv-lock/bin/uv || ($(PYTHON) -m venv .venv-lock && .venv-lock/bin/python -m pip install -q uv==0.13.9)
	@.venv-lock/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-strip-extras --no-annotate \
		--custom-compile-command "make lock" --all-extras $(if $(UPGRADE),--upgrade) -o requirements.lock pyproject.toml

bench: install
	@$(BIN)/python -m bench

install: .venv/installed
.venv/installed: requirements.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.PHONY: run test test-clocks check dev golden chaos test-hapi bench lock install
