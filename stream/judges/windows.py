"""Judges candidates by 64 x 64 windows around them: class activation maps, then a forest.

Poliszczuk et al. 2024 (arXiv:2407.16768), section 4.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from config.schema import Screen
from stream.infer import ON_CPU, open_model
from stream.kernels.cam import FEATURES, cam_features
from stream.messages import EVENT, WINDOW, WINDOW_SIDE, EventList, Start, empty

CLASSES = ["empty", "xray", "particle", "mixed"]  # the order of P_CLASS
XRAY, PARTICLE = 1, 2


class Windows:
    """Runs the network once for each window that holds a candidate, and the forest for each candidate."""

    def __init__(self, section: Screen) -> None:
        """Raises ModelError for a network or a forest that is none, and for a forest of another network."""
        self._network = open_model(section.model, section.provider)
        self._forest = open_model(section.forest, "cpu")  # no other provider has trees
        self._every = section.tiling
        card, forest = self._network.card, self._forest.card
        card.require("input.energy_ev.shape", ["n", 1, WINDOW_SIDE, WINDOW_SIDE])
        card.require("output.logits.classes", CLASSES)
        card.require("output.maps.classes", CLASSES)
        forest.require("input.features.names", list(FEATURES))
        forest.require("frames_sha256", card.get("sha256"))  # whose features it has learned from
        forest.require("output.p_particle.shape", ["n"])
        for number in (*range(1, ON_CPU), self._network.at_a_time):  # some providers compile each size anew
            logits, maps = self._look(np.zeros((number, WINDOW_SIDE, WINDOW_SIDE), np.float32))
        self._score(np.zeros(1, EVENT), np.zeros(1, WINDOW), np.zeros(1, np.int64), logits, maps)

    @property
    def about(self) -> Mapping[str, str]:
        """What it runs, and where."""
        return {"network": str(self._network), "forest": str(self._forest)}

    @property
    def failed(self) -> bool:
        """Whether the provider that it began with has failed."""
        return bool(self._network.failed)

    def open(self, start: Start) -> None:
        """Take note of a new stream: nothing of it matters here."""

    def judge(
        self, lists: Sequence[EventList], chosen: Sequence[NDArray[np.int64]]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return for the chosen rows of each list's events, list after list, p_particle (n,) and p_class (n, 4).

        float32, 0 to 1; NaN for a candidate in no window, or that network or forest find no number for. Empty for none.
        """
        candidates, windows, place = _joined(lists, chosen)
        p_particle = np.full(candidates.size, np.nan, np.float32)
        p_class = np.full((candidates.size, len(CLASSES)), np.nan, np.float32)
        known = np.flatnonzero(place >= 0)
        looked = np.arange(windows.size) if self._every else np.unique(place[known])
        if looked.size:
            logits, maps = self._look(windows["energy_ev"][looked])
            frame = np.searchsorted(looked, place[known])
            p_class[known] = softmax(logits)[frame]
            p_particle[known] = self._score(candidates[known], windows[place[known]], frame, logits, maps)
        return p_particle, p_class

    def _look(self, energy_ev: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return logits (n, 4) and maps (n, 4, h, h) of windows (n, 64, 64), eV; n at least 1."""
        step = self._network.at_a_time
        parts = [self._network.run(energy_ev=energy_ev[k : k + step, None]) for k in range(0, len(energy_ev), step)]
        return np.concatenate([part["logits"] for part in parts]), np.concatenate([part["maps"] for part in parts])

    def _score(
        self,
        candidates: NDArray[Any],
        windows: NDArray[Any],
        frame: NDArray[np.int64],
        logits: NDArray[np.float32],
        maps: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """Return p_particle (n,) of candidates in windows, one each, that are the rows `frame` of logits and maps."""
        x, y = (candidates[a].astype(np.int64) - windows[b] for a, b in (("x", "left"), ("y", "bottom")))
        classes = (XRAY, PARTICLE)
        features = cam_features(maps, logits, frame, x, y, candidates["energy_ev"], classes, WINDOW_SIDE)
        score = np.full(len(features), np.nan, np.float32)
        numbers = np.isfinite(features).all(axis=1)  # trees would take NaN for a number
        if numbers.any():
            score[numbers] = self._forest.run(features=features[numbers])["p_particle"]
        return score


def _joined(
    lists: Sequence[EventList], chosen: Sequence[NDArray[np.int64]]
) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.int64]]:
    """Return the chosen events of all lists (n,), all windows, and the row of the window of each event; -1: none."""
    events, windows, places = [empty(EVENT)], [empty(WINDOW)], [np.empty(0, np.int64)]
    first = 0
    for one, rows in zip(lists, chosen, strict=True):
        events.append(one.events[rows])
        windows.append(one.windows)
        place = most_central(events[-1], one.windows)
        places.append(np.where(place >= 0, place + first, -1))
        first += one.windows.size
    return np.concatenate(events), np.concatenate(windows), np.concatenate(places)


def most_central(events: NDArray[Any], windows: NDArray[Any]) -> NDArray[np.int64]:
    """Return for each event the row of the window of its quadrant in which it is farthest from the sides; -1: none."""
    if not windows.size:
        return np.full(events.size, -1)
    far = np.iinfo(np.int64).max
    away = np.zeros((events.size, windows.size), np.int64)
    for axis, corner in (("x", "left"), ("y", "bottom")):
        off = events[axis].astype(np.int64)[:, None] - windows[corner]
        away = np.maximum(away, abs(off - WINDOW_SIDE // 2))
        away[(off < 0) | (off >= WINDOW_SIDE)] = far
    away[events["quadrant"][:, None] != windows["quadrant"]] = far
    best = away.argmin(axis=1)
    return np.where(away[np.arange(events.size), best] < far, best, -1)


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return probabilities (n, k) of logits (n, k); NaN where these are none."""
    with np.errstate(invalid="ignore"):
        above = np.exp(logits - logits.max(axis=1, keepdims=True))
    return above / above.sum(axis=1, keepdims=True)
