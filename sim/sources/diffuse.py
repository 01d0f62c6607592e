"""What shines between the sources: the hot ridge, a soft foreground, and what particles leave in the detector."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from sim.sources.camera import Camera
from sim.sources.emission import energy_flux, parsed
from sim.sources.galaxy import look
from sim.sources.populations import CM2_PER_KPC2

Floats = NDArray[np.float64]

RIDGE_LIGHT: Final = 3.5e27  # erg s-1 Msun-1, stars and CVs too faint to be seen one by one: Sazonov et al. 2006
RIDGE: Final = "tbabs*apec"
RIDGE_KT_KEV: Final = 6.5  # hot part of the ridge, with its iron line: Ebisawa et al. 2005, ApJ 635, 214; Koyama 2018
FOREGROUND: Final = "tbabs*apec"
FOREGROUND_KT_KEV: Final = 0.25  # local bubble and halo: Kuntz & Snowden 2000, ApJ 543, 195
FOREGROUND_NH: Final = 0.05  # 1e22 cm-2
FOREGROUND_LIGHT: Final = 6e-12  # erg cm-2 s-1 deg-2 in 0.5-8 keV: Kuntz & Snowden 2000, to a factor of 2
TEXTURE_SLOPE: Final = 2.9  # of the power spectrum of emission and column: Miville-Deschenes et al. 2007, A&A 469, 595
KNOT_SIZE: Final = (0.3, 5.0)  # sigma over the PSF's, even in the logarithm: filaments and shells, Muno et al. 2008,
KNOT_SHARE: Final = (1e-3, 2e-2)  # of the ridge's light in the field, likewise (ApJ 673, 251)
LATITUDES: Final = 9  # at which the ridge is computed


@dataclass(frozen=True, slots=True)
class Glow:
    """One diffuse component: counts s-1 by pixel of an unvignetted camera, times a spectrum."""

    name: str
    rate: Floats  # (rows, columns) counts s-1 px-1, in all channels
    spectrum: Floats  # (n,) share by bin of energy of the photon
    text: str
    values: Floats  # (p,) norm for the mean of the field, per deg2


def glows(
    camera: Camera, place: tuple[float, float], strength: float, look_of: tuple[float, float], rng: Generator
) -> list[Glow]:
    """Return the sky's components around l, b (degrees).

    strength: over what is expected there; look_of: rms of the log of the brightness (0: smooth), mean number of knots.
    """
    l_deg, b_deg = place
    texture, knots = look_of
    ridge = _latitude_profile(camera, l_deg, b_deg)
    ridge_map = ridge[:, None] * _texture(camera, texture, rng)
    ridge_map += float(ridge_map.sum()) * _knots(camera, knots, rng)
    fore_map = FOREGROUND_LIGHT * _texture(camera, texture / 2, rng)
    nh = look(l_deg, b_deg).column / 2  # half of the gas is in front of the middle of the stars
    return [
        _glow("ridge", (RIDGE, RIDGE_KT_KEV, nh), strength * ridge_map, camera),
        _glow("foreground", (FOREGROUND, FOREGROUND_KT_KEV, FOREGROUND_NH), strength * fore_map, camera),
    ]


def _glow(name: str, what: tuple[str, float, float], light: Floats, camera: Camera) -> Glow:
    """Light (rows, columns): unabsorbed erg cm-2 s-1 deg-2."""
    text, kt, nh = what
    model = parsed(text)
    values = model.set(**{"tbabs.nH": nh, "apec.kT": kt, "apec.norm": 1.0}).defaults
    mean = float(light.mean())
    values[-1] = mean / energy_flux(model, values, absorbed=False)
    low, high = camera.response.energy_lo_kev, camera.response.energy_hi_kev
    counts = camera.detected(model.photons(values, low, high))  # s-1 deg-2
    total = float(counts.sum())
    relative = light / mean if mean > 0 else np.zeros_like(light)
    share = counts / total if total > 0 else counts
    return Glow(name, total * camera.pixel_deg2 * relative, share, text, values)


def _latitude_profile(camera: Camera, l_deg: float, b_deg: float) -> Floats:
    """Return the ridge's unabsorbed light by row, (rows,) erg cm-2 s-1 deg-2: it falls about exponentially with |b|."""
    offset = (np.arange(camera.rows) - (camera.rows - 1) / 2) * camera.arcsec_per_px / 3600
    knots = np.linspace(offset[0], offset[-1], LATITUDES)
    light = []
    for b in b_deg + knots:
        sight = look(l_deg, float(np.clip(b, -90, 90)))
        each = sight.stars(0.3) / (4 * np.pi * sight.middle_kpc**2 * CM2_PER_KPC2)
        light.append(RIDGE_LIGHT * float(each.sum()) * (np.pi / 180) ** 2)
    return np.exp(np.interp(offset, knots, np.log(light)))


def _knots(camera: Camera, mean: float, rng: Generator) -> Floats:
    """Return compact pieces of diffuse light, (rows, columns), as a share of all of it: Gaussians, seen by the PSF."""
    y, x = np.mgrid[: camera.rows, : camera.columns]
    out = np.zeros(x.shape)
    for _ in range(int(rng.poisson(mean))):
        wide = camera.sigma_px * np.hypot(1, np.exp(rng.uniform(*np.log(KNOT_SIZE))))
        share = np.exp(rng.uniform(*np.log(KNOT_SHARE)))
        at_x, at_y = rng.uniform(0, camera.columns), rng.uniform(0, camera.rows)
        out += share / (2 * np.pi * wide**2) * np.exp(-((x - at_x) ** 2 + (y - at_y) ** 2) / (2 * wide**2))
    return out


def _texture(camera: Camera, sd: float, rng: Generator) -> Floats:
    """Return a log-normal field of mean 1, (rows, columns), with a power spectrum k^-TEXTURE_SLOPE, seen by the PSF."""
    shape = (camera.rows * 5 // 4, camera.columns * 5 // 4)  # the field is periodic: its last fifth is not used
    noise = np.fft.rfft2(rng.standard_normal(shape))
    k = np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1]))
    k[0, 0] = np.inf
    noise *= k ** (-TEXTURE_SLOPE / 2) * np.exp(-2 * (np.pi * k * camera.sigma_px) ** 2)
    g = np.fft.irfft2(noise, shape)
    g *= sd / g.std()
    return np.exp(g - sd**2 / 2)[: camera.rows, : camera.columns]
