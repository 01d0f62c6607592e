"""The picture of a region: spectrum in bands, light curve, counts and what the model leaves over."""

from pathlib import Path
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from analyse.lat.bands import Band, Curve
from analyse.lat.fit import FLUX, Fit
from analyse.lat.source import Analysis
from analyse.lat.spectra import ERG, density
from stream.lat.bands import CHANNELS, EDGES_MEV, TYPES
from stream.lat.patch import SIDE_DEG, to_sky
from stream.lat.scene import UNIT
from stream.transport.pictures import BLUE, GREEN, GREY, MARKED, SIGNED, SKY, SOFT, VERMILION, picture

Floats = NDArray[np.float64]
_DATA, _MODEL, _MARK = BLUE, VERMILION, SKY
PIXEL_DEG: Final = 0.2
FROM_BAND: Final = 2  # 1 GeV: below, the PSF is wider than what one looks for
SMOOTH_DEG: Final = 0.4
INNER_DEG: Final = 10.0  # of the picture, and of where the largest residual is looked for


def images(found: Fit) -> tuple[Floats, Floats]:
    """Return counts and expected counts above 1 GeV in pixels of PIXEL_DEG, (rows, columns) each."""
    region = found.region
    plan, scene = region.optics.plan, region.scene
    model = np.sum([region.pixels(p.spectrum(p.theta), p.theta[:FLUX], p.seen) for p in found.parts], axis=0)
    side = round(SIDE_DEG / PIXEL_DEG)
    counts, expected = np.zeros((2, side, side))
    for c in range(FROM_BAND * len(TYPES), CHANNELS):
        a, b, by_x, by_y = found.norms[c // len(TYPES)]
        length = int(plan.layout[c, 1])
        line = (np.arange(length) + 0.5) / length * 2 - 1
        diffuse = plan.image(scene.iem, c) * (a + by_x * line[None] + by_y * line[:, None])
        made = diffuse + b * plan.image(scene.iso, c) + plan.image(model, c)
        step = length // side
        for out, image in ((counts, plan.image(scene.patch.counts, c)), (expected, made)):
            out += image.reshape(side, step, side, step).sum(axis=(1, 3))
    return counts, expected


def residual(counts: Floats, expected: Floats) -> Floats:
    """Return sigma of what is left over, smoothed: (n - m) over the root of the variance of the smoothed m."""
    sigma = SMOOTH_DEG / PIXEL_DEG
    over = gaussian_filter(counts - expected, sigma, mode="constant")
    variance = gaussian_filter(expected, sigma / np.sqrt(2), mode="constant") / (4 * np.pi * sigma**2)
    return np.asarray(over / np.sqrt(np.maximum(variance, 1e-9)))


def largest(found: Fit) -> tuple[float, float, float]:
    """Return the largest residual, sigma, within INNER_DEG, and where it is: galactic longitude and latitude."""
    sigma = residual(*images(found))
    rim = round((SIDE_DEG - INNER_DEG) / 2 / PIXEL_DEG)
    inner = sigma[rim:-rim, rim:-rim]
    row, column = np.unravel_index(int(inner.argmax()), inner.shape)
    x, y = ((int(k) + rim + 0.5) * PIXEL_DEG for k in (column, row))
    lon, lat = to_sky(found.region.patch.glon_deg, found.region.patch.glat_deg, np.array(x), np.array(y))
    return float(inner.max()), float(lon), float(lat)


def plot(path: Path, analysis: Analysis, bands: list[Band], curve: Curve | None) -> None:
    """Draw all of it. Raises LinkError when the disk refuses."""
    with picture(path, 11, 8.2) as figure:
        (spectrum, years), (left, right) = figure.subplots(2, 2)
        _spectrum(spectrum, analysis, bands)
        _years(years, analysis, curve)
        counts, expected = images(analysis.best)
        smooth = gaussian_filter(counts, SMOOTH_DEG / PIXEL_DEG / 2)
        root = "root of counts above 1 GeV per pixel"
        _map(figure, left, np.sqrt(smooth), analysis.best, (root, MARKED, None))
        _map(figure, right, residual(counts, expected), analysis.best, ("residual ($\\sigma$)", SIGNED, 5.0))
        own = analysis.best.parts[0]
        figure.suptitle(f"{own.name}: TS {analysis.ts:.1f}")


def _spectrum(axes: Axes, analysis: Analysis, bands: list[Band]) -> None:
    energy = np.geomspace(EDGES_MEV[0], EDGES_MEV[-1], 200)
    if analysis.limit is None:
        for kind, found in analysis.models.items():
            theta = found.parts[0].theta
            line = ERG * energy**2 * density(kind, energy, *theta[FLUX:])[0]
            taken = kind == analysis.kind
            axes.plot(energy / 1e3, line, color=_MODEL if taken else SOFT, lw=1.5 if taken else 0.9, label=kind)
        axes.legend()
    for band in bands:
        middle = np.sqrt(band.low_mev * band.high_mev) / 1e3
        half = [[middle - band.low_mev / 1e3], [band.high_mev / 1e3 - middle]]
        if band.e2dnde_limit is None:
            axes.errorbar(middle, band.e2dnde, band.e2dnde_error, half, fmt="o", color=_DATA, ms=4, lw=1)
        else:
            top = band.e2dnde_limit
            axes.errorbar(middle, top, 0.3 * top, half, uplims=True, fmt="none", color=_DATA, lw=1)
    tops = [b.e2dnde + b.e2dnde_error if b.e2dnde_limit is None else b.e2dnde_limit for b in bands]
    axes.set(xscale="log", yscale="log", xlabel="energy (GeV)", ylabel="E$^2$ dN/dE (erg cm$^{-2}$ s$^{-1}$)")
    axes.set_ylim(min(tops) / 30, 3 * max(tops))


def _years(axes: Axes, analysis: Analysis, curve: Curve | None) -> None:
    if curve is None:
        axes.set_axis_off()
        axes.text(0.5, 0.5, "no two years in these counts", ha="center", color=GREY, transform=axes.transAxes)
        return
    flux = UNIT * float(np.exp(analysis.best.parts[0].theta[FLUX]))
    for year, point in zip(curve.years, curve.points, strict=True):
        middle = 2008.6 + year + 0.5
        if point.limit is None:
            axes.errorbar(middle, flux * point.scale, flux * point.error, 0.5, fmt="o", color=_DATA, ms=4, lw=1)
        else:
            top = flux * point.limit
            axes.errorbar(middle, top, 0.2 * top, 0.5, uplims=True, fmt="none", color=_DATA, lw=1)
    axes.axhline(flux * curve.constant, color=_MODEL, lw=1)
    axes.set(xlabel="year", ylabel="flux, 1 to 100 GeV (photons cm$^{-2}$ s$^{-1}$)", ylim=(0, None))
    axes.set_title(f"TS_var {curve.ts_var:.1f}, by chance {curve.p_value:.2g}")


def _map(figure: Figure, axes: Axes, image: Floats, found: Fit, how: tuple[str, str, float | None]) -> None:
    label, colours, most = how
    half = SIDE_DEG / 2
    limits: dict[str, Any] = {"vmin": -most, "vmax": most} if most else {}
    mesh = axes.imshow(image, extent=(-half, half, -half, half), cmap=colours, **limits)
    for k, part in enumerate(found.parts):
        x, y = part.theta[:FLUX] - half
        axes.plot(x, y, "+" if k else "o", color=_MARK if k else GREEN, ms=5 if k else 9, mfc="none", lw=0.8)
    axes.set(xlim=(-INNER_DEG / 2, INNER_DEG / 2), ylim=(-INNER_DEG / 2, INNER_DEG / 2))
    axes.set(xlabel="to the west (degrees, Galactic)", ylabel="to the north (degrees)")
    figure.colorbar(mesh, ax=axes, shrink=0.85).set_label(label)
