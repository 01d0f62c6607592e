"""`raysieve simulate sources` and `source-sets`: fields of X-ray sources of known class."""

import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.console import Console
from rich.progress import Progress

from sim.check import new_or_replaced, require
from sim.sources.field import Setup, make_field
from sim.sources.files import FieldFile, write_event_list
from sim.sources.sets import Optics, Ranges, SetFile, make_set
from stream.transport.ogip_writer import write_arf, write_rmf

CAMERA = (
    click.option("--rmf", default="", help="Redistribution of the camera (FITS); none: the built-in WFI."),
    click.option("--arf", default="", help="Effective area, for an RMF without it."),
    click.option("--pixels", default=512, type=int, help="Columns and rows."),
    click.option("--arcsec-per-px", default=2.2346, type=float, help="Scale; the WFI's unless told."),
    click.option("--fwhm-arcsec", default=9.0, type=float, help="Of the PSF on axis."),
    click.option("--psf", default="gaussian", type=click.Choice(("gaussian", "king")), help="Its profile."),
    click.option("--fwhm-growth", default=0.0, type=float, help="Share by which it is wider at the corner."),
    click.option("--vignetting", default=0.0, type=float, help="Share of the area lost at the corner."),
    click.option("--number", "numbers", multiple=True, metavar="CLASS=N", help="Mean number of a class, as LMXB=5."),
)


def camera_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of the camera and the classes."""
    for option in reversed(CAMERA):
        command = option(command)
    return command


@click.command("sources")
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--l", "l_deg", default=0.0, help="Galactic longitude of the middle, degrees.")
@click.option("--b", "b_deg", default=-1.5, help="Galactic latitude, degrees.")
@click.option("--exposure-s", default=5_000.0, help="Exposure; four times as long, twice the signal-to-noise.")
@click.option("--density", default=1.0, help="Sources over what is expected there.")
@click.option("--diffuse", default=1.0, help="Diffuse light, likewise; 0: none.")
@click.option("--texture", default=0.5, help="Rms of the log of its brightness.")
@camera_options
@click.option("--response", default="", metavar="NAME", help="Write that of the camera, too: NAME.rmf and NAME.arf.")
@click.option("--overwrite", is_flag=True, help="Replace existing files.")
@click.option("--seed", default=0, type=click.IntRange(0), help="Same seed, same field.")
def sources(out: Path, response: str, overwrite: bool, seed: int, numbers: tuple[str, ...], **options: Any) -> None:
    """Write a field of the Galaxy: an event list OUT (.fits), and beside it what is true of it (.h5).

    The .h5 holds the sources, the origin of every event, the diffuse light, and the photons for
    `raysieve simulate wfi --photons-from`.

    Example: raysieve simulate sources bulge.fits --l 0 --b -1.5 --number LMXB=5 --seed 1
    """
    require(f"{out}", (out.suffix == ".fits", "a name that ends in .fits"))
    truth = out.with_suffix(".h5")
    answers = [Path(f"{response}.{kind}") for kind in ("rmf", "arf")] if response else []
    for path in (out, truth, *answers):
        new_or_replaced(path, overwrite)
    optics = optics_of(options)
    names = ("l_deg", "b_deg", "exposure_s", "density", "diffuse", "texture")
    setup = Setup(**{name: options[name] for name in names}, numbers=numbers_of(numbers))
    made = make_field(optics.camera(), setup, seed)
    write_event_list(made, out, (str(answers[0]), str(answers[1])) if response else (optics.rmf, optics.arf))
    for path, write in zip(answers, (write_rmf, write_arf), strict=False):
        write(path, made.camera.response)
    with FieldFile(truth) as file:
        file.write(made)
    counts = Counter(name.decode() for name in made.truth["class"])
    told = ", ".join(f"{n} {name}" for name, n in sorted(counts.items()))
    left = f"; {made.too_bright} too bright, left out" if made.too_bright else ""
    click.echo(f"{out}: {len(made.events):,} events; true sources above 5 counts: {told or 'none'}{left}; {truth}")


@click.command("source-sets")
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--fields", default=200, type=click.IntRange(1), help="How many.")
@click.option("--exposure-s", default=(1_500.0, 12_000.0), nargs=2, type=float, help="Shortest and longest.")
@click.option("--density", default=(0.15, 0.8), nargs=2, type=float, help="Sources over what is expected.")
@click.option("--diffuse", default=(0.5, 3.0), nargs=2, type=float, help="Diffuse light, likewise.")
@click.option("--texture", default=(0.2, 1.0), nargs=2, type=float, help="Rms of the log of its brightness.")
@click.option("--l", "l_deg", default=(-30.0, 30.0), nargs=2, type=float, help="Galactic longitudes.")
@click.option("--b", "b_deg", default=(-4.0, 4.0), nargs=2, type=float, help="Galactic latitudes.")
@click.option("--threshold", default=4.5, help="Of detection, sigma.")
@camera_options
@click.option("--processes", default=0, type=click.IntRange(0), help="0: one for each core.")
@click.option("--overwrite", is_flag=True, help="Replace an existing set.")
@click.option("--seed", default=0, type=click.IntRange(0), help="Same seed, same set.")
def source_sets(
    out: Path, fields: int, numbers: tuple[str, ...], processes: int, overwrite: bool, seed: int, **options: Any
) -> None:
    """Write what the stream finds in many fields, with the true classes: a table to train and to judge with (HDF5).

    Fields differ in place, exposure, density and diffuse light. Rare classes are more frequent than in the Galaxy:
    --number LMXB=5 --number NS=5 unless told otherwise.

    Example: raysieve simulate source-sets sources.h5 --fields 200 --seed 1
    """
    new_or_replaced(out, overwrite)
    names = ("l_deg", "b_deg", "exposure_s", "density", "diffuse", "texture", "threshold")
    ranges, optics = Ranges(**{name: options[name] for name in names}), optics_of(options)
    ranges = replace(ranges, numbers=numbers_of(numbers)) if numbers else ranges
    cores = processes or len(os.sched_getaffinity(0))
    tables = []
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(f"simulate {out.name}", total=fields)
        for rows in make_set(optics, ranges, fields, seed, min(cores, fields)):
            tables.append(rows)
            progress.advance(task)
    table = np.concatenate(tables)
    with SetFile(out) as file:
        file.write(table, {"fields": fields, "seed": seed, "ranges": asdict(ranges), "optics": asdict(optics)})
    counts = Counter(name.decode() for name in table["class"])
    click.echo(f"{out}: {len(table):,} found: {', '.join(f'{n:,} {name}' for name, n in sorted(counts.items()))}")


def optics_of(options: Mapping[str, Any]) -> Optics:
    """Return the camera of the options."""
    pixels = options["pixels"]
    names = ("arcsec_per_px", "fwhm_arcsec", "psf", "fwhm_growth", "vignetting")
    changes = {"columns": pixels, "rows": pixels} | {name: options[name] for name in names}
    require("--arf", (not options["arf"] or bool(options["rmf"]), "--rmf with it"))
    return Optics(options["rmf"], options["arf"], tuple(changes.items()))


def numbers_of(texts: tuple[str, ...]) -> dict[str, float]:
    """Return class -> number of CLASS=N. Raises ConfigError for other texts."""
    found = {}
    for text in texts:
        name, _, number = text.partition("=")
        try:
            found[name] = float(number)
        except ValueError:
            require(f"--number {text}", (False, "CLASS=N, as LMXB=5"))
    return found
