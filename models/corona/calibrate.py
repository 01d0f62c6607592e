"""What makes the network's answers true, from stars of known truth: intervals, thresholds of lines and of the unknown.

Intervals are split-conformal on the place of the truth in the posterior: a central interval of mass q holds the truth
in a stated share of the calibration's spectra (Chernozhukov et al. 2021, PNAS 118, e2107794118), by brightness.
"""

from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit

from models.corona.dataset import Spectra
from models.corona.network import CoronaNet, residuals
from stream.corona.posterior import below
from stream.corona.regrid import windows

LEVELS: Final = (0.68, 0.90, 0.95)
GROUPS: Final = 4  # of brightness, by all counts
FLAGGED: Final = 0.004  # of known spectra, by each of three scores
RIDGE: Final = 1e-3  # of the mean variance of a feature
SCORES: Final = ("distance", "bins", "joined")
DRAWS: Final = 1  # of each star: as it is; what is wanted is many stars
AT_A_TIME: Final = 512
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Said:
    """What the network says of S spectra, beside their truth where it is known."""

    mixtures: NDArray[np.float32]  # (S, 2, K, NUMBERS): of one temperature, of any
    kind: NDArray[np.float32]  # (S, 3) logits
    lines: NDArray[np.float32]  # (S, L) logits
    features: NDArray[np.float32]  # (S, F)
    residual: NDArray[np.float32]  # (S, 2)
    total: NDArray[np.float32]  # (S,) counts
    window: NDArray[np.float32]  # (S,) counts of the brightest bins, as `stream.corona.regrid.windows` joins them
    denoised: NDArray[np.float32]  # (S,) deviance of the denoised spectrum from what is expected; NaN: not known


def ask(network: CoronaNet, counts: NDArray[np.float32], expected: NDArray[np.float32] | None = None) -> Said:
    """Return what a network says of counts (S, B)."""
    network.eval()
    parts: list[list[NDArray[np.float32]]] = []
    for first in range(0, len(counts), AT_A_TIME):
        given = torch.from_numpy(counts[first : first + AT_A_TIME])
        with torch.no_grad():
            mixtures, kind, lines, found, h = network(given)
            off = residuals(given, found)
        deviance = np.full(len(given), np.nan, np.float32)
        if expected is not None:
            deviance = _deviance(found.numpy(), expected[first : first + AT_A_TIME])
        parts.append([mixtures.numpy(), kind.numpy(), lines.numpy(), h.numpy(), off.numpy()])
        parts[-1] += [given.sum(1).numpy(), windows(given.numpy()).max(axis=1).astype(np.float32), deviance]
    return Said(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _deviance(found: NDArray[np.float32], truth: NDArray[np.float32]) -> NDArray[np.float32]:
    each = found - truth - truth * np.log(np.maximum(found, 1e-9) / np.maximum(truth, 1e-9))
    return np.asarray(2 * each.sum(axis=1), np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """The truth of S spectra that were shown to a network; columns as in `models.corona.dataset.Batch`."""

    star: NDArray[np.int64]  # (S,) row of the set
    target: NDArray[np.float32]  # (S, 3)
    seen: NDArray[np.bool_]  # (S, L)
    kind: NDArray[np.int64]  # (S,)
    snr: NDArray[np.float32]  # (S,)


Rows = TypeVar("Rows", Said, Shown)


def show(network: CoronaNet, spectra: Spectra, draws: int, seed: int) -> tuple[Said, Shown]:
    """Return what a network says of spectra as they are and drawn anew, `draws` of each in all, beside their truth."""
    rng, said, truth = np.random.default_rng((seed, 77)), [], []
    for draw in range(draws):
        for first in range(0, len(spectra), AT_A_TIME):
            rows = np.arange(first, min(first + AT_A_TIME, len(spectra)))
            batch = spectra.drawn(rows, rng) if draw else spectra.as_they_are(rows)
            said.append(ask(network, batch.counts, batch.expected))
            snr = spectra.truth["snr"][rows] * 10 ** ((batch.target[:, 2] - spectra.target[rows, 2]) / 2)
            truth.append(Shown(rows, batch.target, batch.seen > 0, batch.kind, snr.astype(np.float32)))
    return together(said), together(truth)


def together(parts: list[Rows]) -> Rows:
    """Return parts (one or more) as one."""
    kind = type(parts[0])
    return kind(*(np.concatenate([getattr(part, name) for part in parts]) for name in kind.__slots__))


def calibrate(network: CoronaNet, other: Spectra, seed: int = 0) -> dict[str, Any]:
    """Set the network's distance of features, and return the tables of a card, from spectra of other stars.

    {"conformal": levels, counts (bounds of groups), mass (2, 3, groups, levels)}, {"outlier": thresholds by score and
    group, counts (least, most), those of the brightest bins (window)}, {"seen": probability from which a line is told
    as seen, by group}.
    """
    said, truth = show(network, other, DRAWS, seed)
    _whiten(network, said.features)
    bounds = np.quantile(said.total, np.arange(1, GROUPS) / GROUPS).round()
    group = np.searchsorted(bounds, said.total, side="right")
    rows = [[_of(head, truth.kind) & (group == g) for g in range(GROUPS)] for head in range(2)]
    mass = [
        [[_masses(said, truth.target, (head, which), each) for each in rows[head]] for which in range(3)]
        for head in range(2)
    ]
    scores: dict[str, NDArray[Any]] = {
        "distance": distance(network, said.features),
        "bins": said.residual[:, 0],
        "joined": said.residual[:, 1],
    }
    highest = {
        name: [_short(np.quantile(score[group == g], 1 - FLAGGED)) for g in range(GROUPS)]
        for name, score in scores.items()
    }
    return {
        "conformal": {"levels": list(LEVELS), "counts": [float(x) for x in bounds], "mass": mass},
        "outlier": {**highest, "least": float(said.total.min()), "most": float(said.total.max())}
        | {"window": float(said.window.max())},
        "seen": [_short(threshold(said.lines[group == g], truth.seen[group == g])) for g in range(GROUPS)],
        "spectra": other.about,
    }


def threshold(logits: NDArray[np.float32], seen: NDArray[np.bool_]) -> float:
    """Return the probability from which lines (S, L) are told as seen so that most is right; 1/2 where none is seen.

    Lines that are seen and all others have the same weight in each spectrum, as in "line accuracy" of
    `models.corona.evaluate`; but no more for one of the others than for one that is seen.
    """
    many = seen.sum(axis=1, keepdims=True)
    weight = np.where(seen, 1.0, -np.minimum(many / np.maximum(seen.shape[1] - many, 1), 1.0)).ravel()
    if not seen.any():
        return 0.5
    order = np.argsort(-logits.ravel(), kind="stable")
    best = int(np.argmax(np.cumsum(weight[order])))
    ends = logits.ravel()[order[[best, min(best + 1, len(order) - 1)]]]
    return float(expit(ends.mean()))


def told(calibration: dict[str, Any], said: Said) -> NDArray[np.bool_]:
    """Return which lines (S, L) are told as seen, as `stream.judges.corona` does."""
    group = np.searchsorted(calibration["conformal"]["counts"], said.total, side="right")
    return np.asarray(expit(said.lines) > np.asarray(calibration["seen"])[group][:, None])


def _of(head: int, kind: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which spectra a posterior is asked for: that of one temperature, or any."""
    return kind == 0 if head == 0 else np.ones(len(kind), bool)


def _masses(said: Said, target: NDArray[np.float32], of: tuple[int, int], rows: NDArray[np.bool_]) -> list[float]:
    """Return the mass of the central intervals that hold LEVELS of the truths; of: posterior and parameter."""
    head, which = of
    fold = np.abs(2 * below(said.mixtures[rows, head], target[rows, which], which) - 1)
    n = len(fold)
    return [_short(np.quantile(fold, min(np.ceil((n + 1) * level) / n, 1.0))) if n else level for level in LEVELS]


def _whiten(network: CoronaNet, features: NDArray[np.float32]) -> None:
    centre = features.mean(axis=0)
    covariance = np.cov(features.T.astype(np.float64))
    covariance += np.eye(len(centre)) * (RIDGE * np.trace(covariance) / len(centre) + 1e-9)
    whiten = np.linalg.inv(np.linalg.cholesky(covariance)).T
    network.centre.copy_(torch.from_numpy(centre))
    network.whiten.copy_(torch.from_numpy(whiten.astype(np.float32)))


def distance(network: CoronaNet, features: NDArray[np.float32]) -> Floats:
    """Return how far features (S, F) are off those of known spectra, by their covariance, (S,)."""
    off = (features - network.centre.numpy()) @ network.whiten.numpy()
    return np.asarray(np.sqrt((off.astype(np.float64) ** 2).mean(axis=1)))


def _short(value: Any) -> float:
    return float(f"{value:.6g}")
