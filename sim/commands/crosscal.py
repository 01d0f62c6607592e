"""`raysieve simulate crosscal`, `crosscal-clusters`: temperatures seen through a wrong effective area."""

import os
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress

from config.errors import ConfigError
from sim.check import folder_for, new_or_replaced

SHARED = (
    click.option("--arf", default="", help="Nominal area (OGIP); none: formulae near ACIS-I of Chandra's first year."),
    click.option("--rmf", default="", help="Redistribution on the same bins of energy."),
    click.option("--plasma", default="", help="Folder of PIMMS' APEC files (solar abundance); none: our own table."),
    click.option("--nh-free/--nh-fixed", default=True, show_default=True, help="Fit the column density too."),
    click.option("--nh", "nh_1e22", default=0.1, show_default=True, help="True column density, 1e22 cm-2."),
    click.option("--abundance", default=0.3, show_default=True, help="Of metals, solar; held in fits."),
    click.option("--redshift", default=0.05, show_default=True, help="Held in fits."),
    click.option("--norm", default=1.0, show_default=True, help="Of XSPEC's apec."),
    click.option("--band", "band_kev", nargs=2, type=float, default=(0.5, 8.0), show_default=True, help="keV, fitted."),
    click.option("--exposure", "exposure_s", default=50_000.0, show_default=True, help="Seconds."),
    click.option("--family", default="gaussian", show_default=True, help="gaussian, gaussian-code, gaussians:N, ..."),
    click.option("--overwrite", is_flag=True, help="Replace an existing file."),
    click.option("--seed", default=0, type=click.IntRange(0), help="Of noise and draws."),
)
INPUTS = ("arf", "rmf", "plasma")


def shared(command: Any) -> Any:
    """Give a command the options of what is simulated."""
    for option in reversed(SHARED):
        command = option(command)
    return command


@click.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--axis", multiple=True, help="NAME=LOW:HIGH:N, NAME=LOW:HIGH:N:log or NAME=A,B,...; of the family.")
@click.option("--points", default=0, type=click.IntRange(0), help="Draw so many thetas in place of a product of axes.")
@click.option("--kt", default="0.8:16:24:log", show_default=True, help="True temperatures, keV, as an axis.")
@click.option("--noise", is_flag=True, help="Poisson noise; without it a spectrum is what is expected.")
@click.option("--processes", default=0, type=click.IntRange(0), help="0: one for each core.")
@shared
def crosscal(out: Path, axis: tuple[str, ...], points: int, kt: str, processes: int, **given: Any) -> None:
    """Write a grid of temperatures fitted to clusters seen through a modified area (HDF5).

    Each theta of the family modifies the nominal area into the true one; clusters seen through that are fitted through
    both. A run that was ended goes on where it stopped, given the same command.

    Example: raysieve simulate crosscal grid.h5 --family gaussian --axis mu_kev=0.3:10:12:log --kt 0.8:16:24:log
    """
    from sim.crosscal.grid import GridPlan, Inputs, simulate_grid

    folder_for(out)
    if given.pop("overwrite"):
        out.unlink(missing_ok=True)
    inputs = Inputs(**{name: given.pop(name) for name in INPUTS})
    axes = dict(read_axis(text) for text in axis)
    name, seed = given.pop("family"), given.pop("seed")
    plan = GridPlan(name, axes, points, read_axis(f"kt={kt}")[1], setting_of(given), seed)
    cores = processes or len(os.sched_getaffinity(0))
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(f"simulate {out.name}", total=None)
        total = 0
        for done, total in simulate_grid(out, plan, inputs, cores):
            progress.update(task, completed=done, total=total)
    size, k = out.stat().st_size / 1e6, len(plan.kt_kev)
    click.echo(f"{out}: {total:,} thetas of {name} x {k} temperatures; {size:.0f} MB")


def setting_of(given: dict[str, Any]) -> Any:
    """Return the setting of a command's options."""
    from sim.crosscal.templates import Setting

    return Setting(**given)


def read_axis(text: str) -> tuple[str, tuple[float, ...]]:
    """Return name and values of NAME=LOW:HIGH:N[:log] or NAME=A,B,.... Raises ConfigError."""
    from sim.crosscal.grid import spaced

    name, _, values = text.partition("=")
    parts = values.split(":")
    try:
        if len(parts) == 1:
            found = tuple(float(v) for v in values.split(","))
        else:
            low, high, n = float(parts[0]), float(parts[1]), int(parts[2])
            log = parts[3:] == ["log"]
            if parts[3:] not in ([], ["log"]) or n < 1 or (log and not 0 < low <= high):
                raise ValueError
            found = tuple(spaced(low, high, n, log).tolist())
    except (ValueError, IndexError):
        raise ConfigError(f"axis {text!r}: expected NAME=LOW:HIGH:N, NAME=LOW:HIGH:N:log or NAME=A,B,...") from None
    return name, found


@click.command("crosscal-clusters")
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--clusters", default=50, type=click.IntRange(1), show_default=True, help="How many.")
@click.option("--error", default=0.03, show_default=True, help="Of ln kT, for each telescope.")
@click.option("--kt-range", nargs=2, type=float, default=(1.0, 12.0), show_default=True, help="keV; log-normal within.")
@click.option("--theta", default="", help="A,B,... of the family: true over nominal area of telescope 1.")
@click.option("--true-arf", default="", help="Or its true area as an OGIP file, on bins of its own.")
@shared
def crosscal_clusters(
    out: Path, clusters: int, error: float, kt_range: tuple[float, float], theta: str, true_arf: str, **given: Any
) -> None:
    """Write temperatures of clusters seen by a trusted telescope and by one whose area is wrong (ECSV).

    KT_0 is true but for its error; KT_1 is fitted through the nominal area to what came through the true one.

    Example: raysieve simulate crosscal-clusters clusters.ecsv --theta 1.8,1,-0.08 --clusters 50 --error 0.03
    """
    from sim.crosscal.clusters import Sample, simulate_clusters, write_clusters
    from sim.crosscal.grid import Inputs

    new_or_replaced(out, given.pop("overwrite"))
    inputs = Inputs(**{name: given.pop(name) for name in INPUTS})
    values = read_axis(f"theta={theta}")[1] if theta else ()
    name, seed = given.pop("family"), given.pop("seed")
    sample = Sample(clusters, error, kt_range, name, values, true_arf, setting_of(given), seed)
    table = simulate_clusters(sample, inputs)
    write_clusters(out, table)
    shift = 100 * (table["KT_1_EXPECTED"] / table["KT_TRUE"] - 1)
    click.echo(f"{out}: {clusters} clusters; telescope 1 off by {shift.min():+.1f} to {shift.max():+.1f} %")
