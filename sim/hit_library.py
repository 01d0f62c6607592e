"""The hit library: where each primary left energy in the silicon, in a compact HDF5 file.

Three tables, one below the other. A primary is a cosmic-ray proton that left a signal. A segment is the way of one
particle through one wafer. A step is a piece of that way, straight, with its energy spread evenly along it; the
segment begins at x, y, z and each step adds dx, dy, dz. x and y are measured from the outer corner of pixel (0, 0) of
the quadrant, z from the entrance side towards the gates.

Primaries are in the order in which they were drawn, which is random: any run of them is a fair sample.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import hdf5plugin
import numpy as np
from numpy.typing import NDArray

from config.errors import ConfigError
from sim.check import folder_for, require
from stream.transport import hdf5

FORMAT = "raysieve hits 1"
UNIT_UM = 1.0  # grid of the positions (as Poliszczuk et al. 2024): far below the width of a charge cloud
CHUNK = 1 << 15
PRIMARY = np.dtype(
    [
        ("number", "<i8"),  # in the production: number // batch size is its batch
        ("energy_gev", "<f4"),
        ("direction", "<f4", (3,)),
        ("sphere_mm", "<f4", (3,)),  # where it came through the sphere
        ("deposit_kev", "<f4"),  # in all wafers
        ("first_segment", "<i8"),
        ("first_step", "<i8"),
    ]
)
SEGMENT = np.dtype(
    [
        ("quadrant", "<u1"),
        ("particle", "<i4"),  # PDG code
        ("creator", "<u1"),  # number of the process in the file's list `processes`
        ("parent", "<i4"),  # PDG code of what made it; 0 for the primary
        ("entering", "<i4"),  # PDG code of the particle that brought it into the wafer (itself or an ancestor)
        ("origin", "<u1"),  # number of the volume where the entering particle was made, in the list `volumes`
        ("entry_kev", "<f4"),  # kinetic energy of the particle as it entered; 0 for what was made in the wafer
        ("x", "<i4"),  # UNIT_UM
        ("y", "<i4"),
        ("z", "<i4"),
        ("steps", "<i4"),
    ]
)
STEP = np.dtype([("dx", "<i4"), ("dy", "<i4"), ("dz", "<i4"), ("energy_ev", "<i4")])
TABLES = {"primaries": PRIMARY, "segments": SEGMENT, "steps": STEP}
HIT = np.dtype(  # all of the above in one row for each step
    [
        ("primary", "<i8"),  # place in the library
        ("quadrant", "<u1"),
        ("start_um", "<f4", (3,)),
        ("end_um", "<f4", (3,)),
        ("energy_ev", "<f4"),
        ("segment", "<i8"),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Production:
    """How a library was made, and what it stands for."""

    geometry: str  # its name
    geometry_toml: str
    geometry_digest: str
    physics: str
    phi_gv: float
    seed: int
    batch: int  # aimed primaries in each batch
    aimed: int  # primaries that met the box
    sphere_primaries: float  # primaries through the sphere that they stand for
    protons_per_s: float  # through the sphere, alphas not counted
    area_cm2: float
    rows: int
    columns: int
    pixel_um: float
    thickness_um: float
    quadrants: tuple[int, ...]
    processes: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    command: str = ""
    data_files: str = ""  # version of what Geant4 read (`sim.geant4.data_files`)

    @property
    def exposure_s(self) -> float:
        """Time in which so many protons come, without alphas."""
        return self.sphere_primaries / self.protons_per_s


class LibraryWriter(hdf5.NewFile):
    """Writes a library batch by batch; the file appears under its name when it is complete."""

    def __init__(self, path: Path, production: Production) -> None:
        """Raises ConfigError or LinkError where the file cannot be written."""
        folder_for(path)
        super().__init__(path, FORMAT)
        with self.writing():
            hdf5.write_text(self.file, "production", json.dumps(asdict(production)))
            for name, dtype in TABLES.items():
                packed = dict(hdf5plugin.Bitshuffle(cname="zstd", clevel=9)) | {"fletcher32": True}
                self.file.create_dataset(name, (0,), dtype, maxshape=(None,), chunks=(CHUNK,), **packed)

    def write(self, primaries: NDArray[Any], segments: NDArray[Any], steps: NDArray[Any]) -> None:
        """Append PRIMARY, SEGMENT and STEP rows whose `first_...` count from 0 in these arrays."""
        with self.writing():
            tables = [self.file[name] for name in TABLES]
            primaries = primaries.copy()
            primaries["first_segment"] += len(tables[1])
            primaries["first_step"] += len(tables[2])
            for table, rows in zip(tables, (primaries, segments, steps), strict=True):
                hdf5.append(table, rows)


class HitLibrary:
    """A library opened for reading. Only what is asked for is in memory."""

    def __init__(self, path: Path | str) -> None:
        """Raises ConfigError for a file that is missing, is no hit library, is damaged, or is empty."""
        self.path = Path(path)
        if not self.path.is_file():
            raise ConfigError(f"hit library {path}: no such file; raysieve simulate hits makes one")
        with self._reading():
            self._file = hdf5.open_file(self.path, (FORMAT,))
        try:
            with self._reading():
                self.production = self._described()
                tables = [hdf5.dataset(self._file, name, dtype, (None,)) for name, dtype in TABLES.items()]
            self._primaries, self._segments, self._steps = tables
            require(f"hit library {path}", (len(self) > 0, "at least one primary, it holds none"))
        except ConfigError:
            self._file.close()
            raise

    def _described(self) -> Production:
        stored = json.loads(hdf5.read_text(self._file, "production"))
        return Production(**stored | {key: tuple(stored[key]) for key in ("quadrants", "processes", "volumes")})

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except hdf5.FAULTS as fault:
            raise ConfigError(f"hit library {self.path}: cannot be read: {hdf5.reason(fault)}") from None

    def __len__(self) -> int:
        """Return the number of primaries."""
        return len(self._primaries)

    def primaries(self, first: int = 0, stop: int | None = None) -> NDArray[Any]:
        """Return the PRIMARY rows first .. stop - 1, as far as there are any."""
        with self._reading():
            rows: NDArray[Any] = self._primaries[first : len(self) if stop is None else stop]
        return rows

    def segments(self, first: int, stop: int) -> NDArray[Any]:
        """Return the SEGMENT rows of the primaries first .. stop - 1, as far as there are any."""
        begin, end = (self._first_segment(place) for place in (first, max(first, stop)))
        with self._reading():
            rows: NDArray[Any] = self._segments[begin:end]
        return rows

    def hits(self, first: int, stop: int) -> NDArray[Any]:
        """Return the HIT rows of the primaries first .. stop - 1: their steps with both ends in um, energy in eV.

        `segment` counts in `segments(first, stop)`. No rows for an empty range, or beyond the end.
        """
        rows = self.primaries(first, max(first, stop))
        if not rows.size:
            return np.empty(0, HIT)
        segments = self.segments(first, stop)
        begin, end = int(rows["first_step"][0]), int(rows["first_step"][0] + segments["steps"].sum())
        with self._reading():
            steps = self._steps[begin:end]
        segment = np.repeat(np.arange(len(segments)), segments["steps"])
        hits = np.empty(len(steps), HIT)
        hits["segment"], hits["quadrant"] = segment, segments["quadrant"][segment]
        hits["primary"] = np.repeat(first + np.arange(rows.size), np.diff(np.append(rows["first_step"], end)))
        hits["energy_ev"] = steps["energy_ev"]
        opening = np.cumsum(segments["steps"]) - segments["steps"]
        for axis, (name, step) in enumerate((("x", "dx"), ("y", "dy"), ("z", "dz"))):
            before = np.cumsum(steps[step], dtype=np.int64) - steps[step]
            place = before - before[opening][segment] + segments[name][segment]
            hits["start_um"][:, axis] = place * UNIT_UM
            hits["end_um"][:, axis] = (place + steps[step]) * UNIT_UM
        return hits

    def _first_segment(self, place: int) -> int:
        if place >= len(self):
            return len(self._segments)
        return int(self.primaries(place, place + 1)["first_segment"][0])

    def __enter__(self) -> "HitLibrary":
        """Return itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        """Close the file."""
        self._file.close()


def shipped() -> Path:
    """Return the library in the package: real physics without Geant4 (made by the command in its README)."""
    return Path(__file__).parent / "data" / "hits_close.h5"
