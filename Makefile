# Every command a person needs. What is downloaded or compiled lies outside the clone, in $(WAC_CACHE).
WAC_CACHE ?= $(HOME)/.cache/whatsapp-operator
CARGO_TARGET_DIR ?= $(WAC_CACHE)/target
export WAC_CACHE CARGO_TARGET_DIR

cluster := tests/cluster/cluster
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo demo-down test bench chaos check lint generate deps cluster cluster-down images format clean

help: ## this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "make %-14s%s\n", $$1, $$2}'

demo: deps ## the whole story on this machine, and then yours to play with (2 minutes; longer the first time)
	@tests/e2e/demo

demo-down: ## end it, and leave nothing running
	@tests/e2e/demo down

test: ## everything: unit, property and component tests, charts, and the story on a real cluster (17 minutes; longer the first time)
	@tests/run

bench: deps ## how fast and how large everything is (15 minutes; BENCH_PROFILE=release to compare)
	@tests/bench/run

chaos: deps ## kill a session pod 100 times in a row at moments drawn from KILLS_SEED (8 minutes; KILLS=20 for fewer)
	@tests/chaos/run

deps: ## install what is missing (Debian packages as root, npm packages)
	@tests/install-deps

cluster: deps ## a real Kubernetes on this machine (7 s; 7 minutes the first time)
	@$(cluster) up

cluster-down: ## end it
	@$(cluster) down

images: deps ## container images, those whose inputs changed
	@images/build

# Component tests wait for servers and browsers more than they compute: four at once on two cores.
check: lint ## the inner loop: format, lints, unit and component tests (1:40 warm)
	RUST_TEST_THREADS=4 tests/harness/with-control-plane cargo test --workspace --locked --quiet

lint: deps ## formats, lints, dependencies, types
	@tests/install-tools cargo-machete cargo-deny
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked --quiet -- -D warnings
	$(WAC_CACHE)/tools/bin/cargo-deny --log-level error check bans licenses sources
	$(WAC_CACHE)/tools/bin/cargo-machete >/dev/null || $(WAC_CACHE)/tools/bin/cargo-machete
	cd session-pod/page && npm run --silent check && npm run --silent build

generate: ## write anew what is generated: CRDs, the description of the API, tables in docs/, what the charts render
	UPDATE_GOLDEN=1 cargo test --workspace --locked --quiet --lib --test golden --test reference
	charts/goldens update

format: ## format all Rust
	cargo fmt --all

clean: cluster-down ## remove everything built, here and in the cache
	rm -rf dist session-pod/page/dist session-pod/page/node_modules tests/e2e/node_modules
	rm -rf --one-file-system $(WAC_CACHE)/target $(WAC_CACHE)/cluster $(WAC_CACHE)/harness $(WAC_CACHE)/images $(WAC_CACHE)/simulator-tls
