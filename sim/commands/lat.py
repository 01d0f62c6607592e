"""`raysieve simulate lat`: photons of the gamma-ray sky, as Fermi-LAT's files hold them."""

import json
from dataclasses import asdict
from math import isfinite
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.console import Console
from rich.progress import Progress

from sim.check import new_or_replaced, require
from sim.lat.catalogue import CLASSES
from sim.lat.flight import START_S
from sim.lat.ft1 import Recording
from sim.lat.given import read_published, read_xml
from sim.lat.observation import STEP_S, Observation, Order
from sim.lat.orbit import ROW_S, rows_between
from stream.lat.exposure import YEAR_S
from stream.transport.lat_diffuse import read_diffuse
from stream.transport.lat_response import instrument_of

AT = click.Path(path_type=Path)
MODEL = (
    click.option("--irfs", default="", help="Folder with the mission's responses (aeff_*_FB.fits, psf_*_FB.fits)."),
    click.option("--iem", type=AT, help="Interstellar emission (gll_iem_v07.fits); none: an analytic one of our own."),
    click.option(
        "--iso", type=AT, help="Folder with iso_*_FRONT_*.txt and iso_*_BACK_*.txt; none: a table of our own."
    ),
    click.option("--mock", "mocks", multiple=True, type=AT, help="Sources of an XML library instead of drawn ones."),
    click.option("--catalog", type=AT, help="Sources of a published catalogue (gll_psc) instead of drawn ones."),
)


@click.command("lat")
@click.argument("out", type=AT)
@click.option("--years", default=0.1, type=click.FloatRange(min=0, min_open=True), help="How long.")
@click.option("--start", "start_s", default=START_S, help="MET of the start, s.")
@click.option("--background-error", default=1.0, type=click.FloatRange(0), help="Of the diffuse light; 0: the model.")
@click.option("--density", default=1.0, type=click.FloatRange(0), help="Sources over what is expected.")
@click.option("--dispersion", is_flag=True, help="Measured energies differ from the true ones.")
@click.option("--spacecraft", type=AT, help="Point along an orbit, and write it here (FT2).")
@click.option("--overwrite", is_flag=True, help="Replace existing files.")
@click.option("--seed", default=0, type=click.IntRange(0), help="Same seed, same photons.")
def lat(out: Path, irfs: str, spacecraft: Path | None, overwrite: bool, seed: int, **given: Any) -> None:
    """Write photons of the whole sky from 300 MeV to 1 TeV: OUT (FT1, .fits), and beside it what is true of it (.h5).

    Without --spacecraft the survey is even: every direction is seen as often. With it the instrument flies, looks and
    rests like Fermi, and the FT2 file says so.

    Example: raysieve simulate lat sky.fits --years 0.1 --spacecraft pointing.fits --seed 1
    """
    require(f"{out}", (out.suffix == ".fits", "a name that ends in .fits"))
    require(f"--spacecraft {spacecraft}", (spacecraft != out, "a file of its own"))
    for name in ("years", "start_s", "background_error", "density"):
        require(f"--{name.removesuffix('_s').replace('_', '-')} {given[name]}", (isfinite(given[name]), "a number"))
    truth = out.with_suffix(".h5")
    for path in (out, truth, *([spacecraft] if spacecraft else [])):
        new_or_replaced(path, overwrite)
    given["start_s"] = given["start_s"] // ROW_S * ROW_S if spacecraft else given["start_s"]
    order = Order(**{name: given[name] for name in ("years", "start_s", "background_error", "density", "dispersion")})
    model = read_diffuse(given["iem"], given["iso"])
    made = Observation(order, instrument_of(irfs), model, seed, sources_of(**given), spacecraft is not None)
    about = json.dumps(asdict(order) | {"seed": seed, "diffuse": made.sky.diffuse.about})
    stop_s = order.start_s + order.years * YEAR_S
    with (
        Recording(out, spacecraft, (order.start_s, stop_s), about) as file,
        Progress(console=Console(stderr=True), transient=True) as progress,
    ):
        file.put_sources(made.sources, CLASSES)
        task = progress.add_task(f"simulate {out.name}", total=order.years * YEAR_S)
        for span, events in made.pieces():
            file.write(events, span.gti, int(span.start_s))
            if span.rows is not None:
                starts = rows_between(span.start_s, span.stop_s, at=0.0)
                starts["live_s"] = span.rows["live_s"]
                file.point(starts)
            progress.advance(task, STEP_S)
    told = f"{out}: {file.photons:,} photons, {len(made.sources):,} sources, {order.years:g} years"
    click.echo(f"{told}; {truth}{f'; {spacecraft}: rows of {ROW_S:g} s' if spacecraft else ''}")


for option in reversed(MODEL):
    lat = option(lat)


def sources_of(mocks: tuple[Path, ...], catalog: Path | None, **_: Any) -> np.ndarray | None:
    """Return the given sources as SOURCE rows; None: none are given."""
    parts = [read_xml(path) for path in mocks] + ([read_published(catalog)] if catalog else [])
    return np.concatenate(parts) if parts else None
