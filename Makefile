# Each target works as the first command in a fresh clone: it makes .venv and installs when needed.
PYTHON ?= python3
EXTRAS ?= test
WORKERS ?= 2
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test quick lane jax012 slow lint lock table docs accelerator

demo: $(VENV)/installed-$(EXTRAS)
	$(BIN)/python -m experiments.vision.classify

test: $(VENV)/installed-$(EXTRAS)
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

# what compiles little, for between two edits
quick: $(VENV)/installed-$(EXTRAS)
	$(BIN)/python -m pytest -n $(WORKERS) tests/ops tests/data tests/test_floors.py \
		tests/host/test_config.py tests/host/test_damage.py tests/learn/test_shapes.py

# another supported Python and JAX, in minutes: what a version of JAX may change. As in
#   make lane PYTHON=python3.13 VENV=.venv-3.13
LANE := tests/test_contract.py tests/test_learner.py tests/test_floors.py tests/test_versions.py \
	tests/ops tests/data tests/host/test_config.py tests/learn/test_shapes.py
lane: $(VENV)/installed-$(EXTRAS)
	$(BIN)/python -c "import jax, sys; print('Python', sys.version.split()[0], 'JAX', jax.__version__)"
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(LANE)

# JAX 0.12, which gymnax and we refuse: told, and required by nothing. Wants Python 3.12 or later
jax012:
	$(PYTHON) -m venv .venv-jax012
	grep -vE '^(jax|jaxlib)==' constraints.txt > .venv-jax012/others.txt
	.venv-jax012/bin/pip install --quiet --disable-pip-version-check --no-deps \
		-r .venv-jax012/others.txt 'jax==0.12.*' 'jaxlib==0.12.*'
	-PYTHONPATH=. .venv-jax012/bin/python -m pytest -n $(WORKERS) --dist worksteal -rf --tb=line $(LANE)

slow: $(VENV)/installed-$(EXTRAS)
	$(BIN)/python -m pytest -m slow

lint: $(VENV)/installed-$(EXTRAS) $(VENV)/installed-docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

# uv.lock again, after a change of pyproject.toml or constraints.txt; needs uv. A package that the
# test then names is set by UV="uv lock -P name==version"
UV ?= uv lock
lock:
	$(UV) --no-config --default-index https://pypi.org/simple
	$(BIN)/python -m pytest tests/test_versions.py

# Installs nothing: PYTHON is one that has JAX with its accelerator, and torch, already.
accelerator:
	$(PYTHON) -m benchmarks.accelerator

table: $(VENV)/installed-$(EXTRAS)
	$(BIN)/python -m experiments.table

# the site, in site/: open site/index.html; what is not as it should be ends the build
docs: $(VENV)/installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

$(VENV)/installed-%: pyproject.toml constraints.txt
	@echo "installing into $(VENV), which takes some minutes"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$*]'
	@touch $@
