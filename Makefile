# `make test` and `make demo` do their own set-up; everything stays in this folder and a temporary one.
.DEFAULT_GOAL := help
.PHONY: help setup lint test soak demo bench lock clean

PYTHON_BIN := .venv/bin/python
CHECKED := engine ext server benchmarks tests
# Files of tests go to that many processes, each with servers of its own: much of their time is waiting.
PARALLEL ?= -n 3 --dist loadfile

help:
	@echo 'make setup  system packages, .venv, compiled extensions (only what is missing)'
	@echo 'make test   set-up, linters, type check, every test on private servers'
	@echo 'make demo   a MariaDB of a million rows into a PostgreSQL over REST, verified'
	@echo 'make bench  MariaDB -> PostgreSQL against the peers installed (ARGS="--rows 20000000")'
	@echo 'make soak   the fault tests with many seeds'
	@echo 'make lint   ruff and mypy alone'
	@echo 'make lock   write the lock files anew from pyproject.toml'
	@echo 'make clean  remove what the others made here'

setup:
	@bash scripts/setup.sh

lint: setup
	.venv/bin/ruff check $(CHECKED)
	.venv/bin/ruff format --check $(CHECKED)
	.venv/bin/mypy

test: lint
	$(PYTHON_BIN) -m pytest $(PARALLEL) $(ARGS)

soak: setup
	$(PYTHON_BIN) -m pytest -m soak $(ARGS)

demo: setup
	@$(PYTHON_BIN) -m benchmarks.demo $(ARGS)

bench:
	@bash scripts/setup.sh bench
	$(PYTHON_BIN) -m benchmarks.run mysql_to_postgres $(ARGS)

lock: setup
	$(PYTHON_BIN) -m pip install --quiet --disable-pip-version-check uv
	.venv/bin/uv pip compile pyproject.toml --extra dev --universal --generate-hashes --quiet --upgrade \
		--no-emit-index-url --no-header --no-annotate -o requirements.lock
	.venv/bin/uv pip compile pyproject.toml --extra bench --universal --generate-hashes --quiet --upgrade \
		--no-emit-index-url --no-header --no-annotate -c requirements.lock -o requirements-bench.lock

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	rm -f ext/*.c ext/*.so ext/*.html
