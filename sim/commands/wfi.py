"""`raysieve simulate wfi`: a recording of the configured camera."""

import json
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress

from config.load import load
from sim.check import folder_for
from sim.commands.scene import about, camera_of, dark_of, sky_options
from sim.telemetry import record
from stream.commands.options import configured
from stream.transport.recording import RecordingWriter


@click.command()
@click.argument("out", type=click.Path(path_type=Path))
@configured
@click.option("--readouts", default=200, type=click.IntRange(1), help="Read-outs of all quadrants.")
@sky_options
@click.option("--dark", "without_signal", is_flag=True, help="The same camera with its shutter closed.")
@click.option("--seed", default=0, type=click.IntRange(0), help="Same seed, same frames.")
def wfi(
    out: Path, config_name: str, overrides: tuple[str, ...], readouts: int, seed: int, without_signal: bool, **sky: Any
) -> None:
    """Write a recording of the configured camera: noise, common mode, bad pixels, X-rays and cosmic rays.

    The camera is the section [simulate] of the configuration. The recording holds the truth: the photons, the
    primaries, the owners of every pixel, the bad pixels.

    Example: raysieve simulate wfi demo.h5 --config wfi --readouts 200 --photons 2 --seed 1
    """
    config = load(config_name, overrides)
    camera = dark_of(config, seed) if without_signal else camera_of(config, sky | {"seed": seed}, readouts)
    facts = json.dumps(about(config, sky | {"dark": without_signal}))
    console = Console(stderr=True)
    folder_for(out)
    with (
        RecordingWriter(out, camera.start, about=facts) as writer,
        Progress(console=console, transient=True) as progress,
    ):
        task = progress.add_task(f"simulate {out.name}", total=readouts)
        record(camera, readouts, writer, lambda done: progress.update(task, completed=done))
    click.echo(f"{out}: {readouts * len(config.detector.quadrants)} frames")
