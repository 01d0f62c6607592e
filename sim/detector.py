"""The detector model: charge in pixels -> ADU frames with offset, noise, common mode and bad pixels."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from config.schema import Detector as Layout
from sim.bad_pixels import BadPixel
from sim.charge import PAIR_ENERGY_EV
from sim.check import require
from sim.kernels import digitise, scale_noise
from sim.seeds import Seeds
from stream.messages import Maps


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A shift of whole rows, in the read-outs and rows first..last, both included; quadrant -1: in all."""

    adu: float
    first_row: int
    last_row: int
    first_readout: int
    last_readout: int = 2**62
    quadrant: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Imperfections:
    """What the detector adds to the signal."""

    offset_mean_adu: float = 500.0
    offset_spread_adu: float = 10.0  # rms from pixel to pixel
    column_spread_adu: float = 5.0  # rms from column to column
    noise_e: float = 7.0  # rms of a read-out
    noise_spread: float = 0.0  # rms from pixel to pixel, as a fraction of noise_e
    common_mode_rms_adu: float = 0.0  # of each row in each read-out
    steps: tuple[Step, ...] = ()
    bad_pixels: tuple[BadPixel, ...] = ()

    def __post_init__(self) -> None:
        names = ("offset_spread_adu", "column_spread_adu", "noise_e", "common_mode_rms_adu")
        require(
            "detector model",
            (self.offset_mean_adu >= 0, "offset_mean_adu >= 0"),
            *((getattr(self, name) >= 0, f"{name} >= 0") for name in names),
            (0 <= self.noise_spread < 0.3, "0 <= noise_spread < 0.3"),
        )


class Detector:
    """One camera: maps drawn once from the seed, then frame after frame in any order. Not for several threads."""

    def __init__(self, layout: Layout, model: Imperfections, seeds: Seeds) -> None:
        """Draw the maps. Raises ConfigError for a layout without quadrants or an impossible model."""
        ids = [q.id for q in layout.quadrants]
        require(
            "detector",
            (bool(ids), "at least one quadrant in detector.quadrants"),
            (len(set(ids)) == len(ids), "a different id for each quadrant"),
            (layout.adc_max_adu <= 65535, "adc_max_adu <= 65535"),
            *((_inside(p, layout), f"bad pixel ({p.x}, {p.y}) in quadrant {p.quadrant}") for p in model.bad_pixels),
        )
        self.layout, self.model, self.seeds = layout, model, seeds
        self.electrons_per_adu = layout.gain_ev_per_adu / PAIR_ENERGY_EV
        self._maps = {quadrant: self._draw_maps(quadrant) for quadrant in ids}
        self._bad = {q: [p for p in model.bad_pixels if p.quadrant == q] for q in ids}
        self._level = np.empty((layout.rows, layout.columns), np.float32)

    def read(self, readout: int, quadrant: int, charges: NDArray[Any]) -> NDArray[np.uint16]:
        """Return the frame of a quadrant, (rows, columns) uint16 ADU.

        charges: CHARGE rows of this quadrant; none is a frame without signal.
        """
        rng, level, maps = self.seeds.noise(readout, quadrant), self._level, self._maps[quadrant]
        rng.standard_normal(out=level, dtype=np.float32)
        common = rng.standard_normal(self.layout.rows, np.float32) * np.float32(self.model.common_mode_rms_adu)
        self._add_steps(common, readout, quadrant)
        scale_noise(level, maps.offset, maps.noise, common)
        if charges.size:
            np.add.at(level, (charges["y"], charges["x"]), charges["electrons"] / np.float32(self.electrons_per_adu))
        for pixel in self._bad[quadrant]:
            pixel.apply(level, readout, rng)
        frame: NDArray[np.uint16] = digitise(level, np.float32(self.layout.adc_max_adu))
        return frame

    def true_maps(self, quadrant: int) -> Maps:
        """Return offset and noise as they were drawn (without the ADC's rounding) and what is bad from the start."""
        return self._maps[quadrant]

    def _draw_maps(self, quadrant: int) -> Maps:
        model, rng = self.model, self.seeds.fixed(quadrant, 0)
        shape = (self.layout.rows, self.layout.columns)
        offset = model.offset_mean_adu + model.offset_spread_adu * rng.standard_normal(shape)
        offset += model.column_spread_adu * rng.standard_normal(shape[1])
        noise = 1 + model.noise_spread * rng.standard_normal(shape)
        noise *= model.noise_e / self.electrons_per_adu
        bad = np.zeros(shape, np.uint8)
        for pixel in model.bad_pixels:
            if pixel.quadrant == quadrant and pixel.first_readout == 0:
                bad[pixel.y, pixel.x] = pixel.kind
        floor = np.maximum(noise, 0).astype(np.float32)
        return Maps(quadrant=quadrant, offset=offset.astype(np.float32), noise=floor, bad=bad, version="truth")

    def _add_steps(self, common: NDArray[np.float32], readout: int, quadrant: int) -> None:
        for step in self.model.steps:
            if step.first_readout <= readout <= step.last_readout and step.quadrant in (-1, quadrant):
                common[step.first_row : step.last_row + 1] += step.adu


def _inside(pixel: BadPixel, layout: Layout) -> bool:
    known = any(q.id == pixel.quadrant for q in layout.quadrants)
    return known and 0 <= pixel.x < layout.columns and 0 <= pixel.y < layout.rows
