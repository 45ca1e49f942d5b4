# What one does with this repository. `make` alone lists it.

.DEFAULT_GOAL := help
.PHONY: help setup test torture upgrade bench lint fmt run clean

TOOLS := $(or $(ROSTER_TOOLS_DIR),.tools)

# The stress tests carry their case's number in their name: e01_…, e11_….
CASES ?= e0 e1 e2 e3

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install the servers and tools that tests and checks need into .tools
	tools/setup

test: setup ## Run every test, on SQLite and on a private PostgreSQL, with a private NATS
	tools/with-servers cargo test --workspace --no-fail-fast

torture: setup ## Run the stress tests at full length; CASES=e05 for one of them
	ROSTER_TORTURE=1 tools/with-servers cargo test --profile bench --test it -- $(CASES) --nocapture --test-threads=1

upgrade: setup ## Try an older version on this one's schema; FROM=v0.1.0 names it
	rm -rf target/older && git worktree prune && git worktree add --detach target/older $(FROM)
	cargo build --manifest-path target/older/Cargo.toml --target-dir target/older-build --bin roster
	ROSTER_TEST_OLDER_ROSTER=$(CURDIR)/target/older-build/debug/roster tools/with-servers cargo test --test it -- upgrades
	git worktree remove --force target/older

bench: setup ## Measure what calls cost, and fail where a ratio is over its limit: on SQLite and on a private PostgreSQL
	ROSTER_SERVERS_FSYNC=on tools/with-servers cargo bench --no-fail-fast --bench batch --bench paging

lint: setup ## Check formatting, lints, documentation, API definitions and dependencies
	tools/setup deny
	cargo fmt --all --check
	$(TOOLS)/bin/buf lint
	$(TOOLS)/bin/buf format --diff --exit-code
	$(TOOLS)/bin/cargo-deny check bans licenses sources
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

fmt: setup ## Format the Rust code and the API definitions
	cargo fmt --all
	$(TOOLS)/bin/buf format --write

run: ## Start Roster with its defaults: SQLite, mail and all other data in ./data
	cargo run --release

clean: ## Remove what was built and installed, and the data of `make run`
	rm -rf target .tools data gen
