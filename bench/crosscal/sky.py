"""ACIS against EPIC: clusters drawn after the published relation, and the area of EPIC-pn that would explain it.

    python -m bench.crosscal.sky DATA      # DATA: folder with responses/pn

Schellenberger et al. 2015 (A&A 575, A30): 64 HIFLUGCS clusters, EPIC below ACIS by 23 % at 10 keV, log T_X = 0.889
log T_C in 0.7-7 keV. Drawn here, since the measured table is not at hand: kT as in such a sample, errors of 3 % and an
intrinsic scatter of 5 % (both assumed). EPIC-pn is taken as the biased one; the same data say as well that ACIS is.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from analyse.crosscal.identify import ENERGIES_KEV
from analyse.crosscal.law import Curves, GridLaw
from analyse.crosscal.plots import plot_study
from analyse.crosscal.study import Plan, Study, local_law, study
from analyse.crosscal.table import Clusters
from bench import figures
from sim.crosscal.grid import GridPlan, Inputs, simulate_grid
from sim.crosscal.sets import read_grid
from sim.crosscal.templates import Setting

COMMAND: Final = "python -m bench.crosscal.sky DATA"
SLOPE: Final = 0.889  # of log T_X by log T_C, intercept 0
COUNT: Final = 64
ERROR, SCATTER = 0.03, 0.05  # assumed
KT_KEV: Final = (0.7, 15.0)
TAU: Final = 0.1
BAND_KEV: Final = (0.7, 7.0)
SHOWN_KEV: Final = (0.8, 1.0, 1.5, 3.0, 4.0, 5.0, 6.0, 7.0)
REFERENCE_KEV: Final = 2.0  # temperatures tell the shape only: areas are told relative to here
OUT: Final = Path("out/crosscal/sky")
Floats = NDArray[np.float64]


def draw(seed: int = 64) -> Clusters:
    """Return 64 clusters after the relation: 0 is ACIS, 1 EPIC."""
    rng = np.random.default_rng(seed)
    kt = np.exp(np.clip(rng.normal(np.log(4.5), 0.6, COUNT), *np.log(KT_KEV)))
    seen = kt**SLOPE * np.exp(SCATTER * rng.standard_normal(COUNT))
    kt_0, kt_1 = (t * np.exp(ERROR * rng.standard_normal(COUNT)) for t in (kt, seen))
    return Clusters(tuple(f"C{i + 1:02d}" for i in range(COUNT)), kt_0, ERROR * kt_0, kt_1, ERROR * kt_1)


def relation(clusters: Clusters, kt_1: Floats) -> tuple[float, float, float]:
    """Return slope, and ln ratio at 1 and 10 keV, of ln T1 by ln T0, with errors of both and a scatter."""
    x, y = np.log(clusters.kt_0), np.log(kt_1)

    def minus_ln(q: Floats) -> float:
        variance = ERROR**2 * (1 + q[0] ** 2) + np.exp(2 * q[2])
        return float(0.5 * ((y - q[1] - q[0] * x) ** 2 / variance + np.log(variance)).sum())

    slope, offset, _ = minimize(minus_ln, [1.0, 0.0, np.log(SCATTER)], method="Nelder-Mead").x
    return float(slope), float(offset), float(offset + (slope - 1) * np.log(10.0))


def measured(clusters: Clusters, kt_1: Floats) -> dict[str, tuple[Any, ...]]:
    """Return slope and dT/T at 1 and 10 keV with 68 % intervals, clusters drawn again."""
    rng, found = np.random.default_rng(3), []
    for _ in range(200):
        rows = rng.integers(0, len(clusters), len(clusters))
        found.append(relation(clusters.take(rows), kt_1[rows]))
    value = relation(clusters, kt_1)
    ends = np.quantile(found, [0.16, 0.84], axis=0).T
    percent = [(100 * np.expm1(v), "%", tuple(100 * np.expm1(e))) for v, e in zip(value[1:], ends[1:], strict=True)]
    return {
        "slope of log T_X by log T_C": (value[0], "", tuple(ends[0])),
        "dT/T at 1 keV": percent[0],
        "dT/T at 10 keV": percent[1],
    }


def told(found: Study, name: str) -> dict[str, tuple[Any, ...]]:
    """Return the figures of one family."""
    assert found.draws is not None
    assert found.held_out is not None
    law, family = found.density.law, found.density.prior.family
    out = {f"as they are: {key}": value for key, value in measured(found.clusters, found.clusters.kt_1).items()}
    out |= {
        f"{name}: {key}, corrected, held out": v for key, v in measured(found.clusters, found.held_out.kt_1).items()
    }
    mean, error = found.held_out.mean(found.held_out.deviation)
    out[f"{name}: mean dT/T, corrected, held out"] = (100 * mean, "%", (100 * (mean - error), 100 * (mean + error)))
    theta = found.theta[:: max(len(found.theta) // 1000, 1)]
    ten = np.expm1(Curves(law.ln_kt, law.ln_ratio(theta)).at(np.full((len(theta), 1), np.log(10.0)))[0][:, 0])
    out[f"{name}: dT/T that the correction gives at 10 keV"] = _interval(100 * ten, "%")
    factor = family.factor(theta, [REFERENCE_KEV, *SHOWN_KEV])
    for i, energy in enumerate(SHOWN_KEV):
        key = f"{name}: true over nominal area at {energy:g} keV, over that at {REFERENCE_KEV:g} keV"
        out[key] = _interval(factor[:, 1 + i] / factor[:, 0], "")
    scatter = found.draws.variables.reshape(-1, found.draws.variables.shape[-1])[:, -1]
    out[f"{name}: scatter of ln T_X (drawn: {SCATTER:g})"] = _interval(scatter, "")
    out[f"{name}: chi2 before; after"] = (found.chi2[0], f"; {found.chi2[1]:.1f} of {COUNT} (no scatter)")
    out[f"{name}: gates passed"] = (int(found.draws.fault(list(found.density.prior.names)) is None), "")
    ways = found.directions
    out[f"{name}: directions whose sd is below half the prior's"] = (int((ways.narrower < 0.5).sum()), "")
    out[f"{name}: directions"] = (len(ways.narrower), "")
    return out


def _interval(values: Floats, unit: str) -> tuple[float, str, tuple[float, float]]:
    low, middle, high = (float(v) for v in np.quantile(values, [0.16, 0.5, 0.84]))
    return middle, unit, (low, high)


def main() -> None:
    """Infer with a spline and with a Gaussian; column density fixed, and free."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("data", type=Path)
    folder = arguments.parse_args().data / "responses" / "pn"
    inputs, clusters, rows = Inputs(str(folder / "pn.arf.gz"), str(folder / "pn.rmf.gz")), draw(), {}
    plan = Plan(TAU, 0.3, seed=1)
    rows |= splined(clusters, inputs, plan, False)
    figures.write("crosscal_sky", COMMAND, rows)
    grid = OUT / "gaussian.h5"
    axes = (np.geomspace(0.3, 10, 14), np.geomspace(0.3, 4, 6), np.linspace(-0.4, 0.4, 5))
    names = ("mu_kev", "sigma_kev", "amplitude")
    given = {key: tuple(values.round(6).tolist()) for key, values in zip(names, axes, strict=True)}
    kt = tuple(np.geomspace(0.6, 17.0, 14).round(4).tolist())
    made = GridPlan("gaussian", given, kt_kev=kt, setting=Setting(nh_free=False, band_kev=BAND_KEV))
    for _ in simulate_grid(grid, made, inputs):
        pass
    found = study(clusters, GridLaw.of(read_grid(grid), "grid of EPIC-pn"), replace(plan, tau=None))
    rows |= told(found, "Gaussian, nH fixed")
    draw_pictures(found, "Gaussian, nH fixed")
    figures.write("crosscal_sky", COMMAND, rows)
    rows |= splined(clusters, inputs, plan, True)
    figures.write("crosscal_sky", COMMAND, rows)


def splined(clusters: Clusters, inputs: Inputs, plan: Plan, free: bool) -> dict[str, tuple[Any, ...]]:
    """Return the figures of the spline, column density free or fixed."""
    name = f"spline, nH {'free' if free else 'fixed'}"
    law = local_law(clusters, "spline:6", inputs, Setting(nh_free=free, band_kev=BAND_KEV), TAU, 1)
    found = study(clusters, law, plan)
    draw_pictures(found, name)
    told_law = {f"{name}: error of the law, median; 99 %": (100 * law.error, f"; {100 * law.worst:.2g} % of T")}
    return told(found, name) | told_law


def draw_pictures(found: Study, name: str) -> None:
    """Draw all of one family, in a folder of its own; of the first also docs/pictures."""
    folder = OUT / name.replace(", ", "_").replace(" ", "_")
    folder.mkdir(parents=True, exist_ok=True)
    plot_study(folder, found)
    np.save(folder / "bands.npy", np.stack([ENERGIES_KEV, *found.bands()[0]]))


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    main()
