"""How well sources are told from fakes, whatever their class."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.metrics import Interval, bootstrap
from models.sources.evaluate import Judged
from sim.lat.cutouts import FAKE

Array = NDArray[np.float64]
KEPT: Final = (0.9, 0.95, 0.98, 0.99)  # shares of the sources
ROWS: Final = 60


def roc(judged: Judged) -> dict[str, list[float]]:
    """Return rising thresholds of P(fake) with the shares of sources lost and of fakes kept by each.

    Rejected is what is above the threshold.
    """
    score, fake = judged.p[:, FAKE], judged.label == FAKE
    if not fake.any() or fake.all():
        return {"threshold": [], "lost_sources": [], "kept_fakes": []}
    threshold = np.unique(np.quantile(score, np.linspace(0, 1, ROWS)))
    lost = [float(np.mean(score[~fake] > t)) for t in threshold]
    kept = [float(np.mean(score[fake] <= t)) for t in threshold]
    return {"threshold": threshold.tolist(), "lost_sources": lost, "kept_fakes": kept}


def area(score: Array, fake: NDArray[np.bool_]) -> float:
    """Return the area under the curve: how often a fake scores above a source (ties count half)."""
    both = np.sort(score[~fake])
    below = np.searchsorted(both, score[fake], "left") + np.searchsorted(both, score[fake], "right")
    return float(below.mean() / 2 / len(both)) if len(both) and len(below) else np.nan


def rejection(judged: Judged) -> dict[str, Interval]:
    """Return the area under the curve, and the share of fakes rejected where so many sources are kept."""
    score, fake = judged.p[:, FAKE], judged.label == FAKE

    def rejected(rows: NDArray[np.int64], kept: float) -> float:
        of_sources, of_fakes = score[rows][~fake[rows]], score[rows][fake[rows]]
        return float(np.mean(of_fakes > np.quantile(of_sources, kept))) if len(of_sources) and len(of_fakes) else np.nan

    told = {"area under the curve": bootstrap(lambda rows: area(score[rows], fake[rows]), judged.group)}
    for kept in KEPT:
        name = f"fakes rejected where {100 * kept:.0f} % of the sources are kept"
        told[name] = bootstrap(lambda rows, kept=kept: rejected(rows, kept), judged.group)  # type: ignore[misc]
    return told


def only_sources(judged: Judged) -> Judged:
    """Return what is said of the sources if none were a fake: classes without FAKE."""
    rows = np.flatnonzero(judged.label != FAKE)
    p = judged.p[rows, :FAKE]
    p = p / p.sum(axis=1, keepdims=True)
    label = judged.label[rows]
    frequency = np.maximum(np.bincount(label, minlength=FAKE) / max(len(label), 1), 1e-9)
    decided = np.argmax(p / frequency, axis=1)
    return Judged(judged.classes[:FAKE], label, p, decided, judged.group[rows])


def agn_and_pulsars(judged: Judged) -> Judged:
    """Return what is said of BLL and FSRQ together against PSR, of those alone, if they were nothing else."""
    rows = np.flatnonzero(np.isin(judged.label, (0, 1, 2)))
    p = np.stack([judged.p[rows, :2].sum(axis=1), judged.p[rows, 2]], axis=1)
    p = p / np.maximum(p.sum(axis=1, keepdims=True), 1e-30)
    label = (judged.label[rows] == 2).astype(np.int64)
    frequency = np.maximum(np.bincount(label, minlength=2) / max(len(label), 1), 1e-9)
    return Judged(("AGN", "PSR"), label, p, np.argmax(p / frequency, axis=1), judged.group[rows])
