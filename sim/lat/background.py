"""Diffuse light as it might be: near the model that the search is given, and never quite that.

The interstellar part of a simulated sky has another norm, another spectrum, another distribution over the sky, and
structure down to half a degree that the model has not: waves on the sphere whose power falls with k^-2.7, as that of
interstellar gas does (Miville-Deschenes et al. 2007, A&A 469, 595: -2.5 to -3). Its rms is what fitted templates of the
real 2-20 GeV sky have below 1.8 degrees: 16 % within 2 degrees of the plane, 12 % at 2 to 5, 6.5 % above.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sim.lat.catalogue import UNRESOLVED
from stream.lat.sky import Diffuse

Floats = NDArray[np.float64]
NORM_SD: Final = 0.10  # ln, of the whole
TILT_SD: Final = 0.05  # of the spectral index
WIDE_SD: Final = 0.08  # ln, of structure wider than 20 degrees
TEXTURE: Final = (0.065, 0.10, 3.0)  # ln rms of the fine structure: far from the plane, more in it, degrees
TEXTURE_TIMES: Final = (0.5, 1.5)  # of that: least and most
ISO_SD: Final = 0.10
PIVOT_MEV: Final = 2000.0
POWER: Final = 2.7
WAVES: Final = 160
FINE_DEG: Final = (0.5, 6.0)  # shortest and longest wave of the fine structure
WIDE_DEG: Final = (20.0, 120.0)


@dataclass(frozen=True, slots=True, eq=False)
class Waves:
    """A Gaussian field on the sphere with mean 0 and variance 1."""

    vectors: Floats  # (WAVES, 3), rad-1
    phases: Floats  # (WAVES,)

    @classmethod
    def drawn(cls, rng: np.random.Generator, shortest_deg: float, longest_deg: float) -> "Waves":
        """Return waves of a power law in two dimensions, drawn so that all have the same amplitude."""
        low, high = 360 / longest_deg, 360 / shortest_deg
        slope = 2 - POWER  # of the integral of k dk k^-POWER
        k = (low**slope + rng.random(WAVES) * (high**slope - low**slope)) ** (1 / slope)
        direction = rng.standard_normal((WAVES, 3))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        return cls(k[:, None] * direction, rng.uniform(0, 2 * np.pi, WAVES))

    def at(self, glon_deg: Floats, glat_deg: Floats) -> Floats:
        """Return the field at places (n,)."""
        lon, lat = np.radians(glon_deg), np.radians(glat_deg)
        place = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
        return np.asarray(np.sqrt(2 / WAVES) * np.cos(self.vectors @ place + self.phases[:, None]).sum(axis=0))


@dataclass(frozen=True, slots=True, eq=False)
class Sky:
    """The diffuse light of one simulated sky: a model, and what its interstellar part is multiplied with."""

    diffuse: Diffuse
    waves: Waves
    texture: float  # times TEXTURE

    def factor(self, glon_deg: Floats, glat_deg: Floats) -> Floats:
        """Return the factor of the fine structure at places (n,), mean 1."""
        if not self.texture:
            return np.ones(np.shape(glon_deg))
        far, more, width = TEXTURE
        rms = self.texture * (far + more * np.exp(-np.abs(glat_deg) / width))
        return np.asarray(np.exp(rms * self.waves.at(glon_deg, glat_deg) - rms**2 / 2))


def vary(model: Diffuse, rng: np.random.Generator, strength: float = 1.0) -> Sky:
    """Return a sky that differs from a model as above; strength 0: not at all."""
    lat = model.first_deg[0] + model.step_deg[0] * np.arange(model.planes.shape[1])
    lon = model.first_deg[1] + model.step_deg[1] * np.arange(model.planes.shape[2])
    b, x = np.meshgrid(lat, lon, indexing="ij")
    wide = Waves.drawn(rng, *WIDE_DEG).at(x.ravel(), b.ravel()).reshape(b.shape)
    tilt = rng.normal(0, TILT_SD) * np.log(model.energy_mev / PIVOT_MEV)
    change = rng.normal(0, NORM_SD) + tilt[:, None, None] + WIDE_SD * wide
    iso = model.isotropic * np.exp(strength * rng.normal(0, ISO_SD)) * UNRESOLVED
    planes = model.planes + strength * change
    varied = Diffuse(model.energy_mev, planes, model.first_deg, model.step_deg, iso, f"{model.about}, varied")
    return Sky(varied, Waves.drawn(rng, *FINE_DEG), strength * rng.uniform(*TEXTURE_TIMES))
