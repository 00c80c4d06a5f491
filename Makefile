# Everything happens below this folder: .venv, .ansible and .demo hold what is made, `make clean` removes it.

# The newest Python from 3.11 on that really runs and can make virtual environments. Of a virtual environment that is
# active, ours included, it is the Python that made it.
FIND_PYTHON := import ensurepip, sys, venv; sys.version_info < (3, 11) and sys.exit(1); print(sys._base_executable)
ifndef PYTHON
PYTHON := $(shell for python in python3.15 python3.14 python3.13 python3.12 python3.11 python3; do \
	"$$python" -c '$(FIND_PYTHON)' 2>/dev/null && break; done)
endif
ANSIBLE_CORE ?= ansible-core>=2.19
ARGS ?=
MATRIX ?=
RUNS ?= 1000
SEED ?= 1

ROOT := $(CURDIR)
GATE := $(ROOT)/tests/tools/gate
COVERAGE := $(ROOT)/.ansible/coverage
# What is measured takes twice as long: the matrix goes without, and so do most tests of role and playbooks.
MEASURED = env COVERAGE_FILE=$(COVERAGE)/$@ coverage run -m
# A process that was killed leaves a file without data.
COMBINE = coverage combine --keep --quiet $(COVERAGE)/unit* $(COVERAGE)/modules* 2>/dev/null
MEASURED_TESTS := $(addprefix tests/end_to_end/test_,modules.py commands.py instances.py killed.py demo.py)
BIN := $(ROOT)/.venv/bin
COLLECTIONS := $(ROOT)/.ansible/collections
COLLECTION := $(COLLECTIONS)/ansible_collections/cloudops/alibaba

export PATH := $(BIN):$(PATH)
export ANSIBLE_HOME := $(ROOT)/.ansible
export ANSIBLE_COLLECTIONS_PATH := $(COLLECTIONS)
export PIP_CACHE_DIR := $(ROOT)/.venv/cache
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Nothing asks the metadata server for credentials.
export ALIBABA_CLOUD_ECS_METADATA_DISABLED := true
export PYTHONPATH := $(COLLECTIONS)
export ECS_SIMULATOR_ROOTFS ?= $(ROOT)/.ansible/rootfs
export COVERAGE_FILE := $(COVERAGE)/combined
unexport ANSIBLE_CONFIG

RUNNER_FILES := roles/patch_hosts/files/runner/*.sh
SHELL_FILES := .ci/run tests/tools/gate tests/tools/changelog_fragment roles/patch_hosts/files/*.sh $(RUNNER_FILES) extensions/simulator/ecs_simulator/machines/programs/* extensions/simulator/ecs_simulator/machines/namespace/programs/*

.DEFAULT_GOAL := help
.PHONY: FORCE help demo demo-reset test lint ruff mypy imports shell yaml ansible-lint changelog docs-lint sanity units \
	targets unit modules integration coverage coverage-write documentation docs bench-modules bench-simulator test-kill \
	test-faults test-random test-virtual test-sample test-matrix simulator-rootfs venv venv-dev clean

help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  make PYTHON=/path/to/python3 …   use another Python (found: $(or $(PYTHON),none))"
	@echo "  make demo ARGS=\"-e patch_hosts_restart_method=api\"   pass options to ansible-playbook"

DEMO_DIR ?= .demo

demo: venv ## Patch and restart a simulated fleet; a second run finds nothing to do
	@mkdir -p $(DEMO_DIR)
	@rm -f $(DEMO_DIR)/audit.jsonl
	ecs-simulator run --fleet demo/fleet.yml --state-dir $(DEMO_DIR)/state --audit-log $(DEMO_DIR)/audit.jsonl -- \
		ansible-playbook -i demo/inventory.yml -e @demo/vars.yml \
		-e patch_hosts_report_dir=$(abspath $(DEMO_DIR))/report playbooks/patch.yml $(ARGS)
	@echo "Report: $(DEMO_DIR)/report/report.json   Audit log: $(DEMO_DIR)/audit.jsonl   Start afresh: make demo-reset"

demo-reset: ## Forget what the demo has patched
	rm -rf $(DEMO_DIR)

# Two gates at a time; what a gate prints stays together.
test: venv-dev ## Run all checks and tests
	@$(GATE) "all gates" $(MAKE) --jobs=2 --output-sync=target --keep-going lint sanity units targets coverage \
		integration documentation test-sample

lint: ruff mypy imports shell yaml ansible-lint changelog docs-lint ## Run the checks that only read: the next eight

ruff: venv-dev ## Check the style of the Python code
	@$(GATE) $@ sh -c 'ruff check . && ruff format --check .'

mypy: venv-dev ## Check the types of module_utils and the simulator
	@$(GATE) $@ mypy

imports: venv-dev ## Check which way the layers import
	@PYTHONPATH=$(COLLECTIONS):extensions/simulator $(GATE) $@ lint-imports --no-cache

shell: venv-dev ## Check the shell scripts
	@$(GATE) $@ sh -c 'shellcheck $(SHELL_FILES) && cat $(RUNNER_FILES) | grep -v disable=SC2034,SC2154 | shellcheck -s sh -'

yaml: venv-dev ## Check the YAML files
	@$(GATE) $@ yamllint --strict .

ansible-lint: venv-dev ## Check role and playbooks with ansible-lint's profile production
	@cd $(COLLECTION) && $(GATE) $@ ansible-lint --offline

changelog: venv-dev ## Check the changelog's fragments, and that each change has one
	@$(GATE) $@ sh -c 'antsibull-changelog lint && tests/tools/changelog_fragment'

docs-lint: venv-dev ## Check the documentation of modules, plugins and roles
	@$(GATE) $@ antsibull-docs lint-collection-docs --plugin-docs --validate-collection-refs=all .

sanity: venv-dev ## Run ansible-test sanity
	@$(GATE) $@ python tests/tools/run_ansible_test.py sanity

units: venv-dev ## Run the unit tests the way ansible-test does
	@$(GATE) $@ sh -c 'python tests/tools/run_ansible_test.py units $$(grep -L pytest.mark.once tests/unit/test_*.py)'

targets: venv-dev ## Run the integration targets with ansible-test, against the simulator
	@$(GATE) $@ ecs-simulator run --fleet tests/integration/fleet.yml -- \
		python tests/tools/run_ansible_test.py integration

unit: venv-dev .venv/.node ## Run the unit tests, and the simulator's
	@rm -f $(COVERAGE)/$@*
	@$(GATE) $@ $(MEASURED) pytest -q -n 2 --durations=10 tests/unit tests/random_runs tests/virtual_runs extensions/simulator/tests

modules: venv-dev ## Run the modules and the demo against the simulator
	@rm -f $(COVERAGE)/$@*
	@$(GATE) $@ $(MEASURED) pytest -q -n 2 --durations=10 $(MEASURED_TESTS)

integration: venv-dev ## Run role and playbooks against the simulator
	@$(GATE) $@ pytest -q -n 2 --durations=10 tests/end_to_end $(addprefix --ignore=,$(MEASURED_TESTS))

simulator-rootfs: venv ## Make what the simulator's nspawn machines are made of, a Debian, unless it is there: 3 min
	@$(GATE) $@ ecs-simulator rootfs $(ECS_SIMULATOR_ROOTFS)

bench-simulator: venv ## Measure a simulator of 10,000 instances; ARGS="--instances 1000" takes fewer
	python tests/bench/simulator.py $(ARGS)

test-kill: venv-dev ## Kill controller, keeper, agent and machine at every point of a run; KILL_SAMPLE=8 takes every 8th
	@$(GATE) $@ pytest -v -n 2 --no-header tests/kill

test-faults: venv-dev ## Run into every fault of the simulator, by both ways to restart and to fail; FAULT_SAMPLE=9 takes every 9th
	@$(GATE) $@ pytest -v -n 2 --no-header tests/faults

test-random: venv-dev ## Hit RUNS=1000 runs at random moments, from SEED=1 on; all follows from a seed but the timing
	@PYTHONPATH=$(COLLECTIONS):tests $(GATE) $@ python -m random_runs --runs $(RUNS) --seed $(SEED)

test-virtual: venv-dev ## Roll out RUNS=1000 times on a virtual clock, from SEED=1 on; all follows from a seed
	@PYTHONPATH=$(COLLECTIONS):tests $(GATE) $@ python -m virtual_runs --runs $(RUNS) --seed $(SEED)

test-sample: venv-dev ## The virtual runs, and a sample of the kill matrix, of the fault matrix and of the random runs
	@$(MAKE) --no-print-directory test-virtual
	@$(MAKE) --no-print-directory test-kill KILL_SAMPLE=12
	@$(MAKE) --no-print-directory test-faults FAULT_SAMPLE=25
	@$(MAKE) --no-print-directory test-random RUNS=16

bench-modules: venv-dev ## Measure what a script on 1, 100 and 1,000 instances costs, beside other ways: 8 min
	@$(GATE) $@ python tests/bench/modules.py

coverage: unit modules ## Show the coverage of each layer; fails where it has become less
	@$(GATE) $@ sh -c '$(COMBINE) && python tests/tools/coverage_by_layer.py'

test-matrix: venv-dev ## Run the tests with every pair of Python and ansible-core that can be had here
	@$(GATE) $@ python tests/tools/matrix.py $(MATRIX)

coverage-write: ## Write down the coverage of the last test run as the record
	@$(COMBINE) && python tests/tools/coverage_by_layer.py --write

documentation: venv-dev ## Run what the documentation shows
	@$(GATE) $@ pytest -q -n 2 tests/documentation

docs: venv ## Rewrite what is generated in the documentation
	python tests/tools/role_readme.py

venv: .venv/.runtime $(COLLECTION) ## Install Ansible, the SDK, the simulator and the collection into .venv and .ansible

venv-dev: venv .venv/.dev

$(COLLECTION):
	mkdir -p $(@D)
	ln -sfn $(ROOT) $@

# Changes only when another Python is asked for: .venv is then made anew.
.ansible/python: FORCE
	@mkdir -p $(@D)
	@echo "$(PYTHON)" | cmp -s - $@ || echo "$(PYTHON)" > $@

.venv/.runtime: .ansible/python requirements.txt extensions/simulator/pyproject.toml
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or newer with the venv module runs here. Install one" \
		"(Debian: apt-get install python3-venv) or name one: make PYTHON=/path/to/python3"; exit 1; }
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet "$(ANSIBLE_CORE)" -r requirements.txt -e extensions/simulator
	@touch $@

# One of the clients in the simulator's tests, which skip it where there is no npm.
.venv/.node: extensions/simulator/tests/clients/package.json .venv/.runtime
	@mkdir -p .venv/node && cp $< .venv/node
	@if command -v npm >/dev/null; then npm install --prefix .venv/node --cache .venv/cache/npm --no-package-lock \
		--no-audit --no-fund --ignore-scripts --no-update-notifier --loglevel=error || echo "npm could not: no client in JavaScript is tested"; \
		else echo "No npm here: no client in JavaScript is tested"; fi
	@touch $@

.venv/.dev: requirements-dev.txt .venv/.runtime
	$(BIN)/python -m pip install --quiet -r requirements-dev.txt
	@touch $@

clean: ## Remove everything that was made
	rm -rf .venv .ansible .demo .mypy_cache .pytest_cache .ruff_cache .hypothesis
