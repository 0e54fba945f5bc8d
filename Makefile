# Two commands: `make run` (set up, seal, verify, serve) and `make test`. Nothing but Python 3.11, pip and make is needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
KAKUIN := $(BIN)/kakuin
PYTEST_ARGS ?= -q -n auto --dist loadgroup

.PHONY: run setup test check bench lock clean

run: setup
	@exec $(KAKUIN) demo --folder demo

setup: $(VENV)/ready

# --require-hashes: nothing is installed that requirements.txt does not name by content.
$(VENV)/ready: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Kakuin needs Python 3.11 or newer, got " + sys.version.split()[0])'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing what requirements.txt pins (once)…"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/ready-dev: requirements-dev.txt $(VENV)/ready
	@echo "Installing what requirements-dev.txt pins (once)…"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

# KAKUIN_REQUIRE_ALL=1 turns every skip for a missing real service into a failure.
test: $(VENV)/ready-dev
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

check: $(VENV)/ready-dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

# The figures of the authority, each beside its peers where they are on the PATH: some minutes, on a machine with nothing else to do.
bench: $(VENV)/ready-dev
	$(BIN)/python bench/tsa.py --postgresql
	$(BIN)/python bench/tsa.py --key rsa3072 --connections 16 64
	$(BIN)/python bench/workers.py --connections 64
	$(BIN)/python bench/workers.py --connections 64 --engine sqlite --key rsa4096
	$(BIN)/python bench/batches.py
	$(BIN)/python bench/audit.py

# Needs the `uv` resolver; names no index, and holds for every platform.
lock:
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --extra build pyproject.toml -o requirements.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --extra build --extra dev pyproject.toml -o requirements-dev.txt

clean:
	rm -rf $(VENV) demo
