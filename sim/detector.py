"""The detector model: charge in pixels -> ADU frames with offset, noise, common mode and bad pixels."""

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.special import ndtri

from config.schema import Config
from config.schema import Detector as Layout
from sim.bad_pixels import BadPixel, scatter
from sim.charge import PAIR_ENERGY_EV
from sim.check import require
from sim.kernels import read_out
from sim.seeds import Seeds
from stream.messages import Maps

MOST_LAGGING = 0.1  # of a pixel's charge: then next to nothing lags by more than the two rows that `transfer` knows
TAIL = 305  # of 65536: beyond 2.6 sigma the noise is drawn exactly


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
    clip_ev: float | None = None  # where the ADC ends in a pixel of mean offset; none: at the end of its own range
    cti: float = 0.0  # share of the charge that each parallel transfer leaves behind
    steps: tuple[Step, ...] = ()
    bad_pixels: tuple[BadPixel, ...] = ()

    @classmethod
    def of(cls, config: Config, seeds: Seeds) -> "Imperfections":
        """Return what `[simulate.read_out]` says, its bad pixels scattered over each quadrant."""
        values = config.simulate.read_out.model_dump()
        kinds = {kind: values.pop(f"{kind}_pixels") for kind in ("hot", "flickering", "dead")}
        return cls(**values, bad_pixels=scatter(config.detector, seeds, **kinds))

    def __post_init__(self) -> None:
        names = ("offset_spread_adu", "column_spread_adu", "noise_e", "common_mode_rms_adu")
        require(
            "detector model",
            (self.offset_mean_adu >= 0, "offset_mean_adu >= 0"),
            *((getattr(self, name) >= 0, f"{name} >= 0") for name in names),
            (0 <= self.noise_spread < 0.3, "0 <= noise_spread < 0.3"),
            (self.clip_ev is None or self.clip_ev > 0, "clip_ev > 0"),
            (0 <= self.cti < 0.01, "0 <= cti < 0.01"),
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
            (model.cti * layout.rows <= MOST_LAGGING, f"cti * rows <= {MOST_LAGGING:g}: more would lag by many rows"),
            *((_inside(p, layout), f"bad pixel ({p.x}, {p.y}) in quadrant {p.quadrant}") for p in model.bad_pixels),
        )
        self.layout, self.model, self.seeds = layout, model, seeds
        self.electrons_per_adu = layout.gain_ev_per_adu / PAIR_ENERGY_EV
        clip_adu = math.inf if model.clip_ev is None else model.offset_mean_adu + model.clip_ev / layout.gain_ev_per_adu
        self.top_adu = float(math.floor(min(layout.adc_max_adu, clip_adu)))  # no pixel of a frame is above
        self._maps = {quadrant: self._draw_maps(quadrant) for quadrant in ids}
        self._bad = {q: [p for p in model.bad_pixels if p.quadrant == q] for q in ids}
        self._signal = np.zeros((layout.rows, layout.columns), np.float32)

    def read(self, readout: int, quadrant: int, charges: NDArray[Any]) -> NDArray[np.uint16]:
        """Return the frame of a quadrant, (rows, columns) uint16 ADU.

        charges: CHARGE rows of this quadrant; none is a frame without signal.
        """
        rng, maps, signal = self.seeds.noise(readout, quadrant), self._maps[quadrant], self._signal
        chance = _draw_chance(signal.size, rng)
        common = rng.standard_normal(self.layout.rows, np.float32) * np.float32(self.model.common_mode_rms_adu)
        self._add_steps(common, readout, quadrant)
        arrived = transfer(charges, self.model.cti, self.layout.rows)
        place = (arrived["y"], arrived["x"])
        np.add.at(signal, place, arrived["electrons"] / np.float32(self.electrons_per_adu))
        for pixel in self._bad[quadrant]:
            pixel.apply(signal, readout, rng)
        top = np.float32(self.top_adu)
        frame: NDArray[np.uint16] = read_out(chance, _normal(), (maps.offset, maps.noise), common, signal, top)
        signal[place] = 0
        for pixel in self._bad[quadrant]:
            signal[pixel.y, pixel.x] = 0
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


def transfer(charges: NDArray[Any], cti: float, rows: int) -> NDArray[Any]:
    """Return the charge as it arrives after parallel transfer to row 0: CHARGE rows, those of the same pixel add up.

    A pixel in row y is moved y + 1 times and leaves the share `cti` behind each time: what lags once is read with row
    y + 1, the rest, left behind more often, with row y + 2; beyond the last row it is not read.
    """
    if cti == 0 or not charges.size:
        return charges
    moves = charges["y"] + 1.0
    kept = (1 - cti) ** moves
    once = moves * cti * (1 - cti) ** (moves - 1)
    parts = []
    for late, share in enumerate((kept, once, 1 - kept - once)):
        part = charges.copy()
        part["y"] += late
        part["electrons"] *= share
        parts.append(part[part["y"] < rows])
    return np.concatenate(parts)


def _draw_chance(pixels: int, rng: Generator) -> tuple[NDArray[np.uint16], NDArray[np.float64]]:
    """Return what `read_out` makes its noise of: 16 bits for each pixel, and twice the numbers its tails will need."""
    bits = rng.bit_generator.random_raw(-(-pixels // 4)).view(np.uint16)
    return bits, rng.random(pixels // 25 + 64)


@cache
def _normal() -> tuple[NDArray[np.float32], int, float]:
    """Return the normal quantiles of the middles of 65536 equal shares, and where the tails begin."""
    return ndtri((np.arange(65536) + 0.5) / 65536).astype(np.float32), TAIL, float(-ndtri(TAIL / 65536))
