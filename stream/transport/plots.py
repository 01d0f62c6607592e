"""Image and counts spectrum of an event list as PNG, for the screen and for print."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from stream.errors import ConfigError
from stream.transport.eventcards import quadrants_of
from stream.transport.eventlist import read_event_list
from stream.transport.pictures import BLUE, GREEN, GREY, INK, ORANGE, PAPER, SPARSE, picture, plain_ticks

Table = NDArray[Any]

MAX_BINS = 300  # of the longer side of an image
MIN_BINS = 48
SPECTRUM_BINS = 140
_GAP = "#ececec"
_CLASSES = (  # drawn in this order
    ("triples and quads", 5, 12, GREEN, "-"),
    ("doubles", 1, 4, ORANGE, "-"),
    ("singles", 0, 0, BLUE, "-"),
)


def plot_image(event_list: Path, png: Path) -> Path:
    """Draw the counts of EVENTS on the focal plane; return `png`.

    Raises ConfigError for a file that is no event list or has no position, LinkError if `png` cannot be written.
    """
    tables, header = read_event_list(event_list)
    events = tables["EVENTS"]
    x_name, y_name = _position_columns(event_list, events)
    boxes = _boxes(header) if x_name == "DETX" else []
    image, extent, block = _binned(events[x_name], events[y_name], boxes)
    tall = abs(extent[3] - extent[2]) / max(abs(extent[1] - extent[0]), 1e-9)  # a strip of a chip has a picture like it
    with picture(png, max(7.2 * min(1.0, 1 / tall), 3.4), max(6.4 * min(1.0, tall), 2.6)) as figure:
        axes = figure.add_subplot(facecolor=_GAP if boxes else PAPER)
        for number, (left, bottom, width, height) in boxes:
            axes.add_patch(Rectangle((left, bottom), width, height, facecolor=PAPER, edgecolor="none", zorder=0))
            axes.add_patch(Rectangle((left, bottom), width, height, fill=False, edgecolor=INK, lw=0.6, zorder=3))
            place = (left, bottom + height)
            axes.annotate(f"Q{number}", place, (4, -4), textcoords="offset points", va="top", fontsize=8)
        high = max(1.0, float(image.max(initial=0)))
        norm = LogNorm(0.8, high) if high > 30 else Normalize(0, high)
        shown = np.ma.masked_equal(image, 0)
        mesh = axes.imshow(shown, extent=extent, cmap=SPARSE, norm=norm, zorder=1)
        units = [{"pixel": "pixels", "": "pixels"}.get(u, u) for u in (_unit(header, x_name), _unit(header, y_name))]
        axes.set(xlabel=f"{x_name} ({units[0]})", ylabel=f"{y_name} ({units[1]})", aspect="equal")
        bar = figure.colorbar(mesh, ax=axes, shrink=0.86, pad=0.02)
        bar.ax.yaxis.set_major_formatter(_plain)
        bar.set_label("counts per pixel" if block == 1 else f"counts per {block} × {block} pixels")
        _title(axes, header, f"{len(events):,} events")
    return png


def plot_spectrum(event_list: Path, png: Path) -> Path:
    """Draw the counts spectrum of EVENTS, by pattern, and of REJECTED; return `png`.

    Raises ConfigError for a file that is no event list or has no energy, LinkError if `png` cannot be written.
    """
    tables, header = read_event_list(event_list)
    events = tables["EVENTS"]
    energy_kev, label, unit = _energies(event_list, events, header)
    edges = _edges(energy_kev, header, unit)
    exposure = float(header.get("EXPOSURE", 0)) or None
    with picture(png, 7.6, 5.2) as figure:
        axes = figure.add_subplot()
        if unit == "keV" and "REJECTED" in tables and len(tables["REJECTED"]):
            rejected = tables["REJECTED"]
            _draw_steps(axes, edges, rejected["ENERGY"] / 1e3, exposure, ("rejected", GREY, ":"))
        if "PATTERN" in (events.dtype.names or ()):
            for name, low, high, colour, line in _CLASSES:
                chosen = (events["PATTERN"] >= low) & (events["PATTERN"] <= high)
                if chosen.any():
                    _draw_steps(axes, edges, energy_kev[chosen], exposure, (name, colour, line))
        _draw_steps(axes, edges, energy_kev, exposure, ("all events", INK, "-"), band=True)
        rate = f"counts s$^{{-1}}$ {unit}$^{{-1}}$" if exposure else f"counts {unit}$^{{-1}}$"
        axes.set(xscale="log", yscale="log", xlabel=label, ylabel=rate, xlim=(edges[0], edges[-1]))
        if not len(energy_kev):
            axes.set_ylim(0.1, 1)  # a logarithmic axis needs something to hold on to
        plain_ticks(axes.xaxis, edges[0], edges[-1])
        handles, labels = axes.get_legend_handles_labels()
        axes.legend(handles[::-1], labels[::-1], loc="lower left")
        _title(axes, header, f"exposure {exposure:,.4g} s" if exposure else "exposure unknown")
    return png


def _position_columns(path: Path, events: Table) -> tuple[str, str]:
    for pair in (("DETX", "DETY"), ("X", "Y"), ("RAWX", "RAWY")):
        if set(pair).issubset(events.dtype.names or ()):
            return pair
    raise ConfigError(f"{path}: EVENTS: expected a position: DETX and DETY, X and Y, or RAWX and RAWY")


def _boxes(header: Mapping[str, Any]) -> list[tuple[int, tuple[float, float, int, int]]]:
    """Quadrants on the focal plane: id, left, bottom, width, height; pixel centres are whole numbers."""
    found = []
    for q in quadrants_of(header):
        x0, y0, nx, ny = (int(header[f"Q{q:02d}{end}"]) for end in ("X0", "Y0", "NX", "NY"))
        found.append((q, (x0 - 0.5, y0 - 0.5, nx, ny)))
    return found


def _binned(x: Table, y: Table, boxes: list[Any]) -> tuple[Table, tuple[float, float, float, float], int]:
    """Image [y, x], its extent, and the side of a bin in pixels: fine where there are counts enough to fill it."""
    good = np.isfinite(x) & np.isfinite(y)
    x, y = x[good], y[good]
    if boxes:
        corners = np.array([box for _, box in boxes], float)
        (left, bottom), (right, top) = corners[:, :2].min(0), (corners[:, :2] + corners[:, 2:]).max(0)
    elif len(x):
        left, bottom, right, top = x.min() - 0.5, y.min() - 0.5, x.max() + 0.5, y.max() + 0.5
    else:
        left, bottom, right, top = -0.5, -0.5, 0.5, 0.5
    side = max(right - left, top - bottom)
    block = 1
    while side / block > MAX_BINS or (side / block > 2 * MIN_BINS and len(x) < (side / block) ** 2 / 2):
        block *= 2
    nx, ny = int(np.ceil((right - left) / block)), int(np.ceil((top - bottom) / block))
    extent = (left, left + nx * block, bottom, bottom + ny * block)
    image, _, _ = np.histogram2d(y, x, bins=(ny, nx), range=(extent[2:], extent[:2]))
    return image, extent, block


def _energies(path: Path, events: Table, header: Mapping[str, Any]) -> tuple[Table, str, str]:
    names = events.dtype.names or ()
    if "ENERGY" in names:
        scale = 1.0 if _unit(header, "ENERGY").lower() == "kev" else 1e-3
        return events["ENERGY"].astype(np.float64) * scale, "energy (keV)", "keV"
    if "PI" in names:
        return events["PI"].astype(np.float64), "PI (channels)", "channel"
    raise ConfigError(f"{path}: EVENTS: expected an energy: ENERGY or PI")


def _unit(header: Mapping[str, Any], column: str) -> str:
    number = next(
        (key[5:] for key, name in header.items() if key.startswith("TTYPE") and str(name).upper() == column), ""
    )
    return str(header.get(f"TUNIT{number}", "")).strip()


def _edges(energy: Table, header: Mapping[str, Any], unit: str = "keV") -> NDArray[np.float64]:
    """Bins rising in width, each a whole number of PI channels."""
    channel = float(header.get("PI_EV", 0)) / 1e3 or (1e-2 if unit == "keV" else 1.0)
    used = energy[np.isfinite(energy) & (energy > 0)]
    low, high = (np.quantile(used, (0.0005, 1.0))) if len(used) else (channel * 10, channel * 1000)
    low = max(low * 0.9, channel)
    bins = int(np.clip(len(used) / 30, 30, SPECTRUM_BINS))
    steps = np.geomspace(low, max(high * 1.02, low * 2), bins + 1) / channel
    whole: NDArray[np.float64] = np.unique(np.round(steps)) * channel
    return whole


def _draw_steps(
    axes: Axes,
    edges: Table,
    energy: Table,
    exposure: float | None,
    style: tuple[str, str, str],
    *,
    band: bool = False,
) -> None:
    counts, _ = np.histogram(energy, edges)
    scale = 1 / (np.diff(edges) * (exposure or 1.0))
    label, colour, line = style
    shown = np.where(counts > 0, counts * scale, np.nan)
    axes.stairs(
        shown, edges, baseline=None, color=colour, ls=line, lw=1.3 if band else 1.0, label=f"{label} ({len(energy):,})"
    )
    if band and counts.any():
        error = np.sqrt(counts)
        low = np.where(counts > 1, (counts - error) * scale, np.nan)
        high = np.where(counts > 1, (counts + error) * scale, np.nan)
        middle = np.sqrt(edges[:-1] * edges[1:])
        axes.vlines(middle, low, high, color=colour, lw=0.6, alpha=0.6)


def _title(axes: Axes, header: Mapping[str, Any], right: str) -> None:
    words = [str(header.get(key, "")).strip() for key in ("TELESCOP", "INSTRUME", "OBJECT")]
    axes.set_title(" ".join(w for w in words if w and w != "NONE"), loc="left")
    axes.set_title(right, loc="right", fontsize=9)


def _plain(value: float, _: float) -> str:
    return f"{value:g}"
