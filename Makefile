# One word each; `make` alone lists them. The work is done by scripts/.

.DEFAULT_GOAL := help
.PHONY: help up down test test-arm64 torture fuzz lint fmt build migrate archive import import-back import-test erase psql openapi clean
MAKEFLAGS += --no-print-directory

help: ## list the commands
	@grep -hE '^[a-z][a-z0-9-]*:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-12s %s\n", $$1, $$2 }'

up: ## run the service on http://127.0.0.1:8003 (installs and starts what is missing; Ctrl-C ends it)
	@scripts/up

test: ## run all checks and tests (STEPS="fmt suite" for some of them, SPIN=/path/to/spin for the real host)
	@scripts/test $(STEPS)

test-arm64: ## put the component under the tests on an emulated ARM64 (FILTER="health:: orders::get" for some of them)
	@scripts/test-arm64 $(FILTER)

torture: ## kill everything under load for five minutes, and check that nothing is lost (TORTURE_SECONDS=300, SPIN=…)
	@scripts/torture --seconds $(or $(TORTURE_SECONDS),300)

fuzz: ## throw bytes at what reads them (TARGETS="body token" for some, SECONDS_EACH=60, KEEP=1 to keep what reaches further)
	@scripts/fuzz $(TARGETS)

lint: ## check formatting, clippy, shell scripts and documentation
	@scripts/test fmt fmt-bench shell clippy-component clippy-native doc

fmt: ## format the Rust code
	@cargo fmt --all
	@cargo fmt --manifest-path bench/floor/Cargo.toml
	@cargo fmt --manifest-path bench/peers/axum/Cargo.toml
	@cargo fmt --manifest-path fuzz/Cargo.toml

build: ## build the component (target/wasm32-wasip2/release/order_service.wasm)
	@scripts/build

migrate: ## apply new migrations to DATABASE_URL, or to the database of a running `make up`
	@scripts/migrate up

import: ## take over the orders of the service before (FROM=postgres://…, DRY_RUN=1 only reports)
	@scripts/import

import-back: ## bring what was created or changed here into the database of the service before (FROM=…)
	@scripts/import back

import-test: ## take over 1,000,000 orders with every kind of fault, killed ten times (takes an hour)
	@scripts/check-import big

archive: ## take the final orders of old months into the archive, so that MONTHS=24 of them stay
	@scripts/archive

# Every shell has a USER; only the one of the command line is meant.
erase: export ERASE_USER := $(if $(findstring command,$(origin USER)),$(value USER))
erase: ## take a user out of all orders, the feed and the cache (USER=…, CLUSTER=1 for the cluster's)
	@scripts/erase

psql: ## open psql on the database of a running `make up`
	@scripts/psql

down: ## end a running `make up`, and what a killed run has left behind
	@scripts/down

openapi: ## write openapi.json anew, from the types and bounds of the service
	@OPENAPI_WRITE=1 cargo test --quiet -p order-service --lib openapi

clean: ## end everything, remove what was built and the private databases
	@scripts/down --data
	@cargo clean

-include k8s/Makefile.inc bench/Makefile.inc
