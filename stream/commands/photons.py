"""Photons of a gamma-ray telescope on the command line: recorded, described, processed."""

from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np

from config.lat import Lat
from stream.commands.options import new_or_replaced, told
from stream.errors import ConfigError
from stream.lat.photons import Table
from stream.process_sky import sink_of, stages_of
from stream.transport.inproc import run
from stream.transport.photons import (
    FT1,
    FT2,
    PhotonStream,
    holds_photons,
    kind_of,
    open_photons,
    read_ft2,
    write_photons,
)


@click.command("ft1")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--class-bit", type=click.IntRange(-1, 31), help="Of EVENT_CLASS; -1: all. Default: the source class.")
@click.option("--overwrite", is_flag=True, help="Replace an existing file.")
def convert_ft1(files: tuple[Path, ...], out: Path, class_bit: int | None, overwrite: bool) -> None:
    """Fermi-LAT photons (FT1) and where it looked (FT2), any number of files in any order, as one recording.

    Without FT2 there will be counts, and no exposure.

    Example: raysieve convert ft1 lat_photon_w*.fits lat_spacecraft_w*.fits photons.h5
    """
    if out.suffix.lower() not in (".h5", ".hdf5"):
        raise ConfigError(f"{out}: expected the name of a recording, .h5, after the files")
    new_or_replaced(out, overwrite)
    stream = open_photons(files, class_bit)
    total = write_photons(out, stream, {"files": len(files), "class_bit": "source" if class_bit is None else class_bit})
    click.echo(f"{out}: {total} photons in {_days(stream.gti):.3f} days of good time")
    account(stream)


def account(stream: PhotonStream) -> None:
    """Say what was converted and what was left out."""
    for line in stream.said:
        click.echo(f"  {line}")
    for name, number in sorted(stream.counters.items()):
        if number:
            click.echo(f"  {name.replace('_', ' ')}: {number}")
    if not len(stream.pointing):
        click.echo("  no FT2: it is not known where the instrument looked, and there is no exposure")


def process_photons(inputs: Sequence[Path], config: Lat, out: Path, *, overwrite: bool) -> None:
    """Count photons with the stages of the live daemon; maps in OUT/sky, which go on with what lies there."""
    out.mkdir(parents=True, exist_ok=True)
    stream, stages = open_photons(inputs), stages_of(config, out, anew=overwrite)
    for stage in stages:
        if about := getattr(stage, "about", None):
            click.echo(told(stage.name, about), err=True)
    sink = sink_of(config, out)
    run(stream.messages(), stages, sink)
    sink.close()
    account(stream)
    for stage in stages:
        for reason, count in sorted(item for item in getattr(stage, "counters", {}).items() if item[1]):
            click.echo(f"  {stage.name}: {reason.replace('_', ' ')}: {count}")
    for path in sorted((out / "sky").rglob("*.fits")):
        click.echo(str(path))


def describe(file: Path) -> bool:
    """Say what is in an FT1 or FT2 file or a recording of photons; return whether it is one."""
    if not holds_photons(file):
        return False
    kind = kind_of(file)
    if kind == FT2:
        rows, counted = read_ft2([file])
        live = float(rows["LIVETIME"].sum(dtype=float))
        click.echo(f"{file}: FT2, {len(rows)} rows of pointing, {live / 86_400:.3f} days live")
        for name in ("saa", "bad_quality", "no_numbers", "pointing_twice"):
            if counted[name]:
                click.echo(f"  {name.replace('_', ' ')}: {counted[name]}")
        return True
    try:
        stream = open_photons([file])
    except ConfigError:
        if kind == FT1:  # an event list of another kind
            return False
        raise
    total, low, high, back = 0, np.inf, 0.0, 0
    for part in stream.pieces():
        if len(part):
            total, back = total + len(part), back + int(part["CONVERSION"].sum())
            low, high = min(low, float(part["ENERGY"].min())), max(high, float(part["ENERGY"].max()))
    click.echo(f"{file}: {kind}, {total} photons, front {total - back}, back {back}")
    if total:
        click.echo(f"  {low:.0f} to {high:.0f} MeV")
    if len(stream.gti):
        begin, end = stream.gti["START"][0], stream.gti["STOP"][-1]
        click.echo(f"  MET {begin:.0f} to {end:.0f} s, good time {_days(stream.gti):.3f} days")
    click.echo(f"  pointing: {len(stream.pointing)} rows")
    for name, number in sorted(stream.counters.items()):
        if number and name != "read":
            click.echo(f"  {name.replace('_', ' ')}: {number}")
    return True


def _days(gti: Table) -> float:
    return float((gti["STOP"] - gti["START"]).sum()) / 86_400
