"""The grid: by theta of a family and true temperature, what is fitted through the nominal area and the true one."""

import json
import os
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from config.errors import ConfigError
from sim.check import require
from sim.crosscal.hot import cluster_table
from sim.crosscal.sets import create, fill, filling, read_about
from sim.crosscal.telescope import NAME, analytic_response
from sim.crosscal.templates import Setting, Templates
from stream.crosscal.modifiers import Family, check_positive, family, middle_kev
from stream.spectra.grid import Floats
from stream.spectra.response import Response
from stream.spectra.table import PlasmaTable
from stream.transport.ogip import read_response
from stream.transport.pimms import read_plasma

_SIDE: Final = (0.005, 0.01, 0.02, 0.04, 0.07, 0.12, 0.2)
RATIOS: Final = np.array([-x for x in _SIDE[::-1]] + [0.0, *_SIDE])  # ln kT over the best, of the likelihood curves
NODES: Final = {"gaussian": (12, 8, 11), "gaussian-code": (12, 8, 11), "edge": (12, 11, 4)}  # of each parameter
POINTS: Final = 1000  # thetas drawn for families of more parameters than a product can cover
BLOCK: Final = 8  # thetas at once
ALONE: Final = 4000  # simulations below which one process is faster than to start more
MOST: Final = 10_000_000  # simulations


@dataclass(frozen=True, slots=True)
class GridPlan:
    """What is simulated. Same plan, same grid.

    axes: values of each parameter by name, their product is the grid; or `points` thetas, quasi-random (Sobol) between
    the ends of each axis. A parameter without an axis has the family's box.
    """

    family: str = "gaussian"
    axes: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    points: int = 0
    kt_kev: tuple[float, ...] = tuple(np.geomspace(0.8, 16.0, 24).round(4).tolist())
    setting: Setting = field(default_factory=Setting)
    seed: int = 0

    def theta(self) -> Floats:
        """Return the thetas (G, p). Raises ConfigError for axes that the family has not, and for too many."""
        kind = family(self.family)
        unknown = sorted(set(self.axes) - set(kind.names))
        if unknown:
            raise ConfigError(f"axis {unknown[0]}: family {kind.name} has {', '.join(kind.names)}")
        if self.points or kind.name not in NODES:
            return self._drawn(kind, self.points or POINTS)
        axes = [
            np.asarray(self.axes.get(p.name, spaced(p.low, p.high, n, p.log)), float)
            for p, n in zip(kind.parameters, NODES[kind.name], strict=True)
        ]
        size = float(np.prod([len(a) for a in axes])) * len(self.kt_kev)
        require("grid", (0 < size <= MOST, f"1 to {MOST:,} simulations, not {size:,.0f}"))
        return np.stack([a.ravel() for a in np.meshgrid(*axes, indexing="ij")], axis=1)

    def _drawn(self, kind: Family, points: int) -> Floats:
        require("grid", (points * len(self.kt_kev) <= MOST, f"at most {MOST:,} simulations"))
        unit = qmc.Sobol(len(kind.parameters), seed=self.seed).random(1 << int(np.ceil(np.log2(points))))[:points]
        out = np.empty_like(unit)
        for i, p in enumerate(kind.parameters):
            axis = self.axes.get(p.name, (p.low, p.high))
            low, high = min(axis), max(axis)
            log = p.log and low > 0
            out[:, i] = low * (high / low) ** unit[:, i] if log else low + (high - low) * unit[:, i]
        return out

    def about(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        return {**asdict(self), "axes": {k: list(v) for k, v in self.axes.items()}, "kt_kev": list(self.kt_kev)}


@dataclass(frozen=True, slots=True)
class Inputs:
    """Files that a simulation reads; none: a telescope of formulae, the plasma of this package."""

    arf: str = ""
    rmf: str = ""
    plasma: str = ""  # folder of PIMMS' APEC files: solar abundance, up to 27 keV

    def load(self) -> tuple[Response, PlasmaTable]:
        """Return the nominal response and the plasma. Raises ConfigError for files that do not fit."""
        if bool(self.arf) != bool(self.rmf):
            raise ConfigError("--arf, --rmf: expected both, or none for the analytic telescope")
        response = read_response(self.rmf, self.arf) if self.rmf else analytic_response()
        return response, read_plasma(self.plasma) if self.plasma else cluster_table()

    def about(self, response: Response, table: PlasmaTable) -> dict[str, Any]:
        """Return their names and digests: where they lay is of no use elsewhere."""
        files = {key: digest(Path(path)) for key, path in (("arf", self.arf), ("rmf", self.rmf)) if path}
        made = sha256(response.area_cm2.tobytes() + response.runs.values.tobytes()).hexdigest()[:16]
        plasma = sha256(table.photons.tobytes()).hexdigest()[:16]
        return {"files": files, "telescope": NAME if not self.rmf else "files", "response": made, "plasma": plasma}


def digest(path: Path) -> dict[str, str]:
    """Return a file's name and SHA-256."""
    return {"name": path.name, "sha256": sha256(path.read_bytes()).hexdigest()}


def spaced(low: float, high: float, n: int, log: bool) -> Floats:
    """Return n values from low to high, evenly or by equal factors; 0 where they are to pass it."""
    return np.geomspace(low, high, n) if log else np.linspace(low, high, n).round(12)


def simulate_grid(path: Path, plan: GridPlan, inputs: Inputs, processes: int = 1) -> Iterator[tuple[int, int]]:
    """Make a grid, or go on with one of the same plan; yield (thetas done, of how many) as it grows.

    The result does not depend on the number of processes. Raises ConfigError for plans that cannot be, files that do
    not fit, and a file of another plan; LinkError when the disk refuses.
    """
    theta, kt = plan.theta(), np.asarray(plan.kt_kev, float)
    response, table = inputs.load()
    kind, middle = family(plan.family), middle_kev(response)
    for row in theta:
        told = ", ".join(f"{name} {value:.4g}" for name, value in zip(kind.names, row, strict=True))
        check_positive(kind.factor(row, middle)[0], response, f"family {kind.name} at {told}")
    about = {"plan": plan.about(), **inputs.about(response, table)}
    templates = Templates(plan.setting, response, table, kt)
    if not path.exists():
        create(path, about, theta, kt, RATIOS)
    _check_same(path, about)
    with filling(path) as file:
        left = np.flatnonzero(file["done"][:] == 0)
        done = len(theta) - len(left)
        yield done, len(theta)
        blocks = [b for b in np.split(left, np.flatnonzero(np.diff(left) > 1) + 1) for b in _cut(b)]
        for first, rows in _rows(templates, kind, plan.seed, theta, blocks, processes):
            fill(file, first, rows)
            done += len(rows["converged"])
            yield done, len(theta)


def recover_block(
    templates: Templates, kind: Family, seed: int, first: int, theta: Floats
) -> tuple[int, dict[str, NDArray[Any]]]:
    """Return the place of a block of thetas and the rows that a grid holds of each."""
    factors = kind.factor(theta, middle_kev(templates.response))
    noise = templates.setting.noise
    each = [
        templates.recover(factor, RATIOS, np.random.default_rng((seed, first + i)) if noise else None)
        for i, factor in enumerate(factors)
    ]
    kt, sd, nh, norm, statistic, good, curve = (
        np.array([getattr(one, name) for one in each])
        for name in ("kt_kev", "sd", "nh", "norm", "statistic", "converged", "curve")
    )
    rows: dict[str, NDArray[Any]] = {
        "kt_fit": kt[..., 0],
        "kt_modified": kt[..., 1],
        "kt_fit_sd": sd[..., 0],
        "kt_modified_sd": sd[..., 1],
    }
    rows |= {"nh_fit": nh, "norm_fit": norm, "statistic": statistic, "curve": curve.astype(np.float32)}
    rows["converged"] = np.asarray(good.all(axis=-1), np.uint8)
    return first, rows


def _rows(
    templates: Templates, kind: Family, seed: int, theta: Floats, blocks: list[NDArray[np.intp]], processes: int
) -> Iterator[tuple[int, dict[str, NDArray[Any]]]]:
    jobs = [(kind.name, seed, int(b[0]), theta[b]) for b in blocks]
    if processes == 1 or sum(len(b) for b in blocks) * len(templates.kt_kev) < ALONE:
        for _, _, first, rows in jobs:
            yield recover_block(templates, kind, seed, first, rows)
        return
    given = templates.setting, templates.response, templates.table, templates.kt_kev
    with ProcessPoolExecutor(min(processes, len(jobs)), get_context("spawn"), _begin, given) as pool:
        try:
            for future in as_completed([pool.submit(_one, job) for job in jobs]):
                yield future.result()
        except BrokenProcessPool:
            raise ConfigError("a process of the simulation was ended from outside: the same command goes on") from None
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


_templates: Templates | None = None  # of a worker process


def _begin(*given: Any) -> None:
    global _templates
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _templates = Templates(*given)


def _end_with_parent() -> None:
    """End this process when the one that started it is gone: one that was killed cannot say so."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _one(job: tuple[str, int, int, Floats]) -> tuple[int, dict[str, NDArray[Any]]]:
    assert _templates is not None
    name, seed, first, theta = job
    return recover_block(_templates, family(name), seed, first, theta)


def _cut(places: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    return [places[i : i + BLOCK] for i in range(0, len(places), BLOCK)]


def _check_same(path: Path, about: dict[str, Any]) -> None:
    """Raise ConfigError, naming what differs, if a file is of another plan or other inputs."""
    held, wanted = (_flat(one) for one in (read_about(path), json.loads(json.dumps(about))))
    differ = [
        f"{key} {_short(held.get(key))} there, {_short(wanted.get(key))} now"
        for key in sorted(held.keys() | wanted.keys())
        if held.get(key) != wanted.get(key)
    ]
    if differ:
        raise ConfigError(f"{path}: holds another grid ({'; '.join(differ[:3])}); --overwrite replaces it")


def _flat(tree: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in tree.items():
        out |= _flat(value, f"{before}{key}.") if isinstance(value, dict) else {f"{before}{key}": value}
    return out


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
