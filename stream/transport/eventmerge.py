"""Event lists on disk: one product as a file, and the files of many intervals joined into one."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from stream.errors import ConfigError
from stream.messages import Product
from stream.transport.eventcards import Cards, describe, merged_gti, merged_header, put_cards, run_cards
from stream.transport.fitsfile import TablePlace, big_endian, new_file, places, table_header, write_hdu

CHUNK_ROWS = 65_536
_STRUCTURE = frozenset(("SIMPLE", "BITPIX", "NAXIS", "EXTEND", "CHECKSUM", "DATASUM"))
_KEYS = {"GAPS": ("FIRST", "LAST", "QUADRANT")}
_TIME_KEYS = ("TIME", "FRAME", "QUADRANT")


class _Rows(NamedTuple):
    dtype: np.dtype[Any]
    rows: int
    chunks: Iterable[NDArray[Any]]


def write_product(product: Product, path: Path) -> None:
    """Write a product of kind "events" as an event list. Raises LinkError if the disk refuses."""
    _write(path, run_cards(product.header, product.tables["GTI"]), {n: _whole(t) for n, t in product.tables.items()})


def merge(parts: Sequence[Path], path: Path) -> None:
    """Join event lists of one run (at least one), rows rising by TIME, FRAME, QUADRANT.

    Rows are copied as bytes. If a late row is out of place, the keys of its table (25 bytes a row) are held in memory.
    Raises ConfigError for a part that is not whole, LinkError if the disk refuses.
    """
    found = [places(part) for part in parts]
    header = reduce(merged_header, map(_facts, parts))
    if any(tables_of.keys() != found[0].keys() for tables_of in found):
        raise ConfigError(f"{path}: its parts do not hold the same tables")
    gti = merged_gti([tables_of["GTI"].open() for tables_of in found], int(header["FRAME_NS"]))
    tables = {
        name: _whole(gti) if name == "GTI" else _joined(name, [tables_of[name] for tables_of in found])
        for name in found[0]
    }
    _write(path, run_cards(header, gti), tables)


def _write(path: Path, cards: Cards, tables: Mapping[str, _Rows]) -> None:
    with new_file(path) as file:
        primary = fits.PrimaryHDU().header
        put_cards(primary, {"NEXTEND": len(tables), **cards})
        write_hdu(file, primary)
        for name, rows in tables.items():
            header = table_header(name, rows.dtype, rows.rows)
            describe(header, name, cards)
            write_hdu(file, header, rows.chunks)


def _whole(table: NDArray[Any]) -> _Rows:
    return _Rows(table.dtype, len(table), [big_endian(table)])


def _facts(path: Path) -> Mapping[str, Any]:
    header = fits.getheader(path, 0)
    return {name: header[name] for name in header if name not in _STRUCTURE}


def _joined(name: str, parts: Sequence[TablePlace]) -> _Rows:
    filled = [part for part in parts if part.rows]
    if any(part.dtype != parts[0].dtype for part in filled):
        raise ConfigError(f"{parts[0].path}: {name}: the parts do not have the same columns")
    keys = _KEYS.get(name, _TIME_KEYS)
    rows = sum(part.rows for part in filled)
    chunks = _in_turn(filled) if _is_sorted(filled, keys) else _by_order(filled, keys)
    return _Rows(parts[0].dtype, rows, chunks)


def _is_sorted(parts: Sequence[TablePlace], keys: Sequence[str]) -> bool:
    last: list[NDArray[Any]] | None = None
    for part in parts:
        table = part.open()
        for begin in range(0, part.rows, CHUNK_ROWS):
            rows = [table[key][begin : begin + CHUNK_ROWS] for key in keys]
            if last is not None:
                rows = [np.concatenate([end, row]) for end, row in zip(last, rows, strict=True)]
            if not _rises(rows):
                return False
            last = [row[-1:] for row in rows]
    return True


def _rises(keys: Sequence[NDArray[Any]]) -> bool:
    """Say whether rows rise by the first key, equal ones by the next, and so on."""
    falls = np.zeros(len(keys[0]) - 1, bool)
    equal = ~falls
    for key in keys:
        falls |= equal & (key[1:] < key[:-1])
        equal &= key[1:] == key[:-1]
    return not falls.any()


def _in_turn(parts: Sequence[TablePlace]) -> Iterator[NDArray[Any]]:
    for part in parts:
        table = part.open()
        for begin in range(0, part.rows, CHUNK_ROWS):
            yield table[begin : begin + CHUNK_ROWS]


def _by_order(parts: Sequence[TablePlace], keys: Sequence[str]) -> Iterator[NDArray[Any]]:
    # Copies, one column at a time: views would keep every file mapped.
    columns = [np.concatenate([np.array(part.open()[key]) for part in parts]) for key in keys]
    order = np.lexsort(columns[::-1])
    del columns
    first = np.cumsum([0, *(part.rows for part in parts)])
    for begin in range(0, len(order), CHUNK_ROWS):
        rows_of = order[begin : begin + CHUNK_ROWS]
        owner = np.searchsorted(first, rows_of, "right") - 1
        rows = np.empty(len(rows_of), parts[0].dtype)
        for k in np.unique(owner):
            rows[owner == k] = parts[k].open()[rows_of[owner == k] - first[k]]
        yield rows
