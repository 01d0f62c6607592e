"""Responses of spectra as PNG: the effective area, and which channels an energy ends up in."""

from pathlib import Path
from typing import Any, Final

import numpy as np
from matplotlib.colors import LogNorm

from stream.spectra.grid import Floats
from stream.spectra.response import Response
from stream.transport.ogip import read_response
from stream.transport.pictures import SPARSE, STYLES, picture, plain_ticks

PIXELS: Final = 400  # of a matrix, each way
SHARES: Final = (0.15, 0.35, 0.6, 0.85)  # of the way from the lowest to the highest energy, in logarithms: lines
DEPTH: Final = 1e-4  # of the highest density that is still drawn


def plot_area(png: Path, hdu: Any, _: Any) -> Path:
    """Draw the area of an ARF by energy. Raises LinkError if `png` cannot be written."""
    rows = hdu.data
    energy = 0.5 * (np.asarray(rows["ENERG_LO"], float) + rows["ENERG_HI"])
    with picture(png, 7.6, 4.8) as figure:
        axes = figure.subplots()
        axes.plot(energy, rows["SPECRESP"])
        axes.set(xscale="log", xlabel="energy (keV)", ylabel="effective area (cm$^2$)", ylim=(0, None))
        plain_ticks(axes.xaxis, float(energy[0]), float(energy[-1]))
    return png


def plot_response(png: Path, hdu: Any, hdus: Any) -> Path:
    """Draw the matrix of an RMF, and the spectra of some lines. Raises ConfigError, and LinkError for the disk."""
    response = read_response(Path(hdus.filename()))
    unit = "keV$^{-1}$" if hdu.name == "MATRIX" else "cm$^2$ keV$^{-1}$"
    energy, told, image = matrix_of(response)
    with picture(png, 12, 5) as figure:
        whole, lines = figure.subplots(1, 2, width_ratios=(1.15, 1))
        top = float(image.max(initial=0)) or 1.0
        shown = np.ma.masked_less(image.T, DEPTH * top)
        mesh = whole.pcolormesh(energy, told, shown, cmap=SPARSE, norm=LogNorm(DEPTH * top, top), rasterized=True)
        figure.colorbar(mesh, ax=whole, label=f"density of counts ({unit})")
        whole.set(xlabel="energy of the photon (keV)", ylabel="energy of the channel (keV)")
        for share, (colour, line, _) in zip(SHARES, STYLES, strict=False):
            k = int(np.searchsorted(energy, energy[0] + share * (energy[-1] - energy[0])))
            name = f"{0.5 * (energy[k - 1] + energy[k]):.3g} keV"
            lines.stairs(image[k - 1], told, color=colour, ls=line, baseline=None, label=name)
        lines.set(xlabel="energy of the channel (keV)", ylabel=f"density of counts ({unit})", yscale="log")
        lines.set(ylim=(DEPTH * top, 2 * top), xlim=(told[0], told[-1]))
        lines.legend()
        figure.suptitle(" ".join(response.about.get(key, "") for key in ("TELESCOP", "INSTRUME")).strip())
    return png


def matrix_of(response: Response) -> tuple[Floats, Floats, Floats]:
    """Return edges of energies and of channels (keV), and the mean density of counts in them, keV-1.

    At most PIXELS bins each way, of bins of the response that are neighbours.
    """
    n, m = len(response.energy_lo_kev), len(response.channel)
    rows, columns = (np.linspace(0, size, min(size, PIXELS) + 1).astype(int) for size in (n, m))
    row_of, column_of = (np.repeat(np.arange(len(edges) - 1), np.diff(edges)) for edges in (rows, columns))
    runs = response.runs
    length = np.diff(runs.ends, prepend=0)
    within = np.arange(length.sum()) - np.repeat(runs.ends - length, length)
    place = (
        row_of[np.repeat(runs.energy, length)] * (len(columns) - 1) + column_of[np.repeat(runs.first, length) + within]
    )
    image = np.bincount(place, runs.values, (len(rows) - 1) * (len(columns) - 1)).reshape(len(rows) - 1, -1)
    energy = np.append(response.energy_lo_kev, response.energy_hi_kev[-1])[rows]
    if response.e_min_kev[0] > response.e_min_kev[-1]:  # a grating's may fall
        told, image = np.append(response.e_max_kev, response.e_min_kev[-1])[columns][::-1], image[:, ::-1]
    else:
        told = np.append(response.e_min_kev, response.e_max_kev[-1])[columns]
    return energy, told, image / np.diff(rows)[:, None] / np.maximum(np.diff(told), 1e-12)
