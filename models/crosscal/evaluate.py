"""How far the emulator is off on theta that it has not learned from, with 68 % intervals."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from config.errors import ConfigError
from models.crosscal.dataset import Grid, Points, together
from models.crosscal.network import Emulator
from models.crosscal.train import box_of
from models.metrics import Interval, bootstrap
from stream.judges.crosscal import FITS

RANGES_KEV: Final = ((0.0, 2.0), (2.0, 5.0), (5.0, 10.0), (10.0, 100.0))
DEFINITIONS: Final = {
    "error": "difference of the emulator's temperature from the fit's, of the fit's, absolute",
    "kept back": "theta of the grids of the training that it has not learned from, at their temperatures",
    "other points": "theta and temperatures of other grids, none of them of the training",
    "interval": "68 %, theta drawn anew",
    "share of the bias": "root of the mean squared error of ln kT over that of ln kt_fit / kT",
}


def evaluate(network: Emulator, state: dict[str, Any], unseen: Sequence[Grid]) -> dict[str, Interval]:
    """Return metrics with 68 % intervals; of the training's grids only the theta that were kept back are judged.

    Raises ConfigError for a grid of another family, or with points beyond what the emulator knows.
    """
    return {
        key: row
        for name, points in parts_of(state, unseen).items()
        for key, row in _figures(network, points, name).items()
    }


def parts_of(state: dict[str, Any], unseen: Sequence[Grid]) -> dict[str, Points]:
    """Return what an emulator is judged on: "kept back" of its own grids, "other points" of others; raises as above."""
    digests = [one["digest"] for one in state["grids"]]
    parts: dict[str, list[Points]] = {"kept back": [], "other points": []}
    for grid in unseen:
        _check(grid, state)
        own = grid.digest in digests
        parts["kept back" if own else "other points"].append(grid.kept_back if own else grid.points)
    return {name: together(some) for name, some in parts.items() if some}


def _check(grid: Grid, state: dict[str, Any]) -> None:
    box, points = box_of(state), grid.points
    if grid.family.name != state["family"]:
        raise ConfigError(f"{grid.path}: of family {grid.family.name}; expected the emulator's, {state['family']}")
    beyond = ((points.theta < box.low) | (points.theta > box.high)).any(axis=1)
    beyond |= (points.kt_kev < box.kt_kev[0]) | (points.kt_kev > box.kt_kev[1])
    if beyond.any():
        raise ConfigError(f"{grid.path}: {beyond.sum()} points beyond the range of theta or kT of the emulator")


def said_of(network: Emulator, points: Points) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return ln_ratio and ln_sd (m, 2) of points."""
    theta, kt = (torch.from_numpy(a.astype(np.float32)) for a in (points.theta, points.kt_kev))
    with torch.no_grad():
        ratio, log_sd = network(theta, kt)
    return ratio.double().numpy(), np.exp(log_sd.double().numpy())


def _figures(network: Emulator, points: Points, name: str) -> dict[str, Interval]:
    ratio, ln_sd = said_of(network, points)
    error, spread = np.abs(np.expm1(ratio - points.ratio)), np.abs(ln_sd / points.ln_sd - 1)
    out: dict[str, Interval] = {}

    def tell(key: str, values: NDArray[np.float64], share: float, rows: NDArray[np.bool_]) -> None:
        if rows.any():
            of, group = values[rows], points.group[rows]
            out[f"{name}: {key}"] = bootstrap(lambda drawn: float(np.quantile(of[drawn], share)), group)

    every = np.ones(len(points), bool)
    for k, fit in enumerate(FITS):
        for text, share in (("median", 0.5), ("99 %", 0.99), ("worst", 1.0)):
            tell(f"error of {fit}, {text}", error[:, k], share, every)
    for low, high in RANGES_KEV:
        rows = (points.kt_kev >= low) & (points.kt_kev < high)
        for text, share in (("median", 0.5), ("worst", 1.0)):
            tell(f"error of kt_fit, {low:g}-{high:g} keV, {text}", error[:, 0], share, rows)
    tell("error of kt_fit_sd, median", spread[:, 0], 0.5, every)
    off, bias = (ratio - points.ratio)[:, 0] ** 2, points.ratio[:, 0] ** 2
    out[f"{name}: share of the bias"] = bootstrap(
        lambda drawn: float(np.sqrt(off[drawn].sum() / max(bias[drawn].sum(), 1e-30))), points.group
    )
    return out
