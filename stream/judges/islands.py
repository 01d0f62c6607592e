"""Judges candidates by the islands of the whole read-out: how they lie to tracks and to each other."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from config.schema import Screen
from stream.errors import ModelError
from stream.infer import open_model
from stream.kernels.context import CANDIDATE, ISLAND, PIXELS_OF, describe_candidates, list_islands, surround
from stream.messages import EVENT, TRACK, EventList, Start

MOST = 4096  # islands of a read-out that are listed; the tracks come first


class Islands:
    """Runs the context model once for all candidates of a batch."""

    def __init__(self, section: Screen) -> None:
        """Raises ModelError for a model that is none of the context."""
        self._model = open_model(section.model, section.provider)
        card = self._model.card
        card.require("input.candidate.shape", ["n", len(CANDIDATE) + PIXELS_OF])
        card.require("input.around.names", list(ISLAND))
        shape = card.get("input.around.shape")
        if not (isinstance(shape, list) and len(shape) == 3 and isinstance(shape[1], int) and shape[1] > 0):
            raise ModelError(f"{card.path}: input.around.shape: expected ['n', islands, {len(ISLAND)}], found {shape}")
        self._nearest = shape[1]
        self._origins, self._sides, self._gain = np.zeros((256, 2), np.int32), np.ones((256, 2), np.int32), 1.0
        self._islands, self._source = np.empty((MOST, len(ISLAND)), np.float32), np.empty(MOST, np.int64)
        self._warm_up()

    @property
    def about(self) -> Mapping[str, str]:
        """What it runs, and where."""
        return {"network": str(self._model)}

    @property
    def failed(self) -> bool:
        """Whether the provider that it began with has failed."""
        return bool(self._model.failed)

    def _warm_up(self) -> None:
        """Compile for tables of our own and for those from a socket, which cannot be written to."""
        events, tracks = np.zeros(1, EVENT), np.zeros(1, TRACK)
        one = EventList(stream="", sequence=0, time_ns=0, events=events, tracks=tracks)
        for number in range(1, self._model.at_a_time + 1):  # some providers compile each size anew
            self.judge([one], [np.zeros(number, np.int64)])
        for table in (events, tracks):
            table.flags.writeable = False
            self.judge([one], [np.zeros(1, np.int64)])

    def open(self, start: Start) -> None:
        """Take note of where the quadrants of a new stream lie."""
        for q in start.quadrants:
            self._origins[q.id] = q.origin_x_px, q.origin_y_px
            self._sides[q.id] = q.columns, q.rows
        self._gain = start.gain_ev

    def judge(
        self, lists: Sequence[EventList], chosen: Sequence[NDArray[np.int64]]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return for the chosen rows of each list's events, list after list, p_particle (n,) and p_class (n, 4).

        float32, 0 to 1; NaN where the model finds no number. It knows no classes of frames: p_class is NaN.
        """
        parts = [self._see(one, rows) for one, rows in zip(lists, chosen, strict=True)]
        candidate, around, known = (np.concatenate(column) for column in zip(*parts, strict=True))
        p_particle = np.empty(len(candidate), np.float32)
        step = self._model.at_a_time
        for k in range(0, len(candidate), step):
            rows = slice(k, k + step)
            found = self._model.run(candidate=candidate[rows], around=around[rows], known=known[rows])
            p_particle[rows] = found["p_particle"]
        return p_particle, np.full((len(candidate), 4), np.nan, np.float32)

    def _see(
        self, one: EventList, rows: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Return what the model is given of the candidates of one read-out."""
        events: NDArray[Any] = one.events
        count = list_islands(events, one.tracks, self._origins, self._gain, self._islands, self._source)
        candidate = np.empty((rows.size, len(CANDIDATE) + PIXELS_OF), np.float32)
        describe_candidates(events, rows, self._sides, self._gain, candidate)
        mine = events[rows]
        at = self._origins[mine["quadrant"]] + np.stack([mine["x"] + mine["sub_x"], mine["y"] + mine["sub_y"]], axis=1)
        source, place = self._source[:count], np.full(len(events), -1)
        place[source[source >= 0]] = np.flatnonzero(source >= 0)
        own = place[rows]
        first = np.tile(np.array([0, count]), (rows.size, 1))
        around = np.empty((rows.size, self._nearest, len(ISLAND)), np.float32)
        known = np.empty((rows.size, self._nearest), np.float32)
        quadrant = mine["quadrant"].astype(np.float32)
        surround(at.astype(np.float32), quadrant, own, first, self._islands, around, known)
        return candidate, around, known
