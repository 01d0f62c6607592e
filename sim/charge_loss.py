"""How much energy events lose below the split threshold: photons of known energy through the real stages."""

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from config.schema import Config
from sim.charge import PAIR_ENERGY_EV
from sim.detector import Imperfections
from sim.photons import XRays
from sim.seeds import Seeds
from sim.spectra import Spectrum
from sim.telemetry import Telemetry
from stream.messages import EventList, Flag, Maps, Message
from stream.stage import Stage
from stream.stages.correct import Correct
from stream.stages.reconstruct import Reconstruct
from stream.transport.inproc import chain, drain

EDGES_EV = np.geomspace(300, 10_000, 10)  # of the measured energy; a point of the table in the middle of each bin
SPECTRUM_EV = (100.0, 12_000.0)  # log-uniform, wider than the table, so that its ends see both sides of the noise
NO_MIP_EV = 1e6  # photons at the MIP threshold must not be cut in half
CLASSES = {"single": (0, 0), "double": (1, 4), "triple": (5, 8), "quad": (9, 12)}
LEAST_EVENTS = 100  # fewer of a pattern in a bin: the value of the next bin is taken
PHOTONS_PER_PIXEL = 30 / 512**2  # sparse enough that few photons touch


def measure(config: Config, photons: int, seed: int) -> dict[str, list[float]]:
    """Return the charge-loss table of a configuration: `energy_ev` and one list (eV) for each pattern class.

    photons: how many to simulate (log-uniform spectrum). The mean of true minus measured energy is taken in bins of
    the measured energy, which is what the table is looked up by. Sensor and noise are those of `simulate`.
    """
    patterns, measured, lost = _simulate(config, photons, Seeds(seed))
    middles = np.sqrt(EDGES_EV[:-1] * EDGES_EV[1:])
    table: dict[str, list[float]] = {"energy_ev": [round(float(e), 1) for e in middles]}
    place = np.digitize(measured, EDGES_EV) - 1
    for name, (low, high) in CLASSES.items():
        own = (patterns >= low) & (patterns <= high)
        bins = [lost[own & (place == k)] for k in range(len(middles))]
        column = [float(b.mean()) if len(b) >= LEAST_EVENTS else np.nan for b in bins]
        for k in reversed(range(len(column) - 1)):
            column[k] = column[k + 1] if np.isnan(column[k]) else column[k]
        table[f"{name}_ev"] = [round(value, 2) for value in column]
    return table


def _simulate(
    config: Config, photons: int, seeds: Seeds
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32]]:
    """Return pattern, measured energy (eV) and true minus measured energy (eV) of isolated valid events."""
    changes = {"charge_loss": None, "mip_threshold_ev": NO_MIP_EV}
    plain = config.model_copy(update={"reconstruct": config.reconstruct.model_copy(update=changes)})
    per_frame = max(1, round(PHOTONS_PER_PIXEL * config.detector.rows * config.detector.columns))
    readouts = -(-photons // (per_frame * len(config.detector.quadrants)))
    spectrum = Spectrum(energy_min_ev=SPECTRUM_EV[0], energy_max_ev=SPECTRUM_EV[1])
    source = XRays(per_frame=per_frame, fixed=True, spectrum=spectrum, sensor=config.simulate.sensor)
    camera = Telemetry(plain, [source], Imperfections(noise_e=config.simulate.read_out.noise_e), seeds)
    maps = {q.id: camera.detector.true_maps(q.id) for q in config.detector.quadrants}
    events = np.concatenate([e.events for e in reconstructed(plain, camera.messages(readouts), maps)])
    truth = camera.truth(readouts)["photons"]
    event, photon = match(events, truth)
    # At the border of a quadrant charge is lost for another reason.
    valid = (events["reason"][event] == 0) & (events["flag"][event] & np.uint16(Flag.BORDER) == 0)
    event, photon = event[valid], photon[valid]
    measured = events["energy_ev"][event]
    return events["pattern"][event], measured, truth["electrons"][photon] * np.float32(PAIR_ENERGY_EV) - measured


def reconstructed(config: Config, messages: Iterable[Message], maps: Mapping[int, Maps]) -> list[EventList]:
    """Return the event lists of a stream, corrected and reconstructed in this process."""
    stages: list[Stage] = [Correct(config, maps), Reconstruct(config)]
    results: list[Message] = []
    for message in messages:
        results.extend(chain(stages, message))
    results.extend(drain(stages))
    return [m for m in results if isinstance(m, EventList)]


def match(
    events: NDArray[np.void], photons: NDArray[np.void], isolation_px: float = 6.0
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pair events with the photons that made them: index of event and photon, isolated photons only.

    A photon is isolated if no other of its frame lies within `isolation_px` in both axes; an event is its own if the
    centre is at most 1 pixel away in both axes. Empty for no events or no photons.
    """
    pairs: list[tuple[int, int]] = []
    key_e = events["frame"] * 256 + events["quadrant"]
    key_p = photons["frame"] * 256 + photons["quadrant"]
    order = np.argsort(key_e, kind="stable")
    begin, end = (np.searchsorted(key_e[order], key_p, side) for side in ("left", "right"))
    groups = {k: np.flatnonzero(key_p == k) for k in np.unique(key_p)}
    for p in range(len(photons)):
        mates = photons[groups[key_p[p]]]
        near = (abs(mates["x"] - photons["x"][p]) < isolation_px) & (abs(mates["y"] - photons["y"][p]) < isolation_px)
        if near.sum() > 1:
            continue
        own = order[begin[p] : end[p]]
        dx, dy = events["x"][own] - photons["x"][p], events["y"][own] - photons["y"][p]
        hit = own[(abs(dx) <= 1) & (abs(dy) <= 1)]
        if len(hit):
            pairs.append((int(hit[0]), p))
    both = np.array(pairs, np.int64).reshape(-1, 2)
    return both[:, 0], both[:, 1]
