"""FITS binary tables as bytes: written in a stream with checksums, and found again as rows of raw bytes.

Rows are never decoded here, so that files of any size are joined in bounded memory.
"""

import gzip
import mmap
import os
import re
import warnings
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from astropy.io import fits
from astropy.utils.exceptions import AstropyUserWarning
from numpy.typing import NDArray

from stream.errors import ConfigError, LinkError

BLOCK = 2880
_READ = BLOCK * 4096
_FORMATS = {"u1": "B", "i2": "I", "i4": "J", "i8": "K", "f4": "E", "f8": "D"}
_KINDS = {letter: kind for kind, letter in _FORMATS.items()}
_CARD = re.compile("(?=([^ =]*)).{8}(.{72})", re.DOTALL)  # name and the rest of 80 letters
_SUM = 0xFFFFFFFF  # of all words of an HDU with its checksum (FITS standard, 4.4.2.7)
_MAGIC = {b"\x89HDF": "HDF5", b"\x89PNG": "PNG", b"PK\x03\x04": "ZIP", b"SR\x00\x04": "an IDL save file"}
_CUT = re.compile(
    "truncated|corrupt FITS|tables with a checksum|END card|ended before|smaller than|too small|reshape|than filesize"
)
_PUNCTUATION = frozenset(range(0x3A, 0x41)) | frozenset(range(0x5B, 0x61))


# What astropy raises on files that are none, or are damaged; Warning: what was made an error.
FITS_FAULTS = (
    OSError, ValueError, TypeError, LookupError, AttributeError, EOFError, zlib.error, fits.VerifyError, Warning
)  # fmt: skip


@contextmanager
def open_fits(path: Path, memmap: bool = False) -> Iterator[Any]:
    """Open a FITS file (fits.HDUList) to read, and say nothing of small rules that it breaks.

    Raises ConfigError, one line in words of ours, for what cannot be read, there or by what is done with it.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyUserWarning)
        try:
            with fits.open(path, memmap=memmap) as hdus:
                yield hdus
        except FITS_FAULTS as fault:
            raise ConfigError(f"{path}: {why_no_fits(path, fault)}") from None


def why_no_fits(path: Path, fault: BaseException) -> str:
    """Return why a file cannot be read as FITS, in one line: what the file says before what astropy says."""
    if isinstance(fault, FileNotFoundError):
        return "no such file"
    try:
        with path.open("rb") as file:
            begin = file.read(80)
    except OSError as refused:
        return f"cannot be read: {refused.strerror or refused}"
    if kind := next((kind for magic, kind in _MAGIC.items() if begin.startswith(magic)), ""):
        return f"not FITS (it is {kind})"
    if not begin:
        return "not FITS (it is empty)"
    said = " ".join(str(fault).split())
    if begin.startswith(b"SIMPLE") and "ignore_missing_simple" in said:  # astropy's advice is of no use here
        return "not FITS (no card SIMPLE)"
    if begin.startswith((b"SIMPLE", b"\x1f\x8b", b"BZh", b"\xfd7zXZ")):  # or compressed
        cut = _CUT.search(said) or _is_cut_zip(path, begin)
        return "truncated: the file ends early" if cut else f"cannot be read as FITS: {said[:100]}"
    return "not FITS (it is text)" if begin.isascii() and b"\0" not in begin else "not FITS"


def _is_cut_zip(path: Path, begin: bytes) -> bool:
    """Return whether a compressed file (gzip) ends early: astropy takes what there is for all."""
    if not begin.startswith(b"\x1f\x8b"):
        return False
    try:
        with gzip.open(path) as file:
            while file.read(_READ):
                pass
    except (EOFError, OSError, zlib.error):
        return True
    return False


class TablePlace(NamedTuple):
    """Where the rows of a table lie in a file."""

    path: Path
    offset: int
    dtype: np.dtype[Any]
    rows: int

    def open(self) -> NDArray[Any]:
        """Return the rows (n,), big-endian, mapped from the file."""
        if not self.rows:
            return np.empty(0, self.dtype)
        return np.frombuffer(mapped(self.path), self.dtype, self.rows, self.offset)


Tables = Mapping[str, TablePlace]  # of a file, by name


def mapped(path: Path) -> mmap.mmap:
    """Map a file that is not empty for reading: np.memmap is ten times slower, and thousands are opened in a row."""
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


@contextmanager
def disk_faults(path: Path) -> Iterator[None]:
    """Turn what the disk refuses into a LinkError that names the path."""
    try:
        yield
    except OSError as fault:
        raise LinkError(f"{path}: cannot be written: {fault.strerror or fault}") from fault


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """Write a file under a temporary name; it gets its own only when it is whole and on the disk.

    Raises LinkError, naming the path, when the disk refuses; nothing is left then.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    with disk_faults(path):
        try:
            with temporary.open("w+b") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
            sync_folder(path.parent)
        except BaseException:
            with suppress(OSError):  # what went wrong first is what the user hears
                temporary.unlink(missing_ok=True)
            raise


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def table_header(name: str, dtype: np.dtype[Any], rows: int) -> Any:
    """Return the header (fits.Header) of a table of this layout: structure and column names only.

    Fields: u1, i2, i4, i8, f4, f8, alone or in one dimension, and byte strings.
    """
    header = fits.Header()
    structure = [
        ("XTENSION", "BINTABLE", "binary table"),
        ("BITPIX", 8, ""),
        ("NAXIS", 2, ""),
        ("NAXIS1", dtype.itemsize, "bytes per row"),
        ("NAXIS2", rows, "rows"),
        ("PCOUNT", 0, ""),
        ("GCOUNT", 1, ""),
        ("TFIELDS", len(dtype.names or ()), "columns"),
    ]
    header.extend([*structure, ("EXTNAME", name, "")], strip=False)
    for number, column in enumerate(dtype.names or (), 1):
        kind, shape = (dtype[column].base, dtype[column].shape)
        count = int(np.prod(shape)) if shape else 1
        form = f"{kind.itemsize}A" if kind.kind == "S" else f"{count if shape else ''}{_FORMATS[kind.str[1:]]}"
        header.extend([(f"TTYPE{number}", column, ""), (f"TFORM{number}", form, "")], strip=False)
    return header


def big_endian(table: NDArray[Any]) -> NDArray[Any]:
    """Return the rows in the byte order of FITS, packed."""
    return np.ascontiguousarray(table.astype(table.dtype.newbyteorder(">")))


def write_hdu(file: BinaryIO, header: Any, rows: Iterable[NDArray[Any]] = ()) -> None:
    """Append one HDU; DATASUM and CHECKSUM are set in `header`. The file must be open for reading too."""
    header["DATASUM"] = ("0".ljust(10), "sum of the data")
    header["CHECKSUM"] = ("0" * 16, "sum of the HDU is zero")
    begin = file.tell()
    file.write(header.tostring().encode("ascii"))
    data = file.tell()
    for chunk in rows:
        if len(chunk):
            file.write(chunk.view(np.uint8).data)
    file.write(b"\0" * (-(file.tell() - data) % BLOCK))
    end = file.tell()
    file.seek(data)
    total = 0
    while block := file.read(_READ):
        total = _add(total, block)
    header["DATASUM"] = str(total).ljust(10)
    header["CHECKSUM"] = _encode(~_add(total, header.tostring().encode("ascii")) & 0xFFFFFFFF)
    file.seek(begin)
    file.write(header.tostring().encode("ascii"))
    file.seek(end)


def places(path: Path, *, sums: bool = False) -> Tables:
    """Return the tables by name of a file that we wrote. sums: check every byte of it against the checksums.

    Only the few cards that say where the rows lie are looked at, a hundred times faster than to open the file as FITS:
    a process that takes over reads hundreds of files before it goes on.
    Raises ConfigError if it is not one of ours, and whole.
    """
    try:
        raw = mapped(path)
        primary, begin = read_cards(raw)
        found: dict[str, TablePlace] = {}
        ends = [0, begin]
        while ends[-1] < len(raw):
            cards, offset = read_cards(raw, ends[-1])
            fields = (cards[f"{key}{k + 1}"] for k in range(whole(cards["TFIELDS"])) for key in ("TTYPE", "TFORM"))
            place = TablePlace(path, offset, _layout(*fields), whole(cards["NAXIS2"]))
            if place.rows < 0:
                raise ValueError(f"a table of {place.rows} rows")
            found[text(cards["EXTNAME"])] = place
            ends.append(offset + -(-place.rows * place.dtype.itemsize // BLOCK) * BLOCK)
        if text(primary["ORIGIN"]) != "raysieve" or len(found) != whole(primary["NEXTEND"]):
            raise ValueError(f"expected {whole(primary['NEXTEND'])} tables, found {len(found)}")
        if ends[-1] != len(raw):
            raise ValueError("the last table is cut")
        if sums and any(_add(0, raw[a:b]) != _SUM for a, b in pairwise(ends)):
            raise ValueError("the checksums do not fit")
    except (OSError, LookupError, TypeError, ValueError) as fault:
        raise ConfigError(f"{path}: not a whole event list: {' '.join(str(fault).split())}") from None
    return found


def read_cards(raw: mmap.mmap, begin: int = 0) -> tuple[dict[str, str], int]:
    """Return the cards of the header that begins there, by name and as they are written, and where its data begin.

    Raises ValueError if the header does not end.
    """
    cards: dict[str, str] = {}
    while "END" not in cards:
        block = raw[begin : begin + BLOCK].decode("ascii")
        begin += BLOCK
        if len(block) < BLOCK:
            raise ValueError("a header is cut")
        cards.update(_CARD.findall(block))
    return cards, begin


def whole(card: str) -> int:
    """Return the whole number on a card."""
    return int(card[2:].split("/")[0])


def text(card: str) -> str:
    """Return the text on a card; one without quotation marks in it."""
    return card.split("'")[1].rstrip()


def is_ours(hdus: Any) -> bool:
    """Say whether we wrote this file (fits.HDUList)."""
    return bool(hdus[0].header.get("ORIGIN") == "raysieve" and "NEXTEND" in hdus[0].header)


def check_whole(hdus: Any) -> None:
    """Raise ValueError if a file (fits.HDUList) that we wrote has lost tables or checksums."""
    if is_ours(hdus):
        expected = hdus[0].header["NEXTEND"]
        found = sum(isinstance(hdu, fits.BinTableHDU) for hdu in hdus)
        if found != expected or any("CHECKSUM" not in hdu.header for hdu in hdus):
            raise ValueError(f"expected {expected} tables with a checksum each, found {found}")


@lru_cache(maxsize=64)
def _layout(*cards: str) -> np.dtype[Any]:
    """Return the rows of a table with these TTYPE1, TFORM1, TTYPE2, ...: one object for thousands of open files."""
    words = [text(card) for card in cards]
    return np.dtype([(name, *_form(form)) for name, form in zip(words[::2], words[1::2], strict=True)])


def _form(form: str) -> tuple[str, tuple[int, ...]]:
    count, code = form[:-1], form[-1]
    if code == "A":
        return f"S{count or 1}", ()
    return f">{_KINDS[code]}", (int(count),) if count else ()


def _add(total: int, data: bytes) -> int:
    """Add big-endian words of 32 bit in ones' complement (FITS standard, appendix J)."""
    total += int(np.frombuffer(data, ">u4").sum(dtype=np.uint64))
    while total >> 32:
        total = (total & 0xFFFFFFFF) + (total >> 32)
    return total


def _encode(value: int) -> str:
    """Write 32 bits as 16 letters and digits whose words sum to the value (FITS standard, appendix J)."""
    letters = [0] * 16
    for place in range(4):
        byte = value >> (24 - 8 * place) & 0xFF
        four = [byte // 4 + byte % 4 + 0x30, *[byte // 4 + 0x30] * 3]
        while _PUNCTUATION.intersection(four):
            for first in (0, 2):
                if _PUNCTUATION.intersection(four[first : first + 2]):
                    four[first] += 1
                    four[first + 1] -= 1
        letters[place::4] = four
    return bytes(letters[-1:] + letters[:-1]).decode("ascii")
