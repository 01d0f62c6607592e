"""The spectral engine: time of a fit, pulls and coverage of simulated spectra, two real spectra."""

import argparse
import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from scipy.optimize import least_squares

from bench import figures
from bench.sources import pulls
from stream.spectra.absorption import mean_cross_section
from stream.spectra.fit import Fit, fit_many, fit_spectrum
from stream.spectra.grid import Grid
from stream.spectra.model import parse_model
from stream.spectra.response import Response
from stream.spectra.spectrum import Spectrum
from stream.transport.ogip import read_observation, read_response
from stream.transport.pictures import GREY, VERMILION, picture, plain_ticks

COMMAND = "python -m bench.sources.spectra"
ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("RAYSIEVE_DATA", ROOT / ".." / "shared" / "data")) / "responses"
BAND = (0.5, 8.0)
COUNTS = (50, 200, 1000, 10_000, 50_000)
TRUTHS = {
    "tbabs*powerlaw": {"tbabs.nH": 0.3, "powerlaw.PhoIndex": 1.8},
    "tbabs*bremss": {"tbabs.nH": 0.3, "bremss.kT": 3.0},
    "tbabs*bbody": {"tbabs.nH": 0.3, "bbody.kT": 0.5},
    "tbabs*apec": {"tbabs.nH": 0.3, "apec.kT": 1.0},
}
PN_MODEL = "tbabs*(powerlaw + gaussian + gaussian + gaussian + gaussian)"
PN_LINES = {"gaussian.LineE": 6.44, "gaussian_2.LineE": 7.03, "gaussian_3.LineE": 1.84, "gaussian_4.LineE": 2.43}
Figures = dict[str, tuple[Any, ...]]


def speed(rounds: int) -> Figures:
    """The fit of section 1 beside the prototype's method, CPU time, alternating in one run."""
    response = acis("cy0")
    model, start = parse_model("tbabs*powerlaw"), np.array([0.1, 1.5, 5e-4])
    truth = {"tbabs.nH": 0.3, "powerlaw.PhoIndex": 1.8, "powerlaw.norm": 1e-3}
    told, seconds = pulls.scale(model, truth, response, 15_474)
    spectrum = pulls.simulate(told, response, seconds, 1)
    rival = prototype(spectrum, response)
    ours, theirs, free = [], [], []
    for _ in range(rounds):
        ours.append(milliseconds(lambda: fit_spectrum(model, spectrum, response, band_kev=BAND, start=start)))
        free.append(milliseconds(lambda: fit_spectrum(model, spectrum, response, band_kev=BAND)))
        theirs.append(milliseconds(rival))
    many = [pulls.simulate(told, response, seconds / 15, n) for n in range(100)]
    batch = milliseconds(lambda: fit_many(model, many, response, band_kev=BAND))
    fit = fit_spectrum(model, spectrum, response, band_kev=BAND, start=start)
    ratios = np.array(theirs) / np.array(ours)
    out: Figures = {
        "fit of 512 channels, 15,474 counts": (float(np.median(ours)), "ms", tuple(np.percentile(ours, (16, 84)))),
        "fit without a given start": (float(np.median(free)), "ms", tuple(np.percentile(free, (16, 84)))),
        "prototype's method": (float(np.median(theirs)), "ms", tuple(np.percentile(theirs, (16, 84)))),
        "prototype's method / ours": (float(np.median(ratios)), "", tuple(np.percentile(ratios, (16, 84)))),
        "100 sources of 1,000 counts": (batch / 1e3, "s"),
        "error of nH, cycle 0": (fit["tbabs.nH"][1], "1e22 cm-2"),
        "error of PhoIndex, cycle 0": (fit["powerlaw.PhoIndex"][1], ""),
    }
    for name, other in (("cycle 19", acis("cy19")), ("3c273", read_observation(DATA / "3c273" / "3c273.pi")[1])):
        told, seconds = pulls.scale(model, truth, other, 15_474)
        fit = fit_spectrum(model, pulls.simulate(told, other, seconds, 1), other, band_kev=BAND)
        out[f"error of nH, {name}"] = (fit["tbabs.nH"][1], "1e22 cm-2")
        out[f"error of PhoIndex, {name}"] = (fit["powerlaw.PhoIndex"][1], "")
    return out


def prototype(spectrum: Spectrum, response: Response) -> Callable[[], Any]:
    """Return the fit as the prototype did it: scipy's CSR matrix and MINPACK on the same residuals, prepared."""
    inside = response.band(*BAND).channels
    low, high = response.energy_lo_kev, response.energy_hi_kev
    sigma = mean_cross_section(Grid.of(low, high))
    matrix = scipy.sparse.csr_matrix((response.dense() * spectrum.exposure_s)[:, inside].T)
    counts = spectrum.counts[inside]

    def residuals(p: NDArray[np.float64]) -> NDArray[np.float64]:
        flux = np.exp(p[2] - abs(p[0]) * sigma) * (high ** (1 - p[1]) - low ** (1 - p[1])) / (1 - p[1])
        model = np.maximum(matrix @ flux, 1e-20)
        logs = np.where(counts > 0, counts * np.log(np.where(counts > 0, counts, 1) / model), 0)
        return np.sign(counts - model) * np.sqrt(np.maximum(2 * (model - counts + logs), 0))

    return lambda: least_squares(residuals, [0.1, 1.5, np.log(5e-4)], method="lm")


def milliseconds(work: Callable[[], Any]) -> float:
    """Return the CPU time of a call."""
    begin = time.process_time()
    work()
    return (time.process_time() - begin) * 1e3


def simulated(spectra: int, models: tuple[str, ...]) -> Figures:
    """Pulls and coverage of each model and number of counts."""
    response, out = acis("cy0"), Figures()
    for text in models:
        truth = TRUTHS[text]
        for counts in COUNTS:
            found = pulls.measure(parse_model(text), truth, response, counts, spectra)
            key = f"{text}, {counts} counts"
            out[f"{key}: not converged"] = (found.failed, f"of {spectra}")
            out[f"{key}: goodness, width of (C - expected) / sd"] = (float(found.goodness.std()), "")
            for i, name in enumerate(found.names):
                out |= _row(f"{key}: {name}", found, i)
            print(f"{key}: {time.process_time():.0f} s", flush=True)
    return out


def _row(key: str, found: pulls.Pulls, i: int) -> Figures:
    n = len(found.root)
    out: Figures = {f"{key}: at a bound": (float(found.at_bound[:, i].mean()), "")}
    for kind, values in (("profile", found.root[:, i]), ("covariance", found.wald[:, i])):
        good = values[np.isfinite(values)]
        mean, width = float(good.mean()), float(good.std())
        error = width / np.sqrt(len(good))
        out[f"{key}: mean of pulls, {kind}"] = (mean, "", (mean - error, mean + error))
        out[f"{key}: width of pulls, {kind}"] = (width, "", (width - error / 1.4142, width + error / 1.4142))
        for level in pulls.LEVELS:
            share = float(found.covered(found.names[i], level, kind).mean())
            spread = np.sqrt(share * (1 - share) / n)
            out[f"{key}: coverage {level} %, {kind}"] = (share, "", (share - spread, share + spread))
    return out


def real() -> Figures:
    """3C 273 and the EPIC-pn spectrum: fit, goodness, stability against binning, pictures."""
    out: Figures = {}
    line = {"frozen": False}
    pn = parse_model(PN_MODEL).set(**{k: {"value": v} for k, v in PN_LINES.items()}).set(**{"gaussian.Sigma": line})
    folder = DATA / "pn"
    names = (folder / f"pn{end}.gz" for end in ("_spec.fits", ".rmf", ".arf", "_backspec.fits"))
    sets = (
        ("3c273", parse_model("tbabs*powerlaw"), read_observation(DATA / "3c273" / "3c273.pi"), (0.5, 8.0)),
        ("pn", pn, read_observation(*names), (0.5, 10.0)),
    )
    for name, model, (spectrum, response), band in sets:
        plain = replace(spectrum, grouping=np.zeros_like(spectrum.grouping))
        fits = {least: fit_spectrum(model, plain.grouped(least), response, band_kev=band) for least in (1, 5, 20)}
        fit = fits[20]
        out |= _report(name, fit)
        moved = [abs(f.values - fit.values) / np.where(fit.errors > 0, fit.errors, np.nan) for f in fits.values()]
        out[f"{name}: largest change by binning 1, 5, 20"] = (float(np.nanmax(moved)), "sigma")
        draw(name, fit, response)
    return out


def _report(name: str, fit: Fit) -> Figures:
    out: Figures = {
        f"{name}: {fit.statistic}": (fit.value, f"{fit.bins} bins"),
        f"{name}: expected": (fit.expected, "", (fit.expected - fit.expected_sd, fit.expected + fit.expected_sd)),
        f"{name}: chi2 / dof": (fit.chi2_dof, f"{fit.dof} dof"),
    }
    for parameter, value, error in zip(fit.model.parameters, fit.values, fit.errors, strict=True):
        out[f"{name}: {parameter.name}"] = (float(value), parameter.unit, (float(value - error), float(value + error)))
    for absorbed in (True, False):
        flux = fit.flux(2.0, 8.0, absorbed=absorbed)
        ends = (flux.erg - flux.erg_error, flux.erg + flux.erg_error)
        out[f"{name}: flux 2-8 keV, {'' if absorbed else 'un'}absorbed"] = (flux.erg, "erg cm-2 s-1", ends)
    return out


def draw(name: str, fit: Fit, response: Response) -> None:
    """Draw counts, model and residuals."""
    inside = fit.data.band.channels
    bounds = np.stack([response.e_min_kev, response.e_max_kev, np.ones(len(response.channel))])[:, inside]
    low, high, wide = fit.data.bins(bounds)
    energy, width = (low + high) / (2 * wide), high - low
    net = fit.data.counts - fit.data.alpha * fit.data.off if fit.data.off.size else fit.data.counts
    error = np.sqrt(np.maximum(fit.data.counts, 1))
    with picture(ROOT / "docs" / "pictures" / f"sources_fit_{name}.png", 7, 5) as figure:
        top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        top.errorbar(energy, net / width, error / width, width / 2, ".", ms=2, lw=0.6, color=GREY, label="counts")
        top.step(energy, fit.source_counts / width, where="mid", color=VERMILION, label=fit.model.text)
        top.set(xscale="log", yscale="log", ylabel="counts keV$^{-1}$")
        top.set_title(f"{name}: {fit.statistic} {fit.value:.0f}")
        top.set_ylim(bottom=max(float(np.min(fit.source_counts / width)) / 3, 1e-3))
        top.legend()
        bottom.axhline(0, color=VERMILION)
        bottom.plot(energy, (net - fit.source_counts) / error, ".", ms=2, color=GREY)
        bottom.set(xlabel="energy (keV)", ylabel="residual ($\\sigma$)")
        plain_ticks(bottom.xaxis, float(energy[0]), float(energy[-1]))


def acis(cycle: str) -> Response:
    """Return the response at ACIS-I's aim point."""
    return read_response(DATA / f"acisi_aimpt_{cycle}.rmf.gz", DATA / f"acisi_aimpt_{cycle}.arf.gz")


def main() -> None:
    """Measure and write the figures; with --only, the others stay as they are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=("speed", "pulls", "real"))
    parser.add_argument("--model", choices=TRUTHS, help="simulate this one alone")
    parser.add_argument("--spectra", type=int, default=1000, help="simulated for each model and number of counts")
    parser.add_argument("--rounds", type=int, default=101)
    options = parser.parse_args()
    models = (options.model,) if options.model else tuple(TRUTHS)
    parts = {"speed": lambda: speed(options.rounds), "pulls": lambda: simulated(options.spectra, models), "real": real}
    found: Figures = {}
    for part, work in parts.items():
        if options.only in (None, part):
            found |= {f"{part}: {key}": row for key, row in work().items()}
    path = figures.FOLDER / "sources_spectra.json"
    kept = json.loads(path.read_text()) if options.only and path.is_file() else {}
    figures.write("sources_spectra", COMMAND, found, kept)


if __name__ == "__main__":
    main()
