# Two commands matter: `make demo` and `make test`. Both set up what they need.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
# What runs beside the rest of its kind; about as long each.
EDGE := tests/gateway tests/proxy tests/admin tests/settings tests/simulation
PAGES := tests/attack tests/gateway tests/look tests/words tests/journeys/test_failover.py
SALES := tests/journeys/test_console.py tests/journeys/test_waiting_page.py tests/journeys/test_faults.py

.PHONY: help demo test check unit unit-edge unit-rest coverage journeys journeys-pages journeys-sales journeys-rest journeys-alone soak audit bench conformance screenshots wheel lock clean machine

help: ## Show this list
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort

$(VENV)/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Waitroom needs Python 3.11 or later; set PYTHON=python3.11, say")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "No venv could be made: on Debian, 'apt-get install python3-venv'." >&2; rm -rf $(VENV); exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: $(VENV)/ready ## A toy shop, the gateway, 400 shoppers; ARGS=--unprotected sends them straight at the shop
	@$(BIN)/waitroom demo $(ARGS)

machine: $(VENV)/ready
	@$(BIN)/python tests/journeys/browser_setup.py

test: machine ## All tests, with the real store and a real browser
	@rm -f .coverage .coverage.*
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=line unit-edge unit-rest check
	@$(MAKE) --no-print-directory coverage journeys

check: $(VENV)/ready ## Types and lint
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

unit: machine ## The tests that start no processes of ours, on two cores
	@rm -f .coverage .coverage.*
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=line unit-edge unit-rest

unit-edge: $(VENV)/ready
	@$(BIN)/coverage run -m pytest -m 'not journey and not soak' $(EDGE) $(ARGS)

unit-rest: $(VENV)/ready
	@$(BIN)/coverage run -m pytest -m 'not journey and not soak' $(EDGE:%=--ignore=%) $(ARGS)

coverage: $(VENV)/ready
	@$(BIN)/coverage combine --quiet --keep
	@$(BIN)/coverage report --fail-under 95

journeys: machine ## Real processes, real store, real browser: three parts at once, then what needs the machine for itself
	@$(MAKE) --no-print-directory --jobs=3 --output-sync=line journeys-pages journeys-sales journeys-rest
	@$(MAKE) --no-print-directory journeys-alone

journeys-pages: $(VENV)/ready
	@$(BIN)/python -m pytest -m 'journey and not alone and not soak' $(PAGES) $(ARGS)

journeys-sales: $(VENV)/ready
	@$(BIN)/python -m pytest -m 'journey and not alone and not soak' $(SALES) $(ARGS)

journeys-rest: $(VENV)/ready
	@$(BIN)/python -m pytest -m 'journey and not alone and not soak' tests/cli tests/journeys $(SALES:%=--ignore=%) --ignore=tests/journeys/test_failover.py $(ARGS)

journeys-alone: $(VENV)/ready
	@$(BIN)/python -m pytest -m 'journey and alone and not soak' tests/journeys $(ARGS)

soak: $(VENV)/ready ## Long forms of tests, less than an hour, with a table at the end
	WAITROOM_LONG_FAULTS=1 WAITROOM_JOINS_PER_SECOND=1000 WAITROOM_ABORTS=10000 WAITROOM_FUZZ_EXAMPLES=40000 $(BIN)/python -m pytest -o faulthandler_timeout=2700 -p tests.soak.table -m 'soak or scaled' $(ARGS)

audit: $(VENV)/ready ## Security lint, least safe versions, bill of materials in dist/, advisories; ARGS=--must-ask fails without them
	$(BIN)/ruff check --select S --ignore S101 waitroom
	@$(BIN)/python -m tests.audit $(ARGS)

bench: $(VENV)/ready ## Compare speed with others on this machine; CASE=name runs one case
	@$(BIN)/python -m tests.bench $(if $(CASE),--case $(CASE)) $(ARGS)

conformance: $(VENV)/ready ## Test suites of others, through the gateway and through nginx
	@$(BIN)/python -m tests.conformance $(ARGS)

screenshots: machine ## Waiting page and console, every page and state, light and dark, three screens, into screenshots/
	@$(BIN)/python -m tests.look

wheel: $(VENV)/ready ## Build dist/*.whl
	$(BIN)/python -m build --wheel

lock: $(VENV)/ready ## Write constraints.txt anew from what is installed
	$(BIN)/python -m pip freeze --exclude-editable > constraints.txt

clean: ## Remove what the commands above made
	rm -rf $(VENV) .venv-bench .bench .conformance dist build .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis
