"""The photon stream of the LAT: photons counted in a CPU second, memory of a ten-year replay, a six-hour update."""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from bench import figures
from config.lat import AccumulateSky as Section
from stream.lat.builtin import stand_in
from stream.lat.cube import Sky
from stream.lat.livetime import Livetime
from stream.lat.photons import BLOCK_S, PHOTON, POINTING, good_times
from stream.stages.accumulate_sky import AccumulateSky, SkyProduct
from stream.transport.photons import PhotonStream, open_photons, write_photons

BEGIN_S = 12_000 * BLOCK_S
YEARS = 10.0
YEAR_S = 31_557_600.0
PIECE = 1_000_000


def photons(n: int, begin_s: float, span_s: float, rng: np.random.Generator) -> Any:
    """Draw photons of an even sky, E^-2.4 above 300 MeV, rising in time."""
    table = np.zeros(n, PHOTON)
    table["TIME"] = begin_s + np.sort(rng.random(n)) * span_s
    table["GLON"], table["GLAT"] = 360 * rng.random(n), np.degrees(np.arcsin(2 * rng.random(n) - 1))
    table["ENERGY"], table["CONVERSION"] = 300 * rng.random(n) ** (-1 / 1.4), rng.random(n) < 0.45
    table["ZENITH"] = 89 * rng.random(n)
    return table


def pointing(span_s: float, step_s: float = 30.0) -> Any:
    """Return rows of a survey that rocks by 50 degrees from orbit to orbit."""
    table = np.zeros(round(span_s / step_s), POINTING)
    table["START"] = BEGIN_S + step_s * np.arange(len(table))
    table["STOP"], table["LIVETIME"] = table["START"] + step_s, 0.76 * step_s
    orbit = (table["START"] - BEGIN_S) / 5736
    table["ZENITH_GLON"], table["ZENITH_GLAT"] = 360 * orbit % 360, 25 * np.sin(2 * np.pi * orbit)
    table["GLON"] = table["ZENITH_GLON"]
    table["GLAT"] = table["ZENITH_GLAT"] + np.where(np.floor(orbit) % 2, 50, -50)
    return table


def stream(n: int, span_s: float, *, pointed: bool) -> PhotonStream:
    """Return a stream of n photons, drawn as it runs."""

    def pieces() -> Iterator[Any]:
        rng, parts = np.random.default_rng(1), max(1, n // PIECE)
        for k in range(parts):
            yield photons(n // parts, BEGIN_S + k * span_s / parts, span_s / parts, rng)

    gti = good_times([BEGIN_S], [BEGIN_S + span_s])
    rows = pointing(span_s) if pointed else np.empty(0, POINTING)
    return PhotonStream("bench", gti, rows, pieces)


def replay(path: Path, every_s: float) -> dict[str, float]:
    """Replay a recording through the stage, in this process; CPU seconds and memory."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    stage = AccumulateSky(Section(every_s=every_s), stand_in())
    source = open_photons([path])
    began, products = time.process_time(), 0
    for message in source.messages():
        products += sum(isinstance(result, SkyProduct) for result in stage.process(message))
    cpu_s = time.process_time() - began
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    given = {"photons": float(stage.counters["photons"]), "cpu_s": cpu_s, "memory_mb": memory / 1e3}
    return given | {"before_mb": before / 1e3, "products": float(products)}


def apart(path: Path, every_s: float) -> dict[str, float]:
    """Do as `replay` in a process of its own."""
    words = "import json; from pathlib import Path; from bench.lat.stream import replay"
    code = f"{words}; print(json.dumps(replay(Path({str(path)!r}), {every_s})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def counted_per_s() -> float:
    """Return photons that `Sky.add` counts in a CPU second, in batches of 100,000; the median of twenty."""
    sky, rng, rates = Sky(), np.random.default_rng(0), []
    for k in range(25):
        rows = photons(100_000, BEGIN_S + k * BLOCK_S, BLOCK_S, rng)
        span = BEGIN_S + k * BLOCK_S, BEGIN_S + (k + 1) * BLOCK_S
        began = time.process_time()
        sky.add(rows, good_times([span[0]], [span[1]]), None, *span)
        rates.append(len(rows) / (time.process_time() - began))
    return float(np.median(rates[5:]))


def update_s() -> tuple[float, float]:
    """Return CPU s of a six-hour update of a full month: counts and livetime, and then the exposures of all windows."""
    stage, span_s = AccumulateSky(Section(), stand_in()), 130 * BLOCK_S
    source = stream(round(27_500 / 4 * 130), span_s, pointed=True)
    took, last = [], None
    for message in source.messages():
        began = time.process_time()
        given = [result for result in stage.process(message) if isinstance(result, SkyProduct)]
        took.append(time.process_time() - began)
        last = given[-1] if given else last
    assert last is not None
    began = time.process_time()
    for name in last.windows:
        last.exposure(name)
    return float(np.median(took[-12:-2])), time.process_time() - began


def main() -> None:
    """Measure and write docs/figures/lat_stream.json."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--photons", type=float, default=1e8, help="Of the long replay.")
    arguments.add_argument("--out", type=Path, default=Path("out/lat"))
    given = arguments.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    rows = pointing(16 * BLOCK_S * 28)
    live = Livetime().add(rows[:100])
    began = time.process_time()
    live.add(rows)
    per_row = (time.process_time() - began) / len(rows)
    update, exposures = update_s()
    found: dict[str, tuple[Any, ...]] = {
        "photons counted": (counted_per_s(), "photons/CPU-s"),
        "six-hour update: counts and livetime of all windows": (update, "CPU-s"),
        "six-hour update: exposure of all windows": (exposures, "CPU-s"),
        "livetime of a row of pointing, whole sky": (per_row * 1e3, "ms"),
        "livetime of ten years of 30 s": (per_row * YEARS * YEAR_S / 30 / 60, "CPU-min"),
    }
    for n in sorted({1e7, given.photons}):
        path = given.out / f"photons_{n:.0e}.h5"
        write_photons(path, stream(int(n), YEARS * YEAR_S, pointed=False), {"bench": f"{n:.0e} photons"})
        used, name = apart(path, 30 * 86_400.0), f"replay of {n:.0e} photons, ten years"
        found[f"{name}: photons"] = (used["photons"], "photons")
        found[f"{name}: rate"] = (used["photons"] / used["cpu_s"], "photons/CPU-s")
        found[f"{name}: memory"] = (used["memory_mb"], "MB")
        found[f"{name}: products"] = (used["products"], "products")
        path.unlink()
    figures.write("lat_stream", f"python -m bench.lat.stream --photons {given.photons:g}", found)


if __name__ == "__main__":
    main()
