"""Candidates and the islands around them, from event sets; mixed anew with other read-outs while learning."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from config.schema import Config
from models.candidates import Candidates, Events
from sim.charge import PARTICLE
from stream.kernels import njit
from stream.kernels.context import (
    CANDIDATE,
    COV_XY,
    ISLAND,
    MEAN_X,
    MEAN_Y,
    PIXELS_OF,
    VAR_X,
    VAR_Y,
    X_MAX,
    X_MIN,
    Y_MAX,
    Y_MIN,
    X,
    Y,
    describe_candidates,
    list_islands,
    surround,
)

MOST = 16  # islands that a candidate is judged by: the nearest; more are in one read-out of sixty
WIDTH, COLUMNS = len(ISLAND), len(CANDIDATE) + PIXELS_OF
PLAIN = ("facts", "at", "quadrant", "islands", "owner")  # of Scenes: no places of other rows
Arrays = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]  # candidate, around, known


@dataclass(frozen=True, slots=True)
class Scenes:
    """Read-outs as lists of islands, with the candidates in them."""

    candidates: Candidates
    facts: NDArray[np.float32]  # (n, 31), `describe_candidates`
    at: NDArray[np.float32]  # (n, 2), focal plane
    quadrant: NDArray[np.float32]  # (n,)
    readout: NDArray[np.int64]  # (n,), place of its read-out in `first`
    own: NDArray[np.int64]  # (n,), its island; -1: it lies in a track
    islands: NDArray[np.float32]  # (m, 16), read-out by read-out
    owner: NDArray[np.int64]  # (m,), place in the hit library of the primary that made it; -1: none
    first: NDArray[np.int64]  # (r, 2), begin and end of a read-out in `islands`

    def __len__(self) -> int:
        """Return the number of candidates."""
        return len(self.candidates)

    def as_seen(self, rows: NDArray[np.int64]) -> Arrays:
        """Return what the stream would show the model of these candidates: (n, 31), (n, 16, 16), (n, 16)."""
        first = self.first[self.readout[rows]]
        return self.facts[rows], *_around(self.at[rows], self.quadrant[rows], self.own[rows], first, self.islands)

    def mixed(self, rows: NDArray[np.int64], others: NDArray[np.int64]) -> Arrays:
        """Return the candidates with what their own primaries left, put into other read-outs.

        Primaries and X-rays fall independently, so this is as likely as what was simulated.
        """
        find = np.stack([self.first[self.readout[rows]], self.first[others]], axis=1)
        group = np.where(self.candidates.particle[rows], self.candidates.group[rows], -2)
        islands, first = _mix(self.islands, self.owner, find, self.own[rows], group)
        return self.facts[rows], *_around(self.at[rows], self.quadrant[rows], np.full(rows.size, -1), first, islands)


def joined(parts: Sequence[Scenes]) -> Scenes:
    """Return several sets made of one library as one."""
    shifts = np.cumsum([[0, 0], *([len(p.islands), len(p.first)] for p in parts)], axis=0)
    fields: dict[str, Any] = {name: np.concatenate([getattr(p, name) for p in parts]) for name in PLAIN}
    fields["own"] = np.concatenate(
        [np.where(p.own >= 0, p.own + n, -1) for p, (n, _) in zip(parts, shifts, strict=False)]
    )
    fields["first"] = np.concatenate([p.first + n for p, (n, _) in zip(parts, shifts, strict=False)])
    fields["readout"] = np.concatenate([p.readout + r for p, (_, r) in zip(parts, shifts, strict=False)])
    names = Candidates.__dataclass_fields__
    fields["candidates"] = Candidates(*(np.concatenate([getattr(p.candidates, name) for p in parts]) for name in names))
    return Scenes(**fields)


def scenes(events: Events, config: Config) -> Scenes:
    """Return the scenes of an event set that was made with this configuration."""
    candidates = events.candidates()
    gain = config.detector.gain_ev_per_adu
    origins, sides = np.zeros((256, 2), np.int32), np.ones((256, 2), np.int32)
    for q in config.detector.quadrants:
        origins[q.id] = q.origin_x_px, q.origin_y_px
        sides[q.id] = config.detector.columns, config.detector.rows
    tracks, track_owner = events.file["tracks"][()], events.file["track_owner"][()]
    bounds = [np.searchsorted(table["frame"], np.arange(events.readouts + 1)) for table in (events.events, tracks)]
    islands = np.empty((len(events.events) + len(tracks), WIDTH), np.float32)
    source, first = np.empty(len(islands), np.int64), np.empty((events.readouts, 2), np.int64)
    n = 0
    for i in range(events.readouts):
        mine = [table[b[i] : b[i + 1]] for table, b in zip((events.events, tracks), bounds, strict=True)]
        found = list_islands(mine[0], mine[1], origins, gain, islands[n:], source[n:])
        of_events = source[n : n + found] >= 0
        source[n : n + found] += np.where(of_events, bounds[0][i], -bounds[1][i])
        first[i] = n, n + found
        n += found
    islands, source = islands[:n], source[:n]
    own = np.full(len(events.events), -1)
    own[source[source >= 0]] = np.flatnonzero(source >= 0)
    chosen = events.events[candidates.row]
    facts = np.empty((len(candidates), COLUMNS), np.float32)
    describe_candidates(events.events, candidates.row, sides, gain, facts)
    at = origins[chosen["quadrant"]] + np.stack([chosen["x"] + chosen["sub_x"], chosen["y"] + chosen["sub_y"]], axis=1)
    made = np.where(events.truth["kind"] == PARTICLE, events.truth["owner"], -1)
    owner = np.empty(n, np.int64)
    owner[source >= 0], owner[source < 0] = made[source[source >= 0]], track_owner[-1 - source[source < 0]]
    quadrant = chosen["quadrant"].astype(np.float32)
    return Scenes(
        candidates, facts, at.astype(np.float32), quadrant, chosen["frame"], own[candidates.row], islands, owner, first
    )


def _around(
    at: NDArray[np.float32],
    quadrant: NDArray[np.float32],
    own: NDArray[np.int64],
    first: NDArray[np.int64],
    islands: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    around, known = np.empty((len(at), MOST, WIDTH), np.float32), np.empty((len(at), MOST), np.float32)
    surround(at, quadrant, own, first, islands, around, known)
    return around, known


@njit(cache=True, nogil=True)
def _mix(islands, owner, find, own, group):  # type: ignore[no-untyped-def]
    """Return the islands of the owners `group` in one read-out and all of another, candidate after candidate.

    find (n, 2, 2): begin and end of both; own (n,): a row to be left out.
    """
    size = 0
    for i in range(find.shape[0]):
        size += find[i, 0, 1] - find[i, 0, 0] + find[i, 1, 1] - find[i, 1, 0]
    mixed, first = np.empty((size, islands.shape[1]), np.float32), np.empty((find.shape[0], 2), np.int64)
    n = 0
    for i in range(find.shape[0]):
        first[i, 0] = n
        for j in range(find[i, 0, 0], find[i, 0, 1]):
            if owner[j] == group[i] and j != own[i]:
                mixed[n] = islands[j]
                n += 1
        for j in range(find[i, 1, 0], find[i, 1, 1]):
            mixed[n] = islands[j]
            n += 1
        first[i, 1] = n
    return mixed[:n], first


ALONG = ((2, 4, X, MEAN_X, X_MIN, X_MAX), (3, 5, Y, MEAN_Y, Y_MIN, Y_MAX))  # columns that go with each axis
DIAGONAL = np.arange(WIDTH)
PAIRS = ((X, Y), (MEAN_X, MEAN_Y), (VAR_X, VAR_Y), (X_MIN, Y_MIN), (X_MAX, Y_MAX))
for _one, _two in PAIRS:
    DIAGONAL[[_one, _two]] = _two, _one


def turned(arrays: Arrays, rng: np.random.Generator) -> Arrays:
    """Return each candidate with its surroundings in one of the eight images of a square, drawn anew."""
    candidate, around, known = (a.copy() for a in arrays)
    square = candidate[:, -PIXELS_OF:].reshape(-1, 5, 5).copy()
    for axis, (sub, place, at, mean, low, high) in enumerate(ALONG):
        sign = rng.choice(np.array([-1, 1], np.float32), len(candidate))
        flip = sign < 0
        candidate[:, sub] *= sign
        candidate[:, place] *= sign
        square[flip] = np.flip(square[flip], axis=2 - axis)
        for column in (at, mean, COV_XY, low, high):
            around[:, :, column] *= sign[:, None]
        rows = around[flip]
        rows[:, :, low], rows[:, :, high] = rows[:, :, high].copy(), rows[:, :, low].copy()
        around[flip] = rows
    swap = rng.random(len(candidate)) < 0.5
    for one, two in zip(*(columns[:2] for columns in ALONG), strict=True):
        candidate[swap, one], candidate[swap, two] = candidate[swap, two], candidate[swap, one]
    square[swap] = square[swap].transpose(0, 2, 1)
    candidate[:, -PIXELS_OF:] = square.reshape(-1, PIXELS_OF)
    around[swap] = around[swap][:, :, DIAGONAL]
    return candidate, around, known
