"""`raysieve process` and `raysieve calibrate-dark`: recordings in, products out, in one process."""

from collections.abc import Callable, Iterator
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress

from config.load import load
from config.schema import Config
from stream.commands.options import configured, told
from stream.errors import ConfigError
from stream.messages import Frame, Gap, Maps, Message
from stream.stages.calibrate import Calibrate
from stream.transport.eventlist import EventListWriter
from stream.transport.inproc import run
from stream.transport.maps import read_maps, write_maps
from stream.transport.recording import Recording
from stream.wiring import build_all


@click.command()
@click.argument("inputs", nargs=-1, required=True, type=click.Path(path_type=Path))
@configured
@click.option("--out", "-o", required=True, type=click.Path(path_type=Path), help="Folder for events.fits.")
@click.option("--maps", type=click.Path(path_type=Path), help="Map file; default: correct.maps, then the recording's.")
@click.option("--overwrite", is_flag=True, help="Replace the event lists of an earlier run.")
def process(
    inputs: tuple[Path, ...],
    config_name: str,
    overrides: tuple[str, ...],
    out: Path,
    maps: Path | None,
    overwrite: bool,
) -> None:
    """Process recordings to event lists with the stages of the live daemon.

    One input gives OUT/events.fits, several give OUT/NAME/events.fits each.

    Example: raysieve process demo.h5 --config config/wfi.toml --maps maps.h5 --out out
    """
    config = load(config_name, overrides)
    named = maps or (Path(config.correct.maps) if config.correct.maps else None)
    stems = [path.stem for path in inputs]
    if len(set(stems)) < len(stems):
        raise ConfigError("inputs of the same name would share a folder: process them one by one")
    for path in inputs:
        folder = out / path.stem if len(inputs) > 1 else out
        for written in _process(path, config, folder, named, overwrite):
            click.echo(str(written))


def _process(path: Path, config: Config, folder: Path, named: Path | None, overwrite: bool) -> list[Path]:
    """Process one recording; return the event lists written."""
    with Recording(path) as recording, Progress(console=Console(stderr=True), transient=True) as progress:
        stages = build_all(config, _maps(named) if named else recording.maps())
        for stage in stages:
            if about := getattr(stage, "about", None):
                click.echo(f"{path.name}: {told(stage.name, about)}", err=True)
        sink = EventListWriter(folder, overwrite=overwrite)
        task = progress.add_task(path.name, total=len(recording))
        run(_watched(recording.messages(), lambda n: progress.update(task, completed=n)), stages, sink)
        sink.close()
    for stage in stages:
        for reason, count in sorted(getattr(stage, "counters", {}).items()):
            click.echo(f"{path.name}: {stage.name}: {reason}: {count}", err=True)
    return list(sink.written)


def _maps(path: Path) -> dict[int, Maps]:
    maps = read_maps(path)
    if not maps:
        raise ConfigError(f"{path}: no maps in this file; expected what `raysieve calibrate-dark` writes")
    return maps


def _watched(messages: Iterator[Message], progress: Callable[[int], None]) -> Iterator[Message]:
    """Pass messages on and tell the bar every 100 frames."""
    frames = 0
    for message in messages:
        if isinstance(message, Frame | Gap):
            frames += 1
            if frames % 100 == 0:
                progress(frames)
        yield message


LEAST_NOISE_ADU = 0.05  # every ADC has more


@click.command("calibrate-dark")
@click.argument("recording", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
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
