"""`raysieve demo`: the main job, start to end, on a recording made on the spot."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

import click
from rich.console import Console, Group
from rich.table import Table

from config.load import load
from stream.commands.top import latency_table
from stream.errors import LinkError
from stream.status import read
from stream.wiring import TABLE, url_of

DARK_READOUTS, READOUTS, LOOPS = 100, 400, 5
ENDLESS = 1_000_000  # loops: three weeks
VIEW_PORT = 8643
VIEW_NEEDS = ("bokeh", "starlette", "uvicorn")  # the view extra


@click.command()
@click.option("--config", "config_name", default="wfi", help="A TOML file, or a shipped name.")
@click.option("--out", default="out", type=click.Path(path_type=Path), help="Folder for everything made.")
@click.option("--loops", default=LOOPS, type=click.IntRange(1), help="How often the recording is repeated (2 s each).")
@click.option("--serve", is_flag=True, help="Keep the daemon and its view running until ctrl-C; then report.")
def demo(config_name: str, out: Path, loops: int, serve: bool) -> None:
    """Simulate a camera, run the daemon on it at its real rate, report, and plot what came out.

    The daemon can be watched in the browser meanwhile.

    Example: raysieve demo --out out
    """
    loops = ENDLESS if serve else loops
    console = Console(highlight=False)
    out.mkdir(parents=True, exist_ok=True)
    config = load(config_name)
    dark, observation, maps = out / "dark.h5", out / "demo.h5", out / "maps.h5"
    name = config.detector.instrument
    console.print(f"[bold]1/5[/] simulating {name}: a dark run, and {READOUTS} read-outs with X-rays and cosmic rays")
    camera = ["--config", config_name, "--seed", "1", "--overwrite"]
    _raysieve("simulate", "wfi", str(dark), *camera, "--readouts", str(DARK_READOUTS), "--dark")
    _raysieve("simulate", "wfi", str(observation), *camera, "--readouts", str(READOUTS))
    console.print("[bold]2/5[/] offset, noise and bad-pixel maps from the dark run")
    _raysieve("calibrate-dark", str(dark), str(maps), "--overwrite")
    often = "until ctrl-C" if serve else f"{loops} times"
    console.print(f"[bold]3/5[/] the daemon, fed at its real rate: {often} the same {READOUTS} read-outs")
    url = url_of(TABLE[0].link, config.links)
    for old in (out / ".status").glob("*.json"):
        old.unlink()
    settings = ["--set", f"correct.maps={maps}", "--out", str(out)]
    with _view(config_name, settings, console, serve):
        daemon = subprocess.Popen(_command("run", config_name, *settings, "--once", "--overwrite"))
        try:
            _wait_until_ready(daemon, out)
            _feed(observation, url, loops)
            if daemon.wait(timeout=60) != 0:
                raise LinkError("the daemon failed; see its message above")
        finally:
            if daemon.poll() is None:
                daemon.terminate()
                daemon.wait(30)
    console.print("[bold]4/5[/] what came out")
    _raysieve("inspect", str(out / "events.fits"), "--plot", str(out))
    console.print("[bold]5/5[/] what really made the events, and those that were rejected")
    _raysieve("simulate", "label", str(out / "events.fits"), str(observation))
    sent = None if serve else loops * READOUTS * len(config.detector.quadrants)
    console.print(_report(out, sent))


@contextmanager
def _view(config_name: str, settings: list[str], console: Console, serve: bool) -> Iterator[None]:
    """Show the daemon in the browser meanwhile, where the view can be installed, and say at which address."""
    if not all(find_spec(name) for name in VIEW_NEEDS):
        console.print("no view of it: not installed here, pip install -e '.[view]'", markup=False)
        yield
        return
    command = _command("view", config_name, *settings, "--port", str(_free_port()))
    view = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)  # ctrl-C is not for it
    try:
        assert view.stdout is not None
        told = view.stdout.readline().strip() or "no view of it; see its message above"
        console.print(told if serve else f"{told} (to keep it: raysieve demo --serve)", markup=False)
        yield
    finally:
        view.terminate()
        view.communicate(timeout=30)


def _free_port() -> int:
    """Return the port of the view, or 0, for any, where another program has that one."""
    with socket.socket() as trial, suppress(OSError):
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        trial.bind(("127.0.0.1", VIEW_PORT))
        return VIEW_PORT
    return 0


def _feed(observation: Path, url: str, loops: int) -> None:
    """Replay the observation to its end, or until ctrl-C, which the daemon hears as well."""
    command = _command("replay", str(observation), "--to", url, "--loop", str(loops))
    feed = subprocess.Popen(command, start_new_session=True)
    try:
        failed = feed.wait() != 0
    except KeyboardInterrupt:
        feed.terminate()
        feed.wait(30)
        return
    if failed:
        raise LinkError("raysieve replay failed; see its message above")


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "raysieve", *arguments]


def _raysieve(*arguments: str) -> None:
    if subprocess.run(_command(*arguments), check=False).returncode:
        raise LinkError(f"raysieve {' '.join(arguments)} failed; see its message above")


def _wait_until_ready(daemon: "subprocess.Popen[bytes]", out: Path, patience_s: float = 90) -> None:
    """Wait until every process of the daemon has reported once: then its kernels are compiled."""
    deadline = time.monotonic() + patience_s
    wanted = [out / ".status" / f"{name}.json" for name in dict.fromkeys(row.process for row in TABLE)]
    while not all(path.is_file() for path in wanted):
        if daemon.poll() is not None or time.monotonic() > deadline:
            raise LinkError("the daemon did not become ready; see its message above")
        time.sleep(0.1)


def _report(out: Path, frames: int | None) -> Group:
    """Return the account of the run: frames (None: not known), losses, events by pattern, latencies by stage."""
    status = read(out)
    detect, screen, record = (status[name] for name in ("detect", "screen", "record"))
    counters, received = detect["counters"], detect["stages"].get("receive", {})
    found = screen["counters"]  # the same as those of detect, less what was screened out
    account = Table(box=None, show_header=False, pad_edge=False)
    if frames is not None:
        account.add_row("frames sent", str(frames))
    account.add_row("frames taken", str(counters.get("in_Frame", 0)))
    account.add_row("frames lost", str(received.get("lost", 0)))
    account.add_row("read-outs recorded", str(record["counters"].get("in_EventList", 0)))
    patterns = ", ".join(f"{found.get(name, 0)} {name}s" for name in ("single", "double", "triple", "quad"))
    account.add_row("events", f"{found.get('events', 0)}: {patterns}")
    account.add_row("rejected, tracks", f"{found.get('rejected', 0)}, {counters.get('tracks', 0)}")
    account.add_row("bad pixels", str(counters.get("bad_pixels", 0)))
    account.add_row("CPU", ", ".join(f"{name} {s['cpu_s']:.1f} s" for name, s in status.items()))
    return Group("", account, "", latency_table(status))
