"""`raysieve analyse field`: sources, classes and diffuse light of one field, jointly."""

from pathlib import Path
from typing import Any

import click
from rich.console import Console

from analyse.field import Sampling, refine_field, show_field
from analyse.field_files import publish_field
from analyse.field_plots import plot_field
from config.errors import ConfigError
from config.extra import extra
from config.folder import folder_to_write
from config.load import load
from config.schema import Config
from stream.commands.options import configured, name_pictures
from stream.judges.catalogue import BAND_KEV, make_catalogue
from stream.messages import Product
from stream.spectra.response import Response
from stream.stages.accumulate import Accumulate
from stream.stages.classify import judge_of, seen_in
from stream.transport.ogip import read_response
from stream.transport.recalled import read_product

FILE = click.Path(path_type=Path)


@click.command()
@click.argument("events", nargs=-1, required=True, type=FILE)
@configured
@click.option("--rmf", default="", help="Response of the camera; instead of classify.rmf.")
@click.option("--arf", default="", help="Effective area, for an RMF without it; instead of classify.arf.")
@click.option("--draws", type=click.IntRange(8), help="Of each chain, one a sweep; else 1,000, thinned as needed.")
@click.option("--chains", default=4, show_default=True, type=click.IntRange(2, 64), help="That begin far apart.")
@click.option("--plot", is_flag=True, help="Also OUT/field.png: rates, classes, diffuse light, before and after.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Same seed, same posterior.")
@click.option("--out", "-o", required=True, type=FILE, help="Folder for posterior.nc and field.fits.")
def field(events: tuple[Path, ...], config_name: str, overrides: tuple[str, ...], out: Path, **options: Any) -> None:
    """Sample sources, their classes and the diffuse light of one field together, from its event lists.

    Sources are those that `raysieve catalogue` finds; every photon is theirs or that of the diffuse map, which is free
    in tiles and bands. OUT/posterior.nc holds the draws, OUT/field.fits the tables SOURCES and TILES, and the diffuse
    light with its error. Published when R-hat <= 1.01 and ESS >= 400 for every rate and normalisation; otherwise
    written as posterior_failed.nc, and the command fails.

    Example: raysieve analyse field out/events.fits -c wfi --rmf wfi.rmf --arf wfi.arf --plot --out field
    """
    more = [f"classify.{name}={options[name]}" for name in ("rmf", "arf") if options[name]]
    config = load(config_name, ["accumulate.every_s=1e12", *overrides, *more])  # one product, at the end
    response = response_of(config)
    with extra("analyse"):
        import h5netcdf  # noqa: F401
        import xarray  # noqa: F401
    judge = judge_of(config)
    images = images_of(events, config)
    seen = seen_in(images, response, config.classify.psf_fwhm_px)
    if not seen.exposure_s.any():
        raise ConfigError(f"{events[0]}: expected an exposure above 0 s, found none: nothing was observed")
    folder_to_write(out)
    found = make_catalogue(seen, config.classify.threshold_sigma)
    how = Sampling(options["seed"], options["chains"], options["draws"])
    done = refine_field(seen, found, judge, config.classify.latitude_deg, how)
    show_field(Console(highlight=False, width=110), done)
    if options["plot"]:
        plot_field(out / "field.png", seen, done)
        name_pictures([out / "field.png"])
    for path in publish_field(out, done, dict(images.header)):
        click.echo(str(path))


def response_of(config: Config) -> Response:
    """Return the response of the configuration. Raises ConfigError for none, or one without the band."""
    if not config.classify.rmf:
        raise ConfigError("classify.rmf: expected the response of the camera (--rmf), found none")
    response = read_response(config.classify.rmf, config.classify.arf or None)
    try:
        response.band(*BAND_KEV)
    except ValueError as fault:
        raise ConfigError(f"{config.classify.rmf}: {fault}") from None
    return response


def images_of(events: tuple[Path, ...], config: Config) -> Product:
    """Return the product "images" of all event lists together. Raises ConfigError for lists that hold none."""
    stage = Accumulate(config)
    for number, path in enumerate(events):
        list(stage.process(read_product(path, number, ".")))
    given = [one for one in stage.flush() if isinstance(one, Product)]
    if not given:
        raise ConfigError(f"{events[0]}: expected an event list with an exposure")
    return given[-1]
