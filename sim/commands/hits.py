"""`raysieve simulate hits`: cosmic rays through the mass model, into a hit library."""

import os
import time
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from config.errors import ConfigError
from sim.check import new_or_replaced
from sim.geant4.batch import Order
from sim.geant4.data_files import default_folder
from sim.geant4.geometry import load_geometry
from sim.geant4.produce import produce
from sim.hit_library import HitLibrary


@click.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--geometry", default="close", help="A TOML file, or a shipped name: close, open, graded.")
@click.option("--aimed", default=200_000, type=click.IntRange(1), help="Primaries that meet the box, in whole batches.")
@click.option("--batch", default=20_000, type=click.IntRange(1), help="Primaries in a batch.")
@click.option("--physics", default="full", type=click.Choice(["full", "em"]), help="em: without hadronic reactions.")
@click.option("--phi-gv", default=0.38, type=click.FloatRange(0.1, 2), help="Solar modulation of the protons.")
@click.option("--workers", default=0, type=click.IntRange(0), help="Processes; 0: one for each core.")
@click.option("--data", type=click.Path(path_type=Path), help="Folder of the Geant4 data files; they are made there.")
@click.option("--keep-parts", is_flag=True, help="Keep the batches, to go on later with a larger --aimed.")
@click.option("--overwrite", is_flag=True, help="Replace an existing library.")
@click.option("--seed", default=0, type=click.IntRange(0), help="Same seed, same hits, with any number of workers.")
def hits(out: Path, geometry: str, aimed: int, workers: int, overwrite: bool, **given: Any) -> None:
    """Track cosmic-ray protons through the camera's box with Geant4, and keep what they leave in the wafers.

    Interrupted, the same command goes on where it stopped. Needs the sim extra (Geant4 without any download).

    Example: raysieve simulate hits hits.h5 --geometry close --aimed 200000 --seed 1
    """
    new_or_replaced(out, overwrite)
    _, text = load_geometry(geometry)
    order = Order(
        geometry_toml=text,
        physics=given["physics"],
        phi_gv=given["phi_gv"],
        seed=given["seed"],
        batch=given["batch"] if given["keep_parts"] else min(given["batch"], aimed),
    )
    batches = -(-aimed // order.batch)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    begun = time.monotonic()
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("batches", total=batches)
        cores, data = workers or os.cpu_count() or 1, given["data"] or default_folder()
        try:
            produce(out, order, batches, cores, data, lambda n: progress.update(task, completed=n), given["keep_parts"])
        except KeyboardInterrupt:
            raise ConfigError(f"{out}: interrupted; what is done is kept, and the same command goes on") from None
    click.echo(summary(out, time.monotonic() - begun))


def summary(path: Path, seconds: float) -> str:
    """Return in words what a library holds."""
    with HitLibrary(path) as library:
        made, hit = library.production, len(library)
    share = hit / made.sphere_primaries
    return (
        f"{path}: {hit:,} primaries with signal, of {made.aimed:,} that met the box and {made.sphere_primaries:,.0f} "
        f"through the sphere ({share:.2%}); {made.exposure_s:.1f} s of protons; {path.stat().st_size / 1e6:.1f} MB; "
        f"{seconds:.0f} s"
    )
