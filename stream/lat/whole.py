"""The search of the whole sky: patch by patch, twice, and what overlapping patches both found is one.

First only the brightest, which shine into the patches around theirs; then all, beginning with these. A source is taken
from the patch whose centre is nearest to it.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stream.lat.bands import DETECTION
from stream.lat.exposure import Exposure
from stream.lat.glance import Glance, Photons
from stream.lat.masks import likely_at, places_of
from stream.lat.patch import centres, cut, to_patch
from stream.lat.psf import Profiles
from stream.lat.scene import WINGS_DEG, Scene, scene_of
from stream.lat.search import search
from stream.lat.sky import Expected
from stream.lat.sphere import separation

BRIGHT: Final = 400.0  # TS of those that the first pass looks for
SAME_DEG: Final = 0.1  # two so near, of different patches, are one
OWN: Final = 2.0  # a detection of its own patch counts so many times
TIE_DEG: Final = 0.3  # twice what two patches may differ by in the place of a source
LEAST_P: Final = 0.1  # of a place of the mask that is fitted; the caller has a threshold of its own
AROUND_DEG: Final = 12.0 + WINGS_DEG  # of a patch's centre: what may shine into it

Maps = Sequence[NDArray[Any]]  # counts (channels, 12 nside^2) for each of GRIDS
Mask = Callable[[Scene], NDArray[np.float32]]  # where a network sees sources: p of the finest pixels of a scene


@dataclass(frozen=True, slots=True, eq=False)
class Survey:
    """What a search of the sky needs besides the counts."""

    expected: Expected
    exposure: Exposure
    profiles: Profiles
    threads: int = 1
    mask: Mask | None = None
    by_mask_deg: float = 0.0  # patches whose middle is so near to the plane take its places, not the filter's

    def scene(self, maps: Maps, glon_deg: float, glat_deg: float) -> Scene:
        """Return the scene of a patch."""
        patch = cut(maps, glon_deg, glat_deg)
        return scene_of(patch, self.expected.on(patch), self.exposure, self.profiles)


def search_sky(survey: Survey, maps: Maps, least_ts: float = 16.0, known: NDArray[Any] | None = None) -> NDArray[Any]:
    """Return DETECTION rows of the whole sky, most significant first; no photons: no rows.

    known: bright sources of an earlier search; none: a first pass looks for them.
    """
    places = centres()
    numbers, glance = range(len(places)), None
    if known is None:
        known = merge(places, _all(survey, numbers, lambda k: _bright(survey, maps, places[k])))
    if not len(known) and (photons := Photons.of(maps)) is not None:
        glance = Glance.over(photons, survey.expected, survey.exposure, survey.profiles, places)
    begin = known

    def one(number: int) -> NDArray[Any]:
        if glance is not None and not glance.may_hold(number, least_ts):
            return np.zeros(0, DETECTION)
        return _full(survey, maps, places[number], least_ts, begin)

    found = merge(places, _all(survey, numbers, one))
    found = found[np.argsort(-found["ts"], kind="stable")]
    found["id"] = np.arange(1, len(found) + 1)
    return found


def _all(survey: Survey, numbers: range, one: Callable[[int], NDArray[Any]]) -> list[NDArray[Any]]:
    with ThreadPoolExecutor(survey.threads) as pool:
        return list(pool.map(one, numbers))


def _bright(survey: Survey, maps: Maps, at: NDArray[np.float64]) -> NDArray[Any]:
    scene = survey.scene(maps, *at)
    return search(scene, BRIGHT, rounds=(4 * BRIGHT,)) if scene.rate.min() > 0 else np.zeros(0, DETECTION)


def _full(survey: Survey, maps: Maps, at: NDArray[np.float64], least_ts: float, known: NDArray[Any]) -> NDArray[Any]:
    scene = survey.scene(maps, *at)
    if scene.rate.min() <= 0:  # nobody looked there
        return np.zeros(0, DETECTION)
    near = known[separation(known["glon_deg"], known["glat_deg"], *at) < AROUND_DEG]
    if survey.mask is None:
        return search(scene, least_ts, near)
    scene.fit_background()  # as the network has learned it: nothing is known of sources
    mask = survey.mask(scene)
    places = places_of(mask, LEAST_P) if abs(float(at[1])) < survey.by_mask_deg else None
    found = search(scene, least_ts, near, places=places)
    x, y = to_patch(float(at[0]), float(at[1]), found["glon_deg"], found["glat_deg"])
    found["probability"] = likely_at(mask, x, y)
    return found


def merge(places: NDArray[np.float64], found: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Return the detections of all patches, each from the patch nearest to it, strongest first, none twice.

    Two patches place a source a little differently, so that each may think it the other's: what lies within TIE_DEG of
    the border is taken from both, and of two that agree within their 95 % radii the stronger one; of two as strong as
    each other within a factor OWN, that which is its patch's own.
    """
    parts, patch, own = [np.zeros(0, DETECTION)], [np.zeros(0, int)], [np.zeros(0, bool)]
    for number, rows in enumerate(found):
        away = separation(rows["glon_deg"][:, None], rows["glat_deg"][:, None], places[:, 0], places[:, 1])
        beyond = away[:, number] - away.min(axis=1, initial=np.inf)
        kept = beyond < TIE_DEG
        parts.append(rows[kept])
        patch.append(np.full(int(kept.sum()), number))
        own.append(beyond[kept] <= 0)
    table, of, sure = (np.concatenate(each) for each in (parts, patch, own))
    order = np.argsort(-table["ts"] * np.where(sure, OWN, 1.0), kind="stable")
    table, of, sure = table[order], of[order], sure[order]
    chosen = np.zeros(len(table), bool)
    for i, this in enumerate(table):
        others = np.flatnonzero(chosen[:i] & (of[:i] != of[i]))
        others = others[np.abs(table["glat_deg"][others] - this["glat_deg"]) < TIE_DEG]
        near = table[others]
        apart = separation(near["glon_deg"], near["glat_deg"], this["glon_deg"], this["glat_deg"])
        agree = np.clip(near["r95_deg"] + this["r95_deg"], SAME_DEG, TIE_DEG)
        chosen[i] = not np.any(apart < np.where(sure[others] & sure[i], SAME_DEG, agree))
    table = table[chosen]
    return table[np.argsort(-table["ts"], kind="stable")]
