# Two commands do everything on a fresh machine: `make demo` and `make test`.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
export CARGO_TARGET_DIR ?= $(HOME)/.cache/tributary/target
VENV := $(CURDIR)/.venv
export TRIBUTARY_PYTHON ?= $(VENV)/bin/python
NEXTEST := $(shell command -v cargo-nextest 2>/dev/null)

.PHONY: demo test lint bench fuzz tables peers

## The main job on the project's own samples, no cloud account.
demo:
	@echo "== building tributary (release)"
	cargo build --release -p tributary-cli --bin tributary
	"$(CARGO_TARGET_DIR)/release/tributary" mappings check
	"$(CARGO_TARGET_DIR)/release/tributary" mappings test
	@echo "== the cases' events as Parquet in the Security Lake layout"
	rm -rf out/lake
	find modules/azure/mappings -name '*.json' -path '*.cases/*' ! -name '*.expected.json' -print0 \
	  | xargs -0 "$(CARGO_TARGET_DIR)/release/tributary" lake --out out/lake
	find out/lake -name '*.parquet'

## Every test, foreign peers included.
test: peers
ifdef NEXTEST
	@echo "== tests (cargo nextest)"
	TRIBUTARY_REQUIRE_PEERS=1 cargo nextest run --workspace
	@echo "== documentation tests"
	cargo test --workspace --doc
else
	@echo "== tests (cargo test)"
	TRIBUTARY_REQUIRE_PEERS=1 cargo test --workspace
endif

## Python peers: readers and validators that are not ours.
peers: $(VENV)/.installed
$(VENV)/.installed: tests/peers/requirements.txt
	@echo "== installing the python peers into .venv"
	python3 -m venv "$(VENV)"
	"$(VENV)/bin/pip" install --quiet -r tests/peers/requirements.txt
	touch "$@"

lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	@if command -v cargo-deny >/dev/null; then cargo deny check bans licenses sources; \
	else echo "SKIPPED cargo-deny: not installed (cargo install --locked cargo-deny)"; fi
	@if ! command -v shellcheck >/dev/null && [ "$$(id -u)" = 0 ]; then \
	  (apt-get update -qq && apt-get install -qq -y shellcheck) >/dev/null 2>&1 || true; fi
	@if command -v shellcheck >/dev/null; then shellcheck .ci/run; \
	else echo "SKIPPED shellcheck: not installed (apt-get install shellcheck)"; fi

bench:
	cargo bench --workspace

fuzz:
	@echo "no fuzz targets yet"

## The OCSF tables anew from the python package that ships the compiled schema.
tables: peers
	for version in 1.1.0 1.3.0; do \
	  cargo run -q -p tributary-ocsf --example ocsf-tables -- $(VENV)/lib/python3*/site-packages/ocsf_json_schema/ocsf/$$version.json \
	    > crates/ocsf/tables/$$version.tsv.new && mv crates/ocsf/tables/$$version.tsv.new crates/ocsf/tables/$$version.tsv; done
