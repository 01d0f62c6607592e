"""Starts the processes of the table, watches them, drains them."""

import itertools
import json
import math
import multiprocessing
import os
import re
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from config.schema import Config
from stream.errors import ConfigError, LinkError, RaysieveError
from stream.messages import End, Message, Start
from stream.runner import Runner
from stream.transport.eventlist import EventListWriter
from stream.transport.inproc import Sink
from stream.transport.keys import daemon_keys
from stream.transport.link import Pull, Push
from stream.transport.maps import read_maps
from stream.wiring import build, limits_of, link_after, processes, rows_of, url_of

ECHO_S = 1.0  # signals so soon after the first are the same wish
DEAD_S = 3.0  # how long the others may take once a process has died
DRAIN_S = 20.0  # what has been accepted must be on disk within this time after a stop


class Supervisor:
    """One daemon: a process for each process of the table, started last to first so that every link has its reader."""

    def __init__(self, config: Config, out: Path, *, once: bool, overwrite: bool) -> None:
        self._status = out / ".status"
        self._status.mkdir(parents=True, exist_ok=True)
        for old in (*self._status.glob("*.json"), *self._status.glob("*.error")):
            old.unlink()
        self._stopping = False
        self._asked: set[str] = set()
        self._asked_at = 0.0
        self._patience_s = DRAIN_S
        context = multiprocessing.get_context("spawn")
        arguments = (config.model_dump_json(), str(out), once, overwrite)
        self._processes: dict[str, BaseProcess] = {
            name: context.Process(target=run_process, args=(name, *arguments), name=f"raysieve-{name}")
            for name in reversed(processes())
        }

    def run(self, show: Callable[[dict[str, Any]], None], ready: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
        """Run until the stream is over or a signal asks for the end; return the last status of every process.

        `show` gets the status four times a second, `ready` gets it once, when all processes are warm.
        Raises LinkError naming the process that died.
        """
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._ask_to_stop)
        for process in self._processes.values():
            process.start()
        announced = False
        try:
            while any(p.is_alive() for p in self._processes.values()):
                self._check()
                status = self.status()
                if not announced and len(status) == len(self._processes):
                    announced = True
                    ready(status)
                show(status)
                if self._stopping:
                    self._stop_next()
                time.sleep(0.25)
            self._check()
        finally:
            self._end()
        return self.status()

    def status(self) -> dict[str, Any]:
        """Return the newest status of every process that has one."""
        found = {}
        for name in processes():
            path = self._status / f"{name}.json"
            if path.is_file():
                found[name] = json.loads(path.read_text())
        return found

    def _ask_to_stop(self, *_: object) -> None:
        """Drain; a second signal ends at once, but not the echo of the first that `timeout` and others send."""
        if self._stopping and time.monotonic() - self._asked_at > ECHO_S:
            for process in self._processes.values():
                process.kill()
        if not self._stopping:
            self._asked_at = time.monotonic()
        self._stopping = True

    def _stop_next(self) -> None:
        """Drain in the order of the data: a process is asked to end when the one before it has ended."""
        for name in processes():
            process = self._processes[name]
            if process.is_alive():
                if name not in self._asked:
                    self._asked.add(name)
                    _drain(process)
                return

    def _check(self) -> None:
        for name, process in self._processes.items():
            unborn = self._stopping and not (self._status / f"{name}.json").is_file()  # had nothing yet to lose
            if process.exitcode not in (None, 0) and not unborn:
                self._patience_s = DEAD_S  # the others wait for it in vain
                reason = self._status / f"{name}.error"
                text = reason.read_text().strip() if reason.is_file() else f"exit code {process.exitcode}"
                raise LinkError(f"process {name} died: {text}")

    def _end(self) -> None:
        deadline = time.monotonic() + self._patience_s
        for name in processes():
            process = self._processes[name]
            if process.pid is None:
                continue
            if process.is_alive():
                _drain(process)
            process.join(max(0.1, deadline - time.monotonic()))
            if process.is_alive():
                process.kill()
                process.join()


def _drain(process: BaseProcess) -> None:
    """Ask a process to finish what it has accepted. Signals to the whole group are for the supervisor alone."""
    if process.pid is not None:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGUSR1)


def run_process(name: str, config_json: str, out: str, once: bool, overwrite: bool) -> None:
    """Run one process of the table (the entry point of a child)."""
    stop = [False]
    for number in (signal.SIGINT, signal.SIGTERM):  # the supervisor's: it drains in the order of the data
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, lambda *_: stop.__setitem__(0, True))
    status = Path(out) / ".status" / f"{name}.json"
    supervisor = os.getppid()  # a process whose supervisor was killed drains and ends, or it would hold its link
    try:
        config = Config.model_validate_json(config_json)
        _serve(name, config, Path(out), once, overwrite, status, lambda: stop[0] or os.getppid() != supervisor)
    except RaysieveError as fault:
        status.with_suffix(".error").write_text(str(fault))
        raise SystemExit(1) from None
    except Exception as fault:
        status.with_suffix(".error").write_text(f"{type(fault).__name__}: {fault}")
        raise
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # all is done: a late signal must not look like a crash


class StreamFolders:
    """Writes every stream into a folder of its own, named by its run."""

    def __init__(self, out: Path) -> None:
        """Recover what a killed daemon has left in the folders of its streams."""
        self._out = out
        self._writer: EventListWriter | None = None
        for parts in sorted(out.glob("*/.events.parts")):
            with suppress(ConfigError):  # it recovers first, and then refuses to write over finished lists
                EventListWriter(parts.parent).close()

    def send(self, message: Message) -> None:
        """Open a folder at Start, finish it at End."""
        if isinstance(message, Start):
            self.close()
            self._writer = EventListWriter(self._new_folder(message.run_id))
        if self._writer is not None:
            self._writer.send(message)
        if isinstance(message, End):
            self.close()

    def close(self) -> None:
        """Finish the open event list."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _new_folder(self, run_id: str) -> Path:
        name = re.sub(r"[^\w.-]+", "_", run_id).strip(".") or "run"
        taken = (self._out / (name if n == 1 else f"{name}_{n}") for n in itertools.count(1))
        return next(folder for folder in taken if not folder.exists())


class LinkSink:
    """Sends everything on, and waits while the link is full: nothing is lost here."""

    def __init__(self, push: Push, stopping: Callable[[], bool]) -> None:
        self._push, self._stopping = push, stopping

    def send(self, message: Message) -> None:
        """Send one message; raises LinkError if the reader is gone while we are asked to stop."""
        refused = 0
        while not self._push.send(message, timeout_s=1.0):
            refused += 1
            if self._stopping() and refused > DRAIN_S / 2:
                raise LinkError("the next process takes no messages; what it had not taken is lost")

    def close(self) -> None:
        """Wait until the last message is with the reader."""
        self._push.close()


def _serve(
    name: str, config: Config, out: Path, once: bool, overwrite: bool, status: Path, stopping: Callable[[], bool]
) -> None:
    maps = read_maps(Path(config.correct.maps)) if config.correct.maps else {}
    rows = rows_of(name)
    if not maps and config.correct.common_mode != "none" and any(row.stage == "correct" for row in rows):
        raise ConfigError("correct.maps: no map file; make one with `raysieve calibrate-dark` and name it with --set")
    links, samples, first = config.links, out / ".quarantine", name == processes()[0]
    keys = daemon_keys(Path(links.keys), inside=not first) if links.keys else None
    fed, limits = rows[0], limits_of(rows[0].link, config)
    source = Pull(url_of(fed.link, links), queue=fed.queue, bind=True, limits=limits, quarantine=samples, keys=keys)
    # Only the first process hears the source itself; the others are told of its end.
    silence_s = links.silence_s if first else math.inf
    stages = [build(row.stage, config, maps) for row in rows]
    after = link_after(name)
    sink: Sink
    if after is None:
        sink = EventListWriter(out, overwrite=overwrite) if once else StreamFolders(out)
    else:
        sink = LinkSink(Push(url_of(after.link, links), queue=after.queue, bind=False, keys=keys), stopping)
    try:
        Runner(name, source, stages, sink, status).run(stopping, silence_s, once)
    finally:
        source.close()
