"""What is told of a cross-calibration: crosscal.json, clusters.fits, posterior.nc, the table on the screen."""

from pathlib import Path
from typing import Any, Final

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from analyse.crosscal.identify import ENERGIES_KEV, LEAST_BITS, LEVELS, say
from analyse.crosscal.likelihood import Density
from analyse.crosscal.study import Study
from analyse.diagnostics import Draws, UnconvergedError
from analyse.groups import write_groups
from analyse.posterior import FAILED, GOOD
from config.extra import extra
from stream.transport.fitsfile import disk_faults, new_file

Floats = NDArray[np.float64]
BEYOND: Final = 1  # bit of FLAG: temperatures outside what was simulated


def describe(found: Study, table: str) -> dict[str, Any]:
    """Return all that crosscal.json holds."""
    prior, clusters = found.density.prior, found.clusters
    before, after = found.chi2
    report: dict[str, Any] = {
        "table": table,
        "clusters": len(clusters),
        "beyond_the_grid": [clusters.name[i] for i in np.flatnonzero(clusters.beyond)],
        "also_used": list(clusters.others) if found.others_used else [],
        "family": prior.family.name,
        "law": found.density.law.source,
        "prior": prior.stated(),
        "names": list(prior.names),
        "units": [p.unit for p in prior.family.parameters],
        "most_likely": _peak(found, found.likely),
        "most_probable": _peak(found, found.highest),
        "chi2": {"before": before, "most_probable": after, "clusters": len(clusters)},
        "discrepancies": found.discrepancies,
        "correction": dict(zip(prior.family.names, found.chosen.tolist(), strict=True)),
        "notes": [],
    }
    if clusters.truth.get("theta"):
        report["truth"] = list(clusters.truth["theta"])
    if found.draws is not None:
        report |= _posterior(found, found.draws)
    if found.held_out is not None:
        held = found.held_out
        keys = ("deviation", "before")
        means = {key: dict(zip(("mean", "error"), held.mean(getattr(held, key)), strict=True)) for key in keys}
        report["held_out"] = {**means, "chi2": held.chi2, "clusters": len(clusters), "folds_by": "cluster"}
    return report


def _peak(found: Study, peak: Any) -> dict[str, Any]:
    told = dict(zip(found.density.prior.names, peak.variables.tolist(), strict=True))
    return {**told, "ln": peak.value, "starts": peak.starts, "starts_that_agree": peak.agree}


def _posterior(found: Study, draws: Draws) -> dict[str, Any]:
    prior = found.density.prior
    names, flat = prior.names, draws.variables.reshape(-1, len(prior.names))
    bits, fault = found.bits, draws.fault(list(names))
    low, middle, high = np.quantile(flat, [0.05, 0.5, 0.95], axis=0)
    rows = [
        {
            "name": name,
            "mean": float(flat[:, i].mean()),
            "sd": float(flat[:, i].std()),
            "median": float(middle[i]),
            "interval_90": [float(low[i]), float(high[i])],
            "bits_gained": float(bits[i]),
            "constrained": bool(bits[i] >= LEAST_BITS),
            "ess": float(draws.ess[i]),
            "r_hat": float(draws.rhat[i]),
        }
        for i, name in enumerate(names)
    ]
    ways, (after, before) = found.directions, found.bands()
    along = [
        {"axis": dict(zip(names, axis.tolist(), strict=False)), "sd_over_prior": float(n), "bits_gained": float(b)}
        for axis, n, b in zip(ways.axes, ways.narrower, ways.bits, strict=True)
    ]
    told = {"energy_kev": ENERGIES_KEV.tolist(), "levels": list(LEVELS)}
    bands = told | {"posterior": after.tolist(), "prior": before.tolist()}
    gates = {"passed": fault is None, "fault": fault, "sampler": draws.sampler, "seconds": draws.seconds, **draws.about}
    return {
        "posterior": {**gates, "seed": found.plan.seed, "parameters": rows},
        "correlation": np.corrcoef(flat.T).reshape(len(names), -1).tolist(),
        "directions": along,
        "area_factor": bands,
        "notes": say(names, bits, len(found.clusters), prior),
    }


def show(console: Console, report: dict[str, Any]) -> None:
    """Print parameters, directions, held-out clusters and what is not constrained."""
    console.print(
        f"{report['clusters']} clusters, family {report['family']}, {report['law']}; prior: {report['prior']}"
    )
    chi2 = report["chi2"]
    console.print(f"chi2 of temperatures: {chi2['before']:.1f} as they are, {chi2['most_probable']:.1f} corrected")
    table = Table(title="correction of the area of telescope 1")
    for column in ("parameter", "likeliest", "median", "sd", "90 %", "bits", "ESS", "R-hat"):
        table.add_column(column, justify="left" if column == "parameter" else "right", overflow="fold")
    rows = {row["name"]: row for row in report.get("posterior", {}).get("parameters", [])}
    for name in report["names"]:
        cells = [f"{report['most_likely'][name]:.4g}"]
        if row := rows.get(name):
            ends = " to ".join(f"{v:.4g}" for v in row["interval_90"])
            numbers = (f"{row['median']:.4g}", f"{row['sd']:.3g}", ends, f"{row['bits_gained']:.2f}")
            cells += [*numbers, f"{row['ess']:.0f}", f"{row['r_hat']:.3f}"]
        table.add_row(name, *cells)
    console.print(table)
    for name, found in report["discrepancies"].items():
        theta = ", ".join(f"{v:.4g}" for v in found["theta"])
        console.print(f"{name}: least {found['sum']:.4g} (before {found['before']:.4g}) at {theta}")
    for i, way in enumerate(report.get("directions", [])):
        axis = " ".join(f"{v:+.2f} {name}" for name, v in way["axis"].items())
        console.print(f"direction {i + 1}: {axis}: sd {way['sd_over_prior']:.2f} of the prior's")
    if held := report.get("held_out"):
        for key, what in (("before", "as they are"), ("deviation", "corrected, held out")):
            mean = held[key]
            console.print(f"dT/T {what}: {100 * mean['mean']:+.2f} +- {100 * mean['error']:.2f} %")
        console.print(f"held-out chi2 {held['chi2']:.1f} of {held['clusters']} clusters")
    for note in report["notes"]:
        console.print(f"note: {note}")


def write_clusters(path: Path, found: Study) -> None:
    """Write a row a cluster: both temperatures, T1' (corrected) and the held-out deviation. Raises LinkError."""
    clusters, held = found.clusters, found.held_out
    nan = np.full(len(clusters), np.nan)
    kev = {"KT_0": clusters.kt_0, "KT_0_ERR": clusters.kt_0_err, "KT_1": clusters.kt_1, "KT_1_ERR": clusters.kt_1_err}
    kev |= {"KT_1_CORRECTED": found.kt_1, "KT_1_CORRECTED_ERR": found.kt_1_err}
    plain = {"HELD_OUT": nan if held is None else held.deviation, "HELD_OUT_ERR": nan if held is None else held.error}
    names = np.array(clusters.name or ("",), dtype=bytes)[: len(clusters)]
    columns = [fits.Column("NAME", f"{max(names.dtype.itemsize, 1)}A", array=names)]
    columns += [fits.Column(key, "D", unit="keV", array=values) for key, values in kev.items()]
    columns += [fits.Column(key, "D", array=values) for key, values in plain.items()]
    columns.append(fits.Column("FLAG", "B", array=clusters.beyond.astype(np.uint8) * BEYOND))
    table = fits.BinTableHDU.from_columns(columns, name="CLUSTERS")
    table.header["FAMILY"] = found.density.prior.family.name
    table.header["HISTORY"] = "HELD_OUT: ln(T1'/T0) by the posterior of the other folds; FLAG 1: beyond the grid"
    with new_file(path) as file:
        fits.HDUList([fits.PrimaryHDU(), table]).writeto(file, checksum=True)


def publish(folder: Path, found: Study, density: Density, draws: Draws) -> Path:
    """Write the posterior and return its path; one that fails its gates as posterior_failed.nc: raises then."""
    with extra("analyse"):
        import xarray as xr
    prior = density.prior
    fault = draws.fault(list(prior.names))
    for name in (GOOD, FAILED):
        with disk_faults(folder / name):
            (folder / name).unlink(missing_ok=True)
    path = folder / (FAILED if fault else GOOD)
    shape = draws.variables.shape[:2]
    dims, coords = ("chain", "draw"), {"chain": np.arange(shape[0]), "draw": np.arange(shape[1])}
    units = [p.unit or "1" for p in prior.family.parameters] + ["1"] * (len(prior.names) - prior.p)
    values = {
        name: (dims, draws.variables[..., i], {"units": units[i], "ess": draws.ess[i], "r_hat": draws.rhat[i]})
        for i, name in enumerate(prior.names)
    }
    about: dict[str, Any] = {
        "family": prior.family.name,
        "law": density.law.source,
        "prior": prior.stated(),
        "sampler": draws.sampler,
    }
    about |= {"seed": found.plan.seed, "gates": f"failed: {fault}" if fault else "passed", **draws.about}
    each = np.concatenate([density.each(part) for part in draws.variables])
    clusters = {"cluster": list(found.clusters.name)}
    pointwise = ((*dims, "cluster"), each.reshape(*shape, -1).astype(np.float32))
    observed = {"kt_0": ("cluster", found.clusters.kt_0), "kt_1": ("cluster", found.clusters.kt_1)}
    groups = {
        "posterior": xr.Dataset(values, coords, about),
        "sample_stats": xr.Dataset({k: (dims, v) for k, v in draws.stats.items()}, coords),
        "log_likelihood": xr.Dataset({"temperatures": pointwise}, coords | clusters),
        "observed_data": xr.Dataset(observed, clusters),
    }
    m = 4 * (len(found.prior_draws) // 4)
    prior_coords = {"chain": np.arange(4), "draw": np.arange(m // 4)}
    told = {n: (dims, found.prior_draws[:m, i].reshape(4, -1)) for i, n in enumerate(prior.names)}
    groups["prior"] = xr.Dataset(told, prior_coords)
    write_groups(path, groups)
    if fault:
        raise UnconvergedError(f"{path}: the posterior fails its gates: {fault}")
    return path
