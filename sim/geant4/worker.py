"""A worker process of a production: one Geant4 engine, batch after batch."""

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from sim.geant4.batch import Order, make_batch, part_of
from sim.geant4.data_files import variables
from sim.geant4.transport import Engine

LOOK_S = 1.0  # between two looks whether the parent still lives

_own: dict[str, Any] = {}  # engine, order, folder of the parts


def start(order: Order, parts: Path, data: Path) -> None:
    """Set up Geant4 in this process; what it prints goes into a log beside the parts."""
    os.environ.update(variables(data))
    log = os.open(parts / f"worker-{os.getpid()}.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(log, 1)  # Geant4 prints much, also where nothing is wrong
    os.dup2(log, 2)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_watch, args=(os.getppid(),), daemon=True).start()
    _own.update(engine=Engine(order.geometry, order.physics), order=order, parts=parts)
    # Ctrl-C goes to every process of the terminal; the parent decides. Geant4 has put its own answer back by now: it
    # would end the run early, and call it done.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def work(number: int) -> None:
    """Make one batch and keep it."""
    batch = make_batch(_own["engine"], _own["order"], number)
    path = part_of(_own["parts"], number)
    partial = path.with_suffix(".partial.npz")
    with partial.open("wb") as file:
        np.savez_compressed(file, **batch)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)


def _watch(parent: int) -> None:
    """End this process when its parent has died: nobody would ever ask it for anything again."""
    while os.getppid() == parent:
        time.sleep(LOOK_S)
    os._exit(1)
