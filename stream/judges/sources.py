"""Judges X-ray sources: what was measured of each -> how probable each class is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stream.errors import ModelError
from stream.infer import open_model

SAME_PSF = 0.1  # by which the PSF may differ from that of the training, ln
BETA, GAMMA, KAPPA = 5.4, -np.log(2), 2.1  # of seed 000, section 3
AT_A_TIME = 1024  # sources: what a model needs of them stays in the caches
INPUTS, OUTPUTS = ("x", "error", "log_prior"), ("log_evidence", "outlier", "p")

# What the stream measures of a source, as the names of features and their units. Further ones may be in a table.
FEATURES: dict[str, str] = {
    "log_flux": "dex of erg cm-2 s-1",  # absorbed, in the band of the fit
    "log_nh": "dex of 1e22 cm-2",
    "photon_index": "",  # of the power law
    "log_kt": "dex of keV",  # of a thermal model
    "goodness": "sd",  # (C - expected C) / its standard deviation, Kaastra 2017
    "hardness_soft": "",  # (medium - soft) / (medium + soft)
    "hardness_hard": "",  # (hard - medium) / (hard + medium)
    "variability": "",  # ln(p / (1 - p)) of the probability that it varies
    "log_significance": "dex",
    "fwhm_px": "px",
    "extent_sigma": "sd",
    "concentration": "",
    "log_local_density": "dex of px-2",
    "neighbours": "",
    "log_nearest_bright_px": "dex of px",
}
_OF_FIT = {"tbabs.nh": "log_nh", "powerlaw.phoindex": "photon_index", "bremss.kt": "log_kt", "apec.kt": "log_kt"}
_OF_MORPHOLOGY = {  # feature: column
    "fwhm_px": "fwhm_px",
    "extent_sigma": "extent_sigma",
    "concentration": "concentration",
    "log_local_density": "local_density",
    "neighbours": "neighbours",
    "log_nearest_bright_px": "nearest_bright_px",
}

_FITTED = ("fwhm_px", "extent_sigma")  # missing where the fit did not converge
Columns = Mapping[str, ArrayLike]


@dataclass(frozen=True, slots=True)
class Posterior:
    """What a judge says of n sources."""

    p: NDArray[np.float64]  # (n, C) of each class; the sum of a row and its `outlier` is 1
    log_evidence: NDArray[np.float64]  # (n,) ln P(X), of features in units of their spread; NaN: it knows no densities
    outlier: NDArray[np.float64]  # (n,) probability that it belongs to none of the classes
    hyperscore: NDArray[np.float64]  # (n,) of the most probable class: a display value


class SpectralFit(Protocol):
    """What `features_of` reads of a fit (`stream/spectra/fit.py`)."""

    names: Sequence[str]
    values: NDArray[np.float64]
    errors: NDArray[np.float64]
    at_bound: NDArray[np.bool_]
    value: float
    expected: float
    expected_sd: float
    converged: bool


def hyperscore(p: ArrayLike) -> NDArray[np.float64]:
    """Return 100 [1 + sigma(beta ln P + gamma)^kappa] of probabilities 0 to 1, any shape: 100 to 109.96.

    Seed 000, section 3. A display value only: it rises with P, so that it changes no order, class or threshold.
    sigma(beta ln P - ln 2) = P^beta / (P^beta + 2), which needs no logarithm of 0.
    """
    power = np.asarray(p, np.float64) ** BETA
    odds = power * np.exp(GAMMA)
    return 100 * (1 + (odds / (1 + odds)) ** KAPPA)


class Judge:
    """Runs a model of source classes: the Bayesian fusion, or its challenger; both have the same inputs and outputs."""

    def __init__(self, name: str, provider: str = "cpu") -> None:
        """Open a shipped model or an ONNX file. Raises ModelError for one that is no model of source classes."""
        self._model = open_model(name, provider)
        card = self._model.card
        for kind, expected in (("input", sorted(INPUTS)), ("output", sorted(OUTPUTS))):
            if sorted(card.get(kind)) != expected:
                raise ModelError(f"{card.path}: {kind}: expected {expected}, found {sorted(card.get(kind))}")
        self.features: tuple[str, ...] = tuple(card.get("input.x.names"))
        self.classes: tuple[str, ...] = tuple(card.get("output.p.names"))
        self.log_prior = np.log(np.asarray(card.get("prior.p"), np.float64))  # (C,) of the classes where it was trained
        camera = card.facts.get("camera", {})
        self.psf_fwhm_px: float | None = camera.get("psf_fwhm_px")  # of its training; None: features of the sky only
        self._threshold = np.asarray(card.get("decision.threshold"), np.float64)
        wide, classes = len(self.features), len(self.classes)
        for key, shape in (
            ("input.x", ["n", wide]),
            ("input.error", ["n", wide]),
            ("input.log_prior", ["n", classes]),
            ("output.p", ["n", classes]),
        ):
            card.require(f"{key}.shape", shape)
        for name, numbers in (("prior.p", self.log_prior), ("decision.threshold", self._threshold)):
            if numbers.shape != (classes,):
                raise ModelError(f"{card.path}: {name}: expected {classes} numbers, one for each class")

    def fits(self, psf_fwhm_px: float) -> bool:
        """Return whether features in pixels of a camera with this PSF are those of its training, to SAME_PSF."""
        return self.psf_fwhm_px is None or abs(np.log(psf_fwhm_px / self.psf_fwhm_px)) <= SAME_PSF

    def prior_at(self, latitude_deg: ArrayLike) -> NDArray[np.float64]:
        """Return ln P(class) (n, C) at Galactic latitudes (n,) in degrees, for `judge`; the trained one if it has none.

        The card's knots, linear in asinh(|b| / 1 deg) between them.
        """
        place = np.arcsinh(np.abs(np.asarray(latitude_deg, np.float64)))
        prior = self._model.card.get("prior")
        if "latitude_deg" not in prior:
            return np.tile(self.log_prior, (len(place), 1))
        knots, log_p = np.arcsinh(np.asarray(prior["latitude_deg"], np.float64)), np.asarray(prior["log_p"], np.float64)
        if log_p.shape != (len(knots), len(self.classes)):
            raise ModelError(f"{self._model.card.path}: prior.log_p: expected {len(knots)} rows of {len(self.classes)}")
        return np.stack([np.interp(place, knots, column) for column in log_p.T], axis=1)

    def decide(self, posterior: Posterior) -> NDArray[np.int64]:
        """Return the class (n,), place in `classes`, of the highest p / threshold: what makes macro-F1 highest.

        The most probable class is the argmax of p instead.
        """
        return np.argmax(posterior.p / self._threshold, axis=1)

    @property
    def about(self) -> Mapping[str, str]:
        """What it runs, and where."""
        return {"classes": str(self._model)}

    def judge(self, x: ArrayLike, error: ArrayLike | None = None, log_prior: ArrayLike | None = None) -> Posterior:
        """Return the posterior of sources by their features.

        x: (n, F) in the order and the units of `features`; NaN: missing. error: (n, F) standard deviations; NaN or
        None: exact. log_prior: (n, C) or (C,) ln P(class), as where the source lies; it takes the place of the trained
        one, up to a constant; None: the trained one. No sources: empty arrays. Raises ModelError for other shapes.
        """
        table = np.asarray(x, np.float32)
        errors = np.zeros_like(table) if error is None else np.nan_to_num(np.asarray(error, np.float32), nan=0.0)
        prior = np.asarray(self.log_prior if log_prior is None else log_prior, np.float64)
        n, wide, classes = len(table), len(self.features), len(self.classes)
        if table.shape != (n, wide) or errors.shape != table.shape or prior.shape not in ((classes,), (n, classes)):
            raise ModelError(
                f"{self._model.card.model.name}: expected x and error ({n}, {wide}) and log_prior ({n}, {classes}), "
                f"found {table.shape}, {errors.shape} and {prior.shape}"
            )
        priors = np.broadcast_to(prior - prior.max(axis=-1, keepdims=True), (n, classes)).astype(np.float32)
        parts = [np.empty((0, classes)), np.empty(0), np.empty(0)]
        found = {name: [part] for name, part in zip(("p", "log_evidence", "outlier"), parts, strict=True)}
        for first in range(0, n, AT_A_TIME):
            rows = slice(first, first + AT_A_TIME)
            said = self._model.run(x=table[rows], error=errors[rows], log_prior=priors[rows])
            for name, kept in found.items():
                kept.append(said[name].astype(np.float64))
        p, log_evidence, outlier = (np.concatenate(kept) for kept in found.values())
        return Posterior(p, log_evidence, outlier, hyperscore(p.max(axis=1, initial=0)))


def columns_to_features(
    names: Sequence[str], columns: Columns, number: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return x and error (n, F) float32 of named features from columns (n,) NAME and, where known, NAME_error.

    A feature that was not measured is NaN. Raises ModelError if none of the features was measured, naming them.
    """
    if not any(name in columns for name in names):
        raise ModelError(f"features: expected some of {', '.join(names)}; found {', '.join(columns) or 'none'}")
    missing, exact = np.full(number, np.nan), np.zeros(number)
    x = [np.asarray(columns.get(name, missing), np.float32) for name in names]
    error = [np.nan_to_num(np.asarray(columns.get(f"{name}_error", exact), np.float32)) for name in names]
    return np.stack(x, axis=1).reshape(number, len(names)), np.stack(error, axis=1).reshape(number, len(names))


def features_of(
    fits: Sequence[SpectralFit | None], morphology: NDArray[Any] | None = None, others: Columns | None = None
) -> dict[str, NDArray[np.float64]]:
    """Return columns (n,) named as FEATURES, and NAME_error, of n sources; NaN where something was not measured.

    fits: of each source, None where there is none; a parameter at its bound is missing, for its error says nothing.
    morphology: (n,) rows of `stream/imaging/morphology.py`. What did not converge is missing. others: columns (n,)
    that are features already.
    """
    number = len(fits)
    columns = {name: np.full(number, np.nan) for kind in _OF_FIT.values() for name in (kind, f"{kind}_error")} | {
        "goodness": np.full(number, np.nan)
    }
    for row, fit in enumerate(fits):
        if fit is not None and fit.converged:
            _read_fit(fit, row, columns)
    if morphology is not None:
        known = morphology.dtype.names or ()
        for name, column in _OF_MORPHOLOGY.items():
            if column in known:
                value = morphology[column].astype(np.float64)
                if column in _FITTED and "converged" in known:
                    value[~morphology["converged"]] = np.nan
                _put(columns, name, value, _error_in(morphology, column))
    return columns | {name: np.asarray(column, np.float64) for name, column in (others or {}).items()}


def _read_fit(fit: SpectralFit, row: int, columns: dict[str, NDArray[np.float64]]) -> None:
    for name, value, error, bound in zip(fit.names, fit.values, fit.errors, fit.at_bound, strict=True):
        feature = _OF_FIT.get(name.lower())
        log = feature is not None and feature.startswith("log_")
        if feature is None or bound or not error >= 0 or (log and value <= 0):
            continue
        columns[feature][row] = np.log10(value) if log else value
        columns[f"{feature}_error"][row] = error / value / np.log(10) if log else error
    if fit.expected_sd > 0:
        columns["goodness"][row] = (fit.value - fit.expected) / fit.expected_sd


def _put(columns: dict[str, NDArray[np.float64]], name: str, value: Any, error: Any) -> None:
    value = np.asarray(value, np.float64)
    if name.startswith("log_"):
        with np.errstate(divide="ignore", invalid="ignore"):
            value, error = np.log10(value), None if error is None else error / value / np.log(10)
        value = np.where(np.isfinite(value), value, np.nan)
    columns[name] = value
    if error is not None:
        columns[f"{name}_error"] = np.asarray(error, np.float64)


def _error_in(table: NDArray[Any], column: str) -> NDArray[np.float64] | None:
    """Return the column with the errors of another, `fwhm_error_px` of `fwhm_px`, or None."""
    names = table.dtype.names or ()
    for name in (f"{column}_error", column.replace("_px", "_error_px")):
        if name != column and name in names:
            return table[name]
    return None
