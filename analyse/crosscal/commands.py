"""`raysieve analyse crosscal`: the correction of an effective area from clusters that two telescopes saw."""

from pathlib import Path
from typing import Any, Final

import click
import numpy as np
from rich.console import Console

from analyse.crosscal.identify import ENERGIES_KEV
from analyse.crosscal.law import Law
from analyse.crosscal.plots import AREA, CORNER, HELD_OUT, TEMPERATURES, plot_study
from analyse.crosscal.report import describe, publish, show, write_clusters
from analyse.crosscal.study import Plan, Study, local_law, open_law, study
from analyse.crosscal.table import read_clusters
from analyse.posterior import FAILED, GOOD
from analyse.source import write_report
from config.extra import extra
from config.folder import folder_to_write
from sim.crosscal.grid import Inputs
from sim.crosscal.templates import Setting
from stream.commands.options import name_pictures
from stream.crosscal.modifiers import family
from stream.transport.arf_modified import modify_arf
from stream.transport.fitsfile import disk_faults
from stream.transport.ogip import read_arf

FILE = click.Path(path_type=Path)
REPORT, CLUSTERS, ARF = "crosscal.json", "clusters.fits", "corrected.arf"
OLD: Final = (REPORT, CLUSTERS, ARF, GOOD, FAILED, CORNER, AREA, TEMPERATURES, HELD_OUT)


@click.command()
@click.argument("table", type=FILE)
@click.option("--model", default="crosscal", show_default=True, help="Emulator: shipped, or an ONNX file.")
@click.option("--grid", type=FILE, help="A grid of `raysieve simulate crosscal` in place of the emulator; slower.")
@click.option(
    "--local", "family_name", help="A family (spline:8) simulated where its posterior is: no grid, no emulator."
)
@click.option("--rmf", type=FILE, help="local: redistribution, with --arf; without both the analytic telescope.")
@click.option("--nh-free/--nh-fixed", default=True, show_default=True, help="local: how telescope 1 was fitted.")
@click.option("--band", nargs=2, type=float, default=(0.5, 8.0), show_default=True, help="local: keV, fitted.")
@click.option("--prior", type=click.Choice(["box", "concordance"]), default="box", show_default=True)
@click.option("--tau", default=0.1, show_default=True, type=float, help="concordance: sd of ln area in a band.")
@click.option(
    "--scatter", type=click.FloatRange(0, 1, min_open=True), help="Free intrinsic scatter of ln T1, up to this."
)
@click.option("--sampler", type=click.Choice(["none", "emcee"]), default="emcee", show_default=True)
@click.option("--steps", type=click.IntRange(1), help="Of each walker; else as many as needed.")
@click.option("--extrapolate", is_flag=True, help="Flag clusters beyond the simulated temperatures; else refused.")
@click.option("--no-hold-out", "skipped", is_flag=True, help="Do not judge clusters by the others.")
@click.option("--arf", type=FILE, help="Nominal area of telescope 1: corrected.arf is written.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Same seed, same posterior.")
@click.option("--plot", "drawn", is_flag=True, help="Also corner.png, area.png, temperatures.png, held_out.png.")
@click.option("--out", required=True, type=FILE, help="Folder for crosscal.json, clusters.fits, posterior.nc.")
def crosscal(table: Path, out: Path, **given: Any) -> None:
    """Infer the correction of telescope 1's area that makes its temperatures of clusters those of telescope 0.

    TABLE (ECSV, CSV, FITS) has NAME, KT_0, KT_0_ERR, KT_1, KT_1_ERR (keV, 1 sigma); telescope 0 is trusted, telescope
    1 was fitted through its nominal area. With --grid or --local, norms (NORM_0, NORM_0_ERR, NORM_1, NORM_1_ERR) and
    fitted column densities (NH_0, ...; 1e22 cm-2) are used too: temperatures alone do not tell a grey factor. What the
    data do not constrain is said.

    A posterior is published when R-hat <= 1.01 and ESS >= 400 for each parameter; otherwise it is written as
    posterior_failed.nc and the command fails.

    Example: raysieve analyse crosscal clusters.ecsv --arf nominal.arf --plot --out crosscal
    """
    console = Console(highlight=False, width=120)
    clusters = read_clusters(table)
    if given["arf"] is not None:
        read_arf(given["arf"])  # refused before the work
    if given["sampler"] == "emcee":
        with extra("analyse"):
            import emcee  # noqa: F401
            import h5netcdf  # noqa: F401
            import xarray  # noqa: F401
    folder_to_write(out)
    tau = given["tau"] if given["prior"] == "concordance" else None
    if given["family_name"] is None:
        law: Law = open_law(given["model"], given["grid"])
    else:
        arf, rmf = (str(given[key] or "") for key in ("arf", "rmf"))
        setting = Setting(nh_free=given["nh_free"], band_kev=given["band"])
        law = local_law(clusters, given["family_name"], Inputs(arf, rmf), setting, tau, given["seed"])
    keys = ("sampler", "steps", "seed", "extrapolate")
    plan = Plan(tau, given["scatter"] or 0.0, hold_out=not given["skipped"], **{key: given[key] for key in keys})
    found = study(clusters, law, plan)
    for name in OLD:  # of an earlier run: not of this table
        with disk_faults(out / name):
            (out / name).unlink(missing_ok=True)
    _tell(console, out, found, table, given)


def _tell(console: Console, out: Path, found: Study, table: Path, given: dict[str, Any]) -> None:
    report = describe(found, table.name)
    show(console, report)
    write_report(out / REPORT, report)
    write_clusters(out / CLUSTERS, found)
    if given["drawn"]:
        name_pictures(plot_study(out, found, _truth(found)))
    if given["arf"] is not None:
        modify_arf(given["arf"], out / ARF, found.density.prior.family, found.chosen)
    if found.draws is not None:
        publish(out, found, found.density, found.draws)


def _truth(found: Study) -> Any:
    """Return the true factor of a simulated table at ENERGIES_KEV, None where it is not known."""
    told = found.clusters.truth
    if not told.get("theta") or not told.get("family"):
        return None
    return family(str(told["family"])).factor(np.asarray(told["theta"], float), ENERGIES_KEV)[0]
