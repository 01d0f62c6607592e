"""`raysieve simulate corona`: spectra of stellar coronae with their truth."""

from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress

from sim.check import folder_for, new_or_replaced

PAIR: dict[str, Any] = {"nargs": 2, "type": float, "show_default": True}


@click.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--spectra", default=10_000, type=click.IntRange(1), show_default=True, help="How many.")
@click.option("--instrument", default="hetg", show_default=True, help="hetg, letg or euv.")
@click.option("--log-t", default=(6.0, 7.0), help="Log10 of kelvin, least and most.", **PAIR)
@click.option("--log-n", default=(9.0, 11.0), help="Log10 of electrons cm-3, least and most.", **PAIR)
@click.option("--snr", default=(1.0, 10.0), help="Root of the counts of the strongest line, least and most.", **PAIR)
@click.option(
    "--shares",
    nargs=3,
    type=float,
    default=(0.5, 0.25, 0.25),
    show_default=True,
    help="Of coronae of one temperature, of two, of a continuous emission measure.",
)
@click.option("--metals-dex", default=0.15, show_default=True, help="Sigma of the abundance of all metals.")
@click.option("--abundance-dex", default=0.10, show_default=True, help="Sigma of that of each metal beside it.")
@click.option("--per-star", default=1, type=click.IntRange(1), show_default=True, help="Spectra of each star.")
@click.option("--overwrite", is_flag=True, help="Replace an existing set.")
@click.option("--seed", default=0, type=click.IntRange(0), help="Same seed, same set; another seed, other stars.")
def corona(out: Path, spectra: int, instrument: str, overwrite: bool, seed: int, **setting_of: Any) -> None:
    """Write spectra of stellar coronae (HDF5): Poisson counts, what was expected, temperatures, densities, lines.

    Line data, effective areas, wavelengths and abundances are off by what they are uncertain by.

    Example: raysieve simulate corona coronae.h5 --spectra 10000 --instrument hetg --seed 1
    """
    from sim.corona.sets import write_set
    from sim.corona.truth import Setting
    from stream.corona.forward import Forward
    from stream.corona.instrument import shipped

    new_or_replaced(out, overwrite)
    folder_for(out)
    setting, model = Setting(**setting_of), Forward.through(shipped(instrument))
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(f"simulate {out.name}", total=spectra)
        for done in write_set(out, model, setting, spectra, seed):
            progress.update(task, completed=done)
    size = out.stat().st_size / 1e6
    click.echo(
        f"{out}: {spectra:,} spectra of {len(model.lines)} lines, {model.instrument.channels:,} bins; {size:.0f} MB"
    )
