# `make` alone lists what there is. Everything is written inside this folder: .venv, .demo, .services and caches.
.DEFAULT_GOAL := help
.PHONY: help setup demo test lint docs screenshots clean-demo
SHELL := /bin/sh

BIN := .venv/bin

help: ## list the targets
	@echo "Targets:"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{ printf "%-20s %s\n", $$1, $$2 }'

setup: ## prepare .venv with everything (quick when nothing changed)
	@scripts/setup.sh

demo: setup ## start a small city and the gateway; Ctrl-C ends it all (SPEED=60: faster than real time, PORT=8080: the page's port)
	@GASGATE_DIE_WITH_PARENT=1; export GASGATE_DIE_WITH_PARENT; \
	exec $(BIN)/gasgate demo $(if $(SPEED),--speed $(SPEED)) $(if $(PORT),--port $(PORT))

test: setup ## run the test suite; services that this machine lacks are skipped (ARGS="-k name": a part of it, JOBS=2: at once)
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -ra --numprocesses $(or $(JOBS),3) --dist loadfile --no-loadscope-reorder $(ARGS)

lint: setup ## check style, types, import direction and spelling
	@scripts/lint.sh

docs: setup ## build the documentation site into .site
	@scripts/lint.sh site && echo "Read it: $(BIN)/python -m http.server --bind 127.0.0.1 --directory .site 8090"

screenshots: setup ## make the documentation's pictures from the demo (EVERY=folder: every page, two sizes, two themes)
	@$(BIN)/python scripts/screenshots.py $(if $(EVERY),--every $(EVERY))

clean-demo: ## forget the demo's city and its readings
	@rm -rf .demo && echo "The next make demo starts with a new city."
