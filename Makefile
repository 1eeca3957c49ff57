# Needs Python 3.11 or 3.12, make and a package index. Everything it installs lands in .venv.
# Another Python: make setup PYTHON=/path/to/python3.12

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.stamp
CANDIDATES := $(if $(PYTHON),$(PYTHON),python3.12 python3.11 python3)
FITS := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 13))
QUICK := not slow and not live and not gpu
SLOW := slow and not live and not gpu

.PHONY: help setup demo test test-slow lint bench docs
.DEFAULT_GOAL := help

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

setup: $(STAMP) ## make .venv and install Moodtape with its test tools (a few minutes, 3 GB)

demo: $(STAMP) ## run the whole line on the shipped sample; the page lands in moodtape-demo
	$(BIN)/moodtape demo

test: lint ## lint, types and the quick tests (up to 10 minutes)
	$(BIN)/python -m pytest -m "$(QUICK)" -n 2

test-slow: $(STAMP) ## the tests that take minutes
	$(BIN)/python -m pytest -m "$(SLOW)" -n 2 --dist worksteal || [ $$? -eq 5 ]

lint: $(STAMP) ## style, formatting, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(STAMP) ## measure the speeds that the docs claim, at a small size
	@for script in benchmarks/bench_*.py; do \
		[ -e "$$script" ] || { echo "No benchmarks here."; exit 0; }; \
		echo "== $$script"; $(BIN)/python "$$script" || exit 1; \
	done

docs: $(STAMP) ## write the reference pages again: data dictionary, commands, settings, features
	$(BIN)/python -m moodtape.storage.dictionary > docs/.data-dictionary.md
	mv docs/.data-dictionary.md docs/data-dictionary.md
	$(BIN)/python -m moodtape.commands.reference docs

# Made again when the dependencies change; a venv that works is kept.
$(STAMP): pyproject.toml $(wildcard constraints-*.txt)
	@set -e; python=; \
	if ! { $(BIN)/python -c '$(FITS)' && $(BIN)/python -m pip --version; } >/dev/null 2>&1; then \
		for candidate in $(CANDIDATES); do \
			if "$$candidate" -c '$(FITS)' >/dev/null 2>&1; then python="$$candidate"; break; fi; \
		done; \
		if [ -z "$$python" ]; then \
			echo "Moodtape needs Python 3.11 or 3.12 with its venv module (Debian: apt install python3-venv)." >&2; \
			for candidate in $(CANDIDATES); do \
				if version=$$("$$candidate" --version 2>&1); then echo "  $$candidate is $$version" >&2; fi; \
			done; \
			echo "Install one, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3.12" >&2; \
			exit 1; \
		fi; \
		echo "Making $(VENV) with $$("$$python" --version)"; \
		"$$python" -m venv --clear $(VENV); \
	fi; \
	version=$$($(BIN)/python -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
	$(BIN)/python -m pip install --disable-pip-version-check -c "constraints-$$version.txt" -e ".[dev]"
	@touch $@
