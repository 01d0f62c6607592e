"""How well classes of gamma-ray sources are told: every class counts the same, whatever there are of it."""

from typing import Final

import numpy as np

from models.metrics import Confusion, Interval
from models.sources.evaluate import Judged, calibration_error
from models.sources.evaluate import intervals as drawn

BALANCED, ACCURACY, ECE, LOG_SCORE = "balanced accuracy", "accuracy", "ECE", "log score"
DEFINITIONS: Final = {
    BALANCED: "mean recall of the classes, decided by the highest p / frequency",
    ACCURACY: "share of right ones, decided by the highest p",
    ECE: "mean |share of right ones - mean highest p| over 10 equal bins of the highest p, weighted (Guo et al. 2017)",
    LOG_SCORE: "mean ln p of the true class",
    "recall": "share of a class that is called so, by the highest p / frequency",
    "precision": "share of what is called so that is, by the highest p / frequency",
}


def scores(judged: Judged) -> dict[str, float]:
    """Return the figures of DEFINITIONS; classes that are not there do not count."""
    classes = len(judged.classes)
    table = Confusion.of(judged.label, judged.decided, classes)
    plain = Confusion.of(judged.label, judged.p.argmax(axis=1), classes)
    there = [k for k in range(classes) if np.any(judged.label == k)]
    own = judged.p[np.arange(len(judged.label)), judged.label]
    told = {
        BALANCED: float(np.mean([table.recall(k) for k in there])) if there else np.nan,
        ACCURACY: plain.accuracy(),
        ECE: calibration_error(judged.p, judged.label),
        LOG_SCORE: float(np.mean(np.log(np.maximum(own, 1e-12)))) if len(own) else np.nan,
    }
    for k in there:
        told |= {f"{judged.classes[k]} recall": table.recall(k)}
        told |= {f"{judged.classes[k]} precision": float(np.nan_to_num(table.precision(k)))}
    return told


def intervals(judged: Judged, seed: int = 0) -> dict[str, Interval]:
    """Return the scores with 68 % intervals from drawing whole groups (sources, or sectors of the sky) anew."""
    return drawn(judged, seed, scores)


def confusion(judged: Judged) -> list[list[int]]:
    """Return counts of true classes (rows) and decided ones (columns)."""
    return [list(map(int, row)) for row in Confusion.of(judged.label, judged.decided, len(judged.classes)).counts]
