"""Priors of a fit's free parameters, and the variables that samplers step in."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from stream.errors import ConfigError
from stream.spectra.components import Parameter
from stream.spectra.fit import Fit
from stream.spectra.grid import Floats

NORM_LIMITS: Final = (1e-12, 1e6)  # of a log-flat norm whose own limits are no limits: 0 to 1e20
SMALLEST_SCATTER: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Priors:
    """Uniform densities in the variables (k,) of the free parameters: themselves, or their natural logarithms."""

    parameters: tuple[Parameter, ...]  # the free ones
    places: NDArray[np.intp]  # (k,) in the model
    log: NDArray[np.bool_]
    low: Floats  # (k,) of the variables
    high: Floats
    start: Floats  # (k,) the fit, moved inside
    scatter: Floats  # (k,) its errors in the variables
    fixed: Floats  # (p,) values of all parameters; only the frozen ones count

    @classmethod
    def of(cls, fit: Fit) -> "Priors":
        """Return the priors of a fit: flat between limits; log-flat for a norm, and nH, whose lower limit is above 0.

        A lone norm that may be 0 is log-flat between NORM_LIMITS; norms of a sum may well be 0: flat.
        Raises ConfigError for a model without free parameters.
        """
        places = np.array([i for i, p in enumerate(fit.model.parameters) if not p.frozen], np.intp)
        if not places.size:
            raise ConfigError(f"model {fit.model.text!r}: no free parameter to sample")
        free = tuple(fit.model.parameters[i] for i in places)
        limits = np.array([_limits(p) for p in free])
        log = np.array([_is_log_flat(p) for p in free])
        low, high = (np.where(log, np.log(np.where(log, ends, 1.0)), ends) for ends in limits.T)
        values = np.clip(fit.values[places], *limits.T)
        start = np.where(log, np.log(np.where(log, values, 1.0)), values)
        scatter = np.nan_to_num(fit.errors[places]) / np.where(log, values, 1.0)
        none = scatter <= 0  # at a bound, or unknown to the data: within a tenth of the fit
        scatter[none] = np.maximum(np.abs(np.where(log, 1.0, start)) * 0.1, 1e-3)[none]
        margin = np.minimum(0.5 * scatter, 0.1 * (high - low))
        start = np.clip(start, low + margin, high - margin)
        return cls(free, places, log, low, high, start, np.maximum(scatter, SMALLEST_SCATTER), fit.values.copy())

    @property
    def names(self) -> list[str]:
        """Of the free parameters."""
        return [p.name for p in self.parameters]

    def values(self, variables: Floats) -> Floats:
        """Return the free parameters (..., k) of variables (..., k)."""
        return np.where(self.log, np.exp(np.where(self.log, variables, 0.0)), variables)

    def all_values(self, variables: Floats) -> Floats:
        """Return all parameters (..., p) of the model."""
        out = np.broadcast_to(self.fixed, (*variables.shape[:-1], len(self.fixed))).copy()
        out[..., self.places] = self.values(variables)
        return out

    def inside(self, variables: Floats) -> NDArray[np.bool_]:
        """Return which variables (..., k) the priors allow."""
        return np.all((variables >= self.low) & (variables <= self.high), axis=-1)

    def scattered(self, rng: np.random.Generator, count: int) -> Floats:
        """Return so many points (count, k) about the fit, by its errors, within the limits."""
        points = self.start + self.scatter * rng.standard_normal((count, len(self.start)))
        outside = (points <= self.low) | (points >= self.high)
        nearby = rng.uniform(
            np.maximum(self.low, self.start - self.scatter),
            np.minimum(self.high, self.start + self.scatter),
            points.shape,
        )
        return np.where(outside, nearby, points)

    def stated(self) -> dict[str, str]:
        """Return each prior in words."""
        ends = zip(self.values(self.low), self.values(self.high), strict=True)
        kinds = ["log-flat" if log else "flat" for log in self.log]
        return {
            p.name: f"{kind} {low:g} to {high:g} {p.unit}".strip()
            for p, kind, (low, high) in zip(self.parameters, kinds, ends, strict=True)
        }


def _is_log_flat(parameter: Parameter) -> bool:
    kind = parameter.name.rpartition(".")[2]
    return (kind == "norm" and (parameter.log or parameter.low > 0)) or (kind == "nH" and parameter.low > 0)


def _limits(parameter: Parameter) -> tuple[float, float]:
    if _is_log_flat(parameter):
        low = parameter.low if parameter.low > 0 else NORM_LIMITS[0]
        return low, min(parameter.high, max(NORM_LIMITS[1], 10 * low))
    return parameter.low, parameter.high
