"""Six hours of the sky in near-real time: what an update takes, what is found by chance, and which flares are.

    python -m bench.lat.live [SKIES]

The simulated instrument flies (`sim.lat.flight.Orbit`), so exposures are as uneven as those of six hours are. Time:
photons of the mock catalogue through the stages `accumulate_sky` and `localise`, from the message that completes the
window to its detections, with two threads; CPU seconds over two is what two free cores would take. By chance: skies of
diffuse light alone. Flares: FLARES of them at places drawn evenly, so many of each flux, E^-2.2, before the same light;
found: within NEAR_DEG. What diffuse light there is differs from the model as `sim.lat.background` has it.
"""

import sys
import time
from dataclasses import dataclass
from typing import Any, Final
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from bench import figures
from config.lat import AccumulateSky as Counting
from config.localise import Localise as Section
from sim.lat.catalogue import SOURCE
from sim.lat.flight import Span
from sim.lat.observation import Observation, Order
from stream.lat.associate import wilson
from stream.lat.bands import TYPES
from stream.lat.builtin import stand_in as coarse
from stream.lat.cube import WINDOWS
from stream.lat.exposure import YEAR_S, power_law
from stream.lat.glance import Photons
from stream.lat.instrument import Instrument
from stream.lat.photons import BLOCK_S, PHOTON, POINTING, good_times
from stream.lat.sky import expect, stand_in
from stream.lat.sphere import GALACTIC, separation
from stream.messages import Product
from stream.stages.accumulate_sky import AccumulateSky, SkyProduct
from stream.stages.localise import Localise
from stream.transport.photons import PhotonStream

COMMAND = "python -m bench.lat.live"
SAME_DEG = 0.05  # one source in two searches of the same photons
BEGIN_S = 20_000 * BLOCK_S
WINDOW: Final = next(iter(WINDOWS))  # six hours
LEAST: Final = 16.0
THRESHOLDS: Final = (25.0, 16.0)
FLUXES: Final = (2e-8, 4e-8, 8e-8, 1.6e-7)  # 1 to 100 GeV; above 100 MeV it is 16 times as much
FLARES: Final = 10  # of each, in a sky
INDEX, NEAR_DEG = 2.2, 1.0
NONE: Final = np.zeros(0, SOURCE)


@dataclass(frozen=True)
class Update:
    """What became of a window, and the seconds that it took: CPU, wall."""

    found: NDArray[Any]
    photons: int
    counted_s: tuple[float, float]
    exposed_s: tuple[float, float]
    expected_s: tuple[float, float]  # diffuse light, once more than the stage does
    localised_s: tuple[float, float]  # by the stage: diffuse light and the search


class Clock:
    """Seconds since it was last asked, CPU and wall."""

    def __init__(self) -> None:
        self._at = (time.process_time(), time.monotonic())

    def lap(self) -> tuple[float, float]:
        now, before = (time.process_time(), time.monotonic()), self._at
        self._at = now
        return now[0] - before[0], now[1] - before[1]


def pointing(span: Span) -> NDArray[Any]:
    """Return POINTING rows of a piece of a flight."""
    assert span.rows is not None
    out = np.zeros(len(span.rows), POINTING)
    out["START"], out["LIVETIME"] = span.rows["start_s"], span.rows["live_s"]
    out["STOP"] = out["START"] + (span.stop_s - span.start_s) / len(out)
    for prefix, name in (("", "axis"), ("ZENITH_", "zenith")):
        x, y, z = (span.rows[name] @ GALACTIC.T).T
        out[f"{prefix}GLON"], out[f"{prefix}GLAT"] = np.degrees(np.arctan2(y, x)) % 360, np.degrees(np.arcsin(z))
    return out


def observe(instrument: Instrument, seed: int, sources: NDArray[Any] | None) -> PhotonStream:
    """Return six hours of photons of a sky; sources: SOURCE rows, None: of the mock catalogue."""
    order = Order((BLOCK_S - 1) / YEAR_S, BEGIN_S)  # whole rows of pointing
    ((span, events),) = Observation(order, instrument, stand_in(), seed, sources, pointed=True).pieces()
    rows = np.zeros(len(events), PHOTON)
    for name, own in (("GLON", "glon_deg"), ("GLAT", "glat_deg"), ("ENERGY", "energy_mev"), ("TIME", "time_s")):
        rows[name] = events[own]
    rows["ZENITH"], rows["CONVERSION"] = events["zenith_deg"], events["channel"] % len(TYPES)
    return PhotonStream(f"sky {seed}", good_times(*span.gti.T), pointing(span), lambda: iter([rows]))


def update(stage: Localise, instrument: Instrument, stream: PhotonStream) -> Update:
    """Send a stream through the stages."""
    counting, counted = AccumulateSky(Counting(), instrument), np.zeros(2)
    for message in stream.messages():
        clock = Clock()
        skies = [result for result in counting.process(message) if isinstance(result, SkyProduct)]
        counted += clock.lap()
        for sky in skies:
            exposure = sky.exposure(WINDOW)
            assert exposure is not None
            exposed = clock.lap()
            found = [given.tables["DETECTIONS"] for given in stage.process(sky) if _is_found(given)]
            localised, number = clock.lap(), int(sky.windows[WINDOW].totals().sum())
            expect(stand_in(), exposure)
            return Update(found[0], number, (counted[0], counted[1]), exposed, clock.lap(), localised)
    raise AssertionError("the stream had no window")


def _is_found(message: Any) -> bool:
    return isinstance(message, Product) and message.kind == "detections"


def flares(rng: np.random.Generator) -> NDArray[Any]:
    """Return SOURCE rows of FLARES of each of FLUXES, the nearest two a patch's side apart at least."""
    out = np.zeros(FLARES * len(FLUXES), SOURCE)
    placed = 0
    while placed < len(out):
        lon, lat = rng.uniform(0, 360), np.degrees(np.arcsin(rng.uniform(-1, 1)))
        if np.all(separation(out["glon_deg"][:placed], out["glat_deg"][:placed], lon, lat) > 10):
            out["glon_deg"][placed], out["glat_deg"][placed] = lon, lat
            placed += 1
    out["flux"], out["yearly"] = np.repeat(FLUXES, FLARES), 1.0
    out["spectrum"] = power_law(out["flux"], np.full(len(out), INDEX))
    return out


def of_times(updates: list[Update]) -> dict[str, tuple[Any, ...]]:
    """Return the median times of the updates."""
    parts = {
        "counts and windows": [u.counted_s for u in updates],
        "exposure and expectation": [tuple(np.add(u.exposed_s, u.expected_s)) for u in updates],
        "search": [tuple(np.subtract(u.localised_s, u.expected_s)) for u in updates],
    }
    parts["whole update"] = [tuple(np.sum([u.counted_s, u.exposed_s, u.localised_s], axis=0)) for u in updates]
    out: dict[str, tuple[Any, ...]] = {"photons": (int(np.median([u.photons for u in updates])), "")}
    for name, laps in parts.items():
        cpu, wall = np.median(np.array(laps), axis=0)
        out[f"{name}: CPU"], out[f"{name}: wall, two threads"] = (float(cpu), "s"), (float(wall), "s")
    out["whole update: CPU over two"] = (out["whole update: CPU"][0] / 2, "s")
    for least in THRESHOLDS:
        out[f"found above TS {least:g}"] = (float(np.median([(u.found["ts"] > least).sum() for u in updates])), "")
    return out


def of_chance(skies: list[NDArray[Any]]) -> dict[str, tuple[Any, ...]]:
    """Return how many are found in a window that has no source; the range is that of one sigma of the mean."""
    out: dict[str, tuple[Any, ...]] = {"skies without sources": (len(skies), "")}
    for least in THRESHOLDS:
        number = sum(int((found["ts"] > least).sum()) for found in skies)
        mean, error = number / len(skies), np.sqrt(max(number, 1)) / len(skies)
        out[f"TS > {least:g}: found where no source is"] = (mean, "per window", (max(mean - error, 0), mean + error))
    return out


def of_flares(skies: list[tuple[NDArray[Any], NDArray[Any]]]) -> dict[str, tuple[Any, ...]]:
    """Return the share of flares that are found, and how far off they are."""
    out: dict[str, tuple[Any, ...]] = {}
    for least in THRESHOLDS:
        hits, off = [], []
        for found, sources in skies:
            kept = found[found["ts"] > least]
            places = (kept["glon_deg"], kept["glat_deg"])
            away = separation(sources["glon_deg"][:, None], sources["glat_deg"][:, None], *places)
            nearest = np.min(away, axis=1, initial=180.0)
            hits.append(nearest < NEAR_DEG)
            off.append(nearest)
        hit, apart = np.stack(hits), np.stack(off)
        for flux in FLUXES:
            mine = skies[0][1]["flux"] == flux
            one, name = hit[:, mine], f"TS > {least:g}, flare of {flux:.1e}"
            out[f"{name}: found"] = (float(one.mean()), f"of {one.size}", wilson(int(one.sum()), one.size))
            if one.any():
                out[f"{name}: separation, median"] = (float(np.median(apart[:, mine][one])), "deg")
    return out


def of_look(looked: list[NDArray[Any]], whole: list[NDArray[Any]]) -> dict[str, tuple[Any, ...]]:
    """Return how many of the sources of a search of every patch are lost by the first look."""
    lost = 0
    for found, every in zip(looked, whole, strict=True):
        places = found["glon_deg"], found["glat_deg"]
        away = separation(every["glon_deg"][:, None], every["glat_deg"][:, None], *places)
        lost += int(np.sum(np.min(away, axis=1, initial=180.0) > SAME_DEG))
    number = sum(map(len, whole))
    return {f"TS > {LEAST:g}, with flares: lost by the first look": (lost, f"of {number}", wilson(lost, number))}


def main() -> None:
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 6
    instrument = coarse()
    stage = Localise(Section(windows=[WINDOW], least_ts=LEAST, threads=2), instrument, stand_in())
    rows = of_times([update(stage, instrument, observe(instrument, seed, None)) for seed in range(3)])
    print(rows, flush=True)
    empty, flared, whole = [], [], []
    for seed in range(number):
        empty.append(update(stage, instrument, observe(instrument, 100 + seed, NONE)).found)
        made = flares(np.random.default_rng((3, seed)))
        flared.append((update(stage, instrument, observe(instrument, 200 + seed, made)).found, made))
        with patch.object(Photons, "of", return_value=None):  # no first look: every patch is searched
            whole.append(update(stage, instrument, observe(instrument, 200 + seed, made)).found)
        print(f"sky {seed}: {len(empty[-1])} by chance, {len(flared[-1][0])} with flares", flush=True)
    rows |= of_chance(empty) | of_flares(flared) | of_look([found for found, _ in flared], whole)
    figures.write("lat_live", f"{COMMAND} {number}", rows)


if __name__ == "__main__":
    main()
