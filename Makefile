# `make demo` and `make test` are all the set-up there is: each builds its own .venv the first time.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test test-slow bench recipes lra-listops lra-image lint clean

demo: .venv/demo
	$(BIN)/nysformer demo

test: .venv/test
	$(BIN)/pytest -n 2 -m "not slow"

test-slow: .venv/test
	$(BIN)/pytest -m slow

# On a machine that does nothing else. The accuracy of low precision is measured on the demo's model, made if absent.
bench: .venv/demo runs/demo/metrics.json
	set -e; for name in startup parity products forward train corpus scaling memory quality accuracy; do \
		$(BIN)/python -m benchmarks $$name; done
	$(BIN)/python -m benchmarks table

# A recipe that fails stops no other; what is finished is not run again, and stands in docs/tasks.md.
recipes: .venv/demo
	$(BIN)/python -m benchmarks.recipes run; ended=$$?; $(BIN)/python -m benchmarks.recipes docs && exit $$ended

# Hours; stopped and called again, they go on from their last checkpoint.
lra-listops lra-image: .venv/demo
	$(BIN)/python -m benchmarks $@

runs/demo/metrics.json: | .venv/demo
	$(BIN)/nysformer demo

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# A stamp a set of extras: .venv/test holds when the test dependencies are in.
.venv/demo .venv/test .venv/dev: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) --editable ".[$(notdir $@)]"
	touch $@

clean:
	rm -rf .venv build dist runs src/*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
