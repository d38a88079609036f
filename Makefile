# Two commands do everything on a fresh machine: `make demo` and `make test`.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
export CARGO_TARGET_DIR ?= $(HOME)/.cache/tributary/target
TOOLS := $(HOME)/.cache/tributary/tools
CARGO_DENY := 0.20.2
VENV := $(CURDIR)/.venv
export TRIBUTARY_PYTHON ?= $(VENV)/bin/python
NEXTEST := $(shell command -v cargo-nextest 2>/dev/null)

.PHONY: demo test lint bench fuzz package generated tables peers clone terraform-lint terraform-test infra-lint infra-test

## Test binaries hold the path of the clone that built them, and the target directory is shared: another clone builds its own
## crates anew (never the dependencies).
clone:
	@mkdir -p "$(CARGO_TARGET_DIR)"
	@if [ "$$(cat "$(CARGO_TARGET_DIR)/clone" 2>/dev/null)" != "$(CURDIR)" ]; then \
	  find crates modules cli tests -name '*.rs' -exec touch {} +; echo "$(CURDIR)" > "$(CARGO_TARGET_DIR)/clone"; fi

## The main job, end to end, on embedded back ends, no cloud account.
demo:
	@echo "== building tributary (release; the first time takes some minutes)"
	cargo build --release -p tributary-cli --bin tributary
	"$(CARGO_TARGET_DIR)/release/tributary" demo --out out/demo
	"$(CARGO_TARGET_DIR)/release/tributary" inspect out/demo/lake/ext/azure-detection --rows 3
	@echo "The command: $(CARGO_TARGET_DIR)/release/tributary --help"

## Every test, foreign peers included.
test: clone peers
	@echo "== tests (cargo nextest, else cargo test)"
	if [ -n "$(NEXTEST)" ]; then \
	  TRIBUTARY_REQUIRE_PEERS=1 cargo nextest run --workspace && cargo test --workspace --doc; \
	else TRIBUTARY_REQUIRE_PEERS=1 cargo test --workspace; fi
	$(MAKE) --no-print-directory terraform-test infra-test

## Peers that are not ours: readers, validators, and Microsoft's own Event Hubs clients. Test use only.
peers: $(VENV)/.installed tests/peers/js/node_modules/.installed
$(VENV)/.installed: tests/peers/requirements.txt
	@echo "== installing the python peers into .venv"
	python3 -m venv "$(VENV)"
	"$(VENV)/bin/pip" install --quiet --disable-pip-version-check -r tests/peers/requirements.txt
	touch "$@"
tests/peers/js/node_modules/.installed: tests/peers/js/package-lock.json
	@echo "== installing the javascript peer into tests/peers/js/node_modules"
	npm ci --prefix tests/peers/js --no-audit --no-fund --loglevel=error
	touch "$@"

## A tool that cannot be installed is skipped, loudly.
lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	@if [ ! -x "$(TOOLS)/bin/cargo-deny" ]; then echo "== installing cargo-deny into $(TOOLS)"; \
	  cargo install --quiet --locked cargo-deny --version $(CARGO_DENY) --root "$(TOOLS)" || true; fi
	@if [ -x "$(TOOLS)/bin/cargo-deny" ]; then "$(TOOLS)/bin/cargo-deny" --log-level error check bans licenses sources; \
	else echo "SKIPPED cargo-deny: cannot be installed (cargo install --locked cargo-deny)"; fi
	@if ! command -v shellcheck >/dev/null && [ "$$(id -u)" = 0 ]; then \
	  echo "== installing shellcheck"; (apt-get update -qq && apt-get install -qq -y shellcheck) >/dev/null 2>&1 || true; fi
	@if command -v shellcheck >/dev/null; then shellcheck .ci/run fuzz/run scripts/package tests/terraform-offline/run \
	  tests/terraform-offline/check modules/azure/scripts/*.sh infra/check; \
	else echo "SKIPPED shellcheck: not installed (apt-get install shellcheck)"; fi
	$(MAKE) --no-print-directory terraform-lint infra-lint

## Azure's side. Provider schemas (a quarter of a minute) and checkov (minutes, 300 MB) are made once, outside the clone.
terraform-lint:
	TRIBUTARY_TOOLS="$(TOOLS)" tests/terraform-offline/check lint
terraform-test: $(VENV)/.installed
	@if ! { command -v bats && command -v jq; } >/dev/null && [ "$$(id -u)" = 0 ]; then \
	  echo "== installing bats and jq"; (apt-get update -qq && apt-get install -qq -y bats jq) >/dev/null 2>&1 || true; fi
	TRIBUTARY_TOOLS="$(TOOLS)" tests/terraform-offline/check test

## AWS's side: types, templates by their assertions and snapshots, cdk-nag, cfn-lint; and a deployment on this machine, end to end.
infra-lint:
	TRIBUTARY_TOOLS="$(TOOLS)" infra/check lint
infra-test: peers
	@[ -x "$(CARGO_TARGET_DIR)/debug/bootstrap" ] && [ -x "$(CARGO_TARGET_DIR)/debug/tributary" ] || \
	  cargo build -p tributary-functions -p tributary-cli
	TRIBUTARY_REQUIRE_PEERS=1 TRIBUTARY_TARGET="$(CARGO_TARGET_DIR)/debug" infra/check test

## The Lambda functions: one program, `bootstrap`, in one zip for each architecture, as infra/ deploys them. Only this machine's own
## architecture is built unless ARCHITECTURES says more; another one needs its Rust target and a linker (docs/OPERATIONS.md).
ARCHITECTURES ?= $(patsubst aarch64,arm64,$(shell uname -m))
package:
	@for architecture in $(ARCHITECTURES); do scripts/package "$$architecture"; done

## The way from a record to Parquet by CPU time of one core, hub to lake on both; ratios count, the machine is never quiet.
## The tables of kinds and of flow logs in docs/PERFORMANCE.md are written anew.
bench: export TRIBUTARY_BENCH_WRITE := $(CURDIR)/docs/PERFORMANCE.md
bench:
	cargo bench -p tributary-tests -p tributary-batch -p tributary-azure-eventhub-emulator -p tributary-functions \
	  --bench chain --bench hub --bench flowlogs --bench envelope --bench deliveries --bench deployment

## Every fuzz target for a minute (FUZZ_SECONDS), from the project's own cases.
fuzz:
	fuzz/run

## Lists of metrics and permissions, for infra and docs, from the code.
generated:
	cargo run -q -p tributary-functions --example generated

## The OCSF tables anew from the python package that ships the compiled schema.
tables: peers
	for version in 1.1.0 1.3.0; do \
	  cargo run -q -p tributary-ocsf --example ocsf-tables -- $(VENV)/lib/python3*/site-packages/ocsf_json_schema/ocsf/$$version.json \
	    > crates/ocsf/tables/$$version.tsv.new && mv crates/ocsf/tables/$$version.tsv.new crates/ocsf/tables/$$version.tsv; done
