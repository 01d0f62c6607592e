"""The ten features of the candidates of an event set, by the network and the function that the stream uses."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from config.errors import ConfigError
from models.candidates import BAND_EV, Candidates, Events
from models.frames.network import CELLS, CLASSES, SIDE
from stream.judges.windows import most_central, softmax
from stream.kernels.cam import FEATURES, cam_features
from stream.kernels.windows import place_windows
from stream.messages import WINDOW
from stream.stages.reconstruct import WINDOW_MARGIN, WINDOWS_PER_FRAME

JUDGED = (CLASSES.index("xray"), CLASSES.index("particle"))  # the classes whose maps are looked at
AT_A_TIME = 256  # windows
INPUT, LOGITS, MAPS = "energy_ev", "logits", "maps"
SHAPES = {INPUT: [1, SIDE, SIDE], LOGITS: [len(CLASSES)], MAPS: [len(CLASSES), CELLS, CELLS]}  # of one window


@dataclass(frozen=True, slots=True)
class Featured:
    """Candidates with windows and what the network says of them, one row for each."""

    found: Candidates
    features: NDArray[np.float32]  # (n, 10) in the order of stream.kernels.cam.FEATURES
    p_class: NDArray[np.float32]  # (n, 4) its window is empty, X-ray only, particle only, mixed


class Network:
    """An exported frame classifier, run by onnxruntime on one core of the CPU."""

    def __init__(self, path: Path) -> None:
        """Raises ConfigError for a file that is no such model."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        try:
            self.digest = hashlib.sha256(path.read_bytes()).hexdigest()
            self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except OSError as fault:
            raise ConfigError(f"{path}: {fault.strerror}; expected a frame classifier (.onnx)") from None
        except Exception:  # onnxruntime has no class of its own for damaged models
            raise ConfigError(f"{path}: cannot be run; expected a frame classifier (.onnx)") from None
        ends = (*self._session.get_inputs(), *self._session.get_outputs())
        if {one.name: one.shape[1:] for one in ends} != SHAPES:
            raise ConfigError(f"{path}: {', '.join(one.name for one in ends)}: expected a frame classifier (.onnx)")

    def __call__(self, energy_ev: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return logits (n, 4) and activation maps (n, 4, 16, 16) of windows (n, 64, 64), eV."""
        logits, maps = self._session.run([LOGITS, MAPS], {INPUT: energy_ev[:, None]})
        return logits, maps


def features_of(events: Events, network: Network, tell: Callable[[int, int], object] = lambda n, of: None) -> Featured:
    """Return the candidates of a set that have windows, with their features; tell(done, all) counts windows.

    Raises ConfigError for a set without windows, or with windows of other events.
    """
    found = events.candidates(with_windows=True)
    window = events.truth["window"][found.row]
    x, y = places_of(events, found.row)
    features = np.empty((len(found), len(FEATURES)), np.float32)
    p_class = np.empty((len(found), len(CLASSES)), np.float32)
    order = np.argsort(window, kind="stable")
    number = len(events.file["windows"])
    for first in range(0, number, AT_A_TIME):
        stop = min(first + AT_A_TIME, number)
        begin, end = np.searchsorted(window[order], (first, stop))
        rows = order[begin:end]
        energy = events.file["windows"][first:stop].astype(np.float32)
        at = window[rows].astype(np.int64) - first
        _check(energy, (at, y[rows], x[rows]), events.path)
        logits, maps = network(energy)
        features[rows] = cam_features(maps, logits, at, x[rows], y[rows], found.energy_ev[rows], JUDGED, SIDE)
        p_class[rows] = softmax(logits)[at]
        tell(stop, number)
    return Featured(found, features, p_class)


def places_of(events: Events, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return column and row (n,) of events within their window: the set keeps its pixels, not its corners.

    The windows of a quadrant are placed anew from its events in the band, as `Reconstruct` did.
    """
    shape = shape_of(events)
    energy, table = events.events["energy_ev"], events.events
    band = np.flatnonzero((energy >= BAND_EV[0]) & (energy < BAND_EV[1]))
    frame = table["frame"][band] * 256 + table["quadrant"][band]  # frames of a quadrant follow each other
    wanted, place = np.unique(table["frame"][rows] * 256 + table["quadrant"][rows], return_inverse=True)
    order = np.argsort(frame, kind="stable")
    begin, end = (np.searchsorted(frame[order], wanted, side) for side in ("left", "right"))
    mine = np.split(np.argsort(place, kind="stable"), np.cumsum(np.bincount(place, minlength=wanted.size)))
    x, y = np.empty(rows.size, np.int64), np.empty(rows.size, np.int64)
    corners = np.empty((WINDOWS_PER_FRAME, 2), np.int16)
    for one, first, stop in zip(mine, begin, end, strict=False):  # after the last of `mine` comes an empty one
        chosen, own = table[band[order[first:stop]]], table[rows[one]]
        at = chosen["x"].astype(np.int64), chosen["y"].astype(np.int64)
        windows = np.empty(place_windows(*at, shape, SIDE, WINDOW_MARGIN, corners), WINDOW)
        windows["quadrant"] = own["quadrant"][0]
        windows["left"], windows["bottom"] = corners[: windows.size].T
        best = windows[most_central(own, windows)]
        x[one], y[one] = own["x"] - best["left"].astype(np.int64), own["y"] - best["bottom"].astype(np.int64)
    return x, y


def shape_of(events: Events) -> tuple[int, int]:
    """Return rows and columns of a frame. Raises ConfigError if the set does not say."""
    library: dict[str, Any] = json.loads(events.about).get("library", {})
    try:
        return int(library["rows"]), int(library["columns"])
    except KeyError:
        raise ConfigError(
            f"event set {events.path}: attribute about: expected the rows and columns of a frame"
        ) from None


def _check(energy: NDArray[np.float32], at: tuple[NDArray[np.int64], ...], path: Path) -> None:
    """See that events are where their windows have a peak: no pixel beside it is brighter."""
    window, y, x = at
    padded = np.pad(energy, ((0, 0), (1, 1), (1, 1)))
    around = np.stack([padded[window, y + v, x + u] for v in range(3) for u in range(3)])
    if np.any(energy[window, y, x] < around.max(axis=0)):
        raise ConfigError(
            f"event set {path}: windows: expected each event at a peak of its window; made by another version?"
        )
