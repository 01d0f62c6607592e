"""What a grid costs: the published one of 15 x 2 x 8, and one of 20^3 thetas and 30 temperatures, on two cores.

python -m bench.crosscal.grid [--data FOLDER] [--large]
"""

import argparse
import os
import resource
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import numpy as np

from bench import figures
from sim.crosscal.grid import GridPlan, Inputs, simulate_grid
from sim.crosscal.sets import read_grid
from sim.crosscal.templates import Setting

COMMAND: Final = "python -m bench.crosscal.grid"
DATA: Final = Path(os.environ.get("RAYSIEVE_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))
AXES: Final = {"mu_kev": tuple(np.linspace(0.1, 12, 15)), "sigma_kev": (1.0,), "amplitude": (-0.08, 0.08)}
PUBLISHED_KT: Final = tuple(np.linspace(0.5, 15, 8))
LARGE: Final = {
    "mu_kev": tuple(np.geomspace(0.3, 10, 20)),
    "sigma_kev": tuple(np.geomspace(0.1, 3, 20)),
    "amplitude": tuple(np.linspace(-0.3, 0.3, 20)),
}
THETAS: Final = 20**3
WHOLE: Final = "20^3 x 30 whole, two processes"
LARGE_KT: Final = tuple(np.geomspace(0.8, 16, 30))
TIMES: Final = 7
SAMPLES: Final = 4
DRAWN: Final = 100  # thetas of each sample


def spent() -> float:
    """Return the CPU seconds of this process and of those that it has ended."""
    each = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(use.ru_utime + use.ru_stime for use in each)


def measured(plan: GridPlan, inputs: Inputs, processes: int) -> tuple[float, float, Any]:
    """Return wall seconds, CPU seconds and the grid of one run from reading the files to the last row."""
    with tempfile.TemporaryDirectory() as folder:
        path, wall, cpu = Path(folder) / "grid.h5", time.perf_counter(), spent()
        for _ in simulate_grid(path, plan, inputs, processes):
            pass
        return time.perf_counter() - wall, spent() - cpu, read_grid(path)


def small(name: str, inputs: Inputs, nh_free: bool) -> dict[str, tuple[Any, ...]]:
    """Return the cost of the published grid, one process: kernels are compiled by a first run that does not count."""
    plan = GridPlan("gaussian-code", AXES, kt_kev=PUBLISHED_KT, setting=Setting(nh_free=nh_free))
    runs = np.array([measured(plan, inputs, 1)[:2] for _ in range(TIMES + 1)][1:])
    rows = {}
    for what, seconds in zip(("wall", "CPU"), runs.T, strict=True):
        low, high = (float(v) for v in np.percentile(seconds, [16, 84]))
        free = "free" if nh_free else "fixed"
        rows[f"15 x 2 x 8, {name}, nH {free}: {what}"] = (float(np.median(seconds)), "s", (low, high))
    return rows


def large(name: str, inputs: Inputs) -> dict[str, tuple[Any, ...]]:
    """Return what the large grid costs in CPU time, by samples of its box, each in one process."""
    plans = [GridPlan("gaussian", points=DRAWN, kt_kev=LARGE_KT, seed=seed) for seed in range(SAMPLES)]
    runs = [measured(plan, inputs, 1) for plan in plans]
    each = np.array([cpu / grid.kt_fit.size for _, cpu, grid in runs])
    inside = float(np.mean([grid.converged.mean() for _, _, grid in runs]))
    low, high = (float(v) for v in np.percentile(each, [16, 84]))
    n, middle = THETAS * len(LARGE_KT), float(np.median(each))
    return {
        f"{name}: a simulation, both fits, both curves": (1e3 * middle, "CPU ms", (1e3 * low, 1e3 * high)),
        f"20^3 x 30, {name}: CPU, by samples": (n * middle / 60, "min", (n * low / 60, n * high / 60)),
        f"20^3 x 30, {name}: on two cores of their own, half of it": (
            n * middle / 120,
            "min",
            (n * low / 120, n * high / 120),
        ),
        f"20^3 x 30, {name}: fits within the plasma table": (100 * inside, "%"),
    }


def whole(name: str, inputs: Inputs) -> dict[str, tuple[Any, ...]]:
    """Return what the large grid costs, made on two processes."""
    wall, cpu, _ = measured(GridPlan("gaussian", LARGE, kt_kev=LARGE_KT), inputs, 2)
    return {
        f"{WHOLE}, {name}: wall": (wall / 60, "min"),
        f"{WHOLE}, {name}: CPU": (cpu / 60, "min"),
    }


def main() -> None:
    """Measure and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, help="folder with responses/")
    parser.add_argument("--whole", action="store_true", help="make all of the large grid too; else its figures stay")
    given = parser.parse_args()
    held = given.data / "responses"
    acis = Inputs(str(held / "acisi_aimpt_cy0.arf.gz"), str(held / "acisi_aimpt_cy0.rmf.gz"))
    rows: dict[str, tuple[Any, ...]] = {}
    for name, inputs in (("ACIS-I cycle 0", acis), ("analytic telescope", Inputs())):
        for nh_free in (True, False):
            rows |= small(name, inputs, nh_free)
        rows |= large(name, inputs)
    keep = {key: row for key, row in figures.read("crosscal_grid").items() if key.startswith(WHOLE)}
    if given.whole:
        keep, rows = {}, rows | whole("ACIS-I cycle 0", acis)
    figures.write("crosscal_grid", COMMAND, rows, keep)


if __name__ == "__main__":
    main()
