"""The jobs of a service in SQLite, and their folders. Jobs survive a restart; what was running then is an error."""

import fcntl
import json
import os
import secrets
import shutil
import sqlite3
import time
from collections.abc import Iterable
from pathlib import Path
from threading import RLock
from typing import Any, Final, NamedTuple

from config.errors import ConfigError

OPEN: Final = ("PENDING", "EXECUTING")
STOPPED: Final = "the service was stopped"
RESULT: Final = "result.json"
_TABLE: Final = """
create table if not exists jobs (
    id text primary key, owner text not null, kind text not null, phase text not null, settings text not null,
    created real not null, started real, ended real, error text not null default '', fault text not null default ''
) strict;
create index if not exists by_phase on jobs (phase, created);
"""


class Job(NamedTuple):
    """A row; times in seconds since 1970 UTC."""

    id: str
    owner: str
    kind: str  # fit, sample, catalogue, corona
    phase: str  # PENDING, EXECUTING, COMPLETED, ERROR, ABORTED
    settings: dict[str, Any]
    created: float
    started: float | None
    ended: float | None
    error: str  # one line
    fault: str  # whose: input, limit, service


class Store:
    """Keeps jobs; every method may be called from any thread."""

    def __init__(self, folder: Path, keep_s: float) -> None:
        """Open the jobs of a folder. Raises ConfigError if it cannot be used, or another service uses it."""
        self._lock, self._keep_s = RLock(), keep_s
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if folder.stat().st_mode & 0o077:
                raise ConfigError(f"{folder}: open to others: expected mode 700")
            self.folder = folder.resolve()
            (self.folder / "jobs").mkdir(exist_ok=True, mode=0o700)
            self._held = os.open(self.folder / "jobs", os.O_RDONLY)
            fcntl.flock(self._held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._base = sqlite3.connect(self.folder / "jobs.sqlite", check_same_thread=False, isolation_level=None)
            self._base.execute("pragma journal_mode=wal")
            self._base.executescript(_TABLE)
        except BlockingIOError:
            os.close(self._held)
            raise ConfigError(f"{folder}: another service works here") from None
        except (OSError, sqlite3.Error) as fault:
            raise ConfigError(f"{folder}: cannot be used for jobs: {fault}") from None
        self.stop_running()
        self._sweep()

    def close(self) -> None:
        """Let go of the folder."""
        with self._lock:
            self._base.close()
            os.close(self._held)

    def place(self, job: str) -> Path:
        """Return the folder of a job."""
        return self.folder / "jobs" / job

    def new_place(self) -> str:
        """Return the id of a job to be, with an empty folder."""
        job = secrets.token_hex(16)
        self.place(job).mkdir(mode=0o700)
        return job

    def add(self, job: str, owner: str, kind: str, settings: dict[str, Any], most: int) -> bool:
        """Add a waiting job unless there are so many; return whether."""
        with self._lock:
            if self.count("PENDING") >= most:
                return False
            row = (job, owner, kind, "PENDING", json.dumps(settings), time.time())
            self._base.execute("insert into jobs (id, owner, kind, phase, settings, created) values (?,?,?,?,?,?)", row)
            return True

    def count(self, phase: str) -> int:
        """Return how many are in a phase."""
        with self._lock:
            return int(self._base.execute("select count(*) from jobs where phase = ?", (phase,)).fetchone()[0])

    def get(self, job: str, owner: str) -> Job | None:
        """Return a job of an owner; None: none, or another's."""
        found = self._jobs("where id = ? and owner = ?", (job, owner))
        return found[0] if found else None

    def of(self, owner: str) -> list[Job]:
        """Return all of an owner, newest first."""
        return self._jobs("where owner = ? order by created desc", (owner,))

    def take(self, kinds: Iterable[str]) -> Job | None:
        """Return the next waiting job of some kinds, now executing: fits come first."""
        names = list(kinds)
        marks = ",".join("?" * len(names))
        order = f"select id from jobs where phase = 'PENDING' and kind in ({marks}) order by kind != 'fit', created"
        with self._lock:
            row = self._base.execute(f"{order} limit 1", names).fetchone()
            if row is None:
                return None
            self._base.execute("update jobs set phase = 'EXECUTING', started = ? where id = ?", (time.time(), row[0]))
            return self._jobs("where id = ?", row)[0]

    def finish(self, job: str, phase: str, error: str = "", fault: str = "") -> bool:
        """End an open job and delete its uploads; return whether it was open."""
        with self._lock:
            done = self._base.execute(
                "update jobs set phase = ?, error = ?, fault = ?, ended = ? where id = ? and phase in (?, ?)",
                (phase, error, fault, time.time(), job, *OPEN),
            ).rowcount
        if done:
            self._clear(job, keep=phase == "COMPLETED")
        return bool(done)

    def delete(self, job: str) -> None:
        """Forget a job and its result."""
        with self._lock:
            self._base.execute("delete from jobs where id = ?", (job,))
        shutil.rmtree(self.place(job), ignore_errors=True)

    def is_running(self, job: str) -> bool:
        """Return whether a job executes: neither aborted nor ended."""
        with self._lock:
            row = self._base.execute("select phase = 'EXECUTING' from jobs where id = ?", (job,)).fetchone()
        return bool(row and row[0])

    def expires(self, job: Job) -> float | None:
        """Return when a finished job is forgotten."""
        return None if job.ended is None else job.ended + self._keep_s

    def expire(self) -> None:
        """Forget what is over its time."""
        for job in self._jobs("where ended < ?", (time.time() - self._keep_s,)):
            self.delete(job.id)

    def stop_running(self) -> None:
        """Make errors of the jobs that were running."""
        for job in self._jobs("where phase = 'EXECUTING'", ()):
            self.finish(job.id, "ERROR", STOPPED, "service")

    def bytes_used(self) -> int:
        """Return the size of all uploads and results."""
        return sum(_size(path) for path in (self.folder / "jobs").rglob("*"))

    def _jobs(self, where: str, values: Iterable[Any]) -> list[Job]:
        with self._lock:
            rows = self._base.execute(f"select {', '.join(Job._fields)} from jobs {where}", tuple(values)).fetchall()
        return [Job(*row)._replace(settings=json.loads(row[4])) for row in rows]

    def _clear(self, job: str, keep: bool) -> None:
        for path in self.place(job).glob("*"):
            if not (keep and path.name == RESULT):
                path.unlink(missing_ok=True)

    def _sweep(self) -> None:
        """Delete folders that belong to no job: requests that were cut off."""
        known = {job.id for job in self._jobs("", ())}
        for path in (self.folder / "jobs").iterdir():
            if path.name not in known:
                shutil.rmtree(path, ignore_errors=True)


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0
