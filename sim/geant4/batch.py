"""A batch of primaries: what it is made from, and its tables."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sim.check import require
from sim.geant4.aim import aim
from sim.geant4.compact import Names, compact
from sim.geant4.data_files import VERSION
from sim.geant4.geometry import Geometry, digest_of, parse_geometry
from sim.geant4.spectrum import PHI_GV
from sim.geant4.transport import Engine, Physics, to_arrays

TABLES = ("primaries", "segments", "steps")
NAMES = ("processes", "volumes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What decides the content of every batch. Raises ConfigError for what cannot be."""

    geometry_toml: str
    physics: Physics = "full"
    phi_gv: float = PHI_GV
    seed: int = 0
    batch: int = 20_000  # aimed primaries: some ten seconds of one core

    def __post_init__(self) -> None:
        require(
            "production",
            (0.1 <= self.phi_gv <= 2, "0.1 <= phi_gv <= 2"),  # about the range of the solar cycle, and some more
            (self.seed >= 0, "seed >= 0"),
            (self.batch > 0, "primaries in a batch"),
        )

    @property
    def geometry(self) -> Geometry:
        """The mass model."""
        return parse_geometry(self.geometry_toml, "geometry")

    @property
    def identity(self) -> dict[str, Any]:
        """What must be equal for two productions to be parts of one."""
        facts = asdict(self)
        del facts["geometry_toml"]
        return facts | {"geometry": digest_of(self.geometry), "data_files": VERSION}


def make_batch(engine: Engine, order: Order, number: int) -> dict[str, Any]:
    """Track one batch; return its tables and the names that they number."""
    primaries = aim(order.geometry, order.batch, order.seed, number, order.phi_gv)
    raw = to_arrays(engine.track(primaries))
    names = {name: Names() for name in NAMES}
    tables = compact(raw, primaries, order.geometry, number * order.batch, names)
    return dict(zip(TABLES, tables, strict=True)) | {name: np.array(names[name].names, "U32") for name in NAMES}


def part_of(parts: Path, number: int) -> Path:
    """Return where a batch is kept."""
    return parts / f"{number:06d}.npz"
