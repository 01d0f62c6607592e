"""The hit libraries that the validation needs, made once."""

import subprocess
import sys
from pathlib import Path

from sim.geant4.geometry import SHIPPED
from sim.hit_library import HitLibrary

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
    path = folder / f"{name}.h5"
    if not path.is_file():
        text = (SHIPPED / f"{base}.toml").read_text()
        for old, new in changes:
            text = text.replace(old, new)
        geometry = folder / f"{name}.toml"
        geometry.write_text(text)
        batches = max(1, round(aimed * share / 20_000))
        options = ["--geometry", str(geometry), "--physics", physics, "--aimed", str(batches * 20_000), "--seed", "1"]
        subprocess.run([sys.executable, "-m", "raysieve", "simulate", "hits", str(path), *options], check=True)
    return HitLibrary(path)
