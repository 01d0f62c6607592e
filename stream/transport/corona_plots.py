"""Stellar coronae as PNG: spectra of a set, and what `raysieve coronae` said of them."""

from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm

from stream.transport.pictures import BLUE, INK, SPARSE, STYLES, picture

SPECTRA: Final = 4  # of a set
CROWD: Final = 300  # coronae from which a map shows more than their error bars
NAMED: Final = 20  # lines
PIXELS: Final = 60
TEMPERATURE, DENSITY = "log T (K)", "log n (cm$^{-3}$)"


def plot_coronae(png: Path, hdu: Any, hdus: Any) -> Path:
    """Draw CORONAE: temperatures and densities, and in how many each of the lines is seen that are seen in most.

    hdus: of the file, with the names of its lines. Raises LinkError if `png` cannot be written.
    """
    rows = hdu.data[np.asarray(hdu.data["FLAG"]) == 0]
    with picture(png, 11, 5.6) as figure:
        places, lines = figure.subplots(1, 2, width_ratios=(1.3, 1))
        if len(rows) > CROWD:
            counts, x, y = np.histogram2d(_of(rows, "LOG_T"), _of(rows, "LOG_N"), PIXELS)
            shown = np.ma.masked_equal(counts.T, 0)
            mesh = places.pcolormesh(x, y, shown, cmap=SPARSE, norm=LogNorm(0.8, counts.max()), rasterized=True)
            figure.colorbar(mesh, ax=places, label="coronae per pixel")
        else:
            _points(places, rows)
        places.set(xlabel=TEMPERATURE, ylabel=DENSITY)
        _lines(lines, rows, hdus["LINES"].data)
        figure.suptitle(f"{len(hdu.data):,} spectra, {len(hdu.data) - len(rows):,} flagged: nothing is said of those")
    return png


def _of(rows: Any, name: str, end: str = "") -> Any:
    """Return a column (n,) of the posterior that holds for each: that of one temperature where it is likely."""
    return np.where(rows["P_ONE"] > 0.5, rows[f"{name}{end}"], rows[f"{name}_ANY{end}"])


def _points(axes: Axes, rows: Any) -> None:
    one = np.asarray(rows["P_ONE"]) > 0.5
    for (name, mine), (colour, _, mark) in zip((("one temperature", one), ("several", ~one)), STYLES, strict=False):
        (t, t_off), (n, n_off) = (_told(rows[mine], which) for which in ("LOG_T", "LOG_N"))
        axes.errorbar(t, n, n_off, t_off, fmt=mark, color=colour, lw=0.7, label=f"{name} ({mine.sum()}), 68 %")
    axes.legend()


def _told(rows: Any, name: str) -> tuple[Any, Any]:
    """Return a column and how far the ends of its 68 % interval are off, (n,) and (2, n)."""
    low, middle, high = (_of(rows, name, end) for end in ("_LO68", "", "_HI68"))
    return middle, np.maximum([middle - low, high - middle], 0)


def _lines(axes: Axes, rows: Any, lines: Any) -> None:
    share = (
        100 * np.asarray(rows["SEEN"], float).reshape(len(rows), -1).mean(axis=0) if len(rows) else np.zeros(len(lines))
    )
    most = np.argsort(-share, kind="stable")[:NAMED]
    names = [f"{lines['ION'][k].strip()} {lines['WAVELENGTH'][k]:.3f}" for k in most]
    axes.barh(range(len(most)), share[most], 0.7, color=BLUE, edgecolor=INK, lw=0.4)
    axes.set_yticks(range(len(most)), names, fontsize=8)
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.set(xlabel="spectra in which it is seen (%)", ylabel="ion, wavelength (Å)", xlim=(0, 100))


def plot_corona_set(file: Path, png: Path) -> Path | None:
    """Draw SPECTRA of a set of `raysieve simulate corona`, from the lowest to the highest signal; None without any.

    Raises LinkError if `png` cannot be written.
    """
    with h5py.File(file, "r") as content:
        truth, edges = content["truth"][()], content["instrument/edges_a"][()]
        if not len(truth):
            return None
        order = np.argsort(truth["snr"], kind="stable")
        chosen = order[np.unique(np.linspace(0, len(order) - 1, SPECTRA).astype(int))]
        shown = [(truth[n], content["counts"][n]) for n in chosen.tolist()]
    with picture(png, 10, 2.1 * len(shown) + 0.4) as figure:
        panels = figure.subplots(len(shown), 1, squeeze=False, sharex=True).ravel()
        for axes, (row, counts) in zip(panels, shown, strict=True):
            axes.stairs(counts / np.diff(edges), edges, lw=0.7)
            axes.set(ylabel="counts Å$^{-1}$", xlim=(edges[0], edges[-1]))
            axes.set_title(f"SNR {row['snr']:.1f}, log T {row['log_t']:.2f} K, log n {row['log_n']:.2f} cm$^{{-3}}$")
        panels[-1].set_xlabel("wavelength (Å)")
    return png
