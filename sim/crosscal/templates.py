"""Folded counts of clusters: what a telescope makes of a plasma, by temperature and column density, ready to be fitted.

The same engine as everywhere (TBabs x APEC table, RMF x ARF), folded once at the knots of the table and once for each
shape of absorption; a fit then blends counts in place of folding spectra. A thousand times fewer folds, the same kT
within 0.1 % (tests).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sim.check import require
from stream.crosscal.modifiers import check_positive
from stream.kernels.thermal_fit import fit_temperatures
from stream.spectra.absorption import mean_cross_section
from stream.spectra.components import Apec
from stream.spectra.grid import Floats
from stream.spectra.response import Band, Response
from stream.spectra.table import KELVIN_PER_KEV, PlasmaTable

LEAST_KEV: Final = 0.2  # coldest knot
NH_STEP: Final = 0.01  # 1e22 cm-2, between the knots of a free column density
NH_MOST: Final = 1.0  # its limit
SHAPES: Final = 1e-7  # of the light: what may be missing of an absorbed spectrum
LEAST: Final = 1e-30  # counts


@dataclass(frozen=True, slots=True)
class Setting:
    """What spectra are made of, and how they are fitted. norm: XSPEC's apec."""

    nh_free: bool = True
    nh_1e22: float = 0.1
    abundance: float = 0.3
    redshift: float = 0.05
    norm: float = 1.0
    band_kev: tuple[float, float] = (0.5, 8.0)
    exposure_s: float = 50_000.0
    noise: bool = False  # Poisson; without it a spectrum is what is expected

    def check(self) -> None:
        """Raise ConfigError for what cannot be."""
        require(
            "cross-calibration",
            (0 <= self.nh_1e22 <= 100, "nh_1e22 of 0 to 100"),
            (0 <= self.abundance <= 5, "an abundance of 0 to 5"),
            (-0.9 < self.redshift <= 10, "a redshift above -0.9"),
            (0 < self.norm < 1e10, "a norm above 0"),
            (0 < self.exposure_s < 1e10, "an exposure above 0 s"),
            (0 < self.band_kev[0] < self.band_kev[1], "a band 0 < low < high, keV"),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Recovered:
    """What was fitted to K spectra of one theta; index 0 of the last axis: nominal area, 1: modified."""

    kt_kev: Floats  # (K, 2)
    sd: Floats  # (K, 2) of ln kT
    nh: Floats  # (K, 2) 1e22 cm-2
    norm: Floats  # (K, 2)
    statistic: Floats  # (K, 2) C-stat
    converged: NDArray[np.bool_]  # (K, 2) and kT within the table
    curve: Floats  # (K, 2, C) C-stat less its least


class Templates:
    """The telescope and the clusters: `recover` simulates and fits all K temperatures for one factor of the area."""

    def __init__(self, setting: Setting, response: Response, table: PlasmaTable, kt_kev: Floats) -> None:
        """kt_kev: (K,) true temperatures. Raises ConfigError for a band or temperatures that are not covered."""
        setting.check()
        self.setting, self.response, self.table = setting, response, table
        self.kt_kev = np.asarray(kt_kev, float)
        log_t = table.log_t[table.log_t > np.log10(LEAST_KEV * KELVIN_PER_KEV) - 1e-9][:-1]  # the engine's last is flat
        self.ln_kt = np.log(10.0) * (log_t - np.log10(KELVIN_PER_KEV))
        ends = float(np.exp(self.ln_kt[0])), float(np.exp(self.ln_kt[-1]))
        require(
            f"true temperatures {self.kt_kev.min(initial=ends[0]):g} to {self.kt_kev.max(initial=ends[1]):g} keV",
            (self.kt_kev.size > 0 and bool(np.isfinite(self.kt_kev).all()), "numbers"),
            (bool(np.all((self.kt_kev > ends[0]) & (self.kt_kev < ends[1]))), _range(ends)),
        )
        self.band, self.used = _band(response, setting.band_kev)
        self.matrix = self.band.fold(np.eye(len(self.band.grid.low))) * setting.exposure_s  # (n, m)
        require("plasma table", (bool(np.ptp(np.diff(self.ln_kt)) < 1e-4), "log T in even steps"))
        self._spectra(table)
        self._absorption()
        self.nominal = self._fold(self.photons), self._fold(self.slopes)

    def _spectra(self, table: PlasmaTable) -> None:
        """Fold nothing yet: photons for norm 1 at the knots with slopes by ln kT, and at the true temperatures."""
        plasma, grid, s = Apec(table), self.band.grid, self.setting
        solar = table.metals is not None or s.abundance == 1
        require(f"abundance {s.abundance:g}", (solar, "1: this plasma table has solar spectra only"))

        def at(kt: float) -> tuple[Floats, Floats]:
            values = np.array([kt, s.abundance, s.redshift])
            value, slopes = plasma.shape(grid, values, (True, True, True))
            return value, slopes[0] * kt

        inner = np.exp(self.ln_kt)
        each = [at(float(kt)) for kt in inner]
        self.photons, self.slopes = (np.array(part) for part in zip(*each, strict=True))
        sigma = mean_cross_section(grid)
        through = np.exp(-s.nh_1e22 * sigma) * s.norm
        each = [at(float(kt)) for kt in self.kt_kev]
        value, by_kt = (np.array(part) * through for part in zip(*each, strict=True))
        self.true_photons = np.array([value, by_kt, -sigma * value])  # (3, K, n) with derivatives by ln kT and nH
        self.true_counts = self.true_photons @ self.matrix

    def _absorption(self) -> None:
        """Find the few shapes (r, n) that every absorbed spectrum is a sum of, and how much of each by nH."""
        sigma = mean_cross_section(self.band.grid)
        nh = self.setting.nh_1e22
        if not self.setting.nh_free:
            self.absorbed, self.much, self.by = np.exp(-nh * sigma)[None], np.ones((1, 1)), np.zeros((1, 1))
            return
        steps = np.arange(round(max(NH_MOST, 5 * nh) / NH_STEP) + 1) * NH_STEP
        weight = np.sqrt(self.photons.mean(axis=0) * self.matrix.sum(axis=1))
        weight = np.maximum(weight / weight.max(), 1e-4)
        through = np.exp(-steps[:, None] * sigma)
        _, size, right = np.linalg.svd(through * weight, full_matrices=False)
        r = int(np.searchsorted(-size, -SHAPES * size[0]))
        self.much = through * weight @ right[:r].T
        self.by = (-sigma * through) * weight @ right[:r].T
        self.absorbed = right[:r] / weight

    def _fold(self, photons: Floats) -> Floats:
        """Return counts (knots, r, m) of photons (knots, n)."""
        flat = (photons[:, None, :] * self.absorbed).reshape(-1, photons.shape[1])
        return (flat @ self.matrix).reshape(len(photons), len(self.absorbed), -1)

    def tilts(self, factor: Floats) -> Floats:
        """Return (K, 5, m): counts through the area times a factor (all bins,) over nominal ones, at the truth.

        As the kernel takes it: the ratio, its derivatives by ln kT and nH, and where that is.
        """
        modified = (self.true_photons * factor[self.used]) @ self.matrix
        nominal = np.maximum(self.true_counts, LEAST)
        ratio = modified[0] / nominal[0]
        place = np.broadcast_to(np.log(self.kt_kev)[:, None], ratio.shape)
        slopes = [modified[i] / nominal[0] - ratio * self.true_counts[i] / nominal[0] for i in (1, 2)]
        return np.stack([ratio, *slopes, place, np.full_like(ratio, self.setting.nh_1e22)], axis=1)

    def counts(self, factor: Floats, rng: np.random.Generator | None = None) -> Floats:
        """Return the counts (K, m) of the true temperatures through the area times a factor (all bins,)."""
        check_positive(factor, self.response)
        expected: Floats = (self.true_photons[0] * factor[self.used]) @ self.matrix
        return expected if rng is None else rng.poisson(expected).astype(float)

    def recover(self, factor: Floats, ratios: Floats, rng: np.random.Generator | None = None) -> Recovered:
        """Simulate through the area times a factor (all bins,) and fit through both areas.

        ratios: (C,) rising ln(kT / best) of the likelihood curves; rng: Poisson noise. Raises ConfigError for a factor
        that is not above 0.
        """
        counts = self.counts(factor, rng)
        k, knots = len(self.kt_kev), self.ln_kt
        found, curve = np.empty((2, k, 6)), np.full((2, k, len(ratios)), np.nan)
        reach = (0.0, (len(self.much) - 1) * NH_STEP) if self.setting.nh_free else (self.setting.nh_1e22,) * 2
        limits = np.array([[knots[0], knots[-1]], reach])
        axes = knots[0], (knots[-1] - knots[0]) / (len(knots) - 1), self.much, self.by, NH_STEP
        for i, tilts in enumerate((np.empty((k, 5, 0)), self.tilts(factor))):
            fit_temperatures(
                counts, *self.nominal, axes, tilts, limits, self.setting.nh_1e22, ratios, found[i], curve[i]
            )
        ln_kt, sd, nh, norm, statistic, good = found.transpose(2, 1, 0)
        return Recovered(np.exp(ln_kt), sd, nh, norm, statistic, good > 0, curve.transpose(1, 0, 2))


def _band(response: Response, band_kev: tuple[float, float]) -> tuple[Band, slice]:
    """Return the band, and which of all bins of energy reach it."""
    try:
        band = response.band(*band_kev)
    except ValueError as fault:
        require(f"band_kev: {fault}", (False, "another band"))
        raise
    first = int(np.searchsorted(response.energy_hi_kev, band.grid.high[0] - 1e-9))
    return band, slice(first, first + len(band.grid.low))


def _range(ends: tuple[float, float]) -> str:
    return f"temperatures within {ends[0]:.3g} to {ends[1]:.3g} keV, those of the plasma table"
