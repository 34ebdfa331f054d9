# Everything a newcomer, a developer or a CI job needs. `make demo` and `make test` set up .venv by themselves.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Two pytest workers share the machine: one compute thread each, or they fight over the cores.
TEST_ENV := OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false
# Proof that nothing needs the network: a namespace with loopback only, where the system allows one.
OFFLINE := $(shell unshare -rn true 2>/dev/null && echo "unshare -rn $(BIN)/python -m tests.offline")

.PHONY: help demo test test-fast lint type bench bench-bootstrap bench-harness bench-provenance bench-quality bench-sequential bench-tamper bench-watermark coverage reference golden docs package clean
.DELETE_ON_ERROR:

help: ## this list
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 16

.venv/.made:
	$(PYTHON) -m venv .venv
	@touch $@

.venv/.demo: .venv/.made pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --progress-bar on -c constraints.txt -e ".[dashboard]"
	@touch $@

.venv/.dev: .venv/.made pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --progress-bar on -c constraints.txt -e ".[api,dashboard,dev,lora,ocr,onnx,serve]"
	@touch $@ .venv/.demo

demo: .venv/.demo ## set up, audit the two bundled generators, say where the report is
	@$(BIN)/genaudit run examples/quickstart.yaml; code=$$?; \
	if [ $$code -eq 10 ]; then echo "The gate fails as it should: both generators were trained on planted bias."; \
	else exit $$code; fi

test: .venv/.dev ## all tests, offline
	$(TEST_ENV) $(OFFLINE) $(BIN)/python -m pytest -n 2 -q -m "not browser"
	$(TEST_ENV) $(BIN)/python -m pytest -q -m browser

test-fast: .venv/.dev ## what runs in a minute or two, offline
	$(TEST_ENV) $(OFFLINE) $(BIN)/python -m pytest -n 2 -q -m "not browser and not slow"

lint: .venv/.dev ## ruff, formatting, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

type: .venv/.dev ## mypy --strict
	$(BIN)/mypy

bench: .venv/.dev ## speed ratios against named peers, median and spread
	$(BIN)/python -m benchmarks

bench-bootstrap: .venv/.dev ## clustered bootstrap by rows: seconds, memory, against drawing rows
	$(BIN)/python -m benchmarks.bootstrap

bench-harness: .venv/.dev ## what a run costs over a bare loop and a plain script (quarter of an hour)
	$(BIN)/python -m benchmarks.harness

bench-provenance: .venv/.dev ## what stamping, verifying and two workers cost against a bare loop and PNG encoding (five minutes)
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.provenance

bench-quality: .venv/.dev ## measures of quality against what people use, medians of 5 on two threads (half an hour)
	OMP_NUM_THREADS=2 OPENBLAS_NUM_THREADS=2 MKL_NUM_THREADS=2 $(BIN)/python -m benchmarks.quality

bench-sequential: .venv/.dev ## what stopping early saves and costs (some minutes)
	$(BIN)/python -m benchmarks.sequential

bench-tamper: .venv/.dev ## 10,000 seeded mutations of signed files: how many pass? (two minutes)
	$(BIN)/python -m benchmarks.tamper

bench-watermark: .venv/.dev ## how often the mark is read back, what it costs the eye, and a million unmarked trials (twenty minutes)
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.watermark

coverage: .venv/.dev ## do intervals and gates err as rarely as they say? 1,500 simulated designs (five minutes)
	$(BIN)/python -m benchmarks.coverage
	$(BIN)/python -m benchmarks.sequential --parts a

reference: .venv/.dev ## train every bundled model from its seed (hours on one core, resumable)
	$(BIN)/python -m audit.reference.train all
	$(BIN)/python -m audit.reference.train.instruments.generated

golden: .venv/.dev ## rewrite the golden reports after an intended change
	GENAUDIT_UPDATE_GOLDEN=1 $(BIN)/python -m pytest -q tests/golden

docs: .venv/.dev ## rewrite the generated pages: command line, pictures
	$(BIN)/python -m docs.generate
	$(BIN)/python -m docs.pictures
	$(BIN)/python -m docs.round_trip

package: .venv/.dev ## wheel and source distribution in dist/
	$(BIN)/python -m build --outdir dist

clean: ## remove what was built
	rm -rf build dist .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis
