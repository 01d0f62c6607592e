"""Photons of the diffuse light of a simulated sky, one by one, through the PSF."""

from typing import Any, Final

import astropy_healpix.healpy as hp
import numpy as np
from numpy.typing import NDArray

from sim.lat.background import Sky
from sim.lat.photons import PHOTON, Scatter, by_node
from stream.lat.bands import CHANNELS, TYPES
from stream.lat.exposure import NODES, NSIDE, Exposure
from stream.lat.sky import NSIDE as SMOOTH_NSIDE
from stream.lat.sky import expect

FINE_NSIDE: Final = 256  # 0.23 degrees: half of the shortest wave of the fine structure
WITHIN: Final = 4096  # places along a side of a fine pixel


class Glow:
    """How much diffuse light comes from where, in each channel, ready to be drawn from."""

    def __init__(self, sky: Sky, exposure: Exposure, scatter: Scatter) -> None:
        self._scatter = scatter
        expected, number = expect(sky.diffuse, exposure), 12 * FINE_NSIDE**2
        level = np.empty((CHANNELS, number))
        for part in np.array_split(np.arange(number), 64):
            lon, lat = hp.pix2ang(FINE_NSIDE, part, nest=True, lonlat=True)
            smooth, weights = hp.get_interp_weights(SMOOTH_NSIDE, lon, lat, lonlat=True)
            factor = sky.factor(lon, lat)
            for c in range(CHANNELS):
                iem, iso = ((maps[c][smooth] * weights).sum(axis=0) for maps in (expected.iem, expected.iso))
                level[c, part] = (iem * factor + iso) * 4 * np.pi / number
        self._so_far = np.cumsum(level, axis=1)  # by pixel, nested
        self._cdf = _by_energy(sky, exposure)

    def draw(self, share: float, rng: np.random.Generator) -> NDArray[Any]:
        """Return PHOTON rows of a share of the exposure, channel by channel."""
        return np.concatenate([np.zeros(0, PHOTON), *(self._channel(c, share, rng) for c in range(CHANNELS))])

    def _channel(self, channel: int, share: float, rng: np.random.Generator) -> NDArray[Any]:
        so_far = self._so_far[channel]
        number = rng.poisson(share * so_far[-1])
        pixel = np.searchsorted(so_far, np.sort(rng.random(number)) * so_far[-1])
        pixel = np.minimum(pixel, len(so_far) - 1)
        inside = pixel * WITHIN**2 + rng.integers(WITHIN**2, size=number)
        places = np.stack(hp.pix2ang(FINE_NSIDE * WITHIN, inside, nest=True, lonlat=True), axis=1)
        cdf = self._cdf[channel][pixel // (FINE_NSIDE // NSIDE) ** 2]
        return self._scatter.spread(channel, places, np.arange(number + 1), cdf, rng)


def _by_energy(sky: Sky, exposure: Exposure) -> NDArray[np.float64]:
    """Return the cumulative share of the photons by node, in the exposure's pixels, nested: (CHANNELS, npix, NODES)."""
    nested = np.arange(12 * NSIDE**2)
    ring = hp.nest2ring(NSIDE, nested)
    iem = sky.diffuse.iem(*hp.pix2ang(NSIDE, ring, lonlat=True))
    out = np.empty((CHANNELS, len(nested), NODES))
    for channel in range(CHANNELS):
        band, kind = divmod(channel, len(TYPES))
        light = iem[band] + sky.diffuse.isotropic[kind, band][:, None]
        out[channel] = by_node(band, (light * exposure.cm2_s[kind, band][:, ring]).T)
    return out
