# EMS needs Python 3.11 or later, git and make. See README.rst.
#
#   make run      installs into .venv what is missing, and starts the server in the foreground
#   make test     everything that a change has to pass
#   make quick    of that, what needs no other programs

PYTHON ?= $(shell command -v python3.11 || command -v python3 || echo python3)
BIN := .venv/bin
# Set to 0 to run all tests in one process.
JOBS ?= 3

.PHONY: run test quick lint types unit service unit-and-service interop browser players wheel clean

run: .venv/.installed players
	@exec $(BIN)/ems --config config/config.lua --runtime run $(EMS_OPTIONS)

test: .cache/machine-ready quick interop browser

quick: lint
	@$(MAKE) --no-print-directory -j 2 types unit-and-service

lint: .venv/.test-installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: .venv/.test-installed
	$(BIN)/mypy

unit: .venv/.test-installed
	$(BIN)/pytest tests/unit -n $(JOBS) --dist loadgroup

service: .venv/.test-installed
	$(BIN)/pytest tests/service -n $(JOBS) --dist loadgroup

unit-and-service: .venv/.test-installed
	$(BIN)/pytest tests/unit tests/service -n $(JOBS) --dist loadgroup

# Each of these runs a server and some media programs in real time, which leaves the processor idle most of the while.
interop: .venv/.test-installed
	$(BIN)/pytest tests/interop -n 6 --dist loadgroup

# The pages in Chromium. Screenshots are kept in .cache/browser.
browser: .venv/.test-installed players
	$(BIN)/pytest tests/browser -n 4

# What the pages need and this source does not hold: hls.js.
players:
	@$(PYTHON) tools/get-players.py

wheel: .venv/.installed players
	$(BIN)/pip wheel --quiet --no-deps --wheel-dir dist .

clean:
	rm -rf .venv .cache build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache

$(BIN)/python:
	@PYTHON=$(PYTHON) sh tools/make-venv.sh .venv

.venv/.installed: $(BIN)/python setup.cfg pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --config-settings editable_mode=compat --editable .
	@touch $@

.venv/.test-installed: $(BIN)/python setup.cfg pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --config-settings editable_mode=compat --editable '.[test]'
	@touch .venv/.installed $@

.cache/machine-ready: tests/setup-machine.sh
	tests/setup-machine.sh
	@mkdir -p .cache && touch $@
