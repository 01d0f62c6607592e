"""`raysieve top`: how a daemon is, read from what its processes write every second."""

import json
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import click
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from stream.commands.options import told
from stream.status import Status, read, require

COLUMNS = ("in/s", "out/s", "waiting", "events", "rejected", "tracks", "lag ms", "CPU %", "MB")
SPANS = {"count": "count", "p50 ms": "p50_ms", "p99 ms": "p99_ms", "p99.9 ms": "p999_ms", "max ms": "max_ms"}
COLOURS = {"running": "green", "finished": "blue", "stale": "yellow", "dead": "red", "absent": "yellow"}


@click.command()
@click.argument("out", default="out", type=click.Path(path_type=Path))
@click.option("--once", is_flag=True, help="Print it once, and stop.")
@click.option("--json", "as_json", is_flag=True, help="Print it once, as JSON.")
def top(out: Path, once: bool, as_json: bool) -> None:
    """Show how the daemon that writes to OUT is: rates, queues, latencies, losses, what it runs. Ctrl-C ends it.

    Example: raysieve top out --once
    """
    require(out)
    console = Console(width=None if sys.stdout.isatty() else 100)
    if as_json:
        click.echo(json.dumps(read(out), indent=1))
    elif once or not console.is_terminal:
        console.print(view(read(out)), highlight=False)
    else:
        with suppress(KeyboardInterrupt), Live(console=console, auto_refresh=False, screen=True) as live:
            while True:
                live.update(view(read(out)), refresh=True)
                time.sleep(1)


def view(found: Mapping[str, Status]) -> Group:
    """Return all that `read` has found, for a screen of 80 columns."""
    here = {name: status for name, status in found.items() if status["state"] != "absent"}
    lines = [f"{name}: {status['error']}" for name, status in found.items() if "error" in status]
    for key, title in (("drops", "dropped"), ("notes", "noted")):
        parts = [f"{name} {_counts(status[key])}" for name, status in here.items() if status[key]]
        lines += [f"{title}: {'; '.join(parts) or 'nothing'}"] if here else []
    lines += [told(*item) for status in here.values() for item in status["about"].items() if item[1]]
    made_of = {f"{name} {number}" for status in here.values() for name, number in status["versions"].items()}
    made_of |= {f"configuration {status['configuration'][:16]}" for status in here.values()}
    lines += [", ".join(sorted(made_of))]
    text = Text("\n".join(lines))
    if not any(status["latencies"] for status in here.values()):
        return Group(process_table(found), "", text)
    return Group(process_table(found), "", latency_table(here), "", text)


def process_table(found: Mapping[str, Status]) -> Table:
    """Return a row for each process: what it does now, and what it has found since its start."""
    table = _table("process", "state", *COLUMNS)
    for name, status in found.items():
        again = f", {status['restarts']} restarts" if status.get("restarts") else ""
        state = Text(status["state"] + again, COLOURS[status["state"]])
        table.add_row(name, state, *(_now(status) if status["state"] != "absent" else ()))
    return table


def latency_table(found: Mapping[str, Status]) -> Table:
    """Return a row for each way and each stage that was timed, of processes that are not absent."""
    table = _table("latency", "", *SPANS)
    for name, status in found.items():
        for label, span in status["latencies"].items():
            values = [f"{span[key]:.{3 if span[key] < 100 else 0}f}" for key in SPANS.values() if key != "count"]
            table.add_row(name, {"arrive": "link to it"}.get(label, label), f"{span['count']:,}", *values)
    return table


def _table(first: str, second: str, *numbers: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for name in (first, second):
        table.add_column(name)
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _now(status: Status) -> list[str]:
    counters, rates = status["counters"], status["rates"]
    lag = "" if status["lag_s"] is None else f"{status['lag_s'] * 1e3:.1f}"
    waiting = "-" if status["waiting"] is None else str(status["waiting"])
    speeds = [f"{rates['in']:.0f}", f"{rates['out']:.0f}", waiting, f"{rates['cpu']:.0%}".rstrip("%")]
    if status["state"] in ("finished", "dead"):
        speeds, lag = ["", "", waiting, ""], ""
    found = [_short(counters[name]) if name in counters else "" for name in ("events", "rejected", "tracks")]
    memory = "" if status["memory_bytes"] is None else f"{status['memory_bytes'] / 1e6:.0f}"
    return [*speeds[:3], *found, lag, speeds[3], memory]


def _short(number: int) -> str:
    return f"{number:,}" if number < 1_000_000 else f"{number / 1e6:,.2f}M"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {number:,}" for name, number in counts.items())
