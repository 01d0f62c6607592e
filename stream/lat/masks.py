"""From a mask of source regions to places: Laplacian of Gaussian, its maxima, and where between the pixels they lie."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_laplace, maximum_filter

from stream.lat.patch import SIDE_DEG

Floats = NDArray[np.float64]
RADIUS_DEG: Final = 0.25  # of a source's region in the mask: half of what tells two apart
THRESHOLD: Final = 0.2  # seed 004
_DISC: Final = 2 / np.e  # response at the middle of a disc of ones to the Laplacian of its own scale, radius / sqrt 2


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Where a mask has its regions, most like one first."""

    x_deg: Floats  # (n,) from the patch's corner
    y_deg: Floats
    p: Floats  # (n,) of the mask there


def places_of(mask: NDArray[np.floating], threshold: float = THRESHOLD) -> Places:
    """Return the places of the regions of a mask (side, side) of probabilities, finest pixels; none: empty.

    A region is a maximum of minus the Laplacian of Gaussian (Lindeberg 1998, IJCV 30, 79) at the scale of a source's
    region, where this is above `threshold` of a full disc; its place is that of a parabola through the maximum.
    """
    pixel = SIDE_DEG / len(mask)
    sigma = RADIUS_DEG / np.sqrt(2) / pixel
    blob = -(sigma**2) * gaussian_laplace(np.asarray(mask, np.float64), sigma) / _DISC
    peak = (blob == maximum_filter(blob, 3)) & (blob > threshold) & (mask > threshold)
    peak[0] = peak[-1] = peak[:, 0] = peak[:, -1] = False
    rows, columns = np.nonzero(peak)
    order = np.argsort(-blob[rows, columns], kind="stable")
    rows, columns = rows[order], columns[order]
    x = columns + 0.5 + _between(blob, rows, columns, (0, 1))
    y = rows + 0.5 + _between(blob, rows, columns, (1, 0))
    alone = _alone(x, y)  # two pixels as high as each other have the same top
    return Places(x[alone] * pixel, y[alone] * pixel, np.asarray(mask[rows, columns], float)[alone])


def _between(blob: Floats, rows: NDArray[np.int64], columns: NDArray[np.int64], step: tuple[int, int]) -> Floats:
    """Return how far the top of a parabola lies from the middle of each pixel along a direction, pixels."""
    down, right = step
    before, here, after = (blob[rows + k * down, columns + k * right] for k in (-1, 0, 1))
    bend = before - 2 * here + after
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.clip(np.where(bend < 0, (before - after) / (2 * bend), 0.0), -0.5, 0.5)


def _alone(x: Floats, y: Floats) -> NDArray[np.bool_]:
    """Return which of places (n,), best first, have no better one within a pixel."""
    near = np.hypot(x[:, None] - x, y[:, None] - y) < 1
    return np.asarray(~np.tril(near, -1).any(axis=1))


def likely_at(mask: NDArray[np.floating], x_deg: Floats, y_deg: Floats) -> Floats:
    """Return the highest value of a mask within a pixel of places (n,), degrees from the corner; NaN off the patch."""
    side = len(mask)
    column, row = (np.floor(np.asarray(at) / SIDE_DEG * side).astype(int) for at in (x_deg, y_deg))
    inside = (column >= 0) & (column < side) & (row >= 0) & (row < side)
    around = maximum_filter(np.asarray(mask, float), 3)
    return np.where(inside, around[np.clip(row, 0, side - 1), np.clip(column, 0, side - 1)], np.nan)
