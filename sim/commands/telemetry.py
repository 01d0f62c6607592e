"""`raysieve simulate telemetry`: the on-board part of a mission, and the way of its packets to the ground."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import click
from rich.console import Console
from rich.progress import track

from config.load import load
from sim.check import require
from sim.seeds import Seeds
from stream.commands.options import configured, writes_out
from stream.messages import Message
from stream.transport.ccsds_writer import TelemetryWriter
from stream.transport.fitsfile import new_file
from stream.transport.inproc import run
from stream.transport.maps import read_maps
from stream.transport.recording import Recording
from stream.wiring import build, rows_of

KEY = 133  # of the generator: nothing else that is drawn has this one

CHANCE = click.FloatRange(0, 1)
FILE = click.Path(path_type=Path)


class BadLink:
    """Loses packets, sends them twice, flips one of their bits; each with its own chance. Counts what it did."""

    def __init__(self, lose: float, duplicate: float, corrupt: float, seeds: Seeds) -> None:
        chances = {"lose": lose, "duplicate": duplicate, "corrupt": corrupt}
        require("link", *((0 <= chance <= 1, f"{name} in 0..1") for name, chance in chances.items()))
        self._chances = tuple(chances.values())
        self._rng = seeds.fixed(KEY)
        self.counters: Counter[str] = Counter()

    def __call__(self, packet: bytes) -> Iterable[bytes]:
        """Return what arrives of a packet."""
        lost, twice, damaged = (self._rng.random(3) < self._chances).tolist()
        bit = int(self._rng.integers(8 * len(packet)))
        self.counters["sent"] += 1
        if lost:
            self.counters["lost"] += 1
            return ()
        if damaged:
            self.counters["damaged"] += 1
            packet = flip(packet, bit)
        self.counters["doubled"] += twice
        return (packet, packet) if twice else (packet,)


def flip(packet: bytes, bit: int) -> bytes:
    """Return the packet with one bit changed."""
    changed = bytearray(packet)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@click.command()
@click.argument("recording", type=FILE)
@click.argument("out", type=FILE)
@configured
@click.option("--maps", type=FILE, help="Map file; default: correct.maps, then the recording's.")
@click.option("--lose", default=0.0, type=CHANCE, help="Share of packets that do not arrive.")
@click.option("--duplicate", default=0.0, type=CHANCE, help="Share of packets that arrive twice.")
@click.option("--corrupt", default=0.0, type=CHANCE, help="Share of packets with a flipped bit.")
@click.option("--seed", default=0, help="Same seed, same faults.")
@writes_out
def telemetry(
    recording: Path, out: Path, config_name: str, overrides: tuple[str, ...], maps: Path | None, seed: int,
    **chances: float,
) -> None:  # fmt: skip
    """Find the events of a recording as a camera does on board, and write them as CCSDS space packets.

    All event candidates are sent, also those that the configuration rejects, with their 5x5 islands in whole ADU.

    Example: raysieve simulate telemetry demo.h5 demo.ccsds --config wfi --maps maps.h5 --lose 0.01
    """
    config = load(config_name, overrides)
    link = BadLink(**chances, seeds=Seeds(seed))
    named = maps or (Path(config.correct.maps) if config.correct.maps else None)
    with Recording(recording) as source, new_file(out) as file:
        given = read_maps(named) if named else source.maps()
        stages = [build(row.stage, config, given) for row in rows_of("detect")]
        writer = TelemetryWriter(file, link)
        run(_watched(source), stages, writer)
    counted = ", ".join(f"{count} {name}" for name, count in link.counters.items() if count)
    click.echo(f"{out}: {writer.frames} frames, {writer.events} event candidates; packets: {counted}")


def _watched(source: Recording) -> Iterator[Message]:
    """Return the messages of a recording behind a progress bar."""
    console = Console(stderr=True)
    return iter(track(source.messages(), source.path.name, len(source) + 2, console=console, transient=True))
