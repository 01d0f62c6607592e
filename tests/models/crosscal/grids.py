"""Small grids of a made-up law: smooth, without bias at amplitude 0."""

from pathlib import Path

import numpy as np

from sim.crosscal.grid import RATIOS, GridPlan
from sim.crosscal.sets import create, fill, filling

KT = tuple(np.geomspace(1.0, 12.0, 9).round(4).tolist())


def law(theta, kt):
    """ln(kT of the fit / true kT) of thetas (n, 3) of "gaussian" and kT (n,)."""
    at, wide, amplitude = np.log(theta[:, 0]), np.log(theta[:, 1]), theta[:, 2]
    return amplitude * (0.4 + 0.3 * wide) * np.log(kt) * np.sin(1.5 - at) * (1 - 0.5 * amplitude)


def made(folder: Path, seed: int, points: int = 256, kt=KT, failed: int = 3, **plan) -> Path:
    """Write a grid; the first `failed` fits of it have failed."""
    path = folder / f"grid_{seed}.h5"
    plan = GridPlan(points=points, kt_kev=kt, seed=seed, **plan)
    theta, k = plan.theta(), len(kt)
    create(path, {"plan": plan.about()}, theta, np.array(kt), RATIOS)
    each, temperatures = np.repeat(theta, k, axis=0), np.tile(kt, points)
    bias = law(each, temperatures) if plan.family == "gaussian" else 0 * temperatures
    fit = (temperatures * np.exp(bias)).reshape(points, k)
    sd = np.broadcast_to(0.002 * np.array(kt), (points, k))
    rows = {"kt_fit": fit, "kt_modified": np.broadcast_to(kt, (points, k)), "kt_fit_sd": sd, "kt_modified_sd": sd}
    rows |= {name: np.zeros((points, k, 2)) for name in ("nh_fit", "norm_fit", "statistic")}
    good = np.ones(points * k, np.uint8)
    good[:failed] = 0
    rows |= {"curve": np.zeros((points, k, 2, len(RATIOS)), np.float32), "converged": good.reshape(points, k)}
    with filling(path) as file:
        fill(file, 0, rows)
    return path
