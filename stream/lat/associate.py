"""Which detections are which sources of a catalogue, one to one, and how often that is chance.

A detection may be a source within `ratio` times the 95 % radii of both, in quadrature, and within `limit_deg`. The most
significant detection takes the nearest source, in units of that radius, that no other has; one without an error only
if there is no other. By a radius alone it is the nearest in degrees. What chance gives is seen by turning the
detections about the Galactic poles: latitudes, density and their clustering stay, the sources are others.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from stream.lat.sphere import separation, unit_vectors

Table = NDArray[Any]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

R999: Final = 1.5185  # radius that holds 99.9 % over that of 95 %: sqrt(ln 1000 / ln 20), of a two-dimensional Gaussian
TURNS_DEG: Final = tuple(float(turn) for turn in range(15, 360, 15))  # none is small: the Galaxy is not all alike


@dataclass(frozen=True, slots=True)
class Rule:
    """How far a detection may be from a source. `Rule(np.inf, 0.3)`: a radius alone."""

    ratio: float = R999  # over the 95 % radii of both in quadrature
    limit_deg: float = 0.5  # as seed 004; and the only one for sources without an error (extended ones)


@dataclass(frozen=True, slots=True)
class Association:
    """What each of n detections is."""

    entry: NDArray[np.int64]  # (n,) its row in the catalogue; -1: none
    separation_deg: Floats  # (n,) NaN: none
    ratio: Floats  # (n,) of the separation and the radii in quadrature

    def taken(self, entries: int) -> Mask:
        """Return which rows of the catalogue have a detection, (entries,)."""
        mask = np.zeros(entries, bool)
        mask[self.entry[self.entry >= 0]] = True
        return mask


@dataclass(frozen=True, slots=True)
class Share:
    """A share with chance matches taken out, and its 68 % interval."""

    value: float
    low: float
    high: float
    number: int  # it is a share of so many
    observed: float  # chance matches included
    chance: float  # share that matches with turned detections
    chance_error: float


def associate(found: Table, catalogue: Table, rule: Rule = Rule(), turn_deg: float = 0.0) -> Association:
    """Return what detections (n,) DETECTION are in a catalogue (m,) of `entry_dtype`; turned in longitude, if asked.

    No detections or no sources: none is any.
    """
    n = len(found)
    told = Association(np.full(n, -1, np.int64), np.full(n, np.nan), np.full(n, np.nan))
    if not n or not len(catalogue):
        return told
    one, other, apart, ratio = _pairs(found, catalogue, rule, turn_deg)
    unsure = ~(catalogue["conf_95_major_deg"][other] > 0)
    by_ratio = np.isfinite(rule.ratio)
    order = np.lexsort((ratio if by_ratio else apart, unsure & by_ratio, one, -found["ts"][one]))
    free_one, free_other = np.ones(n, bool), np.ones(len(catalogue), bool)
    for k in order.tolist():
        i, j = one[k], other[k]
        if free_one[i] and free_other[j]:
            free_one[i] = free_other[j] = False
            told.entry[i], told.separation_deg[i], told.ratio[i] = j, apart[k], ratio[k]
    return told


def _pairs(found: Table, catalogue: Table, rule: Rule, turn_deg: float) -> tuple[Any, Any, Floats, Floats]:
    """Return detection and source, separation and its ratio, of all pairs that the rule allows."""
    lon, lat = found["glon_deg"] + turn_deg, found["glat_deg"]
    chord = 2 * np.sin(np.radians(rule.limit_deg) / 2)
    tree = cKDTree(unit_vectors(catalogue["glon_deg"], catalogue["glat_deg"]))
    near = tree.query_ball_point(unit_vectors(lon, lat), chord * (1 + 1e-9))
    one = np.repeat(np.arange(len(found)), [len(each) for each in near])
    other = np.array([j for each in near for j in each], np.int64)
    apart = separation(lon[one], lat[one], catalogue["glon_deg"][other], catalogue["glat_deg"][other])
    r95 = np.hypot(np.nan_to_num(found["r95_deg"][one]), catalogue["conf_95_major_deg"][other])
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(np.isfinite(r95) & (r95 > 0), apart / r95, apart / rule.limit_deg)
    kept = (apart <= rule.limit_deg) & ((ratio <= rule.ratio) | ~np.isfinite(r95))
    return one[kept], other[kept], apart[kept], ratio[kept]


def by_chance(
    found: Table, catalogue: Table, rule: Rule = Rule(), turns_deg: Sequence[float] = TURNS_DEG
) -> tuple[Mask, Mask]:
    """Return which detections (turns, n) and which sources (turns, m) are matched when the detections are turned."""
    turned = [associate(found, catalogue, rule, turn) for turn in turns_deg]
    return np.array([one.entry >= 0 for one in turned]), np.array([one.taken(len(catalogue)) for one in turned])


def wilson(hits: int, number: int, z: float = 1.0) -> tuple[float, float]:
    """Return the interval of a share (Wilson 1927, JASA 22, 209); z = 1: 68 %. NaN of none."""
    if not number:
        return np.nan, np.nan
    share = hits / number
    middle = (share + z**2 / (2 * number)) / (1 + z**2 / number)
    half = z * np.sqrt(share * (1 - share) / number + z**2 / (4 * number**2)) / (1 + z**2 / number)
    return float(middle - half), float(middle + half)


def share_of(matched: Mask, chance: Mask, which: Mask | None = None) -> Share:
    """Return the share s of `which` that is matched, chance matches taken out: m = s + (1 - s) c.

    matched (n,); chance (turns, n) from `by_chance`; which (n,) or None: all. The interval is Wilson's of m, carried
    over, with the error of c in quadrature: the scatter of the turns over the root of their number.
    """
    own = np.ones(len(matched), bool) if which is None else np.asarray(which, bool)
    number, hits = int(own.sum()), int(matched[own].sum())
    if not number:
        return Share(np.nan, np.nan, np.nan, 0, np.nan, np.nan, np.nan)
    rates = chance[:, own].mean(axis=1)
    c = float(rates.mean())
    c_error = float(rates.std(ddof=1) / np.sqrt(len(rates))) if len(rates) > 1 else np.nan
    m, (low, high) = hits / number, wilson(hits, number)

    def freed(share: float) -> float:
        return (share - c) / (1 - c) if c < 1 else np.nan

    value = freed(m)
    slope = np.nan_to_num((1 - m) / (1 - c) ** 2 * c_error) if c < 1 else 0.0
    down, up = np.hypot(value - freed(low), slope), np.hypot(freed(high) - value, slope)
    return Share(value, value - down, min(value + up, 1.0), number, m, c, c_error)


def completeness(association: Association, chance: Mask, catalogue: Table, which: Mask | None = None) -> Share:
    """Return the share of the sources that were found; chance: the second of `by_chance`."""
    return share_of(association.taken(len(catalogue)), chance, which)


def purity(association: Association, chance: Mask, which: Mask | None = None) -> Share:
    """Return the share of the detections that are sources; chance: the first of `by_chance`."""
    return share_of(association.entry >= 0, chance, which)


def by_bin(
    matched: Mask, chance: Mask, value: Floats, edges: Sequence[float], which: Mask | None = None
) -> list[Share]:
    """Return `share_of` in bins of a value (n,): edges[k] <= value < edges[k + 1]."""
    own = np.ones(len(matched), bool) if which is None else np.asarray(which, bool)
    given = np.asarray(value, float)
    return [share_of(matched, chance, own & (given >= low) & (given < high)) for low, high in pairwise(edges)]
