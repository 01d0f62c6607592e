"""A production: batches of primaries in worker processes, each kept as it is done, joined into one hit library."""

import json
import os
import shutil
import signal
import threading
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from config.errors import ConfigError
from sim.check import folder_for
from sim.extra import import_geant4
from sim.geant4 import worker
from sim.geant4.batch import NAMES, Order, part_of
from sim.geant4.compact import Names
from sim.geant4.data_files import VERSION, provide, variables
from sim.geant4.geometry import SHIPPED, digest_of
from sim.geant4.spectrum import per_second
from sim.hit_library import LibraryWriter, Production

EXCEPTION, FATAL = "G4Exception-START", "*** Fatal"  # around what Geant4 says before it ends a process


def produce(
    out: Path,
    order: Order,
    batches: int,
    workers: int,
    data: Path,
    progress: Callable[[int], object] = lambda done: None,
    keep_parts: bool = False,
) -> Production:
    """Make the hit library `out`; go on where an earlier run of the same order stopped.

    progress is called with the number of batches done. Raises ConfigError without the sim extra, for folders that
    cannot be written, for parts of another production, and if Geant4 ends a worker (with its last words).
    """
    folder_for(out)
    _check_extra(provide(data))
    parts = out.with_name(out.name + ".parts")
    _open_parts(parts, order)
    missing = [number for number in range(batches) if not part_of(parts, number).is_file()]
    progress(batches - len(missing))
    if missing:
        _run(parts, order, missing, min(workers, len(missing)), data, lambda done: progress(batches - done))
    with _uninterrupted():
        try:
            production = join_parts(out, order, [part_of(parts, number) for number in range(batches)])
        except NoSignalError:
            if not keep_parts:
                shutil.rmtree(parts)  # nothing in them; after any other fault they stay
            raise
        if not keep_parts:
            shutil.rmtree(parts)
    return production


class NoSignalError(ConfigError):
    """Not one primary of a production left energy in silicon."""


def join_parts(out: Path, order: Order, parts: Iterable[Path]) -> Production:
    """Write the parts into one library, in their order, and return its description.

    Raises NoSignalError if no primary left a signal, ConfigError for a damaged part, LinkError if the disk refuses.
    """
    parts = list(parts)
    names = {name: Names() for name in NAMES}
    for path in parts:
        with _reading(path) as part:
            for name in NAMES:
                names[name].number(part[name])
    production = describe(order, len(parts), names)
    hit = 0
    with LibraryWriter(out, production) as writer:
        for path in parts:
            with _reading(path) as part:
                segments = part["segments"]
                for name, column in zip(NAMES, ("creator", "origin"), strict=True):
                    segments[column] = names[name].number(part[name][segments[column]])
                writer.write(part["primaries"], segments, part["steps"])
                hit += len(part["primaries"])
        if not hit:
            raise NoSignalError(f"{out}: expected more primaries: none of {production.aimed} left a signal")
    return production


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Put ctrl-C off for some seconds: HDF5 does not survive it in the middle of a call."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _reading(path: Path) -> Iterator[Any]:
    """Open a part. Raises ConfigError if it is damaged."""
    try:
        with path.open("rb") as file, np.load(file) as part:
            yield part
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, zlib.error) as fault:
        raise ConfigError(f"{path}: damaged part ({fault}); remove it and run the same command again") from None


def describe(order: Order, batches: int, names: dict[str, Names]) -> Production:
    """Return what so many batches stand for."""
    geometry, aimed = order.geometry, batches * order.batch
    wafers = geometry.wafers
    return Production(
        geometry=geometry.name,
        geometry_toml=order.geometry_toml,
        geometry_digest=digest_of(geometry),
        physics=order.physics,
        data_files=VERSION,
        phi_gv=order.phi_gv,
        seed=order.seed,
        batch=order.batch,
        aimed=aimed,
        sphere_primaries=aimed / geometry.aimed_fraction,
        protons_per_s=per_second(geometry.sphere_radius_mm),
        area_cm2=geometry.area_cm2,
        rows=wafers.rows,
        columns=wafers.columns,
        pixel_um=wafers.pixel_um,
        thickness_um=wafers.thickness_um,
        quadrants=tuple(q.id for q in wafers.quadrants),
        processes=tuple(names["processes"].names),
        volumes=tuple(names["volumes"].names),
        command=f"raysieve simulate hits OUT --geometry {_named(order)} --aimed {aimed} --batch {order.batch} "
        f"--physics {order.physics} --phi-gv {order.phi_gv:g} --seed {order.seed}",
    )


def _named(order: Order) -> str:
    """Return what to give as --geometry: a shipped name, or a file with the text that the library keeps."""
    shipped = SHIPPED / f"{order.geometry.name}.toml"
    same = shipped.is_file() and shipped.read_text() == order.geometry_toml
    return order.geometry.name if same else f"{order.geometry.name}.toml"


def _run(
    parts: Path, order: Order, numbers: list[int], workers: int, data: Path, left: Callable[[int], object]
) -> None:
    for log in parts.glob("worker-*.log"):  # of an earlier run
        log.unlink()
    pool = ProcessPoolExecutor(workers, get_context("spawn"), worker.start, (order, parts, data))
    try:
        futures: list[Future[None]] = [pool.submit(worker.work, number) for number in numbers]
        for done, future in enumerate(as_completed(futures), start=1):
            future.result()
            left(len(numbers) - done)
    except BrokenProcessPool:
        raise ConfigError(f"Geant4 ended a worker: {_last_words(parts)}") from None
    except OSError as error:
        raise ConfigError(f"{parts}: a batch cannot be written: {error.strerror}") from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _open_parts(parts: Path, order: Order) -> None:
    identity = parts / "order.json"
    try:
        parts.mkdir(parents=True, exist_ok=True)
        if not identity.is_file():
            identity.write_text(json.dumps(order.identity))
        known = json.loads(identity.read_text())
    except (OSError, ValueError) as error:
        raise ConfigError(f"{parts}: cannot be used for the parts of a production ({error})") from None
    differ = [
        f"{key} {known.get(key)} there, {value} now" for key, value in order.identity.items() if known.get(key) != value
    ]
    if differ:
        raise ConfigError(
            f"{parts}: holds parts of another production ({'; '.join(differ)}); remove it, or take another OUT"
        )


def _check_extra(data: Path) -> None:
    """See that Geant4 can be imported before workers are started (in this process it is never initialised)."""
    os.environ.update(variables(data))
    import_geant4()


def _last_words(parts: Path) -> str:
    """Return the fatal exception that a worker wrote last, or else the end of the newest log."""
    logs = sorted(parts.glob("worker-*.log"), key=lambda path: path.stat().st_mtime)
    texts = [log.read_text(errors="replace") for log in logs]
    fatal = [part.partition(FATAL)[0] for text in texts for part in text.split(EXCEPTION) if FATAL in part]
    lines = [line.strip(" *-EWF") for line in ((fatal or texts or [""])[-1]).splitlines()]
    said = [line for line in lines if line]
    return " | ".join(said[:4] if fatal else said[-3:]) or "it left no message"
