"""What a detector costs in cores, bandwidth and arithmetic, from docs/figures; `process` on a cluster and one by one.

Fills the blocks of docs/scaling.md: the run (measured anew, docs/figures/scaling.json), the tables (from all figures).
"""

import argparse
import math
import os
import re
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from bench import figures, pages

COMMAND = "python -m bench.scaling"
PAGE = figures.FOLDER.parent / "scaling.md"
LONG, SHORT = 200, 20  # read-outs of the recordings; CPU per frame is taken from the difference
QUADRANTS, FRAME_BYTES = 4, 512 * 512 * 2
MEASURED_HZ = 800  # frames/s of bench.realtime
FULL = 0.7  # of what a core has done at most, or can: the rest is for bursts
DETECTORS = (
    ("one quadrant, 5 ms", 200),
    ("four quadrants, 5 ms", 800),
    ("four quadrants, 2 ms", 2000),
    ("ten cameras of four, 5 ms", 8000),
)
Found = dict[str, dict[str, Any]]


class Cost(NamedTuple):
    """What a rate of frames of 512x512 needs; cores: CPU seconds per second."""

    raw_mb_s: float
    stored_mb_s: float
    stored_tb_day: float
    detect: float
    screen: float
    record: float
    replay: float
    daemons: int
    tcp: float  # of the reader of one link
    keys: float
    connections: int  # so that no thread that encrypts has more than it can do
    batch: float
    islands: float
    islands_macs: float  # multiply-adds per second
    network_macs: float
    windows_macs: float


def cost(rate_hz: float, found: Found) -> Cost:
    """Return what a rate (frames/s) costs: everything is taken as proportional to it, from where it was measured."""

    def at(name: str, key: str) -> float:
        return float(found[name][key]["value"])

    live = {who: at("realtime", f"live, ipc: CPU of {who}") / MEASURED_HZ for who in PROCESSES}
    readouts_hz = rate_hz / QUADRANTS
    stored = at("scaling", "recording: size") * 1e3 * rate_hz
    keys_ms = at("keys", "tcp with keys: CPU of the reader")
    return Cost(
        raw_mb_s=rate_hz * FRAME_BYTES / 1e6,
        stored_mb_s=stored / 1e6,
        stored_tb_day=stored * 86400 / 1e12,
        **{who: live[who] * rate_hz for who in PROCESSES},
        daemons=math.ceil(rate_hz / (FULL * at("realtime", "as fast as possible, ipc: rate"))),
        tcp=at("keys", "tcp: CPU of the reader") * rate_hz / 1e3,
        keys=keys_ms * rate_hz / 1e3,
        connections=math.ceil(keys_ms * rate_hz / 1e3 / FULL),
        batch=at("scaling", "process: CPU") * rate_hz / 1e3,
        islands=at("screening", "cost: islands: CPU") * readouts_hz / 1e3,
        islands_macs=at("screening", "cost: islands: multiply-adds") * 1e6 * readouts_hz,
        network_macs=at("screening", "cost: DenseNet + forest: multiply-adds") * 1e6 * readouts_hz,
        windows_macs=at("screening", "cost: DenseNet + forest, every window: multiply-adds") * 1e6 * readouts_hz,
    )


PROCESSES = ("replay", "detect", "screen", "record")
LINE = "|---|" + "---|" * len(DETECTORS)


def tables(found: Found) -> str:
    """Return the cost model as a table: a row for each need, a column for each detector."""
    costs = [cost(rate, found) for _, rate in DETECTORS]
    rows = [("frames/s", [f"{rate:,}" for _, rate in DETECTORS])]
    rows += [
        (what, [pages.number(float(f"{getattr(c, key) * scale:.3g}")) for c in costs]) for what, key, scale in NEEDS
    ]
    head = "| | " + " | ".join(name for name, _ in DETECTORS) + " |"
    return "\n".join([head, LINE, *(f"| {what} | {' | '.join(shown)} |" for what, shown in rows)])


NEEDS = (
    ("frames, raw: MB/s", "raw_mb_s", 1),
    ("the same on a network: Gbit/s", "raw_mb_s", 8e-3),
    ("recorded as HDF5: MB/s", "stored_mb_s", 1),
    ("recorded: TB/day", "stored_tb_day", 1),
    ("live, detect: cores", "detect", 1),
    ("live, screen: cores", "screen", 1),
    ("live, record: cores", "record", 1),
    ("live: daemons, at least", "daemons", 1),
    ("link over TCP, in the above already: cores, at either end", "tcp", 1),
    ("instead, with keys: cores, at either end", "keys", 1),
    ("with keys: connections, at least", "connections", 1),
    ("batch, to keep up: cores", "batch", 1),
    ("islands: cores of the above", "islands", 1),
    ("islands: 10^9 multiply-adds/s", "islands_macs", 1e-9),
    ("DenseNet around candidates: 10^9 multiply-adds/s", "network_macs", 1e-9),
    ("DenseNet in every window: 10^9 multiply-adds/s", "windows_macs", 1e-9),
)


class Spent(NamedTuple):
    """One run of a command."""

    said: str
    wall_s: float
    cpu_s: float  # its children's, too


def timed(*arguments: str, folder: Path) -> Spent:
    """Run `raysieve` in a folder."""
    command = [sys.executable, "-m", "raysieve", *arguments]
    environment = os.environ | {"PYTHONPATH": str(figures.FOLDER.parent.parent), "OMP_NUM_THREADS": "1"}
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True, text=True)
    wall = time.monotonic() - begin
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    said = "\n".join(line for line in (done.stderr + done.stdout).splitlines() if line.strip())
    return Spent(said, wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def measure(out: Path) -> str:
    """Write docs/figures/scaling.json; return what was called and said."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    asked = [f"simulate wfi {name}.h5 -c wfi --readouts {n} --photons {x} --seed 1" for name, n, x in RECORDINGS]
    asked += ["simulate wfi dark.h5 -c wfi --readouts 100 --dark --seed 1", "calibrate-dark dark.h5 maps.h5"]
    for line in asked:
        timed(*line.split(), folder=out)
    short, serial, local = (timed(*line.split(), folder=out) for line in RUNS)
    frames = QUADRANTS * 2 * (LONG - SHORT)
    ms = (serial.cpu_s - short.cpu_s) / frames * 1e3
    figures.write(
        "scaling",
        COMMAND,
        {
            "recording: size": ((out / "night1.h5").stat().st_size / QUADRANTS / LONG / 1e3, "kB per frame"),
            "process: CPU": (ms, "ms per frame"),
            "process: CPU to start": (short.cpu_s - ms * QUADRANTS * 2 * SHORT / 1e3, "CPU-s"),
            "process, one by one: wall": (serial.wall_s, "s"),
            "process, one by one: CPU": (serial.cpu_s, "CPU-s"),
            "process --scheduler local: wall": (local.wall_s, "s"),
            "process --scheduler local: CPU": (local.cpu_s, "CPU-s"),
            "cores of the machine": (len(os.sched_getaffinity(0)), "cores"),
        },
    )
    same = all(
        (out / "one" / name / "events.fits").read_bytes() == (out / "out" / name / "events.fits").read_bytes()
        for name in ("night1", "night2")
    )
    if not same:
        raise SystemExit("the event lists differ")
    said = [f"$ raysieve {asked[0]}", f"$ raysieve {asked[1]}", f"$ raysieve {RUNS[2]}", local.said]
    return "\n".join(["```", *said, "```"])


# name, read-outs, X-rays in a frame (2 on average); one seed: it is also that of the camera, whose maps these are
RECORDINGS = (("night1", LONG, 1), ("night2", LONG, 3), ("short1", SHORT, 1), ("short2", SHORT, 3))
RUNS = (
    "process short1.h5 short2.h5 -c wfi --maps maps.h5 --out short",
    "process night1.h5 night2.h5 -c wfi --maps maps.h5 --out one",
    "process night1.h5 night2.h5 -c wfi --maps maps.h5 --out out --scheduler local",
)


def fill(text: str, name: str, content: str) -> str:
    """Return a page with the block of a name replaced."""
    block = re.compile(rf"(<!-- {name}.*?-->\n).*?(<!-- end {name} -->)", re.DOTALL)
    return block.sub(lambda m: m[1] + content + "\n" + m[2], text)


def fill_all(text: str, blocks: Mapping[str, Callable[[], str]]) -> str:
    """Return a page with every block that it has, `<!-- NAME: ... -->`, made anew."""
    for name, make in blocks.items():
        text = fill(text, f"{name}:", make()) if f"<!-- {name}:" in text else text
    return text


def numbers(found: Found) -> str:
    """Return what was measured of the run, as a list."""
    return "\n".join(f"- {key}: {pages.show(figure)}" for key, figure in found["scaling"].items())


def main() -> None:
    """Measure, unless only the tables are wanted; fill the page."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--tables", action="store_true", help="only fill in figures that are there")
    arguments.add_argument("--out", type=Path, default=Path("out/scaling"))
    given = arguments.parse_args()
    made = None if given.tables else measure(given.out)
    text, found = PAGE.read_text(), pages.read()  # only now: it takes minutes
    if made is not None:
        text = fill(text, "run", made)
    PAGE.write_text(fill(fill(text, "numbers", numbers(found)), "model", tables(found)))


if __name__ == "__main__":
    main()
