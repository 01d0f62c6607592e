"""IDL save files, by `scipy.io.readsav`: numbers and text only, nothing in them is run.

What a hostile file could do is to unpack to more than the disk holds, or to ask for more memory than there is: a file's
size and what it unpacks to are limited before it is read. Compiled routines that a file may hold are skipped unread.
"""

import struct
import warnings
import zlib
from pathlib import Path
from typing import Any, BinaryIO, Final

from scipy.io import readsav

from stream.errors import ConfigError

MAGIC: Final = {b"SR\x00\x04": False, b"SR\x00\x06": True}  # plain, compressed
MOST: Final = 256 << 20  # bytes of a file, and of what it unpacks to
CHUNK: Final = 1 << 20
END: Final = 6  # kind of the last record


def read_idl(path: Path | str) -> dict[str, Any]:
    """Return the variables of a file by lower-case name: NumPy arrays (big-endian) and scalars, text as bytes.

    Raises ConfigError for anything else than a save file, and for one of more than MOST bytes.
    """
    where = Path(path)
    try:
        size = where.stat().st_size
        with where.open("rb") as file:
            packed = MAGIC.get(file.read(4))
            if packed is None:
                raise ConfigError(f"{where}: expected an IDL save file")
            if size > MOST or (packed and unpacked_size(file) > MOST):
                raise ConfigError(f"{where}: an IDL save file of more than {MOST >> 20} MiB: not read")
    except OSError as fault:
        raise ConfigError(f"{where}: {fault.strerror or fault}") from None
    told = ""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd records, and of a file that readsav leaves open when it fails
        try:
            return dict(readsav(str(where)))
        except Exception as fault:  # it has no exception of its own
            told = str(fault).splitlines()[0][:120] if str(fault) else type(fault).__name__
    raise ConfigError(f"{where}: a damaged IDL save file ({told})")


def unpacked_size(file: BinaryIO) -> int:
    """Return how many bytes the records of a compressed file unpack to; more than MOST are not counted."""
    total, at = 0, 4
    while total <= MOST:
        file.seek(at)
        head = file.read(16)
        if len(head) < 16:
            return total
        kind, low, high = struct.unpack(">III", head[:12])
        following = low + (high << 32)
        if kind == END or following <= at:
            return total
        unpack, left = zlib.decompressobj(), following - file.tell()
        while left > 0 and total <= MOST and not unpack.eof:
            part = file.read(min(CHUNK, left))
            if not part:
                break
            left -= len(part)
            while part and total <= MOST:
                total += len(unpack.decompress(part, CHUNK))
                part = unpack.unconsumed_tail
        at = following
    return total
