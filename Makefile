# `make` says what there is.

.PHONY: help demo test bench check prerequisites root

CARGO := $(shell command -v cargo || echo "$${CARGO_HOME:-$$HOME/.cargo}/bin/cargo")
# What `make bench` passes on: `--json`, or the families of rows that are wanted.
BENCH :=
# Cargo tells how far it is, on a terminal. A log wants to know of mistakes only.
QUIET := $(shell [ -t 2 ] || echo --quiet)

help:
	@echo 'make demo     what boathook does, shown on a Docker engine of its own (root)'
	@echo 'make test     every test, those on real engines included (root, or these are skipped)'
	@echo 'make bench    what things cost, each beside its floor (root, on a machine that does nothing else)'
	@echo 'make check    formatting, lints, licences'

demo: root prerequisites
	@echo 'demo: building boathook; the first time this takes some minutes'
	@$(CARGO) build $(QUIET) --bins --example demo
	@$(CARGO) run --quiet --example demo

test: prerequisites
	@[ "$$(id -u)" -eq 0 ] || echo 'test: not root: tests on real engines are skipped'
	@echo 'test: building; the first time this takes some minutes'
	@$(CARGO) test $(QUIET) --workspace --no-run
	@$(CARGO) test $(QUIET) --workspace --doc
	@if $(CARGO) nextest --version >/dev/null 2>&1; then \
		$(CARGO) nextest run --workspace; \
	else \
		$(CARGO) test --workspace --tests; \
	fi

bench: root prerequisites
	@$(CARGO) bench $(QUIET) --bench authorization --bench events --bench hooks --bench launch -- $(BENCH)

check:
	$(CARGO) fmt --all --check
	$(CARGO) clippy $(QUIET) --workspace --all-targets -- -D warnings
	@if $(CARGO) deny --version >/dev/null 2>&1; then \
		echo '$(CARGO) deny check licenses bans sources'; \
		$(CARGO) deny --log-level error check licenses bans sources; \
	else \
		echo 'cargo-deny is not installed: licences are not checked'; \
	fi

prerequisites:
	@sh scripts/prerequisites.sh

root:
	@[ "$$(id -u)" -eq 0 ] || { echo 'A Docker engine needs root: run `sudo -E make demo`.' >&2; exit 1; }
