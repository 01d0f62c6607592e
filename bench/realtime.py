"""The live daemon at its real rate: four quadrants at 200 Hz through ZeroMQ, nothing lost, latency and CPU seconds."""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from bench import figures
from config.load import load
from stream.wiring import TABLE, url_of

READOUTS = 100  # of the recording, repeated from memory


def raysieve(*arguments: str) -> list[str]:
    """Return a command line."""
    return [sys.executable, "-m", "raysieve", *arguments]


def prepare(out: Path, photons: float) -> None:
    """Make the recording and the maps, unless they are there."""
    out.mkdir(parents=True, exist_ok=True)
    if not (out / "maps.h5").is_file():
        dark = [
            "simulate",
            "wfi",
            str(out / "dark.h5"),
            "-c",
            "wfi",
            "--readouts",
            "100",
            "--dark",
            "--seed",
            "1",
            "--overwrite",
        ]
        subprocess.run(raysieve(*dark), check=True)
        subprocess.run(
            raysieve("calibrate-dark", str(out / "dark.h5"), str(out / "maps.h5"), "--overwrite"), check=True
        )
    sky = ["--readouts", str(READOUTS), "--photons", str(photons), "--seed", "1", "--overwrite"]
    subprocess.run(raysieve("simulate", "wfi", str(out / "sky.h5"), "-c", "wfi", *sky), check=True)


def serve(out: Path, seconds: float, rate: str, settings: list[str]) -> dict[str, Any]:
    """Run the daemon on `seconds` of stream; return the last status of each process and what replay said.

    memory_bytes: in the last tenth of the time; growth_bytes: over that in the second tenth.
    """
    config = load("wfi", settings)
    changes = [word for s in settings for word in ("--set", s)]
    for old in (out / ".status").glob("*"):
        old.unlink()
    run = raysieve("run", "wfi", "--set", f"correct.maps={out / 'maps.h5'}", *changes, "--out", str(out))
    daemon = subprocess.Popen([*run, "--once", "--overwrite", "--quiet"], stderr=subprocess.DEVNULL)
    names = list(dict.fromkeys(row.process for row in TABLE))
    while not all((out / ".status" / f"{name}.json").is_file() for name in names):
        if daemon.poll() is not None:
            raise SystemExit("the daemon did not start")
        time.sleep(0.1)
    loops = max(1, round(seconds / (READOUTS * config.detector.frame_time_s)))
    url = url_of(TABLE[0].link, config.links)
    feed = ["replay", str(out / "sky.h5"), "--to", url, "--loop", str(loops), "--rate", rate, "--json"]
    sender = subprocess.Popen(raysieve(*feed), stdout=subprocess.PIPE, text=True)
    memory: list[dict[str, int]] = []
    while sender.poll() is None:
        time.sleep(1)
        memory.append({name: status["memory_bytes"] for name, status in statuses(out).items()})
    said = sender.communicate()[0]
    if sender.returncode or daemon.wait(120):
        raise SystemExit(f"replay ended with {sender.returncode}, the daemon with {daemon.returncode}")
    status = statuses(out)
    tenth = max(1, len(memory) // 10)
    for name in names:
        used = [row[name] for row in memory]  # its median: what waits fills and empties it again and again
        early, late = (int(np.median(part)) for part in (used[tenth:][:tenth] or used, used[-tenth:]))
        status[name] |= {"memory_bytes": late, "growth_bytes": late - early}
    return status | {"said": said.strip(), "frames": loops * READOUTS * len(config.detector.quadrants)}


def statuses(out: Path) -> dict[str, Any]:
    """Return the last status of each process."""
    return {row.process: json.loads((out / ".status" / f"{row.process}.json").read_text()) for row in TABLE}


def report(status: dict[str, Any], name: str, seconds: float) -> dict[str, tuple[object, ...]]:
    """Return the figures of one run."""
    detect, screen, record = (status[name] for name in ("detect", "screen", "record"))
    replay = json.loads(status["said"].splitlines()[-1])
    taken = detect["counters"]["in_Frame"]
    latency = detect["latencies"]["frame to events"]
    recorded = record["latencies"]["frame to record"]
    rows: dict[str, tuple[object, ...]] = {
        "frames sent": (status["frames"], "frames"),
        "frames not taken or lost": (
            status["frames"] - taken + detect["stages"].get("receive", {}).get("lost", 0),
            "frames",
        ),
        "rate": (replay["frames"] / replay["wall_s"], "frames/s"),
        "events": (detect["counters"]["events"], "events"),
        "frame to events, p50": (latency["p50_ms"], "ms"),
        "frame to events, p99": (latency["p99_ms"], "ms"),
        "frame to events, p99.9": (latency["p999_ms"], "ms"),
        "frame to events, max": (latency["max_ms"], "ms"),
        "frame to record, p99": (recorded["p99_ms"], "ms"),
    }
    if decided := screen["latencies"].get("frame to decision"):
        keys = {"p50": "p50_ms", "p99": "p99_ms", "p99.9": "p999_ms", "max": "max_ms"}
        rows |= {f"frame to decision, {name}": (decided[key], "ms") for name, key in keys.items()}
        rows["candidates judged"] = (screen["stages"].get("screen", {}).get("judged", 0), "candidates")
        rows["candidates not judged"] = (screen["stages"].get("screen", {}).get("unscreened", 0), "candidates")
    for process, used in (("replay", replay), ("detect", detect), ("screen", screen), ("record", record)):
        rows[f"CPU of {process}"] = (used["cpu_s"] / seconds, "CPU-s/s")
    for process in (detect, screen, record):
        rows[f"memory of {process['process']}"] = (process["memory_bytes"] * 1e-6, "MB")
        rows[f"memory of {process['process']}, growth"] = (process["growth_bytes"] * 1e-6, "MB")
    return {f"{name}: {key}": value for key, value in rows.items()}


def overload(status: dict[str, Any], name: str) -> dict[str, tuple[object, ...]]:
    """Return what became of more frames than can be processed."""
    replay, detect = json.loads(status["said"].splitlines()[-1]), status["detect"]
    books = status["record"]["balance"]["record"]
    rows = {
        "frames sent": (status["frames"], "frames"),
        "rate": (replay["frames"] / replay["wall_s"], "frames/s"),
        "shed": (detect["source"].get("shed", 0), "frames"),
        "recorded": (books["recorded"], "frames"),
        "neither recorded nor a gap": (status["frames"] - books["recorded"] - books["lost"], "frames"),
        "frame to events, p99": (detect["latencies"]["frame to events"]["p99_ms"], "ms"),
    }
    return {f"{name}: {key}": value for key, value in rows.items()}


def main() -> None:
    """Measure and write docs/figures/realtime.json."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=float, default=60.0)
    arguments.add_argument("--out", type=Path, default=Path("out/realtime"))
    arguments.add_argument(
        "--hour", metavar="RATE", help="Instead: an hour at so many times the real rate, for memory."
    )
    given = arguments.parse_args()
    prepare(given.out, photons=2)
    if given.hour:
        long = report(serve(given.out, 3600 * float(given.hour), given.hour, []), "ipc", 3600)
        kept = {key.removeprefix("ipc: "): row for key, row in long.items()}
        figures.write("hour", f"python -m bench.realtime --hour {given.hour}", kept)
        return
    found: dict[str, tuple[object, ...]] = {}

    def note(more: dict[str, tuple[object, ...]]) -> None:
        """Write after each run, beside what was measured before: the next one may fail, and pages read all of it."""
        found.update(more)
        keep = {key: row for key, row in figures.read("realtime").items() if key not in found}
        figures.write("realtime", f"python -m bench.realtime --seconds {given.seconds:g}", found, keep=keep)

    short = min(30.0, given.seconds)
    note(report(serve(given.out, given.seconds, "live", []), "live, ipc", given.seconds))
    bare = serve(given.out, 2.5 * given.seconds / 10, "2.5", ["screen.model="])  # read-outs of 5 ms every 2 ms
    note(report(bare, "500 Hz, without the network", given.seconds / 10))
    for times in (2, 5):
        shed = serve(given.out, short, str(times), ["links.frames_when_full=shed"])
        note(overload(shed, f"{times} times the rate, shed"))
    note(report(serve(given.out, short, "live", ["links.transport=tcp"]), "live, tcp", short))
    fast = serve(given.out, short, "max", [])
    note(report(fast, "as fast as possible, ipc", json.loads(fast["said"].splitlines()[-1])["wall_s"]))


if __name__ == "__main__":
    main()
