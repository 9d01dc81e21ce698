# Lectern's commands. `make help` lists them; every target may be run again and then does only what is left to do.

STATE ?= /var/lib/lectern
LISTEN ?= 127.0.0.1:8080
ARGS ?=

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:

release := .build/release
sources := Package.swift $(shell find Sources -type f 2>/dev/null)

# Where tests and the program find what is not in the repository.
export LECTERN_IMAGES := $(STATE)/images
export LECTERN_ASSETS := $(STATE)/assets
export LECTERN_BINARIES := $(CURDIR)/$(release)
export LECTERN_TEST_IMAGE := $(STATE)/images/lectern/node/rootfs

.PHONY: help
help: ## list these commands
	@echo "make COMMAND, where COMMAND is one of:"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' Makefile | expand -t 12
	@echo "Variables: STATE=$(STATE) (data, images), LISTEN=$(LISTEN), ARGS= (more words for lectern serve)"

.PHONY: serve
serve: .build/prepared-serve build images ## check this machine, build, and start the server
	@exec $(release)/lectern serve --state "$(STATE)" --listen "$(LISTEN)" $(ARGS)

.PHONY: build
build: $(release)/.built ## build the release programs

$(release)/.built: $(sources) | .build/prepared-build
	@echo "lectern: building the programs (some minutes the first time)"
	@swift build -c release --static-swift-stdlib --product lectern
	@swift build -c release --static-swift-stdlib --product node-agent
	@swift build -c release --static-swift-stdlib --product labkube 2>&1 | grep -v 'in statically linked applications requires'
	@touch $@

.PHONY: images
images: .build/prepared-serve ## build the node image and the page's terminal (about a minute, once)
	@Workshops/images/build --state "$(STATE)"

.PHONY: check
check: .build/prepared-build ## formatting, architecture and unit tests: before each commit
	@swift format lint --strict --recursive --parallel Package.swift Sources Tests
	@swift build --build-tests
	@SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH=3 swift test --skip-build --skip LiveTests

.PHONY: test
test: .build/prepared-test ## everything, in real sandboxes and a real browser too; then looks for anything left behind
	@$(MAKE) --no-print-directory check build images
	@.ci/leaks save .build/leaks
	@swift test --skip-build --no-parallel --filter LiveTests
	@for suite in System Browser; do \
		if ls Tests/$$suite/test_*.py >/dev/null 2>&1; then .build/venv/bin/python -m pytest -q -p no:cacheprovider Tests/$$suite; fi; \
	done
	@.ci/leaks compare .build/leaks
	@echo "make test: everything passed"

.PHONY: bench
bench: .build/prepared-bench build images ## measure against the figures in docs/performance.md
	@python3 Tests/Bench/bench.py --binaries "$(release)" --images "$(STATE)" $(ARGS)

.PHONY: demo
demo: .build/prepared-serve build images ## a server for trying out: data of its own in STATE-demo, short labs
	@mkdir -p "$(STATE)-demo"
	@printf 'images: %s\nassets: %s\ncaps:\n  labLifetimeMinutes: 30\n  idleMinutes: 15\n' "$(STATE)/images" "$(STATE)/assets" \
		> "$(STATE)-demo/lectern.yaml"
	@exec $(release)/lectern serve --state "$(STATE)-demo" --config "$(STATE)-demo/lectern.yaml" --listen "$(LISTEN)" $(ARGS)

.PHONY: format
format: ## rewrite the sources in the agreed layout
	@swift format --in-place --recursive --parallel Package.swift Sources Tests

.PHONY: clean
clean: ## remove what was built here; data and images in STATE stay
	@rm -rf .build

# The machine is looked at again when the script, or what it installs, changes.
.build/prepared-%: .ci/prepare Tests/requirements.txt
	@mkdir -p .build
	@.ci/prepare $*
	@touch $@
