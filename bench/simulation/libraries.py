"""The hit libraries that the validation needs, made once."""

import subprocess
import sys
from pathlib import Path

from config.errors import ConfigError
from sim.geant4.data_files import VERSION
from sim.geant4.geometry import SHIPPED, digest_of, parse_geometry
from sim.hit_library import HitLibrary

BATCH = 20_000  # of `raysieve simulate hits`
NEAR = "cut_um = 1.0"  # of the skins and of the silicon
# name: geometry, changes of its text, physics, share of the aimed primaries
RECIPES: dict[str, tuple[str, tuple[tuple[str, str], ...], str, float]] = {
    "close": ("close", (), "full", 1.0),
    "open": ("open", (), "full", 1.0),
    "open_em": ("open", (), "em", 1.0),
    "wall_40mm": ("open", (("wall_mm = 20.0", "wall_mm = 40.0"),), "full", 0.4),
    "cut_0.3um": ("open", ((NEAR, "cut_um = 0.3"),), "full", 0.25),
    "cut_3um": ("open", ((NEAR, "cut_um = 3.0"),), "full", 0.25),
    "cut_10um": ("open", ((NEAR, "cut_um = 10.0"),), "full", 0.25),
    "cut_100um": ("open", ((NEAR, "cut_um = 100.0"), ("cut_um = 20.0", "cut_um = 100.0")), "full", 0.25),
}


def provide(folder: Path, aimed: int) -> dict[str, HitLibrary]:
    """Return all libraries; those that are not in the folder are made, from `aimed` primaries the largest."""
    folder.mkdir(parents=True, exist_ok=True)
    return {name: _provide(folder, name, aimed) for name in RECIPES}


def _provide(folder: Path, name: str, aimed: int) -> HitLibrary:
    base, changes, physics, share = RECIPES[name]
    path, geometry = folder / f"{name}.h5", folder / f"{name}.toml"
    text = (SHIPPED / f"{base}.toml").read_text()
    for old, new in changes:
        text = text.replace(old, new)
    number = max(1, round(aimed * share / BATCH)) * BATCH
    if not _fits(path, (digest_of(parse_geometry(text, name)), physics, number, VERSION)):
        geometry.write_text(text)
        options = ["--geometry", str(geometry), "--physics", physics, "--aimed", str(number), "--seed", "1"]
        command = [sys.executable, "-m", "raysieve", "simulate", "hits", str(path), *options, "--overwrite"]
        subprocess.run(command, check=True)
    return HitLibrary(path)


def _fits(path: Path, wanted: tuple[str, str, int, str]) -> bool:
    """Return whether the library is there, and of this geometry, physics, number of primaries and data files."""
    try:
        with HitLibrary(path) as library:
            made = library.production
    except ConfigError:
        return False
    return (made.geometry_digest, made.physics, made.aimed, made.data_files) == wanted
