"""Sets of reconstructed events of known truth, to train screening on and to judge it.

A set holds what the stream finds in simulated read-outs, through the same stages, and what made it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from config.schema import Config, Screen
from sim.charge import PAIR_ENERGY_EV, PARTICLE, XRAY
from sim.telemetry import Telemetry, tabulate_truth
from sim.truth import label
from stream.judges.windows import most_central
from stream.messages import EVENT, TRACK, WINDOW_SIDE, EventList, Message
from stream.stage import Stage
from stream.stages.correct import Correct
from stream.stages.reconstruct import Reconstruct
from stream.transport.inproc import chain

BLOCK = 256  # read-outs
SPLIT_EV = 80.0  # what a primary leaves in a pixel is a signal from here: the split threshold of seed 003
ALONE, IN_WINDOW, IN_QUADRANT, IN_READOUT = 0, 1, 2, 4  # bits of `company`
TRUTH = np.dtype(  # one row for each event
    [
        ("kind", "<u1"),  # sim.truth.KINDS
        ("owner", "<i8"),  # of particles: place in the hit library; -1: no particle
        ("company", "<u1"),  # where else its primary left a signal: in 64 x 64 around it, the quadrant, the read-out
        ("window", "<i4"),  # its row in `windows`; -1: none is kept
    ]
)


@dataclass(frozen=True, slots=True)
class Block:
    """What was found in some read-outs; `frame` in the tables is the number of the read-out."""

    readouts: int
    events: NDArray[Any]  # EVENT
    truth: NDArray[Any]  # TRUTH, one row for each event; windows count from the first of this block
    tracks: NDArray[Any]  # TRACK
    track_owner: NDArray[np.int64]  # place in the hit library, -1: none
    windows: NDArray[np.int16]  # (n, 64, 64), eV


@dataclass(slots=True)
class EventSet:
    """Makes the blocks of a set.

    with_windows: the share of the X-rays in the band whose windows are kept, beside those of all particles in the
    band; None: no windows.
    """

    camera: Telemetry
    config: Config
    with_windows: float | None = None
    _stages: list[Stage] = field(init=False)

    def __post_init__(self) -> None:
        cut = Screen(model="any", look="windows", forest="any") if self.with_windows is not None else Screen()
        config = self.config.model_copy(update={"screen": cut})
        maps = {q.id: self.camera.detector.true_maps(q.id) for q in config.detector.quadrants}
        self._stages = [Correct(config, maps), Reconstruct(config)]
        self._send(self.camera.start)

    def blocks(self, readouts: int) -> Iterator[Block]:
        """Yield what is in read-outs 0 .. readouts - 1, BLOCK by BLOCK."""
        for first in range(0, readouts, BLOCK):
            yield self._block(first, min(first + BLOCK, readouts))

    def _block(self, first: int, stop: int) -> Block:
        deposits, lists = [], list[EventList]()
        for readout in range(first, stop):
            deposits.append((readout, self.camera.deposits(readout)))
            for frame in self.camera.read(*deposits[-1]):
                lists += [m for m in self._send(frame) if isinstance(m, EventList)]
        tables = tabulate_truth(deposits)
        events = np.concatenate([one.events for one in lists])
        tracks = np.concatenate([one.tracks for one in lists])
        owners = owned(tables)
        truth = truth_of(events, owners, tables)
        windows = np.empty((0, WINDOW_SIDE, WINDOW_SIDE), np.int16)
        if self.with_windows is not None:
            rng = self.camera.seeds.of_set(BLOCK, first)
            windows = self._keep(lists, events, truth, rng.random(events.size) < self.with_windows)
        return Block(stop - first, events, truth, tracks, track_owners(tracks, owners), windows)

    def _send(self, message: Message) -> list[Message]:
        return list(chain(self._stages, message))

    def _keep(
        self, lists: list[EventList], events: NDArray[Any], truth: NDArray[Any], drawn: NDArray[np.bool_]
    ) -> NDArray[np.int16]:
        """Note for the chosen events which window they are in; return those windows."""
        band = (events["energy_ev"] >= Screen().energy_min_ev) & (events["energy_ev"] < Screen().energy_max_ev)
        chosen = band & (((truth["kind"] == XRAY) & drawn) | (truth["kind"] == PARTICLE))
        kept: list[NDArray[np.int16]] = []
        first = 0
        for one in lists:
            rows = np.flatnonzero(chosen[first : first + one.events.size])
            best = most_central(one.events[rows], one.windows)
            used, place = np.unique(best, return_inverse=True)
            truth["window"][first + rows] = len(kept) + place
            kept += [np.rint(np.clip(one.windows["energy_ev"][i], -32768, 32767)).astype(np.int16) for i in used]
            first += one.events.size
        return np.array(kept, np.int16).reshape(-1, WINDOW_SIDE, WINDOW_SIDE)


def owned(tables: dict[str, NDArray[Any]]) -> NDArray[Any]:
    """Return the pixels in which a primary left a signal, PIXEL rows by read-out; `owner` is its place."""
    pixels, primaries = tables["pixels"], tables.get("particles")
    if primaries is None:
        return pixels[:0]
    pixels = pixels[(pixels["kind"] == PARTICLE) & (pixels["electrons"] * PAIR_ENERGY_EV >= SPLIT_EV)]
    pixels["owner"] = places(pixels["frame"], pixels["owner"], primaries)
    return pixels[np.argsort(pixels["frame"], kind="stable")]


def places(frame: NDArray[Any], owner: NDArray[Any], primaries: NDArray[Any]) -> NDArray[np.int64]:
    """Return the places in the library of primaries named by read-out and number in it."""
    wide = np.int64(1) << 32
    key = primaries["frame"] * wide + primaries["owner"]
    order = np.argsort(key)
    found: NDArray[np.int64] = primaries["library"][order[np.searchsorted(key[order], frame * wide + owner)]]
    return found


def truth_of(events: NDArray[Any], owners: NDArray[Any], tables: dict[str, NDArray[Any]]) -> NDArray[Any]:
    """Return TRUTH rows of events; owners: what `owned` gives."""
    labels = label(events["frame"], events["quadrant"], events["x"], events["y"], tables["pixels"])
    truth = np.zeros(events.size, TRUTH)
    truth["kind"], truth["owner"], truth["window"] = labels["kind"], -1, -1
    rows = np.flatnonzero(labels["kind"] == PARTICLE)
    if rows.size:
        truth["owner"][rows] = places(events["frame"][rows], labels["owner"][rows], tables["particles"])
        truth["company"][rows] = company(events[rows], truth["owner"][rows], owners)
    return truth


def company(events: NDArray[Any], owner: NDArray[np.int64], owners: NDArray[Any]) -> NDArray[np.uint8]:
    """Return where the primary of each event left a signal beyond the 5 x 5 pixels around it, bits of `company`."""
    begin = np.searchsorted(owners["frame"], events["frame"], "left")
    end = np.searchsorted(owners["frame"], events["frame"], "right")
    found = np.zeros(events.size, np.uint8)
    for i in range(events.size):
        own = owners[begin[i] : end[i]]
        own = own[own["owner"] == owner[i]]
        here = own[own["quadrant"] == events["quadrant"][i]]
        away = np.maximum(abs(here["x"] - events["x"][i]), abs(here["y"] - events["y"][i]))
        found[i] = IN_WINDOW * bool(np.any((away > 2) & (away <= WINDOW_SIDE // 2)))
        found[i] |= IN_QUADRANT * bool(np.any(away > 2))
        found[i] |= IN_READOUT * (len(own) > int(np.sum(away <= 2)))
    return found


def track_owners(tracks: NDArray[Any], owners: NDArray[Any]) -> NDArray[np.int64]:
    """Return the place in the library of the primary with the most charge within each track's extent; -1: none."""
    begin = np.searchsorted(owners["frame"], tracks["frame"], "left")
    end = np.searchsorted(owners["frame"], tracks["frame"], "right")
    found = np.full(tracks.size, -1, np.int64)
    for i, track in enumerate(tracks):
        own = owners[begin[i] : end[i]]
        inside = (own["x"] >= track["x_min"]) & (own["x"] <= track["x_max"])
        inside &= (own["y"] >= track["y_min"]) & (own["y"] <= track["y_max"]) & (own["quadrant"] == track["quadrant"])
        if inside.any():
            each, inverse = np.unique(own["owner"][inside], return_inverse=True)
            found[i] = each[np.bincount(inverse, own["electrons"][inside]).argmax()]
    return found


DTYPES = {"events": EVENT, "truth": TRUTH, "tracks": TRACK}
