"""Fits of simulated spectra against their truth: pulls and coverage."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream.spectra.fit import Fit, fit_spectrum
from stream.spectra.model import Model
from stream.spectra.profile import statistic_at
from stream.spectra.response import Response
from stream.spectra.spectrum import Spectrum

BAND_KEV = (0.5, 8.0)
LEVELS = {"68": 1.0, "90": 2.7055}  # of the statistic, one parameter


@dataclass(frozen=True)
class Pulls:
    """Of n simulated spectra; arrays (n, p)."""

    names: tuple[str, ...]
    wald: NDArray[np.float64]  # (fit - truth) / error; for norm and kT of their logarithms
    root: NDArray[np.float64]  # signed root of what the statistic rises to at the truth, the others at their best
    at_bound: NDArray[np.bool_]
    goodness: NDArray[np.float64]  # (n,) (statistic - expected) / its standard deviation
    failed: int  # fits that did not converge; left out

    def covered(self, name: str, level: str, by: str) -> NDArray[np.bool_]:
        """Return in which spectra the interval holds the truth."""
        pulls = (self.root if by == "profile" else self.wald)[:, self.names.index(name)]
        return np.abs(np.nan_to_num(pulls, nan=np.inf)) <= np.sqrt(LEVELS[level])


def scale(model: Model, truth: dict[str, float], response: Response, counts: float) -> tuple[Model, float]:
    """Return the model at the truth and the exposure that gives so many counts in the band."""
    model = model.set(**{k: {"value": v} for k, v in truth.items()})
    rate = response.fold(model.photons(model.defaults, response.energy_lo_kev, response.energy_hi_kev))
    inside = response.band(*BAND_KEV).channels
    return model, counts / rate[inside].sum()


def simulate(model: Model, response: Response, seconds: float, seed: int) -> Spectrum:
    """Return one spectrum drawn from the model."""
    rate = response.fold(model.photons(model.defaults, response.energy_lo_kev, response.energy_hi_kev))
    return Spectrum.of(np.random.default_rng(seed).poisson(rate * seconds), seconds)


def measure(model: Model, truth: dict[str, float], response: Response, counts: float, spectra: int) -> Pulls:
    """Simulate, fit and compare."""
    model, seconds = scale(model, truth, response, counts)
    rate = response.fold(model.photons(model.defaults, response.energy_lo_kev, response.energy_hi_kev))
    rng = np.random.default_rng([int(counts), *model.text.encode()])
    rows, failed = [], 0
    for _ in range(spectra):
        fit = fit_spectrum(model, Spectrum.of(rng.poisson(rate * seconds), seconds), response, band_kev=BAND_KEV)
        if fit.converged:
            rows.append(_compare(fit, model))
        else:
            failed += 1
    wald, root, bound, good = (np.array(column) for column in zip(*rows, strict=True))
    return Pulls(model.names, wald, root, bound, good, failed)


def _compare(fit: Fit, model: Model) -> tuple[list[float], list[float], NDArray[np.bool_], float]:
    wald, root = [], []
    for parameter, value, error, truth in zip(model.parameters, fit.values, fit.errors, model.defaults, strict=True):
        miss = value * np.log(value / truth) if parameter.log else value - truth
        wald.append(float(miss / error))
        rise = max(statistic_at(fit, parameter.name, truth) - fit.value, 0.0)
        root.append(float(np.copysign(np.sqrt(rise), value - truth)))
    return wald, root, fit.at_bound, (fit.value - fit.expected) / fit.expected_sd
