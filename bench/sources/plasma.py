"""The shipped plasma table against APEC (PIMMS' spectra): fluxes, bands, fitted temperatures, interpolation."""

import argparse
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from bench import figures
from bench.sources.apec import Spectra, read_pimms, read_response, read_table
from sim.sources.chianti import K_KEV
from stream.transport.pictures import SIGNED, SOFT, STYLES, picture, plain_ticks

COMMAND = "python -m bench.sources.plasma"
DATA = Path(os.environ.get("RAYSIEVE_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))
TABLE = Path(__file__).parents[2] / "stream" / "spectra" / "data" / "plasma.npz"
PICTURE = Path(__file__).parents[2] / "docs" / "pictures" / "sources_plasma.png"
COUNTS = 10_000  # of the spectra whose temperature is fitted: sets nothing but the weight of empty channels
BANDS = np.round(np.arange(0.3, 8.01, 0.1), 2)
PARTS = {  # of the unfolded spectrum, keV
    "0.1-0.3 keV": (0.1, 0.3),
    "0.5-0.7 keV (O)": (0.5, 0.7),
    "0.7-1.2 keV (Fe L)": (0.7, 1.2),
    "1.2-2.1 keV (Mg, Si)": (1.2, 2.1),
    "4-6 keV (continuum)": (4.0, 6.0),
    "6.4-7 keV (Fe K)": (6.4, 7.0),
}
SHOWN = (0.1, 0.2, 0.35, 0.55, 0.9, 1.4, 2.1, 3.4, 5.4, 8.6)  # keV
Floats = NDArray[np.float64]
Figures = dict[str, tuple[Any, ...]]


def common(ours: Spectra, apec: Spectra) -> tuple[Spectra, Spectra]:
    """Return both at the temperatures that both have, of APEC's grid: a multiple of 0.1 dex.

    PIMMS' spectra halfway are straight lines in T between these (found from their fluxes): far off below 0.3 keV.
    """
    native = [n for n, t in enumerate(apec.log_t) if abs(10 * t - round(10 * t)) < 1e-6]
    pairs = [(int(np.argmin(abs(ours.log_t - apec.log_t[n]))), n) for n in native]
    pairs = [(i, n) for i, n in pairs if abs(ours.log_t[i] - apec.log_t[n]) < 1e-3]
    i, n = np.array(pairs).T
    return tuple(replace(s, log_t=s.log_t[k], photons=s.photons[k]) for s, k in ((ours, i), (apec, n)))


def fit(
    counts: Floats, log_t: Floats, light: Floats, metals: Floats, start: float, *, free: bool
) -> tuple[float, float]:
    """Return log T and abundance with the least C statistic; the norm is the best for each; abundance 1 unless free.

    counts (m,): expected, without noise; light, metals (k, m): folded table.
    """

    def statistic(p: Floats) -> float:
        at = float(np.clip(p[0], log_t[0], log_t[-1]))
        k = min(int(np.searchsorted(log_t, at, side="right")) - 1, len(log_t) - 2)
        w = (at - log_t[k]) / (log_t[k + 1] - log_t[k])
        z = abs(p[1]) if free else 1.0
        model = (1 - w) * (light[k] + z * metals[k]) + w * (light[k + 1] + z * metals[k + 1])
        model = np.maximum(model * counts.sum() / model.sum(), 1e-12)
        return float((model - counts * np.log(model)).sum())

    simplex = np.array([[start, 1.0], [start + 0.1, 1.0], [start, 1.3]])
    options = {"initial_simplex": simplex, "xatol": 1e-4, "fatol": 1e-4}
    found = minimize(statistic, simplex[0], method="Nelder-Mead", options=options).x
    return float(found[0]), float(abs(found[1])) if free else 1.0


def interpolation(spectra: Spectra, step: int) -> dict[str, Floats]:
    """Return the error (k,) of the 0.5-8 keV flux and of the worst 0.1 keV band (share of the flux: > 0.5 %).

    Each row from its neighbours `step` rows away: linear, and straight in both logarithms.
    """
    y = np.maximum(spectra.rebin(BANDS, energy=True), 1e-30)
    low, mid, high = y[: -2 * step], y[step:-step], y[2 * step :]
    worth = mid > 0.005 * mid.sum(1, keepdims=True)
    out = {}
    for name, guess in (("linear", 0.5 * (low + high)), ("logarithmic", np.sqrt(low * high))):
        out[f"{name} flux"] = abs(guess.sum(1) / mid.sum(1) - 1)
        out[f"{name} worst band"] = np.where(worth, abs(guess / mid - 1), 0).max(1)
    return out


def compare(ours: Spectra, apec: Spectra, metals: Floats) -> tuple[Figures, dict[str, Floats]]:
    """Return the figures, and the arrays for the picture."""
    responses = DATA / "responses"
    model, channels, area = read_response(responses / "acisi_aimpt_cy0.rmf.gz", responses / "acisi_aimpt_cy0.arf.gz")
    a, b = common(ours, apec)
    kt = K_KEV * 10**a.log_t
    flux = {f"{x}-8 keV": _ratio(a, b, np.array([x, 8.0])) for x in (0.3, 0.5)}
    used = (channels[:-1] > 0.5) & (channels[1:] < 8)
    folded = [s.rebin(model) @ area[:, used] for s in (a, b)]
    bins = np.digitize(0.5 * (channels[:-1] + channels[1:])[used], BANDS)
    banded = [np.array([np.bincount(bins, row, len(BANDS) + 1) for row in f])[:, 3:-1] for f in folded]
    share = banded[1] / banded[1].sum(1, keepdims=True)
    ratio = np.where(share > 0.002, banded[0] / np.maximum(banded[1], 1e-300), np.nan)
    heavy = replace(ours, photons=metals).rebin(model) @ area[:, used]
    light = ours.rebin(model) @ area[:, used] - heavy
    counts = folded[1] * (COUNTS / folded[1].sum(1, keepdims=True))
    fits = {
        free: np.array([fit(c, ours.log_t, light, heavy, t, free=free) for c, t in zip(counts, a.log_t, strict=True)])
        for free in (False, True)
    }
    bare = [s.rebin(BANDS[2:-1] + 0.03, energy=True) for s in (a, b)]
    worth = bare[1] / bare[1].sum(1, keepdims=True)
    bare_ratio = np.where(worth > 0, bare[0] / np.maximum(bare[1], 1e-300), 0) / flux["0.5-8 keV"][:, None]
    parts = {f"energy flux {n}, ours over APEC": _ratio(a, b, np.array(e)) for n, e in PARTS.items()}
    # (bands shifted by 0.03 keV: Fe XXV w, 6.7004 keV, would be on an edge)
    parts["unfolded energy per 0.1 keV band, rms deviation of shape"] = np.sqrt((worth * (bare_ratio - 1) ** 2).sum(1))
    arrays = {"kt": kt, "ratio": ratio, "ours": folded[0], "apec": folded[1], "log_t": a.log_t, **flux}
    arrays |= {"energy": 0.5 * (channels[:-1] + channels[1:])[used]}
    arrays |= {"fitted": 10 ** (fits[False][:, 0] - a.log_t), "fitted free": 10 ** (fits[True][:, 0] - a.log_t)}
    arrays |= {"metals": fits[True][:, 1]}
    spread = np.sqrt(np.nansum(share * (ratio / flux["0.5-8 keV"][:, None] - 1) ** 2, axis=1))
    return _figures(arrays, parts, spread), arrays


def _ratio(a: Spectra, b: Spectra, edges: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        return (a.rebin(edges, energy=True) / b.rebin(edges, energy=True))[:, 0]


def _figures(arrays: dict[str, Floats], parts: dict[str, Floats], spread: Floats) -> Figures:
    found: Figures = {}
    kt = arrays["kt"]
    rows = {
        "energy flux 0.5-8 keV, ours over APEC": arrays["0.5-8 keV"],
        "energy flux 0.3-8 keV, ours over APEC": arrays["0.3-8 keV"],
        "ACIS counts per 0.1 keV band, rms deviation of shape": spread,
        "temperature fitted to APEC over true, abundance 1": arrays["fitted"],
        "temperature fitted to APEC over true, abundance free": arrays["fitted free"],
        "abundance fitted to APEC": arrays["metals"],
        **parts,
    }
    for name, row in rows.items():
        for k in [int(np.argmin(abs(np.log(kt / e)))) for e in SHOWN if e > 1 or not ("Fe K" in name or "4-6" in name)]:
            found[f"{name}: kT {kt[k]:.3g} keV"] = (float(row[k]), "1")
        neutral = 0.0 if "rms" in name else 1.0
        for low, high in ((0.1, 0.3), (0.3, 10.5)):
            if "keV (" in name or "0.1-0.3" in name:
                continue
            inside = (kt >= low) & (kt < high)
            found[f"{name}: largest deviation, kT {low:g}-{high:g} keV"] = (
                float(abs(row[inside] - neutral).max()),
                "1",
            )
    return found


def draw(arrays: dict[str, Floats]) -> None:
    """Write the picture: folded spectra, fluxes and temperatures against kT, ratio by band."""
    kt, energy = arrays["kt"], arrays["energy"]
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    with picture(PICTURE, 12, 8) as figure:
        (folded, fluxes), (fitted, ratio) = figure.subplots(2, 2)
        for e, (colour, *_) in zip((0.3, 0.7, 1.4, 5.0), STYLES, strict=False):
            k = int(np.argmin(abs(np.log(kt / e))))
            scale = arrays["apec"][k].max()
            folded.loglog(energy, arrays["apec"][k] / scale, lw=2.5, alpha=0.4, color=colour)
            folded.loglog(energy, arrays["ours"][k] / scale, lw=0.9, color=colour, label=f"kT {kt[k]:.2g} keV")
        folded.set(ylim=(1e-4, 2), xlabel="energy (keV)", ylabel="ACIS counts, of the most in a channel")
        folded.set_title("APEC (broad) and this table (thin)")
        for name, (colour, line, _) in zip(("0.5-8 keV", "0.3-8 keV"), STYLES, strict=False):
            fluxes.semilogx(kt, arrays[name], color=colour, ls=line, label=f"energy flux {name}")
        for name, label in (("fitted", "abundance 1"), ("fitted free", "abundance free")):
            fitted.semilogx(kt, arrays[name], label=f"temperature fitted to APEC / true, {label}")
        fitted.semilogx(kt, arrays["metals"], ":", label="abundance fitted to APEC")
        for axes in (fluxes, fitted):
            axes.axhspan(0.9, 1.1, color=SOFT, alpha=0.4, lw=0)
            axes.set(ylim=(0.5, 1.5), xlabel="kT (keV)", ylabel="this table / APEC")
            plain_ticks(axes.xaxis, float(kt[0]), float(kt[-1]))
        for axes in (folded, fluxes):
            axes.legend()
        fitted.legend(loc="lower right", frameon=True, framealpha=1)
        rows = 10 ** np.append(np.log10(kt) - 0.05, np.log10(kt[-1]) + 0.05)
        mesh = ratio.pcolormesh(BANDS[2:], rows, arrays["ratio"], cmap=SIGNED, vmin=0.5, vmax=1.5)
        ratio.set(xscale="log", yscale="log", xlabel="energy (keV)", ylabel="kT (keV)")
        for axis, ends in ((folded.xaxis, energy), (ratio.xaxis, BANDS[2:]), (ratio.yaxis, rows)):
            plain_ticks(axis, float(ends[0]), float(ends[-1]))
        figure.colorbar(mesh, ax=ratio, label="ACIS counts per 0.1 keV, this table / APEC")


def main() -> None:
    """Compare, write docs/figures/sources_plasma.json and docs/pictures/sources_plasma.png."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    ours, metals = read_table(TABLE)
    found, arrays = compare(ours, read_pimms(DATA / "coronal" / "apec_pimms"), metals)
    warm = K_KEV * 10**ours.log_t
    for step, about in ((1, "twice the table's step"), (2, "four times the table's step")):
        for name, error in interpolation(ours, step).items():
            inside = error[(warm[step:-step] > 0.1) & (warm[step:-step] < 20)]
            interval = (float(np.median(inside)), float(inside.max()))
            text = f"leave-one-out in log T, {about} ({2 * step * 0.025:g} dex apart), {name}: median and largest"
            found[text] = (interval[0], "1", interval)
    figures.write("sources_plasma", COMMAND, found)
    draw(arrays)


if __name__ == "__main__":
    main()
