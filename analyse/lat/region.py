"""A region of the sky for a likelihood: pixels, what is counted in them, and what light makes of them.

Near the middle, where the source is, pixels stay as the patch has them; farther out they are joined to cells, in which
the diffuse light and far sources have no structure worth their number. The PSF of a source is that of its own spectrum:
the profiles of all energies are kept apart, and mixed as its photons are.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from stream.kernels.sky_fit import INDEX_LOW, add_source
from stream.lat.bands import BANDS, TYPES
from stream.lat.exposure import ENERGY_MEV, NODES, WEIGHT_MEV, Exposure, power_law
from stream.lat.instrument import Instrument
from stream.lat.patch import LAT, Patch, Plan
from stream.lat.psf import COSINE, INDEX, REACH_DEG, STEP_DEG, Profiles, blurred
from stream.lat.scene import CELL_DEG, NORM, NORM_SD, Scene

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
FINE_DEG: Final = 3.0  # from the middle; within it pixels stay as they are
WINGS: Final = 10.0  # of a source, in 68 % radii
WINGS_DEG: Final = 9.0
SMALLEST: Final = 1e-9  # counts expected in a cell, at least


@dataclass(frozen=True, slots=True, eq=False)
class Optics:
    """The PSF of the channels of a plan, energy by energy."""

    plan: Plan
    band: Ints  # (channels,)
    kinds: tuple[tuple[int, ...], ...]  # types of conversion in each channel
    nodes: Floats  # (channels, NODES, n) sr-1 at 0, STEP_DEG, ..., integral 1
    r68_deg: Floats  # (channels,) of a spectrum of index INDEX

    @classmethod
    def of(cls, instrument: Instrument, plan: Plan = LAT, together: bool = False) -> "Optics":
        """Return the PSF for a plan. together: a channel is a band, both types in it; else as `bands` has them."""
        both = tuple(range(len(TYPES)))
        kinds = (both,) * BANDS if together else tuple((kind,) for _ in range(BANDS) for kind in both)
        band = np.arange(len(kinds)) // (1 if together else len(TYPES))
        r = STEP_DEG * np.arange(int(REACH_DEG / STEP_DEG) + 1)
        theta, nodes = np.radians(r), np.empty((len(kinds), NODES, len(r)))
        ring = 2 * np.pi * np.sin(theta) * np.radians(STEP_DEG)
        seen = np.empty((len(kinds), NODES))  # area, for the mean over a band
        for c, blur in enumerate(np.radians(plan.blur_deg)):
            for node, energy in enumerate(ENERGY_MEV[band[c]]):
                parts = [_weighted(instrument, kind, float(energy), theta) for kind in kinds[c]]
                one = blurred(np.sum([shape for _, shape in parts], axis=0), theta, float(blur))
                nodes[c, node], seen[c, node] = one / (one @ ring), sum(area for area, _ in parts)
        spectrum = power_law(1.0, INDEX)[0][band] * WEIGHT_MEV[band] * seen
        mean = np.einsum("cn,cnr->cr", spectrum / spectrum.sum(axis=1, keepdims=True), nodes)
        r68 = np.array([np.interp(0.68, np.cumsum(row * ring), r) for row in mean])
        return cls(plan, band, kinds, nodes, r68)

    def mixed(self, by_node: Floats) -> Floats:
        """Return the profile (channels, n) of photons (channels, NODES)."""
        share = by_node / np.maximum(by_node.sum(axis=1, keepdims=True), 1e-300)
        return np.einsum("cn,cnr->cr", share, self.nodes)

    def photons(self, spectrum: Floats, seen: Floats) -> Floats:
        """Return counts (channels, NODES) of a spectrum (BANDS, NODES) under cm2 s (TYPES, BANDS, NODES)."""
        made = spectrum * WEIGHT_MEV
        return np.stack(
            [made[b] * seen[list(kinds), b].sum(axis=0) for b, kinds in zip(self.band, self.kinds, strict=True)]
        )

    def profiles(self) -> Profiles:
        """Return the profiles of a spectrum of index INDEX, as the search has them."""
        flat = power_law(1.0, INDEX)[0][self.band] * WEIGHT_MEV[self.band]
        return Profiles(self.mixed(flat), self.r68_deg)


def _weighted(instrument: Instrument, kind: int, energy: float, theta: Floats) -> tuple[float, Floats]:
    area = instrument.area_cm2(kind, energy, COSINE)[0]
    return float(area.sum()), np.asarray(area @ instrument.psf(kind, energy, COSINE, theta))


@dataclass(slots=True, eq=False)
class Region:
    """Counts in cells, and the diffuse light expected of them."""

    scene: Scene  # of the same patch
    optics: Optics
    exposure: Exposure
    cell: Ints  # (length,) of each pixel
    counts: Floats  # (cells,)
    weight: Floats  # (cells,) of their ln L
    group: Ints  # (cells,) whose norms they have
    diffuse: Floats  # (cells, 4) counts for norms of 1: interstellar, isotropic, the first times x and times y
    norm_mean: Floats  # (groups, 4) and sd, of the prior
    norm_sd: Floats
    kept: NDArray[np.bool_]  # (cells,) that count

    @property
    def patch(self) -> Patch:
        """Where it is."""
        return self.scene.patch

    def image(self, spectrum: Floats, at_deg: Floats, seen: Floats) -> Floats:
        """Return counts (cells,) of a source at a place (2,), degrees from the corner; see `pixels`."""
        light = np.bincount(self.cell, self.pixels(spectrum, at_deg, seen), minlength=len(self.counts))
        return np.asarray(light, float)

    def pixels(self, spectrum: Floats, at_deg: Floats, seen: Floats) -> Floats:
        """Return counts (length,) of a spectrum (BANDS, NODES) under cm2 s (TYPES, BANDS, NODES)."""
        by_node, plan, out = self.optics.photons(spectrum, seen), self.optics.plan, np.zeros(self.optics.plan.length)
        rate = np.maximum(np.repeat(by_node.sum(axis=1)[:, None], 2, axis=1), 1e-300)
        source, wings = np.array([*at_deg, 0.0, INDEX_LOW]), np.minimum(WINGS * self.optics.r68_deg, WINGS_DEG)
        add_source(
            out, plan.layout, plan.scale, self.patch.lit, self.patch.at, self.optics.mixed(by_node), STEP_DEG, rate,
            source, 1.0, wings,
        )  # fmt: skip
        return out

    def of_groups(self, groups: list[int]) -> "Region":
        """Return the region of which only some groups of channels count."""
        return Region(
            self.scene, self.optics, self.exposure, self.cell, self.counts, self.weight, self.group, self.diffuse,
            self.norm_mean, self.norm_sd, np.isin(self.group, groups),
        )  # fmt: skip


def region_of(
    scene: Scene, optics: Optics, exposure: Exposure, weighted: bool = True,
    fine_deg: Floats | float = FINE_DEG, cell_deg: float = CELL_DEG,
) -> Region:  # fmt: skip
    """Return the region of a scene. weighted: channels are trusted as its search does; else each count is one.

    fine_deg: by channel; farther out pixels are joined to cells of cell_deg.
    """
    plan = scene.plan
    cell, group = _cells(plan, np.broadcast_to(fine_deg, len(plan.scale)), cell_deg), np.empty(plan.length, np.int64)
    number = int(cell.max()) + 1
    tilt, weight = np.empty((plan.length, 2)), np.ones(plan.length)
    of_channel = {c: g for g, channels in enumerate(plan.groups) for c in channels}
    for c, (begin, side) in enumerate(plan.layout):
        part = slice(begin, begin + side * side)
        group[part] = of_channel[c]
        line = (np.arange(side) + 0.5) / side * 2 - 1
        tilt[part] = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
        if weighted:
            weight[part] = _weights(scene, c).ravel()
    iem, iso = scene.iem, scene.iso
    diffuse = [np.bincount(cell, v, number) for v in (iem, iso, iem * tilt[:, 0], iem * tilt[:, 1])]
    pixels = np.bincount(cell, minlength=number)
    owner = np.zeros(number, np.int64)
    owner[cell] = group
    groups = len(plan.groups)
    return Region(
        scene=scene,
        optics=optics,
        exposure=exposure,
        cell=cell,
        counts=np.asarray(np.bincount(cell, scene.patch.counts, number), float),
        weight=np.bincount(cell, weight, number) / pixels,
        group=owner,
        diffuse=np.stack(diffuse, axis=1),
        norm_mean=np.tile(NORM, (groups, 1)),
        norm_sd=np.tile(NORM_SD, (groups, 1)),
        kept=np.ones(number, bool),
    )


def _weights(scene: Scene, channel: int) -> Floats:
    """Return what ln L of a channel is multiplied with, (rows, columns): 1 / (1 + doubt^2 x counts under the PSF)."""
    plan = scene.plan
    image, scale = plan.image(scene.iem + scene.iso, channel), plan.scale[channel]
    under = image * np.pi * (scene.profiles.r68_deg[channel] / scale) ** 2
    return np.asarray(1 / (1 + scene.doubt((np.arange(len(image)) + 0.5) * scale)[:, None] ** 2 * under))


def _cells(plan: Plan, fine_deg: Floats, cell_deg: float) -> Ints:
    """Return the cell of each pixel, (length,)."""
    cell, first = np.empty(plan.length, np.int64), 0
    for (begin, side), scale, fine in zip(plan.layout, plan.scale, fine_deg, strict=True):
        rows, columns = np.mgrid[:side, :side]
        step = max(1, int(cell_deg / scale + 1e-9))
        wide = -(-side // step)
        joined = (rows // step) * wide + columns // step
        away = np.hypot(rows + 0.5 - side / 2, columns + 0.5 - side / 2) * scale
        label = np.where(away < fine, wide * wide + rows * side + columns, joined)
        _, dense = np.unique(label.ravel(), return_inverse=True)
        cell[begin : begin + side * side] = first + dense.reshape(-1)
        first += int(dense.max()) + 1
    return cell
