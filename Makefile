# Everything runs in .venv, which the first command makes; no environment has to be active.
#   make demo   train on scikit-learn's digits; ends with the accuracy and the picture
#   make test   the test suite           make lint    ruff and pyright
#   make evidence  the tests that take long
#   make docs   the documentation site, in docs/_build; a warning is an error
#   make dist   sdist and wheel in dist, checked      make versions  the core tests under other versions
#   make lock   regenerate requirements.lock          make clean   remove what was made here
# PYTHON=/path/to/python3 chooses the interpreter. DATA is the folder of data sets that the tests use when
# INFOPACE_DATA is not set and the folder exists.

SHELL := /bin/sh
PYTHON ?=
DATA ?= ../shared/data
TORCH := 2.13.0
WORKERS ?= 2

BIN := .venv/bin
STAMP := .venv/.complete
PIP_FLAGS := --disable-pip-version-check -qq

.DEFAULT_GOAL := help
.PHONY: help demo test evidence lint docs dist versions lock clean moved

help:
	@sed -n '/^#/!q; s/^# \{0,1\}//p' Makefile

# A virtual environment knows its absolute path, so one that was copied or moved is of no use.
ifneq ($(shell cat $(STAMP) 2>/dev/null),$(CURDIR))
$(STAMP): moved
endif
moved:

# The stamp is written last: an interrupted install leaves none and is made again from the start.
$(STAMP): requirements.lock pyproject.toml
	@rm -rf .venv
	@python="$$(sh .ci/find-python "$(PYTHON)")" || exit 1; \
	echo "making .venv with $$python and the versions in requirements.lock (once; some minutes)"; \
	"$$python" -m venv .venv
	@$(BIN)/python -m pip install $(PIP_FLAGS) --requirement requirements.lock
	@$(BIN)/python -m pip install $(PIP_FLAGS) --no-deps --no-build-isolation --editable .
	@printf '%s' "$(CURDIR)" > $(STAMP)

demo: $(STAMP)
	$(BIN)/infopace train

test: $(STAMP)
	@if [ -z "$$INFOPACE_DATA" ] && [ -d "$(DATA)" ]; then INFOPACE_DATA="$$(cd "$(DATA)" && pwd)"; fi; \
	if [ -n "$$INFOPACE_DATA" ]; then export INFOPACE_DATA; fi; \
	$(BIN)/python -m pytest -n $(WORKERS)

evidence: $(STAMP)
	@if [ -z "$$INFOPACE_DATA" ] && [ -d "$(DATA)" ]; then INFOPACE_DATA="$$(cd "$(DATA)" && pwd)"; fi; \
	if [ -n "$$INFOPACE_DATA" ]; then export INFOPACE_DATA; fi; \
	$(BIN)/python -m pytest -n $(WORKERS) -m slow --jaxtyping-packages=infopace,beartype.beartype

lint: $(STAMP)
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m pyright

docs: $(STAMP)
	$(BIN)/python -m sphinx --fail-on-warning --keep-going -q -a -b html docs docs/_build
	@echo "docs: docs/_build/index.html"

# The wheel is built from the sdist.
dist: $(STAMP)
	@rm -rf dist
	$(BIN)/python -m build --no-isolation
	$(BIN)/python -m twine check --strict dist/*

# ARGS are nox's: make versions ARGS="-s lowest". Pythons are found in PATH.
ARGS ?=
versions: $(STAMP)
	$(BIN)/python -m nox $(ARGS)

# torch goes in first and by its exact version, so that no other package asks for a newer build. What torch needs
# for a GPU differs by machine and comes with torch itself; the lock leaves it out, and the local part of versions.
lock:
	@rm -rf .lock-venv
	@python="$$(sh .ci/find-python "$(PYTHON)")" || exit 1; "$$python" -m venv .lock-venv
	@.lock-venv/bin/python -m pip install $(PIP_FLAGS) torch==$(TORCH)
	@.lock-venv/bin/python -m pip install $(PIP_FLAGS) hatchling editables ".[lab,test,lint,docs,release]"
	@{ printf '%s\n' "# Every version that make demo, make test, make lint and make docs use. Regenerate: make lock"; \
	   printf '%s\n' "# Install: pip install -r requirements.lock && pip install --no-deps --no-build-isolation -e ."; \
	   .lock-venv/bin/python -m pip freeze --disable-pip-version-check \
	     | sed -e '/^infopace[ =]/d' -e '/^\(nvidia\|cuda\|triton\)[-=]/d' -e 's/+[^ ]*$$//' -e 's/ @ .*//'; \
	 } > .lock-venv/requirements.lock
	@mv .lock-venv/requirements.lock requirements.lock
	@rm -rf .lock-venv
	@echo "requirements.lock: $$(grep -c == requirements.lock) packages"

clean:
	rm -rf .venv .lock-venv .nox build dist docs/_build .pytest_cache .ruff_cache .hypothesis
	find src tests examples studies docs -name __pycache__ -type d -prune -exec rm -rf {} +
