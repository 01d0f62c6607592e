"""What an analysis of a corona says: as JSON and as tables."""

from typing import Any, Final

import numpy as np
from rich.console import Console
from rich.table import Table

from analyse.corona.dem_posterior import bands_of, names_of
from analyse.corona.features import spelled
from analyse.corona.star import CONSTRAINED, Analysis
from analyse.diagnostics import Draws
from stream.corona.fluxes import Fluxes
from stream.corona.forward import norm_of

PARSEC_NORM: Final = 1.0  # cm-3, of which `norm_of` gives the norm at a distance


def describe(found: Analysis, distance_pc: float | None = None) -> dict[str, Any]:
    """Return all that corona.json holds; NaN as None. distance_pc: emission measures in cm-3 too."""
    report: dict[str, Any] = {"spectrum": found.observed.name, "flags": list(found.flags)}
    if isinstance(found.observed, Fluxes):
        report["fluxes"] = len(found.observed.flux)
    else:
        low, high = found.observed.channel_edges_a
        report |= {
            "counts": float(found.observed.counts.sum()),
            "exposure_s": found.observed.exposure_s,
            "wavelengths_a": [float(low.min()), float(high.max())],
            "offset_a": found.offset_a,
        }
    if found.measured is not None:
        report |= {"shift_kms": found.measured.shift_kms, "width": found.measured.width, "lines": lines_of(found)}
    if found.estimate is not None:
        report["one_temperature"] = _estimate(found)
    report["log_n"], report["log_n_error"] = found.log_n, found.log_n_error
    if found.dem is not None:
        report["dem"] = _dem(found, distance_pc)
    return report


def lines_of(found: Analysis) -> list[dict[str, Any]]:
    """Return a row for each feature, by wavelength."""
    features, measured = found.features, found.measured
    assert features is not None
    assert measured is not None
    assert found.filtered is not None
    assert found.forward is not None
    chosen = set() if found.chosen is None else set(found.chosen.tolist())
    table, out = found.forward.lines, []
    for k in range(len(features)):
        rows = features.rows[k]
        others = [f"{spelled(str(table.ion[r]))} {table.wavelength_a[r]:.3f}" for r in rows]
        row = {
            "ion": spelled(str(features.ion[k])),
            "wavelength_a": float(features.wavelength_a[k]),
            "counts": _number(measured.counts[k]),
            "counts_error": _number(measured.error[k]),
            "flux": _number(measured.flux[k]),
            "flux_error": _number(measured.flux_error[k]),
            "sigma": float(measured.significance[k]),
            "sigma_filter": float(found.filtered[k]),
            "identified": bool(measured.found[k]),
            "of_dem": k in chosen,
            "lines": others,
        }
        out.append(row)
    return out


def _estimate(found: Analysis) -> dict[str, Any]:
    one = found.estimate
    assert one is not None
    ratios = [
        {
            "tells": ratio.tells,
            "over": f"{spelled(ratio.over[0])} {ratio.over[1]:.3f}",
            "under": f"{spelled(ratio.under[0])} {ratio.under[1]:.3f}",
            "ln_ratio": ln,
            "error": spread,
        }
        for ratio, ln, spread in one.used
    ]
    rest = {"log_t_error": one.log_t_error, "log_n": one.log_n, "log_n_error": one.log_n_error, "chi2": one.chi2}
    numbers = {name: _number(value) for name, value in {"log_t": one.log_t, **rest}.items()}
    temperatures = sum(ratio.tells == "T" for ratio, _, _ in one.used)
    return {**numbers, "of_t": temperatures, "of_n": len(one.used) - temperatures, "ratios": ratios}


def _dem(found: Analysis, distance_pc: float | None) -> dict[str, Any]:
    dem = found.dem
    assert dem is not None
    unit = "norm (apec: 1e-14 / (4 pi D^2) int n_e n_H dV) per dex"
    if isinstance(found.observed, Fluxes):
        unit = "of the measurer's emissivities, per dex"
    free = dict(zip(dem.seen.elements, dem.seen.free, strict=True))
    places = {name: dem.nodes + i for i, name in enumerate(dem.seen.elements)}
    sd = np.sqrt(np.maximum(np.diag(dem.covariance), 0.0))
    abundances = {
        name: {"value": float(value), "ln_error": float(sd[places[name]]) if free[name] else None}
        for name, value in zip(dem.seen.elements, dem.abundance, strict=True)
    }
    rows = [
        {"log_t": float(t), "log10": float(y), "error": float(e), "constrained": bool(e <= CONSTRAINED)}
        for t, y, e in zip(dem.seen.log_t, dem.log_dem, dem.error, strict=True)
    ]
    out: dict[str, Any] = {
        "by": "spectrum" if found.chosen is None and not isinstance(found.observed, Fluxes) else "line fluxes",
        "unit": unit,
        "peak_log_t": dem.peak,
        "smoothness": dem.smoothness,
        "smoothness_by": "evidence" if len(dem.evidence) > 1 else "given",
        "statistic": dem.statistic,
        "data": len(dem.seen.data),
        "converged": dem.converged,
        "temperatures": rows,
        "abundances": abundances,
    }
    total = float(np.exp(dem.x[: dem.nodes]).sum())
    if distance_pc is not None and not isinstance(found.observed, Fluxes):
        out["emission_measure_cm3"] = total / float(norm_of(PARSEC_NORM, distance_pc))
    return out


def describe_posterior(found: Analysis, draws: Draws, seed: int) -> dict[str, Any]:
    """Return what corona.json says of a posterior."""
    dem = found.dem
    assert dem is not None
    quantiles, fault, k = bands_of(dem, draws), draws.fault(names_of(dem)), dem.nodes
    rows = [
        {"log_t": float(t), "interval_90": [q[0], q[4]], "interval_68": [q[1], q[3]], "median": q[2]}
        for t, q in zip(dem.seen.log_t, quantiles.T.tolist(), strict=True)
    ]
    ten = np.exp(draws.variables[..., k:])
    middle = np.quantile(ten.reshape(-1, ten.shape[-1]), [0.16, 0.5, 0.84], axis=0)
    names = [name.removeprefix("ln_") for name in names_of(dem)[k:]]
    abundances = {
        name: {"median": q[1], "interval_68": [q[0], q[2]]} for name, q in zip(names, middle.T.tolist(), strict=True)
    }
    gates = {"passed": fault is None, "fault": fault, "divergences": draws.divergences}
    worst = {"ess": _number(float(np.min(draws.ess))), "r_hat": _number(float(np.max(draws.rhat)))}
    more = {"sampler": draws.sampler, "seed": seed, "seconds": draws.seconds, **draws.about}
    return {**more, **gates, **worst, "temperatures": rows, "abundances": abundances}


def show(console: Console, report: dict[str, Any], most: int = 30) -> None:
    """Print lines, ratios and emission measure; of lines the `most` significant."""
    if "lines" in report:
        found = [row for row in report["lines"] if row["identified"]]
        shown = sorted(sorted(found, key=lambda r: -r["sigma"])[:most], key=lambda r: r["wavelength_a"])
        table = Table(title=f"{report['spectrum']}: {len(found)} lines identified, the {len(shown)} strongest")
        for column in ("line", "A", "counts", "flux, 1e-5 photons cm-2 s-1", "sigma", "in DEM"):
            table.add_column(column, justify="left" if column in ("line", "in DEM") else "right")
        for row in shown:
            figures = (f"{row['wavelength_a']:.3f}", _pair(row, "counts", 1.0, 0), _pair(row, "flux", 1e5, 2))
            table.add_row(row["ion"], *figures, f"{row['sigma']:.1f}", "yes" if row["of_dem"] else "")
        console.print(table)
    if one := report.get("one_temperature"):
        told = f"{_shown(one['log_t'])} +- {_shown(one['log_t_error'], 2)}"
        dense = f"{_shown(one['log_n'])} +- {_shown(one['log_n_error'], 2)}"
        console.print(
            f"ratios, one temperature: log T {told} ({one['of_t']}), log n {dense} ({one['of_n']}), "
            f"chi2 {_shown(one['chi2'])}"
        )
    if dem := report.get("dem"):
        table = Table(title=f"emission measure by {dem['by']}; peak at log T {dem['peak_log_t']:.2f}")
        for column in ("log T", "log10 per dex", "1 sigma, dex", ""):
            table.add_column(column, justify="right")
        for row in dem["temperatures"]:
            note = "" if row["constrained"] else "not constrained"
            table.add_row(f"{row['log_t']:.2f}", f"{row['log10']:.2f}", f"{row['error']:.2f}", note)
        console.print(table)
        console.print(f"log10: {dem['unit']} of T. Not constrained: by more than {CONSTRAINED} dex, smoothness decides")
        free = {k: v for k, v in dem["abundances"].items() if v["ln_error"] is not None}
        console.print("abundances: " + ", ".join(f"{k.capitalize()} {v['value']:.2g}" for k, v in free.items()))
        told = f"{dem['statistic']:.1f} for {dem['data']} data"
        console.print(f"statistic {told}, smoothness {dem['smoothness']:.3g} by {dem['smoothness_by']}")
    for flag in report["flags"]:
        console.print(f"note: {flag}")


def _pair(row: dict[str, Any], name: str, scale: float, digits: int) -> str:
    if row[name] is None:
        return "-"
    return f"{row[name] * scale:.{digits}f} +- {row[f'{name}_error'] * scale:.{digits}f}"


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _shown(value: float | None, digits: int = 4) -> str:
    return "unknown" if value is None else f"{value:.{digits}g}"
