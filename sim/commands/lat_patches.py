"""`raysieve simulate lat-patches`: what the localisation network learns from."""

import os
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress

from config.errors import ConfigError
from sim.check import folder_for, new_or_replaced

YEARS = click.FloatRange(0.01, 30)


@click.command("lat-patches")
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--skies", default=40, type=click.IntRange(1), help="How many; splits are by sky.")
@click.option("--per-sky", default=20, type=click.IntRange(1), help="Patches of each, more of them near the plane.")
@click.option("--years", nargs=2, default=(1.0, 12.0), type=YEARS, help="Least and most, of an even survey.")
@click.option("--irfs", default="", help="Folder of aeff_*_FB.fits and psf_*_FB.fits; none: a coarse table of our own.")
@click.option("--iem", default="", help="Interstellar cube; none: an analytic stand-in.")
@click.option("--iso", default="", help="Folder of isotropic tables; none: a stand-in.")
@click.option("--processes", default=0, type=click.IntRange(0), help="0: one for each core.")
@click.option("--overwrite", is_flag=True, help="Replace an existing set.")
@click.option("--seed", default=0, type=click.IntRange(0), help="Same seed, same set; another seed, other skies.")
def lat_patches(out: Path, skies: int, processes: int, overwrite: bool, seed: int, **setting_of: Any) -> None:
    """Write patches of simulated gamma-ray skies with the regions of their sources (HDF5): half a megabyte each.

    Every sky has sources of its own, and diffuse light that differs from the model that the search is given.

    Example: raysieve simulate lat-patches train.h5 --skies 40 --seed 1
    """
    from sim.lat.patch_sets import Setting, tools_of, write_set

    new_or_replaced(out, overwrite)
    folder_for(out)
    setting = Setting(**setting_of)
    if setting.years[0] > setting.years[1]:
        raise ConfigError(f"--years: {setting.years[0]:g} {setting.years[1]:g}; expected the least first")
    tools_of(setting)  # files that cannot be used are refused here
    cores = processes or len(os.sched_getaffinity(0))
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(f"simulate {out.name}", total=skies)
        for done in write_set(out, setting, skies, seed, min(cores, skies)):
            progress.update(task, completed=done)
    click.echo(f"{out}: {skies * setting.per_sky:,} patches of {skies} skies; {out.stat().st_size / 1e6:.0f} MB")
