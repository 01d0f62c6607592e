"""Real stars: the emission measures of HR 1099 and AU Mic beside those that others have published.

python -m bench.corona.stars DATA      (DATA: folder with demo_v711Tau.save and MCMC_AUMIC.demo.save)
"""

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from analyse.corona.dem import Dem, Seen, invert
from analyse.corona.dem_posterior import bands_of, names_of, sample_dem
from analyse.corona.star import CONSTRAINED, LOG_T, Plan, analyse_fluxes, analyse_spectrum
from analyse.corona.templates import LOG_N, emissivities, of_fluxes
from bench.figures import write
from stream.corona.fluxes import Fluxes
from stream.corona.hot import shipped_hot
from stream.corona.observed import Observed
from stream.transport.corona_spectra import read_corona
from stream.transport.idlsave import read_idl

COMMAND: Final = "python -m bench.corona.stars"
BAND_A: Final = (1.7, 26.0)
REGION_A: Final = (12.1, 15.1)  # Ne X to Fe XVII
NEX, FE17 = 12.134, 15.013
LINES: Final = (
    ("o_7", 21.602),
    ("o_8", 18.967),
    ("ne_9", 13.447),
    ("ne_10", 12.132),
    ("mg_11", 9.169),
    ("mg_12", 8.419),
    ("si_13", 6.648),
    ("si_14", 6.180),
)
COPIED: Final = 8  # row of the published emissivities that is that of another wavelength
DOUBLET_A: Final = 0.009


def hr1099(data: Path) -> dict[str, tuple[Any, ...]]:
    """Return figures of HR 1099's HETG spectrum."""
    path, began = data / "demo_v711Tau.save", time.process_time()
    observed = read_corona(path)
    assert isinstance(observed, Observed)
    found = analyse_spectrum(observed, Plan(band_a=BAND_A))
    seconds = time.process_time() - began
    dem, measured, features = found.dem, found.measured, found.features
    assert dem is not None
    assert measured is not None
    assert features is not None
    assert found.chosen is not None
    assert found.forward is not None
    at = features.wavelength_a
    inside = (at > REGION_A[0]) & (at < REGION_A[1])
    nex, fe17 = (int(np.argmin(np.abs(at - w))) for w in (NEX, FE17))
    held = read_idl(path)
    theirs_t, theirs = (np.asarray(held[k], float) for k in ("logt_v711tau", "dem_v711tau"))
    shape = np.interp(LOG_T, theirs_t, theirs)
    fitted = invert(fixed_shape(dem.seen, shape), 100.0)
    whole = analyse_spectrum(observed, Plan(band_a=BAND_A, use="spectrum", join=4)).dem
    assert whole is not None
    second = int(np.argmin(np.abs(LOG_T - 6.9)))
    cov = dem.covariance
    best = int(np.argmax(dem.log_dem))
    apart = np.sqrt(cov[best, best] + cov[second, second] - 2 * cov[best, second]) / np.log(10)
    return {
        "hr1099_offset": (found.offset_a, "A"),
        "hr1099_lines_identified": (int(measured.found.sum()), "lines"),
        "hr1099_lines_12_to_15": (int((measured.found & inside).sum()), "lines"),
        "hr1099_ne_x_12.13": (float(measured.significance[nex]), "sigma"),
        "hr1099_fe_xvii_15.01": (float(measured.significance[fe17]), "sigma"),
        "hr1099_dem_peak": (dem.peak, "log T"),
        "hr1099_dem_peak_published": (float(theirs_t[np.argmax(theirs)]), "log T"),
        "hr1099_dem_peak_whole_spectrum": (whole.peak, "log T"),
        "hr1099_whole_spectrum_statistic": (whole.statistic / len(whole.seen.data), "per bin"),
        "hr1099_dem_6.9_below_peak": (float(dem.log_dem[best] - dem.log_dem[second]), "dex"),
        "hr1099_dem_6.9_below_peak_error": (float(apart), "dex"),
        "hr1099_dem_data": (len(dem.seen.data), "lines"),
        "hr1099_misfit_ours": (misfit(dem), "chi2 with atomic scatter"),
        "hr1099_misfit_published_dem": (misfit(fitted), "chi2 with atomic scatter"),
        "hr1099_cpu": (seconds, "CPU-s"),
    }


def misfit(dem: Dem) -> float:
    """Return chi-squared of fluxes and of the factors of their emissivities."""
    k, e, lines, _ = dem.seen.sizes
    factor = dem.x[k + e : k + e + lines]
    return dem.statistic + float(((factor / dem.seen.scatter) ** 2).sum())


def fixed_shape(seen: Seen, dem: Any) -> Seen:
    """Return what sees only one shape of emission measure, at four equal nodes: its height is free."""
    part = dem / dem.sum() / 4
    one = np.einsum("ekd,k->ed", seen.templates, part)
    each = seen.emissivity @ part
    templates, emissivity = np.repeat(one[:, None], 4, axis=1), np.repeat(each[:, None], 4, axis=1)
    return replace(seen, log_t=np.array([6.0, 6.1, 6.2, 6.3]), templates=templates, emissivity=emissivity)


def densities(data: Path) -> dict[str, tuple[Any, ...]]:
    """Return the density of HR 1099 where it is free."""
    observed = read_corona(data / "demo_v711Tau.save")
    assert isinstance(observed, Observed)
    found = analyse_spectrum(observed, Plan(band_a=BAND_A, free_n=True))
    return {"hr1099_log_n": (found.log_n, "dex"), "hr1099_log_n_error": (found.log_n_error, "dex")}


def aumic(data: Path) -> dict[str, tuple[Any, ...]]:
    """Return figures of AU Mic's line fluxes."""
    fluxes = read_corona(data / "MCMC_AUMIC.demo.save")
    assert isinstance(fluxes, Fluxes)
    dem = analyse_fluxes(fluxes, Plan()).dem
    assert dem is not None
    low, high = (np.log10(fluxes.published[name]) for name in ("low", "high"))
    draws = sample_dem(dem, 0)
    q = bands_of(dem, draws)
    n = len(low)
    out: dict[str, tuple[Any, ...]] = {
        "aumic_bins": (n, "bins"),
        "aumic_bins_constrained": (int((dem.error <= CONSTRAINED).sum()), "bins"),
        "aumic_agree": (100.0 * meets(q[1], q[3], low, high) / n, "% of bins, 68 % intervals meet"),
        "aumic_most_probable_agrees": (100.0 * meets(*band(dem), low, high) / n, "% of bins, 68 % intervals meet"),
        "aumic_median_inside": (100.0 * meets(q[2], q[2], low, high) / n, "% of bins, ours within their 68 %"),
        "aumic_chi2": (dem.statistic, f"of {len(fluxes.flux)} fluxes"),
        "aumic_gates": (draws.fault(names_of(dem)) or "passed", ""),
        "aumic_posterior": (draws.seconds, "s"),
    }
    ours = own_emissivities(fluxes)
    keep = np.arange(len(fluxes.flux)) != COPIED
    names = tuple(np.array(fluxes.element)[keep])
    measured = (fluxes.flux[keep], fluxes.sigma[keep])
    for key, light, scatter in (("their", fluxes.emissivity, 0.0), ("our", ours, 0.1)):
        other = invert(of_fluxes(measured, light[keep], names, fluxes.log_t, scatter))
        agree = 100.0 * meets(*band(other), low, high) / n
        out[f"aumic_{key}_emissivities_without_5.85"] = (agree, "% of bins, 68 % intervals meet")
    both = invert(of_fluxes((fluxes.flux, fluxes.sigma), ours, fluxes.element, fluxes.log_t, 0.1))
    out["aumic_our_emissivities_with_5.85"] = (100.0 * meets(*band(both), low, high) / n, "% of bins")
    same = np.allclose(read_idl(data / "MCMC_AUMIC.demo.save")["emis"][COPIED], _emis(data)[9])
    out["aumic_emissivity_of_5.85_is_that_of_20"] = (bool(same), "")
    return out


def _emis(data: Path) -> Any:
    return read_idl(data / "MCMC_AUMIC.demo.save")["emis"]


def band(dem: Dem) -> tuple[Any, Any]:
    """Return the 1 sigma band of an emission measure."""
    return dem.log_dem - dem.error, dem.log_dem + dem.error


def meets(low: Any, high: Any, other_low: Any, other_high: Any) -> int:
    """Return in how many bins two intervals meet."""
    return int(((high >= other_low) & (low <= other_high)).sum())


def own_emissivities(fluxes: Fluxes) -> Any:
    """Return what our tables make of the same lines and continua, in the units of the fluxes."""
    lines, continuum = shipped_hot()
    unit = lines.hydrogen_per_electron * np.log(10.0) / 1e14
    out = np.zeros_like(fluxes.emissivity)
    for i, (ion, at) in enumerate(LINES):
        rows = np.flatnonzero((lines.ion == ion) & (np.abs(lines.wavelength_a - at) < DOUBLET_A))
        out[i] = unit * emissivities(lines, rows, fluxes.log_t, LOG_N).sum(axis=0)
    for i in range(len(LINES), len(out)):
        at = fluxes.wavelength_a[i]
        photons = np.exp(continuum.on(np.array([at - 0.05, at + 0.05]))[:, :, 0]).sum(axis=0) / 0.1
        out[i] = unit * np.interp(fluxes.log_t, continuum.log_t, photons)
    return out


def main() -> None:
    """Measure, and write docs/figures/corona_stars.json."""
    data = Path(sys.argv[1] if len(sys.argv) > 1 else "../shared/data/coronal")
    write("corona_stars", COMMAND, {**hr1099(data), **densities(data), **aumic(data)})


if __name__ == "__main__":
    main()
