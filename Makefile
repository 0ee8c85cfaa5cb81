# The tasks of a developer. Each target works in a fresh clone: it creates .venv first if needed.
.DEFAULT_GOAL := help
.PHONY: help install test unit lint audit format generators languages browser console-pictures site demo serve bench chaos compatibility fuzz examples coverage package docs lock ci clean

bin := .venv/bin
installed := .venv/installed

help: ## List the tasks
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 18

$(installed): requirements-dev.lock pyproject.toml
	python3 -m venv .venv
	$(bin)/pip install -q -r requirements-dev.lock
	$(bin)/pip install -q --no-deps --no-build-isolation -e .
	@touch $@

install: $(installed) ## Create .venv with everything that development needs

test: $(installed) ## Run the tests, as the README does
	$(bin)/pytest

unit: $(installed) ## Run the tests that need no server
	$(bin)/pytest tests/unit

generators: $(installed) ## Generate clients from the OpenAPI document and use them; needs node and npm
	$(bin)/pytest -n 0 -m generators

languages: $(installed) ## Run the guides' programs in Node and Go; needs node, npm and go
	$(bin)/pytest -n 0 -m languages

browser: $(installed) ## Run the tests in Chromium, which must be installed
	$(bin)/pytest -m browser

console-pictures: $(installed) ## Take pictures of the console's pages, into build/console
	CONSOLE_PICTURES=build/console $(bin)/pytest -n 0 -m browser tests/console/test_pictures.py

lint: $(installed) ## Run linters, type checks and import contracts
	scripts/lint

audit: ## Report known vulnerabilities of the packages, and what a security linter finds
	scripts/audit

format: $(installed) ## Format the code, and fix what the linter can fix
	$(bin)/ruff check --fix .
	$(bin)/ruff format .

demo: $(installed) ## Run the demo for 20 seconds
	$(bin)/event-gateway demo --for 20s

serve: $(installed) ## Run a gateway with embedded servers, data in ./data
	$(bin)/event-gateway serve

bench: $(installed) ## Run the benchmarks, some 25 minutes
	$(bin)/python -m bench

chaos: $(installed) ## Kill the gateway, NATS and Valkey at random for 20 minutes
	$(bin)/python tests/chaos --minutes 20

compatibility: $(installed) ## Run tests over versions of NATS, Redis and Python
	$(bin)/python tests/compatibility

fuzz: $(installed) ## Fuzz the parsers for 10 minutes, then the API by its OpenAPI document
	$(bin)/python tests/fuzz --minutes 10
	$(bin)/python tests/fuzz/api.py --cases 20000

examples: $(installed) ## Try all generated examples, and not a sixth of them
	FUZZ=1 $(bin)/pytest tests/unit tests/ingest

coverage: $(installed) ## Run the tests, and measure the branch coverage of all code
	$(bin)/pytest --cov

docs: $(installed) ## Generate the reference pages
	$(bin)/python -m event_gateway.config.reference > docs/reference/configuration.md
	$(bin)/python -m event_gateway.state.keys_reference docs/reference/redis-keys.md
	$(bin)/python -m event_gateway.config.scope_reference > docs/reference/scopes.md
	$(bin)/python -m event_gateway.observability.health_reference > docs/reference/health.md
	$(bin)/python -m event_gateway.observability.metrics.reference > docs/reference/metrics.md
	$(bin)/python -m event_gateway.observability.log_fields > docs/reference/logs.md
	$(bin)/python -m event_gateway.api.openapi.python_client
	$(bin)/ruff format -q src/event_gateway/client
	$(bin)/python -m event_gateway.core.warning_codes > docs/reference/warnings.md
	$(bin)/python -m event_gateway.api.server.problem_reference > docs/reference/problems.md
	$(bin)/python -m event_gateway.cli.assistants.reference docs/reference/assistant-tools.md
	$(bin)/python -m event_gateway.core.schema.lifecycle_reference > docs/reference/lifecycle-events.md
	$(bin)/python -m event_gateway.cli.summaries_module src/event_gateway/cli/summaries.py
	$(bin)/python -m event_gateway.cli.command_reference > docs/reference/commands.md
	PYTHONPATH=tests $(bin)/python -m support.snippets

site: $(installed) ## Build the documentation's site into build/site
	$(bin)/python scripts/site

package: $(installed) ## Build wheel and sdist, and try them, the image's steps, the chart, the workflows
	$(bin)/python tests/package

lock: $(installed) ## Update the lock files
	scripts/lock

ci: ## Run everything that must pass before a change lands
	.ci/run

clean: ## Remove .venv and the caches of the tools
	rm -rf .venv .venv-audit .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist
