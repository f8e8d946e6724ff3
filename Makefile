# make help lists what there is. Needs make and Python 3.11 or newer; everything else it installs into
# .venv (development) and .venv-cloud (the local cloud and the SAM CLI), checked by hash.

PYTHON ?= python3
PORT ?= 4566
# Lambda's Python, to compile the bytecode of what is built for AWS.
RUNTIME_PYTHON ?= python3.13
# make month: so many, and (SEED) which of the possible months.
PARTNERS ?= 4
ACCOUNTS ?= 40
SEED ?= 0
# make simulate: so many days from this day on; SEED decides all that happens in them.
START ?= 2023-12-20
DAYS ?= 400
# make test: how many tests run at once.
WORKERS ?= 2
export PORT
export NO_PROXY := 127.0.0.1,localhost,$(NO_PROXY)

DEV = .venv/bin
CLOUD = .venv-cloud/bin
LOCK = $(abspath $(DEV))/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header --no-annotate --no-strip-extras $(LOCK_OPTIONS)

.DEFAULT_GOAL := help
.PHONY: help run stop reset clock jobs month test mutants bench-billing simulate lint docs lock build deploy python
.SILENT:

help: ## this list
	sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 15

run: .venv-cloud/requirements.txt ## start the local cloud, deploy to it, fill it with the demo
	$(CLOUD)/python -m local.run

stop: .venv-cloud/requirements.txt ## stop the local cloud; what it stored stays
	$(CLOUD)/python -m local.cloud stop

reset: .venv-cloud/requirements.txt ## stop the local cloud and forget what it stored
	$(CLOUD)/python -m local.cloud reset

clock: .venv-cloud/requirements.txt ## say or move the local cloud's time: make clock TO=2026-12-24, make clock TO=now
	$(CLOUD)/python -m local.clock $(TO)

jobs: .venv-cloud/requirements.txt ## run in the local cloud what the schedules would have started by now
	$(CLOUD)/python -m local.jobs

month: .venv-cloud/requirements.txt ## play a month in the local cloud, check its bill: make month PARTNERS=40 ACCOUNTS=2000
	$(CLOUD)/python -m local.month --partners $(PARTNERS) --accounts $(ACCOUNTS) --seed $(SEED)

test: .venv/requirements.txt .venv-cloud/requirements.txt ## run all tests: make test, make test ONLY=tests/portal
	$(DEV)/pytest --numprocesses $(WORKERS) --dist loadgroup $(ONLY)

bench-billing: .venv/requirements.txt ## bill 1,000 to 100,000 accounts: what each costs (some minutes)
	PYTHONPATH=functions:layers/portal $(DEV)/python -m tests.bench

simulate: .venv/requirements.txt ## live a year and work out every bill anew: make simulate SEED=1 START=2027-02-27 DAYS=800
	PYTHONPATH=functions:layers/portal $(DEV)/python -m tests.simulation --seed $(SEED) --start $(START) --days $(DAYS)

mutants: .venv/requirements.txt ## the mutation score of what money is computed with (ten minutes)
	$(DEV)/python -m tests.mutants

lint: .venv/requirements.txt ## check style and types
	$(DEV)/ruff check .
	$(DEV)/ruff format --check .
	$(DEV)/mypy

docs: .venv/requirements.txt ## write what is generated: OpenAPI document, README's table, the engine's JSON schemas
	PYTHONPATH=layers/portal $(DEV)/python -m local.document
	PYTHONPATH=layers/portal $(DEV)/python -m local.engine_schemas

lock: .venv/requirements.txt ## pin all requirements again, with hashes: make lock LOCK_OPTIONS=--upgrade
	cd layers/vendor && $(LOCK) requirements.in --output-file requirements.txt
	cd layers/payments && $(LOCK) --no-deps requirements.in --output-file requirements.txt
	$(LOCK) requirements-dev.in --output-file requirements-dev.txt
	$(LOCK) requirements-cloud.in --output-file requirements-cloud.txt

build: .venv-cloud/requirements.txt ## build for AWS
	BUILD_PYTHON=$(abspath $(CLOUD))/python RUNTIME_PYTHON=$(RUNTIME_PYTHON) LAYER_TARGET=aws \
		SAM_CLI_TELEMETRY=0 $(CLOUD)/sam build
	$(CLOUD)/python -m local.package .aws-sam/build/functions.zip

deploy: build ## deploy to AWS with your own credentials
	SAM_CLI_TELEMETRY=0 SAM_CLI_BETA_PACKAGE_PERFORMANCE=1 $(CLOUD)/sam deploy $(ARGS)

# Environments: made anew parts only when their requirements changed.

.venv/requirements.txt: requirements-dev.txt | python
	$(call install,.venv,$<,the development tools)

.venv-cloud/requirements.txt: requirements-cloud.txt | python
	$(call install,.venv-cloud,$<,the local cloud)

python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
		|| { echo "This needs Python 3.11 or newer as $(PYTHON): install it, or name it, as in: make run PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
		|| { echo "This Python cannot make virtual environments: install its venv module (on Debian and Ubuntu: apt install python3-venv)." >&2; exit 1; }

# install(environment, requirements, what)
define install
	echo "Installing $(3) into $(1) (a minute, once) ..."
	test -x $(1)/bin/python || $(PYTHON) -m venv $(1)
	$(1)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --requirement $(2)
	cp $(2) $(1)/requirements.txt
endef
