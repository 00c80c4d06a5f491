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

ROOT := $(CURDIR)
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
unexport ANSIBLE_CONFIG

SHELL_FILES := .ci/run roles/patch_hosts/files/*.sh extensions/simulator/ecs_simulator/machines/namespace/programs/*

.DEFAULT_GOAL := help
.PHONY: FORCE help demo demo-reset test lint unit integration venv venv-dev clean

help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
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

test: lint unit integration ## Run all checks and tests

lint: venv-dev ## Run ruff, mypy, shellcheck and ansible-lint
	ruff check .
	ruff format --check .
	mypy
	shellcheck $(SHELL_FILES)
	cd $(COLLECTION) && ansible-lint --offline

unit: venv-dev ## Run the unit tests, and the simulator's
	pytest -q -n 2 tests/unit extensions/simulator/tests

integration: venv-dev ## Run modules, role and demo against the simulator
	pytest -q -n 2 tests/end_to_end

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

.venv/.dev: requirements-dev.txt .venv/.runtime
	$(BIN)/python -m pip install --quiet -r requirements-dev.txt
	@touch $@

clean: ## Remove everything that was made
	rm -rf .venv .ansible .demo .mypy_cache .pytest_cache .ruff_cache .hypothesis
