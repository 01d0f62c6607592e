"""The traditional filter (our own stages) on simulated frames and on the MIT pixel lists."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from bench import real
from bench.figures import poisson_interval
from bench.simulation.physics import BAND_KEV, Row
from config.load import load
from config.schema import Config
from sim.charge import PAIR_ENERGY_EV
from sim.charge_loss import reconstructed
from sim.detector import Imperfections
from sim.hit_library import HitLibrary
from sim.particles import Particles, Pixels
from sim.seeds import Seeds
from sim.telemetry import Telemetry
from stream.messages import EventList, Flag, Frame, Message
from stream.stages.correct import Correct
from stream.stages.reconstruct import Reconstruct
from stream.transport.inproc import chain, drain

# The test runs of the MIT lists start on a sphere of 20 cm, not of 70 as their headers say: a frame holds twelve times
# as many particles as in space. Ours get as many.
BORDER_PX = 2  # events there have no whole 5 x 5 window and are left out
BARE = ("simulate.sensor.bias_v=1e9", "simulate.sensor.cloud_um=0.01", "simulate.sensor.fano=0.0")


@dataclass(frozen=True, slots=True)
class Found:
    """What the filter found: of valid events energy (keV) and distance to the nearest track; pixels of each track."""

    energy_kev: NDArray[np.float64]
    track_px: NDArray[np.float64]  # events with a track in their read-out
    track_pixels: NDArray[np.float64]
    readouts: int


def ours_as_mit(library: HitLibrary, mean: float, readouts: int) -> Found:
    """Return what comes out of our primaries as the MIT lists are: `mean` per frame, no noise, no diffusion."""
    config = load("wfi_geant4_lists", list(BARE))
    source = Particles.of(Pixels(library, config.simulate.sensor, config.detector), mean, Seeds(1))
    lists = list(_events(config, _in_kev(Telemetry(config, [source], seeds=Seeds(1)), readouts)))
    events = np.concatenate([m.events for m in lists])
    tracks = np.concatenate([m.tracks for m in lists])
    valid = events[events["pattern"] < 13]
    return _found(valid["energy_ev"] / 1e3, valid["track_distance"], tracks["pixels"], readouts)


def mit(folder: Path) -> tuple[Found, float]:
    """Return the same of the MIT lists, and how many primaries they hold per frame."""
    primaries = sum(np.unique(fits.getdata(path)["PRIMID"]).size for path in sorted(folder.glob("rawpix_*.fits")))
    parts = [real.lists("wfi-pixels", path, "wfi_geant4_lists") for path in sorted(folder.glob("*_pix.fits"))]
    events = np.concatenate([np.asarray(p["EVENTS"]) for p in parts])
    pixels = np.concatenate([np.asarray(p["TRACKS"])["NPIX"] for p in parts])
    readouts = sum(np.unique(np.asarray(p["FRAMES"])["FRAME"]).size for p in parts)
    valid = events[events["PATTERN"] < 13]
    return _found(valid["ENERGY"] / 1e3, valid["TRACKDIST"], pixels, readouts), primaries / readouts


def with_noise(library: HitLibrary, readouts: int) -> dict[str, Row]:
    """Return the background after the filter of wfi.toml, on frames with noise at the rate of protons in space."""
    config, seeds = load("wfi"), Seeds(2)
    made = library.production
    mean = made.protons_per_s * config.detector.frame_time_s * len(library) / made.sphere_primaries
    source = Particles.of(Pixels(library, config.simulate.sensor, config.detector), mean, seeds)
    model = Imperfections(noise_e=config.simulate.read_out.noise_e, clip_ev=config.simulate.read_out.clip_ev)
    camera = Telemetry(config, [source], model, seeds)
    maps = {q.id: camera.detector.true_maps(q.id) for q in config.detector.quadrants}
    lists = reconstructed(config, camera.messages(readouts), maps)
    events = np.concatenate([m.events for m in lists])
    valid = (events["reason"] == 0) & (events["flag"] & np.uint16(Flag.BORDER) == 0)
    kev = events["energy_ev"][valid] / 1e3
    count = int(((kev > BAND_KEV[0]) & (kev < BAND_KEV[1])).sum())
    inside = (1 - 2 * BORDER_PX / made.rows) * (1 - 2 * BORDER_PX / made.columns)
    exposure = readouts * config.detector.frame_time_s * inside * made.area_cm2 * (BAND_KEV[1] - BAND_KEV[0])
    rejected = 1 - valid.sum() / max(events.size, 1)
    return {
        "2-7 keV after the traditional filter": (
            count / exposure,
            "counts/cm2/s/keV",
            poisson_interval(count, exposure),
        ),
        "candidates that the filter rejects": (100 * float(rejected), "%"),
    }


def _found(kev: Any, distance: Any, pixels: Any, readouts: int) -> Found:
    away = np.asarray(distance, float)
    return Found(np.asarray(kev, float), away[away >= 0], np.asarray(pixels, float), readouts)


def _in_kev(camera: Telemetry, readouts: int) -> Iterator[Message]:
    """Yield frames of energy in keV, without noise, as `raysieve convert wfi-pixels` makes them."""
    start = replace(camera.start, gain_ev=1000.0, pixel_dtype="<f4")
    yield start
    layout = camera.detector.layout
    empty = np.zeros((layout.rows, layout.columns), np.float32)
    for readout in range(readouts):
        charges = np.concatenate([deposit.charges for deposit in camera.deposits(readout)])
        for quadrant in layout.quadrants:
            own = charges[charges["quadrant"] == quadrant.id]
            pixels = empty.copy() if own.size else empty
            np.add.at(pixels, (own["y"], own["x"]), own["electrons"] * np.float32(PAIR_ENERGY_EV / 1e3))
            time_ns = readout * start.frame_time_ns
            yield Frame(stream=start.stream, sequence=readout, time_ns=time_ns, quadrant=quadrant.id, pixels=pixels)


def _events(config: Config, messages: Iterator[Message]) -> Iterator[EventList]:
    stages = [Correct(config, {}), Reconstruct(config)]
    for message in messages:
        yield from (m for m in chain(stages, message) if isinstance(m, EventList))
    yield from (m for m in drain(stages) if isinstance(m, EventList))
