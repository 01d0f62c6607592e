# The two commands of the README are `make run` and `make test`; each sets itself up.
PYTHON ?= python3
BIN := .venv/bin
.PHONY: run test check bench simulation screening sources lat crosscal scaling soak hostile performance docs tutorials clean

.venv/ready: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "raysieve needs Python >= 3.11: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e '.[dev]'
	@touch $@

run: .venv/ready  ## replay a simulated observation into the live daemon; results in out/
	@$(BIN)/raysieve demo --out out
	@echo 'next: source .venv/bin/activate, then the commands of the README'

# Two processes at once: what computes for long, and the rest.
LONG := tests/analyse tests/models tests/export tests/sim tests/real tests/tutorials

test: .venv/ready .venv/sim .venv/train .venv/analyse check  ## formatting, types, floors, then every test
	@mkdir -p out
	@$(BIN)/python -m pytest --durations=20 $(LONG) > out/test_long.log 2>&1 & long=$$!; \
	$(BIN)/python -m pytest --durations=20 $(LONG:%=--ignore=%); rest=$$?; \
	wait $$long; long=$$?; cat out/test_long.log; exit $$((rest || long))

check: .venv/ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/bench  ## speed and quality beside the rival, written to docs/figures
	$(BIN)/python -m pytest bench --benchmark-disable-gc --benchmark-timer=time.process_time --benchmark-columns=min,median,rounds
	$(BIN)/python -m bench.quality
	$(BIN)/python -m bench.real
	$(BIN)/python -m bench.realtime --seconds 60

simulation: .venv/sim  ## the simulated cosmic rays beside what is known of them: docs/simulation.md (25 minutes)
	$(BIN)/python -m bench.simulation

screening: .venv/train  ## models and sets of out/train judged beside the seed: docs/screening.md
	$(BIN)/python -m bench.screening

sources: .venv/train .venv/analyse  ## fits, images, classes of X-ray sources: docs/sources.md (two hours)
	$(BIN)/raysieve simulate source-sets out/sources/train.h5 --fields 80 --seed 1 --overwrite
	$(BIN)/raysieve simulate source-sets out/sources/test.h5 --fields 40 --seed 2 --overwrite
	$(BIN)/python -m bench.sources

lat: .venv/train .venv/analyse  ## the gamma-ray sky, simulated and real, searched, told apart, streamed: docs/lat.md (an hour)
	$(BIN)/python -m bench.lat

crosscal: .venv/train .venv/analyse  ## two telescopes and clusters: response, grids, emulator, recovery, sky, drift: docs/crosscal.md (an hour)
	$(BIN)/python -m bench.crosscal

scaling: .venv/ready  ## recordings on a cluster, and what a detector costs: docs/scaling.md (needs the extra `cluster`)
	$(BIN)/python -m bench.scaling

# Geant4 and xraylib. Where there is no wheel, the tests that need them are skipped and say so.
.venv/sim: .venv/ready
	-$(BIN)/python -m pip install --quiet -e '.[sim]'
	@touch $@

# torch and what exports its models; as above.
.venv/train: .venv/ready
	-$(BIN)/python -m pip install --quiet -e '.[train]'
	@touch $@

# MCMC, the web service, the view; as above.
.venv/analyse: .venv/ready
	-$(BIN)/python -m pip install --quiet -e '.[analyse,serve,view]'
	@touch $@

soak: .venv/ready  ## memory over a million frames
	$(BIN)/python -m bench.soak

hostile: .venv/ready  ## a million hostile messages: read, or refused in one line
	$(BIN)/python -m bench.hostile

.venv/bench: .venv/ready
	-$(BIN)/python -m pip install --quiet -e '.[bench]'
	@touch $@

performance: .venv/ready  ## the daemon at its rates, faults, hops, an hour of it: docs/performance.md (three hours, as root for all faults)
	$(BIN)/python -m bench.realtime --seconds 600
	$(BIN)/python -m bench.hops
	$(BIN)/python -m bench.faults
	$(BIN)/python -m bench.hostile
	$(BIN)/python -m bench.realtime --hour 0.25
	$(BIN)/python -m bench.performance

docs: .venv/ready  ## tables of the pages and of the README, from docs/figures; then the site, out/site/index.html
	$(BIN)/python -m bench.pages
	$(BIN)/python -m bench.sources.page --tables
	$(BIN)/python -m bench.lat.page
	$(BIN)/python -m bench.corona.page
	$(BIN)/python -m bench.crosscal.page
	$(BIN)/python -m bench.view --tables
	$(BIN)/python -m bench.scaling --tables
	$(BIN)/python -m bench.seeds
	$(BIN)/python -m mkdocs build --strict

tutorials: .venv/ready .venv/train .venv/analyse  ## run every tutorial, and write what it says into its page
	$(BIN)/python -m bench.tutorials

clean:
	rm -rf .venv out build dist
