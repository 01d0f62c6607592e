"""What the PSF does to diffuse light: how much of it arrives where it came from, by channel and place."""

from typing import Final

import astropy_healpix.healpy as hp
import numpy as np
from numpy.typing import NDArray

from stream.kernels.spread import spread_light
from stream.lat.bands import CHANNELS, TYPES
from stream.lat.exposure import WEIGHT_MEV
from stream.lat.psf import REACH_DEG, STEP_DEG, Profiles, blurred
from stream.lat.sky import NSIDE, Diffuse

Floats = NDArray[np.float64]
WIDE_DEG: Final = 0.25  # channels with a smaller 68 % radius are left as they are: their light is smooth enough
PIXEL_DEG: Final = 0.5  # sigma that stands for a pixel of NSIDE: below it sums over pixels would be no integrals


def smearing(diffuse: Diffuse, profiles: Profiles) -> Floats:
    """Return interstellar light after the PSF over that before, (CHANNELS, 12 NSIDE^2).

    The ratio is that of two sums over pixels, one with the PSF and a pixel's width, one with this width alone: so what
    the maps of `stream.lat.sky.expect` show within a pixel or two stays in them. Over exposures and spectra that differ
    little from place to place it is the same: those of the model's own spectrum in an even survey are taken.
    """
    number = 12 * NSIDE**2
    lon, lat = hp.pix2ang(NSIDE, np.arange(number), lonlat=True)
    light = np.einsum("bkp,bk->bp", diffuse.iem(lon, lat), WEIGHT_MEV)
    wide = np.flatnonzero(profiles.r68_deg > WIDE_DEG)
    r = STEP_DEG * np.arange(profiles.values.shape[1])
    pixel = np.exp(-((r / PIXEL_DEG) ** 2) / 2)
    shapes = [blurred(profiles.values[c], np.radians(r), np.radians(PIXEL_DEG)) for c in wide] + [pixel] * len(light)
    before = np.concatenate([light[wide // len(TYPES)], light])
    after = np.empty_like(before)
    directions = np.stack(hp.pix2vec(NSIDE, np.arange(number)), axis=1)
    steps = np.radians(REACH_DEG), np.radians(STEP_DEG)
    spread_light(directions, np.radians(lat), *steps, np.stack(shapes), before, after)
    out = np.ones((CHANNELS, number))
    out[wide] = after[: len(wide)] / after[len(wide) :][wide // len(TYPES)]
    return out
