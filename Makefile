# make train      train the GAN on MNIST and write a run folder
# make test       lint, format check, types, tests
# make test-deep  the tests with 50 times as many random examples
# make clean      remove what these targets made, except the runs

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check

.PHONY: train test test-deep clean

# A run folder is never written over: the second training goes to runs/mnist-2, and so on.
train: $(VENV)/runtime.stamp
	@run=runs/mnist; n=1; \
	while [ -e "$$run" ]; do n=$$((n + 1)); run=runs/mnist-$$n; done; \
	echo "scratchgan train --out $$run"; \
	exec $(BIN)/scratchgan train --out "$$run"

test: $(VENV)/dev.stamp
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/pytest

test-deep: $(VENV)/dev.stamp
	HYPOTHESIS_PROFILE=deep $(BIN)/pytest

clean:
	rm -rf $(VENV) build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/pip:
	$(PYTHON) -m venv $(VENV)

$(VENV)/runtime.stamp: pyproject.toml | $(BIN)/pip
	$(PIP_INSTALL) --editable .
	touch $@

$(VENV)/dev.stamp: $(VENV)/runtime.stamp
	$(PIP_INSTALL) --editable '.[dev]'
	touch $@
