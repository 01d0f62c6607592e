"""Intervals of an event list that are on the disk already, told again to who has missed them."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from astropy.io import fits

from stream.errors import ConfigError
from stream.messages import End, Message, Product, Start
from stream.stage import Source
from stream.transport.eventlist import read_event_list
from stream.transport.fitsfile import why_no_fits

NEEDED = ("LIVE_NS", "FRAME_NS", "NQUADS")
TABLES = ("EVENTS", "GTI", "BADPIX")
MOST = 1 << 40  # intervals of a run: no end is known


def is_ours(path: Path) -> bool:
    """Return whether an event list is one of raysieve. Raises ConfigError for what is no FITS file."""
    try:
        return str(fits.getheader(path, 0).get("CREATOR", "")).startswith("raysieve")
    except OSError as fault:
        raise ConfigError(f"{path}: {why_no_fits(path, fault)}") from None


def read_product(path: Path, number: int, folder: str, intervals: int = 1) -> Product:
    """Return a whole event list of ours as the product of its interval `number`, or of several from it on.

    Raises ConfigError for a file that is not readable, or not ours.
    """
    tables, header = read_event_list(path)
    missing = [key for key in NEEDED if key not in header] + [n for n in ("GTI",) if n not in tables]
    missing += [name for name in ("DETX", "DETY", "ENERGY") if name not in (tables["EVENTS"].dtype.names or ())]
    if missing:
        raise ConfigError(f"{path}: expected an event list of raysieve; it has no {', '.join(missing)}")
    cards: dict[str, Any] = {key: value for key, value in header.items() if isinstance(value, str | int | float)}
    return Product(
        stream=str(cards.get("STREAM", "")),
        kind="events",
        sequence=number,
        time_ns=int(cards.get("TSTARTNS", 0)),
        header=cards | {"INTERVAL": number, "INTERVALS": intervals, "FOLDER": folder},
        tables={name: tables[name] for name in TABLES if name in tables},
    )


class Recalled:
    """A source of products "events" that gives what is missing before each from the disk, if it is there.

    So a process that was started in the middle of a run, or whose queue was full for a while, sees all of it. counters:
    those of the source, `recalled` intervals (card RECALLED: no images are due for them), `unreadable` files. A
    finished file is given as one product, and only if nothing of it was seen; at the end of a run of which something is
    missing, all its files are: the first has the card ANEW, who keeps what was told before must forget it.
    """

    def __init__(self, source: Source, out: Path, run: str = "") -> None:
        """run: the one that is open already; empty: none is."""
        self._source, self._out, self._run = source, out, run
        self.counters: Counter[str] = source.counters
        self.queue = source.queue
        self._waiting: Iterator[Message] = iter(())
        self._expected: dict[tuple[str, str], int] = {}  # run and folder -> the interval that comes next
        self._missed: Counter[tuple[str, str]] = Counter()  # intervals that were not told, and not on the disk alone

    def receive(self, timeout_s: float) -> Message | None:
        """Return what waits from the disk, then the next message."""
        for earlier in self._waiting:
            return earlier
        message = self._source.receive(timeout_s)
        if isinstance(message, Start):
            self._run, self._expected, self._missed = message.run_id, {}, Counter()
        elif isinstance(message, End):
            self._waiting = self._rest(message)
            return next(self._waiting)
        if not (isinstance(message, Product) and message.kind == "events" and "INTERVAL" in message.header):
            return message
        run, folder = str(message.header.get("OBS_ID", "")), str(message.header.get("FOLDER", "."))
        number, expected = int(message.header["INTERVAL"]), self._expected.get((run, folder), 0)
        self._expected[run, folder] = max(expected, number + 1)
        if number <= expected:
            return message
        self._waiting = self._earlier(message, (run, folder), range(expected, number))
        return next(self._waiting)

    def _rest(self, end: Message) -> Iterator[Message]:
        """Give what is on the disk of the run that ends and was not told of."""
        if self._run and not self._expected:
            for path in [self._out, *(p for p in self._out.iterdir() if p.is_dir() and not p.name.startswith("."))]:
                self._expected[self._run, path.relative_to(self._out).as_posix()] = 0
        for (run, folder), expected in self._expected.items():
            if not self._missed[run, folder]:
                yield from self._told(folder, self._files(folder, run, MOST), range(expected, MOST))
                continue
            anew = True  # what is missing is in one file with what is not
            for product in self._told(folder, self._files(folder, run, MOST), range(MOST)):
                yield replace(product, header=product.header | {"ANEW": anew})
                anew = False
        self._expected, self._run, self._missed = {}, "", Counter()
        yield end

    def _earlier(self, message: Message, of: tuple[str, str], wanted: range) -> Iterator[Message]:
        run, folder = of
        self._missed[of] += len(wanted)
        for product in self._told(folder, self._files(folder, run, wanted.stop), wanted):
            self._missed[of] -= int(product.header["INTERVALS"])
            yield product
        yield message

    def _told(self, folder: str, files: list[tuple[int, int, Path]], wanted: range) -> Iterator[Product]:
        for first, count, path in files:
            if first in wanted and first + count <= wanted.stop:
                try:
                    product = read_product(path, first, folder, count)
                except ConfigError:  # being joined into a longer one, or damaged
                    self.counters["unreadable"] += 1
                    continue
                self.counters["recalled"] += count
                yield replace(product, header=product.header | {"RECALLED": True})

    def _files(self, folder: str, run: str, end: int) -> list[tuple[int, int, Path]]:
        """Return the event lists of a run: first interval, number of intervals, path; in their order.

        A part of an open list holds one interval, a finished list all until the next one begins. Where none does, the
        run is over (`end` is MOST): one; or it has just ended, and how much it holds is not known: left out.
        """
        here = self._out / folder
        parts = self._known(here.glob(".events.parts/*/*.fits"), run)
        lists = self._known(here.glob("events*.fits"), run)
        begins = [first for first, _ in lists] + [first - int(path.stem) for first, path in parts]
        whole = [(first, _length(first, begins) or int(end == MOST), path) for first, path in lists if first < end]
        whole = [one for one in whole if one[1]]
        return sorted([*whole, *((first, 1, path) for first, path in parts)])

    def _known(self, paths: Iterable[Path], run: str) -> list[tuple[int, Path]]:
        found = []
        for path in paths:
            try:
                with path.open("rb") as file:
                    header = fits.Header.fromfile(file)
            except (OSError, ValueError, EOFError):
                self.counters["unreadable"] += 1
                continue
            if str(header.get("OBS_ID")) == run and "INTERVAL" in header:
                found.append((int(header["INTERVAL"]), path))
        return found


def _length(first: int, begins: list[int]) -> int:
    """Return how many intervals a list holds that begins with this one; 0: not known."""
    after = [begin for begin in begins if begin > first]
    return min(after) - first if after else 0
