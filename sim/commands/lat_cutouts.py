"""`raysieve simulate lat-cutouts`: what the network of classes learns from."""

from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress

from sim.check import new_or_replaced

FILE = click.Path(path_type=Path)


@click.command("lat-cutouts")
@click.argument("out", type=FILE)
@click.option("--skies", default=6, type=click.IntRange(1), help="Each has some 4,000 sources that can be seen.")
@click.option("--fakes", default=700, type=click.IntRange(0), help="Of each sky, at most; there are some 300.")
@click.option("--years", default=10, type=click.IntRange(0, 10), help="Of each sky; 0: every second one has fewer.")
@click.option("--irfs", default="", help="Folder with the mission's responses; else: coarse ones of our own.")
@click.option("--iem", default="", help="The mission's interstellar model; else: one of our own.")
@click.option("--iso", default="", help="Folder with the mission's isotropic spectra; else: our own.")
@click.option("--overwrite", is_flag=True, help="Replace an existing set.")
@click.option("--seed", default=0, type=click.IntRange(0), help="Same seed, same skies; other seeds share none.")
def lat_cutouts(out: Path, overwrite: bool, **setting_of: Any) -> None:
    """Simulate years of the gamma-ray sky, and cut out all that looks like a source, with what it is.

    Example: raysieve simulate lat-cutouts train.h5 --skies 6 --seed 1
    """
    from sim.lat.cutout_sets import Setting, write_set

    new_or_replaced(out, overwrite)
    setting = Setting(**setting_of)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("skies", total=setting.skies)
        for done in write_set(out, setting):
            progress.update(task, completed=done)
    click.echo(f"{out}: {out.stat().st_size / 1e6:.1f} MB")
