"""All benches of cross-calibration, then the page: `python -m bench.crosscal [DATA]`."""

import os
import subprocess
import sys
from pathlib import Path

DATA = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("RAYSIEVE_DATA", "../shared/data")
GRID = Path("out/crosscal/lattice.h5")
AXES = ("mu_kev=0.3:10:28:log", "sigma_kev=0.1:3:10:log", "amplitude=-0.3:0.3:7")


def run(*words: str) -> None:
    """Run a module; stops at the first that fails."""
    print("python -m", *words, flush=True)
    subprocess.run([sys.executable, "-m", *words], check=True)


if __name__ == "__main__":
    run("bench.crosscal.response")
    run("bench.crosscal.grid")
    run("bench.crosscal.emulator")
    axes = [word for axis in AXES for word in ("--axis", axis)]
    run("raysieve", "simulate", "crosscal", str(GRID), *axes)
    run("bench.crosscal.recovery")
    run("bench.crosscal.recovery", "--grid", str(GRID))
    run("bench.crosscal.sky", DATA)
    run("bench.crosscal.drift", DATA)
    run("bench.crosscal.page")
