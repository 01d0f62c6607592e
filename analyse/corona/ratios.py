"""Temperature and density from ratios of lines: the traditional way, as if a corona had one of each."""

import time
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analyse.corona.features import Features, features_of, row_of
from analyse.corona.lists import RATIOS, Ratio
from analyse.corona.measure import FOUND, Measured, measure
from analyse.corona.templates import emissivities
from stream.corona.forward import Forward
from stream.corona.observed import Observed
from stream.errors import ConfigError
from stream.spectra.grid import Floats

LOG_T: Final = np.round(np.arange(5.8, 7.801, 0.02), 2)
LOG_N: Final = np.round(np.arange(8.0, 13.01, 0.1), 1)
LEAST_SIGNAL: Final = 1.0  # sigma of the fainter line; the brighter one is FOUND
ONE_SIGMA: Final = 1.0  # of chi-squared


@dataclass(frozen=True, slots=True, eq=False)
class Predicted:
    """What ratios are by temperature and density, for the features of an instrument. R ratios. Make it with `of`."""

    ratios: tuple[Ratio, ...]
    at: NDArray[np.int64]  # (R, 2) features, over and under
    ln: Floats  # (R, T, N) of photons
    scatter: Floats  # (R,) of ln
    log_t: Floats
    log_n: Floats

    @classmethod
    def of(cls, forward: Forward, features: Features, log_t: Floats = LOG_T, log_n: Floats = LOG_N) -> "Predicted":
        """Return the RATIOS whose lines the instrument tells apart; blends are in them, of the table's abundances."""
        kept, at, ln, scatter = [], [], [], []
        lights: dict[int, Floats] = {}
        for ratio in RATIOS:
            pair = [features.holding(row_of(forward, line)) for line in (ratio.over, ratio.under)]
            if min(pair) < 0 or pair[0] == pair[1]:
                continue
            for k in pair:
                if k not in lights:
                    t, n = (v.ravel() for v in np.meshgrid(log_t, log_n, indexing="ij"))
                    light = emissivities(forward.lines, features.rows[k], t, n).sum(axis=0)
                    lights[k] = np.log(np.maximum(light, 1e-300)).reshape(len(log_t), len(log_n))
            kept.append(ratio)
            at.append(pair)
            ln.append(lights[pair[0]] - lights[pair[1]])
            own = [forward.lines.scatter[features.rows[k]].max() for k in pair]
            scatter.append(float(np.hypot(*own)))
        shape = (0, len(log_t), len(log_n))
        held = np.array(ln) if ln else np.zeros(shape)
        return cls(tuple(kept), np.array(at, np.int64).reshape(-1, 2), held, np.array(scatter), log_t, log_n)


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """A temperature and a density; NaN where the ratios tell none."""

    log_t: float
    log_t_error: float
    log_n: float
    log_n_error: float
    chi2: float
    used: tuple[tuple[Ratio, float, float], ...]  # with ln of the ratio and its 1 sigma
    seconds: float = 0.0

    @property
    def failed(self) -> tuple[bool, bool]:
        """Whether there is no temperature, no density."""
        return not np.isfinite(self.log_t), not np.isfinite(self.log_n)


NOTHING: Final = Estimate(np.nan, np.nan, np.nan, np.nan, np.nan, ())


def estimate(measured: Measured, predicted: Predicted) -> Estimate:
    """Return temperature by chi-squared of its ratios, then density by that of its own, at that temperature.

    Only ratios whose lines are seen count; atomic data's scatter is in their errors.
    """
    used = []
    chi2 = {tells: np.zeros((len(predicted.log_t), len(predicted.log_n))) for tells in ("T", "n")}
    for r, (ratio, pair) in enumerate(zip(predicted.ratios, predicted.at, strict=True)):
        value, error, sigma = (v[pair] for v in (measured.flux, measured.flux_error, measured.significance))
        if not np.all(np.isfinite(value) & (value > 0)) or sigma.max() < FOUND or sigma.min() < LEAST_SIGNAL:
            continue
        ln, spread = float(np.log(value[0] / value[1])), float(np.hypot(*(error / value)))
        chi2[ratio.tells] += ((ln - predicted.ln[r]) ** 2) / (spread**2 + predicted.scatter[r] ** 2)
        used.append((ratio, ln, spread))
    tells = {ratio.tells for ratio, _, _ in used}
    t = n = (float("nan"), float("nan"))
    if "T" in tells:
        t = _best(predicted.log_t, chi2["T"].min(axis=1))
    if "n" in tells and np.isfinite(t[0]):
        n = _best(predicted.log_n, chi2["n"][int(np.argmin(np.abs(predicted.log_t - t[0])))])
    return Estimate(t[0], t[1], n[0], n[1], float(chi2["T"].min()), tuple(used))


def _best(grid: Floats, chi2: Floats) -> tuple[float, float]:
    """Return the middle and half the width of where chi-squared is within ONE_SIGMA of its least; NaN: everywhere."""
    inside = np.flatnonzero(chi2 <= chi2.min() + ONE_SIGMA)
    low, high = grid[inside[0]], grid[inside[-1]]
    if inside[0] == 0 and inside[-1] == len(grid) - 1:
        return float("nan"), float("nan")
    at = float(grid[int(np.argmin(chi2))])
    at_end = inside[0] == 0 or inside[-1] == len(grid) - 1
    return (float(0.5 * (low + high)) if at_end else at), float(max(0.5 * (high - low), grid[1] - grid[0]))


class Traditional:
    """Fits of Gaussians, and ratios of them, for many spectra of one instrument: what other ways are held against."""

    def __init__(self, forward: Forward, features: Features | None = None) -> None:
        """Resolve the lines of the instrument once."""
        self.features = features_of(forward) if features is None else features
        self.predicted = Predicted.of(forward, self.features)

    def __call__(self, observed: Observed) -> tuple[Estimate, Measured | None]:
        """Return what one spectrum tells, and its lines; all of it has failed where nothing can be measured."""
        began = time.perf_counter()
        try:
            measured = measure(observed, self.features)
        except ConfigError:
            return replace(NOTHING, seconds=time.perf_counter() - began), None
        return replace(estimate(measured, self.predicted), seconds=time.perf_counter() - began), measured
