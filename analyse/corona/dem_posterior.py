"""The posterior of an emission measure from fluxes, by ensembles of walkers (emcee), gated."""

from pathlib import Path
from typing import Any, Final

import numpy as np

from analyse.corona.dem import LEVEL_SD, Dem
from analyse.diagnostics import Draws, UnconvergedError
from analyse.ensemble import sample_density
from analyse.groups import write_groups
from analyse.posterior import FAILED, GOOD
from config.extra import extra
from stream.errors import ConfigError
from stream.spectra.grid import Floats
from stream.transport.fitsfile import disk_faults

SPREAD: Final = 0.5  # of the covariance's root, that walkers begin with


def told_of(dem: Dem) -> Any:
    """Return which variables are sampled: emission measures, and abundances that are free."""
    return np.flatnonzero(np.concatenate([np.ones(dem.nodes, bool), dem.seen.free]))


class Density:
    """Ln of the posterior density of emission measures and free abundances; factors of lines are integrated out.

    A flux whose emissivity is uncertain is Gaussian with the variance of both, exact to the order of its scatter
    squared. Priors are those of `Seen.prior`.
    """

    def __init__(self, dem: Dem) -> None:
        """Raise ConfigError for an emission measure of counts: each line has a factor there, too many to sample."""
        seen = dem.seen
        if seen.sigma is None:
            raise ConfigError("a posterior is sampled of fluxes: expected --use lines (a spectrum has 1 sigma errors)")
        self.dem, self.at, self.variance = dem, told_of(dem), seen.sigma**2
        rest = np.diag(np.full(len(dem.x), LEVEL_SD**-2.0))
        self.prior = (seen.prior(dem.smoothness) + rest)[np.ix_(self.at, self.at)]
        self.start = dem.x[self.at]
        covariance = dem.covariance[np.ix_(self.at, self.at)]
        self.root = np.linalg.cholesky(covariance + 1e-12 * np.eye(len(self.at)))

    def __call__(self, x: Floats) -> Floats:
        """Return it at (n, k), (n,)."""
        seen, nodes = self.dem.seen, self.dem.nodes
        d, a = np.exp(x[:, :nodes]), np.ones((len(x), len(seen.elements)))
        a[:, seen.free] = np.exp(x[:, nodes:])
        by_element = np.tensordot(d, seen.templates, ([1], [1]))  # (n, E, D)
        own = a[:, seen.group] * (d @ seen.emissivity.T)
        model = (by_element * a[:, :, None]).sum(axis=1) + own @ seen.shape
        spread = self.variance + (own * seen.scatter) ** 2 @ seen.shape**2
        likely = -0.5 * ((model - seen.data) ** 2 / spread + np.log(spread)).sum(axis=1)
        out = likely - 0.5 * ((x @ self.prior) * x).sum(axis=1)
        return np.where(np.isfinite(out), out, -np.inf)

    def scattered(self, rng: np.random.Generator, count: int) -> Floats:
        """Return points (count, k) about the most probable one."""
        return self.start + SPREAD * rng.normal(size=(count, len(self.start))) @ self.root.T


def sample_dem(dem: Dem, seed: int, steps: int | None = None) -> Draws:
    """Return draws of the variables of `told_of`, `steps` of each walker or as many as the gates need.

    Raises ConfigError without the analyse extra, and for an emission measure of counts.
    """
    density = Density(dem)
    return sample_density(density, density.scattered, len(density.start), seed, steps)


def names_of(dem: Dem) -> list[str]:
    """Return the names of what is told."""
    every = dem.seen.names()
    return [every[i] for i in told_of(dem)]


def bands_of(dem: Dem, draws: Draws, levels: tuple[float, ...] = (0.05, 0.16, 0.5, 0.84, 0.95)) -> Floats:
    """Return quantiles of log10 of the emission measure per dex, (levels, K)."""
    values = draws.variables[..., : dem.nodes].reshape(-1, dem.nodes) / np.log(10.0) - np.log10(dem.step)
    return np.asarray(np.quantile(values, levels, axis=0))


def publish(folder: Path, dem: Dem, draws: Draws, about: dict[str, Any]) -> Path:
    """Write posterior.nc, groups posterior, sample_stats, observed_data; return its path.

    One that fails its gates is written as posterior_failed.nc: raises UnconvergedError then. Raises LinkError when the
    disk refuses.
    """
    with extra("analyse"):
        import xarray as xr
    fault = draws.fault(names_of(dem))
    for name in (GOOD, FAILED):
        with disk_faults(folder / name):
            (folder / name).unlink(missing_ok=True)
    path, dims = folder / (FAILED if fault else GOOD), ("chain", "draw")
    v, k = draws.variables, dem.nodes
    coords = {"chain": np.arange(v.shape[0]), "draw": np.arange(v.shape[1])}
    ten = np.log(10.0)
    elements = list(dem.seen.elements)
    free = [i for i, is_free in enumerate(dem.seen.free) if is_free]
    posterior = {
        "log_dem": ((*dims, "log_t"), v[..., :k] / ten - np.log10(dem.step), {"units": "log10 of norm (apec) per dex"}),
        "abundance": ((*dims, "element"), np.exp(v[..., k:]), {"units": "of the table's"}),
    }
    own = {"log_t": dem.seen.log_t, "element": [elements[i] for i in free]}
    gates = f"failed: {fault}" if fault else "passed"
    about = {**about, "gates": gates, "sampler": draws.sampler, "sampling_seconds": draws.seconds, **draws.about}
    observed: dict[str, Any] = {"data": ("datum", dem.seen.data), "expected": ("datum", dem.expected)}
    if dem.seen.sigma is not None:
        observed["sigma"] = ("datum", dem.seen.sigma)
    tree = {
        "posterior": xr.Dataset(posterior, coords | own, about),
        "sample_stats": xr.Dataset({name: (dims, value) for name, value in draws.stats.items()}, coords),
        "observed_data": xr.Dataset(observed),
    }
    write_groups(path, tree)
    if fault:
        raise UnconvergedError(f"{path}: the posterior fails its gates: {fault}")
    return path
