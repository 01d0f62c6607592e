"""The PSF of each channel: the mean over its energies and over the angles at which the LAT sees a source."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from stream.lat.bands import CHANNELS, TYPES
from stream.lat.exposure import ENERGY_MEV, WEIGHT_MEV
from stream.lat.instrument import Instrument

Floats = NDArray[np.float64]
STEP_DEG: Final = 0.01
REACH_DEG: Final = 12.0  # beyond it a profile is 0: 1 % of the light of 300 MeV, front
COSINE: Final = np.linspace(0.3, 0.97, 8)
INDEX: Final = 2.2  # of the spectrum that the mean over a band is for


@dataclass(frozen=True, slots=True, eq=False)
class Stamp:
    """A profile around a pixel: its peak, sr-1, and the Fourier transforms of it and of its square."""

    peak: float
    once: NDArray[np.complex64]
    squared: NDArray[np.complex64]


@dataclass(frozen=True, slots=True, eq=False)
class Profiles:
    """Radial profiles of all channels at 0, STEP_DEG, ...: sr-1, integral 1."""

    values: Floats  # (CHANNELS, n)
    r68_deg: Floats  # (CHANNELS,)
    stamps: dict[int, Stamp] = field(default_factory=dict, repr=False)  # kept by the search, by channel

    def at(self, channel: int, r_deg: Floats) -> Floats:
        """Return the profile of a channel at separations, degrees, any shape."""
        return np.interp(r_deg, STEP_DEG * np.arange(self.values.shape[1]), self.values[channel], right=0.0)


def profiles_of(instrument: Instrument, blur_deg: Floats | float = 0.0) -> Profiles:
    """Return the profiles. blur_deg: sigma of what else moves photons, by channel, as pixels do."""
    r = STEP_DEG * np.arange(int(REACH_DEG / STEP_DEG) + 1)
    theta = np.radians(r)
    area = 2 * np.pi * np.sin(theta)
    values, r68 = np.empty((CHANNELS, len(r))), np.empty(CHANNELS)
    for channel, blur in enumerate(np.broadcast_to(blur_deg, CHANNELS)):
        band, kind = divmod(channel, len(TYPES))
        mean = blurred(_mean(instrument, band, kind, theta), theta, float(np.radians(blur)))
        inside = np.cumsum(mean * area) * np.radians(STEP_DEG)
        values[channel] = mean / inside[-1]
        r68[channel] = np.interp(0.68 * inside[-1], inside, r)
    return Profiles(values, r68)


def _mean(instrument: Instrument, band: int, kind: int, theta: Floats) -> Floats:
    total = np.zeros(len(theta))
    for energy, weight in zip(ENERGY_MEV[band], WEIGHT_MEV[band], strict=True):
        area = instrument.area_cm2(kind, energy, COSINE)[0]
        total += weight * energy**-INDEX * (area @ instrument.psf(kind, float(energy), COSINE, theta))
    return total / total.max()


def blurred(profile: Floats, theta: Floats, sigma: float) -> Floats:
    """Convolve with a Gaussian on the plane: by rays of the circle around each radius, where it matters."""
    if sigma <= 0:
        return profile
    near = theta < theta[0] + 60 * sigma
    x, weight = np.polynomial.hermite_e.hermegauss(9)
    weight = weight / weight.sum()
    dx, dy = np.meshgrid(sigma * x, sigma * x, indexing="ij")
    away = np.hypot(theta[near][:, None, None] + dx, dy)
    out = profile.copy()
    out[near] = np.einsum("nij,i,j->n", np.interp(away, theta, profile), weight, weight)
    return out
