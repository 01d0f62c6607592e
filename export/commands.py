"""`raysieve export`: trained models as ONNX, each with its card."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from config.extra import extra
from config.load import load as load_config
from sim.check import new_or_replaced
from stream.commands.options import configured

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
@click.option("--int8", type=FILE, help="In 8-bit integers, scaled by these frames, such as those of the training.")
@click.option("--overwrite", is_flag=True, help="Replace an existing model and its card.")
def frames(weights: Path, out: Path, test: Path, int8: Path | None, overwrite: bool) -> None:
    """Export the frame classifier: OUT (.onnx) and its card (.toml). In int8 it is another model, for another forest.

    Example: raysieve export frames frames.npz frames.onnx --test test.h5
    """
    with extra("train"):
        from export.bf16 import NOT_HERE
        from export.card import write_card
        from export.frames import describe, in_int8
        from export.frames import export as write
        from models.frames.dataset import Frames
    new_or_replaced(out, overwrite)
    unseen = Frames(test)
    with whole(out) as partial:
        network = write(weights, partial)
        made = in_int8(partial, Frames(int8), unseen) if int8 else {}
        facts = made | describe(weights, network, partial, unseen, rough=not int8)
    card = write_card(out, facts)
    parity = facts["parity"]
    click.echo(
        f"{out}: {out.stat().st_size / 1e6:.2f} MB; on {parity['frames']:,} frames largest difference of logits "
        f"{parity['logits']:.1e}, of maps {parity['maps']:.1e}, {parity['changed']} changed decisions; {card}"
    )
    if "bf16_ok" in parity:
        click.echo(f"in bf16 {parity['bf16_changed']} changed; {'' if parity['bf16_ok'] else 'not '}to be used")
    elif not int8:
        click.echo(NOT_HERE)


@export.command("filter")
@click.argument("forest", type=FILE)
@click.argument("out", type=FILE)
@click.option("--frames", required=True, type=FILE, help="The exported frame classifier (.onnx) that it belongs to.")
@click.option("--test", required=True, type=FILE, help="Events that it has never seen: metrics, ROC and parity.")
@click.option("--beside", multiple=True, type=FILE, help="Another forest (.npz) whose figures the card shows as well.")
@click.option("--overwrite", is_flag=True, help="Replace an existing model and its card.")
def export_filter(forest: Path, out: Path, frames: Path, test: Path, beside: tuple[Path, ...], overwrite: bool) -> None:
    """Export the forest that judges events: OUT (.onnx) and its card (.toml).

    Example: raysieve export filter filter.npz filter.onnx --frames frames.onnx --test events.h5 --beside full.npz
    """
    with extra("train"):
        from export.bf16 import NOT_HERE
        from export.card import write_card
        from export.filter import describe, describe_rough, see, write
        from models.filter.forest import load
    new_or_replaced(out, overwrite)
    one, others = load(forest), {path.stem: load(path) for path in beside}
    unseen, rough, made_of = see((one, *others.values()), frames, test)
    with whole(out) as partial:
        write(one, partial)
        facts = describe(one, partial, unseen, others) | {"test": made_of}
        facts |= {"bf16": describe_rough(partial, unseen, rough)} if rough else {}
    card = write_card(out, facts)
    parity = facts["parity"]
    click.echo(
        f"{out}: {out.stat().st_size / 1e6:.2f} MB; on {parity['events']:,} events and {parity['edges']:,} at "
        f"thresholds largest difference {parity['difference']:.1e}, {parity['changed']} changed decisions; {card}"
    )
    click.echo(f"network in bf16: {facts['bf16']['changed']} changed decisions" if rough else NOT_HERE)


@export.command("islands")
@click.argument("weights", type=FILE)
@click.argument("out", type=FILE)
@configured
@click.option("--test", required=True, type=FILE, help="Events that it has never seen: metrics, ROC and parity.")
@click.option("--overwrite", is_flag=True, help="Replace an existing model and its card.")
def export_islands(
    weights: Path, out: Path, config_name: str, overrides: tuple[str, ...], test: Path, overwrite: bool
) -> None:
    """Export the context model: OUT (.onnx) and its card (.toml). The configuration is that of the events.

    Example: raysieve export islands islands.npz islands.onnx -c wfi --test events.h5
    """
    with extra("train"):
        from export.card import write_card
        from export.islands import describe, write
        from models.candidates import Events
        from models.islands.dataset import scenes
    new_or_replaced(out, overwrite)
    events = Events(test)
    unseen = scenes(events, load_config(config_name, overrides))
    with whole(out) as partial:
        facts = describe(weights, write(weights, partial), partial, unseen, events.about)
    card = write_card(out, facts)
    parity = facts["parity"]
    click.echo(
        f"{out}: {out.stat().st_size / 1e6:.2f} MB; on {parity['events']:,} events largest difference "
        f"{parity['difference']:.1e}, {parity['changed']} changed decisions; {card}"
    )


@export.command("sources")
@click.argument("model", type=FILE)
@click.argument("out", type=FILE)
@click.option(
    "--test",
    required=True,
    type=FILE,
    help="Sources that it has never seen: metrics and parity; those of the training: cross-validation.",
)
@click.option("--overwrite", is_flag=True, help="Replace an existing model and its card.")
def export_sources(model: Path, out: Path, test: Path, overwrite: bool) -> None:
    """Export a model of source classes (.npz), fusion or challenger: OUT (.onnx) and its card (.toml).

    Example: raysieve export sources sources.npz sources.onnx --test other_fields.h5
    """
    with extra("train"):
        from export.sources import describe, write
        from models.sources.dataset import read_sources
        from models.sources.store import load
    new_or_replaced(out, overwrite)
    trained, unseen = load(model), read_sources(test)
    with whole(out) as partial:
        write(trained, partial)
        facts = describe(trained, partial, unseen)
    _tell(out, facts, "{sources:,} sources and {made_up:,} made up")


@export.command("lat-classify")
@click.argument("model", type=FILE)
@click.argument("out", type=FILE)
@click.option("--catalogue", required=True, type=FILE, help="That of the training: cross-validation and parity.")
@click.option("--overwrite", is_flag=True, help="Replace an existing model and its card.")
def export_lat_classify(model: Path, out: Path, catalogue: Path, overwrite: bool) -> None:
    """Export a model of the classes of gamma-ray sources (.npz): OUT (.onnx) and its card (.toml).

    Example: raysieve export lat-classify lat_classes.npz lat_classes.onnx --catalogue gll_psc_v27.fit
    """
    with extra("train"):
        from export.lat_classify import describe, write
        from models.lat.classify_store import load
        from models.lat.classify_table import KINDS, read_table
    new_or_replaced(out, overwrite)
    trained = load(model)
    kind = next(name for name, classes in KINDS.items() if classes == trained.classes)
    given = read_table(catalogue, kind)  # type: ignore[arg-type]
    with whole(out) as partial:
        write(trained, partial)
        facts = describe(trained, partial, given)
    _tell(out, facts, "{sources:,} sources and {made_up:,} made up")


@export.command("lat-cutouts")
@click.argument("weights", type=FILE)
@click.argument("out", type=FILE)
@click.option("--test", required=True, type=FILE, help="Cut-outs of skies that it has never seen: metrics and parity.")
@click.option("--overwrite", is_flag=True, help="Replace an existing model and its card.")
def export_lat_cutouts(weights: Path, out: Path, test: Path, overwrite: bool) -> None:
    """Export the network of the classes of cut-outs: OUT (.onnx) and its card (.toml).

    Example: raysieve export lat-cutouts lat_cutouts.npz lat_cutouts.onnx --test test.h5
    """
    with extra("train"):
        from export.lat_cutouts import describe, write
        from models.lat.classify_train import CutoutSet
    new_or_replaced(out, overwrite)
    unseen = CutoutSet(test)
    with whole(out) as partial:
        network, way = write(weights, partial)
        facts = describe(weights, network, partial, unseen, way)
    _tell(out, facts, "{cutouts:,} cut-outs")


@export.command("lat-localise")
@click.argument("weights", type=FILE)
@click.argument("out", type=FILE)
@click.option("--test", required=True, type=FILE, help="Patches of skies that it has never seen: metrics and parity.")
@click.option("--overwrite", is_flag=True, help="Replace an existing model and its card.")
def export_lat_localise(weights: Path, out: Path, test: Path, overwrite: bool) -> None:
    """Export the localisation network: OUT (.onnx) and its card (.toml).

    Example: raysieve export lat-localise lat_localise.npz lat_localise.onnx --test test.h5
    """
    with extra("train"):
        from export.lat_localise import describe, write
        from models.lat.dataset import Patches
    new_or_replaced(out, overwrite)
    unseen = Patches(test)
    with whole(out) as partial:
        facts = describe(weights, write(weights, partial), partial, unseen)
    _tell(out, facts, "{patches:,} patches")


@export.command("corona")
@click.argument("weights", type=FILE)
@click.argument("out", type=FILE)
@click.option("--test", required=True, type=FILE, help="Spectra of stars that it has never seen: metrics and parity.")
@click.option("--overwrite", is_flag=True, help="Replace an existing model and its card.")
def export_corona(weights: Path, out: Path, test: Path, overwrite: bool) -> None:
    """Export the network of coronae: OUT (.onnx) and its card (.toml), with its intervals and thresholds.

    Example: raysieve export corona corona.npz corona.onnx --test test.h5
    """
    with extra("train"):
        from export.corona import describe, write
        from models.corona.dataset import Spectra
        from models.corona.train import lines_of
    new_or_replaced(out, overwrite)
    with whole(out) as partial:
        program, state = write(weights, partial)
        facts = describe(program, state, partial, Spectra(test, lines_of(state)))
    _tell(out, facts, "{spectra:,} spectra")


@export.command("crosscal")
@click.argument("weights", type=FILE)
@click.argument("out", type=FILE)
@click.option("--test", "tests", required=True, multiple=True, type=FILE, help="Grids: its own, and others.")
@click.option("--overwrite", is_flag=True, help="Replace an existing model and its card.")
def export_crosscal(weights: Path, out: Path, tests: tuple[Path, ...], overwrite: bool) -> None:
    """Export the emulator of cross-calibration: OUT (.onnx), its gradient in the graph, and its card (.toml).

    Example: raysieve export crosscal crosscal.npz crosscal.onnx --test grid.h5 --test other.h5
    """
    with extra("train"):
        from export.crosscal import describe, write
        from models.crosscal.dataset import Grid
    new_or_replaced(out, overwrite)
    unseen = [Grid(path) for path in tests]
    with whole(out) as partial:
        program, state = write(weights, partial)
        facts = describe(program, state, partial, unseen)
    _tell(out, facts, "{points:,} points")


def _tell(out: Path, facts: Mapping[str, Any], compared: str) -> None:
    """Write the card of a model of classes, and say how it compares with what it came from; compared: on what."""
    from export.card import write_card

    card, parity = write_card(out, facts), facts["parity"]
    click.echo(
        f"{out}: {out.stat().st_size / 1e6:.2f} MB; on {compared.format(**parity)} "
        f"largest difference {parity['difference']:.1e}, {parity['changed']} changed decisions; {card}"
    )


@contextmanager
def whole(out: Path) -> Iterator[Path]:
    """Give a name to write to; what is there takes its own only when all went well."""
    partial = out.with_name(f".{out.name}.partial")
    try:
        yield partial
        partial.replace(out)
    finally:
        partial.unlink(missing_ok=True)
