"""`raysieve simulate events`: a set of reconstructed events of known truth."""

from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.console import Console
from rich.progress import Progress

from config.load import load
from sim.check import new_or_replaced, require
from sim.commands.scene import STRAIGHT, about, camera_of, sky_options
from sim.event_file import EventFile
from sim.event_sets import EventSet
from sim.truth import KINDS
from stream.commands.options import configured


@click.command("events")
@click.argument("out", type=click.Path(path_type=Path))
@configured
@click.option("--readouts", default=10_000, type=click.IntRange(1), help="Read-outs of all quadrants.")
@click.option(
    "--windows",
    type=click.FloatRange(0, 1),
    help="Keep 64 x 64 pixels around particles in the band, and around this share of the X-rays.",
)
@sky_options
@click.option("--overwrite", is_flag=True, help="Replace an existing set.")
@click.option("--seed", default=0, type=click.IntRange(0), help="Same seed, same events.")
def events(
    out: Path, config_name: str, overrides: tuple[str, ...], readouts: int, windows: float | None, overwrite: bool,
    **sky: Any,
) -> None:  # fmt: skip
    """Write what the stream finds in simulated read-outs, and what made it: to train screening, and to judge it.

    Different parts of a library have different primaries: split training from tests by --part, or by library.

    Example: raysieve simulate events train.h5 --config wfi --hits hits.h5 --readouts 100000 --windows 0.1
    """
    require("event set", (sky["hits"] != STRAIGHT, "a hit library, not straight tracks"))
    new_or_replaced(out, overwrite)
    config = load(config_name, overrides)
    camera = camera_of(config, sky, readouts)
    made = EventSet(camera, config, windows)
    kinds = np.zeros(len(KINDS), np.int64)
    with (
        EventFile(out, about(config, sky | {"readouts": readouts, "windows": windows})) as file,
        Progress(console=Console(stderr=True), transient=True) as progress,
    ):
        task = progress.add_task(f"simulate {out.name}", total=readouts)
        for block in made.blocks(readouts):
            file.write(block)
            kinds += np.bincount(block.truth["kind"], minlength=len(KINDS))
            progress.update(task, advance=block.readouts)
    found = ", ".join(f"{kinds[kind]:,} {name}" for kind, name in KINDS.items())
    click.echo(f"{out}: {readouts:,} read-outs; events: {found}; {out.stat().st_size / 1e6:.0f} MB")
