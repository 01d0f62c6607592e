"""Photons: how many, of what energy, and where the PSF has put them."""

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
_WIDTH: Final = np.array([0.5, *[1.0] * (NODES - 2), 0.5])  # of what is drawn about a node, in steps of ln E
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
            parts.append(self._channel(channel, sources, sources["spectrum"][:, band] * at[kind, band].T, rng))
        return np.concatenate(parts)

    def _channel(self, channel: int, sources: NDArray[Any], rate: Floats, rng: np.random.Generator) -> NDArray[Any]:
        """rate: (s, NODES), counts MeV-1."""
        number = rng.poisson(rate @ WEIGHT_MEV[channel // len(TYPES)])
        first = np.concatenate([[0], np.cumsum(number)])
        cdf = by_node(channel // len(TYPES), rate)
        places = np.stack([sources["glon_deg"], sources["glat_deg"]], axis=1).reshape(-1, 2)
        out = self.spread(channel, places, first, cdf, rng)
        out["source"] = np.repeat(np.arange(len(sources)), number)
        return out

    def spread(
        self, channel: int, places_deg: Floats, first: NDArray[np.int64], cdf: Floats, rng: np.random.Generator
    ) -> NDArray[Any]:
        """Return PHOTON rows of a channel that left places (s, 2) through the PSF; first[i]:first[i + 1] left place i.

        cdf: (s, NODES), cumulative share of a place's photons by energy, of `by_node`.
        """
        uniform, drawn = rng.random((first[-1], 4)), np.empty((first[-1], 3))
        scatter(np.radians(places_deg), first, cdf, self._cdf[channel], RADIUS, uniform, drawn)
        out = np.empty(first[-1], PHOTON)
        out["glon_deg"], out["glat_deg"] = np.degrees(drawn[:, 1]) % 360, np.degrees(drawn[:, 2])
        node = drawn[:, 0].astype(np.int64)
        place = np.repeat(np.arange(len(places_deg)), np.diff(first))
        out["energy_mev"] = energies(channel // len(TYPES), node, _slopes(cdf)[place, node], uniform[:, 3])
        out["channel"], out["source"] = channel, -1
        return out


def by_node(band: int, rate: Floats) -> Floats:
    """Return the cumulative shares of the photons about each node of a band, of counts MeV-1 there: (s, NODES)."""
    so_far = np.cumsum(rate * ENERGY_MEV[band] * _WIDTH, axis=1)
    return np.asarray(so_far / np.maximum(so_far[:, -1:], 1e-300))


def _slopes(cdf: Floats) -> Floats:
    """Return how ln of the photons per node goes on to the next one, (s, NODES)."""
    log = np.log(np.maximum(np.diff(cdf, axis=1, prepend=0.0), 1e-30) / _WIDTH)
    return np.asarray(np.gradient(log, axis=1))


def energies(band: int, node: NDArray[np.int64], slope: Floats, uniform: Floats) -> Floats:
    """Return energies, MeV, (n,), about their nodes within a band; slope: of ln dN / d ln E, by step of the nodes."""
    low = np.where(node == 0, 0.0, -0.5)
    high = np.where(node == NODES - 1, 0.0, 0.5)
    g = np.where(np.abs(slope) < 1e-3, 1e-3, np.clip(slope, -20, 20))
    at = np.log(np.exp(g * low) + uniform * (np.exp(g * high) - np.exp(g * low))) / g
    step = np.log(ENERGY_MEV[band, 1] / ENERGY_MEV[band, 0])
    near = ENERGY_MEV[band][node] * np.exp(step * at)
    return np.clip(near, ENERGY_MEV[band, 0], np.nextafter(np.float32(ENERGY_MEV[band, -1]), np.float32(0)))
