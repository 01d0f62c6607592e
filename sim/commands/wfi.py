"""`raysieve simulate wfi`: a recording of the configured camera."""

import json
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress

from config.load import load
from sim.check import new_or_replaced, require
from sim.commands.scene import about, camera_of, dark_of, sky_options, was_given
from sim.telemetry import record
from stream.commands.options import configured
from stream.transport.recording import RecordingWriter


@click.command()
@click.argument("out", type=click.Path(path_type=Path))
@configured
@click.option("--readouts", default=200, type=click.IntRange(1), help="Read-outs of all quadrants.")
@sky_options
@click.option("--dark", "without_signal", is_flag=True, help="The same camera (--seed) with its shutter closed.")
@click.option("--overwrite", is_flag=True, help="Replace an existing recording.")
@click.option("--seed", default=0, type=click.IntRange(0), help="Same seed, same frames.")
def wfi(
    out: Path, config_name: str, overrides: tuple[str, ...], readouts: int, without_signal: bool, overwrite: bool,
    **sky: Any,
) -> None:  # fmt: skip
    """Write a recording of the configured camera: noise, common mode, bad pixels, X-rays and cosmic rays.

    The camera is the section [simulate] of the configuration. The recording holds the truth: the photons, the
    primaries, the owners of every pixel, the bad pixels.

    Example: raysieve simulate wfi demo.h5 --config wfi --readouts 200 --photons 2 --seed 1
    """
    new_or_replaced(out, overwrite)
    config = load(config_name, overrides)
    if without_signal:
        lit = [name for name in sky if name != "seed" and was_given(name)]
        require("--dark", (not lit, f"no options of the sky: {', '.join(lit)}"))
    camera = dark_of(config, sky["seed"]) if without_signal else camera_of(config, sky, readouts)
    made_of = {"seed": sky["seed"], "particles": 0.0, "photons": 0.0} if without_signal else sky
    facts = json.dumps(about(config, made_of | {"dark": without_signal}))
    console = Console(stderr=True)
    with (
        RecordingWriter(out, camera.start, about=facts) as writer,
        Progress(console=console, transient=True) as progress,
    ):
        task = progress.add_task(f"simulate {out.name}", total=readouts)
        record(camera, readouts, writer, lambda done: progress.update(task, completed=done))
    click.echo(f"{out}: {readouts * len(config.detector.quadrants)} frames")
