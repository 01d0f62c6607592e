"""Hundreds of fields over signal-to-noise and source density, and what the stream finds in them: to train on."""

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sim.check import folder_for, require
from sim.seeds import Seeds
from sim.sources.camera import Camera, built_in, with_files
from sim.sources.catalogue import catalogue_of
from sim.sources.field import Setup, make_field
from stream.judges.catalogue import MORE_FEATURES
from stream.judges.sources import FEATURES
from stream.transport import hdf5

FORMAT: Final = "raysieve source set"
SETUP: Final = 9  # what is drawn: key of `Seeds.of_set`
ABOUT: Final = ("snr", "density", "exposure_s", "diffuse", "texture", "true_flux", "population", "net_counts")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranges:
    """From where the fields of a set are drawn."""

    l_deg: tuple[float, float] = (-30.0, 30.0)
    b_deg: tuple[float, float] = (-4.0, 4.0)
    exposure_s: tuple[float, float] = (1_500.0, 12_000.0)  # even in the logarithm
    density: tuple[float, float] = (0.15, 0.8)  # likewise
    diffuse: tuple[float, float] = (0.5, 3.0)  # likewise
    texture: tuple[float, float] = (0.2, 1.0)
    numbers: Mapping[str, float] = field(
        default_factory=lambda: {"LMXB": 5.0, "NS": 5.0}
    )  # rare ones: more than there are
    threshold: float = 4.5

    def __post_init__(self) -> None:
        for name in ("l_deg", "b_deg", "exposure_s", "density", "diffuse", "texture"):
            low, high = getattr(self, name)
            require(f"{name} {low:g} {high:g}", (low <= high, "the lower end first"))
        positive = min(self.exposure_s[0], self.density[0], self.diffuse[0]) > 0
        require("source set", (positive, "exposure_s, density and diffuse above 0"))
        require("source set", (2 <= self.threshold <= 20, "2 <= threshold <= 20"))
        self.setup(Seeds(0), 0)

    def setup(self, seeds: Seeds, number: int) -> Setup:
        """Return what field `number` looks at. Raises ConfigError for what cannot be."""
        rng = seeds.of_set(SETUP, number)
        even = {name: float(rng.uniform(*getattr(self, name))) for name in ("l_deg", "b_deg", "texture")}
        logs = {n: float(np.exp(rng.uniform(*np.log(getattr(self, n))))) for n in ("exposure_s", "density", "diffuse")}
        return Setup(**even, **logs, numbers=dict(self.numbers))


@dataclass(frozen=True, slots=True)
class Optics:
    """The camera of a set, in words that travel to other processes."""

    rmf: str = ""
    arf: str = ""
    changes: tuple[tuple[str, Any], ...] = ()  # of fields of `Camera`

    def camera(self) -> Camera:
        """Return it. Raises ConfigError for files that do not fit."""
        camera = replace(built_in(), **dict(self.changes), kept={})
        return with_files(camera, self.rmf, self.arf or None) if self.rmf else camera


def rows_of(camera: Camera, ranges: Ranges, seed: int, number: int) -> NDArray[Any]:
    """Return what is found in field `number` of a set: the columns of `catalogue_of`, `field`, and ABOUT."""
    setup = ranges.setup(Seeds(seed), number)
    made = make_field(camera, setup, seed, number + 1)
    found = catalogue_of(made, ranges.threshold)
    names = ("snr", "density", "exposure_s", "diffuse", "texture", "true_flux")
    types = [*found.dtype.descr, ("field", "<i4"), *((name, "<f8") for name in names), ("population", "S24")]
    rows = np.zeros(len(found), types)
    for name in found.dtype.names or ():
        rows[name] = found[name]
    rows["field"] = number
    for name in ("density", "exposure_s", "diffuse", "texture"):
        rows[name] = getattr(setup, name)
    real = found["source"] >= 0
    rows["true_flux"] = np.nan
    rows["true_flux"][real] = made.truth["flux"][found["source"][real]]
    rows["population"][real] = made.truth["population"][found["source"][real]]
    rows["snr"] = 10 ** found["log_significance"]
    return rows


_camera: Camera | None = None  # of this process


def _begin(optics: Optics) -> None:
    global _camera
    _camera = optics.camera()


def _one(job: tuple[Ranges, int, int]) -> NDArray[Any]:
    assert _camera is not None
    return rows_of(_camera, *job)


def make_set(optics: Optics, ranges: Ranges, fields: int, seed: int = 0, processes: int = 1) -> Iterator[NDArray[Any]]:
    """Yield the rows of each field, in order: the same for any number of processes."""
    require("source set", (fields > 0, "fields"), (1 <= processes <= 256, "1 to 256 processes"))
    jobs = [(ranges, seed, number) for number in range(fields)]
    if processes == 1:
        camera = optics.camera()
        yield from (rows_of(camera, *job) for job in jobs)
        return
    optics.camera()  # what cannot be is said here, not in another process
    with ProcessPoolExecutor(processes, get_context("spawn"), _begin, (optics,)) as pool:
        yield from pool.map(_one, jobs)


class SetFile(hdf5.NewFile):
    """Writes a training table: a 1-D dataset for each feature, `class`, `field`; the group `about` holds the rest."""

    def __init__(self, path: Path) -> None:
        """Raises ConfigError or LinkError where the file cannot be written."""
        folder_for(path)
        super().__init__(path, FORMAT)

    def write(self, rows: NDArray[Any], about: Mapping[str, Any]) -> None:
        """Write all rows. Raises LinkError if the disk refuses."""
        units = FEATURES | MORE_FEATURES
        with self.writing():
            hdf5.write_text(self.file, "made_of", json.dumps(about, default=str))
            group = self.file.create_group("about")
            for name in rows.dtype.names or ():
                data = (group if name in ABOUT else self.file).create_dataset(name, data=rows[name])
                data.attrs["unit"] = units.get(name.removesuffix("_error"), "")
