"""Posteriors by the No-U-Turn sampler (NumPyro; Hoffman & Gelman 2014), with gradients through the response."""

import time
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from analyse.diagnostics import Draws, ess, rhat
from analyse.priors import Priors
from config.extra import extra
from stream.kernels.cstat import LEAST
from stream.spectra.data_set import DataSet
from stream.spectra.fit import Fit
from stream.spectra.grid import Floats

CHAINS: Final = 4
WARM_UP: Final = 500
DRAWS: Final = 750
ACCEPTANCE: Final = 0.9
FIELDS: Final = ("diverging", "num_steps", "accept_prob", "potential_energy")
KEYS: Final = ("diverging", "n_steps", "acceptance_rate", "potential_energy")  # as InferenceData names them


def response_matrix(data: DataSet) -> Floats:
    """Return the matrix (b, n) from photons cm-2 s-1 to counts in the bins of the fit."""
    return np.ascontiguousarray(data.bins(data.band.fold(np.eye(len(data.band.grid.low))) * data.seconds).T)


def log_density(fit: Fit, priors: Priors) -> Callable[[Any], Any]:
    """Return a JAX function of variables (k,) to minus half of C-stat or W-stat."""
    import jax.numpy as jnp

    from analyse.photons import photons_in_jax

    data = fit.data
    photons, matrix = photons_in_jax(fit.model, data.band.grid), jnp.asarray(response_matrix(data))
    on, off, alpha = (jnp.asarray(v) for v in (data.counts, data.off, data.alpha))
    log, places, fixed = jnp.asarray(priors.log), jnp.asarray(priors.places), jnp.asarray(priors.fixed)

    def density(variables: Any) -> Any:
        free = jnp.where(log, jnp.exp(jnp.where(log, variables, 0.0)), variables)
        model = jnp.maximum(matrix @ photons(fixed.at[places].set(free)), LEAST)
        if not off.size:
            return -0.5 * jnp.sum(_cstat(jnp, on, model))
        rate = _off_rate(jnp, (on, off), model, alpha)
        return -0.5 * jnp.sum(_cstat(jnp, on, model + alpha * rate) + _cstat(jnp, off, jnp.maximum(rate, LEAST)))

    return density


def _cstat(jnp: Any, counts: Any, model: Any) -> Any:
    some = counts > 0
    ratio = jnp.where(some, counts, 1.0) / jnp.where(some, model, 1.0)
    return 2.0 * (model - counts + jnp.where(some, counts * jnp.log(ratio), 0.0))


def _off_rate(jnp: Any, counts: tuple[Any, Any], model: Any, alpha: Any) -> Any:
    """Return the off counts expected in each bin, as `stream.kernels.cstat.off_rate`; no 0/0 in its gradient."""
    on, off = counts
    a = alpha * (1.0 + alpha)
    b = (1.0 + alpha) * model - alpha * (on + off)
    root = jnp.sqrt(jnp.maximum(b * b + 4.0 * a * off * model, LEAST))
    rising = b > 0
    one = 2.0 * off * model / jnp.where(rising, b + root, 1.0)
    return jnp.where(rising, one, (root - b) / (2.0 * a))


def reflected(priors: Priors, variables: Any) -> Any:
    """Return variables mirrored at the limits until they lie within: then limits are no walls to a trajectory.

    Each mirror image is as likely as the original, so what is inside has the density of the posterior.
    """
    import jax.numpy as jnp

    wide = priors.high - priors.low
    return priors.low + wide - jnp.abs(jnp.mod(variables - priors.low, 2 * wide) - wide)


def sample_nuts(fit: Fit, priors: Priors, seed: int, draws: int | None = None) -> Draws:
    """Return draws of CHAINS chains that begin about the fit; `draws` per chain, with as long a warm-up at most."""
    with extra("analyse"):
        import jax
        import numpyro
        from numpyro.distributions import ImproperUniform, constraints
        from numpyro.infer import MCMC, NUTS
    jax.config.update("jax_enable_x64", True)
    began, k = time.perf_counter(), len(priors.start)
    density, everywhere = log_density(fit, priors), ImproperUniform(constraints.real_vector, (), (k,))

    def posterior() -> None:
        steps = numpyro.sample("steps", everywhere)
        variables = numpyro.deterministic("x", reflected(priors, priors.start + priors.scatter * steps))
        numpyro.factor("likelihood", density(variables))

    points = priors.scattered(np.random.default_rng(seed), CHAINS)
    begin = {"steps": (points - priors.start) / priors.scatter}
    kernel = NUTS(posterior, dense_mass=True, target_accept_prob=ACCEPTANCE)
    plan = {"num_warmup": min(WARM_UP, draws or WARM_UP), "num_samples": draws or DRAWS}
    chains = MCMC(kernel, **plan, num_chains=CHAINS, chain_method="vectorized", progress_bar=False)
    chains.run(jax.random.PRNGKey(seed), init_params=begin, extra_fields=FIELDS)
    variables = np.asarray(chains.get_samples(group_by_chain=True)["x"], float)
    fields = chains.get_extra_fields(group_by_chain=True)
    stats = {key: np.asarray(fields[name]) for key, name in zip(KEYS, FIELDS, strict=True)}
    sizes, ratios = (np.array([f(variables[..., i]) for i in range(variables.shape[-1])]) for f in (ess, rhat))
    about: dict[str, float] = {"chains": CHAINS, "warm_up": plan["num_warmup"], "steps": plan["num_samples"]}
    seconds = time.perf_counter() - began
    return Draws("nuts", variables, seconds, sizes, ratios, int(stats["diverging"].sum()), stats, about)
