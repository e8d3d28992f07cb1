# SPDX-License-Identifier: Apache-2.0
# The front door; the work is in CMakePresets.json and tools/.
#   Variables: PREFIX, DESTDIR and BUILD (install, uninstall), HAPROXY=/path (test: a binary of yours instead of
#   Debian's; demo too), KEEP=1 (demo: leave it running), BASE=FILE (bench: compare with).
# A variable given on make's command line reaches the scripts through the environment.
.DEFAULT_GOAL := help
.PHONY: help deps build install uninstall demo bench test test-all test-race fuzz lint mutants format container deb clean

PREFIX ?= /usr/local
BUILD ?= build/release

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{printf "%-18s %s\n", $$1, $$2}'

deps: ## Install the Debian packages that building, testing, linting and the container need
	@tools/install-deps all

build: ## Build host, SDK and plugins for use: build/release/bin/spoe-host
	@tools/install-deps build
	cmake --preset release
	cmake --build --preset release

install: ## Install what `make build` built (PREFIX=/usr/local, DESTDIR=)
	@test -x "$(BUILD)/bin/spoe-host" || $(MAKE) build
	@BUILD="$(BUILD)" PREFIX="$(PREFIX)" DESTDIR="$(DESTDIR)" tools/install install

uninstall: ## Remove what `make install` installed, except files that were changed since (PREFIX, DESTDIR)
	@PREFIX="$(PREFIX)" DESTDIR="$(DESTDIR)" tools/install uninstall

demo: ## Run HAProxy, spoe-host, otel.so and a collector on this machine, in a minute (KEEP=1 leaves them running)
	@tools/install-deps demo
	@tools/demo

bench: ## Measure CPU, latency and memory, compared with the least that an SPOP agent can cost (BASE=FILE: an earlier result)
	@tools/install-deps bench
	@BASE="$(BASE)" tools/bench

test: ## Run everything that CI runs (HAPROXY=/path/to/haproxy for another binary)
	@tools/run-tests

test-all: ## Run everything that CI runs, and the tests with the label long
	@tools/run-tests ci asan tsan fuzz options container lint long

test-race: ## Build with ThreadSanitizer and run the race tests
	@tools/run-tests tsan

fuzz: ## Run each fuzz target for 200 000 inputs from its corpus
	@tools/run-tests fuzz

lint: ## Check format, clang-tidy, cppcheck, layers and banned calls
	@tools/run-tests lint

mutants: ## Change the code a little, and report changes that no test notices (BASE=REVISION: files changed since; ARGS: see --help)
	@tools/install-deps test
	@tools/mutants $(if $(BASE),--base "$(BASE)") $(ARGS)

format: ## Format the sources in place
	@tools/lint format-write

container: ## Build the images spoe-host:VERSION and :VERSION-plugins with buildah, podman or docker (SBOM=FOLDER)
	@SBOM="$(SBOM)" tools/build-image

deb: ## Build the Debian packages, for Debian 12 and 13, each in a minbase (SUITES="bookworm trixie")
	@tools/build-deb $(SUITES)

clean: ## Remove the build tree
	@# A container test that was killed leaves its root mounted.
	@awk '$$2 ~ "^$(CURDIR)/build/" { print $$2 }' /proc/mounts | sort -r | xargs -r umount
	rm -rf build
