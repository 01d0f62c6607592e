"""What was found of a source, as JSON and as tables on the screen."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from analyse.diagnostics import Draws
from analyse.lat.bands import Band, Curve
from analyse.lat.fit import CURVE, FLUX, SLOPE, Fit, Part, X, Y
from analyse.lat.posterior import Density, columns
from analyse.lat.source import R68, R95, Analysis, away_deg, ellipse_of
from analyse.lat.spectra import INDEX, KINDS, energy_flux
from stream.lat.bands import EDGES_MEV
from stream.lat.exposure import WEIGHT_MEV
from stream.lat.patch import to_sky
from stream.lat.scene import UNIT
from stream.lat.sphere import equatorial, names

Floats = NDArray[np.float64]
FLUX_UNIT: Final = "photons cm-2 s-1"
NAMES: Final = {"powerlaw": "power law", "logparabola": "log-parabola", "plec": "cut-off"}


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """All that there is to tell."""

    analysis: Analysis
    bands: Sequence[Band]
    curve: Curve | None
    about: dict[str, Any]  # window, exposure, responses, ...
    notes: list[str]


def describe(told: Told) -> dict[str, Any]:
    """Return all that lat.json holds; what is not known is None."""
    found, analysis = told.analysis.best, told.analysis
    own = found.parts[0]
    curved = {kind: analysis.curved(kind) for kind in analysis.models if kind != "powerlaw"}
    report: dict[str, Any] = {
        "source": own.name,
        "ts": analysis.ts,
        "place": _place(found),
        "spectrum": analysis.kind,
        "models": {kind: _model(one) for kind, one in analysis.models.items()},
        "ts_curv": curved,
        "upper_limit_95": None if analysis.limit is None else UNIT * float(np.exp(analysis.limit)),
        "bands": [asdict(one) for one in told.bands],
        "light_curve": None if told.curve is None else _curve(told.curve, found),
        "diffuse_norms": _norms(found),
        "neighbours": [_neighbour(found, k) for k in range(1, len(found.parts))],
        "flux_unit": f"{FLUX_UNIT}, 1 to 100 GeV; of bands: in the band",
        **told.about,
        "notes": told.notes,
    }
    return report


def _place(found: Fit) -> dict[str, Any]:
    patch, theta = found.region.patch, found.parts[0].theta
    lon, lat = (float(v) for v in to_sky(patch.glon_deg, patch.glat_deg, *theta[:FLUX]))
    ra, dec = (float(v) for v in equatorial(lon, lat))
    out: dict[str, Any] = {"glon_deg": lon, "glat_deg": lat, "ra_deg": ra, "dec_deg": dec}
    ellipse = ellipse_of(found)
    if ellipse is None:
        return out | {"fitted": False}
    step = 1e-3
    along = theta[X] + step * np.cos(ellipse.angle_rad), theta[Y] + step * np.sin(ellipse.angle_rad)
    ra2, dec2 = (float(v) for v in equatorial(*to_sky(patch.glon_deg, patch.glat_deg, *along)))
    angle = np.degrees(np.arctan2((ra2 - ra) * np.cos(np.radians(dec)), dec2 - dec)) % 180
    return out | {
        "fitted": True,
        "name": names("RSV", [ra], [dec])[0],
        "r68_deg": ellipse.r68_deg,
        "r95_deg": ellipse.r95_deg,
        "semi_major_68_deg": R68 * ellipse.major_deg,
        "semi_minor_68_deg": R68 * ellipse.minor_deg,
        "semi_major_95_deg": R95 * ellipse.major_deg,
        "semi_minor_95_deg": R95 * ellipse.minor_deg,
        "position_angle_deg": float(angle),  # of the longer axis, east of celestial north
    }


def _model(found: Fit) -> dict[str, Any]:
    own = found.parts[0]
    flux = UNIT * float(np.exp(own.theta[FLUX]))
    out: dict[str, Any] = {
        "log_likelihood": found.value,
        "flux": flux,
        "flux_error": _number(flux * found.error(0, FLUX)),
        "index": float(own.theta[SLOPE]),
        "index_error": _number(found.error(0, SLOPE)),
        "energy_flux_erg_cm2_s": energy_flux(own.kind, *own.theta[FLUX:].tolist()),
        "settled": found.settled,
        "index_at_bound": bool(np.abs(np.array(INDEX) - own.theta[SLOPE]).min() < 1e-6),
    }
    name = KINDS[own.kind].curve
    if name:
        out |= {name: float(own.theta[CURVE]), f"{name}_error": _number(found.error(0, CURVE))}
    return out


def _curve(curve: Curve, found: Fit) -> dict[str, Any]:
    flux = UNIT * float(np.exp(found.parts[0].theta[FLUX]))
    rows = [
        {
            "year": year,
            "flux": flux * p.scale,
            "flux_error": flux * p.error,
            "ts": p.ts,
            "upper_limit_95": None if p.limit is None else flux * p.limit,
        }
        for year, p in zip(curve.years, curve.points, strict=True)
    ]
    more = {"ts_var": curve.ts_var, "p_value": curve.p_value, "constant_flux": flux * curve.constant}
    return {"years": rows, **more}


def _norms(found: Fit) -> list[dict[str, Any]]:
    first = len(found.covariance) - found.norms.size
    errors = np.sqrt(np.diag(found.covariance)[first:]).reshape(found.norms.shape)
    return [
        {
            "low_mev": EDGES_MEV[band],
            "interstellar": float(row[0]),
            "interstellar_error": _number(sd[0]),
            "isotropic": float(row[1]),
            "isotropic_error": _number(sd[1]),
        }
        for band, (row, sd) in enumerate(zip(found.norms, errors, strict=True))
    ]


def flux_1000(part: Part) -> float:
    """Return photons cm-2 s-1 from 1 to 100 GeV, by the bands: the last one to 1 TeV counts whole, 1 % or less."""
    return float((part.spectrum(part.theta) * WEIGHT_MEV).sum(axis=1)[2:].sum())


def _neighbour(found: Fit, k: int) -> dict[str, Any]:
    part, patch = found.parts[k], found.region.patch
    lon, lat = (float(v) for v in to_sky(patch.glon_deg, patch.glat_deg, *part.theta[:FLUX]))
    flux = flux_1000(part)
    return {
        "name": part.name,
        "glon_deg": lon,
        "glat_deg": lat,
        "from_source_deg": float(np.hypot(*(part.theta[:FLUX] - found.parts[0].theta[:FLUX]))),
        "flux": flux,
        "flux_error": _number(flux * found.error(k, FLUX)),  # None: it stays as the fit of all had it
    }


def show(console: Console, report: dict[str, Any]) -> None:
    """Print what matters."""
    place = report["place"]
    console.print(f"{report['source']}: TS {report['ts']:.1f}, {report['window']}, {report['exposure']}")
    if place["fitted"]:
        console.print(
            f"l {place['glon_deg']:.4f} b {place['glat_deg']:.4f}, "
            f"RA {place['ra_deg']:.4f} Dec {place['dec_deg']:.4f}; "
            f"68 % within {place['r68_deg']:.4f}, 95 % within {place['r95_deg']:.4f} deg"
        )
    else:
        console.print(f"l {place['glon_deg']:.4f} b {place['glat_deg']:.4f}, as given")
    if report["upper_limit_95"] is not None:
        index = report["models"]["powerlaw"]["index"]
        console.print(f"not seen: flux below {report['upper_limit_95']:.3g} {FLUX_UNIT} (95 %, index {index:.2f})")
    else:
        console.print(_models(report))
    console.print(_bands(report))
    if report["light_curve"] is not None:
        console.print(_years(report["light_curve"]))
    for note in report["notes"]:
        console.print(f"note: {note}")


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, justify="right")
    return table


def _models(report: dict[str, Any]) -> Table:
    table = _table("spectra, flux from 1 to 100 GeV", "spectrum", "flux", "index at 2 GeV", "curvature", "TS_curv", "")
    for kind, row in report["models"].items():
        name, taken = KINDS[kind].curve, "taken" if kind == report["spectrum"] else ""
        bend = _pair(row[name], row[f"{name}_error"], "{:.3f}") if name else ""
        ts = f"{report['ts_curv'][kind]:.1f}" if kind in report["ts_curv"] else ""
        flux, index = (_pair(row[k], row[f"{k}_error"], form) for k, form in (("flux", "{:.3g}"), ("index", "{:.3f}")))
        table.add_row(NAMES[kind], flux, index, bend, ts, taken)
    return table


def _bands(report: dict[str, Any]) -> Table:
    table = _table("bands", "GeV", FLUX_UNIT, "E^2 dN/dE, erg cm-2 s-1", "TS")
    for row in report["bands"]:
        if row["limit"] is None:
            both = (("flux", "error"), ("e2dnde", "e2dnde_error"))
            told = [_pair(row[value], row[error], "{:.3g}") for value, error in both]
        else:
            told = [f"< {row['limit']:.3g}", f"< {row['e2dnde_limit']:.3g}"]
        table.add_row(f"{row['low_mev'] / 1e3:g}-{row['high_mev'] / 1e3:g}", *told, f"{row['ts']:.1f}")
    return table


def _years(curve: dict[str, Any]) -> Table:
    title = f"years: TS_var {curve['ts_var']:.1f}, by chance {curve['p_value']:.2g}"
    table = _table(title, "year", "flux from 1 to 100 GeV", "TS")
    for row in curve["years"]:
        limit = row["upper_limit_95"]
        told = f"< {limit:.3g}" if limit is not None else _pair(row["flux"], row["flux_error"], "{:.3g}")
        table.add_row(f"{2008 + row['year']}", told, f"{row['ts']:.1f}")
    return table


def _pair(value: float, error: float | None, form: str) -> str:
    return f"{form.format(value)} +- {'unknown' if error is None else form.format(error)}"


def describe_posterior(density: Density, draws: Draws, seed: int) -> dict[str, Any]:
    """Return what lat.json says of a posterior."""
    fault = draws.fault(density.prior.names)
    told = zip(columns(density, draws).items(), density.prior.stated(), draws.ess, draws.rhat, strict=True)
    rows = []
    for (name, (values, unit)), stated, ess, rhat in told:
        low, middle, high = np.quantile(values, [0.05, 0.5, 0.95])
        row = {"name": name, "unit": unit, "prior": stated, "mean": float(values.mean()), "sd": float(values.std())}
        row |= {"median": float(middle), "interval_90": [float(low), float(high)]}
        rows.append(row | {"ess": _number(ess), "r_hat": _number(rhat)})
    v = draws.variables
    away = np.hypot(*(v[..., k] - np.median(v[..., k]) for k in (X, Y)))
    radii = {f"r{share}_deg": float(np.quantile(away, share / 100)) for share in (68, 95)}
    more = {"sampler": draws.sampler, "seed": seed, "seconds": draws.seconds, **draws.about, **radii}
    return {**more, "passed": fault is None, "fault": fault, "parameters": rows}


def show_posterior(console: Console, posterior: dict[str, Any]) -> None:
    """Print the table of a posterior."""
    title = f"posterior by {posterior['sampler']}, seed {posterior['seed']}: 68 % within {posterior['r68_deg']:.4f} deg"
    table = _table(title, "parameter", "mean", "sd", "90 %", "ESS", "R-hat")
    for row in posterior["parameters"]:
        ends = " to ".join(f"{v:.5g}" for v in row["interval_90"])
        figures = f"{row['mean']:.6g}", f"{row['sd']:.3g}", ends, f"{row['ess'] or 0:.0f}", f"{row['r_hat'] or 0:.4f}"
        table.add_row(row["name"], *figures)
    console.print(table)


def notes_of(analysis: Analysis, peak: tuple[float, float, float]) -> list[str]:
    """Return what a user should know; peak: largest residual in sigma, and its galactic place."""
    found, out = analysis.best, []
    if not all(one.settled for one in (*analysis.models.values(), analysis.null)):
        out.append("a fit did not come to its end")
    if analysis.limit is None and np.abs(np.array(INDEX) - found.parts[0].theta[SLOPE]).min() < 1e-6:
        out.append("the index is at a bound")
    near = [p for p in found.parts[1:] if away_deg(p) < 0.5]
    if near:
        out.append(f"confused: {len(near)} neighbours within 0.5 degrees, {near[0].name}")
    if peak[0] > 5:
        out.append(f"a residual of {peak[0]:.1f} sigma at l {peak[1]:.2f} b {peak[2]:+.2f}: a source that is unknown?")
    return out


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
