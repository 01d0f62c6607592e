"""Coronae drawn at random, and what line data and instrument are wrong by: the truth of simulated spectra."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from config.errors import ConfigError
from stream.corona.forward import Coronae, Forward
from stream.spectra.grid import Floats

KINDS: Final = ("isothermal", "two", "continuous")
NODES: Final = 11  # of a DEM over the range of temperatures; one temperature or two are the first of them
KNOTS: Final = 5  # of what the area is off by, even in ln wavelength over the instrument
SEEN: Final = 3.0  # sigma from which a line counts as seen
TRUTH: Final = np.dtype(  # one spectrum
    [
        ("star", "<i4"),
        ("kind", "u1"),  # of KINDS
        ("log_t", "<f4"),  # log10 K: mean, weighted by emission measure
        ("spread_dex", "<f4"),  # of log_t: standard deviation, weighted the same
        ("log_n", "<f4"),  # log10 cm-3
        ("log_norm", "<f4"),  # log10 of apec's norm, all temperatures together
        ("snr", "<f4"),  # root of the counts expected of the strongest line
        ("shift_kms", "<f4"),
        ("sigma_kms", "<f4"),
        ("background", "<f4"),  # counts s-1 A-1
        ("exposure_s", "<f4"),
        ("log_metals", "<f4"),  # log10 of what the abundances of all metals have in common
    ]
)


@dataclass(frozen=True, slots=True)
class Setting:
    """Ranges are even; sigmas are of normal distributions. The seed's box: shares (1, 0, 0), abundance_dex 0."""

    log_t: tuple[float, float] = (6.0, 7.0)
    log_n: tuple[float, float] = (9.0, 11.0)
    snr: tuple[float, float] = (1.0, 10.0)
    shares: tuple[float, float, float] = (0.5, 0.25, 0.25)  # of KINDS
    width_dex: tuple[float, float] = (0.1, 0.4)  # sigma of a continuous DEM, a Gaussian cut at the range's ends
    metals_dex: float = 0.15  # sigma of the abundance of all metals
    abundance_dex: float = 0.10  # sigma of each metal's beside that
    scatter: float = 1.0  # times that of the line table
    area: float = 0.05  # sigma of ln area at each knot
    shift_kms: float = 100.0  # sigma: of the star and of the wavelength scale (MEG: 0.006 A, POG section 8.2)
    sigma_kms: tuple[float, float] = (0.0, 150.0)
    background: tuple[float, float] = (5e-4, 1e-2)  # of the peak of the strongest line; even in ln
    exposure_s: tuple[float, float] = (2e4, 2e5)  # even in ln
    per_star: int = 1  # spectra of each star: other exposures and errors of the area

    def __post_init__(self) -> None:
        """Raise ConfigError for shares and ranges that cannot be."""
        if min(self.shares) < 0 or sum(self.shares) <= 0:
            raise ConfigError("corona: shares: expected three numbers of 0 or more, not all 0")
        for name in ("log_t", "log_n", "snr", "width_dex", "sigma_kms", "background", "exposure_s"):
            low, high = getattr(self, name)
            if not low <= high or (name in ("snr", "background", "exposure_s") and low <= 0):
                raise ConfigError(f"corona: {name}: {low:g} {high:g}; expected the least first, above 0 where it must")


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """Of S spectra."""

    rows: NDArray[np.void]  # (S,) TRUTH
    coronae: Coronae
    line_photons: Floats  # (S, L) cm-2 s-1
    knots: Floats  # (S, KNOTS) ln of what the area is off by

    def take(self, chosen: NDArray[np.int64]) -> "Truth":
        """Return some of them."""
        return Truth(self.rows[chosen], self.coronae.take(chosen), self.line_photons[chosen], self.knots[chosen])


def draw(model: Forward, setting: Setting, stars: int, rng: Generator, first: int = 0) -> Truth:
    """Return the truth of stars x per_star spectra; stars are numbered from `first` on."""
    kind = rng.choice(3, stars, p=np.array(setting.shares) / sum(setting.shares))
    log_t, weight = draw_temperatures(setting, kind, rng)
    metals = setting.metals_dex * rng.standard_normal(stars)
    abundance = draw_abundances(model, setting, metals, rng)
    factor = np.exp(setting.scatter * model.lines.scatter * rng.standard_normal((stars, len(model.lines))))
    plasma = {
        "log_n": rng.uniform(*setting.log_n, stars),
        "shift_kms": setting.shift_kms * rng.standard_normal(stars),
        "sigma_kms": rng.uniform(*setting.sigma_kms, stars),
    }
    star = np.repeat(np.arange(stars), setting.per_star)
    size = len(star)
    knots = setting.area * rng.standard_normal((size, KNOTS))
    unscaled = Coronae.of(
        model,
        log_t[star],
        weight[star],
        abundance=abundance[star],
        line_factor=factor[star],
        area_factor=area_factor(model, knots),
        exposure_s=_log_even(rng, setting.exposure_s, size),
        **{name: values[star] for name, values in plasma.items()},
    )
    snr, share = rng.uniform(*setting.snr, size), _log_even(rng, setting.background, size)
    coronae, light = scaled(model, unscaled, snr, share)
    rows = np.zeros(size, TRUTH)
    rows["star"], rows["kind"], rows["snr"], rows["log_metals"] = first + star, kind[star], snr, metals[star]
    for name in ("log_n", "shift_kms", "sigma_kms", "background", "exposure_s"):
        rows[name] = getattr(coronae, name)
    rows["log_t"], rows["spread_dex"], total = moments(coronae)
    rows["log_norm"] = np.log10(total)
    return Truth(rows, coronae, light, knots)


def draw_temperatures(setting: Setting, kind: NDArray[np.int64], rng: Generator) -> tuple[Floats, Floats]:
    """Return log T and weights, (stars, NODES) each; weights add up to 1, those not used are 0."""
    size, (low, high) = len(kind), setting.log_t
    log_t, weight = np.full((size, NODES), low), np.zeros((size, NODES))
    nodes = np.linspace(low, high, NODES)
    one, two = rng.uniform(low, high, (2, size))
    cool = 1 / (1 + np.exp(rng.uniform(-np.log(10), np.log(10), size)))  # share of the first of two: 1:10 to 10:1
    sigma = rng.uniform(*setting.width_dex, size)
    log_t[:, 0], log_t[:, 1] = one, two
    weight[:, 0], weight[:, 1] = np.where(kind == 1, cool, 1.0), np.where(kind == 1, 1 - cool, 0.0)
    wide = kind == 2
    log_t[wide] = nodes
    weight[wide] = np.exp(-0.5 * ((nodes - one[wide, None]) / sigma[wide, None]) ** 2)
    return log_t, weight / weight.sum(axis=1, keepdims=True)


def draw_abundances(model: Forward, setting: Setting, metals: Floats, rng: Generator) -> Floats:
    """Return abundances against the table's (stars, E); metals: log10 of what they have in common, (stars,)."""
    own = setting.abundance_dex * rng.standard_normal((len(metals), len(model.elements)))
    heavy = np.array([name not in ("h", "he") for name in model.elements])
    return np.where(heavy, 10 ** (metals[:, None] + own), 1.0)


def area_factor(model: Forward, knots: Floats) -> Floats:
    """Return what the area is off by in each bin, (S, B), from ln at the knots (S, KNOTS)."""
    at = np.log(model.instrument.middle_a)
    x = (at - at[0]) / max(at[-1] - at[0], 1e-12) * (KNOTS - 1)
    row = np.minimum(x.astype(np.int64), KNOTS - 2)
    part = x - row
    return np.exp(knots[:, row] * (1 - part) + knots[:, row + 1] * part)


def scaled(model: Forward, coronae: Coronae, snr: Floats, share: Floats) -> tuple[Coronae, Floats]:
    """Return coronae whose strongest line has snr^2 counts, and the photons of their lines (S, L).

    share: background over the peak of that line, (S,). The area at the line is the instrument's, as it is known.
    """
    light = model.line_photons(coronae)
    counts = model.line_counts(coronae, light)
    best = np.argmax(counts, axis=1)
    by = snr**2 / counts[np.arange(len(snr)), best]
    fwhm = np.interp(model.lines.wavelength_a[best], model.instrument.middle_a, model.instrument.fwhm_a)
    width = np.interp(model.lines.wavelength_a[best], model.instrument.middle_a, model.instrument.width_a)
    background = share * snr**2 / np.hypot(fwhm, width) / coronae.exposure_s
    return replace(coronae, norm=coronae.norm * by[:, None], background=background), light * by[:, None]


def moments(coronae: Coronae) -> tuple[Floats, Floats, Floats]:
    """Return mean and standard deviation of log T by emission measure, and the norm of all temperatures, (S,) each."""
    total = coronae.norm.sum(axis=1)
    weight = coronae.norm / total[:, None]
    mean = (weight * coronae.log_t).sum(axis=1)
    spread = np.sqrt((weight * (coronae.log_t - mean[:, None]) ** 2).sum(axis=1))
    return mean, spread, total


def line_sigma(model: Forward, truth: Truth, expected: Floats) -> Floats:
    """Return by how many sigma each line stands out (S, L): its counts over the root of all within one FWHM of it.

    expected: (S, B) counts of everything. A line in a blend is seen if it stands out of the blend. A camera's
    channels are not wavelengths: not for one.
    """
    edges, rows = model.instrument.edges_a, truth.coronae
    counts = model.line_counts(rows, truth.line_photons)
    wavelength = model.lines.wavelength_a
    out = np.empty_like(counts)
    for s, each in enumerate(expected):
        total = np.concatenate([[0.0], np.cumsum(each)])
        centre = wavelength * (1 + rows.shift_kms[s] / 299792.458)
        half = 2.3548 * np.hypot(model.sigma_a, wavelength * rows.sigma_kms[s] / 299792.458)
        around = np.interp(centre + half, edges, total) - np.interp(centre - half, edges, total)
        out[s] = counts[s] / np.sqrt(np.maximum(around, 1e-9))
    return np.where(counts > 0, out, 0.0)


def _log_even(rng: Generator, ends: tuple[float, float], size: int) -> Floats:
    return np.exp(rng.uniform(np.log(ends[0]), np.log(ends[1]), size))
