"""The frames that we and the rivals are measured on: one 512x512 quadrant, 7 e- rms, 1 ADU = 1 e-, WFI silicon."""

from collections.abc import Iterator
from functools import cache

import numpy as np
from numpy.typing import NDArray

from config.load import load
from config.schema import Config
from sim.charge import Source
from sim.detector import Imperfections
from sim.photons import XRays
from sim.seeds import Seeds
from sim.spectra import Spectrum
from sim.telemetry import Telemetry, dark
from sim.tracks import Tracks
from stream.messages import EventList, Frame, Maps
from stream.stages.calibrate import Calibrate
from stream.stages.correct import Correct
from stream.stages.reconstruct import Reconstruct

DARK_FRAMES = 1000


@cache
def config() -> Config:
    """Return wfi.toml with its first quadrant only."""
    whole = load("wfi")
    layout = whole.detector.model_copy(update={"quadrants": whole.detector.quadrants[:1]})
    return whole.model_copy(update={"detector": layout})


def changed(section: str, **values: object) -> Config:
    """Return the configuration with some values of one section replaced."""
    part = getattr(config(), section).model_copy(update=values)
    return config().model_copy(update={section: part})


def five_sigma() -> Config:
    """Return the configuration with thresholds from the noise map: 5 sigma for events, 3 for splits, as aare has."""
    events = {"event_threshold_ev": None, "event_threshold_sigma": 5.0}
    return changed("reconstruct", **events, split_threshold_ev=None, split_threshold_sigma=3.0)


def camera(photons: float, tracks: float = 0.0, seed: int = 3, model: Imperfections | None = None) -> Telemetry:
    """Return a camera with a fixed number of photons of uniform energy (0.3-10 keV) in each frame."""
    spectrum = Spectrum(shape="uniform", energy_min_ev=300.0)
    sources: list[Source] = [XRays(per_frame=photons, fixed=True, spectrum=spectrum, all_absorbed=True)]
    if tracks:
        sources.append(Tracks(per_frame=tracks))
    return Telemetry(config(), sources, model or Imperfections(), Seeds(1, seed))


@cache
def dark_frames() -> NDArray[np.uint16]:
    """Return the dark run that all maps and pedestals are made from, (1000, 512, 512) uint16 ADU."""
    messages = dark(config(), Imperfections(), Seeds(1)).messages(DARK_FRAMES)
    return np.stack([m.pixels for m in messages if isinstance(m, Frame)])


@cache
def maps() -> dict[int, Maps]:
    """Return our maps of that dark run."""
    stage = Calibrate()
    for message in dark(config(), Imperfections(), Seeds(1)).messages(DARK_FRAMES):
        list(stage.process(message))
    list(stage.flush())
    return stage.maps


def chain(settings: Config) -> "Chain":
    """Return the stages from frame to event list, opened on the scene's camera."""
    return Chain(settings)


class Chain:
    """correct and reconstruct in one process."""

    def __init__(self, settings: Config) -> None:
        self._correct, self._reconstruct = Correct(settings, maps()), Reconstruct(settings)
        self(Telemetry(config()).start)

    def __call__(self, message: object) -> list[EventList]:
        """Send one message through; return the event lists."""
        corrected = list(self._correct.process(message))  # type: ignore[arg-type]
        given = [out for m in corrected for out in self._reconstruct.process(m)]
        return [m for m in given if isinstance(m, EventList)]


def rival(n_sigma: float = 5.0, size: int = 3) -> object:
    """Return aare's ClusterFinder with its pedestal from the same dark run; ImportError where it is not installed."""
    import aare

    finder = aare.ClusterFinder((512, 512), (size, size), n_sigma=n_sigma)
    for frame in dark_frames():
        finder.push_pedestal_frame(frame)
    return finder


def clusters(finder: object, frames: Iterator[NDArray[np.uint16]]) -> Iterator[NDArray[np.void]]:
    """Yield aare's clusters (x, y, data) of each frame."""
    for frame in frames:
        finder.find_clusters(frame)  # type: ignore[attr-defined]
        yield np.array(finder.steal_clusters(), copy=True)  # type: ignore[attr-defined]
