"""`raysieve export`: trained models as ONNX, each with its card."""

from pathlib import Path

import click

from config.errors import ConfigError
from sim.check import new_or_replaced

FILE = click.Path(path_type=Path)


@click.group()
def export() -> None:
    """Export a trained model to ONNX, with proof that both are equal; needs the train extra.

    Example: raysieve export frames frames.npz frames.onnx --test test.h5
    """


@export.command()
@click.argument("weights", type=FILE)
@click.argument("out", type=FILE)
@click.option("--test", required=True, type=FILE, help="Frames that it has never seen: metrics and parity.")
@click.option("--overwrite", is_flag=True, help="Replace an existing model and its card.")
def frames(weights: Path, out: Path, test: Path, overwrite: bool) -> None:
    """Export the frame classifier: OUT (.onnx) and its card (.toml).

    Example: raysieve export frames frames.npz frames.onnx --test test.h5
    """
    try:
        from export.card import write_card
        from export.frames import describe
        from export.frames import export as write
        from models.frames.dataset import Frames
    except ImportError as fault:
        raise ConfigError(f"{fault}: expected the train extra, pip install -e '.[train]'") from None
    new_or_replaced(out, overwrite)
    unseen = Frames(test)
    partial = out.with_name(f".{out.name}.partial")
    try:
        facts = describe(weights, write(weights, partial), partial, unseen)
        partial.replace(out)
    finally:
        partial.unlink(missing_ok=True)
    card = write_card(out, facts)
    parity = facts["parity"]
    click.echo(
        f"{out}: {out.stat().st_size / 1e6:.2f} MB; on {parity['frames']:,} frames largest difference of logits "
        f"{parity['logits']:.1e}, of maps {parity['maps']:.1e}, {parity['changed']} changed decisions; {card}"
    )
