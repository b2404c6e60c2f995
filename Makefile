# make train      train the GAN on MNIST and write a run folder
# make test       lint, format check, types, tests on all cores
# make test-deep  the tests with 50 times as many random examples (some hours on two cores)
# make test-arm   tests of the kernels on an AArch64 Python under qemu (Debian, Ubuntu; 15 to 30 minutes)
# make test-oldest  the tests with the oldest dependencies that pyproject.toml admits
# make audit      known faults of the dependencies, and habits in the code that lead to some
# make docs       build the book into build/docs; warnings are errors
# make clean      remove what these targets made, except the runs

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check

.PHONY: train test test-deep test-arm test-oldest audit docs clean

train: $(VENV)/runtime.stamp
	$(BIN)/scratchgan train

test: $(VENV)/dev.stamp
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/pytest --numprocesses auto

test-deep: $(VENV)/dev.stamp
	HYPOTHESIS_PROFILE=deep $(BIN)/pytest --numprocesses auto

test-arm: $(VENV)/dev.stamp
	tests/arm/run.sh $(BIN)/python

test-oldest: $(VENV)-oldest/dev.stamp
	$(VENV)-oldest/bin/pytest --numprocesses auto -W ignore::DeprecationWarning

# What cannot be asked about fails too. What is audited is what an installation brings today.
audit: $(VENV)-audit/audit.stamp
	$(VENV)-audit/bin/bandit --quiet --recursive --configfile pyproject.toml scratchgan
	$(VENV)-audit/bin/pip freeze --exclude-editable > $(VENV)-audit/installed.txt
	$(VENV)-audit/bin/pip-audit --strict --no-deps --disable-pip \
		--requirement $(VENV)-audit/installed.txt

docs: $(VENV)-docs/docs.stamp
	NO_MKDOCS_2_WARNING=1 $(VENV)-docs/bin/mkdocs build --strict --quiet --config-file docs/site/mkdocs.yml

clean:
	rm -rf $(VENV) $(VENV)-oldest $(VENV)-audit $(VENV)-docs build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/pip:
	$(PYTHON) -m venv $(VENV)

$(VENV)/runtime.stamp: pyproject.toml | $(BIN)/pip
	$(PIP_INSTALL) --editable .
	touch $@

$(VENV)/dev.stamp: $(VENV)/runtime.stamp
	$(PIP_INSTALL) --editable '.[dev]'
	touch $@

# Every lower bound of the dependencies, and of what the tests need, as the version to install.
$(VENV)-oldest/dev.stamp: pyproject.toml tests/oldest.py
	$(PYTHON) -m venv --clear $(VENV)-oldest
	$(PYTHON) tests/oldest.py > $(VENV)-oldest/constraints.txt
	$(VENV)-oldest/bin/pip install --quiet --disable-pip-version-check \
		--constraint $(VENV)-oldest/constraints.txt --editable '.[dev]'
	touch $@

$(VENV)-audit/audit.stamp: pyproject.toml
	$(PYTHON) -m venv --clear $(VENV)-audit
	$(VENV)-audit/bin/pip install --quiet --disable-pip-version-check --editable '.[audit]'
	touch $@

$(VENV)-docs/docs.stamp: pyproject.toml
	$(PYTHON) -m venv --clear $(VENV)-docs
	$(VENV)-docs/bin/pip install --quiet --disable-pip-version-check --editable '.[docs]'
	touch $@
