"""Products and spectra on disk as PNG: images, light curves, sources, spectra, responses, drift, coronae."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from stream.errors import ConfigError
from stream.transport.calibration_plots import plot_drift
from stream.transport.corona_plots import plot_coronae
from stream.transport.pictures import FILLED, GREY, STYLES, picture
from stream.transport.response_plots import plot_area, plot_response

BRIGHTEST: Final = (0.0, 0.999)  # quantiles, the ends of the colours
LEAST_COUNTS: Final = 10.0  # that channels are joined to


def plot_product(file: Path, folder: Path) -> list[Path]:
    """Draw what a FITS file has: images.png, and a picture for each table of PICTURES; return what was drawn.

    Raises ConfigError if it cannot be read, LinkError if a picture cannot be written.
    """
    try:
        with fits.open(file, memmap=False) as hdus:
            made = [_images(folder / "images.png", images)] if (images := _maps_in(hdus)) else []
            for hdu in hdus:
                if hdu.name in PICTURES and isinstance(hdu, fits.BinTableHDU):
                    name, draw = PICTURES[hdu.name]
                    made.append(draw(folder / name, hdu, hdus))
            return made
    except (OSError, KeyError, TypeError, ValueError) as fault:
        raise ConfigError(f"{file}: cannot be drawn: {' '.join(str(fault).split())}") from None


def _maps_in(hdus: Any) -> list[Any]:
    return [hdu for hdu in hdus if hdu.is_image and np.ndim(hdu.data) == 2]


def _images(png: Path, hdus: list[Any]) -> Path:
    columns = min(len(hdus), 3)
    lines = -(-len(hdus) // columns)
    with picture(png, 4.4 * columns, 3.9 * lines) as figure:
        panels = figure.subplots(lines, columns, squeeze=False).ravel()
        for axes, hdu in zip(panels, hdus, strict=False):
            image, header = np.asarray(hdu.data, float), hdu.header
            size = float(header.get("CDELT1", 1))
            rows, width = image.shape
            good = image[np.isfinite(image)]
            low, high = np.quantile(good, BRIGHTEST) if good.size else (0.0, 1.0)
            extent = (-0.5, width * size - 0.5, -0.5, rows * size - 0.5)
            mesh = axes.imshow(
                image, cmap=FILLED, extent=extent, vmin=low, vmax=max(high, low + 1e-3 * max(abs(low), 1.0))
            )
            unit = str(header.get("BUNIT", "")) or "value"
            figure.colorbar(mesh, ax=axes, shrink=0.86, extend="max", label=f"{unit} per pixel of {size:g}")
            names = (str(header.get(f"CTYPE{axis}", "xy"[axis - 1])) for axis in (1, 2))
            x, y = (f"{name} (pixels)" for name in names)
            axes.set(xlabel=x, ylabel=y, title=hdu.name)
        for axes in panels[len(hdus) :]:
            axes.set_axis_off()
    return png


def _curve(png: Path, hdu: Any, _: Any) -> Path:
    rows = hdu.data
    counts = np.asarray(rows["COUNTS"], float).reshape(len(rows), -1)
    first = float(rows["TIME"][0]) if len(rows) else 0.0
    width = float(rows["TIME"][1] - rows["TIME"][0]) if len(rows) > 1 else 1.0
    exposed = np.asarray(rows["FRACEXP"], float) * width
    with picture(png, 8.4, 4.4) as figure:
        axes = figure.subplots()
        for k, (colour, _line, mark) in enumerate(STYLES[: counts.shape[1]]):
            known = exposed > 0
            time, rate = rows["TIME"][known] - first, counts[known, k] / exposed[known]
            error = np.sqrt(counts[known, k]) / exposed[known]
            band = f"{hdu.header[f'BAND{k}']} eV" if f"BAND{k}" in hdu.header else f"column {k + 1}"
            axes.errorbar(time, rate, error, fmt=mark, color=colour, lw=0.7, ms=3, label=band)
        axes.set(xlabel=f"time since {first:.3f} (s)", ylabel="rate (counts s$^{-1}$)", ylim=(0, None))
        if len(rows):
            axes.legend()
    return png


def _sources(png: Path, hdu: Any, hdus: Any) -> Path:
    rows, header = hdu.data, hdus[0].header
    size = 12 + 40 * np.log10(np.maximum(np.asarray(rows["NET_COUNTS"], float), 1)) / 2
    told = np.asarray(rows["CLASS"], int) if "CLASS" in rows.names else np.full(len(rows), -1)
    with picture(png, 7.6, 6.6) as figure:
        axes = figure.subplots()
        for k in np.unique(told).tolist():
            mine = told == k
            colour, _, mark = STYLES[k % len(STYLES)] if k >= 0 else (GREY, "", "o")
            name = str(hdu.header.get(f"CLASS{k}", header.get(f"CLASS{k}", f"class {k}"))) if k >= 0 else "sources"
            edge = {"facecolors": "none", "edgecolors": colour}
            axes.scatter(
                rows["X"][mine], rows["Y"][mine], size[mine], marker=mark, label=f"{name} ({mine.sum()})", **edge
            )
        axes.set(xlabel="X (pixels)", ylabel="Y (pixels)", aspect="equal")
        axes.set_title(f"{len(rows)} sources; larger: more counts; colour: the most probable class")
        if len(rows):
            axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return png


def _spectrum(png: Path, hdu: Any, _: Any) -> Path:
    names = hdu.columns.names
    values = np.asarray(hdu.data["COUNTS" if "COUNTS" in names else "RATE"], float)
    channel = np.asarray(hdu.data["CHANNEL"], float)
    if values.ndim > 1:  # several spectra in a file: the first
        values, channel = values[0], channel[0] if channel.ndim > 1 else np.arange(values.shape[1], dtype=float)
    exposure = float(hdu.header.get("EXPOSURE", 0)) or 1.0
    scale = 1 / exposure if "COUNTS" in names else 1.0
    begin = _joined(values * (1.0 if "COUNTS" in names else exposure))
    wide = np.diff(np.append(begin, len(values)))
    with picture(png, 7.6, 4.8) as figure:
        axes = figure.subplots()
        height = np.add.reduceat(values, begin) * scale / wide if len(begin) else np.zeros(0)
        if len(begin):
            axes.stairs(height, np.append(channel[begin], channel[-1] + 1), baseline=None)
        rate = "counts s$^{-1}$ channel$^{-1}$" if hdu.header.get("EXPOSURE") else "counts channel$^{-1}$"
        axes.set(xlabel="channel", ylabel=rate)
        if np.any(height > 0):
            axes.set(yscale="log")
        axes.set_title(f"{values.sum():,.0f} counts, exposure {exposure:,.4g} s" if "COUNTS" in names else "rates")
    return png


def _joined(counts: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return where groups of at least LEAST_COUNTS begin; empty for no channels."""
    group = np.floor(np.cumsum(counts) / LEAST_COUNTS).astype(np.int64)
    return np.flatnonzero(np.diff(group, prepend=-1) > 0)


def _drift(png: Path, hdu: Any, hdus: Any) -> Path:
    rows, header = np.asarray(hdu.data), hdus[0].header
    native = rows.astype(rows.dtype.newbyteorder("="))
    return plot_drift(png, native, float(header["ALARM_P"]), f"{header['OBJECT']}, {header['MODEL']}")


Draw = Callable[[Path, Any, Any], Path]
PICTURES: Final[dict[str, tuple[str, Draw]]] = {
    "RATE": ("lightcurve.png", _curve),
    "SOURCES": ("sources.png", _sources),
    "SPECTRUM": ("spectrum.png", _spectrum),
    "SPECRESP": ("area.png", plot_area),
    "MATRIX": ("response.png", plot_response),
    "SPECRESP MATRIX": ("response.png", plot_response),
    "CORONAE": ("coronae.png", plot_coronae),
    "DRIFT": ("drift.png", _drift),
}
