"""X-rays that somebody else made: a list of times, places and energies, read out frame by frame."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from config.schema import Detector as Layout
from sim.photons import PHOTON, XRays
from sim.places import on_quadrant, place
from sim.silicon import draw_depth_um


def no_photons() -> NDArray[Any]:
    """Return an empty list."""
    return np.empty(0, [("time", "<f8"), ("x", "<f4"), ("y", "<f4"), ("energy_ev", "<f4")])


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotonList(XRays):
    """A source of listed X-rays; each is absorbed, for their list holds the quantum efficiency already.

    listed: rows with time (s), x, y (pixels from the origin of the first quadrant, centres at integers), energy_ev.
    Those beside the quadrants are lost, as in the gaps. Read-out n takes the times n to n + 1 frame times.
    """

    listed: NDArray[Any] = field(default_factory=no_photons)  # rising by time

    def draw(self, readout: int, layout: Layout, rng: Generator) -> NDArray[Any]:
        """Return the photons of one read-out, PHOTON rows without electrons and escape, quadrant after quadrant."""
        ends = np.array([readout, readout + 1]) * layout.frame_time_s
        first, stop = np.searchsorted(self.listed["time"], ends)
        mine = self.listed[first:stop]
        corner = layout.quadrants[0]
        x, y = mine["x"].astype(float) + corner.origin_x_px, mine["y"].astype(float) + corner.origin_y_px
        quadrant, own_x, own_y = place(x, y, layout)
        which = np.concatenate([np.flatnonzero(on_quadrant(x, y, q, layout)) for q in layout.quadrants])
        photons = np.zeros(quadrant.size, PHOTON)
        photons["frame"], photons["quadrant"], photons["x"], photons["y"] = readout, quadrant, own_x, own_y
        photons["energy_ev"] = mine["energy_ev"][which]
        photons["depth_um"] = draw_depth_um(photons["energy_ev"].astype(float), self.sensor.thickness_um, rng)
        return photons
