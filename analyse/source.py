"""The fit of one spectrum, told as a table and as JSON."""

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
from rich.console import Console
from rich.table import Table

from analyse.priors import Priors
from stream.errors import ConfigError
from stream.spectra.fit import Fit, fit_spectrum
from stream.spectra.model import Model, parse_model
from stream.spectra.profile import profile
from stream.spectra.response import Response
from stream.spectra.spectrum import Spectrum
from stream.spectra.table import PlasmaTable
from stream.transport.fitsfile import new_file

NINETY: Final = 2.7055  # of the statistic: 90 % of one parameter


def build_model(
    text: str,
    values: dict[str, float],
    kept: tuple[tuple[str, ...], tuple[str, ...]],
    limits: dict[str, Any],
    plasma: PlasmaTable | None = None,
) -> Model:
    """Return the model with values, (frozen, thawed) parameters, limits; plasma: table of apec, None: the shipped one.

    Raises ConfigError for a name it lacks.
    """
    model = parse_model(text, plasma)
    for name, (low, high) in limits.items():
        model = model.set(**{name: {"low": low, "high": high}})
        inner = float(np.clip(model.defaults[model.names.index(name)], low, high))
        model = model.set(**{name: {"value": inner, "starts": ()}})
    model = model.set(**values)
    for names, is_frozen in zip(kept, (True, False), strict=True):
        model = model.set(**{name: {"frozen": is_frozen} for name in names})
    for p in model.parameters:
        if not p.low <= p.value <= p.high:
            raise ConfigError(f"{p.name}: {p.value:g}: expected {p.low:g} to {p.high:g}")
    return model


def fit_source(
    model: Model, spectrum: Spectrum, response: Response, band_kev: tuple[float, float], statistic: str
) -> Fit:
    """Return the fit. Raises ConfigError for a band without channels or without counts."""
    fit = fit_spectrum(model, spectrum, response, band_kev=band_kev, statistic=statistic)
    if not fit.data.counts.sum() > 0:
        raise ConfigError(f"no counts within {band_kev[0]:g}-{band_kev[1]:g} keV: nothing to fit")
    return fit


def describe(fit: Fit, band_kev: tuple[float, float], profiles: bool) -> dict[str, Any]:
    """Return all that fit.json holds; NaN as None."""
    rows = []
    for i, p in enumerate(fit.model.parameters):
        row = {"name": p.name, "unit": p.unit, "value": float(fit.values[i]), "error": _number(fit.errors[i])}
        row |= {"frozen": p.frozen, "at_bound": bool(fit.at_bound[i])}
        if profiles and not p.frozen:
            row["interval_90"] = list(profile(fit, p.name, NINETY))
        rows.append(row)
    fluxes = {}
    for key, absorbed in (("absorbed", True), ("unabsorbed", False)):
        flux = fit.flux(*band_kev, absorbed=absorbed)
        fluxes[key] = {
            "erg_cm2_s": flux.erg,
            "erg_cm2_s_error": _number(flux.erg_error),
            "photons_cm2_s": flux.photons,
            "photons_cm2_s_error": _number(flux.photons_error),
        }
    return {
        "model": fit.model.text,
        "band_kev": list(band_kev),
        "statistic": fit.statistic,
        "value": fit.value,
        "expected": _number(fit.expected),
        "expected_sd": _number(fit.expected_sd),
        "chi2_dof": _number(fit.chi2_dof),
        "bins": fit.bins,
        "dof": fit.dof,
        "counts": float(fit.data.counts.sum()),
        "off_counts": float(fit.data.off.sum()),
        "converged": fit.converged,
        "flags": list(fit.data.flags),
        "parameters": rows,
        "flux": fluxes,
    }


def describe_posterior(priors: Priors, draws: Any, seed: int) -> dict[str, Any]:
    """Return what fit.json says of a posterior."""
    values = priors.values(draws.variables).reshape(-1, len(priors.names))
    low, middle, high = np.quantile(values, [0.05, 0.5, 0.95], axis=0)
    fault, stated = draws.fault(priors.names), priors.stated()
    rows = [
        {
            "name": name,
            "prior": stated[name],
            "mean": float(values[:, i].mean()),
            "sd": float(values[:, i].std()),
            "median": float(middle[i]),
            "interval_90": [float(low[i]), float(high[i])],
            "ess": _number(draws.ess[i]),
            "r_hat": _number(draws.rhat[i]),
        }
        for i, name in enumerate(priors.names)
    ]
    gates = {"passed": fault is None, "fault": fault, "divergences": draws.divergences}
    more = {"sampler": draws.sampler, "seed": seed, "seconds": draws.seconds, **draws.about}
    return {**more, **gates, "parameters": rows}


def write_report(path: Path, report: dict[str, Any]) -> None:
    """Write JSON. Raises LinkError when the disk refuses."""
    with new_file(path) as file:
        file.write((json.dumps(report, indent=1, allow_nan=False) + "\n").encode())


def show_fit(console: Console, report: dict[str, Any]) -> None:
    """Print the table of parameters and the goodness."""
    table = Table(title=f"{report['model']}, {report['band_kev'][0]:g}-{report['band_kev'][1]:g} keV")
    for column in ("parameter", "value", "1 sigma", "90 % by profile", "unit"):
        table.add_column(column, justify="left" if column in ("parameter", "unit") else "right", overflow="fold")
    for row in report["parameters"]:
        error = "frozen" if row["frozen"] else "at its bound" if row["at_bound"] else _shown(row["error"])
        ends = " to ".join(_shown(v) for v in row["interval_90"]) if "interval_90" in row else ""
        table.add_row(row["name"], _shown(row["value"]), error, ends, row["unit"])
    console.print(table)
    name, sd = {"cstat": "C", "wstat": "W"}[report["statistic"]], report["expected_sd"]
    off = 0.0 if not sd else (report["value"] - report["expected"]) / sd
    console.print(
        f"{name} {report['value']:.2f}, expected {_shown(report['expected'])} +- {_shown(sd)} ({off:+.1f} sd), "
        f"{report['bins']} bins, {report['dof']} degrees of freedom, chi2/dof {_shown(report['chi2_dof'])}, "
        f"{report['counts']:.0f} counts"
    )
    for key, flux in report["flux"].items():
        console.print(
            f"flux {key}: {flux['erg_cm2_s']:.4g} +- {_shown(flux['erg_cm2_s_error'])} erg cm-2 s-1, "
            f"{flux['photons_cm2_s']:.4g} +- {_shown(flux['photons_cm2_s_error'])} photons cm-2 s-1"
        )
    for flag in report["flags"]:
        console.print(f"note: {flag}: C-stat in place of W-stat")
    if not report["converged"]:
        console.print("note: the fit did not converge")


def show_posterior(console: Console, posterior: dict[str, Any]) -> None:
    """Print the table of a posterior with its priors."""
    table = Table(title=f"posterior by {posterior['sampler']}, {posterior['seconds']:.1f} s, seed {posterior['seed']}")
    for column in ("parameter", "mean", "sd", "90 %", "ESS", "R-hat", "prior"):
        table.add_column(column, justify="left" if column in ("parameter", "prior") else "right", overflow="fold")
    for row in posterior["parameters"]:
        ends = " to ".join(_shown(v) for v in row["interval_90"])
        figures = (_shown(row["mean"]), _shown(row["sd"]), ends, _shown(row["ess"], 3), _shown(row["r_hat"], 4))
        table.add_row(row["name"], *figures, row["prior"])
    console.print(table)


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _shown(value: float | None, digits: int = 4) -> str:
    return "unknown" if value is None else f"{value:.{digits}g}"
