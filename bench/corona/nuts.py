"""The hierarchical model of coronae on spectra of the seed's box: seconds, gates, coverage, RMSE beside the bound."""

import argparse
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analyse.corona.hierarchy import Choices
from analyse.corona.population import Batch, Sampling, by_star, sample_batch
from analyse.corona.population_files import quantiles
from analyse.corona.sampler import Sampler
from analyse.corona.stars import Stars, look
from analyse.corona.windows import Windows
from bench import figures
from sim.corona.bound import Bound
from sim.corona.truth import Setting, Truth, draw
from stream.corona.forward import Forward
from stream.corona.instrument import shipped

SEED = 11
SETTING = Setting(shares=(1.0, 0.0, 0.0), metals_dex=0.0, abundance_dex=0.0)
LEVELS = {68: (0.16, 0.84), 90: (0.05, 0.95)}
SNR = ((1.0, 3.0), (3.0, 10.0))
Rows = dict[str, tuple[Any, ...]]


class Trial:
    """Batches of one size, sampled by one compiled sampler."""

    def __init__(self, forward: Forward, size: int, lines: int) -> None:
        from analyse.corona.hierarchy import Hierarchy

        self.forward, self.size = forward, size
        self.windows = Windows.around(forward, lines)
        self.choices = Choices(own_lines=True, own_motion=True, calibration=SETTING.area)
        self.sampler = Sampler(Hierarchy(self.windows, self.choices))
        self.rows: list[NDArray[Any]] = []

    def run(self, number: int) -> Batch:
        """Simulate a batch, sample it, keep what was found of each star."""
        rng = np.random.default_rng((SEED, self.size, number))
        truth = draw(self.forward, SETTING, self.size, rng)
        counts = rng.poisson(self.forward.counts(truth.coronae, truth.line_photons))
        stars = Stars.of(counts, truth.coronae.exposure_s)
        data, x_t = look(self.windows, stars)
        batch = sample_batch(self.sampler, data, x_t, Sampling(seed=number))
        self.rows.append(self._compare(batch, truth))
        return batch

    def _compare(self, batch: Batch, truth: Truth) -> NDArray[Any]:
        """Return SNR; of log T, then of log n: error, bound, and whether each interval holds the truth; (S, 9)."""
        draws = by_star(self.windows.box, batch.sites, self.choices)
        bounds = np.sqrt(Bound(self.forward, SETTING).variances(truth.coronae))
        columns = [truth.rows["snr"]]
        for k, name in enumerate(("log_t", "log_n")):
            even = np.full(draws[name].shape, 1 / np.prod(draws[name].shape[:2]))
            true = truth.rows[name]
            columns += [draws[name].mean(axis=(0, 1)) - true, bounds[:, k]]
            for shares in LEVELS.values():
                low, high = quantiles(draws[name], even, shares)
                columns.append((low <= true) & (true <= high))
        return np.stack(columns, axis=1).astype(float)


def judged(rows: NDArray[Any]) -> Rows:
    """Return coverage, RMSE and its ratio to the bound."""
    out: Rows = {"spectra": (len(rows), "spectra")}
    for k, name in enumerate(("log T", "log n")):
        for j, level in enumerate(LEVELS):
            inside = rows[:, 3 + 4 * k + j]
            share, error = inside.mean(), np.sqrt(0.01 * level * (1 - 0.01 * level) / len(rows))
            out[f"{name}: coverage of {level} %"] = (float(share), "", (float(share - error), float(share + error)))
        for low, high in SNR:
            chosen = rows[(rows[:, 0] >= low) & (rows[:, 0] < high)]
            if not len(chosen):
                continue
            square, key = chosen[:, 1 + 4 * k] ** 2, f"{name}, SNR {low:g}-{high:g}"
            rmse, bound = np.sqrt(square.mean()), np.sqrt((chosen[:, 2 + 4 * k] ** 2).mean())
            half = square.std() / np.sqrt(len(chosen)) / (2 * rmse)
            out[f"{key}: RMSE"] = (float(rmse), "dex", (float(rmse - half), float(rmse + half)))
            out[f"{key}: bound"] = (float(bound), "dex")
            out[f"{key}: RMSE over bound"] = (float(rmse / bound), "")
    return out


def timed(name: str, batches: list[Batch]) -> Rows:
    """Return seconds of the first batch, which compiles, and of the others; and what the gates say of all."""
    cpu = [one.draws.about["cpu_seconds"] for one in batches]
    out: Rows = {
        f"{name}: CPU with compilation": (cpu[0], "s"),
        f"{name}: elapsed with compilation, cores shared": (batches[0].draws.seconds, "s"),
        f"{name}: most R-hat": (float(max(one.draws.rhat.max() for one in batches)), ""),
        f"{name}: least ESS": (float(min(one.draws.ess.min() for one in batches)), ""),
        f"{name}: divergences": (sum(one.draws.divergences for one in batches), ""),
        f"{name}: batches that pass their gates": (sum(one.draws.fault(one.names) is None for one in batches), ""),
        f"{name}: batches": (len(batches), ""),
    }
    if len(cpu) > 1:
        out[f"{name}: CPU again"] = (float(np.median(cpu[1:])), "s")
        out[f"{name}: compilation"] = (float(cpu[0] - np.median(cpu[1:])), "s")
    return out


def main() -> None:
    """Write docs/figures/corona_nuts.json, after each batch anew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batches", type=int, default=8, help="of ten stars")
    parser.add_argument("--lines", type=int, default=30)
    given = parser.parse_args()
    command = f"python -m bench.corona.nuts --batches {given.batches} --lines {given.lines}"
    forward, found = Forward.through(shipped("hetg")), {}
    for size, count in ((1, 3), (10, given.batches)):
        trial, batches = Trial(forward, size, given.lines), []
        for number in range(count):
            batches.append(trial.run(number))
            found |= timed(f"S={size}", batches)
            if size > 1:
                found |= judged(np.concatenate(trial.rows))
            figures.write("corona_nuts", command, found)


if __name__ == "__main__":
    main()
