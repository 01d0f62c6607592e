"""Draws of the rates and normalisations of a field: origins of photons given rates, rates given origins, in turn."""

import time
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from analyse.diagnostics import LEAST_ESS, MOST_RHAT, Draws, ess, rhat
from analyse.field_model import FieldModel, Floats
from stream.kernels.origins import log_of_cells, share_photons

WARM_UP: Final = 200  # sweeps
DRAWS: Final = 1000  # of a chain, thinned
MOST_THIN: Final = 16  # sweeps from one draw to the next
SCATTER: Final = 0.7  # dex / 2.3, of the places where chains begin: wider than any posterior here


@dataclass(frozen=True, slots=True)
class FieldDraws:
    """What was drawn: rates (chain, draw, n, B) s-1, normalisations (chain, draw, K, B), and whether that is enough."""

    rates: Floats
    normalisations: Floats
    draws: Draws  # of both, flat

    @property
    def names(self) -> list[str]:
        """Of the variables of `draws`."""
        sources, bands, tiles = *self.rates.shape[2:], self.normalisations.shape[2]
        said = [f"the rate of source {s + 1} in band {b + 1}" for s in range(sources) for b in range(bands)]
        return said + [f"the normalisation of tile {t} in band {b + 1}" for t in range(tiles) for b in range(bands)]

    def fault(self) -> str | None:
        """Return the worst variable of each gate that fails, in words; None if all hold."""
        draws = self.draws
        largest = int(np.argmax(np.nan_to_num(draws.rhat, nan=np.inf)))
        smallest = int(np.argmin(np.nan_to_num(draws.ess, nan=-np.inf)))
        worst = sorted({largest, smallest})
        some = replace(draws, variables=draws.variables[..., worst], ess=draws.ess[worst], rhat=draws.rhat[worst])
        return some.fault([self.names[k] for k in worst])


class Chain:
    """One chain; begins far from the detections, each time elsewhere."""

    def __init__(self, model: FieldModel, start: Floats, seed: np.random.SeedSequence) -> None:
        """Start: rates (n,) s-1 of the detections."""
        self.model, self.rng = model, np.random.default_rng(seed)
        bands = model.expected.shape[1]
        begin = np.maximum(start, 1e-12)[:, None] / bands * np.ones(bands)
        self.rates = begin * np.exp(SCATTER * self.rng.standard_normal(begin.shape))
        self.normalisations = np.exp(SCATTER * self.rng.standard_normal(model.expected.shape))
        self._of_source, self._of_tile = np.zeros_like(self.rates), np.zeros_like(self.normalisations)

    def sweep(self) -> None:
        """Draw all origins, then all rates and normalisations."""
        model, rng = self.model, self.rng
        counts = self._of_source, self._of_tile
        share_photons(model.cells, model.near, self.rates, self.normalisations, rng.random(model.shared), *counts)
        shape = 1 / self.rates.shape[1] + self._of_source
        self.rates = rng.standard_gamma(shape) / (model.beta_s + model.seconds[:, None])
        self.normalisations = rng.standard_gamma(1 + model.alone + self._of_tile) / (1 + model.expected)

    def log_posterior(self) -> float:
        """Return its ln, without constants."""
        return log_posterior(self.model, self.rates, self.normalisations)


def log_posterior(model: FieldModel, rates: Floats, normalisations: Floats) -> float:
    """Return ln of likelihood times priors, without constants, of rates (n, B) and normalisations (K, B)."""
    likelihood = log_of_cells(model.cells, model.near, rates, normalisations)
    likelihood += float(np.sum(model.alone * np.log(np.maximum(normalisations, 1e-300))))
    likelihood -= float(rates.sum(axis=1) @ model.seconds + np.sum(normalisations * model.expected))
    weak = (1 / rates.shape[1] - 1) * float(np.sum(np.log(np.maximum(rates, 1e-300)))) - model.beta_s * rates.sum()
    return float(likelihood + weak - normalisations.sum())


def sample_field(
    model: FieldModel, start: Floats, seed: int = 0, chains: int = 4, draws: int | None = None
) -> FieldDraws:
    """Return draws of so many chains; start (n,): rates of the detections, s-1.

    draws: of each chain, one for each sweep; None: DRAWS, thinned until the gates hold, MOST_THIN at most; what went
    before is warm-up then. Same seed, same draws.
    """
    began = time.perf_counter()
    walks = [Chain(model, start, one) for one in np.random.SeedSequence(seed).spawn(chains)]
    for walk in walks:
        for _ in range(WARM_UP):
            walk.sweep()
    thin, sweeps = 1, WARM_UP
    while True:
        rates, normalisations, log = _collect(walks, draws or DRAWS, thin)
        sweeps += (draws or DRAWS) * thin
        flat = np.concatenate([one.reshape(*one.shape[:2], -1) for one in (rates, normalisations)], axis=2)
        size = np.array([ess(flat[..., k]) for k in range(flat.shape[2])])
        ranks = np.array([rhat(flat[..., k]) for k in range(flat.shape[2])])
        enough = bool(np.all(size >= LEAST_ESS) and np.all(ranks <= MOST_RHAT))
        if enough or draws is not None or thin >= MOST_THIN:
            about: dict[str, float] = {"chains": chains, "sweeps": sweeps, "thinned_by": thin}
            spent = time.perf_counter() - began
            made = Draws("gibbs", flat, spent, size, ranks, 0, {"lp": log}, about)
            return FieldDraws(rates, normalisations, made)
        thin *= 2


def _collect(walks: list[Chain], draws: int, thin: int) -> tuple[Floats, Floats, Floats]:
    rates = np.empty((len(walks), draws, *walks[0].rates.shape))
    normalisations = np.empty((len(walks), draws, *walks[0].normalisations.shape))
    log = np.empty((len(walks), draws))
    for c, walk in enumerate(walks):
        for d in range(draws):
            for _ in range(thin):
                walk.sweep()
            rates[c, d], normalisations[c, d], log[c, d] = walk.rates, walk.normalisations, walk.log_posterior()
    return rates, normalisations, log
