"""What is asked of a gamma-ray source to tell its class: the same of a catalogue's rows and of our own detections.

All from 300 MeV upwards, in five bands to which others are rebinned; no place on the sky, for where a source lies is
no property of its own, and those without a class lie elsewhere than those with one.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stream.judges.sources import Judge, columns_to_features
from stream.lat.bands import EDGES_MEV
from stream.lat.catalogue import Catalogue
from stream.lat.spectral import STRAIGHT, Parabolas, fit_parabolas, rebinned

Floats = NDArray[np.float64]
Columns = dict[str, Floats]

BANDS_MEV: Final = np.array([[300.0, 1e3], [1e3, 3e3], [3e3, 1e4], [1e4, 3e4], [3e4, 1e6]])
REFERENCE: Final = 1  # the band that the energy fluxes of the others are compared with
NAMES: Final = ("03_1", "1_3", "3_10", "10_30", "30_1000")  # GeV

SPECTRAL: Final[dict[str, str]] = {  # feature: unit
    "log_significance": "ln",
    "log_flux": "ln of 1e-10 photons cm-2 s-1",
    "band_index": "",  # of the log-parabola through the bands, at 2 GeV
    "log_band_index_error": "ln",
    "band_beta": "",
    "log_band_beta_error": "ln",
    "band_beta_sigma": "asinh",
    "misfit": "ln",  # 1 + chi2
    "bend_sigma": "asinh",  # root of the chi2 that the bend saves, with its sign
    "straight_index": "",  # of the power law through the bands
    **{f"signal_{name}": "ln" for name in NAMES},  # 1 + flux over its error
    **{f"colour_{name}": "asinh" for k, name in enumerate(NAMES) if k != REFERENCE},
}
TEMPORAL: Final[dict[str, str]] = {  # of a light curve
    "log_variability": "ln",  # 1 + chi2 per degree of freedom
    "excess": "ln",  # fractional excess scatter + 0.05
    "log_peak": "ln",  # brightest interval over the mean
}
LIKELIHOOD: Final[dict[str, str]] = {  # of a fit to the photons, as a catalogue has it
    "index": "",
    "log_index_error": "ln",
    "beta": "",
    "beta_sigma": "asinh",
}
FEATURES: Final = SPECTRAL | TEMPORAL | LIKELIHOOD


@dataclass(frozen=True, slots=True)
class Measured:
    """What is known of n sources; NaN: not measured."""

    significance: Floats  # (n,) sigma
    flux: Floats  # (n,) photons cm-2 s-1, 1 to 100 GeV
    band_mev: Floats  # (b, 2)
    flux_band: Floats  # (n, b) photons cm-2 s-1
    flux_band_error: Floats
    history: Floats  # (n, intervals) fluxes; no intervals: no light curve
    history_error: Floats
    fit: Floats  # (n, 4) index, its error, beta, its error, of likelihood fits


def of_catalogue(given: Catalogue) -> Measured:
    """Return what a catalogue says of its sources."""
    rows = given.rows
    fit = np.stack([rows[name] for name in ("index", "index_error", "curvature", "curvature_error")], axis=1)
    return Measured(
        rows["significance"].astype(float),
        rows["flux1000"],
        given.band_mev,
        rows["flux_band"],
        symmetric(rows["flux_band_error"]),
        rows["flux_history"],
        symmetric(rows["flux_history_error"]),
        fit.astype(float),
    )


def of_detections(found: NDArray[Any], history: Floats | None = None, history_error: Floats | None = None) -> Measured:
    """Return what a search says of its detections (n,) DETECTION; history: fluxes (n, intervals), if it has them."""
    edges, none = np.array(EDGES_MEV), np.zeros((len(found), 0))
    return Measured(
        np.sqrt(np.maximum(found["ts"], 0)).astype(float),
        found["flux"].astype(float),
        np.stack([edges[:-1], edges[1:]], axis=1),
        found["flux_band"].astype(float),
        found["flux_band_error"].astype(float),
        none if history is None else history,
        none if history_error is None else history_error,
        np.full((len(found), 4), np.nan),
    )


def classes_of(judge: Judge, given: Measured) -> dict[str, Floats]:
    """Return the probability (n,) of each class that a judge knows, calibrated on the sources of a catalogue.

    Sources of which nothing is known are as a source of the catalogue is on average.
    """
    x, error = columns_to_features(judge.features, features_of(given), len(given.significance))
    p = judge.judge(x, error).p
    return {name: p[:, k] for k, name in enumerate(judge.classes)}


def symmetric(errors: Floats) -> Floats:
    """Return one error of down and up (n, b, 2): their mean, or that which is known."""
    down, up = errors[..., 0], errors[..., 1]
    return np.where(np.isfinite(down) & (down > 0), (down + np.nan_to_num(up)) / 2, up)


def features_of(given: Measured) -> Columns:
    """Return the FEATURES of n sources, (n,) each; NaN where something was not measured. No sources: empty."""
    above = given.band_mev[:, 0] >= BANDS_MEV[0, 0] * (1 - 1e-6)
    edges, flux, error = given.band_mev[above], given.flux_band[:, above], given.flux_band_error[:, above]
    shape, straight = fit_parabolas(flux, error, edges), fit_parabolas(flux, error, edges, STRAIGHT)
    flux, error = rebinned(flux, error, edges, BANDS_MEV, shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        told = _of_shape(given, shape, straight) | _of_bands(flux, error) | _of_history(given) | _of_fit(given)
    return {name: np.where(np.isfinite(told[name]), told[name], np.nan) for name in FEATURES}


def _of_shape(given: Measured, shape: Parabolas, straight: Parabolas) -> Columns:
    saved = np.sqrt(np.maximum(straight.chi2 - shape.chi2, 0))
    known = np.where(np.isfinite(shape.log_norm), 1.0, np.nan)
    return {
        "log_significance": np.log(given.significance),
        "log_flux": np.log(given.flux / 1e-10),
        "band_index": shape.index * known,
        "log_band_index_error": np.log(shape.index_error) * known,
        "band_beta": shape.beta * known,
        "log_band_beta_error": np.log(shape.beta_error) * known,
        "band_beta_sigma": np.arcsinh(shape.beta / shape.beta_error) * known,
        "misfit": np.log1p(np.maximum(shape.chi2, 0)) * known,
        "bend_sigma": np.arcsinh(np.sign(shape.beta) * saved) * known,
        "straight_index": straight.index * known,
    }


def _of_bands(flux: Floats, error: Floats) -> Columns:
    energy_flux = flux * np.sqrt(BANDS_MEV.prod(axis=1))
    told = {f"signal_{name}": np.log1p(np.maximum(flux / error, 0)[:, k]) for k, name in enumerate(NAMES)}
    base = np.maximum(energy_flux[:, REFERENCE], 1e-9)  # MeV cm-2 s-1: no source of the LAT is fainter
    return told | {
        f"colour_{name}": np.arcsinh(energy_flux[:, k] / base) for k, name in enumerate(NAMES) if k != REFERENCE
    }


def _of_history(given: Measured) -> Columns:
    flux, error = given.history, given.history_error
    intervals = flux.shape[1]
    if intervals < 2:
        return {name: np.full(len(flux), np.nan) for name in TEMPORAL}
    plain = flux.mean(axis=1)
    weight = 1 / (np.nan_to_num(error) ** 2 + (0.02 * plain[:, None]) ** 2)  # 2 %: systematics, as 4FGL
    mean = (weight * flux).sum(axis=1) / weight.sum(axis=1)
    chi2 = (weight * (flux - mean[:, None]) ** 2).sum(axis=1) / (intervals - 1)
    scatter = flux.var(axis=1, ddof=1) - (np.nan_to_num(error) ** 2).mean(axis=1)
    return {
        "log_variability": np.log1p(chi2),
        "excess": np.log(np.sqrt(np.maximum(scatter, 0)) / plain + 0.05),
        "log_peak": np.log(flux.max(axis=1) / plain),
    }


def _of_fit(given: Measured) -> Columns:
    index, index_error, beta, beta_error = given.fit.T
    return {
        "index": index,
        "log_index_error": np.log(index_error),
        "beta": beta,
        "beta_sigma": np.arcsinh(beta / beta_error),
    }
