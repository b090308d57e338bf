# One command for everything; CONTRIBUTING.md says what each needs.

UV := $(shell command -v uv 2>/dev/null || echo .cache/uv/bin/uv)
RUN := $(UV) run --locked
PYTEST_ARGS ?=
SOURCES := operator tests bench demo tools

.DEFAULT_GOAL := help
.PHONY: help setup python check test demo bench generate rows clean

help:  ## list the targets
	@sed -n 's/^\([a-z]*\):.*  ## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

setup: python  ## install all that is needed: uv, the locked Python packages, and (as root) the virtual machine's tools
	@tools/setup.sh system

python:
	@tools/setup.sh python

check: python  ## format, lint, types and import layers, in seconds
	$(RUN) ruff format --check $(wildcard $(SOURCES))
	$(RUN) ruff check $(wildcard $(SOURCES))
	$(RUN) mypy
	$(RUN) lint-imports

test: setup check  ## setup and check, then every test, those on a real kernel in a virtual machine included
	$(RUN) pytest $(PYTEST_ARGS)

demo: setup  ## three stories on a real kernel: who dies, by whose hand, and why
	$(RUN) python -m demo

bench: setup  ## figures against no guard and the peers, on a real kernel
	$(RUN) python -m bench

generate: python  ## write the generated files anew: golden outputs and the tables in docs/
	$(RUN) python -m tools.generate

rows: python  ## the mission's rows, the code and the tests that carry them
	@$(RUN) python -m tools.rows

clean:  ## remove what was built; the cached machine images in .cache/ stay
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find $(SOURCES) -name __pycache__ -type d -prune -exec rm -rf {} +
