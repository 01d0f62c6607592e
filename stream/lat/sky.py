"""The diffuse gamma-ray light: what the Galaxy's gas and radiation emit, and what comes from everywhere alike."""

from dataclasses import dataclass
from typing import Final

import astropy_healpix.healpy as hp
import numpy as np
from numpy.typing import ArrayLike, NDArray

from stream.kernels.sky_light import enlarge
from stream.lat.bands import CHANNELS, TYPES
from stream.lat.exposure import ENERGY_MEV, WEIGHT_MEV, Exposure
from stream.lat.patch import SIDE_DEG, Patch, to_sky

Floats = NDArray[np.float64]
NSIDE: Final = 64  # of the maps of what is expected: 0.9 degrees
STEP_DEG: Final = 0.8  # at which a patch reads them


@dataclass(frozen=True, slots=True, eq=False)
class Diffuse:
    """Intensities, photons cm-2 s-1 sr-1 MeV-1."""

    energy_mev: Floats  # (e,) of the interstellar planes, rising
    planes: Floats  # (e, rows, columns) ln of the intensity on a grid of latitude and longitude
    first_deg: tuple[float, float]  # latitude and longitude of [0, 0]
    step_deg: tuple[float, float]  # may be negative
    isotropic: Floats  # (TYPES, BANDS, NODES)
    about: str

    def iem(self, glon_deg: ArrayLike, glat_deg: ArrayLike) -> Floats:
        """Return the interstellar intensity at places (n,), degrees: (BANDS, NODES, n)."""
        lon, lat = (np.atleast_1d(np.asarray(a, float)) for a in (glon_deg, glat_deg))
        rows, columns = self.planes.shape[1:]
        y = np.clip((lat - self.first_deg[0]) / self.step_deg[0], 0, rows - 1.000001)
        x = ((lon - self.first_deg[1]) / self.step_deg[1]) % columns
        i, j = y.astype(int), x.astype(int)
        v, u = y - i, x - j
        after = (j + 1) % columns
        low = self.planes[:, i, j] * (1 - u) + self.planes[:, i, after] * u
        high = self.planes[:, i + 1, j] * (1 - u) + self.planes[:, i + 1, after] * u
        by_plane = low * (1 - v) + high * v
        place = np.interp(np.log(ENERGY_MEV), np.log(self.energy_mev), np.arange(len(self.energy_mev)))
        k = np.minimum(place.astype(int), len(self.energy_mev) - 2)
        w = (place - k)[..., None]
        return np.exp(by_plane[k] * (1 - w) + by_plane[k + 1] * w)


@dataclass(frozen=True, slots=True, eq=False)
class Expected:
    """Counts sr-1 of diffuse light in each channel on HEALPix maps (RING, galactic): (CHANNELS, 12 NSIDE^2)."""

    iem: Floats
    iso: Floats

    def in_cells(self, glon_deg: float, glat_deg: float) -> tuple[Floats, Floats]:
        """Return counts sr-1 of interstellar and isotropic light on a patch, (CHANNELS, n, n), in cells of STEP_DEG."""
        side = round(SIDE_DEG / STEP_DEG)
        at = (np.arange(side) + 0.5) * STEP_DEG
        x, y = np.meshgrid(at, at)
        pixels, weights = hp.get_interp_weights(NSIDE, *to_sky(glon_deg, glat_deg, x.ravel(), y.ravel()), lonlat=True)
        iem, iso = (
            (maps[:, pixels] * weights).sum(axis=1).reshape(len(maps), side, side) for maps in (self.iem, self.iso)
        )
        return iem, iso

    def on(self, patch: Patch) -> tuple[Floats, Floats]:
        """Return counts sr-1 of interstellar and isotropic light in the pixels of a patch, (length,) each."""
        out = np.zeros((2, patch.plan.length))
        for values, cells in zip(out, self.in_cells(patch.glon_deg, patch.glat_deg), strict=True):
            for c, image in enumerate(cells):
                enlarge(image, patch.plan.image(values, c))
        return out[0], out[1]


def expect(diffuse: Diffuse, exposure: Exposure, smear: Floats | None = None) -> Expected:
    """Return what is expected of diffuse light under an exposure.

    smear: what the PSF makes of the interstellar part, of `stream.lat.smear.smearing`; none: light as it comes.
    """
    lon, lat = hp.pix2ang(NSIDE, np.arange(12 * NSIDE**2), lonlat=True)
    iem, iso = np.empty((2, CHANNELS, len(lon)))
    for part in np.array_split(np.arange(len(lon)), 32):
        intensity, at = diffuse.iem(lon[part], lat[part]), exposure.at(lon[part], lat[part])
        for c in range(CHANNELS):
            band, kind = divmod(c, len(TYPES))
            seen = at[kind, band] * WEIGHT_MEV[band][:, None]
            iem[c, part] = (intensity[band] * seen).sum(axis=0)
            iso[c, part] = diffuse.isotropic[kind, band] @ seen
    return Expected(iem if smear is None else iem * smear, iso)


# Of v07 (gll_iem_v07; Acero et al. 2016, ApJS 223, 26, for how): mean over the sky, photons cm-2 s-1 sr-1 MeV-1.
MEAN_MEV: Final = (300.0, 500.0, 1e3, 2e3, 4e3, 7e3, 1.2e4, 2e4, 5e4, 1e5, 3e5, 1e6)
MEAN: Final = (
    5.6e-8,
    2.18e-8,
    5.31e-9,
    1.06e-9,
    1.89e-10,
    4.36e-11,
    1.04e-11,
    2.74e-12,
    2.7e-13,
    4.9e-14,
    3e-15,
    1e-16,
)
# Isotropic, per type alike: iso_P8R3_SOURCE_V3, photons cm-2 s-1 sr-1 MeV-1.
ISO_MEV: Final = (200.0, 430.0, 1722.0, 6903.0, 27_677.0, 110_961.0, 444_857.0, 1_100_000.0)
ISO: Final = (3.2e-8, 5e-9, 1.62e-10, 8.39e-12, 3.93e-13, 1.66e-14, 1.01e-15, 1.4e-16)


def stand_in() -> Diffuse:
    """Return an analytic diffuse sky: a layer of local gas, the inner disc, and a halo, with v07's mean spectrum.

    Its ln differs from v07's by 0.30 (rms) above 45 degrees of latitude, by 0.34 to 0.42 below, and by 0.36 within 2
    degrees of the plane, where it is 20 % too bright (0.48 and 30 % at 20 GeV).
    """
    lat, lon = np.arange(-90, 91.0), np.arange(0, 360.0)
    b, x = np.meshgrid(lat, (lon + 180) % 360 - 180, indexing="ij")
    gas = np.exp(-23.96) / (np.abs(np.sin(np.radians(b))) + 0.05) ** 1.288
    disc = np.exp(-18.73) * np.exp(-np.abs(b) / 1.613) * np.exp(-((x / 40.5) ** 2) / 2)
    halo = np.exp(-21.06) * np.exp(-np.hypot(b / 19.44, x / 20.34))
    shape = gas + disc + halo
    weight = np.cos(np.radians(b))
    mean = float((shape * weight).sum() / weight.sum())
    planes = np.log(np.array(MEAN)[:, None, None] * shape / mean)
    iso = np.exp(np.interp(np.log(ENERGY_MEV), np.log(ISO_MEV), np.log(ISO)))
    return Diffuse(np.array(MEAN_MEV), planes, (-90.0, 0.0), (1.0, 1.0), np.stack([iso, iso]), "analytic stand-in")
