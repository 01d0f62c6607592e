"""`raysieve process` and `raysieve calibrate-dark`: recordings in, products out."""

from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress, TaskID

from config.lat import Lat
from config.load import load_any
from stream.commands.job import Advance, Job, carry_out
from stream.commands.options import configured, writes_out
from stream.errors import ConfigError
from stream.stages.calibrate import Calibrate
from stream.transport.maps import write_maps
from stream.transport.recording import Recording


@click.command()
@click.argument("inputs", nargs=-1, required=True, type=click.Path(path_type=Path))
@configured
@click.option("--out", "-o", required=True, type=click.Path(path_type=Path), help="Folder for events.fits.")
@click.option("--maps", type=click.Path(path_type=Path), help="Map file; default: correct.maps, then the recording's.")
@click.option("--overwrite", is_flag=True, help="Replace the event lists of an earlier run.")
@click.option("--scheduler", metavar="local|ADDRESS", help="Several at once: on all cores, or on a Dask cluster.")
def process(
    inputs: tuple[Path, ...],
    config_name: str,
    overrides: tuple[str, ...],
    out: Path,
    maps: Path | None,
    overwrite: bool,
    scheduler: str | None,
) -> None:
    """Process recordings to event lists with the stages of the live daemon.

    One input gives OUT/events.fits, several give OUT/NAME/events.fits each. With the configuration of a gamma-ray
    telescope (lat): photons (a recording, or FT1 and FT2 files) to maps of the sky, OUT/sky/*.fits.

    Example: raysieve process demo.h5 --config config/wfi.toml --maps maps.h5 --out out
    """
    config = load_any(config_name, overrides)
    if isinstance(config, Lat):
        from stream.commands.photons import process_photons

        if maps or scheduler:
            raise ConfigError(f"{config_name}: photons have no maps and no scheduler; expected neither")
        process_photons(inputs, config, out, overwrite=overwrite)
        return
    named = maps or (Path(config.correct.maps) if config.correct.maps else None)
    stems = [path.stem for path in inputs]
    if len(set(stems)) < len(stems):
        raise ConfigError("inputs of the same name would share a folder: process them one by one")
    jobs = [Job(path, config, out / path.stem if len(inputs) > 1 else out, named) for path in inputs]
    if scheduler is None:
        _one_by_one(jobs, overwrite)
    else:
        from stream.commands.cluster import spread

        spread(jobs, scheduler, overwrite=overwrite)


def _one_by_one(jobs: Sequence[Job], overwrite: bool) -> None:
    for job in jobs:
        with Progress(console=Console(stderr=True), transient=True) as progress:
            advance = _moving(progress, progress.add_task(job.path.name, total=None))
            written = carry_out(job, lambda line: click.echo(line, err=True), advance, overwrite=overwrite)
        for path in written:
            click.echo(str(path))


def _moving(progress: Progress, bar: TaskID) -> Advance:
    return lambda done, of: progress.update(bar, completed=done, total=of)


LEAST_NOISE_ADU = 0.05  # every ADC has more


@click.command("calibrate-dark")
@click.argument("recording", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@writes_out
def calibrate_dark(recording: Path, out: Path) -> None:
    """Build offset, noise and bad-pixel maps from a dark run (a recording without sources).

    Example: raysieve calibrate-dark dark.h5 maps.h5
    """
    stage = Calibrate()
    with Recording(recording) as dark:
        if dark.start.pixel_dtype != "<u2":
            raise ConfigError(f"{recording}: dark frames must be in ADU (uint16), these are {dark.start.pixel_dtype}")
        for message in dark.messages():
            list(stage.process(message))
        run_id = dark.start.run_id
    list(stage.flush())
    if any(found.noise[found.bad == 0].mean() < LEAST_NOISE_ADU for found in stage.maps.values()):
        raise ConfigError(f"{recording}: no read-out noise; expected frames of a detector, not of a converted list")
    maps = stage.maps
    write_maps(out, maps.values(), run_id)
    for number, found in sorted(maps.items()):
        good = found.bad == 0
        click.echo(
            f"quadrant {number}: offset {found.offset[good].mean():.2f}, noise {found.noise[good].mean():.3f}, "
            f"{int((~good).sum())} bad pixels, version {found.version}"
        )
