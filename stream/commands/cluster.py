"""`raysieve process --scheduler`: one recording a task, on the workers of a Dask cluster (extra `cluster`).

A worker writes into a folder of its own below the recording's, OUT/.tries/WHO. This process alone puts what comes back
in place: however often a lost worker's work is done again, there is one result.
"""

import logging
import os
import re
import shutil
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import uuid4

import click
from rich.console import Console
from rich.progress import Progress

from config.extra import extra
from stream.commands.job import Advance, Job, carry_out, naming
from stream.errors import ConfigError, LinkError, RaysieveError, StageError
from stream.transport.eventlist import EventListWriter
from stream.transport.fitsfile import disk_faults, sync_folder

LOCAL = "local"
PATIENCE_S = 5.0  # for a scheduler to answer
IN_FLIGHT = 256  # recordings that are given away at once: each of them keeps a lock, an open file
TELL_S = 0.5  # between two words of a worker on how far it is
TRIES = ".tries"


@dataclass(frozen=True, slots=True)
class Done:
    """What a worker gives back of a recording: what is to be told, and its event lists or the fault."""

    lines: tuple[str, ...] = ()
    written: tuple[Path, ...] = ()
    fault: RaysieveError | None = None


def spread(jobs: Sequence[Job], address: str, *, overwrite: bool = False) -> None:
    """Carry out all jobs on a cluster: `local` (a process for each core), or a scheduler's address.

    What is good is delivered and told, whatever becomes of the others. Raises ConfigError without the extra or for no
    address, LinkError if nobody answers there, and at the end what went wrong, a line for each recording.
    """
    faults: list[RaysieveError] = []
    count = 0
    with _client(address, len(jobs)) as client, Progress(console=Console(stderr=True), transient=True) as progress:
        try:
            for done in _Spread(client, overwrite, progress).run(jobs):
                count += 1
                _tell(done)
                faults += [done.fault] if done.fault else []
        except _lost():
            faults.append(
                LinkError(f"--scheduler {address}: lost: {len(jobs) - count} of {len(jobs)} recordings not done")
            )
    if len(faults) == 1:
        raise faults[0]
    if faults:
        raise RaysieveError("\n".join(map(str, faults)))


def _tell(done: Done) -> None:
    for line in done.lines:
        click.echo(line, err=True)
    for path in done.written:
        click.echo(str(path))


def attempt(job: Job, topic: str, number: int) -> Done:
    """Carry out one job in a folder of its own within the job's (the task: it runs on a worker)."""
    who = f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:8]}"
    lines: list[str] = []
    try:
        written = carry_out(replace(job, folder=job.folder / who), lines.append, _advance(topic, number))
    except RaysieveError as fault:
        return Done(tuple(lines), fault=fault)
    return Done(tuple(lines), tuple(written))


def _advance(topic: str, number: int) -> Advance:
    from distributed import get_worker

    worker, last = get_worker(), 0.0

    def advance(done: int, of: int) -> None:
        nonlocal last
        if time.monotonic() - last > TELL_S:
            last = time.monotonic()
            worker.log_event(topic, {"job": number, "done": done, "of": of})

    return advance


class Place:
    """The folder for a recording's event lists, locked while somebody works for it.

    Raises ConfigError or LinkError as EventListWriter does: for lists that are there already, for another process that
    writes here, for a disk that refuses.
    """

    def __init__(self, folder: Path, *, overwrite: bool = False) -> None:
        self._folder, self._lock = folder, EventListWriter(folder, overwrite=overwrite)
        self._clean()  # of a run that was killed

    @property
    def tries(self) -> Path:
        """Where workers make their folders."""
        return self._folder.absolute() / TRIES

    def put(self, written: Sequence[Path]) -> tuple[Path, ...]:
        """Move whole event lists in place; return where they are now. Raises LinkError if the disk refuses."""
        places = tuple(self._folder / path.name for path in written)
        for path, place in zip(written, places, strict=True):
            with disk_faults(place):
                os.replace(path, place)
        with disk_faults(self._folder):
            sync_folder(self._folder)
        return places

    def close(self) -> None:
        """Remove what tries have left, and unlock."""
        self._clean()
        self._lock.close()

    def _clean(self) -> None:
        shutil.rmtree(self._folder / TRIES, ignore_errors=True)  # one that was given up may still write there


class _Spread:
    """Gives jobs to a cluster and takes back what was done; one bar for all, one for each that runs."""

    def __init__(self, client: Any, overwrite: bool, progress: Progress) -> None:
        self._client, self._overwrite, self._progress = client, overwrite, progress
        self._topic = f"raysieve-{uuid4().hex}"
        self._running: dict[Any, tuple[int, Job, Place]] = {}
        self._bars: dict[int, Any] = {}
        self._names: dict[int, str] = {}

    def run(self, jobs: Sequence[Job]) -> Iterator[Done]:
        """Yield what was done, in the order in which it was."""
        from distributed import as_completed

        self._client.subscribe_topic(self._topic, self._hear)
        whole = self._progress.add_task("recordings", total=len(jobs))
        waiting, finished = iter(enumerate(jobs)), as_completed(loop=self._client.loop)
        try:
            while True:
                for number, job in islice(waiting, IN_FLIGHT - len(self._running)):
                    if (done := self._give(number, job, finished)) is not None:
                        yield done
                        self._progress.advance(whole)
                if not self._running:
                    return
                yield self._take(next(finished))
                self._progress.advance(whole)
        finally:
            for future, (_, _, place) in self._running.items():
                future.cancel()
                place.close()

    def _give(self, number: int, job: Job, finished: Any) -> Done | None:
        """Give a job to the cluster; return what is wrong if its folder cannot be had."""
        try:
            with naming(job):
                place = Place(job.folder, overwrite=self._overwrite)
        except RaysieveError as fault:
            return Done(fault=fault)
        away = replace(
            job, path=job.path.absolute(), folder=place.tries, maps=job.maps.absolute() if job.maps else None
        )
        future = self._client.submit(attempt, away, self._topic, number, pure=False)
        self._names[number] = job.path.name
        self._running[future] = number, job, place
        finished.add(future)
        return None

    def _take(self, future: Any) -> Done:
        """Put what came back in place."""
        number, job, place = self._running.pop(future)
        self._names.pop(number)
        if (bar := self._bars.pop(number, None)) is not None:
            self._progress.remove_task(bar)
        try:
            with naming(job):
                done = _result(future)
                return replace(done, written=place.put(done.written))
        except RaysieveError as fault:
            return Done(fault=fault)
        finally:
            place.close()

    def _hear(self, event: tuple[float, dict[str, int]]) -> None:
        """Move the bar of a job that runs."""
        number, done, of = (event[1][key] for key in ("job", "done", "of"))
        if (name := self._names.get(number)) is None:
            return
        if number not in self._bars:
            self._bars[number] = self._progress.add_task(name, total=of)
        self._progress.update(self._bars[number], completed=done)


def _result(future: Any) -> Done:
    """Return what a worker gave back. Raises LinkError if workers die of it, StageError for a bug."""
    from distributed import KilledWorker

    try:
        return future.result()
    except _lost():
        raise
    except KilledWorker as fault:
        raise LinkError(f"{fault.allowed_failures + 1} workers died of it, one after the other") from None
    except Exception as fault:
        raise StageError(f"on a worker: {type(fault).__name__}: {' '.join(str(fault).split())}") from fault


def _lost() -> type[BaseException]:
    """Return what is raised for every task when the scheduler has gone."""
    from distributed import CancelledError

    return CancelledError


@contextmanager
def _client(address: str, most: int) -> Iterator[Any]:
    """Yield a client of a scheduler, or of workers of our own: one for each core, no more than are wanted."""
    with extra("cluster"):
        import distributed
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # what is lost is told here, in one line
    if address == LOCAL:
        with _opened(address, lambda: _own(most)) as cluster, distributed.Client(cluster) as client:
            yield client
        return
    if not re.fullmatch(r"(tcp|tls)://[^/\s]+:\d+", address):
        raise ConfigError(f"--scheduler {address}: expected local, tcp://HOST:PORT or tls://HOST:PORT")
    with _opened(address, lambda: distributed.Client(address, timeout=PATIENCE_S)) as client:
        if not client.scheduler_info()["workers"]:
            click.echo(f"{address}: no workers there: waiting for them", err=True)
        yield client


@contextmanager
def _opened(address: str, open_it: Callable[[], Any]) -> Iterator[Any]:
    try:
        opened = open_it()
    except (OSError, RuntimeError, ValueError) as fault:
        reason = " ".join(str(fault).split())
        raise LinkError(f"--scheduler {address}: no Dask scheduler answers: {reason}") from None
    with opened:
        yield opened


def _own(most: int) -> Any:
    """Start processes on this machine: on loopback only, without a page."""
    import dask
    import distributed

    with dask.config.set({"distributed.scheduler.http.routes": [], "distributed.worker.http.routes": []}):
        return distributed.LocalCluster(
            n_workers=min(most, dask.system.CPU_COUNT),
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address=None,
            silence_logs=logging.ERROR,  # that a worker is started again, or slow to end, changes nothing
            scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},  # else a port is taken that may be another's
            security=find_spec("cryptography") is not None or None,  # else any user of this machine may give it work
        )
