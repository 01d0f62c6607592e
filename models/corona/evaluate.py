"""How well the network knows coronae that it has never seen: parameters, intervals, lines, what it does not know."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from models.corona.calibrate import SCORES, Said, Shown, distance, show, told
from models.corona.dataset import Spectra
from models.corona.network import CoronaNet
from models.metrics import QUANTILES, Interval
from sim.corona.truth import KINDS
from stream.corona.posterior import moments, quantile

RANGES: Final = ((1.0, 3.0), (3.0, 6.0), (6.0, 10.0), (3.0, 10.0), (9.0, 10.0))  # SNR
PARAMETERS: Final = ("log T", "log n", "log norm")
DRAWS: Final = 1  # of each star: as the set has it
BOOTSTRAP: Final = 200
DEFINITIONS: Final = {
    "RMSE": "root of the mean square of the posterior's mean less the truth; for two temperatures and continuous ones "
    "log T is the mean by emission measure",
    "one": "the posterior for a corona of one temperature, on such coronae",
    "any": "the posterior without that assumption",
    "coverage": "share of spectra whose truth is in the conformal interval",
    "line accuracy": "share of right decisions over the lines of the list that stand out by 3 sigma of "
    "what is expected and, of each spectrum, as many others of the list, drawn at random; a line is told as seen from "
    "the probability `seen` on, by counts in all, that was best by this share on the calibration's spectra",
    "precision, recall": "of all lines of the list",
    "p > 1/2": "the same if a line is told as seen from a probability of 1/2 on",
}


def evaluate(network: CoronaNet, calibration: dict[str, Any], unseen: Spectra, seed: int = 0) -> dict[str, Interval]:
    """Return metrics with 68 % intervals (bootstrap by star); calibration: of `models.corona.calibrate`."""
    return judge(network, calibration, *show(network, unseen, DRAWS, seed), seed)


def judge(
    network: CoronaNet, calibration: dict[str, Any], said: Said, truth: Shown, seed: int = 0
) -> dict[str, Interval]:
    """Return the same of what was said of spectra already."""
    snr, stars = truth.snr, Stars(truth.star, np.random.default_rng((seed, 5)))
    out: dict[str, Interval] = {}
    mean = np.stack([moments(said.mixtures[:, head])[0] for head in range(2)], axis=1)
    error = mean - truth.target[:, None]
    groups: list[tuple[str, int, NDArray[np.bool_]]] = [("one", 0, truth.kind == 0)]
    groups += [(f"any, {name}", 1, truth.kind == k) for k, name in enumerate(KINDS)]
    for name, head, rows in groups:
        for low, high in RANGES[:4]:
            these = rows & (snr >= low) & (snr < high)
            for which, parameter in enumerate(PARAMETERS):
                key = f"{name}, SNR {low:g}-{high:g}: RMSE {parameter}"
                out[key] = stars.rms(error[:, head, which], these)
    out |= _coverage(said, truth, calibration["conformal"], stars)
    for name, decided in (("line", told(calibration, said)), ("p > 1/2: line", expit(said.lines) > 0.5)):
        out |= _lines(name, decided, truth, stars, seed)
    flagged = flags(network, said, calibration)
    out["flagged of known spectra"] = stars.mean(flagged.astype(float), np.ones(len(snr), bool))
    out["kind right"] = stars.mean((said.kind.argmax(axis=1) == truth.kind).astype(float), np.ones(len(snr), bool))
    out["deviance of the denoised"] = stars.mean(said.denoised.astype(float), np.ones(len(snr), bool))
    return out


class Stars:
    """Means over spectra with intervals: stars are drawn again, not spectra."""

    def __init__(self, star: NDArray[np.int64], rng: np.random.Generator) -> None:
        """star: number of each spectrum's star, (S,), from 0 on."""
        self.star, self.count = star, int(star.max()) + 1
        self._weight = rng.multinomial(self.count, np.full(self.count, 1 / self.count), BOOTSTRAP)

    def mean(self, values: NDArray[np.float64], rows: NDArray[np.bool_], weight: Any = None) -> Interval:
        """Return the mean of values (S,) over rows, by weight (S,) where given; NaN for no rows."""
        each = rows.astype(float) if weight is None else rows * weight
        if not each.sum() > 0:
            return (np.nan, np.nan, np.nan)
        top = np.bincount(self.star, np.where(rows, values, 0) * each, self.count)
        bottom = np.bincount(self.star, each, self.count)
        spread = (self._weight @ top) / np.maximum(self._weight @ bottom, 1e-12)
        low, high = np.quantile(spread, QUANTILES)
        return (float(top.sum() / bottom.sum()), float(low), float(high))

    def rms(self, values: NDArray[np.float64], rows: NDArray[np.bool_]) -> Interval:
        """Return the root of the mean square of values (S,) over rows."""
        value, low, high = np.sqrt(self.mean(values**2, rows))
        return (float(value), float(low), float(high))


def _coverage(said: Said, truth: Shown, conformal: dict[str, Any], stars: Stars) -> dict[str, Interval]:
    out: dict[str, Interval] = {}
    snr = truth.snr
    for head, name in enumerate(("one", "any")):
        rows = truth.kind == 0 if head == 0 else np.ones(len(snr), bool)
        for which, parameter in enumerate(PARAMETERS):
            for k, level in enumerate(conformal["levels"]):
                low, high = interval(said, conformal, head, which, k)
                inside = ((truth.target[:, which] >= low) & (truth.target[:, which] <= high)).astype(float)
                key = f"coverage {100 * level:g} % of {parameter}, {name}"
                out[key] = stars.mean(inside, rows)
                for least, most in RANGES[:3]:
                    out[f"{key}, SNR {least:g}-{most:g}"] = stars.mean(inside, rows & (snr >= least) & (snr < most))
    return out


def interval(said: Said, conformal: dict[str, Any], head: int, which: int, level: int) -> tuple[Any, Any]:
    """Return the ends (S,) of the conformal intervals of a parameter."""
    group = np.searchsorted(conformal["counts"], said.total, side="right")
    mass = np.asarray(conformal["mass"])[head, which, group, level]
    low, high = (quantile(said.mixtures[:, head], 0.5 * (1 + sign * mass), which) for sign in (-1, 1))
    return low, high


def _lines(name: str, decided: NDArray[np.bool_], truth: Shown, stars: Stars, seed: int) -> dict[str, Interval]:
    out: dict[str, Interval] = {}
    seen, snr = truth.seen, truth.snr
    asked = beside(seen, np.random.default_rng((seed, 6)))
    right = (decided == seen).astype(float)
    for low, high in RANGES:
        rows = (snr >= low) & (snr < high)
        many = asked.sum(axis=1)
        share = (right * asked).sum(axis=1) / np.maximum(many, 1)
        where = f"SNR {low:g}-{high:g}"
        out[f"{name} accuracy, {where}"] = stars.mean(share, rows, many)
        for what, of in (("precision", decided), ("recall", seen)):
            many = of.sum(axis=1)
            share = (decided & seen).sum(axis=1) / np.maximum(many, 1)
            out[f"{name} {what}, {where}"] = stars.mean(share, rows, many)
    return out


def beside(seen: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return which lines (S, L) are asked for: those seen, and as many others of each spectrum, drawn at random."""
    chance = rng.random(seen.shape)
    chance[seen] = 2.0
    place = np.argsort(np.argsort(chance, axis=1), axis=1)
    return np.asarray(seen | (place < seen.sum(axis=1, keepdims=True)) & ~seen)


def flags(network: CoronaNet, said: Said, calibration: dict[str, Any]) -> NDArray[np.bool_]:
    """Return which spectra are flagged as unknown, (S,), as `stream.judges.corona` does."""
    known = calibration["outlier"]
    group = np.searchsorted(calibration["conformal"]["counts"], said.total, side="right")
    score = np.stack([distance(network, said.features), said.residual[:, 0], said.residual[:, 1]])
    highest = np.asarray([known[name] for name in SCORES])
    out = (score > highest[:, group]).any(axis=0)
    return np.asarray(out | (said.total < known["least"] / 2) | (said.total > known["most"] * 2))
