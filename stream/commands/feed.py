"""Sending a stream to a daemon as a camera would."""

import json
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress

from stream.clock import now_ns
from stream.errors import ConfigError, LinkError
from stream.messages import Frame, Message, Product
from stream.transport.keys import peer_keys
from stream.transport.link import CLOSE_S, Push
from stream.wiring import TABLE

LATE_NS = 20_000_000  # after its time, when it has been sent: the source or the link does not keep up
BEHIND_S = 1.0  # said in words: the latencies are then those of a queue that grows
SKY_CLOSE_S = 600.0  # a search of the whole sky may follow each of the messages that still wait
START_LEAD_S = 0.5  # at its real rate a camera announces a run this long before the first frame


def push_to(url: str, keys: Path | None = None, peer: str = "camera") -> Push:
    """Connect to a daemon, with the keys of a peer if a folder of keys is given."""
    return Push(url, queue=TABLE[0].queue, bind=False, keys=peer_keys(keys, peer) if keys else None)


def feed(messages: Iterator[Message], push: Push, speed: float, frames: int | None, wait_s: float) -> dict[str, Any]:
    """Send messages at `speed` times real time (0: as fast as possible); return what was sent.

    That is frames or photons, how many were late and by how much at most, seconds.
    frames: how many are expected, for the progress bar; None: not known. Photons are counted if there are any. Closes
    the link.
    Raises LinkError if it refuses our keys, or no reader takes a message for `wait_s`.
    """
    url = push.url
    if speed > 0 and not push.wait_for_reader(wait_s):  # else the camera's clock would run while a daemon gets warm
        push.close(timeout_s=0)
        raise LinkError(f"{url}: no reader came within {wait_s:g} s: nothing was sent")
    began, sent, late, photons, latest_ns = time.monotonic(), 0, 0, 0, 0
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(f"to {url}", total=frames)
        for message in _paced(messages, speed):
            if not push.send(message, timeout_s=wait_s):
                raise LinkError(f"{url}: no reader took a message for {wait_s:g} s; the last of {sent} frames are lost")
            if isinstance(message, Frame):
                began = began if sent else time.monotonic()
                sent += 1
                behind_ns = now_ns() - message.trace[0] if speed > 0 else 0
                late += behind_ns > LATE_NS
                latest_ns = max(latest_ns, behind_ns)
                if sent % 100 == 0:
                    progress.update(task, completed=sent)
            elif isinstance(message, Product):
                photons += len(message.tables.get("PHOTONS", ()))
    wall = max(time.monotonic() - began, 1e-9)
    push.close(timeout_s=SKY_CLOSE_S if photons else CLOSE_S, come_s=wait_s)
    used = os.times()
    found: dict[str, Any] = {"photons": photons} if photons else {"frames": sent}
    found |= {"late": late, "latest_s": round(latest_ns * 1e-9, 3)}
    return {**found, "wall_s": round(wall, 3), "cpu_s": round(used.user + used.system, 3)}


def say(account: dict[str, Any], as_json: bool) -> None:
    """Print what `feed` returned."""
    what = "photons" if "photons" in account else "frames"
    frames, wall = account[what], account["wall_s"]
    late = f"; {account['late']} more than {LATE_NS / 1e6:.0f} ms late" if account["late"] else ""
    click.echo(f"sent {frames} {what} in {wall:.2f} s: {frames / max(wall, 1e-3):.0f} {what}/s{late}")
    if account["latest_s"] > BEHIND_S:
        click.echo(
            f"fell behind by {account['latest_s']:.1f} s: this machine is too slow for this rate, or busy with "
            "something else (--rate 0.5: half as fast)"
        )
    if as_json:
        click.echo(json.dumps(account))


def speed_of(rate: str) -> float:
    """Return the multiple of real time; 0 for as fast as possible."""
    if rate in ("live", "max"):
        return 1.0 if rate == "live" else 0.0
    try:
        speed = float(rate)
    except ValueError:
        speed = -1.0
    if not 0 < speed < float("inf"):
        raise ConfigError(f"--rate {rate}: expected live, max or a positive number")
    return speed


def _paced(messages: Iterator[Message], speed: float) -> Iterator[Message]:
    """Yield each frame when its detector time has come; stamp it as captured then. A product comes at its end."""
    first: tuple[int, int] | None = None
    for message in messages:
        if isinstance(message, Frame | Product):
            if first is None:
                time.sleep(START_LEAD_S if speed > 0 else 0)
                first = message.time_ns, now_ns()
            stamp = now_ns()
            if speed > 0:
                due = first[1] + int((message.time_ns - first[0]) / speed)
                while (left := due - now_ns()) > 0:
                    time.sleep(left * 1e-9)
                stamp = due  # not when it could be sent: a full link must show in the latencies
            if isinstance(message, Frame):
                message = replace(message, trace=(stamp,))
        yield message
