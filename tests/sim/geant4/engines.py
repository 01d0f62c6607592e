"""What needs Geant4 itself: each runs in a process of its own, as Geant4 ends its process when something is wrong.

`python -m tests.sim.geant4.engines NAME IN OUT` runs one: IN is its geometry (TOML), OUT gets its arrays (npz).
"""

import json
import sys
from pathlib import Path
from typing import get_args

import numpy as np

from sim.geant4.aim import Primaries, aim
from sim.geant4.geometry import Geometry, Material, parse_geometry
from sim.geant4.transport import Engine, to_arrays
from sim.geant4.world import World

STRAIGHT = 1500  # protons of 1 GeV


def built(geometry: Geometry) -> dict[str, object]:
    """Build the volumes and ask Geant4 whether they overlap; also build every material there is."""
    engine = Engine(geometry, "em")
    world = World(engine.g4, geometry)
    placed = [item for item in engine.world.keep if isinstance(item, engine.g4.G4PVPlacement)]
    volumes = [
        {
            "name": volume.GetName(),
            "overlaps": volume.CheckOverlaps(2000, 0.0, False),
            "material": volume.GetLogicalVolume().GetMaterial().GetName(),
            "z_mm": volume.GetTranslation().z,
        }
        for volume in placed
    ]
    densities = {
        name: world._material(name).GetDensity() / (engine.g4.g / engine.g4.cm3) for name in get_args(Material)
    }
    engine.track(_some(aim(geometry, 1, 0, 0), np.arange(0)))  # makes the tables of cuts
    engine.g4.G4UImanager.GetUIpointer().ApplyCommand("/run/dumpCouples")  # to stdout: the binding cannot read them
    return {"volumes": json.dumps(volumes), "densities": json.dumps(densities)}


def tracked(geometry: Geometry) -> dict[str, object]:
    """Track primaries of the flux; some of them a second time, alone and in another order."""
    engine = Engine(geometry)
    primaries = aim(geometry, 300, 1, 0)
    raw = to_arrays(engine.track(primaries))
    again = to_arrays(engine.track(_some(primaries, np.arange(299, 99, -3))))
    none = to_arrays(engine.track(_some(primaries, np.arange(0))))
    return raw | {f"again_{key}": column for key, column in again.items()} | {"none": sum(map(len, none.values()))}


def interrupted(geometry: Geometry) -> dict[str, object]:
    """Stop Geant4 in the fifth of 20 primaries; return what the engine says."""
    engine = Engine(geometry, "em")
    begin = engine._ledger.begin

    def stop_in_the_fifth(primary: int) -> None:
        begin(primary)
        if primary == 4:
            engine._manager.AbortRun(True)

    engine._ledger.begin = stop_in_the_fifth
    try:
        engine.track(aim(geometry, 20, 1, 0))
    except RuntimeError as fault:
        return {"said": str(fault)}
    return {"said": ""}


def straight(geometry: Geometry) -> dict[str, object]:
    """Shoot protons of 1 GeV straight through the middle of the first wafer."""
    wafers = geometry.wafers
    x, y = geometry.corner_mm(wafers.quadrants[0])
    half = wafers.columns * wafers.pixel_um * 0.5e-3
    start = np.tile([x + half, y + half, wafers.z_mm + wafers.thickness_um * 0.5e-3 + 0.1], (STRAIGHT, 1))
    seeds = np.random.default_rng(5).integers(1, 2**31 - 1, (STRAIGHT, 2))
    primaries = Primaries(start, np.tile([0.0, 0.0, -1.0], (STRAIGHT, 1)), np.ones(STRAIGHT), seeds)
    return to_arrays(Engine(geometry, "em").track(primaries))


def _some(primaries: Primaries, which: np.ndarray) -> Primaries:
    return Primaries(
        primaries.start_mm[which], primaries.direction[which], primaries.energy_gev[which], primaries.seeds[which]
    )


if __name__ == "__main__":
    name, given, out = sys.argv[1:]
    np.savez(
        out,
        **{"built": built, "tracked": tracked, "interrupted": interrupted, "straight": straight}[name](
            parse_geometry(Path(given).read_text(), given)
        ),
    )
