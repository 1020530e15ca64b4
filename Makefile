# Every target sets up .venv by itself; a second call installs nothing.
ifeq ($(OS),Windows_NT)
$(error On Windows use the plain lines that README.md gives)
endif

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
WORKERS ?= $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)
# Outputs were stored on Linux; elsewhere only what a cell marks for checking is compared.
NBVAL := $(if $(filter Linux,$(shell uname -s)),--nbval,--nbval-lax)
ONLY ?=
FULL ?=
BENCH_VENV := .venv-bench
SEEDS ?= 0 1 2 3 4 5 6 7 8 9
LAB_DIR ?= notebooks

.PHONY: lab check test run refresh site workshop claims bench lock lint help
.DEFAULT_GOAL := help

help:  ## show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):[^#]*## /  make \1\t/'

$(READY): requirements.txt pyproject.toml tools/setup.sh
	@sh tools/setup.sh $(VENV)

lab: $(READY)  ## open the series in JupyterLab (LAB_ARGS=… passes through, LAB_DIR=… is another folder)
	@$(BIN)/python tools/lab.py "$(LAB_DIR)" $(LAB_ARGS)

check: $(READY)  ## is this machine ready? Python, memory, disk, TensorFlow, a training of five seconds
	@$(BIN)/python tools/check.py

# One process a core, and one thread a process: more would fight for the cores.
test: $(READY)  ## run all tests, every notebook included
	@TF_NUM_INTRAOP_THREADS=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(WORKERS) $(NBVAL) $(PYTEST_ARGS)

run: $(READY)  ## run every notebook into build/notebooks and build the site from there (ONLY=01 runs one)
	@$(BIN)/python tools/run.py --only "$(ONLY)"

refresh: $(READY)  ## run the notebooks in place and store clean outputs (ONLY=01 for one)
	@$(BIN)/python tools/refresh.py --only "$(ONLY)"

site: $(READY)  ## build the site from the stored notebooks into build/site, without running them
	@$(BIN)/python tools/build_site.py

workshop: $(READY)  ## write copies without outputs and with folded answers, and slides, to build/workshop
	@$(BIN)/python tools/workshop.py --only "$(ONLY)"

claims: $(READY)  ## measure every claim under ten seeds and store the records (SEEDS="0 1", ONLY=01 for fewer)
	@TF_NUM_INTRAOP_THREADS=1 OMP_NUM_THREADS=1 $(BIN)/python tools/claims.py measure --only "$(ONLY)" --seeds "$(SEEDS)" --workers $(WORKERS)

bench: $(BENCH_VENV)/.ready  ## measure, and write benchmarks/README.md (half an hour; ONLY=tabular for a section, FULL=1 for the long ones, too)
	@$(BENCH_VENV)/bin/python benchmarks/run.py --only "$(ONLY)" $(if $(FULL),--full)

# Its own environment: what it compares with is large, and nothing else needs it.
$(BENCH_VENV)/.ready: requirements.txt pyproject.toml tools/setup.sh benchmarks/requirements.txt
	@sh tools/setup.sh $(BENCH_VENV) benchmarks/requirements.txt

# uv comes with the environment where it can be had; the list serves Python 3.11 to 3.13 on every system.
lock: $(READY)  ## compile requirements.txt from pyproject.toml, in the newest versions that its ranges allow
	@$(BIN)/uv --version >/dev/null 2>&1 || { echo "make lock needs uv: $(BIN)/python -m pip install uv" >&2; exit 1; }
	@{ echo "# The versions that the stored outputs came from, for Python 3.11 to 3.13; written by \`make lock\` from pyproject.toml."; \
	$(BIN)/uv pip compile --quiet --upgrade --universal --fork-strategy fewest --python-version 3.11 --all-extras \
		--no-header --no-annotate pyproject.toml; } > requirements.new && mv requirements.new requirements.txt

lint: $(READY)  ## check package, tests, tools and notebooks with ruff
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .
