"""Training sets as PNG: fits through wrong areas, patches of the gamma-ray sky with the sources that they have."""

from pathlib import Path
from typing import Final

import h5py
import numpy as np

from stream.lat.inputs import LIMIT, NAMES
from stream.lat.patch import SIDE_DEG
from stream.transport.pictures import BLUE, GREEN, GREY, INK, MARKED, SKY, picture, plain_ticks

CURVES: Final = 40  # theta of a grid that are drawn
BANDS: Final = ((0.025, 0.975, "95 % of theta", 0.2), (0.16, 0.84, "68 % of theta", 0.35))
PATCHES: Final = 4
SIGNIFICANCE: Final = 4  # channel of the fine input
HIGHEST: Final = 12.0  # sigma, end of the colours
SEEN: Final = 12.0  # square of a source's sigma from which it is in the mask


def plot_grid(file: Path, png: Path) -> Path | None:
    """Draw by how much fits of a grid of `raysieve simulate crosscal` are off, by true kT; None if none is done.

    Raises LinkError if `png` cannot be written.
    """
    with h5py.File(file, "r") as content:
        kt, fit, good = content["kt_kev"][()], content["kt_fit"][()], content["converged"][()] > 0
        good &= (content["done"][()] > 0)[:, None]
    if not good.any():
        return None
    bias = np.where(good, 100 * (fit / kt - 1), np.nan)
    bias, kt = bias[good.any(axis=1)][:, good.any(axis=0)], kt[good.any(axis=0)]
    with picture(png, 7.6, 5) as figure:
        axes = figure.subplots()
        for curve in bias[:: max(len(bias) // CURVES, 1)][:CURVES]:
            axes.plot(kt, curve, color=GREY, lw=0.5, alpha=0.6)
        for first, last, name, alpha in BANDS:
            axes.fill_between(
                kt, *np.nanquantile(bias, (first, last), axis=0), color=BLUE, alpha=alpha, lw=0, label=name
            )
        axes.plot(kt, np.nanmedian(bias, axis=0), color=BLUE, label="median")
        axes.axhline(0, color=INK, lw=0.7)
        low, high = np.nanquantile(bias, (0.005, 0.995))
        room = 0.05 * float(high - low) or 1.0
        axes.set(
            xscale="log", xlabel="true kT (keV)", ylabel="fitted kT / true - 1 (%)", ylim=(low - room, high + room)
        )
        plain_ticks(axes.xaxis, float(kt[0]), float(kt[-1]))
        axes.set_title(f"{len(bias):,} theta, {int(good.sum()):,} fits; grey: some of them")
        axes.legend(loc="upper left")
    return png


def plot_patches(file: Path, png: Path) -> Path | None:
    """Draw the filter's significance and the sources of some patches of a set; None without a patch.

    Raises LinkError if `png` cannot be written.
    """
    with h5py.File(file, "r") as content:
        number = len(content["mask"])
        chosen: list[int] = sorted(set(np.linspace(0, number - 1, min(PATCHES, number)).astype(int).tolist()))
        places, sources = content["place"][()], content["sources"][()]
        images = [LIMIT * np.sinh(content[NAMES[2]][n, SIGNIFICANCE].astype(float)) for n in chosen]
    if not images:
        return None
    with picture(png, 3.6 * len(images) + 1, 4.2) as figure:
        panels = figure.subplots(1, len(images), squeeze=False, sharex=True, sharey=True)[0]
        for axes, number, image in zip(panels, chosen, images, strict=True):
            mesh = axes.imshow(image, extent=(0, SIDE_DEG, 0, SIDE_DEG), cmap=MARKED, vmin=0, vmax=HIGHEST)
            own = sources[sources["patch"] == number]
            bright = own["sigma"] ** 2 >= SEEN
            for mine, mark, colour, name in ((bright, "o", SKY, "in the mask"), (~bright, ".", GREEN, "too faint")):
                style = {"mfc": "none", "ms": 8} if mark == "o" else {"ms": 3}
                axes.plot(own["x_deg"][mine], own["y_deg"][mine], mark, color=colour, ls="", label=name, **style)
            lon, lat = places[number]
            axes.set(xlabel="to the west (degrees)", title=f"l {lon:.1f}°, b {lat:+.1f}°: {bright.sum()} of {len(own)}")
        panels[0].set_ylabel("to the north (degrees)")
        figure.colorbar(mesh, ax=list(panels), label="significance of the filter ($\\sigma$)", extend="max")
        handles = panels[0].get_legend_handles_labels()
        figure.legend(
            *handles, loc="outside lower left", ncols=2, facecolor="#666666", frameon=True, labelcolor="white"
        )
    return png
