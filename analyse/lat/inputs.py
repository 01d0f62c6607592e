"""What `raysieve analyse lat` is given: the counts of the sky in whatever form the stream leaves them, and sources."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from analyse.lat.fit import Part
from config.lat import AccumulateSky as Section
from stream.errors import ConfigError
from stream.lat.catalogue import Catalogue
from stream.lat.cube import MISSION, YEAR_S, Sky
from stream.lat.exposure import Exposure, power_law, survey
from stream.lat.instrument import Instrument
from stream.lat.patch import SIDE_DEG, centres, to_patch
from stream.lat.scene import UNIT, WINGS_DEG
from stream.lat.search import search
from stream.lat.sphere import separation
from stream.lat.whole import BRIGHT, Survey, merge
from stream.messages import Message
from stream.stages.accumulate_sky import AccumulateSky, SkyProduct
from stream.transport.fitsrows import table_names
from stream.transport.inproc import run
from stream.transport.photons import holds_photons, open_photons
from stream.transport.sky_files import read_sky
from stream.transport.sky_maps import read_window

COUNTED: Final = "counted.h5"
SAME_DEG: Final = 0.25  # of --at and a known source: that is meant
FOUND_TS: Final = 16.0  # of sources that are found where no catalogue is given
BEYOND_DEG: Final = 5.0  # of the patch's edge: what shines into it
Rows = NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """Counts of the sky and their exposure."""

    maps: list[Rows]  # (channels of the grid, 12 nside^2) for each of GRIDS
    exposure: Exposure
    start_s: float
    stop_s: float
    window: str
    years: Mapping[int, Rows] = field(default_factory=dict)  # (BANDS, 12 YEAR_NSIDE^2); none: not the mission
    good_s: Mapping[int, float] = field(default_factory=dict)


def open_sky(paths: Sequence[Path], window: str, exposure: str, instrument: Instrument) -> Seen:
    """Read what the stream has left (a folder, counted.h5, a map file), or photons (FT1 with FT2, a recording).

    exposure: "pointing" or "survey". Raises ConfigError for anything else, and for a window without exposure.
    """
    for path in paths:
        if not path.exists():
            raise ConfigError(f"{path}: no such file or folder")
    only = _in_folder(paths[0]) if len(paths) == 1 else None
    if only is not None and _is_window(only):
        held = read_window(only)
        known = _even(instrument, held.ontime_s) if exposure == "survey" else held.exposure(instrument)
        return Seen(held.maps, _needed(known, str(only)), held.start_s, held.stop_s, only.stem)
    if only is not None and only.suffix in (".h5", ".hdf5") and not holds_photons(only):
        sky = read_sky(only)
        assert sky is not None
    else:
        sky = _counted(paths, instrument)
    return _of_sky(sky, window, exposure, instrument, str(paths[0]))


def _in_folder(path: Path) -> Path:
    if not path.is_dir():
        return path
    for name in (path / COUNTED, path / "sky" / COUNTED):
        if name.is_file():
            return name
    raise ConfigError(f"{path}: no {COUNTED} in it, nor in its folder sky; expected what `raysieve process` leaves")


def _is_window(path: Path) -> bool:
    return path.name.endswith((".fits", ".fit", ".fits.gz")) and {"BANDS", "FRONT", "BACK"} <= table_names(path)


class _Last:
    """Keeps the last product "sky"."""

    def __init__(self) -> None:
        self.sky: Sky | None = None

    def send(self, message: Message) -> None:
        if isinstance(message, SkyProduct):
            self.sky = message.sky

    def close(self) -> None:
        pass


def _counted(paths: Sequence[Path], instrument: Instrument) -> Sky:
    """Return the sky of photons, by the stage of the stream."""
    last = _Last()
    run(open_photons(paths).messages(), [AccumulateSky(Section(every_s=1e12), instrument)], last)
    if last.sky is None:
        raise ConfigError(f"{paths[0]}: no photons in good time")
    return last.sky


def _of_sky(sky: Sky, window: str, exposure: str, instrument: Instrument, name: str) -> Seen:
    one = sky.windows()[window]
    if not one.totals().sum():
        raise ConfigError(f"{name}: window {window}: no photons in it")
    known = _even(instrument, one.ontime_s) if exposure == "survey" else one.exposure(instrument)
    years = (sky.years, sky.years_s) if window == MISSION else ({}, {})
    return Seen(one.maps(), _needed(known, f"{name}: window {window}"), one.start_s, one.stop_s, window, *years)


def _even(instrument: Instrument, good_s: float) -> Exposure:
    return survey(instrument, good_s / YEAR_S)


def _needed(exposure: Exposure | None, name: str) -> Exposure:
    if exposure is None:
        raise ConfigError(
            f"{name}: no exposure: nobody knows where the instrument looked (FT2); "
            "expected FT2 beside FT1, or --exposure survey for a simulated sky"
        )
    return exposure


def place_of(name: str, catalogue: Catalogue) -> tuple[float, float]:
    """Return the place of a source of a catalogue, galactic degrees. Raises ConfigError for a name it lacks."""
    plain = [" ".join(one.split()).lower() for one in catalogue.rows["name"].tolist()]
    wanted = " ".join(name.split()).lower()
    if wanted not in plain:
        near = difflib.get_close_matches(wanted, plain, 1)
        hint = f"; did you mean {catalogue.rows['name'][plain.index(near[0])]}?" if near else ""
        left = catalogue.counters["no place or no spectrum"]
        more = f" ({left} rows without a place or a spectrum were left out)" if left else ""
        raise ConfigError(f"no source {name!r} in {catalogue.title}{more}{hint}")
    row = catalogue.rows[plain.index(wanted)]
    return float(row["glon_deg"]), float(row["glat_deg"])


def parts_of_catalogue(catalogue: Catalogue, exposure: Exposure, place: tuple[float, float]) -> list[Part]:
    """Return the sources of a catalogue on the patch around a place and near it; extended ones as points."""
    rows = catalogue.rows
    x, y = to_patch(*place, rows["glon_deg"], rows["glat_deg"])
    with np.errstate(invalid="ignore"):
        off = np.maximum(np.abs(x - SIDE_DEG / 2), np.abs(y - SIDE_DEG / 2)) - SIDE_DEG / 2
        kept = np.flatnonzero((off < BEYOND_DEG) & np.all(np.isfinite(rows["spectrum"]), axis=(1, 2)))
    ts = np.nan_to_num(rows["significance"][kept].astype(float)) ** 2
    seen = exposure.at(rows["glon_deg"][kept], rows["glat_deg"][kept])
    return [
        _part(str(rows["name"][i]), (x[i], y[i]), rows["spectrum"][i], float(t), seen[..., k])
        for k, (i, t) in enumerate(zip(kept, ts, strict=True))
    ]


def parts_of_search(found: Rows, exposure: Exposure, place: tuple[float, float]) -> list[Part]:
    """Return the sources that a search has found (DETECTION rows) on the patch and near it, as power laws."""
    x, y = to_patch(*place, found["glon_deg"], found["glat_deg"])
    seen = exposure.at(found["glon_deg"], found["glat_deg"])
    out = []
    for k, row in enumerate(found):
        if np.isfinite(x[k]):
            spectrum = power_law(row["flux"], row["index"])[0]
            name = f"l {row['glon_deg']:.2f} b {row['glat_deg']:+.2f}"
            out.append(_part(name, (x[k], y[k]), spectrum, float(row["ts"]), seen[..., k]))
    return out


def _part(name: str, at: tuple[float, float], spectrum: NDArray[np.float64], ts: float, seen: Any) -> Part:
    theta = np.array([*at, 0.0, 0.0, 0.0])
    return Part(name, theta, np.zeros(5, bool), np.asarray(seen, float), base=np.asarray(spectrum, float), ts=ts)


def find_around(survey_of: Survey, maps: Sequence[Rows], place: tuple[float, float]) -> Rows:
    """Return the sources of the patch around a place, and the bright ones of the patches around it."""
    around = centres()
    around = around[separation(around[:, 0], around[:, 1], *place) < SIDE_DEG / 2 + WINGS_DEG]
    first = [search(survey_of.scene(maps, *at), BRIGHT, rounds=(4 * BRIGHT,)) for at in around]
    bright = merge(around, first)
    own = search(survey_of.scene(maps, *place), FOUND_TS, bright)
    x, y = to_patch(*place, bright["glon_deg"], bright["glat_deg"])
    with np.errstate(invalid="ignore"):
        out = np.maximum(np.abs(x - SIDE_DEG / 2), np.abs(y - SIDE_DEG / 2)) > SIDE_DEG / 2
    return np.concatenate([own, bright[out]])


def aimed(parts: list[Part], exposure: Exposure, place: tuple[float, float], name: str = "") -> tuple[Part, list[Part]]:
    """Return the source that is meant by a place (or has the name), and the others.

    It is the nearest within SAME_DEG, with its own place and steepness to begin with; else a new one at the place.
    """
    away = np.array([np.hypot(*(p.theta[:2] - SIDE_DEG / 2)) for p in parts] or [np.inf])
    named = next((i for i, p in enumerate(parts) if name and p.name == name), None)
    k = int(away.argmin()) if named is None else named
    if named is None and away[k] > SAME_DEG:
        theta = np.array([SIDE_DEG / 2, SIDE_DEG / 2, 0.0, 2.2, 0.0])
        told = name or f"l {place[0]:.2f} b {place[1]:+.2f}"
        return Part(told, theta, np.zeros(5, bool), exposure.at(*place)[..., 0]), parts
    one = parts[k]
    assert one.base is not None
    edges = one.base[2, 0], one.base[4, 0]  # at 1 and 7 GeV
    index = float(np.clip(np.log(edges[0] / max(edges[1], 1e-300)) / np.log(7.0), 1.2, 3.5))
    unit = power_law(UNIT, index)[0][2:4].sum()
    flux = float(np.log(max(one.base[2:4].sum() / unit, 1e-2)))
    theta = np.array([*one.theta[:2], flux, index, 0.0])
    return Part(one.name, theta, np.zeros(5, bool), one.seen, ts=one.ts), [p for i, p in enumerate(parts) if i != k]
