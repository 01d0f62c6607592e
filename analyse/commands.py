"""`raysieve analyse`: what may take longer than the stream has."""

from pathlib import Path
from typing import Any

import click
from rich.console import Console

from analyse.corona.commands import corona
from analyse.corona.population_commands import corona_population
from analyse.crosscal.commands import crosscal
from analyse.ensemble import sample_ensemble
from analyse.field_commands import field
from analyse.lat.commands import lat
from analyse.nuts import sample_nuts
from analyse.plots import plot_fit, plot_posterior
from analyse.posterior import FAILED, GOOD, edges, publish
from analyse.priors import Priors
from analyse.source import (
    build_model,
    describe,
    describe_posterior,
    fit_source,
    show_fit,
    show_posterior,
    write_report,
)
from config.errors import ConfigError
from config.extra import extra
from config.folder import folder_to_write
from stream.commands.options import name_pictures
from stream.spectra.fit import Fit
from stream.transport.ogip import read_observation
from stream.transport.pimms import read_plasma

FILE = click.Path(path_type=Path)
FIT, CORNER = "fit.png", "posterior.png"


@click.group()
def analyse() -> None:
    """Analyse sources one by one, all of a field, a stellar corona, two telescopes, or a gamma-ray region.

    Samplers need the analyse extra: pip install -e '.[analyse]'.

    Example: raysieve analyse source source.pha --model "tbabs*powerlaw" --sampler emcee --out source
    """


analyse.add_command(corona)
analyse.add_command(corona_population)
analyse.add_command(crosscal)
analyse.add_command(field)
analyse.add_command(lat)


@analyse.command()
@click.argument("pha", type=FILE)
@click.option("--rmf", type=FILE, help="Redistribution; else the RESPFILE of the spectrum.")
@click.option("--arf", type=FILE, help="Effective area; else its ANCRFILE.")
@click.option("--background", type=FILE, help="Spectrum of the background; else its BACKFILE.")
@click.option("--model", "text", default="tbabs*powerlaw", show_default=True, help="XSPEC names, joined by + and *.")
@click.option("--band", nargs=2, type=float, default=(0.5, 8.0), show_default=True, help="keV, by EBOUNDS.")
@click.option("--statistic", type=click.Choice(["auto", "cstat", "wstat"]), default="auto", show_default=True)
@click.option("--plasma", type=FILE, help="Folder of APEC's spectra as PIMMS has them; else apec is the shipped table.")
@click.option("--set", "values", multiple=True, metavar="NAME=VALUE", help="Where a parameter begins.")
@click.option("--freeze", "frozen", multiple=True, metavar="NAME", help="A parameter that stays where it begins.")
@click.option("--thaw", "thawed", multiple=True, metavar="NAME", help="One that is frozen unless told: apec.Abundanc.")
@click.option("--limits", multiple=True, metavar="NAME=LOW:HIGH", help="Of a parameter: of the fit and of its prior.")
@click.option("--sampler", type=click.Choice(["none", "emcee", "nuts"]), default="none", show_default=True)
@click.option("--steps", type=click.IntRange(1), help="Of each walker, or draws of each chain; else as many as needed.")
@click.option("--profile", "profiles", is_flag=True, help="90 % intervals by the profile of the likelihood.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Same seed, same posterior.")
@click.option("--plot", "drawn", is_flag=True, help="Also OUT/fit.png; OUT/posterior.png of a posterior.")
@click.option("--out", required=True, type=FILE, help="Folder for fit.json, posterior.nc and the pictures.")
def source(pha: Path, band: tuple[float, float], out: Path, **options: Any) -> None:
    """Fit a spectrum, and sample the posterior of its parameters if asked.

    A posterior is published when R-hat <= 1.01, ESS >= 400 for each parameter and no draw diverged; otherwise it is
    written as posterior_failed.nc and the command fails. Priors are flat between the limits; log-flat for a lone norm,
    and for norm and nH whose lower limit is above 0.

    One spectrum of several in a file (PHA of type II) is named as in XSPEC: file.pha{3}.

    Example: raysieve analyse source source.pha --model "tbabs*apec" --band 0.5 7 --sampler nuts --plot --out source
    """
    console = Console()
    plasma = read_plasma(options["plasma"]) if options["plasma"] else None
    values, limits = _pairs(options["values"]), _pairs(options["limits"], limits=True)
    model = build_model(options["text"], values, (options["frozen"], options["thawed"]), limits, plasma)
    spectrum, response = read_observation(pha, options["rmf"], options["arf"], options["background"])
    if options["sampler"] != "none":
        _require(options["sampler"])
    folder_to_write(out)
    fit = fit_source(model, spectrum, response, band, options["statistic"])
    report = describe(fit, band, options["profiles"])
    show_fit(console, report)
    if not response.has_area:
        console.print("note: no area (--arf): norms and fluxes are those of 1 cm2, and slopes are the area's, too")
    write_report(out / "fit.json", report)
    ends = edges(fit, response)
    for name in (GOOD, FAILED, FIT, CORNER):  # of an earlier run: not of this fit
        (out / name).unlink(missing_ok=True)
    if options["drawn"]:
        plot_fit(out / FIT, fit, ends)
        name_pictures([out / FIT])
    if options["sampler"] != "none":
        _sample(console, out, fit, ends, report, options)


def _sample(console: Console, out: Path, fit: Fit, ends: Any, report: dict[str, Any], options: dict[str, Any]) -> None:
    priors, seed = Priors.of(fit), options["seed"]
    sample = {"emcee": sample_ensemble, "nuts": sample_nuts}[options["sampler"]]
    draws = sample(fit, priors, seed, options["steps"])
    report["posterior"] = describe_posterior(priors, draws, seed)
    show_posterior(console, report["posterior"])
    write_report(out / "fit.json", report)
    if options["drawn"]:
        plot_posterior(out / CORNER, priors, draws, fit)
        name_pictures([out / CORNER])
    publish(out, (fit, ends), priors, draws, seed)


def _require(sampler: str) -> None:
    """Refuse before the work when a package is missing."""
    with extra("analyse"):
        import h5netcdf  # noqa: F401
        import xarray  # noqa: F401

        if sampler == "emcee":
            import emcee  # noqa: F401
        else:
            import numpyro  # noqa: F401


def _pairs(given: tuple[str, ...], limits: bool = False) -> dict[str, Any]:
    """Return {name: value} or {name: (low, high)} of NAME=... texts. Raises ConfigError."""
    wanted = "NAME=LOW:HIGH" if limits else "NAME=VALUE"
    found: dict[str, Any] = {}
    for text in given:
        name, _, right = text.partition("=")
        try:
            numbers = [float(part) for part in right.split(":")]
        except ValueError:
            numbers = []
        if len(numbers) != 1 + limits or (limits and not numbers[0] < numbers[1]):
            raise ConfigError(f"{text!r}: expected {wanted}")
        found[name] = tuple(numbers) if limits else numbers[0]
    return found
