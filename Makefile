# `make up` brings a working environment up, `make test` tests everything; `make help` lists the rest.
.DEFAULT_GOAL := help
BIN := .venv/bin
INSTALLED := .venv/.installed
# Tests that start the engine and its services want a core each.
WORKERS ?= 2
# What the service's image installs, in the versions that the tests ran with.
IMAGE_LOCK := --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	--no-header

$(INSTALLED): requirements.lock pyproject.toml agent_app/pyproject.toml
	@sh tools/bootstrap

.PHONY: help up down test unit test-cluster checks web chaos image lint format lock clean

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: $(INSTALLED) ## Bring the local environment up and print where it answers
	@$(BIN)/agent-infra up

down: $(INSTALLED) ## Delete the local environment and stop all it runs
	@$(BIN)/agent-infra destroy

test: $(INSTALLED) ## Run every test, those with the real engine included
	@$(BIN)/agent-infra tools --ensure
	@$(BIN)/pytest -n $(WORKERS) --dist loadgroup -m "not cluster and not image and not web and not chaos"

unit: $(INSTALLED) ## Run the tests that need no engine
	@$(BIN)/pytest -n $(WORKERS) -m "not cluster and not engine and not image and not web and not chaos"

test-cluster: $(INSTALLED) ## Run the tests of fleets on a real Kubernetes control plane, on this machine
	@$(BIN)/agent-infra tools --ensure --cluster
	@$(BIN)/pytest -n $(WORKERS) --dist loadgroup -m cluster --durations=15 tests/cluster

checks: $(INSTALLED) ## Ask checkov about the objects of every kind of fleet
	@tools/checks

web: $(INSTALLED) ## Use the service's page in a browser (Debian; as root it installs what it needs)
	@tools/debian-packages web
	@$(BIN)/pytest -m web tests/app

chaos: $(INSTALLED) ## Run 10,000 tasks amid faults (DRILL_TASKS, DRILL_SEED choose how many and which)
	@$(BIN)/agent-infra tools --ensure
	@$(BIN)/pytest -m chaos -s tests/app

image: $(INSTALLED) ## Build the service's image and run it (Debian and root: it installs what it needs)
	@tools/debian-packages image
	@$(BIN)/pytest -m image tests/image

lint: $(INSTALLED) ## Check style, types and the direction of imports
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(INSTALLED) ## Put the code into the house's format
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

lock: $(INSTALLED) ## Pin the newest allowed Python packages anew (the engine's version stays)
	@printf 'pulumi==3.232.0\n' | $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-emit-find-links --no-header --upgrade --extra local --extra dev \
		pyproject.toml agent_app/pyproject.toml -c - -o requirements.lock
	@$(BIN)/uv pip compile $(IMAGE_LOCK) -c requirements.lock agent_app/pyproject.toml -o agent_app/requirements.lock
	@printf 'hatchling\n' | $(BIN)/uv pip compile $(IMAGE_LOCK) --upgrade -c requirements.lock - \
		-o agent_app/build-requirements.lock
	@printf 'checkov\n' | $(BIN)/uv pip compile $(IMAGE_LOCK) --upgrade - -o tools/checkov.lock

clean: ## Remove what the tools leave behind; environments and their data stay
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .checks_cache .hypothesis
