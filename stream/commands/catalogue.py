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
from stream.transport.eventlist import read_event_list
from stream.transport.ogip import read_response
from stream.transport.products import Products
from stream.wiring import ASIDE, build

NEEDED = ("LIVE_NS", "FRAME_NS", "NQUADS")
SHOWN = 20


@click.command()
@click.argument("lists", nargs=-1, required=True, type=click.Path(path_type=Path))
@configured
@click.option("--rmf", default="", help="Response of the camera; instead of classify.rmf.")
@click.option("--arf", default="", help="Effective area, for an RMF without it; instead of classify.arf.")
@click.option("--diffuse", is_flag=True, help="Also a map of the light between the sources; as classify.diffuse.")
@click.option("--out", "-o", required=True, type=click.Path(path_type=Path), help="Folder for the products.")
def catalogue(
    lists: tuple[Path, ...],
    config_name: str,
    overrides: tuple[str, ...],
    rmf: str,
    arf: str,
    diffuse: bool,
    out: Path,
) -> None:
    """Find the sources in the event lists of one observation, measure, fit and classify them.

    OUT/images.fits (counts by band, exposure), lightcurve.fits, sources.fits, spectra/source_N.pha, diffuse.fits.
    Without a response only images and the light curve. Event lists are those of `raysieve run`, `process` and
    `simulate sources`.

    Example: raysieve catalogue out/events.fits --config wfi --rmf wfi.rmf --arf wfi.arf --out out
    """
    more = [*([f"classify.rmf={rmf}"] if rmf else []), *([f"classify.arf={arf}"] if arf else [])]
    more += ["classify.diffuse=true"] if diffuse else []
    config = load(config_name, ["accumulate.every_s=1e12", *overrides, *more])  # one product, at the end
    response = read_response(config.classify.rmf, config.classify.arf or None) if config.classify.rmf else None
    stages = [build(row.stage, config, None, response) for row in ASIDE]
    for stage in stages:
        if about := getattr(stage, "about", None):
            click.echo(told(stage.name, about), err=True)
    sink, given = Products(out), []
    for number, path in enumerate(lists):
        given += [one for one in stages[0].process(_product(path, number)) if isinstance(one, Product)]
    given += [one for one in stages[0].flush() if isinstance(one, Product)]
    for images in given:
        for product in stages[1].process(images):
            sink.send(product)
            if isinstance(product, Product) and product.kind == "sources":
                Console(highlight=False, width=110).print(table_of(product))
    if sink.counters:
        raise ConfigError(f"{out}: {sink.counters['not_written']} products could not be written")
    for path in sorted(out.glob("*.fits")):
        click.echo(str(path))


def _product(path: Path, number: int) -> Product:
    """Return a finished event list as the recorder gave it."""
    tables, header = read_event_list(path)
    missing = [key for key in NEEDED if key not in header] + [n for n in ("GTI",) if n not in tables]
    missing += [name for name in ("DETX", "DETY", "ENERGY") if name not in (tables["EVENTS"].dtype.names or ())]
    if missing:
        raise ConfigError(f"{path}: expected an event list of raysieve; it has no {', '.join(missing)}")
    cards: dict[str, Any] = {key: value for key, value in header.items() if isinstance(value, str | int | float)}
    time_ns = int(cards.get("TSTARTNS", 0))
    kept: dict[str, Any] = {name: tables[name] for name in ("EVENTS", "GTI", "BADPIX") if name in tables}
    return Product(
        stream=str(cards.get("STREAM", "")),
        kind="events",
        sequence=number,
        time_ns=time_ns,
        header=cards | {"INTERVAL": number, "FOLDER": "."},
        tables=kept,
    )


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
