"""The process that does jobs: one after another, as JSON through a pipe."""

import json
import os
import resource
import signal
from collections.abc import Callable
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Thread
from typing import Any

from config.errors import RaysieveError
from serve.store import RESULT


def work(pipe: Connection, memory_mb: float) -> None:
    """Do what comes through the pipe until it is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the service itself ends its workers
    Thread(target=_end_with_parent, daemon=True).start()
    most = int(memory_mb * 1e6)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    while True:
        try:
            order = json.loads(pipe.recv_bytes())
        except (EOFError, OSError):
            return
        pipe.send_bytes(json.dumps(answer(order["kind"], Path(order["folder"]), order["settings"])).encode())


def answer(kind: str, folder: Path, settings: dict[str, Any]) -> dict[str, str]:
    """Do a job and write its result; return {} or what was wrong: error, one line, and fault."""
    try:
        result = _task(kind)(folder, settings)
        (folder / RESULT).write_text(json.dumps(result, allow_nan=False))
    except RaysieveError as fault:
        return {"error": str(fault).replace(f"{folder}/", ""), "fault": "input"}
    except MemoryError:
        return {"error": "needs more memory than a job may have", "fault": "limit"}
    except Exception as fault:  # a hostile file must not end the service; nothing of its inside is told
        return {"error": f"the {kind} failed: {type(fault).__name__}", "fault": "service"}
    return {}


def _task(kind: str) -> Callable[[Path, dict[str, Any]], dict[str, Any]]:
    """Return the function of a kind of job: imported here, in the worker, only."""
    if kind in ("fit", "sample"):
        from serve.fits import fit, sample

        return fit if kind == "fit" else sample
    if kind == "corona":
        from serve.coronae import corona

        return corona
    from serve.catalogues import catalogue

    return catalogue


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
