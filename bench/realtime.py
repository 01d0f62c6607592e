"""The live daemon at its real rate: four quadrants at 200 Hz through ZeroMQ, nothing lost, latency and CPU seconds."""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

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
        subprocess.run(raysieve("calibrate-dark", str(out / "dark.h5"), str(out / "maps.h5")), check=True)
    sky = ["--readouts", str(READOUTS), "--photons", str(photons), "--seed", "1", "--overwrite"]
    subprocess.run(raysieve("simulate", "wfi", str(out / "sky.h5"), "-c", "wfi", *sky), check=True)


def serve(out: Path, seconds: float, rate: str, settings: list[str]) -> dict[str, Any]:
    """Run the daemon on `seconds` of stream; return the last status of each process and what replay said."""
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
    said = subprocess.run(raysieve(*feed), check=True, capture_output=True, text=True).stdout
    daemon.wait(120)
    status = {name: json.loads((out / ".status" / f"{name}.json").read_text()) for name in names}
    return status | {"said": said.strip(), "frames": loops * READOUTS * len(config.detector.quadrants)}


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
        "frame to events, max": (latency["max_ms"], "ms"),
        "frame to record, p99": (recorded["p99_ms"], "ms"),
    }
    if decided := screen["latencies"].get("frame to decision"):
        rows |= {f"frame to decision, {key[:3]}": (decided[f"{key}_ms"], "ms") for key in ("p50", "p99", "max")}
        rows["candidates judged"] = (screen["stages"].get("screen", {}).get("judged", 0), "candidates")
        rows["candidates not judged"] = (screen["stages"].get("screen", {}).get("unscreened", 0), "candidates")
    for process, used in (("replay", replay), ("detect", detect), ("screen", screen), ("record", record)):
        rows[f"CPU of {process}"] = (used["cpu_s"] / seconds, "CPU-s/s")
    return {f"{name}: {key}": value for key, value in rows.items()}


def main() -> None:
    """Measure and write docs/figures/realtime.json."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=float, default=60.0)
    arguments.add_argument("--out", type=Path, default=Path("out/realtime"))
    given = arguments.parse_args()
    prepare(given.out, photons=2)
    live = serve(given.out, given.seconds, "live", [])
    found = report(live, "live, ipc", given.seconds)
    tcp = serve(given.out, given.seconds / 4, "live", ["links.transport=tcp"])
    found |= report(tcp, "live, tcp", given.seconds / 4)
    fast = serve(given.out, given.seconds / 4, "max", [])
    replay = json.loads(fast["said"].splitlines()[-1])
    found |= report(fast, "as fast as possible, ipc", replay["wall_s"])
    figures.write("realtime", "python -m bench.realtime", found)


if __name__ == "__main__":
    main()
