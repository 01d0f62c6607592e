"""Straight tracks of minimum ionising particles, in the plane of the detector. A stand-in for particle transport."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from config.schema import Detector as Layout
from sim.charge import CHARGE, PAIR_ENERGY_EV, PARTICLE, Deposit, how_many, join
from sim.check import require

TRACK_PIXEL = np.dtype(  # truth: one row for each pixel that a track crosses
    [
        ("frame", "<i8"),
        ("quadrant", "<u1"),
        ("track", "<i4"),  # from 0 in each read-out
        ("x", "<i2"),
        ("y", "<i2"),
        ("path_um", "<f4"),
        ("energy_ev", "<f4"),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracks:
    """A source of MIP tracks (`Source`); truth table `track_pixels`.

    The start is uniform over the quadrant, the direction over the circle, the length between its limits; a track
    that reaches the border of its quadrant stops there. The energy of a pixel is loss_ev_per_um * path * (1 +
    loss_spread * M), M of the Moyal distribution (Moyal 1955, Phil. Mag. 46, 263), close to Landau's with a shorter
    tail. 80 electron-hole pairs (292 eV) per um are the most probable loss in some 100 um of silicon.
    """

    per_frame: float = 1.0  # of one quadrant
    fixed: bool = False  # exactly so many, not Poisson
    length_min_px: float = 5.0
    length_max_px: float = 60.0
    loss_ev_per_um: float = 80 * PAIR_ENERGY_EV
    loss_spread: float = 0.1

    def __post_init__(self) -> None:
        require(
            "tracks",
            (math.isfinite(self.per_frame) and self.per_frame >= 0, "per_frame >= 0"),
            (not self.fixed or self.per_frame == round(self.per_frame), "a whole per_frame where fixed"),
            (0 < self.length_min_px <= self.length_max_px < math.inf, "0 < length_min_px <= length_max_px"),
            (0 < self.loss_ev_per_um < math.inf, "loss_ev_per_um > 0"),
            (0 <= self.loss_spread <= 0.3, "0 <= loss_spread <= 0.3"),
        )

    def expose(self, readout: int, layout: Layout, rng: Generator) -> Deposit:
        """Return the charge of one read-out's tracks and their pixels."""
        pixels = self.draw(readout, layout, rng)
        charges = np.empty(pixels.size, CHARGE)
        for name in ("quadrant", "x", "y"):
            charges[name] = pixels[name]
        charges["owner"] = pixels["track"]
        charges["electrons"] = pixels["energy_ev"] / PAIR_ENERGY_EV
        return Deposit(charges, PARTICLE, {"track_pixels": pixels})

    def draw(self, readout: int, layout: Layout, rng: Generator) -> NDArray[Any]:
        """Return TRACK_PIXEL rows, track after track, each in the order in which it was crossed."""
        counts = how_many(rng, self.per_frame, self.fixed, len(layout.quadrants))
        tracks = []
        for number, quadrant in enumerate(np.repeat([q.id for q in layout.quadrants], counts)):
            start = rng.uniform(-0.5, (layout.columns - 0.5, layout.rows - 0.5))
            angle = rng.uniform(0, 2 * math.pi)
            step = rng.uniform(self.length_min_px, self.length_max_px) * np.array([math.cos(angle), math.sin(angle)])
            x, y, path_px = cross(start, step, (layout.rows, layout.columns))
            track = np.empty(x.size, TRACK_PIXEL)
            track["frame"], track["quadrant"], track["track"] = readout, quadrant, number
            track["x"], track["y"], track["path_um"] = x, y, path_px * layout.pixel_um
            moyal = -2 * np.log(np.abs(rng.standard_normal(x.size)))
            track["energy_ev"] = self.loss_ev_per_um * track["path_um"] * np.maximum(1 + self.loss_spread * moyal, 0)
            tracks.append(track)
        return join(tracks, TRACK_PIXEL)


def cross(
    start: NDArray[np.float64], step: NDArray[np.float64], shape: tuple[int, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return the pixels on the straight way from `start` to `start + step`, in order: x, y (int64) and path (pixels).

    start, step: (2,) float64, x and y in pixels, pixel i reaching from i - 0.5 to i + 0.5; shape: (rows, columns).
    The way ends at the border; neighbours in the list share a side or, at an exact corner, the corner.
    """
    cuts = [np.array([0.0, 1.0])]
    for origin, way in zip(start, step, strict=True):
        if way != 0:
            low, high = sorted((origin, origin + way))
            cuts.append((np.arange(math.ceil(low + 0.5), math.floor(high + 0.5) + 1) - 0.5 - origin) / way)
    at = np.unique(np.clip(np.concatenate(cuts), 0, 1))
    at = at[np.diff(at, prepend=-1) > 1e-9]  # through a corner: no pixel for what is left by rounding
    path = np.diff(at) * math.hypot(*step)
    middle = start + np.outer((at[1:] + at[:-1]) / 2, step)
    x, y = np.rint(middle).astype(np.int64).T
    outside = (x < 0) | (x >= shape[1]) | (y < 0) | (y >= shape[0])
    end = int(np.argmax(outside)) if outside.any() else x.size
    return x[:end], y[:end], path[:end]
