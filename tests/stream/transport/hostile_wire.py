"""Payloads that a decoder must refuse: malformed ones, and well-formed ones that make no sense.

`GOOD` holds one valid message of each kind; `CORPUS` the name, the parts and a piece of the expected error of each.
All headers are packed here by hand or changed from a valid one, so that the corpus does not trust the encoder.
"""

from typing import Any, NamedTuple

import msgpack
import numpy as np

from stream.messages import BAD_PIXEL, EVENT, TRACK, End, EventList, Frame, Gap, Message, Product, Quadrant, Start
from stream.transport.wire import encode

PIXELS = np.arange(6 * 8, dtype="<u2").reshape(6, 8)
PIXEL_BYTES = PIXELS.tobytes()
FRAME_HEADER: dict[str, Any] = {
    "version": 2,
    "kind": "frame",
    "stream": "wfi",
    "sequence": 7,
    "time_ns": 123_456_789,
    "quadrant": 2,
    "source_frame": 70,
    "quality": 9,
    "trace": [5, 6],
    "arrays": [["pixels", "<u2", [6, 8]]],
}
PRODUCT_TABLE = np.zeros(3, [("TIME", "<f8"), ("PHAS", "<i2", (3, 3)), ("NAME", "S5")])
GOOD: dict[str, Message] = {
    "start": Start(
        stream="wfi",
        run_id="r1",
        quadrants=(Quadrant(id=0, columns=8, rows=6), Quadrant(id=3, columns=8, rows=6, origin_x_px=-4)),
        frame_time_ns=5_000_000,
        live_time_ns=4_900_000,
        map_versions={0: "ab12", 3: ""},
    ),
    "frame": Frame(
        stream="wfi",
        sequence=7,
        time_ns=123_456_789,
        quadrant=2,
        pixels=PIXELS,
        source_frame=70,
        quality=9,
        trace=(5, 6),
    ),
    "events": EventList(
        stream="wfi",
        sequence=7,
        time_ns=-5,
        events=np.ones(3, EVENT),
        tracks=np.ones(1, TRACK),
        bad_pixels=np.ones(2, BAD_PIXEL),
        trace=(1,),
    ),
    "product": Product(
        stream="wfi",
        kind="events",
        sequence=1,
        time_ns=0,
        header={"TELESCOP": "WFI", "N": 3, "EXPOSURE": 1.5, "GOOD": True},
        tables={"EVENTS": PRODUCT_TABLE, "GTI": np.zeros(0, [("START", "<f8"), ("STOP", "<f8")])},
    ),
    "gap": Gap(stream="wfi", first=3, last=5, quadrant=-1, reason="lost"),
    "end": End(stream="wfi", frames=12),
}


class Hostile(NamedTuple):
    """One payload, and the error that it must give: kind of fault, colon, a piece of the text."""

    name: str
    parts: list[bytes]
    expected: str

    @property
    def fault(self) -> str:
        """The kind of fault."""
        return self.expected.partition(": ")[0]

    @property
    def piece(self) -> str:
        """What is in the text."""
        return self.expected.partition(": ")[2]


def pack(header: Any) -> bytes:
    """Return a header as bytes."""
    return bytes(msgpack.packb(header))


def frame(remove: str = "", pixels: bytes = PIXEL_BYTES, **changes: Any) -> list[bytes]:
    """Return the parts of a frame whose header is changed."""
    header = {key: value for key, value in (FRAME_HEADER | changes).items() if key != remove}
    return [pack(header), pixels]


def changed(kind: str, **changes: Any) -> list[bytes]:
    """Return the parts of the valid message of a kind, its header changed."""
    parts = [bytes(part) for part in encode(GOOD[kind])]
    header = msgpack.unpackb(parts[0])
    assert header.keys() >= changes.keys()
    return [pack(header | changes), *parts[1:]]


def shaped(dtype: Any, shape: Any, pixels: bytes = PIXEL_BYTES) -> list[bytes]:
    """Return a frame that describes its pixels so."""
    return frame(arrays=[["pixels", dtype, shape]], pixels=pixels)


def tabled(fields: Any, rows: Any = 0, table: bytes = b"", name: Any = "T") -> list[bytes]:
    """Return a product with one table described so."""
    return [changed("product", arrays=[[name, fields, [rows]]])[0], table]


def events(place: int, described: Any) -> list[bytes]:
    """Return an event list of which one table is described so."""
    header, *tables = changed("events")
    arrays = msgpack.unpackb(header)["arrays"]
    arrays[place] = described(arrays[place])
    return [changed("events", arrays=arrays)[0], *tables]


def quadrants(**changes: Any) -> list[bytes]:
    """Return a start with one quadrant changed so."""
    numbers = {"id": 0, "columns": 8, "rows": 6, "x": 0, "y": 0, "chip": -1, "sx": 0, "sy": 0, "segment": 0} | changes
    return changed("start", quadrants=[list(numbers.values())])


def nested(depth: int) -> bytes:
    """Return lists in lists."""
    return b"\x91" * depth + b"\xc0"


def repeated_key() -> bytes:
    """Return a frame header that gives its quadrant twice."""
    header = pack(FRAME_HEADER)
    return bytes([header[0] + 1]) + header[1:] + pack("quadrant") + pack(3)


def repeated_key_of_start() -> bytes:
    """Return a start header (more than 15 keys, so another kind of map) that gives its stream twice."""
    header = changed("start")[0]
    assert header[0] == 0xDE
    return header[:2] + bytes([header[2] + 1]) + header[3:] + pack("stream") + pack("other")


HEADER = pack(FRAME_HEADER)
MALFORMED = [
    Hostile("no parts", [], "parts: expected a header"),
    Hostile("one empty part", [b""], "header: expected one MessagePack map"),
    Hostile("empty header", [b"", PIXEL_BYTES], "header: expected one MessagePack map"),
    Hostile("text", [b"GET / HTTP/1.1\r\n\r\n"], "header: expected one MessagePack map and nothing after it"),
    Hostile("json", [b'{"kind": "frame"}'], "header: expected"),
    Hostile("pickle", [b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00\x8c\x07builtin\x94."], "header: expected"),
    Hostile("a number", [pack(7), PIXEL_BYTES], "header: expected a MessagePack map, got 7"),
    Hostile("a list", [pack([1, "frame"]), PIXEL_BYTES], "header: expected a MessagePack map, got a list of 2"),
    Hostile("nothing", [pack(None)], "header: expected a MessagePack map, got None"),
    Hostile("an empty map", [pack({})], "version: expected 2, got None"),
    Hostile("header cut short", [HEADER[:-9], PIXEL_BYTES], "header: expected one MessagePack map"),
    Hostile("header cut to a byte", [HEADER[:1], PIXEL_BYTES], "header: expected one MessagePack map"),
    Hostile("bytes after the header", [HEADER + b"\x00", PIXEL_BYTES], "header: nothing after it"),
    Hostile("two headers in one part", [HEADER + HEADER, PIXEL_BYTES], "header: nothing after it"),
    Hostile("reserved byte", [b"\xc1"], "header: expected one MessagePack map"),
    Hostile("not UTF-8", [HEADER.replace(b"\xa3wfi", b"\xa3\xff\xfei"), PIXEL_BYTES], "header: expected"),
    Hostile("nested 500 deep", [nested(500)], "header: expected"),
    Hostile("nested 60000 deep", [nested(60_000)], "header: expected"),
    Hostile("nested below a key", [HEADER.replace(pack([5, 6]), nested(300)), PIXEL_BYTES], "value: trace: expected"),
    Hostile("a list of 2**32-1", [b"\xdd\xff\xff\xff\xff"], "header: exceeds max_array_len"),
    Hostile("a list of 1025", [b"\xdc\x04\x01"], "header: exceeds max_array_len"),
    Hostile("a map of 2**32-1", [b"\xdf\xff\xff\xff\xff"], "header: exceeds max_map_len"),
    Hostile("a text of 2**32-1", [b"\xdb\xff\xff\xff\xff"], "header: expected"),
    Hostile("a text of 20000", [pack("x" * 20_000)], "header: exceeds max_str_len"),
    Hostile("lists of 1000 in lists of 1000", [b"\xdc\x03\xe8" * 20_000], "header: expected"),
    Hostile("extension type", [HEADER.replace(pack([5, 6]), pack(msgpack.ExtType(5, b"code")))], "header: expected"),
    Hostile("timestamp", [HEADER.replace(pack([5, 6]), b"\xd6\xff\x00\x00\x00\x01")], "header: expected"),
    Hostile("keys that are numbers", [pack({1: 2}), PIXEL_BYTES], "header: expected"),
    Hostile("keys that are bytes", [pack({b"version": 1})], "header: expected"),
    Hostile("a key twice", [repeated_key(), PIXEL_BYTES], "header: expected a map with each key once"),
    Hostile("a key twice in a long map", [repeated_key_of_start()], "header: expected a map with each key once"),
    Hostile("header of 70 kB", [pack(FRAME_HEADER | {"stream": "x" * 70_000})], "header: expected at most 65536 bytes"),
]
ENVELOPE = [
    Hostile("no version", frame(remove="version"), "version: expected 2, got None"),
    Hostile("version 3", frame(version=3), "version: expected 2, got 3"),
    Hostile("version 1", frame(version=1), "version: expected 2, got 1"),
    Hostile("version true", frame(version=True), "version: expected 2, got True"),
    Hostile("version 2.0", frame(version=2.0), "version: expected 2, got 2.0"),
    Hostile("version text", frame(version="2"), "version: expected 2, got '2'"),
    Hostile("newer version of another shape", [pack({"version": 3, "body": []})], "version: expected 2, got 3"),
    Hostile("no kind", frame(remove="kind"), "kind: expected one of start, frame"),
    Hostile("unknown kind", frame(kind="corrected"), "kind: expected one of start, frame"),
    Hostile("kind is a list", frame(kind=[["frame"]]), "kind: expected one of"),
    Hostile("kind is a map", frame(kind={"a": 1}), "kind: expected one of"),
    Hostile("kind with an escape", frame(kind="\x1b[2J\nframe"), r"kind: got '\x1b[2J\nframe'"),
    Hostile("missing key", frame(remove="quadrant"), "keys: frame: expected all and only its keys, missing: quadrant"),
    Hostile("unknown key", frame(pickle="x"), "keys: unknown: 'pickle'"),
    Hostile("no arrays", frame(remove="arrays"), "keys: missing: arrays"),
    Hostile("kind of another", frame(kind="end"), "keys: end: expected"),
    Hostile("frame without pixels", frame()[:1], "parts: frame: expected"),
    Hostile("frame with a part too many", [*frame(), b""], "parts: frame: expected"),
    Hostile("event list with a table less", changed("events")[:-1], "parts: events: expected"),
    Hostile("end with a part", [*changed("end"), b"x"], "parts: end: expected"),
    Hostile("arrays is a number", frame(arrays=1), "parts: frame: expected"),
    Hostile("arrays is a text", frame(arrays="p"), "parts: frame: expected"),
    Hostile("arrays is a map", frame(arrays={"pixels": 1}), "parts: frame: expected"),
    Hostile("end with an array", [changed("end", arrays=[["x", "<u2", [0]]])[0], b""], "array: expected no arrays"),
]
VALUES = [
    Hostile("negative sequence", frame(sequence=-1), "value: frame: sequence: expected an integer in 0.."),
    Hostile("sequence of 64 bit", frame(sequence=2**63), "value: frame: sequence: expected an integer in 0.."),
    Hostile("sequence true", frame(sequence=True), "value: frame: sequence: expected an integer"),
    Hostile("sequence 1.0", frame(sequence=1.0), "value: frame: sequence: expected an integer"),
    Hostile("sequence NaN", frame(sequence=float("nan")), "value: frame: sequence: expected an integer"),
    Hostile("sequence missing value", frame(sequence=None), "value: frame: sequence: expected an integer"),
    Hostile("sequence is a list", frame(sequence=[1]), "value: frame: sequence: expected an integer"),
    Hostile("time infinite", frame(time_ns=float("inf")), "value: frame: time_ns: expected an integer"),
    Hostile("time beyond 64 bit", frame(time_ns=2**64 - 1), "value: frame: time_ns: expected an integer"),
    Hostile("quadrant 256", frame(quadrant=256), "value: frame: quadrant: expected an integer in 0..255, got 256"),
    Hostile("quadrant -1", frame(quadrant=-1), "value: frame: quadrant: expected an integer in 0..255, got -1"),
    Hostile("source frame -2", frame(source_frame=-2), "value: frame: source_frame: expected an integer in -1.."),
    Hostile("quality of 17 bit", frame(quality=65536), "value: frame: quality: expected an integer in 0..65535"),
    Hostile("empty stream", frame(stream=""), "value: frame: stream: expected a printable text of 1..128"),
    Hostile("long stream", frame(stream="x" * 129), "value: frame: stream: expected a printable text of 1..128"),
    Hostile("stream with a line end", frame(stream="a\nb"), "value: frame: stream: expected a printable text"),
    Hostile("stream with an escape", frame(stream="\x1b[2J"), "value: frame: stream: expected a printable text"),
    Hostile("stream of bytes", frame(stream=b""), "value: frame: stream: expected a printable text"),
    Hostile("stream is a number", frame(stream=5), "value: frame: stream: expected a printable text"),
    Hostile("trace is a number", frame(trace=5), "value: frame: trace: expected a list of 0..32, got 5"),
    Hostile("trace of 33", frame(trace=[0] * 33), "value: frame: trace: expected a list of 0..32, got a list of 33"),
    Hostile("trace of texts", frame(trace=["x"]), "value: trace: expected an integer in 0.."),
    Hostile("trace of truths", frame(trace=[True]), "value: trace: expected an integer in 0.."),
    Hostile("negative trace", frame(trace=[1, -1]), "value: trace: expected an integer in 0.."),
    Hostile("gap that ends before it begins", changed("gap", last=2), "value: gap: last: expected at least 3, got 2"),
    Hostile("gap of quadrant -2", changed("gap", quadrant=-2), "value: gap: quadrant: expected an integer in -1..255"),
    Hostile("gap without a reason", changed("gap", reason=""), "value: gap: reason: expected a printable text"),
    Hostile("end of -2 frames", changed("end", frames=-2), "value: end: frames: expected an integer in -1.."),
    Hostile("gain NaN", changed("start", gain_ev=float("nan")), "value: start: gain_ev: expected a finite number"),
    Hostile("gain 0", changed("start", gain_ev=0.0), "value: start: gain_ev: expected a finite number"),
    Hostile("gain is an integer", changed("start", gain_ev=1), "value: start: gain_ev: expected a finite number"),
    Hostile("saturation infinite", changed("start", saturation=float("inf")), "value: start: saturation: expected"),
    Hostile("frame time 0", changed("start", frame_time_ns=0), "value: start: frame_time_ns: expected"),
    Hostile(
        "live for too long",
        changed("start", live_time_ns=5_000_001),
        "value: live_time_ns: expected at most frame_time_ns",
    ),
    Hostile("pixels of objects", changed("start", pixel_dtype="|O"), "value: pixel_dtype: expected <u2 or <f4"),
    Hostile(
        "counter of 64 bit", changed("start", sequence_bits=64), "value: sequence_bits: expected an integer in 0..63"
    ),
    Hostile("mjdref a number", changed("start", mjdref=51544.5), "value: mjdref: expected a list of 2..2"),
    Hostile("mjdref of two texts", changed("start", mjdref=["a", "b"]), "value: start: mjdref: expected an integer"),
    Hostile(
        "mjdref fraction NaN", changed("start", mjdref=[1, float("nan")]), "value: mjdref: expected a finite number"
    ),
    Hostile(
        "no quadrants", changed("start", quadrants=[]), "value: quadrants: expected a list of 1..256, got a list of 0"
    ),
    Hostile(
        "quadrant of 8 numbers", changed("start", quadrants=[[0] * 8]), "value: quadrants: expected a list of 9..9"
    ),
    Hostile(
        "quadrant is a number", changed("start", quadrants=[1]), "value: start: quadrants: expected a list of 9..9"
    ),
    Hostile("quadrant id 256", quadrants(id=256), "value: quadrants: id: expected an integer in 0..255"),
    Hostile("quadrant without rows", quadrants(rows=0), "value: quadrants: rows: expected an integer in 1.."),
    Hostile(
        "quadrant of 8193 columns", quadrants(columns=8193), "value: columns: expected an integer in 1..8192, got 8193"
    ),
    Hostile("quadrant far away", quadrants(x=2**40), "value: quadrants: origin_x_px: expected an integer"),
    Hostile(
        "value: a quadrant twice",
        changed("start", quadrants=[[0, 8, 6, 0, 0, -1, 0, 0, 0]] * 2),
        "value: quadrants: expected each id once",
    ),
    Hostile(
        "map version of no quadrant", changed("start", map_versions=[[256, "a"]]), "value: map_versions: expected pairs"
    ),
    Hostile(
        "map version a number", changed("start", map_versions=[[0, 1]]), "value: map_versions: 0: expected a printable"
    ),
    Hostile("map version twice", changed("start", map_versions=[[0, "a"], [0, "b"]]), "value: expected each key once"),
    Hostile("map version true", changed("start", map_versions=[[True, "a"]]), "value: map_versions: expected pairs"),
    Hostile(
        "header card NaN",
        changed("product", header=[["A", float("nan")]]),
        "value: product: A: expected a finite number",
    ),
    Hostile(
        "header card of a list", changed("product", header=[["A", [1]]]), "value: product: A: expected a printable text"
    ),
    Hostile("header card twice", changed("product", header=[["A", 1], ["A", 2]]), "value: expected each key once"),
    Hostile(
        "header card of 64 bit", changed("product", header=[["A", 2**63]]), "value: product: A: expected an integer"
    ),
    Hostile(
        "header card with a line end",
        changed("product", header=[["A", "x\ny"]]),
        "value: product: A: expected a printable",
    ),
    Hostile("header card without value", changed("product", header=[["A"]]), "value: product: header: expected pairs"),
    Hostile("header is a map", changed("product", header={"A": 1}), "value: product: header: expected a list"),
]
ARRAYS = [
    Hostile("array is a number", frame(arrays=[1]), "array: expected arrays of (name, dtype, shape), got 1"),
    Hostile("array of two", frame(arrays=[["pixels", "<u2"]]), "array: expected arrays of (name, dtype, shape)"),
    Hostile("array of another name", frame(arrays=[["pixel", "<u2", [6, 8]]]), "array: expected pixels"),
    Hostile("array named by a list", frame(arrays=[[[], "<u2", [6, 8]]]), "array: expected arrays of (name"),
    Hostile("pixels of objects in a frame", shaped("|O", [6, 8]), "array: pixels: expected <u2 or <f4, got '|O'"),
    Hostile("pixels big-endian", shaped(">u2", [6, 8]), "array: pixels: expected <u2 or <f4, got '>u2'"),
    Hostile("pixels signed", shaped("<i2", [6, 8]), "array: pixels: expected <u2 or <f4, got '<i2'"),
    Hostile("dtype is a list", shaped([["a", "<u2"]], [6, 8]), "array: pixels: expected <u2 or <f4"),
    Hostile("dtype is a map", shaped({"a": 1}, [6, 8]), "array: pixels: expected <u2 or <f4"),
    Hostile("shape of one side", shaped("<u2", [48]), "array: pixels: expected a shape of 2 sides"),
    Hostile("shape of three sides", shaped("<u2", [1, 6, 8]), "array: pixels: expected a shape of 2 sides"),
    Hostile("shape is a number", shaped("<u2", 48), "array: pixels: expected a shape of 2 sides"),
    Hostile("negative shape", shaped("<u2", [-6, -8]), "array: pixels: expected side 0 of its shape in 1..8192"),
    Hostile("shape with -1", shaped("<u2", [6, -1]), "array: pixels: expected side 1 of its shape in 1..8192"),
    Hostile("no rows", shaped("<u2", [0, 8], b""), "array: pixels: expected side 0 of its shape in 1..8192, got 0"),
    Hostile("8193 rows", shaped("<u2", [8193, 8]), "array: pixels: expected side 0 of its shape in 1..8192, got 8193"),
    Hostile("rows that overflow", shaped("<u2", [2**62, 8]), "array: pixels: expected side 0 of its shape in 1..8192"),
    Hostile("rows true", shaped("<u2", [True, 48]), "array: pixels: expected side 0 of its shape"),
    Hostile("rows 6.0", shaped("<u2", [6.0, 8]), "array: pixels: expected side 0 of its shape"),
    Hostile("rows NaN", shaped("<u2", [float("nan"), 8]), "array: pixels: expected side 0 of its shape"),
    Hostile("a byte less", frame(pixels=PIXEL_BYTES[:-1]), "length: pixels: expected 96 bytes, got 95"),
    Hostile("a byte more", frame(pixels=PIXEL_BYTES + b"\x00"), "length: pixels: expected 96 bytes, got 97"),
    Hostile("empty pixels", frame(pixels=b""), "length: pixels: expected 96 bytes, got 0"),
    Hostile("float pixels, integer bytes", shaped("<f4", [6, 8]), "length: pixels: expected 192 bytes, got 96"),
    Hostile(
        "array: events of an older layout",
        events(0, lambda a: [a[0], "EVENT/00000000", a[2]]),
        "array: events: expected EVENT/",
    ),
    Hostile("tracks as events", events(1, lambda a: [a[0], "EVENT", a[2]]), "array: tracks: expected TRACK/"),
    Hostile("a table in the place of another", events(2, lambda a: ["events", *a[1:]]), "array: expected readouts"),
    Hostile("an event more than there is", events(0, lambda a: [*a[:2], [4]]), "length: events: expected"),
    Hostile(
        "100001 events", events(0, lambda a: [*a[:2], [100_001]]), "array: events: expected side 0 of its shape in 0..1"
    ),
    Hostile(
        "257 read-outs", events(2, lambda a: [*a[:2], [257]]), "array: readouts: expected side 0 of its shape in 0..256"
    ),
    Hostile("table of objects", tabled([["A", "|O"]], 1, bytes(8)), "array: T.A: expected a format of"),
    Hostile("table of text", tabled([["A", "<U4"]], 1, bytes(16)), "array: T.A: expected a format of"),
    Hostile("table of dates", tabled([["A", "<M8[ns]"]], 1, bytes(8)), "array: T.A: expected a format of"),
    Hostile("table of truths", tabled([["A", "|b1"]], 1, bytes(1)), "array: T.A: expected a format of"),
    Hostile("table of voids", tabled([["A", "|V8"]], 1, bytes(8)), "array: T.A: expected a format of"),
    Hostile("table big-endian", tabled([["A", ">f8"]], 1, bytes(8)), "array: T.A: expected a format of"),
    Hostile("table of empty bytes", tabled([["A", "|S0"]]), "array: T.A: expected a format of"),
    Hostile("table of a comma list", tabled([["A", "<f8,<f8"]], 1, bytes(16)), "array: T.A: expected a format of"),
    Hostile("table of foreign digits", tabled([["A", "|S\u0663"]]), "array: T.A: expected a format of"),
    Hostile("table in a table", tabled([["A", [["B", "<f8"]]]], 1, bytes(8)), "array: T.A: expected a format of"),
    Hostile("table as a text", tabled("<f8", 1, bytes(8)), "array: T: expected 1..256 fields"),
    Hostile("table without fields", tabled([]), "array: T: expected 1..256 fields, got a list of 0"),
    Hostile("table of 257 fields", tabled([[f"A{k}", "|u1"] for k in range(257)]), "array: T: expected 1..256 fields"),
    Hostile("field is a text", tabled(["A"]), "array: T: expected fields of (name, format[, shape]), got 'A'"),
    Hostile("field without a name", tabled([["", "<f8"]]), "array: T: expected fields of (name"),
    Hostile("field with a title", tabled([[["t", "A"], "<f8"]]), "array: T: expected fields of (name"),
    Hostile("field of four", tabled([["A", "<f8", [1], 0]]), "array: T: expected fields of (name"),
    Hostile("a field twice", tabled([["A", "<f8"], ["A", "<f8"]]), "array: T: expected fields of different names"),
    Hostile("field of a negative shape", tabled([["A", "<f8", [-1]]]), "array: T.A: expected a shape of 1..3 sides"),
    Hostile("field of an empty shape", tabled([["A", "<f8", []]]), "array: T.A: expected a shape of 1..3 sides"),
    Hostile("field of four sides", tabled([["A", "<f8", [1] * 4]]), "array: T.A: expected a shape of 1..3 sides"),
    Hostile("field of a huge shape", tabled([["A", "<f8", [2**20] * 3]]), "array: T: expected rows of at most"),
    Hostile("2**62 rows", tabled([["A", "<f8"]], 2**62), "array: T: expected side 0 of its shape in 0..33554432"),
    Hostile("-1 rows", tabled([["A", "<f8"]], -1), "array: T: expected side 0 of its shape in 0.."),
    Hostile("table shorter than it says", tabled([["A", "<f8"]], 2, bytes(15)), "length: T: expected 16 bytes, got 15"),
    Hostile("table without a name", tabled([["A", "<f8"]], name=""), "array: expected arrays of (name, dtype, shape)"),
    Hostile(
        "a table twice", [changed("product", arrays=[["T", [["A", "<f8"]], [0]]] * 2)[0], b"", b""], "array: 'T' twice"
    ),
    Hostile(
        "array: 17 tables",
        [changed("product", arrays=[[f"T{k}", [["A", "<f8"]], [0]] for k in range(17)])[0], *[b""] * 17],
        "array: product: expected at most 16 tables, got 17",
    ),
]
CORPUS = MALFORMED + ENVELOPE + VALUES + ARRAYS
