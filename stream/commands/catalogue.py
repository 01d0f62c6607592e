"""`raysieve catalogue`: the X-ray sources in finished event lists, by the stages of the daemon."""

from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from config.load import load
from stream.commands.options import configured, told
from stream.errors import ConfigError
from stream.messages import Product
from stream.transport.foreign.sky_list import read_sky_list
from stream.transport.ogip import read_response
from stream.transport.products import Products
from stream.transport.recalled import is_ours, read_product
from stream.transport.regions import read_regions
from stream.wiring import ASIDE, build

SHOWN = 20


@click.command()
@click.argument("lists", nargs=-1, required=True, type=click.Path(path_type=Path))
@configured
@click.option("--rmf", default="", help="Response of the camera; instead of classify.rmf.")
@click.option("--arf", default="", help="Effective area, for an RMF without it; instead of classify.arf.")
@click.option("--diffuse", is_flag=True, help="Also a map of the light between the sources; as classify.diffuse.")
@click.option("--regions", default="", help="DS9 file: spectra of these, too; as classify.regions.")
@click.option("--sky-bin", default=1, type=click.IntRange(1), help="Pixels along one of the image, for X and Y.")
@click.option("--out", "-o", required=True, type=click.Path(path_type=Path), help="Folder for the products.")
def catalogue(
    lists: tuple[Path, ...], config_name: str, overrides: tuple[str, ...], sky_bin: int, out: Path, **named: Any
) -> None:
    """Find the sources in the event lists of one observation, measure, fit and classify them.

    OUT/images.fits (counts by band, exposure), lightcurve.fits, sources.fits, spectra/source_N.pha, diffuse.fits.
    Without a response only images and the light curve. Event lists are those of `raysieve run`, `process` and
    `simulate sources`; or one of another mission with X and Y or DETX and DETY, TIME, and ENERGY (eV), PI or PHA: its
    exposure counts as even, and the pixels are those of its columns (classify.psf_fwhm_px, --sky-bin).

    Example: raysieve catalogue out/events.fits --config wfi --rmf wfi.rmf --arf wfi.arf --out out
    """
    more = [f"classify.{key}={str(value).lower() if value is True else value}" for key, value in named.items() if value]
    config = load(config_name, ["accumulate.every_s=1e12", *overrides, *more])  # one product, at the end
    response = read_response(config.classify.rmf, config.classify.arf or None) if config.classify.rmf else None
    known = read_regions(Path(config.classify.regions)) if config.classify.regions else None
    stages = [build(row.stage, config, None, response, known) for row in ASIDE]
    for stage in stages:
        if about := getattr(stage, "about", None):
            click.echo(told(stage.name, about), err=True)
    sink, given = Products(out), []
    for number, path in enumerate(lists):
        if is_ours(path):
            product = read_product(path, number, ".")
        elif len(lists) == 1:
            product = read_sky_list(path, number, response, sky_bin)
        else:
            raise ConfigError(f"{path}: a list of another mission: expected it alone, their sky pixels differ")
        given += [one for one in stages[0].process(product) if isinstance(one, Product)]
    given += [one for one in stages[0].flush() if isinstance(one, Product)]
    for images in given:
        for made in stages[1].process(images):
            sink.send(made)
            if isinstance(made, Product) and made.kind == "sources":
                Console(highlight=False, width=110).print(table_of(made))
                for row in made.tables.get("REGIONS", ()):
                    if not row["BACKSCAL"]:
                        where = f"{config.classify.regions}: {row['NAME']}"
                        raise ConfigError(f"{where}: no pixel with exposure; expected a region on the image")
    if sink.counters:
        raise ConfigError(f"{out}: {sink.counters['not_written']} products could not be written")
    for path in sorted(out.glob("*.fits")):
        click.echo(str(path))


def table_of(product: Product) -> Table:
    """Return the brightest sources as a table."""
    rows, classes = product.tables["SOURCES"], [product.header.get(f"CLASS{k}") for k in range(32)]
    names = ("ID", "X", "Y", "net counts", "sigma", "log flux", "index", "log nH", "class", "P", "score")
    has = "CLASS" in (rows.dtype.names or ())
    table = Table(box=None, pad_edge=False, title=f"{len(rows)} sources, {product.header['EXPOSURE']:.0f} s")
    for name in names:
        table.add_column(name, justify="right")
    for row in rows[:SHOWN]:
        judged = ("", "", "")
        if has:
            judged = (str(classes[row["CLASS"]]), f"{row['P'].max():.2f}", f"{row['HYPERSCORE']:.1f}")
        fitted = (f"{row[name]:.2f}".replace("nan", "-") for name in ("LOG_FLUX", "PHOTON_INDEX", "LOG_NH"))
        place = (str(row["ID"]), f"{row['X']:.1f}", f"{row['Y']:.1f}", f"{row['NET_COUNTS']:.0f}")
        table.add_row(*place, f"{row['SIGNIFICANCE']:.1f}", *fitted, *judged)
    return table
