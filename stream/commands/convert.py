"""`raysieve convert`: event and pixel lists of missions, as recordings of the frames they were found in; CHIANTI."""

from dataclasses import asdict
from pathlib import Path

import click
import numpy as np

from stream.commands.options import writes_out
from stream.commands.photons import convert_ft1
from stream.transport.foreign.islands import Converted

FILE = click.Path(path_type=Path)
Steps = tuple[float, float, float]


@click.group()
def convert() -> None:
    """Rebuild frames from the lists of a mission, so that they can be processed as if they came from the camera.

    Example: raysieve convert acis evt2.fits.gz obs.h5 && raysieve process obs.h5 --config acis --out out
    """


@convert.command()
@click.argument("events", type=FILE)
@click.argument("out", type=FILE)
@click.option("--bias", multiple=True, type=FILE, help="Flight bias frame of a CCD; once for each CCD.")
@click.option("--bpix", type=FILE, help="Bad-pixel list.")
@writes_out
def acis(events: Path, out: Path, bias: tuple[Path, ...], bpix: Path | None) -> None:
    """Chandra ACIS, FAINT (3x3) or VFAINT (5x5) event list.

    Example: raysieve convert acis evt2.fits.gz obs.h5 --bias bias0.fits.gz --bpix bpix1.fits.gz
    """
    from stream.transport.foreign import acis as reader

    _say(out, reader.convert(events, out, bias=bias, bpix=bpix))


@convert.command()
@click.argument("events", type=FILE)
@click.argument("out", type=FILE)
@writes_out
def suzaku(events: Path, out: Path) -> None:
    """Suzaku XIS 3x3 event list.

    Example: raysieve convert suzaku xis0_evt.fits obs.h5
    """
    from stream.transport.foreign import suzaku as reader

    _say(out, reader.convert(events, out))


@convert.command("wfi-pixels")
@click.argument("pixels", type=FILE)
@click.argument("out", type=FILE)
@click.option("--adu-ev", type=click.FloatRange(min=0, min_open=True), help="Frames in ADU of this size, not in keV.")
@writes_out
def wfi_pixels(pixels: Path, out: Path, adu_ev: float | None) -> None:
    """Geant4 pixel list of the Athena WFI background group (FRAME, DETID, ACTX, ACTY, ENERGY).

    A list without FRAME (`rawpix`) becomes one frame for each primary: its exposure means nothing.

    Example: raysieve convert wfi-pixels pix.fits frames.h5
    """
    from stream.transport.foreign import wfi_pixels as reader

    _say(out, reader.convert(pixels, out, adu_ev=adu_ev))


@convert.command()
@click.argument("packets", type=FILE)
@click.argument("out", type=FILE)
@writes_out
def ccsds(packets: Path, out: Path) -> None:
    """CCSDS space packets of events, as `raysieve simulate telemetry` writes them; says what was lost or damaged.

    The recording holds signal, no raw frames: corrected on board, known around the events only.

    Example: raysieve convert ccsds obs.ccsds obs.h5 && raysieve process obs.h5 --config wfi --out out
    """
    from stream.transport import ccsds_reader as reader

    counted = asdict(reader.convert(packets, out))
    found = {name: counted.pop(name) for name in ("packets", "frames", "events", "wraps")}
    click.echo(f"{out}: " + ", ".join(f"{count} {name}" for name, count in found.items()))
    if counted["lost_frames"] < 0:
        click.echo("  no End packet: how much is missing after the last packets is not known")
        del counted["lost_frames"]
    for name, count in counted.items():
        if count:
            click.echo(f"  {name.replace('_', ' ')}: {count}")


@convert.command()
@click.argument("given", metavar="INPUT", type=FILE)
@click.argument("out", type=FILE)
@click.option("--ion", multiple=True, help="Of a database: these only, as o_7; may be repeated. [default: all]")
@click.option("--log-t", nargs=3, type=float, default=(5.8, 7.3, 0.05), show_default=True, help="Least, most, step.")
@click.option("--log-n", nargs=3, type=float, default=(8.0, 13.0, 0.5), show_default=True, help="Least, most, step.")
@writes_out
def chianti(given: Path, out: Path, ion: tuple[str, ...], log_t: Steps, log_n: Steps) -> None:
    """Emissivities of coronal lines as a table: of a grid (npz), or of CHIANTI's files (directory or tar).

    A database is solved by fiasco (pip install fiasco, in an environment of its own): minutes for each ion.

    Example: raysieve convert chianti CHIANTI_10.1_database.tar.gz lines.npz --ion o_7 --ion fe_14
    """
    from stream.transport import chianti as tables

    if given.suffix == ".npz":
        table = tables.read_grid(given)
    else:
        from stream.transport.chianti_files import opened, solve

        grids = [np.round(np.arange(low, high + step / 2, step), 6) for low, high, step in (log_t, log_n)]
        with opened(given) as found:
            for name, why in found.left.items():
                click.echo(f"  {name}: {why}: left out", err=True)
            table = solve(found, grids[0], grids[1], ion, lambda name: click.echo(f"  {name}", err=True))
    tables.write_lines(out, table)
    click.echo(f"{out}: {len(table):,} lines of {len(set(table.ion.tolist()))} ions")


convert.add_command(convert_ft1)


def _say(out: Path, made: Converted) -> None:
    extra = f", {made.repeated} of them for overlapping islands that disagree" if made.repeated else ""
    click.echo(f"{out}: {made.rows} rows as {made.readouts} read-outs{extra}")
