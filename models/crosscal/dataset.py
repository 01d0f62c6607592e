"""Grids of `raysieve simulate crosscal` as points to learn: whole theta are kept back, never single temperatures."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from config.errors import ConfigError
from models.crosscal.network import Box
from sim.crosscal.sets import GridSet, read_grid
from stream.crosscal.modifiers import Family

KEPT_BACK: Final = 10  # every tenth theta, by its place
ARRAYS: Final = ("theta", "kt_kev", "kt_fit", "kt_modified", "kt_fit_sd", "kt_modified_sd", "converged", "done")
SAME: Final = ("response", "plasma")  # digests of what a grid was made with
CHECKED_KEV: Final = np.geomspace(0.1, 20.0, 200)
DRAWN: Final = 64
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """m fits of G theta that came to their end."""

    theta: Floats  # (m, p)
    kt_kev: Floats  # (m,) true
    ratio: Floats  # (m, 2) ln of kt_fit, kt_modified over kT
    ln_sd: Floats  # (m, 2) statistical error of ln kt_fit, ln kt_modified, at the exposure of the grid
    group: NDArray[np.int64]  # (m,) which theta of the grid

    def take(self, rows: NDArray[Any]) -> "Points":
        """Return some of them."""
        return Points(self.theta[rows], self.kt_kev[rows], self.ratio[rows], self.ln_sd[rows], self.group[rows])

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.kt_kev)


class Grid:
    """A grid in memory."""

    def __init__(self, path: Path) -> None:
        """Raises ConfigError for any other file, and for a grid without a fit that came to its end."""
        given = read_grid(path)
        self.path, self.about = path, dict(given.about)
        self.family = family = given.family
        self.digest = digest_of(given)
        self.points, self.failed = _points(given)
        if not len(self.points):
            raise ConfigError(f"{path}: no fit that came to its end; expected a grid of `raysieve simulate crosscal`")
        axes = given.about["plan"]["axes"]
        ends = [axes.get(p.name, (p.low, p.high)) for p in family.parameters]
        low, high = (tuple(float(end(axis)) for axis in ends) for end in (min, max))
        kt = (float(given.kt_kev.min()), float(given.kt_kev.max()))
        logs = tuple(j for j, p in enumerate(family.parameters) if p.log and low[j] > 0)
        self.box = Box(low, high, kt, amplitudes_of(family), logs)

    @property
    def learned(self) -> Points:
        """The points of the theta to learn from."""
        return self.points.take(self.points.group % KEPT_BACK != KEPT_BACK - 1)

    @property
    def kept_back(self) -> Points:
        """The points of all other theta."""
        return self.points.take(self.points.group % KEPT_BACK == KEPT_BACK - 1)


def together(parts: Sequence[Points]) -> Points:
    """Return the points of all parts, their theta numbered through."""
    first = np.cumsum([0, *(int(part.group.max(initial=-1)) + 1 for part in parts)])
    group = np.concatenate([part.group + start for part, start in zip(parts, first, strict=False)])
    columns = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("theta", "kt_kev", "ratio", "ln_sd")
    )
    return Points(next(columns), next(columns), next(columns), next(columns), group)


def box_around(grids: Sequence[Grid]) -> Box:
    """Return the box that holds all grids. Raises ConfigError for grids of several families or telescopes."""
    first = grids[0]
    for grid in grids[1:]:
        if grid.family.name != first.family.name:
            raise ConfigError(
                f"{grid.path}: of family {grid.family.name}; expected {first.family.name} as {first.path}"
            )
        if any(grid.about.get(key) != first.about.get(key) for key in SAME):
            raise ConfigError(f"{grid.path}: of another telescope or plasma than {first.path}")
    boxes = [grid.box for grid in grids]
    low = tuple(min(ends) for ends in zip(*(box.low for box in boxes), strict=True))
    high = tuple(max(ends) for ends in zip(*(box.high for box in boxes), strict=True))
    kt = (min(box.kt_kev[0] for box in boxes), max(box.kt_kev[1] for box in boxes))
    return Box(low, high, kt, boxes[0].amplitudes, boxes[0].logs)


def _points(given: GridSet) -> tuple[Points, int]:
    """Return the points of a grid, and how many fits that were done are none: not converged, or at a bound."""
    done = np.asarray(given.done, bool)
    kt = np.broadcast_to(given.kt_kev, given.kt_fit.shape)
    fits, sd = np.stack([given.kt_fit, given.kt_modified]), np.stack([given.kt_fit_sd, given.kt_modified_sd])
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.log(fits / kt)
    good = np.isfinite(ratio).all(axis=0) & (np.isfinite(sd) & (sd > 0)).all(axis=0)
    good &= (np.asarray(given.converged) > 0) & done[:, None]
    group, node = np.nonzero(good)
    points = Points(given.theta[group], given.kt_kev[node], ratio[:, good].T, sd[:, good].T, group)
    return points, int(done.sum()) * given.kt_fit.shape[1] - len(points)


def digest_of(given: GridSet) -> str:
    """Return 12 hexadecimal digits of the SHA-256 of the arrays that are learned from."""
    whole = hashlib.sha256()
    for name in ARRAYS:
        array = np.ascontiguousarray(getattr(given, name))
        whole.update(f"{name} {array.dtype.str} {array.shape}".encode() + array.tobytes())
    return whole.hexdigest()[:12]


def amplitudes_of(of: Family) -> tuple[int, ...]:
    """Return the parameters that together are 0 without a modification, whatever the others are; none: no such ones.

    Those whose range has a 0, if the factor is then 1 at all energies.
    """
    low, high = of.low, of.high
    rows = np.flatnonzero((low <= 0) & (high >= 0))
    theta = np.random.default_rng(0).uniform(low, high, (DRAWN, len(low)))
    theta[:, rows] = 0.0
    flat = len(rows) > 0 and np.allclose(of.factor(theta, CHECKED_KEV), 1.0, rtol=0, atol=1e-12)
    return tuple(int(j) for j in rows) if flat else ()
