"""Draws of the rates, places and normalisations of a field: origins of photons given these, these given origins."""

import time
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from analyse.diagnostics import LEAST_ESS, MOST_RHAT, Draws, ess, rhat
from analyse.field_model import FieldModel, Floats
from stream.kernels.origins import expose, log_of_cells, share_photons, weigh

WARM_UP: Final = 200  # sweeps
DRAWS: Final = 1000  # of a chain, thinned
MOST_THIN: Final = 8  # sweeps from one draw to the next
SCATTER: Final = 0.7  # dex / 2.3, of the places where chains begin: wider than any posterior here


@dataclass(frozen=True, slots=True)
class FieldDraws:
    """What was drawn: rates (chain, draw, n, B) s-1, normalisations (.., K, B), places (.., n, 2) px; is it enough?"""

    rates: Floats
    normalisations: Floats
    places: Floats
    draws: Draws  # of rates and normalisations, flat

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
        self.places, self.seconds = model.sources.copy(), model.seconds.copy()
        self._weight = np.zeros(len(model.near[1]))
        weigh(self.places, model.near, model.near_s, self._weight)
        self._out = np.zeros_like(self.rates), np.zeros_like(self.normalisations), np.zeros((len(start), 2))

    def sweep(self) -> None:
        """Draw all origins, then places, then rates and normalisations."""
        self.share()
        self.move()
        self.draw()

    def share(self) -> None:
        """Draw the origin of every photon."""
        model = self.model
        light = self.rates, self.normalisations
        share_photons(model.cells, model.near, self._weight, light, self.rng.random(model.shared), self._out)

    def draw(self) -> None:
        """Draw rates and normalisations given the origins."""
        of_source, of_tile, _ = self._out
        share = self.rng.standard_gamma(1 / of_source.shape[1] + of_source) + 1e-300
        total = gamma_above_one(of_source.sum(axis=1), self.rng) / self.seconds
        self.rates = total[:, None] * share / share.sum(axis=1, keepdims=True)
        self.normalisations = self.rng.standard_gamma(1 + self.model.alone + of_tile) / (1 + self.model.expected)

    def move(self) -> None:
        """Draw places given origins, whatever the rates."""
        model, (of_source, _, sums) = self.model, self._out
        if not len(sums):
            return
        photons, sigma = of_source.sum(axis=1), model.sources[:, 2]
        middle = np.where(photons[:, None] > 0, sums / np.maximum(photons, 1)[:, None], self.places[:, :2])
        step = sigma / np.sqrt(np.maximum(photons, 1))
        trial = self.places.copy()
        trial[:, :2] = middle + step[:, None] * self.rng.standard_normal(sums.shape)
        seconds, some = self.seconds.copy(), model.uneven
        if len(some):
            cut = np.empty(len(some))
            expose(trial[some], model.sources[some], model.exposure, cut)
            seconds[some] = np.maximum(cut, 1e-9)
        inside = (np.abs(trial - model.sources)[:, :2] <= model.reach[:, None]).all(axis=1) & (photons > 0)
        taken = inside & (self.rng.exponential(size=len(photons)) > photons * np.log(seconds / self.seconds))
        self.places[taken], self.seconds[taken] = trial[taken], seconds[taken]
        weigh(self.places, model.near, model.near_s, self._weight)

    def log_posterior(self) -> float:
        """Return its ln, without constants."""
        model, total = self.model, self.rates.sum(axis=1)
        found: float = log_of_cells(model.cells, model.near, self._weight, (self.rates, self.normalisations))
        found += float(np.sum(model.alone * np.log(np.maximum(self.normalisations, 1e-300))))
        found -= float(total @ self.seconds + np.sum(self.normalisations * (1 + model.expected)))
        weak = (1 / self.rates.shape[1] - 1) * np.sum(np.log(np.maximum(self.rates, 1e-300))) - np.log(total).sum()
        return found + float(weak)


def gamma_above_one(shape: Floats, rng: np.random.Generator) -> Floats:
    """Return draws (n,) of x^(shape - 1) exp(-x), shape 0, 1, 2 ..., above 1."""
    drawn = np.zeros(len(shape))
    while (low := drawn < 1).any():
        drawn[low] = rng.standard_gamma(shape[low])
        far = 1 + rng.standard_exponential(len(shape))  # where few are above 1: from the tail, which falls faster
        drawn = np.where(low & (shape < 1), np.where(rng.random(len(shape)) * far < 1, far, 0.0), drawn)
    return drawn


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
        rates, normalisations, places, log = _collect(walks, draws or DRAWS, thin)
        sweeps += (draws or DRAWS) * thin
        flat = np.concatenate(
            [one.reshape(*one.shape[:2], int(np.prod(one.shape[2:]))) for one in (rates, normalisations)], axis=2
        )
        size = np.array([ess(flat[..., k]) for k in range(flat.shape[2])])
        ranks = np.array([rhat(flat[..., k]) for k in range(flat.shape[2])])
        enough = bool(np.all(size >= LEAST_ESS) and np.all(ranks <= MOST_RHAT))
        if enough or draws is not None or thin >= MOST_THIN:
            about: dict[str, float] = {"chains": chains, "sweeps": sweeps, "thinned_by": thin}
            spent = time.perf_counter() - began
            made = Draws("gibbs", flat, spent, size, ranks, 0, {"lp": log}, about)
            return FieldDraws(rates, normalisations, places, made)
        thin *= 2


def _collect(walks: list[Chain], draws: int, thin: int) -> tuple[Floats, Floats, Floats, Floats]:
    rates = np.empty((len(walks), draws, *walks[0].rates.shape))
    normalisations = np.empty((len(walks), draws, *walks[0].normalisations.shape))
    places, log = np.empty((*rates.shape[:3], 2)), np.empty((len(walks), draws))
    for c, walk in enumerate(walks):
        for d in range(draws):
            for _ in range(thin):
                walk.sweep()
            rates[c, d], normalisations[c, d], log[c, d] = walk.rates, walk.normalisations, walk.log_posterior()
            places[c, d] = walk.places[:, :2]
    return rates, normalisations, places, log
