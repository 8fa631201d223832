# The commands of daily work. 'make' lists them; whatever one needs, it brings about itself.
.DEFAULT_GOAL := help
.SUFFIXES:
MAKEFLAGS += --no-print-directory
SHELL := /bin/sh
PYTHON3 := .venv/bin/python
export RUSTDESK_SERVER_ARCHIVE

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

##@ The two that a newcomer needs

.PHONY: demo
demo: bootstrap ## deploy the service to lab machines, prove it over the wire, show what was proven
	@lab/archive
	@RUSTDESK_LAB=demo $(PYTHON3) lab/lib/machines.py demo

.PHONY: test
test: ## everything CI checks
	@began=$$(date +%s) && lab/bootstrap && $(PYTHON3) lab/lib/check.py --bootstrap-seconds $$(($$(date +%s) - began))

.PHONY: bundle
bundle: bootstrap ## build what a site's customers download, into dist/: [SITE=gtr] [ARGS=for ansible-playbook]
	@$(PYTHON3) lab/lib/bundle.py build $(if $(SITE),--site '$(SITE)') $(if $(ARGS),-- $(ARGS))

##@ Daily work

.PHONY: bootstrap
bootstrap: ## container engine, Python tools, machine images: what is missing of them
	@lab/bootstrap

.PHONY: lint
lint: bootstrap ## all linters
	@$(PYTHON3) lab/lib/lint.py

.PHONY: unit
unit: bootstrap ## unit tests; ARGS='-k name' goes to pytest
	@.venv/bin/pytest --numprocesses=2 --dist=loadfile tests/unit $(ARGS)

.PHONY: scenario
scenario: bootstrap ## a molecule scenario: NAME=rustdesk_server [STEP=test|check|converge|verify] [ARGS=for ansible-playbook]
	@[ -n "$(NAME)" ] || { echo "NAME is missing: make scenario NAME=$$(cd molecule && echo * | tr ' ' '|')" >&2; exit 2; }
	@$(PYTHON3) lab/lib/scenario.py $(NAME) $(if $(STEP),--step $(STEP),--fresh) $(if $(ARGS),-- $(ARGS))

.PHONY: test-core
test-core: bootstrap ## the server's scenario under the newest ansible-core, from a Debian 13 container
	@lab/test-core

.PHONY: bench
bench: bootstrap ## measure: converge, probe, relay throughput, a fleet of endpoints
	@lab/archive
	@$(PYTHON3) tests/benchmarks/run.py $(ARGS)

.PHONY: archive
archive: bootstrap ## say which hbbs and hbbr the lab would run
	@lab/archive

.PHONY: demo-down
demo-down: bootstrap ## remove the demo's machines
	@RUSTDESK_LAB=demo $(PYTHON3) lab/lib/machines.py destroy

.PHONY: lock
lock: bootstrap ## write requirements*.lock anew after a change of requirements*.txt
	@for list in requirements:3.11 requirements-newest:3.13; do \
	    UV_SYSTEM_CERTS=1 UV_NATIVE_TLS=1 .venv/bin/uv pip compile -q --universal --generate-hashes --no-annotate \
	        --custom-compile-command 'make lock' --python-version $${list#*:} $${list%:*}.txt -o $${list%:*}.lock || exit 1; \
	done

.PHONY: clean
clean: ## remove machines, images, tools and caches: all that the other targets made
	@lab/clean
