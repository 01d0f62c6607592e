"""What a read-out costs each model: multiplications and additions, and seconds of one core."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from config.schema import Config
from models.candidates import BAND_EV, Events
from models.filter.features import Featured, Network, shape_of
from models.frames.network import SIDE, FrameNet
from models.islands.dataset import COLUMNS, MOST, WIDTH
from models.islands.network import IslandNet
from models.screening import scores
from models.screening.evaluate import Models
from stream.kernels.cam import FEATURES
from stream.kernels.windows import place_windows
from stream.stages.reconstruct import WINDOW_MARGIN, WINDOWS_PER_FRAME

Row = tuple[Any, ...]
READOUTS = 4000  # that windows and candidates are counted in
WINDOWS, TIMES = 64, 5  # in a measurement, the best of these
OF_FRAMES, OF_ISLANDS = "DenseNet + forest", "islands"


def figures(events: Events, models: Models, config: Config) -> dict[str, Row]:
    """Return the cost of both models for a read-out of the set."""
    candidates, windows = loads(events)
    tiles = len(config.detector.quadrants) * (config.detector.rows // SIDE) * (config.detector.columns // SIDE)
    network, context = of_network(), of_context()
    found: dict[str, Row] = {
        "candidates": (candidates, "per read-out"),
        "windows around candidates": (windows, "per read-out"),
        f"{OF_FRAMES}: multiply-adds": (network * windows / 1e6, "million per read-out"),
        f"{OF_FRAMES}, every window: multiply-adds": (network * tiles / 1e6, "million per read-out"),
        f"{OF_ISLANDS}: multiply-adds": (context * candidates / 1e6, "million per read-out"),
        "multiply-adds, DenseNet / islands": (network * windows / (context * candidates), "ratio"),
        "multiply-adds, DenseNet, every window / islands": (network * tiles / (context * candidates), "ratio"),
    }
    if models.frames and models.forest:
        of_window, of_event = seconds_of_windows(models.frames, models.forest, events)
        found[f"{OF_FRAMES}: CPU"] = (1e3 * (of_window * windows + of_event * candidates), "ms per read-out")
        found["DenseNet: CPU"], found["forest: CPU"] = (
            (1e3 * of_window, "ms per window"),
            (1e6 * of_event, "us per event"),
        )
    if models.islands:
        score = scores.islands(models.islands, config)
        per = best(lambda: score(events)) / events.readouts
        found[f"{OF_ISLANDS}: CPU"] = (1e3 * per, "ms per read-out")
    return found


def of_network() -> int:
    """Return multiply-adds of the frame classifier for a window."""
    return _count(FrameNet(), torch.zeros(1, 1, SIDE, SIDE))


def of_context() -> int:
    """Return multiply-adds of the context model for a candidate."""
    return _count(IslandNet(), torch.zeros(1, COLUMNS), torch.zeros(1, MOST, WIDTH), torch.ones(1, MOST))


def loads(events: Events) -> tuple[float, float]:
    """Return candidates, and windows that hold events of the band, per read-out."""
    table = events.events[: int(np.searchsorted(events.events["frame"], READOUTS))]
    readouts = min(READOUTS, events.readouts)
    energy, shape = table["energy_ev"], shape_of(events)
    table = table[(energy >= BAND_EV[0]) & (energy < BAND_EV[1])]
    key = table["frame"] * 256 + table["quadrant"]
    table = table[np.argsort(key, kind="stable")]
    corners = np.empty((WINDOWS_PER_FRAME, 2), np.int16)
    windows = 0
    for own in np.split(table, np.flatnonzero(np.diff(np.sort(key))) + 1):
        at = own["x"].astype(np.int64), own["y"].astype(np.int64)
        windows += place_windows(*at, shape, SIDE, WINDOW_MARGIN, corners)
    candidates = int(np.sum(events.events["frame"][events.candidates().row] < readouts))
    return candidates / readouts, windows / readouts


def seconds_of_windows(frames: Path, trees: Path, events: Events) -> tuple[float, float]:
    """Return CPU-seconds of the network for a window, in fp32, and of the forest for an event; one core."""
    network, forest = Network(frames), scores.forest(trees)
    energy = events.file["windows"][:WINDOWS].astype(np.float32)
    found = events.candidates(with_windows=True)
    rows = np.ones((len(found), len(FEATURES)), np.float32)
    seen = scores.Seen(events, Featured(found, rows, np.ones((len(found), 4), np.float32)))
    of_window = best(lambda: [network(energy[k : k + 8]) for k in range(0, WINDOWS, 8)]) / WINDOWS
    return of_window, best(lambda: forest(seen)) / len(found)


def best(work: Callable[[], object]) -> float:
    """Return the CPU-seconds of the fastest of some runs, after one that does not count."""
    work()
    spans = []
    for _ in range(TIMES):
        begun = time.process_time()
        work()
        spans.append(time.process_time() - begun)
    return min(spans)


def _count(network: torch.nn.Module, *given: torch.Tensor) -> int:
    with torch.no_grad(), FlopCounterMode(display=False) as counted:
        network.eval()(*given)
    return int(counted.get_total_flops()) // 2
