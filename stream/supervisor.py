"""Starts the processes of the table, watches them, puts others in the place of those that die, drains them."""

import json
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

from config.folder import folder_to_write
from config.load import AnyConfig
from stream.errors import LinkError
from stream.process import DRAIN_S, REFUSED, Order, run_process
from stream.status import SUPERVISOR
from stream.transport.notes import Notes
from stream.wiring import aside, processes

ECHO_S = 1.0  # signals so soon after the first are the same wish
DEAD_S = 3.0  # how long the others may take once the daemon has failed
LOOK_S = 0.1  # from one look at the processes to the next
SHOW_S = 0.25  # from one status to the next
HALTED = 5  # looks at a process that was stopped (SIGSTOP) until it counts as stuck


@dataclass(slots=True)
class Child:
    """One process: at work, or warm and waiting for its turn."""

    process: BaseProcess
    turn: Event
    asked: bool = False  # to end
    halted: int = 0  # looks at which it was stopped
    over: bool = False  # dead, and not missed

    @property
    def died(self) -> bool:
        """Whether it has ended otherwise than at its end, and is missed."""
        return self.process.exitcode not in (None, 0) and not self.over


class Supervisor:
    """One daemon: a process for each process of the table, started last to first so that every link has its reader.

    One that dies, is stuck or halted is replaced: by one that is warm already with `supervise.standby`. What it had
    accepted is lost and becomes a gap; the link before it holds what follows.
    """

    def __init__(
        self, config: AnyConfig, out: Path, *, once: bool, overwrite: bool, names: Sequence[str] | None = None
    ) -> None:
        """names: which processes of the table; None: all. Raises ConfigError if `out` cannot be written."""
        self._aside = set(aside(config))
        self._names = [name for name in (*processes(config), *aside(config)) if names is None or name in names]
        self._section = config.supervise
        self._status = folder_to_write(folder_to_write(out) / ".status")
        for old in self._status.iterdir():
            if overwrite or old.suffix != ".open" or Notes(old).read() is None:
                old.unlink()
        self._stopping = False
        self._asked_at = 0.0
        self._patience_s = DRAIN_S
        self._context = multiprocessing.get_context("spawn")
        self._order: dict[str, Any] = {"config_json": config.model_dump_json(), "out": str(out), "once": once}
        self._overwrite = overwrite
        self._active: dict[str, Child] = {}
        self._standby: dict[str, Child] = {}
        self._deaths: dict[str, list[float]] = {}  # monotonic s; "": of the way of the frames, all together
        self._replaced: dict[str, dict[str, Any]] = {}  # how often, and why the last time

    def run(self, show: Callable[[dict[str, Any]], None], ready: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
        """Run until the stream is over or a signal asks for the end; return the last status of every process.

        `show` gets the status four times a second, `ready` gets it once, when all processes are warm.
        Raises LinkError naming the process that cannot be kept alive.
        """
        hears_hangups = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN  # nohup sets them aside
        for number in (signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hears_hangups else [])):
            signal.signal(number, self._ask_to_stop)
        for name in reversed(self._names):
            self._active[name] = self._start(name, self._overwrite)
            self._active[name].turn.set()
        announced, shown = False, 0.0
        try:
            while any(child.process.is_alive() for child in self._active.values()) or self._to_replace():
                self._watch()
                if time.monotonic() - shown > SHOW_S:
                    shown, status = time.monotonic(), self.status()
                    if not announced and len(status) == len(self._active):
                        announced = True
                        ready(status)
                        self._stand_by()
                    show(status)
                if self._stopping:
                    self._stop_next()
                self._let_go()
                time.sleep(LOOK_S)
        finally:
            self._end()
        return self.status()

    def status(self) -> dict[str, Any]:
        """Return the newest status of every process that has one."""
        found = {}
        for name in self._names:
            path = self._status / f"{name}.json"
            if path.is_file():
                about = self._replaced.get(name, {"restarts": 0, "reason": ""})
                found[name] = json.loads(path.read_text()) | about
        return found

    def _start(self, name: str, overwrite: bool = False) -> Child:
        order = Order(process=name, overwrite=overwrite, **self._order)
        turn = self._context.Event()
        process = self._context.Process(target=run_process, args=(order, turn), name=f"raysieve-{name}")
        process.start()
        return Child(process, turn)

    def _stand_by(self) -> None:
        """Get warm what is to take the place of those that die."""
        if self._section.standby and not self._stopping:
            for name in self._names:
                if name not in self._standby and self._active[name].process.is_alive():
                    self._standby[name] = self._start(name)

    def _to_replace(self) -> bool:
        return any(child.died for child in self._active.values())

    def _watch(self) -> None:
        """Replace the processes that have died, and end and replace those that are stuck."""
        for name, child in self._active.items():
            if child.died:
                self._replace(name, child, self._why(name, child))
            elif child.process.is_alive() and (why := self._stuck(name, child)):
                child.process.kill()
                child.process.join()
                self._replace(name, child, why)

    def _why(self, name: str, child: Child) -> str:
        told = self._status / f"{name}.error"
        if told.is_file() and (text := told.read_text().strip()):  # none on a full disk
            return text
        code = child.process.exitcode or 0
        return f"killed by signal {-code}" if code < 0 else f"exit code {code}"

    def _stuck(self, name: str, child: Child) -> str:
        """Return why a process counts as stuck; empty: it does not."""
        child.halted = child.halted + 1 if _is_halted(child.process) else 0
        if child.halted >= HALTED:
            return "halted"
        path = self._status / f"{name}.json"
        status = json.loads(path.read_text()) if path.is_file() else {}
        if status.get("pid") != child.process.pid:  # still getting warm: compilers may take minutes the first time
            return ""
        silent = time.monotonic() - status["beat_ns"] * 1e-9
        return f"stuck for {silent:.0f} s" if silent > self._section.stuck_s else ""

    def _replace(self, name: str, child: Child, why: str) -> None:
        """Put another process in the place of one that is gone. Raises LinkError if that would be no use."""
        unborn = self._stopping and not (self._status / f"{name}.json").is_file()  # had nothing yet to lose
        if unborn:
            child.over = True
            return
        restarts = self._replaced.get(name, {}).get("restarts", 0)
        spent = self._too_often(name if name in self._aside else "")
        if spent and name in self._aside:
            child.over = True  # recording goes on without it
            self._tell(name, restarts, f"given up: {why}")
            return
        if spent or child.process.exitcode == REFUSED:
            self._patience_s = DEAD_S  # the others wait for it in vain
            raise LinkError(f"process {name} died: {why}")
        restarts += 1
        self._tell(name, restarts, why)
        (self._status / f"{name}.error").unlink(missing_ok=True)
        spare = self._standby.pop(name, None)
        if spare is not None and not spare.process.is_alive():
            spare = None
        self._active[name] = spare or self._start(name)
        self._active[name].turn.set()
        self._stand_by()

    def _too_often(self, budget: str) -> bool:
        """Note a death; return whether there were too many within the window. What runs aside has its own budget."""
        now = time.monotonic()
        recent = [at for at in self._deaths.get(budget, ()) if now - at < self._section.restart_window_s]
        self._deaths[budget] = [*recent, now]
        return len(self._deaths[budget]) > self._section.restarts

    def _tell(self, name: str, restarts: int, why: str) -> None:
        self._replaced[name] = {"restarts": restarts, "reason": why}
        with suppress(OSError):  # a full disk is why the recorder died, and no reason to die as well
            (self._status / SUPERVISOR).write_text(json.dumps(self._replaced))

    def _ask_to_stop(self, *_: object) -> None:
        """Drain; a second signal ends at once, but not the echo of the first that `timeout` and others send."""
        if self._stopping and time.monotonic() - self._asked_at > ECHO_S:
            for child in (*self._active.values(), *self._standby.values()):
                child.process.kill()
            self._section = self._section.model_copy(update={"restarts": 0})
        if not self._stopping:
            self._asked_at = time.monotonic()
        self._stopping = True

    def _stop_next(self) -> None:
        """Drain in the order of the data: a process is asked to end when the one before it has ended."""
        for name in self._names:
            child = self._active[name]
            if child.process.is_alive():
                if not child.asked:
                    child.asked = True
                    _drain(child.process)
                return

    def _let_go(self) -> None:
        """Ask what runs aside to end once nothing more can come: the end of the stream may have been skipped."""
        way = [child for name, child in self._active.items() if name not in self._aside]
        if not way or any(child.process.is_alive() or child.died for child in way):
            return
        for name in self._aside & self._active.keys():
            child, path = self._active[name], self._status / f"{name}.json"
            at_work = path.is_file() and json.loads(path.read_text())["pid"] == child.process.pid
            if child.process.is_alive() and at_work and not child.asked:
                child.asked = True
                _drain(child.process)

    def _end(self) -> None:
        for child in self._standby.values():
            child.process.kill()
            child.process.join()
        deadline = time.monotonic() + self._patience_s
        for child in [self._active[name] for name in self._names if name in self._active]:
            if child.process.is_alive():
                _drain(child.process)
            child.process.join(max(0.1, deadline - time.monotonic()))
            if child.process.is_alive():
                child.process.kill()
                child.process.join()


def _is_halted(process: BaseProcess) -> bool:
    """Return whether a process was stopped by a signal (state T of /proc; never where there is none)."""
    with suppress(OSError, IndexError):
        return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    return False


def _drain(process: BaseProcess) -> None:
    """Ask a process to finish what it has accepted. Signals to the whole group are for the supervisor alone."""
    if process.pid is not None:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGUSR1)
