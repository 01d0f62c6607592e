"""A real drift found again: ACIS-I of cycle 0 is what is believed, its area of cycle 19 is the truth.

    python -m bench.crosscal.drift DATA      # DATA: folder with responses/acisi_aimpt_cy{0,19}.{arf,rmf}.gz

Clusters are simulated through the area of cycle 19 (contamination: 424 to 111 cm2 at 1 keV) and fitted through that of
cycle 0 in 0.9-7 keV, nH free, redistribution of cycle 0 in both. A spline of six knots is inferred from temperatures
alone, with norms, and with norms and column densities; prior: ln areas of bands have a standard deviation of 1.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from analyse.crosscal.identify import ENERGIES_KEV
from analyse.crosscal.plots import plot_study
from analyse.crosscal.study import Plan, Study, local_law, study
from analyse.crosscal.table import OTHERS, Clusters
from bench import figures
from sim.crosscal.clusters import Sample, area_ratio, draw_temperatures
from sim.crosscal.grid import Inputs
from sim.crosscal.templates import Setting, Templates
from stream.crosscal.modifiers import middle_kev
from stream.spectra.absorption import mean_cross_section
from stream.spectra.grid import Grid
from stream.spectra.response import Response

COMMAND: Final = "python -m bench.crosscal.drift DATA"
FAMILY: Final = "spline:6"
TAU: Final = 1.0
COUNT: Final = 60
ERROR: Final = 0.03  # of temperatures and norms
NH_ERROR: Final = 0.01  # 1e22 cm-2
BAND_KEV: Final = (0.9, 7.0)  # below, the area falls at fluorine's edge (0.69 keV) as no smooth curve does
SHOWN_KEV: Final = (1.0, 1.2, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0)
OUT: Final = Path("out/crosscal/drift")
LEVELS: Final = {"temperatures": (), "with norms": (0,), "with norms and nH": (0, 1)}
ALIKE: Final = {  # what changes nothing that is measured: compared without it
    "temperatures": ("a constant", "an absorption"),
    "with norms": ("an absorption",),
    "with norms and nH": (),
}
Floats = NDArray[np.float64]


def observe(response: Response, plasma: Any, ratio: Floats, setting: Setting, seed: int = 19) -> Clusters:
    """Return clusters as both telescopes see them, with norms and column densities."""
    rng = np.random.default_rng(seed)
    kt = draw_temperatures(Sample(COUNT, kt_kev=(1.0, 12.0)), rng)
    seen = Templates(setting, response, plasma, kt).recover(ratio, np.empty(0))
    assert seen.converged[:, 0].all()
    kt_0, kt_1 = (t * np.exp(ERROR * rng.standard_normal(COUNT)) for t in (kt, seen.kt_kev[:, 0]))
    ln_norm = np.log(seen.norm[:, 0] / setting.norm) + ERROR * np.sqrt(2) * rng.standard_normal(COUNT)
    nh = seen.nh[:, 0] - setting.nh_1e22 + NH_ERROR * np.sqrt(2) * rng.standard_normal(COUNT)
    errors = np.stack([np.full(COUNT, ERROR), np.full(COUNT, NH_ERROR)]) * np.sqrt(2)
    names = tuple(f"C{i + 1:02d}" for i in range(COUNT))
    return Clusters(names, kt_0, ERROR * kt_0, kt_1, ERROR * kt_1, OTHERS, np.stack([ln_norm, nh]), errors)


def only(clusters: Clusters, which: tuple[int, ...]) -> Clusters:
    """Return the clusters with some of what they have besides temperatures."""
    rows = list(which)
    others = tuple(clusters.others[i] for i in rows)
    return replace(clusters, others=others, given=clusters.given[rows], given_err=clusters.given_err[rows])


def apart(ln: Floats, energies: Floats, alike: tuple[str, ...]) -> Floats:
    """Return ln factors (n, E) less what the data of a level cannot tell: a constant, and a slope as absorption has."""
    sigma = mean_cross_section(Grid.of(energies * 0.995, energies * 1.005))
    shapes = {"a constant": np.ones_like(energies), "an absorption": sigma / sigma.max()}
    if not alike:
        return ln
    q, _ = np.linalg.qr(np.stack([shapes[name] for name in alike], axis=1))
    return ln - ln @ q @ q.T


def told(found: Study, name: str, truth: Floats) -> dict[str, tuple[Any, ...]]:
    """Return how the inferred ratio compares with the true one (n,) at ENERGIES_KEV, where it is constrained."""
    family, p = found.density.prior.family, found.density.prior.p
    low, high = BAND_KEV
    inside = (low <= ENERGIES_KEV) & (high >= ENERGIES_KEV)
    energies, right = ENERGIES_KEV[inside], np.log(truth[inside])
    draws = (np.log(family.factor(t, energies)) for t in (found.theta[::2], found.prior_draws[:, :p]))
    ln, ln_prior = (apart(v, energies, ALIKE[name]) for v in draws)
    right = apart(right[None], energies, ALIKE[name])[0]
    middle, sd, before = ln.mean(axis=0), ln.std(axis=0), ln_prior.std(axis=0)
    known, off = sd < 0.5 * before, middle - right
    out: dict[str, tuple[Any, ...]] = {
        "told but for": (len(ALIKE[name]), f"{'; '.join(('', *ALIKE[name]))}" if ALIKE[name] else "nothing"),
        "part of the band constrained to half the prior's sd": (float(known.mean()), ""),
    }
    if known.any():
        out["rms of ln (inferred / known ratio), where constrained"] = (float(np.sqrt((off[known] ** 2).mean())), "")
        out["rms of ln (1 / known ratio), there: no correction"] = (float(np.sqrt((right[known] ** 2).mean())), "")
        out["sd of the posterior there, rms"] = (float(np.sqrt((sd[known] ** 2).mean())), "")
        within = float((np.abs(off / sd)[known] < 1.96).mean())
        out["known ratio within 95 % of the posterior, where constrained"] = (within, "")
    for energy in SHOWN_KEV:
        i = int(np.argmin(np.abs(np.log(energies / energy))))
        ends = tuple(float(v) for v in np.exp(middle[i] + sd[i] * np.array([-1.0, 1.0])))
        out[f"ratio at {energy:g} keV"] = (float(np.exp(middle[i])), "", ends)
        out[f"... known, at {energy:g} keV"] = (float(np.exp(right[i])), "")
    ways = found.directions
    few = int((ways.narrower < 0.1).sum()), int((ways.narrower < 0.5).sum())
    out["directions of 6 whose sd is below a tenth; half of the prior's"] = (few[0], f"; {few[1]}")
    out["chi2 of temperatures before; after"] = (found.chi2[0], f"; {found.chi2[1]:.1f} of {COUNT}")
    assert found.draws is not None
    out["gates passed"] = (int(found.draws.fault(list(found.density.prior.names)) is None), "")
    if found.held_out is not None:
        for key, what in (("before", "as they are"), ("deviation", "corrected, held out")):
            mean, error = found.held_out.mean(getattr(found.held_out, key))
            out[f"mean dT/T, {what}"] = (100 * mean, "%", (100 * (mean - error), 100 * (mean + error)))
    return {f"{name}: {key}": value for key, value in out.items()}


def main() -> None:
    """Infer from three kinds of data."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("data", type=Path)
    folder = arguments.parse_args().data / "responses"
    inputs = Inputs(str(folder / "acisi_aimpt_cy0.arf.gz"), str(folder / "acisi_aimpt_cy0.rmf.gz"))
    response, plasma = inputs.load()
    ratio = area_ratio(response, folder / "acisi_aimpt_cy19.arf.gz")
    truth = np.interp(ENERGIES_KEV, middle_kev(response), ratio)
    setting = Setting(nh_free=True, band_kev=BAND_KEV)
    clusters = observe(response, plasma, ratio, setting)
    rows: dict[str, tuple[Any, ...]] = {}
    for name, which in LEVELS.items():
        given = only(clusters, which)
        law = local_law(given, FAMILY, inputs, setting, TAU, 2)
        found = study(given, law, Plan(TAU, seed=2, hold_out=True))
        rows |= told(found, name, truth)
        rows[f"{name}: error of the law, median; 99 %"] = (100 * law.error, f"; {100 * law.worst:.2g} % of T")
        place = OUT / name.replace(" ", "_")
        place.mkdir(parents=True, exist_ok=True)
        plot_study(place, found, truth)
        figures.write("crosscal_drift", COMMAND, rows)


if __name__ == "__main__":
    main()
