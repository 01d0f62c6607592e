"""`raysieve catalogue`: the X-ray sources in finished event lists, by the stages of the daemon."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np
from astropy.io import fits
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from config.folder import folder_to_write
from config.load import load
from stream.commands.options import configured, told
from stream.errors import ConfigError, LinkError
from stream.imaging.repeats import times_repeated
from stream.messages import Product
from stream.transport.foreign.sky_list import read_sky_list
from stream.transport.ogip import read_response
from stream.transport.products import Products
from stream.transport.recalled import is_ours, read_product
from stream.transport.regions import read_regions
from stream.wiring import ASIDE, build

SHOWN = 20
PRODUCTS = ("images.fits", "lightcurve.fits", "sources.fits", "diffuse.fits")
CHIPS = ("CHANDRA", "SUZAKU")  # whose lists `raysieve convert` makes frames of chips of
UNITS = (
    "sigma: significance",
    "log flux: log10 of erg cm-2 s-1, absorbed, 0.5-8 keV",
    "index: of the power law",
    "log nH: log10 of 1e22 cm-2",
)


@click.command()
@click.argument("lists", nargs=-1, required=True, type=click.Path(path_type=Path))
@configured
@click.option("--rmf", default="", help="Response of the camera; instead of classify.rmf.")
@click.option("--arf", default="", help="Effective area, for an RMF without it; instead of classify.arf.")
@click.option("--diffuse", is_flag=True, help="Also a map of the light between the sources; as classify.diffuse.")
@click.option("--regions", default="", help="DS9 file: spectra of these, too; as classify.regions.")
@click.option("--sky-bin", type=click.IntRange(1), help="Pixels of X, Y along one of the image; default: the least.")
@click.option("--out", "-o", required=True, type=click.Path(path_type=Path), help="Folder for the products.")
@click.option("--overwrite", is_flag=True, help="Replace the products of an earlier run.")
def catalogue(
    lists: tuple[Path, ...], config_name: str, overrides: tuple[str, ...], sky_bin: int | None, out: Path,
    overwrite: bool, **named: Any,
) -> None:  # fmt: skip
    """Find the sources in the event lists of one observation, measure, fit and classify them.

    OUT/images.fits (counts by band, exposure), lightcurve.fits, sources.fits, spectra/source_N.pha, diffuse.fits.
    Without a response only images and the light curve; without an area neither fits nor fluxes. Event lists are those
    of `raysieve run`, `process` and `simulate sources`; or one of another mission with X and Y or DETX and DETY, TIME,
    and ENERGY (eV), PI or PHA: its exposure counts as even, and the pixels are those of its columns
    (classify.psf_fwhm_px, --sky-bin).

    Example: raysieve catalogue out/events.fits --config wfi --rmf wfi.rmf --arf wfi.arf --out out
    """
    old = [path for name in PRODUCTS if (path := out / name).exists()]
    if old and not overwrite:
        raise ConfigError(f"{old[0]}: exists; --overwrite replaces it")
    folder_to_write(out)
    more = [f"classify.{key}={str(value).lower() if value is True else value}" for key, value in named.items() if value]
    config = load(config_name, ["accumulate.every_s=1e12", *overrides, *more])  # one product, at the end
    response = read_response(config.classify.rmf, config.classify.arf or None) if config.classify.rmf else None
    known = read_regions(Path(config.classify.regions)) if config.classify.regions else None
    stages = [build(row.stage, config, None, response, known) for row in ASIDE]
    for stage in stages:
        if about := getattr(stage, "about", None):
            click.echo(told(stage.name, about), err=True)
    sink, given, notes = Products(out), [], dict[str, None]()
    for number, path in enumerate(lists):
        if is_ours(path):
            product = read_product(path, number, ".")
        elif len(lists) == 1:
            product = read_sky_list(path, number, response, sky_bin)
        else:
            raise ConfigError(f"{path}: a list of another mission: expected it alone, their sky pixels differ")
        notes |= dict.fromkeys(notes_of(product, config.classify.psf_fwhm_px))
        given += [one for one in stages[0].process(product) if isinstance(one, Product)]
    given += [one for one in stages[0].flush() if isinstance(one, Product)]
    for path in old:
        path.unlink()
    for images in given:
        for made in stages[1].process(images):
            sink.send(made)
            if sink.refused:
                raise LinkError(sink.refused)
            if isinstance(made, Product) and made.kind == "sources":
                tell(made, out)
                _check_regions(made, config.classify.regions)
    for note in notes:
        click.echo(f"note: {note}")
    for path in sorted(out.glob("*.fits")):
        click.echo(str(path))


def notes_of(product: Product, psf_fwhm_px: float) -> list[str]:
    """Return what a reader of the catalogue of an event list has to know, a line each."""
    header, notes = product.header, []
    if (times := times_repeated(product.tables["EVENTS"])) > 1:
        notes.append(
            f"the list holds the same frames {times} times (replay --loop): every photon comes {times} times, at one "
            "place; what is found are no sources"
        )
    if "SKY_BIN" in header:
        wide = f"{header['Q00NX']} x {header['Q00NY']} pixels"
        notes.append(
            f"an image of {wide}, each {header['SKY_BIN']} x {header['SKY_BIN']} of the list's (--sky-bin); the PSF "
            f"counts as {psf_fwhm_px:g} of them wide (classify.psf_fwhm_px)"
        )
    elif header.get("TELESCOP") in CHIPS:
        notes.append("chip coordinates, no aspect: for sources give the mission's own list (evt2) with X and Y")
    return notes


def _check_regions(made: Product, file: str) -> None:
    for row in made.tables.get("REGIONS", ()):
        if not row["BACKSCAL"]:
            raise ConfigError(f"{file}: {row['NAME']}: no pixel with exposure; expected a region on the image")


def tell(made: Product, out: Path) -> None:
    """Print the sources as they were written, with places on the sky where these are known, and the units."""
    with fits.open(out / "sources.fits") as hdus:
        rows = np.array(hdus["SOURCES"].data)
    on_sky = "RA" in (rows.dtype.names or ())
    console = Console(highlight=False, width=130 if on_sky else 110)
    console.print(table_of(rows, made.header))
    known = ["P: of the class, or of being in none (outlier)", "score: 100 to 110, rises with P"]
    pixels = "pixels of the image; RA, DEC: deg" if on_sky else "pixels of the camera"
    units = [f"X, Y: {pixels}", *UNITS, *(known if "CLASS" in (rows.dtype.names or ()) else ())]
    console.print("; ".join(units))


def table_of(rows: NDArray[Any], header: Mapping[str, Any]) -> Table:
    """Return the brightest of SOURCES as a table."""
    columns = rows.dtype.names or ()
    sky = [name for name in ("RA", "DEC") if name in columns]
    names = ["ID", "X", "Y", *sky, "net counts", "sigma", "log flux", "index", "log nH"]
    names += ["class", "P", "score"] if "CLASS" in columns else []
    table = Table(
        box=None, pad_edge=False, title=f"{len(rows)} source{'s' * (len(rows) != 1)}, {header['EXPOSURE']:.0f} s"
    )
    for name in names:
        table.add_column(name, justify="right")
    for row in rows[:SHOWN]:
        judged: tuple[str, ...] = ()
        if "CLASS" in columns:
            p, outlier = row["P"].max(), row["P_OUTLIER"]
            name = "outlier" if outlier > p else str(header.get(f"CLASS{row['CLASS']}"))
            judged = (name, f"{max(p, outlier):.2f}", f"{row['HYPERSCORE']:.1f}")
        fitted = (f"{row[name]:.2f}".replace("nan", "-") for name in ("LOG_FLUX", "PHOTON_INDEX", "LOG_NH"))
        place = (str(row["ID"]), f"{row['X']:.1f}", f"{row['Y']:.1f}", *(f"{row[name]:.5f}" for name in sky))
        table.add_row(*place, f"{row['NET_COUNTS']:.0f}", f"{row['SIGNIFICANCE']:.1f}", *fitted, *judged)
    return table
