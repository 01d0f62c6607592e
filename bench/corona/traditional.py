"""The way it was done before, Gaussian fits and ratios of lines, beside the network on the same spectra.

    python -m bench.corona.traditional

Isothermal coronae of the seed's box through HETG, as `bench.corona.network` judges them. A feature is one line or more
that lie closer than 0.6 FWHM; it is there if one of its lines stands out by 3 sigma of what is expected. Line accuracy:
right decisions over the features that are there and, of each spectrum, as many others.
"""

from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from analyse.corona.features import Features
from analyse.corona.ratios import Traditional
from bench import figures
from bench.corona.network import ISOTHERMAL
from models.corona.evaluate import beside
from sim.corona.sets import Block, blocks
from sim.corona.truth import SEEN
from stream.corona.forward import Forward
from stream.corona.instrument import shipped
from stream.corona.observed import Observed
from stream.judges.corona import CoronaJudge

COMMAND: Final = "python -m bench.corona.traditional"
RANGES: Final = ((1.0, 3.0), (3.0, 10.0))  # SNR of the strongest line
SPECTRA: Final = 120  # in each
Rows = dict[str, tuple[Any, ...]]
Floats = NDArray[np.float64]


def rms(error: Floats, rng: np.random.Generator) -> tuple[Any, ...]:
    """Return the root of the mean square of what is not NaN, and its 68 % interval by drawing anew."""
    known = error[np.isfinite(error)]
    if not len(known):
        return (None, "dex")
    drawn = np.sqrt((rng.choice(known, (500, len(known))) ** 2).mean(axis=1))
    return (float(np.sqrt((known**2).mean())), "dex", tuple(np.quantile(drawn, (0.1587, 0.8413)).tolist()))


def by_feature(features: Features, by_line: Floats) -> Floats:
    """Return the highest value (S, F) of the lines (S, L) of each feature."""
    return np.stack([by_line[:, rows].max(axis=1) for rows in features.rows], axis=1)


def measure(model: Forward, block: Block, ask: Traditional) -> tuple[Floats, NDArray[np.bool_], Floats]:
    """Return log T, log n and seconds (S, 3), which features are found (S, F), and their significance."""
    told = np.full((len(block.counts), 3), np.nan)
    sigma = np.zeros((len(block.counts), len(ask.features)))
    for s in np.flatnonzero(block.counts.sum(axis=1)).tolist():
        estimate, measured = ask(Observed("", block.counts[s].astype(float), model.instrument, 1.0))
        told[s] = estimate.log_t, estimate.log_n, estimate.seconds
        if measured is not None:
            sigma[s] = np.nan_to_num(measured.significance)
    return told, sigma >= SEEN, sigma


def main() -> None:
    """Measure, and write docs/figures/corona_traditional.json."""
    model, judge, rows = Forward.through(shipped("hetg")), CoronaJudge(), dict[str, tuple[Any, ...]]()
    ask, rng = Traditional(model), np.random.default_rng(11)
    for low, high in RANGES:
        block = next(blocks(model, replace(ISOTHERMAL, snr=(low, high)), SPECTRA, 505))
        truth = np.stack([block.truth.coronae.log_t[:, 0], block.truth.coronae.log_n], axis=1)
        told, found, _ = measure(model, block, ask)
        said = judge.judge(block.counts)
        failed = np.isnan(told[:, :2])
        for k, name in enumerate(("log T", "log n")):
            key = f"SNR {low:g}-{high:g}: RMSE {name}"
            rows[f"{key}, ratios"] = rms(told[:, k] - truth[:, k], rng)
            rows[f"{key}, network"] = rms(said.mean[:, 0, k] - truth[:, k], rng)
            rows[f"{key}, network, where ratios tell one"] = rms((said.mean[:, 0, k] - truth[:, k])[~failed[:, k]], rng)
            rows[f"SNR {low:g}-{high:g}: {name} not told, ratios"] = (float(failed[:, k].mean()), "")
        rows[f"SNR {low:g}-{high:g}: time, ratios"] = (float(np.median(told[:, 2])), "s")
        there = by_feature(ask.features, block.sigma) >= SEEN
        asked = beside(there, rng)
        rows[f"SNR {low:g}-{high:g}: line accuracy, Gaussian fits at 3 sigma"] = (
            float((found == there)[asked].mean()), f"of {int(asked.sum())}",
        )  # fmt: skip
    rows["spectra in each range"] = (SPECTRA, "")
    figures.write("corona_traditional", COMMAND, rows)


if __name__ == "__main__":
    main()
