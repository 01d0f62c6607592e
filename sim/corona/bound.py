"""How well a corona can be known from one spectrum: the Bayesian Cramer-Rao bound (van Trees 1968) of the model.

The information of Poisson counts by finite differences, plus that of the prior; nuisances are marginalised: emission
measure, abundances, background, shift, broadening, area, and the emissivity of every line.
"""

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from config.errors import ConfigError
from sim.corona.truth import KNOTS, Setting, area_factor
from stream.corona.forward import Coronae, Forward
from stream.spectra.grid import Floats

NORM_SD: Final = 2.0  # of ln norm: nearly free
FAINT: Final = 1e-2  # counts below which what a line's emissivity is off by does not matter
LEAST: Final = 1e-9  # counts expected of a bin
STEPS: Final = {"log_t": 0.005, "log_n": 0.01, "norm": 0.01, "background": 0.01, "shift_kms": 10.0, "sigma_kms": 5.0}


def line_bound(counts: Floats, by_t: Floats, by_n: Floats, scatter: Floats, prior: tuple[float, float]) -> Floats:
    """Return the variances of log T and log n (S, 2) from lines that stand alone, without a background.

    counts: expected (S, L), 0: not used; by_t, by_n: derivatives of ln counts (S, L); scatter: 1 sigma of ln (L,);
    prior: standard deviations of log T and log n.
    """
    with np.errstate(divide="ignore"):
        weight = 1.0 / (1.0 / counts + scatter**2)  # of ln counts
    slopes = np.stack([by_t, by_n, np.ones_like(by_t)], axis=2)
    information = np.einsum("slp,sl,slq->spq", slopes, weight, slopes)
    information += np.diag([prior[0] ** -2, prior[1] ** -2, NORM_SD**-2])
    return np.diagonal(np.linalg.inv(information), axis1=1, axis2=2)[:, :2]


@dataclass(frozen=True, slots=True, eq=False)
class Bound:
    """Bounds of a model whose parameters are distributed as in a setting, for coronae of one temperature."""

    model: Forward
    setting: Setting

    def variances(self, coronae: Coronae) -> Floats:
        """Return the least variances of log T and log n, (S, 2). Raises ConfigError for more than one temperature."""
        if np.any((coronae.norm > 0).sum(axis=1) != 1):
            raise ConfigError("bound: expected coronae of one temperature")
        return np.array([self._of_one(coronae.take([s])) for s in range(len(coronae))]).reshape(-1, 2)

    def _of_one(self, one: Coronae) -> Floats:
        light = self.model.line_photons(one)
        expected = np.maximum(self.model.counts(one, light)[0], LEAST)
        slopes, prior = self._slopes(one)
        lines = np.flatnonzero(self.model.line_counts(one, light)[0] > FAINT)
        alone = self._each_line(one, light, lines)
        spread = self.setting.scatter * self.model.lines.scatter[lines]
        ok = spread > 0
        whole = np.concatenate([slopes, alone[ok]])
        information = whole @ (whole / expected).T
        p = len(slopes)
        information[:p, :p] += prior
        information[np.arange(p, len(whole)), np.arange(p, len(whole))] += spread[ok].astype(float) ** -2
        return np.diagonal(np.linalg.inv(information))[:2].copy()

    def _each_line(self, one: Coronae, light: Floats, lines: Any) -> Floats:
        """Return the counts that each of these lines has in each bin, (lines, B)."""
        single = np.zeros((len(lines), light.shape[1]))
        single[np.arange(len(lines)), lines] = light[0, lines]
        nothing = one.take(np.zeros(len(lines), int))
        dark = replace(nothing, norm=0 * nothing.norm, background=0 * nothing.background)
        return self.model.counts(dark, single)

    def _slopes(self, one: Coronae) -> tuple[Floats, Floats]:
        """Return the derivatives of the counts (P, B) by all parameters but lines', and the prior's information."""
        varied, steps, prior = self._varied(one)
        counts = self.model.counts(varied)
        slopes: Floats = (counts[0::2] - counts[1::2]) / (2 * steps[:, None])
        information = np.asarray(np.linalg.inv(prior), np.float64)
        return slopes, information

    def _varied(self, one: Coronae) -> tuple[Coronae, Floats, Floats]:
        """Return coronae with each parameter a step up and a step down in turn, the steps (P,), the prior's covariance.

        The first are log T and log n; then ln norm, ln background, shift, broadening, abundances, knots of the area.
        """
        own, at = self.setting, self.model
        known = [n not in ("h", "he") for n in at.elements]
        heavy = np.flatnonzero(known) if own.metals_dex > 0 or own.abundance_dex > 0 else np.zeros(0, int)
        knots = KNOTS if own.area > 0 else 0
        steps = np.array([*STEPS.values(), *np.full(len(heavy), 0.01), *np.full(knots, 0.01)])
        rows = one.take(np.zeros(2 * len(steps), int))
        new: dict[str, Any] = {name: getattr(rows, name).copy() for name in STEPS}
        new["abundance"], off = rows.abundance.copy(), np.zeros((len(rows), KNOTS))
        for p, step in enumerate(steps):
            for row, by in ((2 * p, step), (2 * p + 1, -step)):
                if p < len(STEPS):
                    name = list(STEPS)[p]
                    new[name][row] = (
                        new[name][row] * np.exp(by) if name in ("norm", "background") else new[name][row] + by
                    )
                elif p < len(STEPS) + len(heavy):
                    new["abundance"][row, heavy[p - len(STEPS)]] *= np.exp(by)
                else:
                    off[row, p - len(STEPS) - len(heavy)] = by
        new["area_factor"] = rows.area_factor * area_factor(at, off)
        return replace(rows, **new), steps, self._prior(len(heavy), knots)

    def _prior(self, heavy: int, knots: int) -> Floats:
        """Return the covariance of the prior, (P, P)."""
        own = self.setting
        ranges = [own.log_t, own.log_n, own.sigma_kms]
        log_t, log_n, wide = (np.maximum(high - low, 1e-6) / np.sqrt(12) for low, high in ranges)
        background = np.maximum(np.log(own.background[1] / own.background[0]), 1e-6) / np.sqrt(12)
        shift = max(own.shift_kms, 1e-3)
        first = [log_t, log_n, NORM_SD, background, shift, wide]
        variance = [x**2 for x in first] + [(own.abundance_dex * np.log(10)) ** 2 + 1e-12] * heavy
        out = np.diag([*variance, *[own.area**2] * knots])
        metals = slice(len(first), len(first) + heavy)
        out[metals, metals] += (own.metals_dex * np.log(10)) ** 2
        return out
