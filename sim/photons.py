"""X-rays: absorbed at a depth of their own, some with fluorescence that goes elsewhere, their charge shared."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from config.schema import Detector as Layout
from config.simulate import Sensor
from sim.charge import XRAY, Deposit
from sim.check import require
from sim.diffusion import share, to_charges
from sim.places import FlatField, Place
from sim.silicon import absorption_um, draw_depth_um, draw_fluorescence_ev
from sim.spectra import Spectrum

PHOTON = np.dtype(  # truth: x, y in pixels of the quadrant, the centre of a pixel at its whole number
    [
        ("frame", "<i8"),
        ("quadrant", "<u1"),
        ("x", "<f4"),
        ("y", "<f4"),
        ("energy_ev", "<f4"),
        ("electrons", "<f4"),  # that arrived in the pixels of the quadrant: after escape and Fano noise
        ("depth_um", "<f4"),  # below the entrance window
        ("escaped_ev", "<f4"),  # that left the silicon as fluorescence; 0 for most
    ]
)


MOST_PER_FRAME = 100_000  # then every pixel of a WFI quadrant has its share; more would only fill the memory


@dataclass(frozen=True, slots=True, kw_only=True)
class XRays:
    """A source of X-rays (`Source`); truth table `photons`.

    A photon that passes through the silicon is not in the table: `per_frame` counts those that arrive. Where an ARF
    holds the quantum efficiency, as most do, that would count the loss twice: with `all_absorbed` every photon that
    arrives is absorbed, its depth drawn within the wafer. Unless told otherwise, this is so for spectra with an ARF.
    """

    per_frame: float = 2.0  # of one quadrant (FlatField), of the whole focal plane (PointSource)
    fixed: bool = False  # exactly so many arrive, not Poisson
    spectrum: Spectrum = field(default_factory=Spectrum)
    place: Place = field(default_factory=FlatField)
    sensor: Sensor = field(default_factory=Sensor)
    all_absorbed: bool | None = None

    def __post_init__(self) -> None:
        require(
            "X-rays",
            (0 <= self.per_frame <= MOST_PER_FRAME, f"0 <= per_frame <= {MOST_PER_FRAME:,}"),
            (not self.fixed or self.per_frame == round(self.per_frame), "a whole per_frame where fixed"),
        )

    def expose(self, readout: int, layout: Layout, rng: Generator) -> Deposit:
        """Return the shared charge of one read-out and its photons."""
        photons = self.draw(readout, layout, rng)
        line = draw_fluorescence_ev(photons["energy_ev"], rng)
        start, end = self._clouds(photons, line, layout, rng)
        photons["escaped_ev"] = np.where(self._inside(end, layout), 0, line)
        second = np.flatnonzero((line > 0) & (photons["escaped_ev"] == 0))
        owner = np.concatenate([np.arange(photons.size), second])
        at = np.concatenate([start, end[second]])
        energy = np.concatenate([photons["energy_ev"] - line, line[second]])
        shared = share((owner, photons["quadrant"][owner]), (at, at, energy), self.sensor, layout)
        charges = to_charges(shared, self.sensor.fano, rng)
        photons["electrons"] = np.bincount(shared["owner"], charges["electrons"], photons.size)
        return Deposit(charges, XRAY, {"photons": photons})

    def draw(self, readout: int, layout: Layout, rng: Generator) -> NDArray[Any]:
        """Return the absorbed photons, PHOTON rows without electrons and escape, quadrant after quadrant."""
        quadrant, x, y = self.place.draw(self.per_frame, self.fixed, layout, rng)
        photons = np.zeros(quadrant.size, PHOTON)
        photons["frame"], photons["quadrant"], photons["x"], photons["y"] = readout, quadrant, x, y
        photons["energy_ev"] = energy = self.spectrum.draw(photons.size, rng)
        thickness = self.sensor.thickness_um
        every = bool(self.spectrum.arf) if self.all_absorbed is None else self.all_absorbed
        photons["depth_um"] = depth = draw_depth_um(energy, thickness if every else math.inf, rng)
        return photons[depth <= thickness]

    def _clouds(
        self, photons: NDArray[Any], line: NDArray[np.float64], layout: Layout, rng: Generator
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return where each photon and its fluorescence are absorbed, (n, 3) um each; the same without fluorescence."""
        pixel = layout.pixel_um
        columns = ((photons["x"] + 0.5) * pixel, (photons["y"] + 0.5) * pixel, photons["depth_um"])
        start = np.stack(columns, axis=1).astype(float)
        end = start.copy()
        lit = np.flatnonzero(line)
        way = rng.standard_normal((lit.size, 3))  # isotropic
        way /= np.linalg.norm(way, axis=1, keepdims=True)
        end[lit] += way * rng.exponential(absorption_um(line[lit]))[:, None]
        return start, end

    def _inside(self, at: NDArray[np.float64], layout: Layout) -> NDArray[np.bool_]:
        size = (layout.columns * layout.pixel_um, layout.rows * layout.pixel_um, self.sensor.thickness_um)
        return np.all((at >= 0) & (at <= size), axis=1)
