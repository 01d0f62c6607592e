"""Posteriors of many stars: up to BATCH that share lines or motion are sampled with their population at once.

More are sampled batch by batch, and those that share nothing one by one: so each has its own steps.

Batches are drawn with the population held at an interim one, nearly even in the box. Then the population is sampled on
their draws, each as likely as it makes it against the interim one (Hogg, Myers & Bovy 2010, ApJ 725, 2166), and draws
get weights for it: temperatures and densities of all stars so know of each other. What a batch finds of lines, shift
and width is not handed to the others.
"""

import time
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from scipy.special import expit, logsumexp

from analyse.corona.evidence import Evidence, evidence
from analyse.corona.hierarchy import (
    LN_SD,
    MEAN,
    MOST_KMS,
    SHIFT_KMS,
    Choices,
    Data,
    Hierarchy,
    NetworkPriors,
    Population,
    star_of,
)
from analyse.corona.sampler import CHAINS, DRAWS, WARM_UP, Sampler
from analyse.corona.stars import Stars, look
from analyse.corona.windows import Windows
from analyse.diagnostics import Draws
from analyse.ensemble import sample_density
from analyse.nuts import KEYS
from stream.spectra.grid import Floats

BATCH: Final = 10
THIN: Final = 150  # draws of each star that the population is sampled on
HYPER: Final = ("mean_t", "ln_sd_t", "mean_n", "ln_sd_n")
MARGINAL: Final = 200  # draws of the population that weights are meant over


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to sample. evidence: marginal likelihoods too, for so many draws of their proposals; 0: none."""

    seed: int = 0
    chains: int = CHAINS
    warm_up: int = WARM_UP
    draws: int = DRAWS
    batch: int | None = None  # None: BATCH, but 1 of stars that share nothing: alone each has a tenth of the variables
    evidence: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Draws of some stars."""

    draws: Draws
    names: list[str]  # (k,) of the variables
    sites: dict[str, Floats]  # (chain, draw, ...) by name
    present: Floats | None  # (S, K) probability of each line, where a network was asked
    evidence: Evidence | None


@dataclass(frozen=True, slots=True, eq=False)
class PopulationPosterior:
    """What comes of S stars. weights: of draws, even where all stars were sampled at once."""

    stars: Stars
    windows: Windows
    choices: Choices
    batches: list[Batch]
    members: list[Any]  # rows of the stars of each batch
    population: Draws  # variables HYPER; those of the one batch, or of all batches together
    weights: Floats  # (chain, draw, S), sum 1 for each star
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    about: dict[str, Any] = field(default_factory=dict)

    def fault(self) -> str | None:
        """Return which gate fails, in words; None if all hold."""
        faults = [batch.draws.fault(batch.names) for batch in self.batches]
        if len(self.batches) > 1:
            faults = [one and f"batch {k}: {one}" for k, one in enumerate(faults)]
            faults.append(self.population.fault(list(HYPER)))
        return "; ".join(one for one in faults if one) or None

    def of_stars(self) -> dict[str, Floats]:
        """Return draws of each star by name, (chain, draw, S): log_t, log_n, log_norm, background and more."""
        parts = [by_star(self.windows, batch.sites, self.choices) for batch in self.batches]
        order = np.argsort(np.concatenate(self.members))
        return {name: np.concatenate([part[name] for part in parts], axis=-1)[..., order] for name in parts[0]}

    def of_population(self) -> dict[str, Floats]:
        """Return draws of mean and sd of log T and log n over the population, (chain, draw) each."""
        out: dict[str, Floats] = {}
        values = self.population.variables
        for of, box, first in (("log_t", self.windows.box.log_t, 0), ("log_n", self.windows.box.log_n, 2)):
            mean, sd = moments(values[..., first], np.exp(values[..., first + 1]), box)
            out |= {f"mean_{of}": mean, f"sd_{of}": sd}
        return out


def moments(mean: Floats, sd: Floats, box: tuple[float, float]) -> tuple[Floats, Floats]:
    """Return mean and sd of what is normal in its logit within a box; of any shape."""
    at, weight = np.polynomial.hermite_e.hermegauss(21)
    values = box[0] + (box[1] - box[0]) * expit(mean[..., None] + sd[..., None] * at)
    first = values @ (weight / weight.sum())
    return first, np.sqrt(((values - first[..., None]) ** 2) @ (weight / weight.sum()))


def sample_population(
    stars: Stars,
    windows: Windows,
    choices: Choices | None = None,
    how: Sampling | None = None,
    network: NetworkPriors | None = None,
) -> PopulationPosterior:
    """Return the posterior of stars and of their population.

    Raises ConfigError for what `look` and `NetworkPriors` refuse.
    """
    began, cpu, how, choices = time.perf_counter(), time.process_time(), how or Sampling(), choices or Choices()
    if network is not None:
        network.check(len(stars), windows.count)
    size = how.batch or (1 if choices.own_lines and choices.own_motion else BATCH)
    members = np.array_split(np.arange(len(stars)), -(-len(stars) // size))
    shared = len(members) == 1
    own = choices if shared else replace(choices, population=Population())
    sampler = Sampler(Hierarchy(windows, own), how.chains, how.warm_up, how.draws)
    batches = []
    for number, rows in enumerate(members):
        data, x_t = look(windows, stars.take(rows))
        if network is not None:
            data |= network.take(rows).data()
        batches.append(sample_batch(sampler, data, x_t, replace(how, seed=how.seed + number)))
    batches = evened(batches)
    if shared and choices.population is None:
        population, weights = _joint(batches[0]), _even(batches[0], len(stars))
    elif choices.population is not None:
        population = _still(choices.population, batches[0])
        weights = np.concatenate([_even(one, len(rows)) for one, rows in zip(batches, members, strict=True)], axis=-1)
    else:
        population, weights = combine(batches, Population(), how.seed)
    spent = time.perf_counter() - began, time.process_time() - cpu
    return PopulationPosterior(stars, windows, choices, batches, list(members), population, weights, *spent)


def sample_batch(sampler: Sampler, data: Data, x_t: Floats, how: Sampling) -> Batch:
    """Return draws of a batch; data and x_t: what `look` found of it."""
    start = sampler.model.start(x_t, data["ln_norm"], data["ln_background"])
    draws = sampler.run(data, start, how.seed)
    flat = draws.variables.reshape(-1, draws.variables.shape[-1])
    present, found = None, None
    if "present" in data:
        some = flat[:: max(len(flat) // THIN, 1)][:THIN]
        present = np.asarray(sampler.told(some, data), float).mean(axis=0)
    if how.evidence:
        found = evidence(lambda x: sampler.density(x, data), flat, how.seed, how.evidence)
    return Batch(draws, sampler.names, sampler.sites(draws.variables), present, found)


def evened(batches: list[Batch]) -> list[Batch]:
    """Return batches with as many draws as the one with fewest: of those whose chains went on, every so manieth.

    ESS and R-hat stay those of all their draws.
    """
    least = min(one.draws.variables.shape[1] for one in batches)
    return [one if one.draws.variables.shape[1] == least else _thinned(one, least) for one in batches]


def _thinned(batch: Batch, count: int) -> Batch:
    draws = batch.draws
    at = np.linspace(0, draws.variables.shape[1] - 1, count).round().astype(int)
    stats = {name: values[:, at] if name in KEYS else values for name, values in draws.stats.items()}
    sites = {name: values[:, at] for name, values in batch.sites.items()}
    return replace(batch, draws=replace(draws, variables=draws.variables[:, at], stats=stats), sites=sites)


def by_star(windows: Windows, sites: dict[str, Floats], choices: Choices) -> dict[str, Floats]:
    """Return draws of each star by name, (chain, draw, S), of those of the model's variables."""
    x_n = x_n_of(sites, choices.population or (None if "mean_n" in sites else Population()))
    log_t, log_n = star_of(windows.box, {"x_t": sites["x_t"], "x_n": x_n}, expit)
    ln_norm = sites["ln_light"] - windows.bright(log_t, log_n)
    out = {"log_t": log_t, "log_n": log_n, "log_norm": ln_norm / np.log(10.0)}
    out["background"] = np.exp(sites["ln_background"])
    shape = log_t.shape
    for name, values in (("shift_kms", SHIFT_KMS * sites["shift"]), ("sigma_kms", MOST_KMS * expit(sites["width"]))):
        out[name] = np.broadcast_to(values if values.ndim == 3 else values[..., None], shape)
    if "ln_spread" in sites:
        out["spread"] = np.exp(sites["ln_spread"])
    if choices.abundances:
        out["log_metals"] = choices.abundances[0] * sites["metals"]
    return out


def x_n_of(sites: dict[str, Floats], population: Population | None) -> Floats:
    """Return the logit of log n in the box, (chain, draw, S); population: where it is not sampled."""
    if population is None:
        return sites["mean_n"][..., None] + np.exp(sites["ln_sd_n"])[..., None] * sites["a_n"]
    return population.mean_n + population.sd_n * sites["a_n"]


def _even(batch: Batch, stars: int) -> Floats:
    shape = batch.draws.variables.shape[:2]
    return np.full((*shape, stars), 1 / (shape[0] * shape[1]))


def _joint(batch: Batch) -> Draws:
    at = [batch.names.index(name) for name in HYPER]
    d = batch.draws
    return replace(d, variables=d.variables[..., at], ess=d.ess[at], rhat=d.rhat[at], stats={})


def _still(population: Population, batch: Batch) -> Draws:
    values = [population.mean_t, np.log(population.sd_t), population.mean_n, np.log(population.sd_n)]
    draws = np.broadcast_to(np.array(values), (*batch.draws.variables.shape[:2], len(HYPER)))
    return Draws("fixed", draws, 0.0, np.full(4, np.inf), np.ones(4), 0, {}, {})


def combine(batches: list[Batch], interim: Population, seed: int) -> tuple[Draws, Floats]:
    """Return the population of all batches that were drawn with an interim one, and the weights of their draws."""
    x_t = np.concatenate([one.sites["x_t"] for one in batches], axis=-1)
    x_n = np.concatenate([x_n_of(one.sites, interim) for one in batches], axis=-1)
    every = np.stack([x_t, x_n], axis=-1).reshape(-1, x_t.shape[-1], 2)  # (draws, S, 2)
    some = every[:: max(len(every) // THIN, 1)]
    before = np.array([interim.mean_t, np.log(interim.sd_t), interim.mean_n, np.log(interim.sd_n)])

    def ratios(hyper: Floats, of: Floats) -> Floats:
        return _ln_normal(of, hyper) - _ln_normal(of, before)

    def density(points: Floats) -> Floats:
        likely: Floats = logsumexp(ratios(points[:, None, None], some), axis=1).sum(axis=1)
        return _ln_prior(points) + likely

    def scattered(rng: np.random.Generator, count: int) -> Floats:
        means, sds = every.mean(axis=(0, 1)), every.mean(axis=0).std(axis=0) + 0.3
        about = np.array([means[0], np.log(sds[0]), means[1], np.log(sds[1])])
        return about + 0.2 * rng.standard_normal((count, len(HYPER)))

    found = sample_density(density, scattered, len(HYPER), seed)
    flat = found.variables.reshape(-1, len(HYPER))
    weights = np.zeros(every.shape[:2])
    for point in flat[:: max(len(flat) // MARGINAL, 1)]:
        ln_w = ratios(point, every)
        weights += np.exp(ln_w - logsumexp(ln_w, axis=0))
    return found, (weights / weights.sum(axis=0)).reshape(x_t.shape)


def _ln_normal(of: Floats, hyper: Floats) -> Floats:
    """Return ln of the density at logits of (..., 2) of populations HYPER (..., 4), without constants."""
    out = np.zeros(())
    for k in (0, 1):
        mean, ln_sd = hyper[..., 2 * k], hyper[..., 2 * k + 1]
        out = out - 0.5 * ((of[..., k] - mean) * np.exp(-ln_sd)) ** 2 - ln_sd
    return out


def _ln_prior(points: Floats) -> Floats:
    out: Floats = -0.5 * (((points[:, [0, 2]] - MEAN[0]) / MEAN[1]) ** 2).sum(axis=1)
    return out - 0.5 * (((points[:, [1, 3]] - LN_SD[0]) / LN_SD[1]) ** 2).sum(axis=1)
