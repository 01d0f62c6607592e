"""What a message on the wire may hold: the version, the limits, and the rule of every field and array."""

import hashlib
import json
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from stream.errors import WireError
from stream.messages import BAD_PIXEL, EVENT, READOUT, TRACK, WINDOW

WIRE_VERSION = 2
FAULTS = ("parts", "header", "version", "kind", "keys", "value", "array", "length")

DType = np.dtype[Any]
Rule = tuple[type[Any], float, float]  # exact type; range of a number, or of the length of a text or list


class BadMessageError(WireError):
    """A message that cannot be read: `fault`, one of FAULTS, says in what way, the text what was expected."""

    def __init__(self, fault: str, text: str) -> None:
        """Make the error; `text` is one line."""
        super().__init__(f"{fault}: {text}")
        self.fault = fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The largest message that is taken in."""

    max_rows: int = 8192
    max_columns: int = 8192
    max_pixel_bytes: int = 1 << 40
    max_events: int = 100_000
    max_tracks: int = 100_000
    max_readouts: int = 256
    max_bad_pixels: int = 1 << 20
    max_windows: int = 16_384
    max_tables: int = 16
    max_table_bytes: int = 256 << 20
    max_header_bytes: int = 64 << 10

    @classmethod
    def of_frames(cls, pixel_bytes: int) -> "Limits":
        """Return the limits of a link that takes no tables."""
        none = dict.fromkeys(("max_tables", "max_table_bytes", *(limit for *_, limit in TABLES)), 0)
        return cls(max_pixel_bytes=pixel_bytes, **none)

    @classmethod
    def of_products(cls, table_bytes: int) -> "Limits":
        """Return the limits of a link that takes tables of products, and no frames or event lists."""
        none = dict.fromkeys(("max_pixel_bytes", *(limit for *_, limit in TABLES)), 0)
        return cls(max_rows=1, max_columns=1, max_table_bytes=table_bytes, **none)

    @property
    def max_part_bytes(self) -> int:
        """The largest part of any message."""
        tables = (getattr(self, limit) * dtype.itemsize for _, _, dtype, limit in TABLES)
        pixels = min(self.max_rows * self.max_columns * 4, self.max_pixel_bytes)
        return max(pixels, self.max_table_bytes, self.max_header_bytes, *tables)

    @property
    def max_parts(self) -> int:
        """The most parts of any message."""
        return 1 + max(len(TABLES), self.max_tables)


def _layout(name: str, dtype: DType) -> str:
    return f"{name}/{hashlib.sha256(json.dumps(dtype.descr).encode()).hexdigest()[:8]}"


TABLES = (  # of an EventList: name, dtype on the wire and in memory, the limit of its rows
    ("events", _layout("EVENT", EVENT), EVENT, "max_events"),
    ("tracks", _layout("TRACK", TRACK), TRACK, "max_tracks"),
    ("readouts", _layout("READOUT", READOUT), READOUT, "max_readouts"),
    ("bad_pixels", _layout("BAD_PIXEL", BAD_PIXEL), BAD_PIXEL, "max_bad_pixels"),
    ("windows", _layout("WINDOW", WINDOW), WINDOW, "max_windows"),
)
PIXELS: dict[str, DType] = {"<u2": np.dtype("<u2"), "<f4": np.dtype("<f4")}

# Lists longer and texts larger than any rule allows are refused while the header is read, before memory is taken.
MAX_LIST = 1024
MAX_TEXT = 4096

LAST = 2**63 - 1
INTEGER: Rule = (int, -LAST - 1, LAST)
COUNT: Rule = (int, 0, LAST)
COUNT_OR_NONE: Rule = (int, -1, LAST)
BYTE: Rule = (int, 0, 255)
BITS: Rule = (int, 0, 65535)
POSITION: Rule = (int, -(2**31), 2**31 - 1)
FINITE: Rule = (float, -sys.float_info.max, sys.float_info.max)
POSITIVE: Rule = (float, sys.float_info.min, sys.float_info.max)
FRACTION: Rule = (float, 0.0, 1.0)
NAME: Rule = (str, 1, 128)
LABEL: Rule = (str, 0, 128)
TEXT: Rule = (str, 0, MAX_TEXT)
TRACE: Rule = (tuple, 0, 32)
HEADER_RULES: dict[type[Any], Rule] = {
    bool: (bool, 0, 1),
    int: INTEGER,
    float: FINITE,
    str: TEXT,
}  # of a Product's header

# The keys of a header besides version, kind and arrays. `kind` of a Product travels as `product`.
RULES: dict[str, dict[str, Rule]] = {
    "start": {
        "stream": NAME,
        "run_id": LABEL,
        "quadrants": (tuple, 1, 256),
        "frame_time_ns": (int, 1, LAST),
        "live_time_ns": COUNT,
        "pixel_dtype": NAME,
        "gain_ev": POSITIVE,
        "saturation": POSITIVE,
        "blank": (int, -1, 65535),
        "sequence_bits": (int, 0, 63),
        "mjdref": (tuple, 2, 2),
        "telescope": LABEL,
        "instrument": LABEL,
        "target": LABEL,
        "map_versions": (tuple, 0, 256),
        "config_digest": LABEL,
    },
    "frame": {
        "stream": NAME,
        "sequence": COUNT,
        "time_ns": INTEGER,
        "quadrant": BYTE,
        "source_frame": COUNT_OR_NONE,
        "quality": BITS,
        "trace": TRACE,
    },
    "events": {"stream": NAME, "sequence": COUNT, "time_ns": INTEGER, "quality": BITS, "trace": TRACE},
    "product": {
        "stream": NAME,
        "product": NAME,
        "sequence": COUNT,
        "time_ns": INTEGER,
        "header": (tuple, 0, MAX_LIST),
        "quality": BITS,
    },
    "gap": {"stream": NAME, "first": COUNT, "last": COUNT, "quadrant": (int, -1, 255), "reason": NAME},
    "end": {"stream": NAME, "frames": COUNT_OR_NONE, "last": COUNT_OR_NONE},
}
QUADRANT: dict[str, Rule] = {
    "id": BYTE,
    "columns": (int, 1, 2**31 - 1),
    "rows": (int, 1, 2**31 - 1),
    "origin_x_px": POSITION,
    "origin_y_px": POSITION,
    "source_chip": POSITION,
    "source_x": POSITION,
    "source_y": POSITION,
    "segment_columns": (int, 0, 2**31 - 1),
}


def _text_size(text: str) -> int:
    return len(text) if text.isprintable() else -1


# What of a value is in the range of its rule: itself, or its length.
SIZES: dict[type[Any], Callable[[Any], int] | None] = {int: None, float: None, bool: None, str: _text_size, tuple: len}


def fits(value: Any, rule: Rule) -> bool:
    """Return whether a value is of the rule's exact type and in its range."""
    kind, low, high = rule
    size = SIZES[kind]
    return type(value) is kind and low <= (size(value) if size else value) <= high


def check(name: str, value: Any, rule: Rule) -> None:
    """Raise BadMessageError("value") naming the rule if the value does not fit it."""
    if not fits(value, rule):
        raise BadMessageError("value", f"{name}: expected {_say(rule)}, got {show(value)}")


def show(value: Any) -> str:
    """Return a value as a short text in one line, whatever it is."""
    if isinstance(value, (tuple, dict)):
        return f"a {'list' if isinstance(value, tuple) else 'map'} of {len(value)}"
    text = repr(value[:40] if isinstance(value, (str, bytes)) else value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _say(rule: Rule) -> str:
    kind, low, high = rule
    if kind is str:
        return f"a printable text of {low}..{high} characters"
    if kind is tuple:
        return f"a list of {low}..{high}"
    return f"{'an integer' if kind is int else 'a finite number'} in {low}..{high}"


# Fields of a Product's table: numbers and byte strings. No object, no text, no date: raw bytes make any value of these.
_ITEM_BYTES = {
    text: np.dtype(text).itemsize for text in ["|u1", "|i1", "<u2", "<i2", "<u4", "<i4", "<u8", "<i8", "<f4", "<f8"]
}
_BYTE_STRING = re.compile(r"\|S([1-9][0-9]{0,3})")
_MAX_FIELDS = 256


def table_dtype(name: str, description: Any, limits: Limits) -> DType:
    """Return the dtype of a Product's table from its description, (name, format[, shape]) for each field.

    Raises BadMessageError("array") if the description is not one of plain fields.
    """
    if not fits(description, (tuple, 1, _MAX_FIELDS)):
        raise BadMessageError("array", f"{name}: expected 1..{_MAX_FIELDS} fields, got {show(description)}")
    row_bytes = sum(_field_bytes(name, field) for field in description)
    if len({field[0] for field in description}) != len(description):
        raise BadMessageError("array", f"{name}: expected fields of different names")
    if row_bytes > limits.max_table_bytes:
        raise BadMessageError(
            "array", f"{name}: expected rows of at most {limits.max_table_bytes} bytes, got {row_bytes}"
        )
    return np.dtype(list(description))


def _field_bytes(table: str, field: Any) -> int:
    if type(field) is not tuple or len(field) not in (2, 3) or not fits(field[0], NAME):
        raise BadMessageError("array", f"{table}: expected fields of (name, format[, shape]), got {show(field)}")
    name, text, shape = (*field, (1,))[:3]
    byte_string = _BYTE_STRING.fullmatch(text) if type(text) is str else None
    item_bytes = int(byte_string[1]) if byte_string else _ITEM_BYTES.get(text, 0) if type(text) is str else 0
    if not item_bytes:
        known = ", ".join(_ITEM_BYTES)
        raise BadMessageError("array", f"{table}.{name}: expected a format of {known}, |S1..|S9999, got {show(text)}")
    if not fits(shape, (tuple, 1, 3)) or not all(fits(side, (int, 1, 2**20)) for side in shape):
        raise BadMessageError(
            "array", f"{table}.{name}: expected a shape of 1..3 sides in 1..{2**20}, got {show(shape)}"
        )
    for side in shape:
        item_bytes *= side
    return item_bytes
