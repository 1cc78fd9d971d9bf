# `make demo` and `make test` do all the set-up that they need on a fresh Debian machine with Python 3.11, git and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := .uv/bin/uv
STAMP := $(VENV)/.installed
REQUIREMENTS := requirements/dev.txt
TRAIN := .venv-train
# Half of a short command's time is compiling its modules, where nobody keeps what was compiled.
export PYTHONDONTWRITEBYTECODE :=
# Tests run side by side, those that share a costly thing (`xdist_group`) in one process. Builds wait much for servers and teachers: three
# keep two cores busy.
WORKERS ?= 3
# They wait for the disk too: their files lie in /dev/shm where that is memory, has 4 GB free and lets files be run.
SCRATCH := $(shell grep -sE '^\S+ /dev/shm tmpfs ' /proc/mounts | grep -qv noexec && df -k /dev/shm | awk 'NR == 2 && $$4 > 4000000 {print $$6}')
PYTEST := $(if $(SCRATCH),PYTEST_DEBUG_TEMPROOT=$(SCRATCH)) $(BIN)/pytest -n $(WORKERS) --dist loadgroup

.DEFAULT_GOAL := help
.PHONY: help setup packages demo humaneval test test-slow test-browser test-cluster test-train distil docs check-image lint format \
	charts lock bench clean

help:  ## Say what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: packages $(STAMP)  ## Install everything into .venv

$(UV):
	@deploy/install-uv.sh $(PYTHON)

$(STAMP): $(UV) $(REQUIREMENTS) pyproject.toml
	$(UV) venv --quiet --allow-existing --python $(PYTHON) $(VENV)
	VIRTUAL_ENV=$(VENV) $(UV) pip sync --quiet --compile-bytecode --require-hashes $(REQUIREMENTS)
	VIRTUAL_ENV=$(VENV) $(UV) pip install --quiet --no-deps --editable .
	@touch $@

packages:
	@deploy/install-packages.sh

demo: setup  ## Build examples/first.yaml on the embedded model and show three traces
	$(BIN)/stillhouse build examples/first.yaml
	$(BIN)/stillhouse show first -n 3

humaneval: setup  ## Verify HumanEval's canonical solutions, replayed as a teacher's answers
	$(BIN)/python examples/humaneval.py
	$(BIN)/stillhouse build examples/humaneval-replay.yaml

test: setup  ## Run the tests, but for the slow ones
	$(PYTEST) -m "not slow and not train and not browser and not cluster"

test-slow: setup  ## Run the slow tests: builds that are killed, keys that are looked for everywhere
	$(PYTEST) -m "slow and not browser and not cluster"

test-browser: setup  ## Run the tests that open pages in headless Chromium
	@deploy/install-packages.sh browser
	$(PYTEST) -m browser

test-cluster: setup  ## Build on Dask and Ray clusters of several processes, and kill parts of them
	$(BIN)/pytest -m cluster -n 0 tests/cluster

# pip finds a CPU build of torch where there is one; uv leaves it as it is. What these libraries warn of is theirs.
$(TRAIN)/.installed: $(UV) requirements/train.txt pyproject.toml
	$(PYTHON) -m venv $(TRAIN)
	$(TRAIN)/bin/pip install --quiet --disable-pip-version-check $$(grep '^torch==' requirements/train.txt)
	VIRTUAL_ENV=$(TRAIN) $(UV) pip install --quiet -r requirements/train.txt
	VIRTUAL_ENV=$(TRAIN) $(UV) pip install --quiet --no-deps --editable .
	@touch $@

test-train: $(TRAIN)/.installed  ## Train a tiny model on exports with TRL and transformers, on the CPU
	$(TRAIN)/bin/pytest -m train -W default tests/train

distil: $(TRAIN)/.installed  ## Make four training sets of one teacher's samples, and compare the students they make
	$(TRAIN)/bin/python benchmarks/distil/compare.py

docs: setup  ## Build the site into out/site; a broken link ends it
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

# As root, with debootstrap and bubblewrap: some minutes a target.
check-image: setup  ## Carry deploy/Dockerfile out in a clean root file system, and try what is in it
	$(BIN)/python deploy/check_image.py stillhouse cluster

lint: setup  ## Check form, types and the import contract
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/pyright

format: setup  ## Put the code into form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

charts:  ## Build the report's charts' library anew; needs node and npm
	@deploy/charts/build.sh

# What the image `cluster` has beside the small one's packages.
CLUSTER := --extra dask --extra hub --extra kubernetes --extra language --extra ray --extra s3 --extra semantic --extra server --extra tokenize

lock: $(UV)  ## Pin the requirements anew
	$(UV) pip compile --quiet pyproject.toml --extra dask --extra hub --extra kubernetes --extra language --extra local --extra ray --extra s3 \
		--extra semantic --extra server --extra tokenize \
		--group dev --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url -o requirements/dev.txt
	$(UV) pip compile --quiet pyproject.toml --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url -c requirements/dev.txt -o requirements/runtime.txt
	$(UV) pip compile --quiet pyproject.toml $(CLUSTER) --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url -c requirements/dev.txt -o requirements/cluster.txt
	$(UV) pip compile --quiet pyproject.toml --extra tokenize --extra train --group train-test --universal --python-version 3.11 \
		--no-emit-index-url -c requirements/dev.txt -o requirements/train.txt

bench: setup  ## Run the benchmarks whose figures the docs quote
	$(BIN)/python benchmarks/exact_match.py
	$(BIN)/python benchmarks/sandbox.py
	$(BIN)/python benchmarks/mutants.py
	$(BIN)/python benchmarks/languages.py
	$(BIN)/python benchmarks/workers.py
	$(BIN)/python benchmarks/memory.py 10000 100000
	$(BIN)/python benchmarks/kill.py 50
	$(BIN)/python benchmarks/sources.py 100 1000
	$(BIN)/python benchmarks/selection.py 1000000
	$(BIN)/python benchmarks/curate.py 100000 1000000
	$(BIN)/python benchmarks/plan.py
	$(BIN)/python benchmarks/decontaminate.py
	$(BIN)/python benchmarks/near.py
	$(BIN)/python benchmarks/draw.py
	$(BIN)/python benchmarks/limits.py
	$(BIN)/python benchmarks/cluster.py
	$(BIN)/python benchmarks/outage.py
	$(BIN)/python benchmarks/measures.py 10000 100000 1000000
	$(BIN)/python benchmarks/semantic.py 20000
	$(BIN)/python benchmarks/export.py 100000 1000000
	$(BIN)/python benchmarks/logprobs.py
	$(BIN)/python benchmarks/object_store.py
	PYTHONPATH=. $(BIN)/python benchmarks/soft.py 200
	$(BIN)/python benchmarks/report.py 50000

clean:  ## Remove what make made
	rm -rf $(VENV) $(TRAIN) .uv out lake benchmarks/.peers
