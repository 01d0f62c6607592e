"""Posteriors on disk: netCDF with the groups of InferenceData, by xarray."""

from pathlib import Path
from typing import Any, Final

import numpy as np

from analyse.diagnostics import Draws, UnconvergedError
from analyse.ensemble import predict
from analyse.groups import write_groups
from analyse.priors import Priors
from config.extra import extra
from stream.kernels.cstat import cstat_of, wstat_of
from stream.spectra.fit import Fit
from stream.spectra.grid import Floats
from stream.spectra.response import Response
from stream.transport.fitsfile import disk_faults

GOOD: Final = "posterior.nc"
FAILED: Final = "posterior_failed.nc"
Edges = tuple[Floats, Floats]
AT_ONCE: Final = 256  # draws folded in one pass


def publish(folder: Path, fitted: tuple[Fit, Edges], priors: Priors, draws: Draws, seed: int) -> Path:
    """Write the posterior and return its path; what stood there of an earlier run goes.

    One that fails its gates is written as posterior_failed.nc with the reason: raises UnconvergedError then.
    """
    fault = draws.fault(priors.names)
    for name in (GOOD, FAILED):
        with disk_faults(folder / name):
            (folder / name).unlink(missing_ok=True)
    path = folder / (FAILED if fault else GOOD)
    write(path, fitted, priors, draws, {"seed": seed, "gates": f"failed: {fault}" if fault else "passed"})
    if fault:
        raise UnconvergedError(f"{path}: the posterior fails its gates: {fault}")
    return path


def write(path: Path, fitted: tuple[Fit, Edges], priors: Priors, draws: Draws, about: dict[str, Any]) -> None:
    """Write groups posterior, sample_stats, log_likelihood (per bin), observed_data. Raises LinkError."""
    with extra("analyse"):
        import xarray as xr
    fit, (low, high) = fitted
    values = priors.values(draws.variables)
    dims = ("chain", "draw")
    coords = {"chain": np.arange(values.shape[0]), "draw": np.arange(values.shape[1])}
    posterior = xr.Dataset(
        {p.name: (dims, values[..., i], _attributes(p, priors, draws, i)) for i, p in enumerate(priors.parameters)},
        coords,
        {**about, "model": fit.model.text, "sampler": draws.sampler, "sampling_seconds": draws.seconds, **draws.about},
    )
    stats = xr.Dataset({k: (dims, _plain(v)) for k, v in draws.stats.items()}, coords)
    bins = {"bin": np.arange(fit.bins)}
    likelihood = log_likelihood(fit, priors, draws.variables)
    pointwise = xr.Dataset(
        {"counts": ((*dims, "bin"), likelihood, {"statistic": fit.statistic})},
        coords | bins,
        {"long_name": "minus half of each bin's share of the statistic"},
    )
    observed: dict[str, Any] = {"counts": ("bin", fit.data.counts, {"units": "count"})}
    observed |= {"e_min": ("bin", low, {"units": "keV"}), "e_max": ("bin", high, {"units": "keV"})}
    if fit.data.off.size:
        observed |= {"off_counts": ("bin", fit.data.off, {"units": "count"}), "alpha": ("bin", fit.data.alpha)}
    groups = {"posterior": posterior, "sample_stats": stats, "log_likelihood": pointwise}
    write_groups(path, groups | {"observed_data": xr.Dataset(observed, bins)})


def _attributes(parameter: Any, priors: Priors, draws: Draws, i: int) -> dict[str, Any]:
    said = {"units": parameter.unit or "1", "prior": priors.stated()[parameter.name]}
    return said | {"ess": float(draws.ess[i]), "r_hat": float(draws.rhat[i])}


def _plain(values: Any) -> Any:
    return values.astype(np.int8) if values.dtype == bool else values


def log_likelihood(fit: Fit, priors: Priors, variables: Floats) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return minus half of each bin's share of the statistic, (chain, draw, b)."""
    flat = variables.reshape(-1, variables.shape[-1])
    out = np.empty((len(flat), fit.bins), np.float32)
    data = fit.data
    for begin in range(0, len(flat), AT_ONCE):
        counts = predict(fit, priors, flat[begin : begin + AT_ONCE])
        out[begin : begin + AT_ONCE] = _shares(data.counts, data.off, data.alpha, counts)
    return out.reshape(*variables.shape[:-1], -1)


def _shares(on: Floats, off: Floats, alpha: Floats, model: Floats) -> Floats:
    each = np.empty_like(model)
    for row, predicted in zip(each, model, strict=True):
        for i in range(on.size):
            row[i] = wstat_of(on[i], off[i], predicted[i], alpha[i]) if off.size else cstat_of(on[i], predicted[i])
    return -0.5 * each


def edges(fit: Fit, response: Response) -> Edges:
    """Return the lowest and the highest energy of each bin of a fit, (b,) keV, by EBOUNDS."""
    band, bins = fit.data.band, fit.data.bins
    take = np.arange(band.channels.stop - band.channels.start) if bins.take is None else bins.take
    begins = np.arange(len(take)) if bins.begins is None else bins.begins
    ends = np.append(begins[1:], len(take)) - 1
    low, high = response.e_min_kev[band.channels], response.e_max_kev[band.channels]
    return low[take[begins]], high[take[ends]]
