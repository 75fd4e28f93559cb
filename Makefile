# `make` prints what there is. Needs git, make, bash and Python 3.13; everything else is made under .venv and build/.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.SUFFIXES:

# python3.13, pip, ruff, ferry ... of the project first: `sam build` looks python3.13 up on PATH.
export PATH := $(CURDIR)/.venv/bin:$(CURDIR)/build/tools/sam/bin:$(PATH)
export SAM_CLI_TELEMETRY := 0
export AWS_EC2_METADATA_DISABLED := true
PYTHON := .venv/bin/python

# What exists of the packages that mypy checks.
TYPED := $(wildcard functions/rowferry functions/apply_changes capturer bulkload ferry lab)

.PHONY: help
help: ## what can be made
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/\1|\2/p' Makefile | while IFS='|' read -r name what; do printf '  make %-14s %s\n' "$$name" "$$what"; done

.PHONY: setup
setup: ## environments and tools, at their locked versions
	@bash lab/setup.sh

.PHONY: demo
demo: setup ## the whole move on this machine: real MySQL, emulated AWS (ARGS="--help" for its options)
	@$(PYTHON) -m lab.demo $(ARGS)

.PHONY: spark
spark: ## Spark on this machine (650 MB): then build/tools/spark/bin/ferry load --spark
	@bash lab/setup.sh spark

.PHONY: test
test: spark ## every test (ARGS="-k name" for some)
	@$(PYTHON) -m lab.run_tests $(ARGS)

.PHONY: test-quick
test-quick: setup ## the tests that need no server
	@$(PYTHON) -m lab.run_tests --quick $(ARGS)

.PHONY: fuzz-ddl
fuzz-ddl: setup ## random statements on MySQL and MariaDB against what capture makes of them (ARGS="--seed 7 --statements 500")
	@$(PYTHON) -m tests.fuzz $(ARGS)

.PHONY: test-kill
test-kill: spark ## every method of the load killed 20 times under live traffic (KILLS=n)
	@ROWFERRY_KILLS=$(or $(KILLS),20) $(PYTHON) -m pytest -s -o timeout=1800 tests/e2e/test_methods.py $(ARGS)

# test-roads: the name before 0.2.0
.PHONY: test-methods test-roads
test-roads: test-methods
test-methods: spark ## a million rows by every method and with both layouts under live traffic (ROWS=n)
	@ROWFERRY_KILLS=0 ROWFERRY_ROWS=$(or $(ROWS),1000000) $(PYTHON) -m pytest -s -o timeout=3600 tests/e2e/test_methods.py $(ARGS)

.PHONY: test-verify
test-verify: setup ## 1,000 differences among 100,000 rows under live traffic (ROWS=n, DIFFERENCES=n)
	@ROWFERRY_ROWS=$(or $(ROWS),100000) ROWFERRY_DIFFERENCES=$(or $(DIFFERENCES),1000) $(PYTHON) -m pytest -s -o timeout=1800 tests/e2e/test_verify_live.py $(ARGS)

.PHONY: failover
failover: setup ## the source fails over 20 times under traffic, MySQL and MariaDB (PROMOTIONS=n)
	@ROWFERRY_PROMOTIONS=$(or $(PROMOTIONS),20) $(PYTHON) -m pytest -s -o timeout=3600 tests/e2e/test_failover.py \
	  tests/integration/capturer/test_failover.py::test_a_new_primary_that_lacks_what_was_captured_stops_and_lists_it \
	  $(ARGS)

.PHONY: load-memory
load-memory: setup ## the load's memory for ten million rows (ROWS=n)
	@$(PYTHON) -m benchmarks.load_memory --rows $(or $(ROWS),10000000)

.PHONY: check
check: setup ## format, lint, types, imports, template, locks and docs
	@bash lab/check.sh $(TYPED)

.PHONY: fmt
fmt: setup ## format the code, sort imports, fix what the linter can fix
	@ruff check --quiet --fix-only . && ruff format .

.PHONY: bench
bench: setup ## the speed of the parts on this machine
	@$(PYTHON) -m benchmarks $(ARGS)

.PHONY: pause
pause: setup ## how long a cutover keeps the application from writing (ARGS="--rate 500 --runs 5")
	@$(PYTHON) -m benchmarks.pause $(ARGS)

.PHONY: lock
lock: setup ## newest versions that fit into requirements/*.txt
	@bash lab/lock.sh

.PHONY: clean
clean: ## removes all that was made here; the next setup fetches it again
	@rm -rf .venv build .aws-sam .mypy_cache .pytest_cache .ruff_cache .hypothesis
