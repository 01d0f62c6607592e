"""Fits of spectral models to counts spectra."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import product
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stream.kernels.cstat import statistic_sum
from stream.spectra.data_set import DataSet, prepare
from stream.spectra.flux import Flux, measure_flux
from stream.spectra.grid import Floats
from stream.spectra.minimise import Point, Variables, evaluate, held, minimise
from stream.spectra.model import Model
from stream.spectra.response import Band, Response
from stream.spectra.spectrum import Spectrum
from stream.spectra.statistic import chi2_per_dof, expected_cstat, expected_wstat

MOST_STARTS: Final = 36
LEAST_INFORMATION: Final = 1e-12
Start = ArrayLike | Mapping[str, float] | None


@dataclass
class Fit:
    """A model at its largest likelihood; arrays (p,) over all parameters of the model, frozen ones included."""

    model: Model
    data: DataSet
    values: Floats  # (p,)
    errors: Floats  # (p,) 1 sigma by the covariance; 0 where frozen, NaN at a bound
    covariance: Floats  # (p, p)
    at_bound: NDArray[np.bool_]  # (p,)
    value: float  # of the statistic
    converged: bool
    source_counts: Floats = field(repr=False)  # (b,) that the model predicts
    fisher: Floats = field(repr=False)  # (p, p) of the minimisation's variables

    @property
    def names(self) -> tuple[str, ...]:
        """Of the parameters."""
        return self.model.names

    @property
    def statistic(self) -> str:
        """Its name: cstat or wstat."""
        return self.data.statistic

    @property
    def bins(self) -> int:
        """How many bins were fitted."""
        return len(self.data.counts)

    @property
    def dof(self) -> int:
        """Bins less free parameters."""
        return self.bins - sum(not p.frozen for p in self.model.parameters)

    @cached_property
    def _expected(self) -> tuple[float, float]:
        if self.statistic == "cstat":
            return expected_cstat(self.source_counts)
        return expected_wstat((self.data.counts, self.data.off), self.data.alpha, self.source_counts)

    @property
    def expected(self) -> float:
        """What the statistic is expected to be for counts of this model (Kaastra 2017); compare with `value`."""
        return self._expected[0]

    @property
    def expected_sd(self) -> float:
        """Its standard deviation."""
        return self._expected[1]

    @cached_property
    def chi2_dof(self) -> float:
        """Pearson's chi-squared per degree of freedom, the seed's goodness."""
        free = sum(not p.frozen for p in self.model.parameters)
        return chi2_per_dof(self.data.counts, self.data.off, self.data.alpha, self.source_counts, free)

    def __getitem__(self, name: str) -> tuple[float, float]:
        """Return (value, error) of a parameter."""
        place = self.names.index(name)
        return float(self.values[place]), float(self.errors[place])

    def flux(self, low_kev: float, high_kev: float, *, absorbed: bool = True) -> Flux:
        """Return the flux in a band with its error, in erg and in photons; `absorbed=False`: before absorption."""
        return measure_flux(self.model, (self.values, self.covariance), (low_kev, high_kev), absorbed)


def fit_spectrum(
    model: Model,
    spectrum: Spectrum,
    response: Response,
    *,
    band_kev: tuple[float, float] = (0.5, 8.0),
    statistic: str = "auto",
    start: Start = None,
) -> Fit:
    """Return the fit of a model to a spectrum in a band by EBOUNDS.

    start: values of all parameters (p,) or some by name; without it a few are tried and the best one is taken. Raises
    ConfigError as `prepare` does. A spectrum without counts gives a norm at its bound.
    """
    return fit_data(model, prepare(spectrum, response, band_kev, statistic), start)


def fit_many(
    model: Model,
    spectra: Iterable[Spectrum],
    response: Response,
    *,
    band_kev: tuple[float, float] = (0.5, 8.0),
    statistic: str = "auto",
) -> list[Fit]:
    """Return the fits of many spectra through one response: what depends on it alone is made once."""
    return [fit_spectrum(model, one, response, band_kev=band_kev, statistic=statistic) for one in spectra]


def fit_data(model: Model, data: DataSet, start: Start = None) -> Fit:
    """Return the fit of a model to prepared bins."""
    space = Variables.of(model.parameters)
    fixed = np.array([p.frozen for p in model.parameters])
    first = space.inward(find_start(model, data) if start is None else _started(model, start))
    point, converged = minimise(partial(evaluate, data, model, space), first, space, fixed)
    return _finish(model, data, space, point, converged)


def _started(model: Model, start: ArrayLike | Mapping[str, float]) -> Floats:
    if isinstance(start, Mapping):
        return model.set(**start).defaults
    values = np.asarray(start, float)
    if values.shape != (len(model.parameters),):
        raise ValueError(f"start: expected {len(model.parameters)} values, {', '.join(model.names)}")
    return values


def find_start(model: Model, data: DataSet) -> Floats:
    """Return values (p,) to begin with: the best of those that the components propose, norms scaled to the counts."""
    values, templates = data.band.grid.keep(
        (model.text, model.parameters, model.plasma), partial(_templates, model, data.band)
    )
    predicted = data.bins(templates * data.seconds)  # (tries, b)
    net = max(float(data.counts.sum() - (data.alpha * data.off).sum()), 1.0)
    scale = net / np.maximum(predicted.sum(axis=1), 1e-30)
    each = [statistic_sum(data.counts, data.off, data.alpha, p * s) for p, s in zip(predicted, scale, strict=True)]
    best = int(np.nanargmin(each))
    found: Floats = values[best].copy()
    for place in model.norms:
        if not model.parameters[place].frozen:
            found[place] *= scale[best]
    return found


def _templates(model: Model, band: Band, grid: object) -> tuple[Floats, Floats]:
    """Return the values to try (tries, p) and what they give, counts s-1 (tries, channels)."""
    choices = [(p.value,) if p.frozen or not p.starts else p.starts for p in model.parameters]
    while np.prod([len(c) for c in choices]) > MOST_STARTS:
        widest = max(range(len(choices)), key=lambda i: (len(choices[i]), i))
        choices[widest] = (model.parameters[widest].value,)
    values = np.array(list(product(*choices)))
    return values, band.fold(np.array([model.on(band.grid, v) for v in values]))


def _finish(model: Model, data: DataSet, space: Variables, point: Point, converged: bool) -> Fit:
    values = space.outward(point.variables)
    low, high = (np.array([getattr(p, end) for p in model.parameters], float) for end in ("low", "high"))
    fixed = np.array([p.frozen for p in model.parameters])
    at_bound = ~fixed & ((point.variables <= space.low) | (point.variables >= space.high) | held(point, space))
    at_bound |= ~fixed & ((values <= low) | (values >= high))
    covariance = invert(point.fisher, ~fixed & ~at_bound) * np.outer(space.slope(values), space.slope(values))
    errors = np.sqrt(np.diag(covariance))
    errors[at_bound] = np.nan
    return Fit(model, data, values, errors, covariance, at_bound, point.value, converged, point.model, point.fisher)


def invert(fisher: Floats, free: NDArray[np.bool_]) -> Floats:
    """Return the covariance (p, p) of the free parameters: the inverse of the information.

    0 for the others; NaN on the diagonal of those that the data say nothing of.
    """
    out = np.zeros_like(fisher)
    told = free & (np.diag(fisher) > LEAST_INFORMATION)
    where = np.flatnonzero(told)
    part = fisher[np.ix_(where, where)]
    scale = 1.0 / np.sqrt(np.diag(part))
    out[np.ix_(where, where)] = np.outer(scale, scale) * np.linalg.pinv(part * np.outer(scale, scale), hermitian=True)
    lost = np.flatnonzero(free & ~told)
    out[lost, lost] = np.nan
    return out
