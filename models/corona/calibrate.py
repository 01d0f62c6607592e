"""What makes the network's answers true, from stars of known truth: conformal intervals, thresholds of the unknown.

Intervals are split-conformal on the place of the truth in the posterior: a central interval of mass q holds the truth
in a stated share of the calibration's spectra (Chernozhukov et al. 2021, PNAS 118, e2107794118), by brightness.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from models.corona.dataset import Batch, Spectra
from models.corona.network import CoronaNet, residuals
from stream.corona.posterior import below

LEVELS: Final = (0.68, 0.90, 0.95)
GROUPS: Final = 4  # of brightness, by all counts
FLAGGED: Final = 0.004  # of known spectra, by each of three scores
RIDGE: Final = 1e-3  # of the mean variance of a feature
SCORES: Final = ("distance", "bins", "joined")
DRAWS: Final = 2  # of each star of the calibration: as it is, and drawn anew
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
        parts.append([mixtures.numpy(), kind.numpy(), lines.numpy(), h.numpy(), off.numpy(), given.sum(1).numpy()])
        parts[-1].append(deviance)
    return Said(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _deviance(found: NDArray[np.float32], truth: NDArray[np.float32]) -> NDArray[np.float32]:
    each = found - truth - truth * np.log(np.maximum(found, 1e-9) / np.maximum(truth, 1e-9))
    return np.asarray(2 * each.sum(axis=1), np.float32)


def shown(spectra: Spectra, draws: int, seed: int) -> tuple[Batch, NDArray[np.float32]]:
    """Return spectra as they are and drawn anew, `draws` of each in all, and the SNR of each."""
    rows, rng = np.arange(len(spectra)), np.random.default_rng((seed, 77))
    parts = [spectra.as_they_are(rows), *(spectra.drawn(rows, rng) for _ in range(draws - 1))]
    snr = [spectra.truth["snr"] * 10 ** ((p.target[:, 2] - spectra.target[:, 2]) / 2) for p in parts]
    names = Batch.__dataclass_fields__
    whole = Batch(*(np.concatenate([getattr(p, name) for p in parts]) for name in names))
    return whole, np.concatenate(snr).astype(np.float32)


def calibrate(network: CoronaNet, other: Spectra, seed: int = 0) -> dict[str, Any]:
    """Set the network's distance of features, and return the tables of a card, from spectra of other stars.

    {"conformal": levels, counts (bounds of groups), mass (2, 3, groups, levels)}, {"outlier": thresholds by score and
    group, counts (least, most)}, {"lines": thresholds of probability}.
    """
    batch, _ = shown(other, DRAWS, seed)
    said = ask(network, batch.counts)
    _whiten(network, said.features)
    bounds = np.quantile(said.total, np.arange(1, GROUPS) / GROUPS).round()
    group = np.searchsorted(bounds, said.total, side="right")
    rows = [[_of(head, batch.kind) & (group == g) for g in range(GROUPS)] for head in range(2)]
    mass = [
        [[_masses(said, batch.target, (head, which), each) for each in rows[head]] for which in range(3)]
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
        "outlier": {**highest, "least": float(said.total.min()), "most": float(said.total.max())},
        "spectra": other.about,
    }


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
