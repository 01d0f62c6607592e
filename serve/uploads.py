"""Uploaded files: kept under names of our own, gzip taken off, never more than a client may send."""

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

CHUNK: Final = 1 << 20
GZIP: Final = b"\x1f\x8b"
FITS: Final = b"SIMPLE  ="


class RefusedError(Exception):
    """A request that is refused: status and one line."""

    def __init__(self, status: int, text: str, retry_s: int = 0) -> None:
        super().__init__(text)
        self.status, self.text, self.retry_s = status, text, retry_s


def keep(source: BinaryIO, path: Path, most: int) -> int:
    """Write an upload, unpacked, to a new file of at most so many bytes; return how many.

    Raises RefusedError (413, 422) for a larger one and for what is no FITS file, gzipped or not.
    """
    name, size = path.stem, 0
    first = source.read(CHUNK)
    with path.open("xb") as out:
        try:
            for part in (_unpacked if first.startswith(GZIP) else _plain)(first, source):
                if not size and not part.startswith(FITS):
                    raise RefusedError(422, f"{name}: expected a FITS file, gzipped or not")
                size += len(part)
                if size > most:
                    raise RefusedError(413, f"{name}: more than {most / 1e6:g} MB unpacked")
                out.write(part)
        except zlib.error:
            raise RefusedError(422, f"{name}: its gzip is damaged") from None
        except EOFError:
            raise RefusedError(422, f"{name}: its gzip is cut") from None
    if not size:
        raise RefusedError(422, f"{name}: expected a FITS file, got an empty one")
    return size


def _plain(given: bytes, source: BinaryIO) -> Iterator[bytes]:
    while given:
        yield given
        given = source.read(CHUNK)


def _unpacked(given: bytes, source: BinaryIO) -> Iterator[bytes]:
    """Yield parts of all members; zeros after one are padding. Raises EOFError, zlib.error."""
    unpack = zlib.decompressobj(zlib.MAX_WBITS | 16)
    while given:
        while given and not unpack.eof:
            part = unpack.decompress(given, CHUNK)
            given = unpack.unconsumed_tail
            if part:
                yield part
        if not unpack.eof:
            given = source.read(CHUNK)
            continue
        given = unpack.unused_data.lstrip(b"\0")
        while not given and (more := source.read(CHUNK)):
            given = more.lstrip(b"\0")
        if given:
            unpack = zlib.decompressobj(zlib.MAX_WBITS | 16)
    if not unpack.eof:
        raise EOFError
