# `make run` and `make test` set up all they need: Python 3.11 or newer, with
# venv, is the only thing they expect.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN := runs/digits
# Extras of setup.py; with EXTRAS=test,torch,export checkpoints and all formats
# of bin/export are tested, too.
EXTRAS ?= test
# Two processes, each with whole files of tests.
PARALLEL := -n 2 --dist loadfile
export TF_CPP_MIN_LOG_LEVEL ?= 2

.PHONY: run test test-all lint clean

$(VENV)/installed: setup.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[$(EXTRAS)]'
	touch $@

# Train, prune, export; the table is the last thing printed.
run: $(VENV)/installed
	$(BIN)/python bin/train --flagfile=flags/digits/resnet20_rrelu.flags --run=$(RUN)
	$(BIN)/python bin/prune --run=$(RUN)
	$(BIN)/python bin/export --run=$(RUN)

test: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest -m 'not slow' $(PARALLEL)

test-all: $(VENV)/installed
	$(BIN)/python -m pytest $(PARALLEL)

lint: $(VENV)/installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) runs build dist *.egg-info
