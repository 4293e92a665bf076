# Every command works from a fresh clone: `setup` makes .venv once, and again when what it is made from changes.
PYTHON ?= python3
STAMP := .venv/installed
ARGS ?=

.PHONY: setup demo test test-slow check bench figures

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv --clear .venv && .venv/bin/pip install -q -c constraints.txt -e '.[dev]' && touch $@

demo: setup
	.venv/bin/trous demo $(ARGS)

test: setup
	.venv/bin/pytest -n auto $(ARGS)

test-slow: setup
	.venv/bin/pytest -n auto -m slow $(ARGS)

check: setup
	.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy

bench: setup
	.venv/bin/trous bench $(ARGS)

# All pictures, those that move as GIF too, and of these the ones that the pages show.
figures: setup
	.venv/bin/trous draw --gallery build/figures
	for figure in docs/figures/*.svg; do cp build/figures/$$(basename $$figure) docs/figures/; done
