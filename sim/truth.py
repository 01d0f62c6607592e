"""What made each event: the owners of the charge in its pixels."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.charge import PARTICLE, XRAY

NOISE, BOTH = 0, 3  # beside XRAY and PARTICLE
KINDS = {NOISE: "noise", XRAY: "xray", PARTICLE: "particle", BOTH: "both"}
LEAST_SHARE = 0.05  # of an event's charge: a kind with less does not count
LEAST_ELECTRONS = 15.0  # in 3 x 3 pixels; two sigma of the noise of one of them. Less made no event.
LABEL = np.dtype(  # one row for each event
    [
        ("kind", "<u1"),  # KINDS
        ("owner", "<i4"),  # of the largest part, in its read-out; -1 for noise
        ("xray_e", "<f4"),  # electrons of X-rays in the 3 x 3 pixels
        ("particle_e", "<f4"),
    ]
)


def label(
    frame: NDArray[np.integer], quadrant: NDArray[np.integer], x: NDArray[np.integer], y: NDArray[np.integer],
    pixels: NDArray[Any],
) -> NDArray[Any]:  # fmt: skip
    """Return LABEL rows of events from the truth table `pixels` (`sim.telemetry.PIXEL`).

    frame, quadrant, x, y: (n,) read-out, quadrant and centre pixel of each event. No pixels: all are noise.
    """
    labels = np.zeros(len(frame), LABEL)
    labels["owner"] = -1
    key = _key(pixels["frame"], pixels["quadrant"], pixels["x"], pixels["y"])
    order = np.argsort(key, kind="stable")
    key, pixels = key[order], pixels[order]
    event, row = _touching(key, frame, quadrant, x, y)
    electrons, kind = pixels["electrons"][row], pixels["kind"][row]
    for name, wanted in (("xray_e", XRAY), ("particle_e", PARTICLE)):
        labels[name] = np.bincount(event, np.where(kind == wanted, electrons, 0), len(frame))
    labels["owner"] = _largest(event, kind, pixels["owner"][row], electrons, len(frame))
    total = labels["xray_e"] + labels["particle_e"]
    made = total >= LEAST_ELECTRONS
    by_xray, by_particle = (made & (labels[n] >= LEAST_SHARE * total) for n in ("xray_e", "particle_e"))
    labels["kind"] = XRAY * by_xray + PARTICLE * by_particle
    labels["owner"][~made] = -1
    return labels


def _key(frame: NDArray[Any], quadrant: NDArray[Any], x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.int64]:
    """Return one number for each pixel of each frame; neighbours in a row follow each other."""
    wide = np.int64(1) << 14  # pixels of a side, one more on each
    frames = np.asarray(frame, np.int64) * 256 + quadrant
    return (frames * wide + np.asarray(y, np.int64) + 1) * wide + np.asarray(x, np.int64) + 1


def _touching(
    key: NDArray[np.int64], frame: NDArray[Any], quadrant: NDArray[Any], x: NDArray[Any], y: NDArray[Any]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return event and row of all pairs of an event and a pixel row in its 3 x 3."""
    events, rows = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for dy in (-1, 0, 1):
        middle = _key(frame, quadrant, x, np.asarray(y, np.int64) + dy)
        begin, end = np.searchsorted(key, middle - 1, "left"), np.searchsorted(key, middle + 1, "right")
        count = end - begin
        events.append(np.repeat(np.arange(len(middle)), count))
        rows.append(np.arange(count.sum()) + np.repeat(begin - (np.cumsum(count) - count), count))
    return np.concatenate(events), np.concatenate(rows)


def _largest(
    event: NDArray[np.int64], kind: NDArray[Any], owner: NDArray[Any], electrons: NDArray[Any], n: int
) -> NDArray[np.int64]:
    """Return for each event the owner with the most electrons; -1 for none."""
    found = np.full(n, -1, np.int64)
    whose = np.stack([event, kind, owner], axis=1)
    each, inverse = np.unique(whose, axis=0, return_inverse=True)
    total = np.bincount(inverse.ravel(), electrons, len(each))
    order = np.argsort(total, kind="stable")  # the largest of an event comes last and stays
    found[each[order, 0]] = each[order, 2]
    return found
