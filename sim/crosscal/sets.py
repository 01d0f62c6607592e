"""Grids of recovered temperatures in HDF5: preallocated, filled block by block, so that a killed run goes on."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
from numpy.typing import NDArray

from config.errors import ConfigError
from stream.crosscal.modifiers import Family, family
from stream.errors import LinkError
from stream.spectra.grid import Floats
from stream.transport.hdf5 import FAULTS, reason

KIND: Final = "crosscal"
VERSION: Final = 1
TWO: Final = ("nh_fit", "norm_fit", "statistic")  # (G, K, 2): through the nominal area, through the modified one
ONE: Final = ("kt_fit", "kt_modified", "kt_fit_sd", "kt_modified_sd")  # (G, K) keV, sd of ln kT


@dataclass(frozen=True, slots=True, eq=False)
class GridSet:
    """What a grid holds. G thetas, K true temperatures, C points of a likelihood curve, p parameters."""

    family: Family
    theta: Floats  # (G, p)
    kt_kev: Floats  # (K,) true
    kt_fit: Floats  # (G, K) keV through the nominal area: biased
    kt_modified: Floats  # (G, K) keV through the modified area, the true one
    kt_fit_sd: Floats  # (G, K) statistical, of ln kT at the exposure and norm of `about`
    kt_modified_sd: Floats
    nh_fit: Floats  # (G, K, 2) 1e22 cm-2, nominal and modified
    norm_fit: Floats  # (G, K, 2)
    statistic: Floats  # (G, K, 2) C-stat
    curve_ln_ratio: Floats  # (C,)
    curve: NDArray[np.float32]  # (G, K, 2, C) C-stat less its least at ln kT / best; NaN beyond the plasma table
    converged: NDArray[np.uint8]  # (G, K) both fits ended off the ends of the plasma table
    done: NDArray[np.uint8]  # (G,)
    about: dict[str, Any]  # plan, files with their digests, telescope, plasma


def shapes(points: int, parameters: int, temperatures: int, ratios: int) -> dict[str, tuple[tuple[int, ...], str]]:
    """Return shape and dtype of every dataset that a run fills."""
    g, k = points, temperatures
    out = dict.fromkeys(ONE, ((g, k), "f8")) | dict.fromkeys(TWO, ((g, k, 2), "f8"))
    more = {"theta": ((g, parameters), "f8"), "curve": ((g, k, 2, ratios), "f4")}
    return {**out, **more, "converged": ((g, k), "u1"), "done": ((g,), "u1")}


def create(path: Path, about: dict[str, Any], theta: Floats, kt_kev: Floats, ratios: Floats) -> None:
    """Write a grid with nothing done. It has its name only when it is whole, and its size never changes after.

    Datasets are contiguous and allocated: filling them moves no structure of HDF5, so a kill loses one block at most.
    Raises LinkError when the disk refuses.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with h5py.File(partial, "w") as file:
            file.attrs["kind"], file.attrs["version"] = KIND, VERSION
            file.attrs["about"] = json.dumps(about)
            file["kt_kev"], file["curve_ln_ratio"] = kt_kev, ratios
            for name, (shape, dtype) in shapes(len(theta), theta.shape[1], len(kt_kev), len(ratios)).items():
                creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
                creation.set_layout(h5py.h5d.CONTIGUOUS)
                creation.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
                space = h5py.h5s.create_simple(shape)
                h5py.h5d.create(file.id, name.encode(), h5py.h5t.py_create(np.dtype(dtype)), space, creation)
            file["theta"][:] = theta
        partial.replace(path)
    except OSError as fault:
        partial.unlink(missing_ok=True)
        raise LinkError(f"{path}: cannot be written: {reason(fault)}") from None


@contextmanager
def filling(path: Path) -> Iterator[Any]:
    """Open a grid to fill it. Raises ConfigError for another file, LinkError when the disk refuses."""
    try:
        file = h5py.File(path, "r+")
    except FAULTS as fault:
        raise ConfigError(f"{path}: {reason(fault)}; expected a grid of `raysieve simulate crosscal`") from None
    try:
        with file:
            yield file
    except OSError as fault:
        raise LinkError(f"{path}: cannot be written: {reason(fault)}") from None


def fill(file: Any, first: int, rows: dict[str, NDArray[Any]]) -> None:
    """Write the rows of a block of thetas, then say that they are done."""
    stop = first + len(rows["converged"])
    for name, values in rows.items():
        file[name][first:stop] = values
    file.flush()
    file["done"][first:stop] = 1
    file.flush()


def read_about(path: Path) -> dict[str, Any]:
    """Return what a grid says of itself. Raises ConfigError for another file."""
    with _opened(path) as file:
        about: dict[str, Any] = json.loads(file.attrs["about"])
    return about


def read_grid(path: Path | str, *, partial: bool = False) -> GridSet:
    """Return a grid. Raises ConfigError for another or damaged file, and for one that is not done unless `partial`."""
    path = Path(path)
    with _opened(path) as file:
        about = json.loads(file.attrs["about"])
        kind = family(about["plan"]["family"])
        ratios, kt = (file[name][:] for name in ("curve_ln_ratio", "kt_kev"))
        wanted = shapes(len(file["done"]), len(kind.parameters), len(kt), len(ratios))
        arrays = {}
        for name, (shape, dtype) in wanted.items():
            arrays[name] = file[name][:]
            if arrays[name].shape != shape or arrays[name].dtype != dtype:
                raise ValueError(f"{name}: {arrays[name].dtype} {arrays[name].shape}, expected {dtype} {shape}")
    held = GridSet(family=kind, kt_kev=kt, curve_ln_ratio=ratios, about=about, **arrays)
    left = int((held.done == 0).sum())
    if left and not partial:
        raise ConfigError(f"{path}: {left} of {len(held.done)} thetas are not done: the same command goes on with them")
    finished = held.done > 0
    if not all(np.isfinite(getattr(held, name)[finished]).all() for name in ("theta", *ONE, *TWO)):
        raise ConfigError(f"{path}: damaged: temperatures that are done are not numbers")
    return held


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with h5py.File(path, "r") as file:
            if file.attrs.get("kind") != KIND or file.attrs.get("version") != VERSION:
                raise ValueError(f"attributes kind, version: expected {KIND}, {VERSION}")
            yield file
    except FAULTS as fault:
        raise ConfigError(f"{path}: {reason(fault)}; expected a grid of `raysieve simulate crosscal`") from None
