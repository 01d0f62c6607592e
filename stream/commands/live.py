"""`raysieve run` and `raysieve replay`: the daemon, and what feeds it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.live import Live
from rich.table import Table

from config.load import load_any
from stream.account import faults_of
from stream.commands.feed import feed, push_to, say, speed_of
from stream.commands.options import keyed, told
from stream.commands.top import view
from stream.errors import ConfigError, StageError
from stream.messages import End, Frame, Gap, Message
from stream.runner import EXITS
from stream.status import read
from stream.supervisor import Supervisor
from stream.transport.photons import holds_photons, open_photons
from stream.transport.recording import Recording
from stream.vitals import flow
from stream.wiring import ASIDE, SKY, aside, processes, rows_of, url_of

OTHERS = list(dict.fromkeys(row.process for row in (*ASIDE, *SKY)))
PRELOAD_BYTES = 2_000_000_000  # recordings up to this size are held in memory when looped


@click.command()
@click.argument("config_name", metavar="CONFIG")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override one value.")
@click.option("--out", "-o", default="out", type=click.Path(path_type=Path), help="Folder for event lists.")
@click.option("--once", is_flag=True, help="Stop after the first stream has ended.")
@click.option("--overwrite", is_flag=True, help="Replace the event lists of an earlier run.")
@click.option("--quiet", is_flag=True, help="No live summary.")
@click.option(
    "--only",
    multiple=True,
    type=click.Choice([*processes(), *OTHERS]),
    help="Not the whole table: the rest is elsewhere.",
)
@click.option("--metrics-port", metavar="N", help="Metrics for Prometheus; the same as --set links.metrics_port=N.")
def run(
    config_name: str,
    overrides: tuple[str, ...],
    out: Path,
    once: bool,
    overwrite: bool,
    quiet: bool,
    only: tuple[str, ...],
    metrics_port: str,
) -> None:
    """Run the live daemon: frames in over ZeroMQ, event lists on disk. Ctrl-C drains, then stops.

    With accumulate.every_s it keeps images and sources of the observation beside them. With the configuration of a
    gamma-ray telescope (config/lat.toml): photons in, maps of the sky on disk.

    Example: raysieve run config/wfi.toml --set correct.maps=maps.h5 --out out
    """
    config = load_any(config_name, [*overrides, *([f"links.metrics_port={metrics_port}"] if metrics_port else [])])
    names = [name for name in (*processes(config), *aside(config)) if not only or name in only]
    if not names and only == ("sources",):
        raise ConfigError("accumulate.every_s is 0: no process sources; expected a time with --only sources")
    if not names:
        raise ConfigError(f"--only {', '.join(only)}: expected {' or '.join(processes(config))} with {config_name}")
    fed = rows_of(names[0])[0].link
    places = [f"ready: {fed} at {url_of(fed, config.links)}", *_metrics(config.links.metrics_port, out)]
    supervisor = Supervisor(config, out, once=once, overwrite=overwrite, names=names)
    console = Console(stderr=True)
    with Live(console=console, refresh_per_second=2, transient=True, screen=False) as live:
        status = supervisor.run(
            show=lambda _: None if quiet else live.update(view(read(out))),
            ready=lambda s: console.print("\n".join([*_models(s), *places]), highlight=False),
        )
    console.print(summary_table(status))
    for balance in (b for one in status.values() for b in one["balance"].values()):
        console.print(
            f"frames: {balance['due']} due = {balance['recorded']} recorded + {balance['lost']} lost", highlight=False
        )
    if faults := faults_of(status):
        raise StageError(f"the books are not balanced: {'; '.join(faults)}")


def _models(status: dict[str, Any]) -> list[str]:
    """Return a line for each stage that says what it runs."""
    return [told(*item) for process in status.values() for item in process["about"].items()]


def _metrics(port: int, out: Path) -> list[str]:
    """Serve metrics, if there is a port for them; return the line that says where."""
    if not port:
        return []
    from stream.commands.metrics import serve, url_of

    serve(port, out)
    return [f"metrics at {url_of(port)}"]


@click.command()
@click.argument("recording", type=click.Path(path_type=Path))
@click.option("--to", "url", required=True, metavar="URL", help="Where the daemon listens; see `raysieve explain`.")
@click.option("--rate", default="live", metavar="live|max|X", help="Real time, as fast as possible, or X times live.")
@click.option("--loop", default=1, type=click.IntRange(1), help="How many times; frame numbers and times go on.")
@click.option("--wait", "wait_s", default=30.0, help="Seconds to wait for a reader that takes nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the account as JSON, too.")
@keyed
def replay(recording: Path, url: str, rate: str, loop: int, wait_s: float, as_json: bool, **who: Any) -> None:
    """Send a recording to a daemon as the camera would; one of photons, or an FT1 file, as downlinks would come.

    Example: raysieve replay demo.h5 --to ipc:///run/user/1000/raysieve/frames.sock --rate max
    """
    if holds_photons(recording):
        if loop > 1:
            raise ConfigError(f"{recording}: photons come once; expected no --loop")
        stream = open_photons([recording])
        account = feed(stream.messages(), push_to(url, **who), speed_of(rate), None, wait_s)
        say(account, as_json)
        return
    with Recording(recording) as source:
        account = feed(_looped(source, loop), push_to(url, **who), speed_of(rate), len(source) * loop, wait_s)
    say(account, as_json)


def _looped(source: Recording, loop: int) -> Iterator[Message]:
    """Yield the recording `loop` times as one stream with one Start and one End."""
    start = source.start
    frame_bytes = sum(q.rows * q.columns for q in start.quadrants) * 4 / max(1, len(start.quadrants))
    held = list(source.messages()) if loop > 1 and len(source) * frame_bytes < PRELOAD_BYTES else None
    index = source.frames["sequence"]
    count = int(index.max() - index.min() + 1) if len(index) else 0
    yield start
    sent = 0
    for turn in range(loop):
        for message in held if held is not None else source.messages():
            shift = turn * count
            if isinstance(message, Frame):
                sent += 1
                time_ns = message.time_ns + shift * start.frame_time_ns
                yield replace(message, sequence=message.sequence + shift, time_ns=time_ns)
            elif isinstance(message, Gap):
                sent += message.last - message.first + 1
                yield replace(message, first=message.first + shift, last=message.last + shift)
    yield End(stream=start.stream, frames=sent)


def summary_table(status: dict[str, Any]) -> Table:
    """Return a table of what each process has taken, given, dropped and how long it took."""
    table = Table(box=None, pad_edge=False)
    for name in ("process", "in", "out", "events", "rejected", "tracks", "lost", "p50 ms", "p99 ms", "max ms", "CPU s"):
        table.add_column(name, justify="left" if name == "process" else "right", no_wrap=True)
    for name, s in status.items():
        counters, stages = s["counters"], s["stages"]
        lost = sum(stages.get("receive", {}).get(k, 0) for k in ("lost", "shape", "unknown_quadrant", "no_start"))
        exits = [span for label, span in s["latencies"].items() if label in EXITS.values()]
        latency = exits[0] if exits else {"p50_ms": 0, "p99_ms": 0, "max_ms": 0}
        values = [*flow(counters), *(counters.get(k, 0) for k in ("events", "rejected", "tracks")), lost]
        spans = [f"{latency[k]:.{2 if latency[k] < 100 else 0}f}" for k in ("p50_ms", "p99_ms", "max_ms")]
        table.add_row(name, *map(str, values), *spans, f"{s['cpu_s']:.1f}")
    return table
