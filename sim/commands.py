"""`raysieve simulate`: frames of known truth."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress

from config.load import load
from config.schema import Config
from sim.bad_pixels import scatter
from sim.detector import Imperfections
from sim.photons import XRays
from sim.seeds import Seeds
from sim.telemetry import Telemetry, dark, record
from sim.tracks import Tracks
from stream.commands.options import configured
from stream.transport.recording import RecordingWriter


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """The options of `simulate wfi`."""

    readouts: int
    photons: float
    tracks: float
    noise_e: float
    common_mode_adu: float
    hot: int
    without_signal: bool
    seed: int

    def camera(self, config: Config) -> Telemetry:
        """Return the camera in front of its sources, or with its shutter closed."""
        seeds = Seeds(self.seed)
        bad = scatter(config.detector, seeds, hot=self.hot, flickering=self.hot, dead=self.hot)
        model = Imperfections(noise_e=self.noise_e, common_mode_rms_adu=self.common_mode_adu, bad_pixels=bad)
        if self.without_signal:
            return dark(config, model, seeds)
        photons = XRays(per_frame=self.photons, sensor=config.simulate.sensor)
        return Telemetry(config, [photons, Tracks(per_frame=self.tracks)], model, seeds)


@click.group()
def simulate() -> None:
    """Make recordings and tables of known truth.

    Example: raysieve simulate wfi demo.h5 --config wfi --readouts 200
    """


@simulate.command()
@click.argument("out", type=click.Path(path_type=Path))
@configured
@click.option("--readouts", default=200, type=click.IntRange(1), help="Read-outs of all quadrants.")
@click.option("--photons", default=2.0, type=click.FloatRange(0), help="Mean X-rays per quadrant frame.")
@click.option("--tracks", default=1.0, type=click.FloatRange(0), help="Mean particle tracks per quadrant frame.")
@click.option("--noise-e", default=7.0, type=click.FloatRange(0), help="Read-out noise, electrons rms.")
@click.option("--common-mode-adu", default=2.0, type=click.FloatRange(0), help="Row common mode, rms.")
@click.option("--hot", default=4, type=click.IntRange(0), help="Hot pixels in the whole camera.")
@click.option("--dark", "without_signal", is_flag=True, help="The same camera with its shutter closed.")
@click.option("--seed", default=0, help="Same seed, same frames.")
def wfi(out: Path, config_name: str, overrides: tuple[str, ...], **given: Any) -> None:
    """Write a recording of the configured camera: noise, common mode, bad pixels, X-rays and straight tracks.

    The truth (photons, track pixels, bad pixels) is written into the recording.

    Example: raysieve simulate wfi demo.h5 --config wfi --readouts 200 --photons 2 --seed 1
    """
    config = load(config_name, overrides)
    scene = Scene(**given)
    camera = scene.camera(config)
    console = Console(stderr=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    with RecordingWriter(out, camera.start) as writer, Progress(console=console, transient=True) as progress:
        task = progress.add_task(f"simulate {out.name}", total=scene.readouts)
        record(camera, scene.readouts, writer, lambda done: progress.update(task, completed=done))
    click.echo(f"{out}: {scene.readouts * len(config.detector.quadrants)} frames")


@simulate.command("charge-loss")
@configured
@click.option("--photons", default=400_000, type=click.IntRange(1000), help="How many photons.")
@click.option("--seed", default=0, help="Same seed, same table.")
def charge_loss(config_name: str, overrides: tuple[str, ...], photons: int, seed: int) -> None:
    """Print the [reconstruct.charge_loss] table of a configuration.

    Example: raysieve simulate charge-loss --config wfi
    """
    from sim.charge_loss import measure

    click.echo("[reconstruct.charge_loss]")
    for name, column in measure(load(config_name, overrides), photons, seed).items():
        click.echo(f"{name} = {column}")
