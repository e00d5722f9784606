# What a newcomer types: `make demo`, `make test`.  Everything needed is set up first, in .venv.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO_DIR ?= demo

.DEFAULT_GOAL := help

.PHONY: help
help: ## show what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

# One stamp for each lock file: a changed lock is installed, an unchanged one costs nothing.
.PHONY: python
python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "vis-receive needs Python 3.11 or newer, and $(PYTHON) is $$($(PYTHON) --version 2>&1): make PYTHON=python3.11 ..."; exit 2; }

$(BIN)/python: | python
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "could not make $(VENV): on Debian and Ubuntu, apt install python3-venv"; exit 2; }

$(VENV)/.installed-%: requirements/%.txt pyproject.toml | $(BIN)/python
	@echo "Installing requirements/$*.txt into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/$*.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.PHONY: venv
venv: $(VENV)/.installed-dev ## make .venv with everything for development

.PHONY: demo
demo: $(VENV)/.installed-demo ## simulate, send, receive, check and plot an observation (in demo/)
	@PATH="$(abspath $(BIN)):$$PATH" bash examples/demo.sh $(DEMO_DIR)

.PHONY: test
test: $(VENV)/.installed-dev ## run every test that this machine can carry, and say what was left out
	@PATH="$(abspath $(BIN)):$$PATH" bash scripts/test.sh

SEED ?= 1
COUNT ?= 1000000
.PHONY: fuzz
fuzz: $(VENV)/.installed-dev ## send COUNT=1000000 fuzzed packets by SEED=1 to a receiver
	@$(BIN)/python -m tests.fuzz.attack --seed $(SEED) --count $(COUNT)

.PHONY: bench
bench: $(VENV)/.installed-dev ## compare the speed with that of others, into docs/benchmarks.md (ONLY=NAME: one row)
	@PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python -m tests.bench $(if $(ONLY),$(ONLY),--output docs/benchmarks.md) $(BENCH_OPTIONS)

.PHONY: sizing
sizing: $(VENV)/.installed-dev ## measure what receiving costs, for emu-recv --check and docs/reference/sizing.md
	@PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python -m tests.bench.sizing --output receive/sizing/costs.json $(BENCH_OPTIONS)
	@$(BIN)/python -m generate sizing

.PHONY: soak
soak: $(VENV)/.installed-dev ## ten minutes at full rate: does the memory stay flat?
	@PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python -m tests.bench soak $(BENCH_OPTIONS)

.PHONY: cluster
cluster: $(VENV)/.installed-dev ## start a Kubernetes of two nodes on this machine (root), and say how to reach it
	@$(BIN)/python -m testbed up

.PHONY: cluster-images
cluster-images: $(VENV)/.installed-dev ## build the images and load them into the cluster of the current context
	@$(BIN)/python -m testbed load

.PHONY: cluster-down
cluster-down: $(VENV)/.installed-dev ## end it, and clean up after one that was killed
	@$(BIN)/python -m testbed down

.PHONY: lint
lint: $(VENV)/.installed-dev ## ruff, mypy, and which room may import which
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

.PHONY: docs
docs: $(VENV)/.installed-dev ## build the documentation into docs/_build/html
	@$(BIN)/sphinx-build -q -W -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

.PHONY: lock
lock: $(BIN)/python ## resolve the requirement lists anew (the only target that needs uv)
	@$(BIN)/python -m pip install --quiet uv
	@for set in demo dev runtime push images; do \
	  from=pyproject.toml; \
	  case $$set in \
	    demo) extra="--extra plot --group build" ;; \
	    dev) extra="--extra plot --group build --group test --group lint --group docs" ;; \
	    runtime) extra="--constraints requirements/demo.txt" ;; \
	    push|images) from=; extra="--group $$set --constraints requirements/demo.txt" ;; \
	  esac; \
	  $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
	    --custom-compile-command "make lock" $$from $$extra -o requirements/$$set.txt || exit 1; \
	done

# BASE=NAME: another base image than the public one; IMAGES_OPTIONS: see python -m images --help.
.PHONY: images
images: | $(BIN)/python ## build the container images with docker, podman or buildah (BASE=NAME, ARCHIVE=DIR)
	@$(BIN)/python -m images $(if $(BASE),--base $(BASE)) $(if $(ARCHIVE),--archive $(ARCHIVE)) $(IMAGES_OPTIONS)

.PHONY: clean
clean: ## remove what was made, .venv too
	rm -rf $(VENV) build dist docs/_build demo .mypy_cache .ruff_cache .pytest_cache .hypothesis
