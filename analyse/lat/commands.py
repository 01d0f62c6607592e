"""`raysieve analyse lat`: one source of the gamma-ray sky by likelihood, with its region."""

from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.console import Console

from analyse.lat.bands import YEARLY, Curve, by_band, by_year
from analyse.lat.fit import Part
from analyse.lat.inputs import Seen, aimed, find_around, open_sky, parts_of_catalogue, parts_of_search, place_of
from analyse.lat.plots import largest, plot
from analyse.lat.posterior import publish, sample
from analyse.lat.region import Optics, Region, region_of
from analyse.lat.report import Told, describe, describe_posterior, notes_of, show, show_posterior
from analyse.lat.source import Analysis, analyse_source
from analyse.lat.spectra import KINDS
from analyse.plots import plot_corner
from analyse.posterior import FAILED, GOOD
from analyse.source import write_report
from config.extra import extra
from config.folder import folder_to_write
from stream.commands.options import name_pictures
from stream.errors import ConfigError
from stream.lat.catalogue import Catalogue
from stream.lat.cube import MISSION, WINDOWS
from stream.lat.instrument import Instrument
from stream.lat.patch import LAT, Patch, cut
from stream.lat.psf import profiles_of
from stream.lat.scene import scene_of
from stream.lat.sky import Expected, expect
from stream.lat.smear import smearing
from stream.lat.whole import Survey
from stream.transport.fitsfile import disk_faults
from stream.transport.lat_catalogue import read_catalogue
from stream.transport.lat_diffuse import read_diffuse
from stream.transport.lat_response import instrument_of

FILE = click.Path(path_type=Path)
REPORT, PICTURE, CORNER = "lat.json", "lat.png", "posterior.png"
Place = tuple[float, float]


@click.command()
@click.argument("sky", nargs=-1, required=True, type=FILE)
@click.option("--at", nargs=2, type=float, help="Galactic longitude and latitude, degrees.")
@click.option("--source", "name", default="", help="Name of a source of the catalogue instead.")
@click.option("--catalogue", type=FILE, help="Sources of the region (gll_psc_v*.fit); else those that are found.")
@click.option("--irfs", default="", help="Folder with the mission's responses; else a coarse table of our own.")
@click.option("--iem", type=FILE, help="Interstellar emission (gll_iem_v07.fits); else a stand-in for simulated skies.")
@click.option("--iso", type=FILE, help="Folder with iso_*_FRONT_*.txt and iso_*_BACK_*.txt; else a stand-in.")
@click.option("--window", type=click.Choice([*WINDOWS, MISSION]), default=MISSION, show_default=True)
@click.option("--exposure", type=click.Choice(["pointing", "survey"]), default="pointing", show_default=True)
@click.option("--model", type=click.Choice([*KINDS, "all"]), default="all", show_default=True, help="Of the spectrum.")
@click.option("--unweighted", is_flag=True, help="Trust the diffuse model: no weights of 4FGL's kind.")
@click.option("--sampler", type=click.Choice(["none", "emcee"]), default="none", show_default=True)
@click.option("--steps", type=click.IntRange(1), help="Of each walker; else as many as needed.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Same seed, same posterior.")
@click.option(
    "--plot", "drawn", is_flag=True, help="Also OUT/lat.png: spectrum, years, counts, residuals; OUT/posterior.png."
)
@click.option("--out", required=True, type=FILE, help="Folder for lat.json, posterior.nc and the pictures.")
def lat(sky: tuple[Path, ...], at: Place | None, name: str, out: Path, **given: Any) -> None:
    """Fit one source of the gamma-ray sky with its region: TS, place, spectrum, bands, years, limits.

    SKY is what `raysieve process` leaves (OUT, OUT/sky/counted.h5, OUT/sky/mission.fits), or photons: FT1 with FT2, a
    recording. Sources within 3 degrees and the diffuse light of each band are fitted with it. A source with TS < 9 gets
    a 95 % limit. The posterior of --sampler is published as that of `analyse source`: R-hat <= 1.01, ESS >= 400.

    Example: raysieve analyse lat out --source "4FGL J1104.4+3812" --catalogue gll_psc_v27.fit --irfs irfs --out mkn421
    """
    catalogue, place = _aim(at, name, given["catalogue"])
    if given["sampler"] != "none":
        with extra("analyse"):
            import emcee  # noqa: F401
            import h5netcdf  # noqa: F401
            import xarray  # noqa: F401
    instrument = instrument_of(given["irfs"])
    diffuse = read_diffuse(given["iem"], given["iso"])
    seen = open_sky(sky, given["window"], given["exposure"], instrument)
    patch = _patch(seen, place)
    folder_to_write(out)
    profiles = profiles_of(instrument, LAT.blur_deg)
    expected = expect(diffuse, seen.exposure, smearing(diffuse, profiles))
    survey = Survey(expected, seen.exposure, profiles)
    scene = scene_of(patch, expected.on(patch), seen.exposure, profiles)
    region = region_of(scene, Optics.of(instrument), seen.exposure, not given["unweighted"])
    parts = _parts(catalogue, survey, seen, place)
    own, others = aimed(parts, seen.exposure, place, name)
    kinds = tuple(KINDS) if given["model"] == "all" else (given["model"],)
    analysis = analyse_source(region, own, others, kinds)
    about = {"diffuse": diffuse.about, "responses": instrument.about, "weighted": not given["unweighted"]}
    about["sources"] = catalogue.title if catalogue else "found on the patch"
    _tell(out, analysis, _years(analysis, seen, expected, instrument), about | _about(seen, region), given)


def _aim(at: Place | None, name: str, path: Path | None) -> tuple[Catalogue | None, Place]:
    """Return the catalogue, if there is one, and the place. Raises ConfigError."""
    if bool(at) == bool(name):
        raise ConfigError("expected a place (--at L B) or a name (--source), one of them")
    if name and path is None:
        raise ConfigError("--source: expected a catalogue that has the name (--catalogue)")
    catalogue = read_catalogue(path) if path is not None else None
    if at is None:
        assert catalogue is not None
        return catalogue, place_of(name, catalogue)
    if not (np.all(np.isfinite(at)) and -360 <= at[0] <= 360 and -90 <= at[1] <= 90):
        raise ConfigError(f"--at {at[0]:g} {at[1]:g}: expected longitude -360 to 360 and latitude -90 to 90, degrees")
    return catalogue, (at[0] % 360, at[1])


def _patch(seen: Seen, place: Place) -> Patch:
    """Return the patch around a place. Raises ConfigError where nothing was seen."""
    where = f"window {seen.window}: l {place[0]:g} b {place[1]:g}"
    if not seen.exposure.at(*place)[:, 2:].min() > 0:
        raise ConfigError(f"{where}: no exposure there")
    patch = cut(seen.maps, *place)
    if not patch.counts.sum() > 0:
        raise ConfigError(f"{where}: no photons within 8 degrees")
    return patch


def _parts(catalogue: Catalogue | None, survey: Survey, seen: Seen, place: Place) -> list[Part]:
    if catalogue is not None:
        return parts_of_catalogue(catalogue, seen.exposure, place)
    return parts_of_search(find_around(survey, seen.maps, place), seen.exposure, place)


def _years(analysis: Analysis, seen: Seen, expected: Expected, instrument: Instrument) -> Curve | None:
    if len(seen.years) < 2:
        return None
    optics = Optics.of(instrument, YEARLY, together=True)
    return by_year(analysis.best, seen.years, seen.good_s, expected, optics)


def _about(seen: Seen, region: Region) -> dict[str, Any]:
    return {
        "window": seen.window,
        "start_met_s": seen.start_s,
        "stop_met_s": seen.stop_s,
        "exposure": seen.exposure.about,
        "photons": int(region.patch.counts.sum()),
    }


def _tell(out: Path, analysis: Analysis, curve: Curve | None, about: dict[str, Any], given: dict[str, Any]) -> None:
    console, bands = Console(highlight=False, width=120), by_band(analysis.best)
    told = Told(analysis, bands, curve, about, notes_of(analysis, largest(analysis.best)))
    report = describe(told)
    show(console, report)
    for stale in (GOOD, FAILED, CORNER, PICTURE):  # of an earlier run: not of this fit
        with disk_faults(out / stale):
            (out / stale).unlink(missing_ok=True)
    write_report(out / REPORT, report)
    if given["drawn"]:
        plot(out / PICTURE, analysis, bands, curve)
        name_pictures([out / PICTURE])
    if given["sampler"] == "none":
        return
    if analysis.limit is not None:
        raise ConfigError(f"{report['source']}: TS {analysis.ts:.1f}: nothing to sample; expected at least 9")
    density, draws = sample(analysis.best, given["seed"], given["steps"])
    report["posterior"] = describe_posterior(density, draws, given["seed"])
    show_posterior(console, report["posterior"])
    write_report(out / REPORT, report)
    best = density.prior.start[: density.first_norm]
    values = draws.variables[..., : density.first_norm].reshape(-1, len(best))
    title = f"{report['source']}, {draws.sampler}; lines: the fit; x, y in degrees, flux in 1e-10"
    if given["drawn"]:
        plot_corner(out / CORNER, density.prior.names[: len(best)], values, best, title)
        name_pictures([out / CORNER])
    publish(out, density, draws, {"seed": given["seed"], "source": report["source"], "model": analysis.kind})
