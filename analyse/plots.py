"""Pictures of a fit and of its posterior."""

from pathlib import Path
from typing import Any, Final

import numpy as np

from analyse.diagnostics import Draws
from analyse.priors import Priors
from stream.kernels.cstat import off_rate
from stream.spectra.fit import Fit
from stream.spectra.grid import Floats
from stream.spectra.spectrum import group
from stream.transport.pictures import BLUE, GREY, INK, VERMILION, picture, plain_ticks

LEAST_SHOWN: Final = 15.0  # counts that bins are joined to for the eye
WIDEST: Final = 40
_DATA, _MODEL = BLUE, VERMILION


def plot_fit(path: Path, fit: Fit, edges_kev: tuple[Floats, Floats]) -> None:
    """Draw counts, model and residuals; edges (b,) keV. Raises LinkError when the disk refuses."""
    data = fit.data
    on, model = data.counts, fit.source_counts
    background = np.zeros_like(on)
    if data.off.size:
        each = zip(on, data.off, model, data.alpha, strict=True)
        background = data.alpha * np.array([off_rate(*row) for row in each])
    begins = np.flatnonzero(group(on, np.ones(len(on), bool), LEAST_SHOWN, WIDEST) >= 0)
    low = edges_kev[0][begins]
    high = edges_kev[1][np.append(begins[1:], len(on)) - 1]
    counts, source, back = (np.add.reduceat(v, begins) for v in (on, model, background))
    middle, half, wide = 0.5 * (low + high), 0.5 * (high - low), high - low
    with picture(path, 7.2, 5.4) as figure:
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        errors = np.sqrt(np.maximum(counts, 1.0)) / wide
        above.errorbar(middle, counts / wide, errors, half, fmt="none", color=_DATA, lw=0.9, label="counts")
        steps = np.append(low, high[-1])
        above.stairs((source + back) / wide, steps, color=_MODEL, lw=1.4, label="model")
        if data.off.size:
            above.stairs(back / wide, steps, color=GREY, lw=1.0, label="of it background")
        top = float(((counts + np.sqrt(counts)) / wide).max())
        floor = max(float((source + back).min()) / float(wide.max()), 1e-4 * top)
        above.set(xscale="log", yscale="log", ylabel="counts keV$^{-1}$", ylim=(0.5 * floor, 2 * top))
        above.legend()
        above.set_title(f"{fit.model.text}: {fit.statistic} {fit.value:.1f}, expected {fit.expected:.1f}")
        misses = (counts - source - back) / np.sqrt(np.maximum(source + back, 1e-9))
        below.errorbar(middle, misses, 1.0, half, fmt="none", color=_DATA, lw=0.9)
        below.axhline(0, color=_MODEL, lw=1)
        below.set(xlabel="energy (keV)", ylabel="(data - model) / $\\sigma$", xlim=(low[0], high[-1]))
        plain_ticks(below.xaxis, low[0], high[-1])


def plot_posterior(path: Path, priors: Priors, draws: Draws, fit: Fit) -> None:
    """Draw the marginal densities of all free parameters and pairs of a fit."""
    gates = "gates passed" if draws.fault(priors.names) is None else "GATES FAILED"
    title = f"{fit.model.text}, {draws.sampler}, {gates}; lines: the fit"
    values = priors.values(draws.variables).reshape(-1, len(priors.names))
    labels = [_label(priors, i) for i in range(len(priors.names))]
    plot_corner(path, labels, values, fit.values[priors.places], title)


def plot_corner(path: Path, labels: list[str], values: Floats, best: Floats, title: str) -> None:
    """Draw marginal densities of values (n, k) and pairs; contours hold 39 and 86 % (1 and 2 sigma), lines are best."""
    k = len(labels)
    quantiles = [np.quantile(v, [0.001, 0.999]) for v in values.T]
    limits = [(float(a), float(b)) if b > a else (float(a) - 0.5, float(a) + 0.5) for a, b in quantiles]
    with picture(path, 2.3 * k + 0.8, 2.3 * k + 0.5) as figure:
        axes = figure.subplots(k, k, squeeze=False)
        for i in range(k):
            for j in range(k):
                box = axes[i, j]
                if j > i:
                    box.set_axis_off()
                    continue
                if i == j:
                    box.hist(values[:, i], 40, range=limits[i], color=_DATA, histtype="stepfilled", alpha=0.5)
                    box.set_yticks([])
                else:
                    box.plot(values[:, j], values[:, i], ",", color=_DATA, alpha=0.4, rasterized=True)
                    _contours(box, values[:, j], values[:, i], (limits[j], limits[i]))
                    box.axhline(best[i], color=_MODEL, lw=0.8)
                    box.set_ylim(*limits[i])
                box.axvline(best[j], color=_MODEL, lw=0.8)
                box.set_xlim(*limits[j])
                _label_box(box, labels[j] if i == k - 1 else "", labels[i] if j == 0 and i > 0 else "")
        figure.suptitle(title, fontsize=9)


def _label_box(box: Any, x: str, y: str) -> None:
    """Label the outer boxes; the inner ones have ticks only."""
    box.grid(visible=False)
    box.locator_params(axis="x", nbins=3)
    box.tick_params(labelsize=8, labelbottom=bool(x), labelleft=bool(y))
    for ticks in (box.xaxis, box.yaxis):
        ticks.get_offset_text().set_fontsize(8)
    box.set_xlabel(x, fontsize=9)
    box.set_ylabel(y, fontsize=9)


def _label(priors: Priors, i: int) -> str:
    unit = {"1e22 cm-2": "$10^{22}$ cm$^{-2}$", "keV": "keV"}.get(priors.parameters[i].unit, "")
    return f"{priors.names[i]} ({unit})" if unit else priors.names[i]


def _contours(box: Any, x: Floats, y: Floats, limits: Any) -> None:
    density, xs, ys = np.histogram2d(x, y, 30, range=limits)
    if not density.sum():
        return
    padded = np.pad(density, 1, mode="edge")
    smooth = np.mean([padded[a : a + 30, b : b + 30] for a in range(3) for b in range(3)], axis=0)
    order = np.sort(smooth.ravel())[::-1]
    held = np.cumsum(order) / order.sum()
    levels = sorted({float(order[np.searchsorted(held, share)]) for share in (0.393, 0.865)})
    box.contour(0.5 * (xs[1:] + xs[:-1]), 0.5 * (ys[1:] + ys[:-1]), smooth.T, levels, colors=INK, linewidths=0.8)
