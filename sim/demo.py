"""`raysieve demo`: the main job, start to end, on a recording made on the spot."""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
from rich.console import Console, Group
from rich.table import Table

from config.errors import ConfigError
from config.extra import installed_by
from config.folder import folder_to_write
from config.load import load
from config.schema import Config
from sim.commands.scene import STRAIGHT
from sim.hit_library import HitLibrary, shipped
from sim.particles import Pixels
from stream.commands.top import latency_table
from stream.errors import LinkError
from stream.status import read
from stream.wiring import TABLE, url_of

DARK_READOUTS, READOUTS, LOOPS = 100, 400, 5
ENDLESS = 1_000_000  # loops: three weeks
VIEW_PORT = 8643
VIEW_NEEDS = ("bokeh", "starlette", "uvicorn")  # the view extra
PR_SET_PDEATHSIG = 1  # of linux/prctl.h
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


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
    config = load(config_name)
    if not config.detector.quadrants:
        raise ConfigError(f"{config_name}: no detector.quadrants: no camera to simulate; expected one with, as wfi")
    folder_to_write(out)
    with _signals_as_ctrl_c():
        _demo(config_name, config, out, loops, serve)


def _demo(config_name: str, config: Config, out: Path, loops: int, serve: bool) -> None:
    loops = ENDLESS if serve else loops
    console = Console(highlight=False)
    dark, observation, maps = out / "dark.h5", out / "demo.h5", out / "maps.h5"
    name = config.detector.instrument
    console.print(f"[bold]1/5[/] simulating {name}: a dark run, and {READOUTS} read-outs with X-rays and cosmic rays")
    camera = ["--config", config_name, "--seed", "1", "--overwrite"]
    _raysieve("simulate", "wfi", str(dark), *camera, "--readouts", str(DARK_READOUTS), "--dark")
    hits = _hits_for(config, console)
    _raysieve("simulate", "wfi", str(observation), *camera, "--readouts", str(READOUTS), *hits)
    console.print("[bold]2/5[/] offset, noise and bad-pixel maps from the dark run")
    _raysieve("calibrate-dark", str(dark), str(maps), "--overwrite")
    often = "until ctrl-C" if serve else f"{loops} times"
    console.print(f"[bold]3/5[/] the daemon, fed at its real rate: {often} the same {READOUTS} read-outs")
    url = url_of(TABLE[0].link, config.links)
    for old in (out / ".status").glob("*.json"):
        old.unlink()
    settings = ["--set", f"correct.maps={maps}", "--out", str(out)]
    with _view(config_name, settings, console, serve):
        daemon = _start("run", config_name, *settings, "--once", "--overwrite")
        try:
            _wait_until_ready(daemon, out)
            _feed(observation, url, loops, daemon)
            if daemon.wait(timeout=60) != 0:
                raise LinkError("the daemon failed; see its message above")
        finally:
            if daemon.poll() is None:
                daemon.terminate()
                daemon.wait(30)
    if not (out / "events.fits").is_file():
        raise LinkError("ended before the first frame was recorded: there is nothing to show")
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
        console.print(f"no view of it: not installed here, {installed_by('view')}", markup=False)
        yield
        return
    asked = ("view", config_name, *settings, "--port", str(_free_port()))
    view = _start(*asked, stdout=subprocess.PIPE, text=True, start_new_session=True)  # ctrl-C is not for it
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


def _feed(observation: Path, url: str, loops: int, daemon: "subprocess.Popen[Any]") -> None:
    """Replay the observation to its end, or until ctrl-C; then the daemon is asked to end, too."""
    feed = _start("replay", str(observation), "--to", url, "--loop", str(loops), start_new_session=True)
    try:
        failed = feed.wait() != 0
    except KeyboardInterrupt:
        daemon.terminate()  # has heard a ctrl-C itself, and takes this for its echo; but not a signal to us alone
        feed.terminate()
        feed.wait(30)
        return
    if failed:
        raise LinkError("raysieve replay failed; see its message above")


def _hits_for(config: Config, console: Console) -> tuple[str, ...]:
    """Return the option of the cosmic rays: straight tracks, said so, for a camera that the shipped hits do not fit."""
    try:
        Pixels(HitLibrary(shipped()), config.simulate.sensor, config.detector)
    except ConfigError:
        console.print(f"cosmic rays: straight tracks, as {shipped().name} is of another camera")
        return ("--hits", STRAIGHT)
    return ()


@contextmanager
def _signals_as_ctrl_c() -> Iterator[None]:
    """Let SIGTERM, and SIGHUP unless nohup set it aside, end the demo as ctrl-C does."""
    numbers = [n for n in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) is not signal.SIG_IGN]
    before = {number: signal.signal(number, signal.default_int_handler) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _dies_with_us() -> Callable[[], None] | None:
    """Return what a child does first, so that it is told to end when this process is gone, however it went."""
    if sys.platform != "linux":
        return None
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def bind() -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
        prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM))
        if os.getppid() != parent:  # gone already
            os._exit(1)

    return bind


def _start(*arguments: str, **how: Any) -> "subprocess.Popen[Any]":
    """Start a command of ours. Signals wait meanwhile: what they raise while a process forks, Python drops."""
    command, first = [sys.executable, "-m", "raysieve", *arguments], _dies_with_us()
    if first is None:
        return subprocess.Popen(command, **how)
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        return subprocess.Popen(command, preexec_fn=first, **how)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)


def _raysieve(*arguments: str) -> None:
    """Run a command of ours to its end; an interruption ends it as well. Raises LinkError if it failed."""
    command = _start(*arguments)
    try:
        failed = command.wait()
    finally:
        command.terminate()
        command.wait()
    if failed:
        raise LinkError(f"raysieve {' '.join(arguments)} failed; see its message above")


def _wait_until_ready(daemon: "subprocess.Popen[Any]", out: Path, patience_s: float = 90) -> None:
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
