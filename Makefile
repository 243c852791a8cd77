# Passerelle: what one can do.
.DEFAULT_GOAL := help
.PHONY: help run test check bench setup demo texts lock pictures
PORT ?= 8000
RUN = .venv/bin/

help: ## Say what one can do
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1 \t/' | expand -t 20

run: ## Set up, migrate, load demonstration data once, and serve on http://127.0.0.1:8000 (PORT= for another)
	@tools/setup
	@tools/run $(PORT)

test: ## Set up and run all tests, on SQLite and PostgreSQL and in a real browser
	@tools/setup dev
	@tools/test $(TESTS)

check: ## Lint, types, layers, templates, texts
	@tools/setup dev
	@tools/check

bench: ## Measure pages at 1,000 and 100,000 cases, a long import, a busy morning, follow-ups, mail, the page of a body and summaries, on both databases
	@tools/setup dev
	@$(RUN)python bench/bench.py
	@$(RUN)python bench/imports.py
	@$(RUN)python bench/busy.py
	@$(RUN)python bench/outbox.py
	@$(RUN)python bench/partners.py
	@$(RUN)python bench/summaries.py

setup: ## Install what development needs into .venv
	@tools/setup dev

texts: ## Refresh the catalogues, mend the French typography, compile
	@tools/setup dev
	@$(RUN)python tools/catalogue.py && PYTHONPATH=. $(RUN)python tools/french.py mend && $(RUN)pybabel -q compile -d crm/translations

pictures: ## Take the README's pictures again
	@tools/setup dev
	@PYTHONPATH=. $(RUN)python tools/pictures.py

lock: ## Choose dependency versions anew and write the lock files
	@tools/setup dev
	@tools/lock
