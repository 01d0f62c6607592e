"""Bytes <-> messages: a MessagePack header and raw array buffers, strict, without copies.

The first part of a message is a MessagePack map: `version`, `kind`, the message's own scalar fields by name, and
`arrays`, a list of (name, dtype, shape), one for each of the parts that follow; those are C-ordered little-endian
buffers. The tables of an EventList are named by their layout ("EVENT/" and a digest of its fields), those of a
Product carry theirs as (name, format[, shape]) for each field. Mappings travel as lists of pairs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple
from operator import attrgetter
from typing import Any

import msgpack
import numpy as np
from numpy.typing import NDArray

from stream.messages import End, EventList, Frame, Gap, Message, Product, Quadrant, Start
from stream.transport import wire_format as form
from stream.transport.wire_format import FAULTS, WIRE_VERSION, BadMessageError, Limits

__all__ = ["FAULTS", "WIRE_VERSION", "BadMessageError", "Limits", "Part", "decode", "encode"]

Part = bytes | memoryview
_Values = dict[str, Any]
_Described = tuple[Any, ...]  # what the header says of each array: name, dtype, shape
_Parts = Sequence[Part]

_DEFAULT = Limits()
_UNBOUNDED = Limits(**dict.fromkeys(Limits.__slots__, 2**40))
_KINDS: dict[type, str] = {
    Start: "start",
    Frame: "frame",
    EventList: "events",
    Product: "product",
    Gap: "gap",
    End: "end",
}
_FIELDS = {  # the rules as they are read fastest
    kind: tuple((name, expected, form.SIZES[expected], low, high) for name, (expected, low, high) in rules.items())
    for kind, rules in form.RULES.items()
}
_KEYS = {kind: frozenset(("kind", "arrays", *rules)) for kind, rules in form.RULES.items()}
_SCALARS = {
    kind: attrgetter(*("kind" if name == "product" else name for name in rules)) for kind, rules in form.RULES.items()
}
_FRAME_NAMES = ("pixels",)
_TABLE_NAMES = tuple(table[0] for table in form.TABLES)
_PIXEL_NAMES = {dtype: name for name, dtype in form.PIXELS.items()}


def encode(message: Message) -> list[Part]:
    """Return the parts of a message: its header, then its arrays as they lie in memory (copied only if not C-ordered).

    The arrays must not be changed until the parts have been sent. What is given can be decoded: everything but a Frame,
    which is left to its receiver for speed, is checked here.
    Raises TypeError for a message or array of a type that does not travel, WireError for a value out of range.
    """
    if type(message) is Frame:
        return _encode_frame(message)
    kind = _KINDS.get(type(message))
    if kind is None:
        raise TypeError(f"{type(message).__name__} does not travel between processes")
    arrays = _arrays_of(message)
    header: _Values = dict(zip(form.RULES[kind], _SCALARS[kind](message), strict=True)) | _converted(message)
    header |= {"version": WIRE_VERSION, "kind": kind}
    header["arrays"] = [(name, dtype, array.shape) for name, dtype, array in arrays]
    parts: list[Part] = [_pack(header), *(_ordered(array).view(np.uint8).data for _, _, array in arrays)]
    decode(parts, _UNBOUNDED)
    return parts


def _encode_frame(frame: Frame) -> list[Part]:
    """Do as `encode`, in a third of the time and unchecked: there are hundreds of frames in a second."""
    pixels = frame.pixels
    dtype = _PIXEL_NAMES.get(pixels.dtype)
    if dtype is None or pixels.ndim != 2:
        raise TypeError(f"pixels: expected <u2 or <f4 in 2 dimensions, got {pixels.dtype} in {pixels.ndim}")
    header = {
        "version": WIRE_VERSION,
        "kind": "frame",
        "stream": frame.stream,
        "sequence": frame.sequence,
        "time_ns": frame.time_ns,
        "quadrant": frame.quadrant,
        "source_frame": frame.source_frame,
        "quality": frame.quality,
        "trace": frame.trace,
        "arrays": (("pixels", dtype, pixels.shape),),
    }
    return [_pack(header), _ordered(pixels).data]


def _pack(header: _Values) -> bytes:
    try:
        return bytes(msgpack.packb(header, default=_plain))
    except (OverflowError, UnicodeEncodeError) as fault:
        raise BadMessageError("value", f"expected integers of 64 bit and valid text, {fault}") from None


def _ordered(array: NDArray[Any]) -> NDArray[Any]:
    return array if array.flags.c_contiguous else np.ascontiguousarray(array)


def _arrays_of(message: Any) -> list[tuple[str, Any, NDArray[Any]]]:
    if isinstance(message, EventList):
        return [(name, text, _table(name, getattr(message, name), dtype)) for name, text, dtype, _ in form.TABLES]
    if isinstance(message, Product):
        return [(name, table.dtype.descr, _table(name, table)) for name, table in message.tables.items()]
    return []


def _table(name: str, table: NDArray[Any], dtype: form.DType | None = None) -> NDArray[Any]:
    plain = table.ndim == 1 and table.dtype.names is not None and not table.dtype.hasobject
    if not plain or (dtype is not None and table.dtype != dtype):
        raise TypeError(f"{name}: expected {'its' if dtype else 'a'} table of plain fields in 1 dimension")
    return table


def _converted(message: Any) -> _Values:
    """Return the fields that travel in another form: mappings as pairs, numbers that are declared as float as such."""
    if isinstance(message, Start):
        return {
            "gain_ev": float(message.gain_ev),
            "saturation": float(message.saturation),
            "mjdref": (message.mjdref[0], float(message.mjdref[1])),
            "map_versions": list(message.map_versions.items()),
        }
    return {"header": list(message.header.items())} if isinstance(message, Product) else {}


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Quadrant):
        return astuple(value)
    if isinstance(value, int):
        raise OverflowError(f"got one of {value.bit_length()} bit")
    raise TypeError(f"{type(value).__name__} does not travel between processes")


def decode(parts: Sequence[Part], limits: Limits = _DEFAULT) -> Message:
    """Return the message of these parts; its arrays are read-only views of them (unaligned pixels are copied).

    Raises BadMessageError, a WireError, for anything else than a whole message within the limits.
    """
    header = _open(parts, limits)
    kind = header.pop("kind")
    for name, expected, size, low, high in _FIELDS[kind]:
        value = header[name]
        if type(value) is not expected or not low <= (size(value) if size else value) <= high:
            form.check(f"{kind}: {name}", value, (expected, low, high))
    arrays = header.pop("arrays")
    if type(arrays) is not tuple or len(arrays) + 1 != len(parts):
        raise BadMessageError("parts", f"{kind}: expected a header and its arrays, one part each, got {len(parts)}")
    return _BUILD[kind](header, arrays, parts[1:], limits)


def _open(parts: Sequence[Part], limits: Limits) -> _Values:
    if not parts:
        raise BadMessageError("parts", "expected a header and its arrays, got no parts")
    size = memoryview(parts[0]).nbytes
    if size > limits.max_header_bytes:
        raise BadMessageError("header", f"expected at most {limits.max_header_bytes} bytes, got {size}")
    header = _unpack(bytes(parts[0]))
    version, kind = header.pop("version", None), header.get("kind")
    if type(version) is not int or version != WIRE_VERSION:
        raise BadMessageError("version", f"expected {WIRE_VERSION}, got {form.show(version)}")
    if type(kind) is not str or kind not in _KEYS:
        raise BadMessageError("kind", f"expected one of {', '.join(_KEYS)}, got {form.show(kind)}")
    if header.keys() != _KEYS[kind]:
        missing = ", ".join(sorted(_KEYS[kind] - header.keys())) or "none"
        extra = ", ".join(sorted(map(form.show, header.keys() - _KEYS[kind]))[:4]) or "none"
        raise BadMessageError("keys", f"{kind}: expected all and only its keys, missing: {missing}; unknown: {extra}")
    return header


def _unpack(head: bytes) -> _Values:
    try:
        header = msgpack.unpackb(
            head,
            use_list=False,
            max_str_len=form.MAX_TEXT * 4,
            max_array_len=form.MAX_LIST,
            max_map_len=32,
            max_bin_len=0,
            max_ext_len=0,
        )
    except (ValueError, TypeError, OverflowError, RecursionError, msgpack.UnpackException) as fault:
        text = str(fault) or type(fault).__name__
        raise BadMessageError("header", f"expected one MessagePack map and nothing after it, {text}") from None
    if type(header) is not dict:
        raise BadMessageError("header", f"expected a MessagePack map, got {form.show(header)}")
    if len(header) != _map_size(head):
        raise BadMessageError("header", "expected a map with each key once")
    return header


def _map_size(head: bytes) -> int:
    """Return how many keys the map says it has: more than a dict made of it, if one is repeated."""
    return head[0] & 15 if head[0] & 0xF0 == 0x80 else int.from_bytes(head[1 : 3 if head[0] == 0xDE else 5])


def _frame(values: _Values, arrays: _Described, parts: _Parts, limits: Limits) -> Frame:
    _check_names(arrays, _FRAME_NAMES)
    _check_trace(values["trace"])
    text = arrays[0][1]
    dtype = form.PIXELS.get(text) if type(text) is str else None
    if dtype is None:
        raise BadMessageError("array", f"pixels: expected {' or '.join(form.PIXELS)}, got {form.show(text)}")
    pixels = _view(arrays[0], parts[0], dtype, (limits.max_rows, limits.max_columns))
    if not pixels.flags.aligned:  # small parts may lie anywhere in the receive buffer: kernels are built for aligned
        pixels = pixels.copy()
        pixels.flags.writeable = False
    return Frame(**values, pixels=pixels)


def _events(values: _Values, arrays: _Described, parts: _Parts, limits: Limits) -> EventList:
    _check_trace(values["trace"])
    _check_names(arrays, _TABLE_NAMES)
    for described, part, (name, layout, dtype, limit) in zip(arrays, parts, form.TABLES, strict=True):
        if described[1] != layout:
            raise BadMessageError("array", f"{name}: expected {layout}, got {form.show(described[1])}")
        values[name] = _view(described, part, dtype, (getattr(limits, limit),))
    return EventList(**values)


def _product(values: _Values, arrays: _Described, parts: _Parts, limits: Limits) -> Product:
    if len(arrays) > limits.max_tables:
        raise BadMessageError("array", f"product: expected at most {limits.max_tables} tables, got {len(arrays)}")
    header = _mapping("product: header", values.pop("header"), form.NAME)
    for key, value in header.items():
        form.check(f"product: {key}", value, form.HEADER_RULES.get(type(value), form.TEXT))
    tables: dict[str, NDArray[Any]] = {}
    for described, part in zip(arrays, parts, strict=True):
        name = _name_of(described)
        if name in tables:
            raise BadMessageError("array", f"product: expected tables of different names, got {form.show(name)} twice")
        dtype = form.table_dtype(name, described[1], limits)
        tables[name] = _view(described, part, dtype, (limits.max_table_bytes // dtype.itemsize,))
    values["kind"] = values.pop("product")
    return Product(**values, header=header, tables=tables)


def _start(values: _Values, arrays: _Described, parts: _Parts, limits: Limits) -> Start:
    _check_names(arrays, ())
    if values["pixel_dtype"] not in form.PIXELS:
        raise BadMessageError("value", f"start: pixel_dtype: expected {' or '.join(form.PIXELS)}")
    if values["live_time_ns"] > values["frame_time_ns"]:
        raise BadMessageError("value", "start: live_time_ns: expected at most frame_time_ns")
    form.check("start: mjdref", values["mjdref"][0], form.COUNT)
    form.check("start: mjdref", values["mjdref"][1], form.FRACTION)
    quadrants = tuple(_quadrant(numbers, limits) for numbers in values.pop("quadrants"))
    if len({quadrant.id for quadrant in quadrants}) != len(quadrants):
        raise BadMessageError("value", "start: quadrants: expected each id once")
    versions: Any = _mapping("start: map_versions", values.pop("map_versions"), form.BYTE)
    for quadrant, version in versions.items():
        form.check(f"start: map_versions: {quadrant}", version, form.LABEL)
    return Start(**values, quadrants=quadrants, map_versions=versions)


def _quadrant(numbers: Any, limits: Limits) -> Quadrant:
    form.check("start: quadrants", numbers, (tuple, len(form.QUADRANT), len(form.QUADRANT)))
    values = dict(zip(form.QUADRANT, numbers, strict=True))
    for name, rule in form.QUADRANT.items():
        form.check(f"start: quadrants: {name}", values[name], rule)
    form.check("start: quadrants: columns", values["columns"], (int, 1, limits.max_columns))
    form.check("start: quadrants: rows", values["rows"], (int, 1, limits.max_rows))
    return Quadrant(**values)


def _gap(values: _Values, arrays: _Described, parts: _Parts, limits: Limits) -> Gap:
    _check_names(arrays, ())
    if values["last"] < values["first"]:
        raise BadMessageError("value", f"gap: last: expected at least {values['first']}, got {values['last']}")
    return Gap(**values)


def _end(values: _Values, arrays: _Described, parts: _Parts, limits: Limits) -> End:
    _check_names(arrays, ())
    return End(**values)


_BUILD: Mapping[str, Callable[[_Values, _Described, _Parts, Limits], Message]] = {
    "start": _start,
    "frame": _frame,
    "events": _events,
    "product": _product,
    "gap": _gap,
    "end": _end,
}


def _check_names(arrays: _Described, names: tuple[str, ...]) -> None:
    if len(arrays) != len(names):
        raise BadMessageError("array", f"expected {', '.join(names) or 'no arrays'}, got {form.show(arrays)}")
    for k, described in enumerate(arrays):
        if type(described) is not tuple or len(described) != 3 or described[0] != names[k]:
            got = form.show(_name_of(described))
            raise BadMessageError("array", f"expected {names[k]} with its dtype and shape, got {got}")


def _name_of(described: Any) -> str:
    if type(described) is not tuple or len(described) != 3 or not form.fits(described[0], form.NAME):
        raise BadMessageError("array", f"expected arrays of (name, dtype, shape), got {form.show(described)}")
    return str(described[0])


def _view(described: Any, part: Part, dtype: form.DType, highest: tuple[int, ...]) -> NDArray[Any]:
    """Return a part as an array: of at most so many rows, or of 1..rows x 1..columns if two limits are given."""
    name, _, shape = described
    lowest = len(highest) - 1
    if type(shape) is not tuple or len(shape) != len(highest):
        raise BadMessageError("array", f"{name}: expected a shape of {len(highest)} sides, got {form.show(shape)}")
    size = dtype.itemsize
    for k, side in enumerate(shape):
        if type(side) is not int or not lowest <= side <= highest[k]:
            text = f"{name}: expected side {k} of its shape in {lowest}..{highest[k]}, got {form.show(side)}"
            raise BadMessageError("array", text)
        size *= side
    view = memoryview(part).toreadonly()
    if view.nbytes != size:
        raise BadMessageError("length", f"{name}: expected {size} bytes, got {view.nbytes}")
    return np.ndarray(shape, dtype, view)


def _check_trace(trace: tuple[Any, ...]) -> None:
    for time_ns in trace:
        if type(time_ns) is not int or not 0 <= time_ns <= form.LAST:
            form.check("trace", time_ns, form.COUNT)


def _mapping(name: str, pairs: tuple[Any, ...], key: form.Rule) -> _Values:
    for pair in pairs:
        if type(pair) is not tuple or len(pair) != 2 or not form.fits(pair[0], key):
            raise BadMessageError("value", f"{name}: expected pairs of key and value, got {form.show(pair)}")
    mapping = dict(pairs)
    if len(mapping) != len(pairs):
        raise BadMessageError("value", f"{name}: expected each key once")
    return mapping
