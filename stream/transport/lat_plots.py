"""The gamma-ray sky as PNG, for the screen and for print: all of it, or a patch, with what was found."""

from pathlib import Path
from typing import Any, Final

import astropy_healpix.healpy as hp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import LogNorm
from matplotlib.patches import Circle
from numpy.typing import NDArray

from stream.lat.bands import DETECTION
from stream.lat.sphere import separation
from stream.transport.photons import FT2, kind_of, open_photons, read_ft2
from stream.transport.pictures import BLUE, GREEN, MARKED, PAPER, SKY, SPARSE, picture

Rows = NDArray[Any]
_KNOWN, _NEW = SKY, GREEN
ALL_SKY: Final = 500  # pixels of the picture in latitude; twice as many in longitude
PATCH: Final = 400
SIDE: Final = 64  # NSIDE of photons of a file: 0.9 degrees
TIMES: Final = 400  # of the share of live time
LOOKED: Final = 16  # NSIDE of live time: 3.7 degrees
LABELLED: Final = 40.0  # sqrt(TS) above which a source of a patch has its number beside it


def plot_sky(png: Path, counts: Rows, found: Rows, known: NDArray[np.bool_] | None = None, title: str = "") -> Path:
    """Draw a HEALPix map of counts (npix,) RING, galactic, with detections (n,) DETECTION; return `png`.

    known: which of them are sources of a catalogue (n,). Mollweide, longitude 0 in the middle, rising to the left.
    Raises LinkError if `png` cannot be written.
    """
    with picture(png, 11, 6) as figure:
        axes = figure.add_subplot(projection="mollweide")
        mesh = _whole(axes, np.maximum(counts, _floor(counts)), _norm(counts), MARKED)
        _mark(axes, -np.radians((found["glon_deg"] + 180) % 360 - 180), np.radians(found["glat_deg"]), known)
        axes.grid(color=PAPER, alpha=0.3)
        bar = figure.colorbar(mesh, ax=axes, shrink=0.6, pad=0.02)
        bar.set_label(f"counts per pixel of {np.degrees(np.sqrt(4 * np.pi / len(counts))):.2f}°")
        axes.set_title(title or f"{len(found):,} sources")
        if len(found):
            axes.legend(loc="lower right")
    return png


def _whole(axes: Axes, values: Rows, norm: LogNorm | None, colours: str) -> QuadMesh:
    """Draw a HEALPix map of values (npix,) RING, galactic, on axes in Mollweide's projection."""
    lon = np.radians(np.linspace(-180, 180, 2 * ALL_SKY + 1))
    lat = np.radians(np.linspace(-90, 90, ALL_SKY + 1))
    middle = [np.degrees(edge[1:] + edge[:-1]) / 2 for edge in (lon, lat)]
    grid_lon, grid_lat = np.meshgrid(*middle)
    pixels = hp.ang2pix(hp.npix2nside(len(values)), grid_lon % 360, grid_lat, lonlat=True)
    mesh = axes.pcolormesh(-lon, lat, np.asarray(values, float)[pixels], norm=norm, cmap=colours, rasterized=True)
    axes.set(xlabel="Galactic longitude, 0 in the middle, rising to the left", ylabel="Galactic latitude")
    axes.set_xticklabels([])
    return mesh


def plot_photons(file: Path, png: Path) -> Path | None:
    """Draw the photons of an FT1 file or a recording of them on the sky; return `png`, None for a file without any.

    Raises ConfigError if it cannot be read, LinkError if `png` cannot be written.
    """
    if kind_of(file) == FT2:
        return None
    counts = np.zeros(hp.nside2npix(SIDE), np.int64)
    for part in open_photons([file]).pieces():
        if len(part):
            pixel = hp.ang2pix(SIDE, part["GLON"].astype(float), part["GLAT"].astype(float), lonlat=True)
            counts += np.bincount(pixel, minlength=len(counts))
    if not counts.any():
        return None
    return plot_sky(png, counts, np.empty(0, DETECTION), title=f"{file.name}: {counts.sum():,} photons")


def plot_pointing(file: Path, png: Path) -> Path | None:
    """Draw where the instrument looked: rocking and share of live time by time, live time on the sky.

    Of an FT2 file, or a recording of photons; None without pointing. Raises ConfigError if it cannot be read, LinkError
    if `png` cannot be written.
    """
    rows = read_ft2([file])[0] if kind_of(file) == FT2 else open_photons([file]).pointing
    if not len(rows):
        return None
    first, span = float(rows["START"][0]), float(rows["STOP"][-1] - rows["START"][0])
    edges = first + np.linspace(0, span, min(TIMES, len(rows)) + 1)
    place = np.clip(np.searchsorted(edges, rows["START"], side="right") - 1, 0, len(edges) - 2)
    live, all_of = (np.bincount(place, w, len(edges) - 1) for w in (rows["LIVETIME"], rows["STOP"] - rows["START"]))
    rocking = separation(rows["GLON"], rows["GLAT"], rows["ZENITH_GLON"], rows["ZENITH_GLAT"])
    with picture(png, 11, 8) as figure:
        grid = figure.add_gridspec(2, 2, height_ratios=(1, 1.7))
        share, rock = (figure.add_subplot(grid[0, k]) for k in (0, 1))
        known = all_of > 0
        days = ((edges[1:] + edges[:-1]) / 2 - first)[known] / 86_400
        share.plot(days, 100 * live[known] / all_of[known], lw=1.0)
        share.set(xlabel=f"time since MET {first:.0f} s (days)", ylabel="live time (%)", ylim=(0, 100))
        angles = np.arange(0.0, 182, 2)
        rock.stairs(np.histogram(rocking, angles, weights=rows["LIVETIME"] / 3600)[0], angles, color=BLUE, fill=True)
        rock.set(
            xlabel="axis from the zenith (degrees)", ylabel="live time (hours)", xlim=(0, max(rocking.max(), 60.0))
        )
        pixel = hp.ang2pix(LOOKED, rows["GLON"].astype(float), rows["GLAT"].astype(float), lonlat=True)
        hours = np.bincount(pixel, rows["LIVETIME"] / 3600, hp.nside2npix(LOOKED))
        axes = figure.add_subplot(grid[1, :], projection="mollweide")
        size = np.degrees(np.sqrt(4 * np.pi / len(hours)))
        mesh = _whole(axes, np.where(hours > 0, hours, np.nan), None, SPARSE)
        figure.colorbar(mesh, ax=axes, shrink=0.8, pad=0.02, label=f"hours live, axis in a pixel of {size:.1f}°")
        days_live = rows["LIVETIME"].sum(dtype=float) / 86_400
        figure.suptitle(
            f"{file.name}: {len(rows):,} rows of pointing, {days_live:.3g} of {span / 86_400:.3g} days live"
        )
    return png


def plot_patch(
    png: Path, counts: Rows, found: Rows, place_deg: tuple[float, float], side_deg: float = 10.0, title: str = ""
) -> Path:
    """Draw a patch about a place (longitude, latitude): counts, and the 95 % circles of detections; return `png`.

    A gnomonic (tangent) projection, longitude rising to the left. Raises LinkError if `png` cannot be written.
    """
    half = side_deg / 2
    edge = np.linspace(-half, half, PATCH + 1)
    middle = (edge[1:] + edge[:-1]) / 2
    x, y = np.meshgrid(middle, middle)
    lon, lat = _from_plane(x, y, place_deg)
    image = np.asarray(counts, float)[hp.ang2pix(hp.npix2nside(len(counts)), lon % 360, lat, lonlat=True)]
    with picture(png, 7.2, 6.4) as figure:
        axes = figure.add_subplot()
        shown = np.maximum(image, _floor(image))
        mesh = axes.imshow(shown, extent=(-half, half, -half, half), norm=_norm(image), cmap=MARKED)
        near = found[separation(found["glon_deg"], found["glat_deg"], *place_deg) < 80]
        px, py = _to_plane(near["glon_deg"], near["glat_deg"], place_deg)
        for row, a, b in zip(near, px.tolist(), py.tolist(), strict=True):
            if max(abs(a), abs(b)) > half:
                continue
            axes.add_patch(Circle((a, b), max(float(row["r95_deg"]), side_deg / 150), fill=False, ec=_KNOWN, lw=1))
            if row["ts"] > LABELLED**2:
                axes.annotate(str(row["id"]), (a, b), (4, 4), textcoords="offset points", color=_KNOWN, fontsize=8)
        axes.set(xlabel="to the west of the middle (degrees, Galactic)", ylabel="to the north (degrees)")
        axes.set_title(title or f"l {place_deg[0]:.2f}°, b {place_deg[1]:.2f}°")
        figure.colorbar(mesh, ax=axes, shrink=0.86).set_label("counts per pixel")
    return png


def _floor(image: Rows) -> float:
    return max(0.5, float(np.quantile(image, 0.02)))


def _norm(image: Rows) -> LogNorm:
    low = _floor(image)
    return LogNorm(low, max(float(np.quantile(image, 0.999)), 4 * low))


def _mark(axes: Axes, x: Rows, y: Rows, known: NDArray[np.bool_] | None) -> None:
    if not len(x):
        return
    if known is None:
        axes.scatter(x, y, s=5, facecolors="none", edgecolors=_KNOWN, lw=0.5, label=f"{len(x):,} sources")
        return
    for which, colour, name in ((known, _KNOWN, "in the catalogue"), (~known, _NEW, "not in it")):
        label = f"{int(which.sum()):,} {name}"
        axes.scatter(x[which], y[which], s=5, facecolors="none", edgecolors=colour, lw=0.5, label=label)


def _from_plane(x_deg: Rows, y_deg: Rows, place_deg: tuple[float, float]) -> tuple[Rows, Rows]:
    """Return places of points of the tangent plane, x to the west (Calabretta and Greisen 2002, A&A 395, 1077)."""
    x, y, (lon0, lat0) = -np.radians(x_deg), np.radians(y_deg), np.radians(place_deg)
    lat = np.arctan2(np.sin(lat0) + y * np.cos(lat0), np.hypot(np.cos(lat0) - y * np.sin(lat0), x))
    return np.degrees(lon0 + np.arctan2(x, np.cos(lat0) - y * np.sin(lat0))), np.degrees(lat)


def _to_plane(lon_deg: Rows, lat_deg: Rows, place_deg: tuple[float, float]) -> tuple[Rows, Rows]:
    lon, lat, (lon0, lat0) = np.radians(lon_deg), np.radians(lat_deg), np.radians(place_deg)
    turn = lon - lon0
    down = np.sin(lat0) * np.sin(lat) + np.cos(lat0) * np.cos(lat) * np.cos(turn)
    x = -np.cos(lat) * np.sin(turn) / down
    y = (np.cos(lat0) * np.sin(lat) - np.sin(lat0) * np.cos(lat) * np.cos(turn)) / down
    return np.degrees(x), np.degrees(y)
