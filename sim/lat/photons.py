"""Photons of sources: how many, of what energy, and where the PSF has put them."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sim.kernels_photons import scatter
from stream.lat.bands import CHANNELS, TYPES
from stream.lat.exposure import ENERGY_MEV, NODES, WEIGHT_MEV, Exposure
from stream.lat.instrument import Instrument
from stream.lat.psf import COSINE

Floats = NDArray[np.float64]
PHOTON: Final = np.dtype(
    [
        ("glon_deg", "f8"),
        ("glat_deg", "f8"),
        ("energy_mev", "f4"),
        ("channel", "i1"),
        ("source", "i4"),  # row of the catalogue, -1: diffuse
    ]
)
RADIUS: Final = np.radians(np.concatenate([[0.0], np.geomspace(1e-3, 30.0, 240)]))


class Scatter:
    """The PSF of each channel at each of its energies, ready to be drawn from."""

    def __init__(self, instrument: Instrument) -> None:
        self._cdf = np.empty((CHANNELS, NODES, len(RADIUS)))
        for channel in range(CHANNELS):
            band, kind = divmod(channel, len(TYPES))
            for node, energy in enumerate(ENERGY_MEV[band]):
                area = instrument.area_cm2(kind, energy, COSINE)[0]
                ring = (area @ instrument.psf(kind, float(energy), COSINE, RADIUS)) * np.sin(RADIUS)
                inside = np.concatenate([[0.0], np.cumsum((ring[1:] + ring[:-1]) / 2 * np.diff(RADIUS))])
                self._cdf[channel, node] = inside / inside[-1]

    def draw(self, sources: NDArray[Any], exposure: Exposure, rng: np.random.Generator) -> NDArray[Any]:
        """Return PHOTON rows of SOURCE rows under an exposure, channel by channel; no sources: no rows."""
        at = exposure.at(sources["glon_deg"], sources["glat_deg"])
        parts = []
        for channel in range(CHANNELS):
            band, kind = divmod(channel, len(TYPES))
            by_node = sources["spectrum"][:, band] * at[kind, band].T * WEIGHT_MEV[band]
            parts.append(self._channel(channel, sources, by_node, rng))
        return np.concatenate(parts)

    def _channel(self, channel: int, sources: NDArray[Any], by_node: Floats, rng: np.random.Generator) -> NDArray[Any]:
        number = rng.poisson(by_node.sum(axis=1))
        first = np.concatenate([[0], np.cumsum(number)])
        cdf = np.cumsum(by_node, axis=1) / np.maximum(by_node.sum(axis=1, keepdims=True), 1e-300)
        places = np.radians(np.stack([sources["glon_deg"], sources["glat_deg"]], axis=1)).reshape(-1, 2)
        uniform, drawn = rng.random((first[-1], 4)), np.empty((first[-1], 3))
        scatter(places, first, cdf, self._cdf[channel], RADIUS, uniform, drawn)
        out = np.empty(first[-1], PHOTON)
        out["glon_deg"], out["glat_deg"] = np.degrees(drawn[:, 1]) % 360, np.degrees(drawn[:, 2])
        out["energy_mev"] = energies(channel, drawn[:, 0].astype(np.int64), uniform[:, 3])
        out["channel"], out["source"] = channel, np.repeat(np.arange(len(sources)), number)
        return out


def energies(channel: int, node: NDArray[np.int64], uniform: Floats) -> Floats:
    """Return energies, MeV, (n,): even in ln E about their nodes, within the band."""
    band = channel // len(TYPES)
    step = np.log(ENERGY_MEV[band, 1] / ENERGY_MEV[band, 0])
    low = np.where(node == 0, 0.0, -0.5)
    high = np.where(node == NODES - 1, 0.0, 0.5)
    near = ENERGY_MEV[band][node] * np.exp(step * (low + (high - low) * uniform))
    return np.clip(near, ENERGY_MEV[band, 0], np.nextafter(ENERGY_MEV[band, -1], 0))
