# Every command works from a fresh clone: `setup` makes .venv once, and again when what it is made from changes.
PYTHON ?= python3
STAMP := .venv/installed
ARGS ?=

.PHONY: setup demo test test-slow check bench figures upsampling deconvolution

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

# Ways to enlarge, trained alike and compared (docs/upsampling.md); wants TROUS_DATA, and most of an hour.
upsampling: setup
	.venv/bin/trous bench upsampling $(ARGS)

# The pictures of docs/deconvolution.md; that of the encoder wants TROUS_DATA.
deconvolution: setup
	.venv/bin/trous draw --deconvolution docs/figures/deconvolution $(ARGS)

# All pictures, those that move as GIF too, and of these the ones that the pages show.
figures: setup
	.venv/bin/trous draw --gallery build/figures
	.venv/bin/trous draw trous.apps.upscale.model:Upscaler -i 1,1,64,64 --view network -o docs/models/upscale.svg
	for figure in docs/figures/*.svg; do cp build/figures/$$(basename $$figure) docs/figures/; done
