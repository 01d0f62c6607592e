"""Runs the jobs of a store in processes of their own, each for a limited time."""

import json
import multiprocessing
import time
from collections.abc import Iterable
from contextlib import suppress
from threading import Event, Thread
from typing import Any, Final

from serve.settings import Limits
from serve.store import STOPPED, Job, Store
from serve.worker import work

KINDS: Final = ("fit", "sample", "catalogue", "corona")
STEP_S: Final = 0.1  # in which an abort is seen
SWEEP_S: Final = 60.0


class Pool:
    """Workers for any job, and one for fits only: they do not wait behind catalogues."""

    def __init__(self, store: Store, workers: int, limits: Limits) -> None:
        self._store, self._limits = store, limits
        self._stop = Event()
        kinds: list[Iterable[str]] = [("fit",), *[KINDS] * workers]
        self._threads = [Thread(target=self._run, args=(each,), daemon=True) for each in kinds]
        self._threads.append(Thread(target=self._tidy, daemon=True))
        for thread in self._threads:
            thread.start()

    def abort(self, job: str) -> None:
        """End a job that waits or runs; its process sees it within a step."""
        self._store.finish(job, "ABORTED")

    def close(self) -> None:
        """End all; what runs becomes an error, what waits stays."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._store.stop_running()

    def _run(self, kinds: Iterable[str]) -> None:
        process = _Process(self._limits.memory_mb)
        while not self._stop.is_set():
            job = self._store.take(kinds)
            if job is None:
                self._stop.wait(0.02)
                continue
            found = self._do(job, process)
            phase = "ERROR" if found else "COMPLETED"  # an aborted one stays so
            self._store.finish(job.id, phase, found.get("error", ""), found.get("fault", ""))
        process.end()

    def _do(self, job: Job, process: "_Process") -> dict[str, str]:
        """Return {} or what was wrong."""
        most = self._limits.fit_s if job.kind == "fit" else self._limits.job_s
        until = time.monotonic() + most
        try:
            process.order({"kind": job.kind, "folder": str(self._store.place(job.id)), "settings": job.settings})
            while (found := process.answer(STEP_S)) is None:
                if self._stop.is_set() or not self._store.is_running(job.id):
                    process.end()
                    return {"error": STOPPED, "fault": "service"}
                if time.monotonic() > until:
                    process.end()
                    return {"error": f"took longer than {most:g} s", "fault": "limit"}
        except (EOFError, OSError):
            process.end()
            return {"error": "its process ended unexpectedly", "fault": "service"}
        return found

    def _tidy(self) -> None:
        while not self._stop.wait(SWEEP_S):
            self._store.expire()


class _Process:
    """One process, begun when it is needed and again after it was ended. What is said is JSON."""

    def __init__(self, memory_mb: float) -> None:
        self._memory_mb = memory_mb
        self._process: Any = None
        self._pipe: Any = None

    def order(self, what: dict[str, Any]) -> None:
        if self._process is None or not self._process.is_alive():
            self.end()
            context = multiprocessing.get_context("spawn")
            self._pipe, theirs = context.Pipe()
            self._process = context.Process(target=work, args=(theirs, self._memory_mb), daemon=True)
            self._process.start()
            theirs.close()
        self._pipe.send_bytes(json.dumps(what).encode())

    def answer(self, seconds: float) -> dict[str, str] | None:
        """Return what it says, None for nothing yet. Raises EOFError if it has ended."""
        if not self._pipe.poll(seconds):
            return None
        found: dict[str, str] = json.loads(self._pipe.recv_bytes())
        return found

    def end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None
        if self._pipe is not None:
            with suppress(OSError):
                self._pipe.close()
            self._pipe = None
