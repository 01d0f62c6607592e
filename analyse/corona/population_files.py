"""The posterior of a population of coronae on disk: posterior.nc (groups of InferenceData), stars.fits, a report."""

from pathlib import Path
from typing import Any, Final

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from analyse.corona.population import HYPER, PopulationPosterior
from analyse.diagnostics import UnconvergedError
from analyse.groups import write_groups
from analyse.posterior import FAILED, GOOD
from analyse.source import write_report
from config.extra import extra
from stream.spectra.grid import Floats
from stream.transport.fitsfile import disk_faults
from stream.transport.products import save, table_hdu

TABLE: Final = "stars.fits"
REPORT: Final = "population.json"
SHARES: Final = (0.05, 0.16, 0.5, 0.84, 0.95)
TOLD: Final = ("log_t", "log_n", "log_norm")  # of each star in the table
UNITS: Final = {
    "log_t": "log10(K)",
    "log_n": "log10(cm-3)",
    "log_norm": "log10(1e-14 cm-5)",
    "background": "count s-1 Angstrom-1",
    "shift_kms": "km s-1",
    "sigma_kms": "km s-1",
    "spread": "dex",
    "log_metals": "dex",
}


def publish(folder: Path, done: PopulationPosterior, seed: int) -> list[Path]:
    """Write the files and return their paths; what stood there of an earlier run goes.

    A posterior that fails its gates is written as posterior_failed.nc alone: raises UnconvergedError then. Raises
    LinkError when the disk refuses.
    """
    fault = done.fault()
    for name in (GOOD, FAILED, TABLE, REPORT):
        with disk_faults(folder / name):
            (folder / name).unlink(missing_ok=True)
    path = folder / (FAILED if fault else GOOD)
    write(path, done, {"seed": seed, "gates": f"failed: {fault}" if fault else "passed"})
    if fault:
        raise UnconvergedError(f"{path}: the posterior fails its gates: {fault}")
    save(folder / TABLE, [fits.PrimaryHDU(), table_hdu(star_table(done), "STARS", {})])
    write_report(folder / REPORT, describe(done, seed))
    return [path, folder / TABLE, folder / REPORT]


def write(path: Path, done: PopulationPosterior, about: dict[str, Any]) -> None:
    """Write groups posterior, lines, population, sample_stats, observed_data. Raises LinkError."""
    with extra("analyse"):
        import xarray as xr
    dims, stars = ("chain", "draw"), done.of_stars()
    shape = done.weights.shape
    coords = {"chain": np.arange(shape[0]), "draw": np.arange(shape[1])}
    by_star = coords | {"star": np.array(done.stars.names, dtype=object)}
    variables = {name: ((*dims, "star"), values, {"units": UNITS[name]}) for name, values in stars.items()}
    variables["weight"] = ((*dims, "star"), done.weights, {"long_name": "of each draw, given the population of all"})
    lines = {"ln_factor": ((*dims, *_line_dims(done)), _factors(done))}
    hyper = done.population
    own = {"chain": np.arange(hyper.variables.shape[0]), "draw": np.arange(hyper.variables.shape[1])}
    told: dict[str, Any] = {name: (dims, values) for name, values in done.of_population().items()}
    told |= {
        name: (dims, hyper.variables[..., k], {"ess": float(hyper.ess[k]), "r_hat": float(hyper.rhat[k])})
        for k, name in enumerate(HYPER)
    }
    stats = {
        key: (("batch", *dims), np.stack([_plain(one.draws.stats[key]) for one in done.batches]))
        for key in ("diverging", "n_steps", "acceptance_rate", "potential_energy")
    }
    groups = {
        "posterior": xr.Dataset(variables, by_star, about | {"sampler": "nuts", "sampling_seconds": done.seconds}),
        "lines": xr.Dataset(lines, coords | {"line": np.array(done.windows.names, dtype=object)}),
        "population": xr.Dataset(told, own),
        "sample_stats": xr.Dataset(stats, coords),
        "observed_data": xr.Dataset(_observed(done)),
    }
    write_groups(path, groups)


def _line_dims(done: PopulationPosterior) -> tuple[str, ...]:
    return ("star", "line") if done.choices.own_lines else ("batch", "line")


def _factors(done: PopulationPosterior) -> NDArray[np.float32]:
    """Return ln of what each line's emissivity is off by, in units of its scatter times tau; (chain, draw, ., K)."""
    each = [one.sites["line"] for one in done.batches]
    if not done.choices.own_lines:
        return np.stack(each, axis=2).astype(np.float32)
    order = np.argsort(np.concatenate(done.members))
    return np.concatenate(each, axis=2)[:, :, order].astype(np.float32)


def _observed(done: PopulationPosterior) -> dict[str, Any]:
    windows, used = done.windows, done.windows.used
    instrument, bins = windows.forward.instrument, windows.bins[used]
    counts = done.stars.counts[:, bins]
    edges = instrument.edges_a
    return {
        "counts": (("star", "bin"), counts.astype(np.int32), {"units": "count"}),
        "low_a": ("bin", edges[bins], {"units": "Angstrom"}),
        "high_a": ("bin", edges[bins + 1], {"units": "Angstrom"}),
        "exposure": ("star", done.stars.exposure_s, {"units": "s"}),
    }


def _plain(values: Any) -> Any:
    return values.astype(np.int8) if values.dtype == bool else values


def quantiles(values: Floats, weights: Floats, shares: tuple[float, ...] = SHARES) -> Floats:
    """Return quantiles (q, S) of draws (chain, draw, S) with weights that sum to 1 for each star."""
    flat, w = (v.reshape(-1, v.shape[-1]) for v in (values, weights))
    order = np.argsort(flat, axis=0)
    rising = np.take_along_axis(flat, order, axis=0)
    share = np.take_along_axis(w, order, axis=0)
    middle = np.cumsum(share, axis=0) - 0.5 * share
    return np.array([np.interp(shares, middle[:, s], rising[:, s]) for s in range(flat.shape[1])]).T


def star_table(done: PopulationPosterior) -> NDArray[np.void]:
    """Return a row for each star: mean, sd, quantiles of log T, log n and log norm; effective draws; truth if known."""
    draws, w = done.of_stars(), done.weights
    columns: dict[str, Any] = {"name": np.array(done.stars.names, dtype="S")}
    for name in TOLD:
        mean = (w * draws[name]).sum(axis=(0, 1))
        sd = np.sqrt((w * (draws[name] - mean) ** 2).sum(axis=(0, 1)))
        columns |= {name: mean, f"{name}_sd": sd}
        ends = quantiles(draws[name], w)
        columns |= {f"{name}_q{round(100 * q):02d}": row for q, row in zip(SHARES, ends, strict=True)}
        if name in done.stars.truth:
            columns[f"{name}_true"] = done.stars.truth[name]
    columns["draws"] = 1 / (w**2).sum(axis=(0, 1))
    if all(one.present is not None for one in done.batches):
        order = np.argsort(np.concatenate(done.members))
        columns["present"] = np.concatenate([one.present for one in done.batches if one.present is not None])[order]
    kinds = [(name, values.dtype, values.shape[1:]) for name, values in columns.items()]
    out = np.zeros(len(done.stars), np.dtype(kinds))
    for name, values in columns.items():
        out[name] = values
    return out


def describe(done: PopulationPosterior, seed: int) -> dict[str, Any]:
    """Return the report: population, lines, batches with their gates, seconds."""
    population = {
        name: {"mean": float(values.mean()), "sd": float(values.std())} for name, values in done.of_population().items()
    }
    batches = []
    for rows, one in zip(done.members, done.batches, strict=True):
        row: dict[str, Any] = {"stars": [done.stars.names[k] for k in rows], **one.draws.about}
        row |= {"least_ess": float(one.draws.ess.min()), "most_r_hat": float(one.draws.rhat.max())}
        row |= {"divergences": one.draws.divergences}
        if one.evidence is not None:
            found = one.evidence
            row["evidence"] = {"ln_z": found.ln_z, "error": found.error, "ess": found.ess, "sound": found.sound}
        batches.append(row)
    return {
        "instrument": done.windows.forward.instrument.name,
        "likelihood": done.choices.likelihood,
        "population": population,
        "population_sampled": "with the stars" if len(batches) == 1 else "on the draws of all batches",
        "lines": done.windows.names,
        "batches": batches,
        "seconds": done.seconds,
        "cpu_seconds": done.cpu_seconds,
        "seed": seed,
        **done.about,
    }
