# `make demo` and `make test` are all the set-up there is: each builds its own .venv the first time.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test test-slow bench recipes licences genres news lra-listops lra-image lint clean

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

# Systems side by side on the same documents, by folds/*.yaml; what is finished is not run again, a killed run goes on.
licences genres news: .venv/demo
	$(BIN)/python -m benchmarks.folds run folds/$@.yaml

# The setting that benchmarks/results has figures of, for both attentions: a quarter of an hour each. Without options,
# `python -m benchmarks lra-listops` keeps to the paper's schedule: hours. A run that was stopped goes on when called again.
lra-listops: .venv/demo
	$(BIN)/python -m benchmarks $@ --steps 200 --learning-rate 1e-3 --pooling first --valid-every 100

lra-image: .venv/demo
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
