"""Messages survive the wire unchanged and uncopied; anything else than a message is refused in one line."""

from dataclasses import fields, replace
from typing import Any

import msgpack
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stream.errors import WireError
from stream.messages import (
    BAD_PIXEL,
    EVENT,
    READOUT,
    TRACK,
    CorrectedFrame,
    End,
    EventList,
    Frame,
    Gap,
    Message,
    Product,
    Quadrant,
    Quality,
    Start,
)
from stream.transport.wire import FAULTS, WIRE_VERSION, BadMessageError, Limits, decode, encode
from tests.stream.transport.hostile_wire import (
    CORPUS,
    FRAME_HEADER,
    GOOD,
    PIXEL_BYTES,
    PIXELS,
    PRODUCT_TABLE,
    Hostile,
    changed,
    pack,
)

COUNT = st.integers(0, 2**63 - 1)
INTEGER = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(st.characters(exclude_categories=("C", "Z")), max_size=20)
NAME = TEXT.filter(bool)
FLOAT = st.floats(allow_nan=False, allow_infinity=False)
POSITIVE = st.floats(1e-300, 1e300)
TRACE = st.lists(COUNT, max_size=32).map(tuple)
FORMATS = st.sampled_from(["|u1", "|i1", "<u2", "<i2", "<u4", "<i4", "<u8", "<i8", "<f4", "<f8", "|S1", "|S17"])
SHAPES = st.lists(st.integers(1, 3), min_size=1, max_size=3).map(tuple)
FIELD = st.one_of(st.tuples(NAME, FORMATS), st.tuples(NAME, FORMATS, SHAPES))
DTYPES = st.lists(FIELD, min_size=1, max_size=4, unique_by=lambda field: field[0]).map(np.dtype)
PLACE = st.integers(-(2**31), 2**31 - 1)
GOOD_TABLE_BYTES = PRODUCT_TABLE.nbytes


def bytes_as(dtype: Any, rows: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return arrays of these shapes with any bits, NaN of any payload included."""
    size = np.dtype(dtype).itemsize
    fill = st.randoms(use_true_random=False)
    return st.builds(lambda n, r: np.frombuffer(r.randbytes(int(np.prod(n)) * size), dtype).reshape(n), rows, fill)


def tables(dtype: Any) -> st.SearchStrategy[Any]:
    return bytes_as(dtype, st.tuples(st.integers(0, 3)))


QUADRANTS = st.lists(
    st.builds(
        Quadrant,
        id=st.integers(0, 255),
        columns=st.integers(1, 8192),
        rows=st.integers(1, 8192),
        origin_x_px=PLACE,
        source_chip=PLACE,
        source_y=PLACE,
        segment_columns=st.integers(0, 512),
    ),
    min_size=1,
    max_size=5,
    unique_by=lambda quadrant: quadrant.id,
).map(tuple)
MESSAGES: dict[str, st.SearchStrategy[Any]] = {
    "start": st.builds(
        Start,
        stream=NAME,
        run_id=TEXT,
        quadrants=QUADRANTS,
        frame_time_ns=st.integers(1000, 2**63 - 1),
        live_time_ns=st.integers(0, 1000),
        pixel_dtype=st.sampled_from(["<u2", "<f4"]),
        gain_ev=POSITIVE,
        saturation=POSITIVE,
        blank=st.integers(-1, 65535),
        sequence_bits=st.integers(0, 63),
        mjdref=st.tuples(COUNT, st.floats(0, 1)),
        target=TEXT,
        map_versions=st.dictionaries(st.integers(0, 255), TEXT, max_size=4),
    ),
    "frame": st.builds(
        Frame,
        stream=NAME,
        sequence=COUNT,
        time_ns=INTEGER,
        quadrant=st.integers(0, 255),
        pixels=st.sampled_from(["<u2", "<f4"]).flatmap(
            lambda dtype: bytes_as(dtype, st.tuples(st.integers(1, 9), st.integers(1, 9)))
        ),
        source_frame=st.integers(-1, 2**63 - 1),
        quality=st.integers(0, 65535),
        trace=TRACE,
    ),
    "events": st.builds(
        EventList,
        stream=NAME,
        sequence=COUNT,
        time_ns=INTEGER,
        quality=st.integers(0, 65535),
        events=tables(EVENT),
        tracks=tables(TRACK),
        readouts=tables(READOUT),
        bad_pixels=tables(BAD_PIXEL),
        trace=TRACE,
    ),
    "product": st.builds(
        Product,
        stream=NAME,
        kind=NAME,
        sequence=COUNT,
        time_ns=INTEGER,
        header=st.dictionaries(NAME, st.one_of(TEXT, INTEGER, FLOAT, st.booleans()), max_size=4),
        tables=st.dictionaries(NAME, DTYPES.flatmap(tables), max_size=3),
        quality=st.integers(0, 65535),
    ),
    "gap": st.builds(
        Gap,
        stream=NAME,
        first=st.integers(0, 100),
        last=st.integers(100, 2**63 - 1),
        quadrant=st.integers(-1, 255),
        reason=NAME,
    ),
    "end": st.builds(End, stream=NAME, frames=st.integers(-1, 2**63 - 1)),
}
MESSAGE = st.one_of(*MESSAGES.values())
ANYTHING = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(), st.text(), st.binary()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=8,
)


def same(a: Any, b: Any) -> bool:
    """Return whether two values are of one type and equal, arrays in every bit."""
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, Message):
        return all(same(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))
    return bool(a == b)


def sent(message: Message) -> list[bytes]:
    return [bytes(part) for part in encode(message)]


def outcome(parts: list[bytes]) -> Message | BadMessageError:
    try:
        return decode(parts)
    except BadMessageError as fault:
        return fault


def check_outcome(parts: list[bytes]) -> None:
    """Check that any bytes give a message that means the same when sent again, or one line that names a known fault."""
    result = outcome(parts)
    if isinstance(result, BadMessageError):
        assert result.fault in FAULTS
        assert str(result).startswith(f"{result.fault}: ")
        assert str(result).isprintable()
        assert len(str(result)) < 400
    else:
        assert same(decode(sent(result)), result)


@pytest.mark.parametrize("kind", MESSAGES)
def test_every_message_comes_back_as_it_was(kind: str) -> None:
    @settings(deadline=None, max_examples=60)
    @given(message=MESSAGES[kind])
    def check(message: Message) -> None:
        assert same(decode(sent(message)), message)
        assert same(decode(encode(message)), message)

    check()


@pytest.mark.parametrize("kind", GOOD)
def test_the_good_messages_of_the_corpus_are_good(kind: str) -> None:
    assert same(decode(changed(kind)), GOOD[kind])


def test_a_header_packed_by_hand_is_a_frame() -> None:
    assert same(decode([pack(FRAME_HEADER), PIXEL_BYTES]), GOOD["frame"])
    assert msgpack.unpackb(bytes(encode(GOOD["frame"])[0])) == FRAME_HEADER
    assert FRAME_HEADER["version"] == WIRE_VERSION


def test_numpy_scalars_and_flags_travel_as_plain_numbers() -> None:
    frame = replace(GOOD["frame"], sequence=np.int64(7), quadrant=np.uint8(2), quality=Quality.LATE | Quality.SATURATED)
    product = replace(GOOD["product"], header={"A": np.float32(0.5), "B": np.int16(3), "C": np.bool_(True)})
    received = decode(sent(frame))
    assert isinstance(received, Frame)
    assert (type(received.sequence), type(received.quadrant), received.quality) == (int, int, 10)
    assert same(decode(sent(product)), replace(product, header={"A": 0.5, "B": 3, "C": True}))


def test_integers_given_for_floats_of_start_arrive_as_floats() -> None:
    received = decode(sent(replace(GOOD["start"], gain_ev=2, saturation=100, mjdref=(50814, 0))))
    assert same(received, replace(GOOD["start"], gain_ev=2.0, saturation=100.0, mjdref=(50814, 0.0)))


def test_arrays_are_sent_from_where_they_lie() -> None:
    assert np.shares_memory(np.asarray(encode(GOOD["frame"])[1]), PIXELS)
    events = np.zeros(3, EVENT)
    part = encode(EventList(stream="wfi", sequence=0, time_ns=0, events=events))[1]
    assert np.shares_memory(np.frombuffer(part, np.uint8), events)


@pytest.mark.parametrize("kind", ["frame", "events", "product"])
def test_received_arrays_lie_in_the_received_buffer_and_are_read_only(kind: str) -> None:
    parts = [bytearray(part) for part in changed(kind)]
    message = decode([memoryview(part) for part in parts])
    arrays = [getattr(message, f.name) for f in fields(message)]
    arrays = [a for a in arrays if isinstance(a, np.ndarray)] + list(getattr(message, "tables", {}).values())
    assert len(arrays) == len(parts) - 1
    for array, part in zip(arrays, parts[1:], strict=True):
        assert len(part) == 0 or np.shares_memory(array, np.frombuffer(part, np.uint8))
        with pytest.raises(ValueError, match="read-only"):
            array[...] = array


def test_pixels_at_an_odd_address_are_aligned_and_read_only() -> None:
    buffer = memoryview(b"x" * 1 + PIXEL_BYTES)[1:]
    assert not np.frombuffer(buffer, "<u2").flags.aligned
    received = decode([pack(FRAME_HEADER), buffer])
    assert isinstance(received, Frame)
    assert received.pixels.flags.aligned
    assert not received.pixels.flags.writeable
    assert same(received.pixels, PIXELS)


@pytest.mark.parametrize("view", [PIXELS[::2], PIXELS[:, 1:5], PIXELS.T, PIXELS[::-1]])
def test_views_arrive_in_order(view: Any) -> None:
    received = decode(sent(replace(GOOD["frame"], pixels=view)))
    assert isinstance(received, Frame)
    assert np.array_equal(received.pixels, view)


def test_what_does_not_travel_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="CorrectedFrame does not travel"):
        encode(object.__new__(CorrectedFrame))
    with pytest.raises(TypeError, match="int does not travel"):
        encode(5)  # type: ignore[arg-type]


@pytest.mark.parametrize("pixels", [PIXELS.astype(">u2"), PIXELS.astype(float), PIXELS[0], PIXELS.astype(object)])
def test_pixels_of_another_kind_are_a_type_error(pixels: Any) -> None:
    with pytest.raises(TypeError, match="pixels: expected <u2 or <f4"):
        encode(replace(GOOD["frame"], pixels=pixels))


@pytest.mark.parametrize("table", [np.zeros(2, TRACK), np.zeros(2), np.zeros((1, 2), EVENT)])
def test_event_lists_of_other_tables_are_a_type_error(table: Any) -> None:
    with pytest.raises(TypeError, match="events: expected its table"):
        encode(replace(GOOD["events"], events=table))


@pytest.mark.parametrize("table", [np.zeros(2), np.zeros(1, [("A", object)]), np.zeros((1, 1), EVENT)])
def test_products_of_other_than_tables_are_a_type_error(table: Any) -> None:
    with pytest.raises(TypeError, match="T: expected a table"):
        encode(replace(GOOD["product"], tables={"T": table}))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"header": {"A": float("nan")}}, "product: A: expected a finite number"),
        ({"header": {"A": 2**80}}, "64 bit"),
        ({"header": {"A": "\ud800"}}, "valid text"),
        ({"header": {"A": "two\nlines"}}, "product: A: expected a printable text"),
        ({"sequence": -1}, "product: sequence: expected an integer in 0"),
        ({"tables": {"T": np.zeros(1, [("A", "<U3")])}}, "T.A: expected a format"),
        ({"tables": {"T": np.zeros(1, np.dtype([("A", "u1"), ("B", "f8")], align=True))}}, "T: expected fields of"),
    ],
)
def test_values_out_of_range_are_refused_by_the_sender(change: dict[str, Any], expected: str) -> None:
    with pytest.raises(WireError, match=expected):
        encode(replace(GOOD["product"], **change))


@pytest.mark.parametrize("hostile", CORPUS, ids=[hostile.name for hostile in CORPUS])
def test_hostile_payloads_are_refused_in_one_line(hostile: Hostile) -> None:
    with pytest.raises(BadMessageError) as caught:
        decode(hostile.parts)
    assert caught.value.fault == hostile.fault
    assert hostile.piece in str(caught.value)
    check_outcome(hostile.parts)


def test_the_corpus_has_every_kind_of_fault() -> None:
    assert {hostile.fault for hostile in CORPUS} == set(FAULTS)
    assert len({hostile.name for hostile in CORPUS}) == len(CORPUS)


@pytest.mark.parametrize(
    ("kind", "limits"),
    [
        ("frame", Limits(max_rows=5)),
        ("frame", Limits(max_columns=7)),
        ("frame", Limits(max_header_bytes=60)),
        ("events", Limits(max_events=2)),
        ("events", Limits(max_tracks=0)),
        ("events", Limits(max_bad_pixels=1)),
        ("product", Limits(max_tables=1)),
        ("product", Limits(max_table_bytes=GOOD_TABLE_BYTES - 1)),
        ("start", Limits(max_rows=5)),
        ("start", Limits(max_columns=7)),
    ],
)
def test_every_limit_holds(kind: str, limits: Limits) -> None:
    with pytest.raises(BadMessageError):
        decode(changed(kind), limits)


def test_messages_at_their_limits_pass() -> None:
    limits = Limits(max_rows=6, max_columns=8, max_events=3, max_tracks=1, max_readouts=0, max_bad_pixels=2)
    limits = replace(limits, max_tables=2, max_table_bytes=GOOD_TABLE_BYTES)
    for kind in GOOD:
        parts = changed(kind)
        assert same(decode(parts, replace(limits, max_header_bytes=len(parts[0]))), GOOD[kind])


def test_the_largest_part_covers_every_limit() -> None:
    assert Limits(max_rows=9000).max_part_bytes == 9000 * 8192 * 4
    assert Limits(max_events=10**7).max_part_bytes == 10**7 * EVENT.itemsize
    assert Limits(max_table_bytes=2**40).max_part_bytes == 2**40
    assert (Limits(max_tables=0).max_parts, Limits().max_parts) == (6, 17)


@settings(deadline=None, max_examples=300)
@given(parts=st.lists(st.binary(max_size=60), max_size=4))
@example(parts=[b"\x81\xa7version\x01"])
def test_any_bytes_give_a_message_or_a_wire_error(parts: list[bytes]) -> None:
    check_outcome(parts)


@settings(deadline=None, max_examples=300)
@given(header=ANYTHING, parts=st.lists(st.binary(max_size=20), max_size=3))
def test_any_header_gives_a_message_or_a_wire_error(header: Any, parts: list[bytes]) -> None:
    check_outcome([pack(header), *parts])


@settings(deadline=None, max_examples=500)
@given(message=MESSAGE, data=st.data())
def test_messages_with_one_value_changed_give_a_message_or_a_wire_error(message: Message, data: st.DataObject) -> None:
    header, *rest = sent(message)
    tree = msgpack.unpackb(header)
    branch: Any = tree
    while True:  # walk down to any place in the header
        key = data.draw(st.sampled_from(sorted(branch) if isinstance(branch, dict) else range(len(branch))))
        if not isinstance(branch[key], (list, dict)) or not branch[key] or data.draw(st.booleans()):
            break
        branch = branch[key]
    branch[key] = data.draw(ANYTHING)
    check_outcome([pack(tree), *rest])


@settings(deadline=None, max_examples=500)
@given(message=MESSAGE, data=st.data())
def test_damaged_messages_give_a_message_or_a_wire_error(message: Message, data: st.DataObject) -> None:
    parts = sent(message)
    for _ in range(data.draw(st.integers(1, 3))):
        k = data.draw(st.integers(0, len(parts) - 1))
        place = data.draw(st.integers(0, len(parts[k])))
        cut = data.draw(st.integers(0, 3))
        parts[k] = parts[k][:place] + data.draw(st.binary(max_size=3)) + parts[k][place + cut :]
    if data.draw(st.booleans()):
        parts = data.draw(st.permutations(parts))[: data.draw(st.integers(0, len(parts)))]
    check_outcome(parts)
