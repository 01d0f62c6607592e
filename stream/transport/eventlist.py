"""FITS event lists: the sink that writes them interval by interval, and the reader.

A list that is being written lies in `.NAME.parts/NNNN/` as one whole event list per interval, and becomes `NAME.fits`
(then `NAME_0002.fits`, ...) when the file rolls or the stream ends. A killed process loses the running interval only,
and the next one may go on with the same run.
"""

import fcntl
import os
import re
import shutil
import warnings
import weakref
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.utils.exceptions import AstropyUserWarning
from numpy.typing import NDArray

from stream.errors import ConfigError
from stream.ledger import Past
from stream.messages import End, Message, Product, Start
from stream.transport.eventmerge import merge, write_product
from stream.transport.eventpast import read_past, run_of
from stream.transport.fitsfile import Tables, check_whole, disk_faults, is_ours, places, sync_folder, why_no_fits


class EventListWriter:
    """Writes products of kind "events" into a folder; other messages are not for it.

    What an earlier process left unfinished is first joined into `NAME_recovered.fits` (`recovered`); parts that cannot
    be read are kept as `NAME_damaged_....fits` (`damaged`). Finished files are in `written`.
    Event lists `NAME.fits`, `NAME_0002.fits`, ... that are there already are an error, or deleted with `overwrite`.
    go_on: if a run is unfinished here, `past` says by its id what is recorded of it, and a `Start` of the same run goes
    on with it; any other one makes it a finished list first.
    Raises ConfigError for that, or if another process writes here,
    LinkError if the disk refuses: what is on it stays valid, and the same message may be sent again.
    """

    def __init__(self, directory: Path, name: str = "events", *, overwrite: bool = False, go_on: bool = False) -> None:
        self.folder, self._name = directory, name
        self._parts = directory / f".{name}.parts"
        self.written: list[Path] = []
        self.recovered: list[Path] = []
        self.damaged: list[Path] = []
        self.past: dict[str, Past] = {}
        self._roll: tuple[Any, Any] | None = None  # of the open file
        self._number, self._count = 1, 0  # of the open file, of its parts
        self._closed = 0  # number of the file that is being joined, or could not be; 0: none
        self._joining: Future[Path] | None = None
        self._thread = ThreadPoolExecutor(1)
        with disk_faults(directory):
            self._parts.mkdir(parents=True, exist_ok=True)
            self._unlock = self._lock()
            try:
                parts = self._clean()
                if go_on:
                    self._keep(parts)
                if not self.past:
                    self._recover()
                    self._make_room(overwrite)
            except BaseException:
                self.leave()
                raise

    def send(self, message: Message) -> None:
        """Write a product to the disk; `Start` and `End` finish the open file."""
        if isinstance(message, Start) and message.run_id in self.past:
            self.past = {}
            return
        if isinstance(message, Start | End):
            self.past = {}
            self._finish()
        if not isinstance(message, Product) or message.kind != "events":
            return
        roll = (message.header["OBS_ID"], message.header["ROLL"])
        if roll != self._roll:
            self._roll_over()
            self._roll = roll
        elif self._joining is not None and self._joining.done():
            self._wait()
        folder = self._parts / f"{self._number:04d}"
        with disk_faults(folder):
            folder.mkdir(exist_ok=True)  # without its parents: a list whose parts were taken away must not begin anew
        write_product(message, folder / f"{self._count:06d}.fits")
        self._count += 1

    def close(self) -> None:
        """Finish the open file; nothing to do a second time. After a LinkError the parts wait to be recovered."""
        try:
            self._finish()
            with suppress(OSError):
                self._parts.rmdir()
        finally:
            self._thread.shutdown()
            self._unlock()

    def leave(self) -> None:
        """End without the open file: its parts, if there are any, wait to be recovered."""
        self._thread.shutdown()
        with suppress(OSError):
            self._parts.rmdir()
        self._unlock()

    def _finish(self) -> None:
        self._roll_over()
        self._roll = None
        self._wait()

    def _roll_over(self) -> None:
        """Join the parts of the open file in the background: the stream does not wait for a long file."""
        self._wait()
        if self._closed:  # it could not be joined when it should have been
            self._join()
            self._wait()
        if self._count:
            self._closed = self._number
            self._number, self._count = self._number + 1, 0
            self._join()

    def _join(self) -> None:
        folder = self._parts / f"{self._closed:04d}"
        self._joining = self._thread.submit(_settle, folder, self._path(self._closed))

    def _path(self, number: int) -> Path:
        tail = "" if number == 1 else f"_{number:04d}"
        return self.folder / f"{self._name}{tail}.fits"

    def _finished(self) -> list[tuple[str, Path]]:
        """Return names and paths of the finished files."""
        ours = re.compile(re.escape(self._name) + r"(_\d{4,})?\.fits")
        return sorted((path.name, path) for path in self.folder.iterdir() if ours.fullmatch(path.name))

    def _wait(self) -> None:
        if self._joining is not None:
            joining, self._joining = self._joining, None
            self.written.append(joining.result())
            self._closed = 0

    def _lock(self) -> Any:
        """Hold the folder of parts as long as this object lives; a killed process lets go of it."""
        handle = os.open(self._parts, os.O_RDONLY)
        unlock = weakref.finalize(self, os.close, handle)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            unlock()
            raise ConfigError(f"{self.folder}: another process is writing {self._name}.fits here") from None
        return unlock

    def _clean(self) -> dict[str, list[Tables]]:
        """Remove what was not written to its end, set aside what cannot be read; return the other parts by folder."""
        for temporary in self._parts.rglob(".*.tmp"):
            temporary.unlink()
        open_ones = [number for number in self._numbers() if not (self._parts / f"{number}.fits").exists()]
        return {number: self._set_damaged_aside(self._parts / number) for number in open_ones}

    def _numbers(self) -> list[str]:
        return sorted({entry.stem for entry in self._parts.iterdir() if entry.stem.isdecimal()})

    def _keep(self, parts_of: Mapping[str, list[Tables]]) -> None:
        """Finish all files but the newest, and stand where the process stood that wrote it."""
        numbers = self._numbers()
        for number in numbers:
            folder = self._parts / number
            if number == numbers[-1] and not folder.with_suffix(".fits").exists():
                break
            self._number = int(number) + 1
            self.written.append(_settle(folder, self._path(int(number))))
        else:
            return  # nothing is open
        parts = parts_of[number]
        if not parts:
            folder.rmdir()
            return
        last = parts[-1]["FRAMES"].path
        self._number, self._count = int(number), int(last.stem) + 1
        run, files = run_of(last), [path for _, path in self._finished()]
        past = read_past([*(places(path) for path in files if run_of(path) == run), *parts], self._count)
        self.past, self._roll = {run: past}, (run, past.roll)

    def _recover(self) -> None:
        for number in self._numbers():
            folder = self._parts / number
            if folder.with_suffix(".fits").exists() or any(folder.iterdir()):
                path = self._free_name("recovered")
                _settle(folder, path)
                self.recovered.append(path)
            else:
                folder.rmdir()

    def _set_damaged_aside(self, folder: Path) -> list[Tables]:
        found = []
        for part in sorted(folder.iterdir()):
            try:
                found.append(places(part, sums=True))
            except ConfigError:
                self.damaged.append(part.rename(self._free_name("damaged")))
        return found

    def _free_name(self, what: str) -> Path:
        number, path = 1, self.folder / f"{self._name}_{what}.fits"
        while path.exists():
            number += 1
            path = self.folder / f"{self._name}_{what}_{number}.fits"
        return path

    def _make_room(self, overwrite: bool) -> None:
        for _, path in self._finished():
            if not overwrite:
                found = "".join(f" (and {p} was recovered)" for p in self.recovered)
                raise ConfigError(f"{path}: is there already: expected an empty folder, or --overwrite{found}")
            path.unlink()


def _settle(folder: Path, path: Path) -> Path:
    """Turn the parts in a folder into one file; interrupted anywhere and done again, it loses and doubles nothing."""
    merged = folder.with_suffix(".fits")
    if not merged.exists():
        with disk_faults(folder):
            parts = sorted(path for path in folder.iterdir() if path.suffix == ".fits")
        merge(parts, merged)
    with disk_faults(path):
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(merged, path)
        sync_folder(path.parent)
    return path


def read_event_list(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Return the tables of a FITS event list by name and the header of EVENTS; others' lists too.

    Tables: structured arrays in native byte order, (rows,), physical values, names in capitals; columns of varying
    length are left out.
    Of several tables of one name, the second is "NAME:2", and so on.
    Raises ConfigError, one line, if the file is malformed or cut, or has no EVENTS with TIME; one of ours also if its
    checksums do not fit.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.filterwarnings("error", ".*(truncated|verification failed).*", AstropyUserWarning)
            with path.open("rb") as file, fits.open(file) as hdus:
                ours = is_ours(hdus)  # checksums of others are often out of date, or empty
            with path.open("rb") as file, fits.open(file, checksum=ours, memmap=False) as hdus:
                check_whole(hdus)
                tables = _tables(hdus)
                header = dict(hdus["EVENTS"].header) if "EVENTS" in tables else {}
    except (OSError, KeyError, TypeError, ValueError, IndexError, Warning, fits.VerifyError) as fault:
        raise ConfigError(f"{path}: {why_no_fits(path, fault)}") from None
    if "EVENTS" not in tables or "TIME" not in (tables["EVENTS"].dtype.names or ()):
        raise ConfigError(f"{path}: expected an event list: a table EVENTS with a column TIME")
    return tables, header


def _tables(hdus: Any) -> dict[str, NDArray[Any]]:
    tables: dict[str, NDArray[Any]] = {}
    for hdu in hdus[1:]:
        if isinstance(hdu, fits.BinTableHDU):
            same = sum(name.split(":")[0] == hdu.name for name in tables)
            tables[f"{hdu.name}:{same + 1}" if same else hdu.name] = _native(hdu)
    return tables


def _native(hdu: Any) -> NDArray[Any]:
    columns = {name.upper(): np.asarray(hdu.data[name]) for name in hdu.columns.names}
    columns = {name: values for name, values in columns.items() if not values.dtype.hasobject}
    types = [(name, values.dtype.newbyteorder("="), values.shape[1:]) for name, values in columns.items()]
    table = np.empty(len(hdu.data), types)
    for name, values in columns.items():
        table[name] = values
    return table
