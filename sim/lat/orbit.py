"""Where the LAT is and where it looks, by time: a circular orbit, rocking from one side of it to the other.

Height 565 km, inclination 25.6 degrees; the orbit's plane turns as the Earth's oblateness makes it (J2); the axis is
50 degrees north of the zenith in one orbit, 50 south in the next, as in the survey since 2009. Within the South
Atlantic Anomaly nothing is measured: an ellipse about the gaps of a real FT2 file of 2008, made smaller until it takes
the 13 % of the time that the mission loses since. Dead time as in that file: 9.6 %. Times: MET.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
ROW_S: Final = 30.0
EARTH_KM: Final = (6378.137, 398_600.4418, 1.08263e-3)  # radius, GM (km3 s-2), J2: WGS 84
HEIGHT_KM: Final = 565.0
INCLINATION: Final = np.radians(25.6)
ROCK_DEG: Final = 50.0
SLEW_S: Final = 420.0  # from one side to the other
LIVE: Final = 0.904  # of the time outside the anomaly
SAA: Final = (-38.0, -27.0, 54.0, 27.5)  # longitude and latitude of the middle, half axes, degrees
SIDEREAL: Final = (100.4606, 360.98564737)  # Greenwich at MET 0, and per day, degrees (IAU 1982)
ROW: Final = np.dtype(
    [
        ("start_s", "f8"),
        ("live_s", "f8"),
        ("axis", "f8", (3,)),  # directions, ICRS
        ("zenith", "f8", (3,)),
        ("pole", "f8", (3,)),  # of the orbit
        ("lon_deg", "f8"),  # on the Earth
        ("lat_deg", "f8"),
        ("rock_deg", "f8"),
    ]
)


def period_s() -> float:
    """Return the time of an orbit."""
    radius, gm, _ = EARTH_KM
    return float(2 * np.pi * np.sqrt((radius + HEIGHT_KM) ** 3 / gm))


def rows_between(start_s: float, stop_s: float, at: float = 0.5) -> NDArray[Any]:
    """Return ROWs of ROW_S from the multiple of it at or before start_s to before stop_s; at: of a row, 0 its start."""
    number = np.arange(int(start_s // ROW_S), int(np.ceil(stop_s / ROW_S)))
    rows = np.zeros(len(number), ROW)
    rows["start_s"] = number * ROW_S
    time = rows["start_s"] + at * ROW_S
    radius, gm, j2 = EARTH_KM
    turn = 2 * np.pi * time / period_s()
    rate = np.sqrt(gm / (radius + HEIGHT_KM) ** 3)
    node = -1.5 * j2 * (radius / (radius + HEIGHT_KM)) ** 2 * rate * np.cos(INCLINATION) * time
    rows["zenith"] = _turned(np.cos(turn), np.sin(turn) * np.cos(INCLINATION), np.sin(turn) * np.sin(INCLINATION), node)
    level = np.zeros_like(time)
    rows["pole"] = _turned(level, level - np.sin(INCLINATION), level + np.cos(INCLINATION), node)
    rows["rock_deg"] = rocking_deg(time)
    angle = np.radians(rows["rock_deg"])[:, None]
    rows["axis"] = np.cos(angle) * rows["zenith"] + np.sin(angle) * rows["pole"]
    east = np.degrees(np.arctan2(rows["zenith"][:, 1], rows["zenith"][:, 0])) - SIDEREAL[0] - SIDEREAL[1] * time / 86400
    rows["lon_deg"] = (east + 180) % 360 - 180
    rows["lat_deg"] = np.degrees(np.arcsin(rows["zenith"][:, 2]))
    rows["live_s"] = np.where(in_saa(rows["lon_deg"], rows["lat_deg"]), 0.0, LIVE * ROW_S)
    return rows


def _turned(x: Floats, y: Floats, z: Floats, by: Floats) -> Floats:
    c, s = np.cos(by), np.sin(by)
    return np.stack([c * x - s * y, s * x + c * y, z], axis=1)


def rocking_deg(time_s: Floats) -> Floats:
    """Return the angle of the axis from the zenith towards the orbit's pole, at times (n,)."""
    whole = period_s()
    phase = time_s % (2 * whole)
    side = np.where(phase < whole, 1.0, -1.0)
    since = np.minimum(phase % whole, SLEW_S) / SLEW_S  # each orbit begins with the turn
    return np.asarray(ROCK_DEG * side * (2 * since - 1))


def in_saa(lon_deg: Floats, lat_deg: Floats) -> NDArray[np.bool_]:
    """Return which places (n,) on the Earth lie in the anomaly."""
    lon, lat, wide, high = SAA
    return np.asarray(((lon_deg - lon) / wide) ** 2 + ((lat_deg - lat) / high) ** 2 < 1)


def good_times(rows: NDArray[Any]) -> Floats:
    """Return the start and stop of what is live, (k, 2)."""
    live = np.concatenate([[False], rows["live_s"] > 0, [False]])
    edges = np.flatnonzero(live[1:] != live[:-1]).reshape(-1, 2)
    return np.stack([rows["start_s"][edges[:, 0]], rows["start_s"][edges[:, 1] - 1] + ROW_S], axis=1)
