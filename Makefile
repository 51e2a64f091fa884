# Everything runs from a checkout with Python 3.11+ and make; both main targets install what they need.
PYTHON ?= python3
# Paths are relative, and programs are run as modules: a console script does not outlive a move of the checkout.
PY := .venv/bin/python
PIP := $(PY) -u -m pip install --disable-pip-version-check --progress-bar off
CLOCKS := 2026-03-31T23:30Z 2026-11-30T23:30Z 2026-12-31T23:30Z 2027-01-01T00:10Z 2026-12-28T08:00Z 2027-01-04T00:10Z
TESTS ?= tests/defs tests/indicators tests/lookup tests/views tests/fhir tests/sandbox tests/warehouse tests/test_*.py

run: install        ## the whole chain on the embedded default; DATA=folder takes other FHIR resources
	@$(PY) -m opensrp_dhis2 demo $(if $(DATA),--data "$(DATA)")

test: check         ## everything: check, then pytest on a real Postgres, one process a core
	@$(PY) -m pytest -q -n auto

test-clocks: install ## what takes the day, at the edges of quarter, month and year and in a week 53; TESTS=tests takes all
	@for now in $(CLOCKS); do echo "TEST_NOW=$$now"; TEST_NOW=$$now $(PY) -m pytest -q -n auto $(TESTS) || exit 1; done

check: install
	@$(PY) -m ruff format --check . && $(PY) -m ruff check . && $(PY) -m mypy
	@$(PY) -m sqlfluff lint --disable-progress-bar -q sql dbt_like_views examples

dev: install        ## Dagster's webserver and daemon with the sandbox servers behind them
	@$(PY) -m opensrp_dhis2 dev

golden: install     ## rewrite the golden files, to be reviewed in the diff
	@REWRITE_GOLDEN=1 $(PY) -m pytest -q -k golden

chaos: install      ## the push killed at 200 points, FHIR lying in 10,000 plays and killed at 200 points, 20 months; or POINTS=n
	@CHAOS_POINTS=$(or $(POINTS),200) $(PY) -m pytest -q -s tests/chaos

test-hapi: install  ## the extraction against a real HAPI FHIR 8.8 from Maven's artifacts; needs Java 17 and Maven
	@HAPI_TESTS=1 $(PY) -m pytest -q -rs tests/hapi && $(PY) -m bench hapi

docs: install .venv/docs ## the documentation site, into site/; a warning is an error
	@NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict
.venv/docs: requirements-docs.lock .venv/installed
	@$(PIP) -q --require-hashes -r requirements-docs.lock && touch $@

lock:               ## write both locks anew from pyproject.toml, with the hash of every file; UPGRADE=1: the newest of all
	@test -x .venv-lock/bin/uv || ($(PYTHON) -m venv .venv-lock && .venv-lock/bin/python -m pip install -q uv==0.13.9)
	@$(COMPILE) --extra dev --no-emit-package opensrp-dhis2 -o requirements.lock pyproject.toml sandbox/pyproject.toml
	@.venv-lock/bin/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["docs"], sep="\n")' \
		| $(COMPILE) -c requirements.lock -o requirements-docs.lock -
COMPILE = .venv-lock/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-strip-extras \
	--no-annotate --custom-compile-command "make lock" $(if $(UPGRADE),--upgrade)

bench: install
	@$(PY) -m bench

install: .venv/installed
.venv/installed: requirements.lock pyproject.toml sandbox/pyproject.toml
	@$(PY) -m pip --version >/dev/null 2>&1 || { echo "Making .venv"; $(PYTHON) -m venv .venv; }
	@{ $(PIP) --require-hashes -r requirements.lock || echo Failed; } | $(COUNTED)
	@$(PIP) -q --no-deps --no-build-isolation -e . -e sandbox
	@touch $@

# Shows how far pip is, in one line; the exit code is pip's.
COUNTED = { all=$$(grep -c == requirements.lock); n=0; printf 'Installing into .venv, about a minute: '; \
	while read -r word rest; do case $$word in \
	Collecting|Requirement) n=$$((n+1)); test $$((n%10)) -ne 0 || printf '%s of %s packages ... ' $$n $$all;; \
	Installing) printf 'unpacking ... ';; Failed) echo 'failed'; exit 1;; esac; done; echo 'done'; }

.PHONY: run test test-clocks check dev golden chaos test-hapi docs bench lock install
