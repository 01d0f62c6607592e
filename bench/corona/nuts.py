"""The hierarchical model of coronae on spectra of the seed's box: seconds, gates, coverage, RMSE beside the bound.

The bound is that of each spectrum alone. `--start` measures instead how long a process takes that samples one batch and
ends: with no compiled program on disk, and with those that the first one has left.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from analyse.corona.hierarchy import Choices
from analyse.corona.population import Batch, Sampling, by_star, sample_batch, sample_population
from analyse.corona.population_files import quantiles
from analyse.corona.sampler import ACCEPTANCE, DRAWS, Sampler
from analyse.corona.stars import Stars, look
from analyse.corona.windows import Windows
from bench import figures
from sim.corona.bound import Bound
from sim.corona.truth import Setting, Truth, draw, scaled
from stream.corona.forward import Forward
from stream.corona.instrument import shipped

SEED = 11
SETTING = Setting(shares=(1.0, 0.0, 0.0), metals_dex=0.0, abundance_dex=0.0)
LEVELS = {68: (0.16, 0.84), 90: (0.05, 0.95)}
LEAST = 5  # spectra that an RMSE is of
SNR = ((1.0, 3.0), (3.0, 10.0))
CASES = {"S=1": (1, False), "S=10, shared": (10, True), "S=10": (10, False)}  # stars, one instrument and motion for all
Rows = dict[str, tuple[Any, ...]]


def alike(forward: Forward, truth: Truth, rng: np.random.Generator) -> Truth:
    """Return coronae with the line data, area, shift and width of the first."""
    size, c = len(truth.rows), truth.coronae
    names = ("line_factor", "area_factor", "shift_kms", "sigma_kms")
    same = {name: np.repeat(getattr(c, name)[:1], size, axis=0) for name in names}
    low, high = np.log(SETTING.background)
    share = np.exp(rng.uniform(low, high, size))
    coronae, light = scaled(forward, replace(c, **same), truth.rows["snr"], share)
    return replace(truth, coronae=coronae, line_photons=light)


class Trial:
    """Batches of one case, sampled by one compiled sampler."""

    def __init__(self, forward: Forward, name: str, lines: int) -> None:
        from analyse.corona.hierarchy import Hierarchy

        self.forward, self.name, (self.size, self.shared) = forward, name, CASES[name]
        self.windows = Windows.around(forward, lines)
        self.choices = Choices(own_lines=not self.shared, own_motion=not self.shared, calibration=SETTING.area)
        self.sampler = Sampler(Hierarchy(self.windows, self.choices))
        self.rows: list[NDArray[Any]] = []
        self.batches: list[Batch] = []
        self.cpu: list[float] = []  # seconds of each run
        self.elapsed: list[float] = []

    def run(self) -> None:
        """Simulate the next batch, sample it, keep what was found of each star."""
        number = len(self.cpu)
        rng = np.random.default_rng((SEED, self.size, number))
        truth = draw(self.forward, SETTING, self.size, rng)
        truth = alike(self.forward, truth, rng) if self.shared else truth
        counts = rng.poisson(self.forward.counts(truth.coronae, truth.line_photons))
        stars = Stars.of(counts, truth.coronae.exposure_s)
        if self.size > 1 and not self.shared:  # one by one, and their population
            done = sample_population(stars, self.windows, self.choices, Sampling(seed=number))
            batches, spent, draws, weights = done.batches, done.cpu_seconds, done.of_stars(), done.weights
            self.elapsed.append(done.seconds)
        else:
            data, x_t = look(self.windows, stars)
            batches = [sample_batch(self.sampler, data, x_t, Sampling(seed=number))]
            spent, draws = batches[0].draws.about["cpu_seconds"], by_star(self.windows, batches[0].sites, self.choices)
            weights = np.full(draws["log_t"].shape, 1 / np.prod(draws["log_t"].shape[:2]))
            self.elapsed.append(batches[0].draws.seconds)
        self.rows.append(self._compare(draws, weights, truth))
        self.batches += batches
        self.cpu.append(spent)

    def found(self) -> Rows:
        """Return all figures so far."""
        told = timed(self.batches, self.cpu, self.elapsed) | judged(np.concatenate(self.rows))
        return {f"{self.name}: {key}": row for key, row in told.items()}

    def _compare(self, draws: dict[str, NDArray[Any]], weights: NDArray[Any], truth: Truth) -> NDArray[Any]:
        """Return SNR; of log T, then of log n: error, bound, and whether each interval holds the truth; (S, 9)."""
        bounds = np.sqrt(Bound(self.forward, SETTING).variances(truth.coronae))
        columns = [truth.rows["snr"]]
        for k, name in enumerate(("log_t", "log_n")):
            true = truth.rows[name]
            columns += [(weights * draws[name]).sum(axis=(0, 1)) - true, bounds[:, k]]
            for shares in LEVELS.values():
                low, high = quantiles(draws[name], weights, shares)
                columns.append((low <= true) & (true <= high))
        return np.stack(columns, axis=1).astype(float)


def judged(rows: NDArray[Any]) -> Rows:
    """Return coverage, RMSE and its ratio to the bound."""
    out: Rows = {"spectra": (len(rows), "spectra")}
    for k, name in enumerate(("log T", "log n")):
        for j, level in enumerate(LEVELS):
            inside = rows[:, 3 + 4 * k + j]
            low, high = beta.ppf([0.16, 0.84], inside.sum() + 0.5, len(rows) - inside.sum() + 0.5)  # Jeffreys
            out[f"{name}: coverage of {level} %"] = (float(inside.mean()), "", (float(low), float(high)))
        for low, high in SNR:
            chosen = rows[(rows[:, 0] >= low) & (rows[:, 0] < high)]
            if len(chosen) < LEAST:
                continue
            square, key = chosen[:, 1 + 4 * k] ** 2, f"{name}, SNR {low:g}-{high:g}"
            rmse, bound = np.sqrt(square.mean()), np.sqrt((chosen[:, 2 + 4 * k] ** 2).mean())
            half = square.std() / np.sqrt(len(chosen)) / (2 * rmse)
            out[f"{key}: RMSE"] = (float(rmse), "dex", (float(rmse - half), float(rmse + half)))
            out[f"{key}: bound"] = (float(bound), "dex")
            out[f"{key}: RMSE over bound"] = (float(rmse / bound), "")
    return out


def timed(batches: list[Batch], cpu: list[float], elapsed: list[float]) -> Rows:
    """Return seconds of the first run, which compiles, and of the others; and what the gates say of all."""
    draws = [one.draws for one in batches]
    out: Rows = {
        "variables": (len(batches[0].names), ""),
        "CPU with compilation": (cpu[0], "s"),
        "elapsed with compilation, cores shared": (elapsed[0], "s"),
        "most R-hat": (float(max(one.rhat.max() for one in draws)), ""),
        "least ESS": (float(min(one.ess.min() for one in draws)), ""),
        "most draws of a chain": (int(max(one.about["steps"] for one in draws)), ""),
        "batches whose steps were made smaller": (sum(one.about["acceptance"] > ACCEPTANCE for one in draws), ""),
        "batches whose chains went on": (sum(one.about["steps"] > DRAWS for one in draws), ""),
        "divergences": (sum(one.divergences for one in draws), ""),
        "batches that pass their gates": (sum(one.draws.fault(one.names) is None for one in batches), ""),
        "batches": (len(batches), ""),
    }
    if len(cpu) > 1:
        out["CPU again"] = (float(np.median(cpu[1:])), "s")
        out["compilation"] = (float(cpu[0] - np.median(cpu[1:])), "s")
    return out


def start(name: str, lines: int) -> Rows:
    """Return seconds of CPU of whole processes that sample the first batch of a case, imports and all."""
    out: Rows = {}
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("cold", "warm"):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            words = ["-m", "bench.corona.nuts", "--once", "--case", name, "--lines", str(lines)]
            own = os.environ | {"RAYSIEVE_COMPILED": f"{folder}/kept"}
            told = subprocess.run([sys.executable, *words], env=own, check=True, capture_output=True, text=True).stdout
            used = resource.getrusage(resource.RUSAGE_CHILDREN)
            spent = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
            out[f"{name}: CPU of a process, {kind}"] = (spent, "s")
            out[f"{name}: CPU of its sampling, {kind}"] = (float(told.split()[-1]), "s")
    return out


def main() -> None:
    """Write docs/figures/corona_nuts.json after each batch anew; figures of cases that are not run stay."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", choices=CASES, action="append", help="of all if not given")
    parser.add_argument("--seconds", type=float, default=300.0, help="of CPU for each case; one batch at least")
    parser.add_argument("--lines", type=int, default=30)
    parser.add_argument("--start", action="store_true", help="seconds of a process, without and with compiled programs")
    parser.add_argument("--once", action="store_true", help="one batch; print its seconds, write nothing")
    given = parser.parse_args()
    if not given.once and not given.start:
        os.environ["RAYSIEVE_COMPILED"] = "off"
    forward = Forward.through(shipped("hetg"))
    for name in given.case or CASES:
        if given.once:
            trial = Trial(forward, name, given.lines)
            trial.run()
            print(trial.cpu[0])
            continue
        if given.start:
            known, command = figures.read("corona_nuts"), f"python -m bench.corona.nuts --start --case '{name}'"
            figures.write("corona_nuts", command, start(name, given.lines), keep=known)
            continue
        command = f"python -m bench.corona.nuts --case '{name}' --seconds {given.seconds:g} --lines {given.lines}"
        keep = {
            key: row
            for key, row in figures.read("corona_nuts").items()
            if not key.startswith(f"{name}: ") or key.endswith((", cold", ", warm"))
        }
        trial, began = Trial(forward, name, given.lines), time.process_time()
        while not trial.cpu or time.process_time() - began < given.seconds:
            trial.run()
            figures.write("corona_nuts", command, trial.found(), keep=keep)


if __name__ == "__main__":
    main()
