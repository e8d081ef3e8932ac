# Each target works as the first command in a fresh clone: it makes .venv and installs when needed.
PYTHON ?= python3
EXTRAS ?= test
WORKERS ?= 2
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test quick slow lint table docs accelerator

demo: $(VENV)/installed-$(EXTRAS)
	$(BIN)/python -m experiments.vision.classify

test: $(VENV)/installed-$(EXTRAS)
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

# what compiles little, for between two edits
quick: $(VENV)/installed-$(EXTRAS)
	$(BIN)/python -m pytest -n $(WORKERS) tests/ops tests/data tests/test_floors.py \
		tests/host/test_config.py tests/host/test_damage.py tests/learn/test_shapes.py

slow: $(VENV)/installed-$(EXTRAS)
	$(BIN)/python -m pytest -m slow

lint: $(VENV)/installed-$(EXTRAS)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

# Installs nothing: PYTHON is one that has JAX with its accelerator, and torch, already.
accelerator:
	$(PYTHON) -m benchmarks.accelerator

table: $(VENV)/installed-$(EXTRAS)
	$(BIN)/python -m experiments.table

# the site, in site/: open site/index.html; what is not as it should be ends the build
docs: $(VENV)/installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

$(VENV)/installed-%: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$*]'
	@touch $@
