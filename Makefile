# Whatever is typed first sets the environment up (tools/setup.sh); later it is skipped.
.DEFAULT_GOAL := help
.PHONY: help setup demo demo-reduced check test test-nights test-slow airflow-demo cluster-demo golden docs dist format clean
# A SPARK_HOME or PYTHONPATH of the caller would replace the pinned Spark and packages.
unexport SPARK_HOME PYTHONPATH

BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest
READY := .venv/ready
AIRFLOW_READY := .venv-airflow/ready
ENVIRONMENT := dist/environment.tar.gz

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): pyproject.toml constraints.txt tools/setup.sh $(wildcard conf/spark/*)
	@tools/setup.sh platform

$(AIRFLOW_READY): constraints-airflow.txt tools/setup.sh
	@tools/setup.sh airflow

setup: $(READY) ## make .venv: pinned packages, Horovod, Delta jars (about 10 minutes, once)
	@echo "ready: .venv"

demo: $(READY) ## history and two nights on the embedded log: train two models, score all users, report
	@$(BIN)/lamplighter demo

demo-reduced: $(READY) ## the same on fewer days and smaller models, in a warehouse of its own
	@$(BIN)/lamplighter demo --reduced

check: $(READY) ## before a commit: style, types, import rules, tests without Spark (minutes)
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-logo >build/imports.log || { cat build/imports.log; exit 1; }
	@OMP_NUM_THREADS=1 $(PYTEST) -n 2 -m "not spark and not slow"

test: check ## check, then the tests with Spark (8 minutes)
	@$(PYTEST) -n 2 --dist loadgroup -m "spark and not nights and not slow"

test-nights: $(READY) ## a history and two nights on a slice of the log, and what they leave behind (8 minutes)
	@$(PYTEST) -m "nights and not slow"

test-slow: $(READY) $(AIRFLOW_READY) ## what takes longer: Airflow's own environment, kill and rerun, commands of the README
	@$(PYTEST) -m slow

airflow-demo: $(READY) $(AIRFLOW_READY) ## after make demo: the night of 2022-05-08 again, as Airflow's tasks; no digest changes
	@.venv-airflow/bin/python tools/airflow_demo.py

cluster-demo: $(READY) ## the demo on a standalone Spark cluster and an object store, then all digests compared
	@tools/setup.sh cluster
	@$(BIN)/python -m tools.cluster_demo

golden: $(READY) ## rewrite the golden files of tests/ (the commit says why they changed)
	@LAMPLIGHTER_GOLDEN=1 $(PYTEST) -m "not slow" -k golden

docs: $(READY) ## rewrite what docs/ and dags/jobs.json take from the code
	@$(BIN)/python -m tools.write_jobs
	@$(BIN)/python -m tools.write_reference
	@$(BIN)/python -m tools.model_guide

dist: $(READY) $(ENVIRONMENT) ## into dist/: a wheel, a zip for --py-files, an environment for --archives (minutes, GBs)
	@$(BIN)/python -m tools.shipping

$(ENVIRONMENT): pyproject.toml constraints.txt tools/shipping/environment.py | $(READY)
	@$(BIN)/python -m tools.shipping.environment $@

format: $(READY) ## let ruff lay out the code and order the imports
	@$(BIN)/ruff check --quiet --fix --select I .
	@$(BIN)/ruff format --quiet .

clean: ## remove the warehouse: all tables, models and reports of this checkout
	rm -rf warehouse
