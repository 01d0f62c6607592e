"""`raysieve analyse corona`: the spectrum of one star's corona, line by line and as an emission measure."""

from pathlib import Path
from typing import Any, Final

import click
from rich.console import Console

from analyse.corona.dem_plots import plot_dem, plot_spectrum
from analyse.corona.dem_posterior import publish, sample_dem
from analyse.corona.dem_report import describe, describe_posterior, show
from analyse.corona.star import Analysis, Plan, analyse_fluxes, analyse_spectrum
from analyse.posterior import FAILED, GOOD
from analyse.source import write_report
from config.extra import extra
from stream.commands.options import name_pictures
from stream.corona.fluxes import Fluxes
from stream.errors import ConfigError
from stream.transport.corona_spectra import read_corona, spectra_in
from stream.transport.fitsfile import disk_faults

FILE = click.Path(path_type=Path)
REPORT, SPECTRUM, DEM = "corona.json", "spectrum.png", "dem.png"
DENSITIES: Final = (7.0, 14.0)


@click.command()
@click.argument("spectrum", type=FILE)
@click.option("--rmf", type=FILE, help="Redistribution of an OGIP spectrum; else its RESPFILE.")
@click.option("--arf", type=FILE, help="Effective area of it, or of a table without one.")
@click.option("--fwhm", "fwhm_a", type=click.FloatRange(0, min_open=True), help="Of a narrow line, A, for tables.")
@click.option(
    "--exposure", "exposure_s", type=click.FloatRange(0, min_open=True), help="Seconds, where not in the file."
)
@click.option("--band", "band_a", nargs=2, type=float, help="Wavelengths, A.")
@click.option("--join", default=1, show_default=True, type=click.IntRange(1), help="So many bins to one.")
@click.option(
    "--use", type=click.Choice(["lines", "spectrum"]), help="What the DEM is made from; lines if there are any."
)
@click.option("--log-n", type=click.FloatRange(*DENSITIES), help="log10 of electrons cm-3 of the DEM; else 10.5.")
@click.option("--free-density", "free_n", is_flag=True, help="Density by the evidence, with the lines that tell it.")
@click.option(
    "--fix",
    "fixed",
    multiple=True,
    metavar="ELEMENT",
    help="Keeps the table's abundance: fe. Else the one with most lines.",
)
@click.option("--smoothness", type=click.FloatRange(0, min_open=True), help="Of the DEM; else by the evidence.")
@click.option(
    "--distance", "distance_pc", type=click.FloatRange(0, min_open=True), help="pc: emission measure in cm-3."
)
@click.option("--sampler", type=click.Choice(["none", "emcee"]), default="none", show_default=True)
@click.option("--steps", type=click.IntRange(1), help="Of each walker; else as many as needed.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Same seed, same posterior.")
@click.option("--plot", "drawn", is_flag=True, help="Also spectrum.png and dem.png.")
@click.option("--out", required=True, type=FILE, help="Folder for corona.json, posterior.nc and pictures.")
def corona(spectrum: Path, out: Path, **given: Any) -> None:
    """Measure the lines of a stellar corona and invert them to its emission measure by temperature (DEM).

    SPECTRUM is OGIP (of a grating or a camera, with RMF and ARF), a table (FITS or ECSV: wavelength_a or lo_a and
    hi_a, counts, area_cm2), one of a set of `raysieve simulate corona` (set.h5{7}), or an IDL save file with a spectrum
    or with line fluxes and emissivities. What does not fit the model or its range is flagged in the report.

    The DEM is as smooth in log T as the evidence says; abundances of all elements with lines are free but one's. A
    posterior is published when R-hat <= 1.01, ESS >= 400 for each told variable and no draw diverged.

    Example: raysieve analyse corona demo_v711Tau.save --band 1.7 26 --sampler emcee --plot --out hr1099
    """
    if given["sampler"] != "none":
        with extra("analyse"):
            import emcee  # noqa: F401
            import h5netcdf  # noqa: F401
            import xarray  # noqa: F401
    read = read_corona(spectrum, given["rmf"], given["arf"], given["fwhm_a"], given["exposure_s"])
    if (spectra := spectra_in(spectrum)) > 1:
        click.echo(f"{spectrum}: spectrum 0 of {spectra}; another one: {spectrum.name}{{{spectra - 1}}}")
    keys = ("band_a", "join", "log_n", "free_n", "smoothness")
    plan = Plan(given["use"] or "auto", fixed=tuple(e.lower() for e in given["fixed"]), **{k: given[k] for k in keys})
    found = analyse_fluxes(read, plan) if isinstance(read, Fluxes) else analyse_spectrum(read, plan)
    with disk_faults(out):
        out.mkdir(parents=True, exist_ok=True)
    for stale in (GOOD, FAILED, SPECTRUM, DEM):  # of an earlier run: not of this spectrum
        with disk_faults(out / stale):
            (out / stale).unlink(missing_ok=True)
    _tell(out, found, given)


def _tell(out: Path, found: Analysis, given: dict[str, Any]) -> None:
    console, report = Console(highlight=False, width=120), describe(found, given["distance_pc"])
    show(console, report)
    write_report(out / REPORT, report)
    if given["drawn"] and not isinstance(found.observed, Fluxes):
        plot_spectrum(out / SPECTRUM, found)
        name_pictures([out / SPECTRUM])
    if found.dem is None:
        if given["sampler"] != "none":
            raise ConfigError(f"{report['spectrum']}: {report['flags'][0]}: nothing to sample")
        return
    draws = None if given["sampler"] == "none" else sample_dem(found.dem, given["seed"], given["steps"])
    if draws is not None:
        report["posterior"] = describe_posterior(found, draws, given["seed"])
        write_report(out / REPORT, report)
    if given["drawn"]:
        plot_dem(out / DEM, found, draws)
        name_pictures([out / DEM])
    if draws is not None:
        about = {"seed": given["seed"], "spectrum": report["spectrum"], "smoothness": found.dem.smoothness}
        publish(out, found.dem, draws, about)
