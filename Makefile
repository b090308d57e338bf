# One command for everything; CONTRIBUTING.md says what each needs.

UV := $(shell command -v uv 2>/dev/null || echo .cache/uv/bin/uv)
RUN := $(UV) run --locked
PYTEST_ARGS ?=
SOURCES := operator deploy tests e2e bench chaos demo tools

.DEFAULT_GOAL := help
.PHONY: help setup python machine check test cluster e2e cluster-down chaos demo bench bench-quick generate docs plugin release audit rows clean

help:  ## list the targets
	@sed -n 's/^\([a-z0-9-]*\):.*  ## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

setup: machine  ## install all that is needed: uv, the locked Python packages, and (as root) the programs of the virtual machine, the cluster and the pages
	@tools/setup.sh cluster
	@tools/setup.sh browser

python:
	@tools/setup.sh python

machine: python
	@tools/setup.sh system

check: python  ## format, lint, types and import layers, in seconds
	$(RUN) ruff format --check $(wildcard $(SOURCES))
	$(RUN) ruff check $(wildcard $(SOURCES))
	$(RUN) mypy
	$(RUN) lint-imports

test: setup check  ## setup and check, then every test, those on a real kernel in a virtual machine included
	$(RUN) pytest $(PYTEST_ARGS)

cluster: setup  ## a real cluster in the background, with our images: prints its kubeconfig and its nodes
	@$(RUN) python -m e2e up

e2e: setup  ## the end-to-end tests, in the cluster that `make cluster` left running or in one of their own
	$(RUN) pytest e2e $(PYTEST_ARGS)

cluster-down: python  ## end that cluster and forget its data
	@$(RUN) python -m e2e down

chaos: setup check  ## hours of faults, each run from a printed seed; resumed where it was interrupted
	$(RUN) pytest -m chaos $(PYTEST_ARGS)
	$(RUN) python -m chaos

demo: machine  ## three stories on a real kernel: who dies, by whose hand, and why
	$(RUN) python -m demo

bench: setup  ## figures against no guard and the peers, on a real kernel: about an hour (`python -m bench full`: hours)
	$(RUN) python -m bench

bench-quick: machine  ## did memguard get slower or heavier? Minutes; a part of CI
	$(RUN) python -m bench quick

generate: python  ## write the generated files anew: golden outputs, and the tables and pictures in docs/
	$(RUN) python -m tools.generate

docs: python  ## the docs site, in build/site: every broken link is an error
	@NO_MKDOCS_2_WARNING=1 $(RUN) mkdocs build --strict --quiet
	@echo build/site/index.html

plugin: python  ## the kubectl plugin as a single file for this machine: dist/kubectl-memguard
	@$(RUN) python -m tools.plugin

release: setup  ## all that a release hands out, with bills of materials and sums, in build/release; URL=: where it will be served
	@$(RUN) python -m tools.supply release $(URL)

audit: python  ## known vulnerabilities in what is locked, by pip-audit; fails where its service knows nothing
	@$(RUN) python -m tools.supply audit

rows: python  ## the mission's rows, the code and the tests that carry them
	@$(RUN) python -m tools.rows

clean:  ## remove what was built; the cached machine images in .cache/ stay
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find $(SOURCES) -name __pycache__ -type d -prune -exec rm -rf {} +
