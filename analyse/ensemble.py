"""Posteriors by ensembles of walkers (emcee; Goodman & Weare 2010) over the likelihood of the fit."""

import time
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from analyse.diagnostics import LEAST_ESS, MOST_RHAT, Draws, rhat
from analyse.priors import Priors
from config.extra import extra
from stream.kernels.cstat import statistic_sum
from stream.spectra.data_set import DataSet
from stream.spectra.fit import Fit
from stream.spectra.grid import Floats

GROUPS: Final = 4  # ensembles that do not know of each other: the chains of R-hat
FIRST_STEPS: Final = 600
MORE_STEPS: Final = 400
MOST_STEPS: Final = 6000
KEPT: Final = 4000  # draws at most, thinned
BURN_IN: Final = 0.3  # of all steps

Density = Callable[[Floats], Floats]
Scattered = Callable[[np.random.Generator, int], Floats]


class Likelihood:
    """The logarithm of the posterior density at many points: minus half the statistic, within the priors."""

    def __init__(self, fit: Fit, priors: Priors) -> None:
        self.fit, self.priors = fit, priors

    def __call__(self, variables: Floats) -> Floats:
        """Return it at (n, k), (n,); -inf outside the priors."""
        out = np.full(len(variables), -np.inf)
        inside = np.flatnonzero(self.priors.inside(variables))
        if inside.size:
            data = self.fit.data
            counts = predict(self.fit, self.priors, variables[inside])
            out[inside] = [-0.5 * statistic_sum(data.counts, data.off, data.alpha, row) for row in counts]
        return np.where(np.isfinite(out), out, -np.inf)


def predict(fit: Fit, priors: Priors, variables: Floats) -> Floats:
    """Return source counts (n, b) that the model predicts at variables (n, k): one fold of all."""
    data: DataSet = fit.data
    photons = np.array([fit.model.on(data.band.grid, v) for v in priors.all_values(variables)])
    return data.bins(data.band.fold(photons) * data.seconds)


def sample_ensemble(fit: Fit, priors: Priors, seed: int, steps: int | None = None) -> Draws:
    """Return draws of the posterior of a fit; see `sample_density`."""
    return sample_density(Likelihood(fit, priors), priors.scattered, len(priors.start), seed, steps)


def sample_density(
    density: Density,
    scattered: Scattered,
    k: int,
    seed: int,
    steps: int | None = None,
    walkers: int | None = None,
    moves: Any = None,
) -> Draws:
    """Return draws of GROUPS ensembles; without `steps`, of as many as the gates need, MOST_STEPS at most.

    density: ln of it at (n, k), (n,); scattered: so many points (count, k) to begin at. walkers, moves: as emcee takes
    them; else 4 k of them, 16 at least, that stretch.
    """
    with extra("analyse"):
        import emcee
    began = time.perf_counter()
    walkers, rng = walkers or 2 * max(8, 2 * k), np.random.default_rng(seed)
    groups = []
    for _ in range(GROUPS):
        group = emcee.EnsembleSampler(walkers, k, density, moves=moves, vectorize=True)
        group._random.seed(int(rng.integers(2**31)))
        group.run_mcmc(scattered(rng, walkers), steps or FIRST_STEPS, skip_initial_state_check=True)
        groups.append(group)
    while True:
        draws = _gather(emcee, groups, time.perf_counter() - began)
        enough = np.all(draws.rhat <= MOST_RHAT) and np.all(draws.ess >= LEAST_ESS)
        if enough or steps is not None or groups[0].iteration >= MOST_STEPS:
            return draws
        for group in groups:
            group.run_mcmc(None, MORE_STEPS)


def _gather(emcee: Any, groups: list[Any], seconds: float) -> Draws:
    steps = groups[0].iteration
    burn = int(BURN_IN * steps)
    chains = np.stack([g.get_chain(discard=burn) for g in groups])  # (group, step, walker, k)
    log_prob = np.stack([g.get_log_prob(discard=burn) for g in groups])
    n, long, walkers, k = chains.shape
    together = chains.transpose(1, 0, 2, 3).reshape(long, n * walkers, k)
    with np.errstate(divide="ignore", invalid="ignore"):  # a walker that never moved has no autocorrelation
        tau = emcee.autocorr.integrated_time(together, tol=0)
    tau = np.maximum(np.where(np.isfinite(tau), tau, long), 1.0)
    thin = max(-(-n * long * walkers // KEPT), 1)
    kept, lp = chains[:, ::thin].reshape(n, -1, k), log_prob[:, ::thin].reshape(n, -1)
    every = chains.reshape(n, -1, k)  # step by step: halves are early and late
    ranks = np.array([rhat(every[..., i]) for i in range(k)])
    about = {
        "walkers": walkers,
        "ensembles": n,
        "steps": steps,
        "burn_in": burn,
        "thinned_by": thin,
        "autocorrelation_steps": float(tau.max()),
        "acceptance": float(np.mean([g.acceptance_fraction.mean() for g in groups])),
    }
    return Draws("emcee", kept, seconds, n * walkers * long / tau, ranks, 0, {"lp": lp}, about)
