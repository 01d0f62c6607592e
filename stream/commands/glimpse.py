"""`raysieve glimpse`: what a daemon finds, now."""

import time
from contextlib import suppress
from pathlib import Path

import click
import numpy as np

from config.load import load
from stream.clock import now_ns
from stream.errors import LinkError
from stream.messages import End, EventList, Message, Reason, Start
from stream.transport.keys import daemon_keys
from stream.transport.tap import Onlooker
from stream.wiring import TAP, url_of


@click.command()
@click.argument("config_name", metavar="CONFIG")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override one value, as for `run`.")
@click.option("--count", default=0, type=click.IntRange(0), help="Stop after so many lines; 0: when the stream ends.")
@click.option("--every", "every_s", default=1.0, type=click.FloatRange(0), help="Seconds between two lines.")
@click.option("--wait", "wait_s", default=30.0, type=click.FloatRange(0), help="Seconds to wait for a daemon.")
def glimpse(config_name: str, overrides: tuple[str, ...], count: int, every_s: float, wait_s: float) -> None:
    """Show the newest read-out of a running daemon, a line a second. It never slows the stream. Ctrl-C ends it.

    Example: raysieve glimpse config/wfi.toml --count 5
    """
    links = load(config_name, overrides).links
    url, keys = url_of(TAP.link, links), daemon_keys(Path(links.keys), inside=True) if links.keys else None
    shown, last, deadline = 0, -1, time.monotonic() + wait_s
    with Onlooker(url, queue=TAP.queue, keys=keys) as stream, suppress(KeyboardInterrupt):
        while not count or shown < count:
            message = stream.receive(0.2)
            if message is None:
                if time.monotonic() > deadline and shown:
                    click.echo(f"nothing more for {wait_s:g} s")
                    break
                if time.monotonic() > deadline:
                    raise LinkError(f"{url}: nothing came for {wait_s:g} s; is the daemon running, with a stream?")
                continue
            deadline = time.monotonic() + wait_s
            shown += 1
            click.echo(told(message, last))
            if isinstance(message, EventList):
                last = message.sequence
            elif isinstance(message, End):
                break
            if not isinstance(message, Start):
                time.sleep(every_s)


def told(message: Message, last: int) -> str:
    """Return a message as one line. last: the read-out that was shown before, -1 if none was."""
    if isinstance(message, Start):
        return f"start: stream {message.stream}, run {message.run_id}, {len(message.quadrants)} quadrants"
    if not isinstance(message, EventList):
        return f"end: {message.frames} frames" if isinstance(message, End) else type(message).__name__
    events = message.events
    bad = {r.name.lower(): int(np.count_nonzero(events["reason"] & r)) for r in Reason if r.name}
    why = ", ".join(f"{n} {name}" for name, n in bad.items() if n)
    age = f", {(now_ns() - message.trace[0]) * 1e-6:.0f} ms old" if message.trace else ""
    text = f"read-out {message.sequence}{age}: {int(np.count_nonzero(events['reason'] == 0))} events"
    text += f", {int(np.count_nonzero(events['reason']))} rejected" + (f" ({why})" if why else "")
    text += f", {len(message.tracks)} tracks"
    good = events[events["reason"] == 0]
    if len(good):
        best = good[np.argmax(good["energy_ev"])]
        text += (
            f"; brightest {best['energy_ev'] * 1e-3:.2f} keV in quadrant {best['quadrant']} at {best['x']}, {best['y']}"
        )
    return text + (f"; {message.sequence - last - 1} not shown" if last >= 0 else "")
