"""Hostile messages without end: valid ones that are damaged in every way the wire knows, and noise. Seeded."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from random import Random
from typing import Any

import msgpack

from stream.errors import ConfigError
from stream.messages import End, Gap, Message, Start
from stream.stage import Stage
from stream.transport.wire import FAULTS, BadMessageError, decode, encode
from tests.stream.stages.streams import START, frame

Parts = list[bytes]


def _packed(value: Any) -> bytes:
    return bytes(msgpack.packb(value, unicode_errors="surrogateescape"))


PLACE = "\x00place"  # what is put in the header where bytes shall go that no value packs to
NUMBERS = [0, 1, -1, 2, 31, 33, 127, 255, 256, 1025, 65535, 65536, -(2**31) - 1, 2**31, 2**40, 2**62, 2**63 - 1]
NUMBERS += [-(2**63), 2**63, 2**64 - 1, 0.0, -0.0, 1.0, 0.5, 1e308, 5e-324, -1e308, *map(float, ("nan", "inf", "-inf"))]
TEXTS = ["", " ", "x", "\x00", "\n", "\x1b[2J", "\udcff\udcfe", "\u0663"] + ["x" * n for n in (128, 129, 5000, 17_000)]
TEXTS += ["wfi", "frame", "pixels", "start", "<u2", "<f4", ">u2", "|O", "|V8", "|S0", "|S9999", "<f8,<f8", "EVENT/0"]
OTHERS = [None, True, False, b"", b"wfi", bytes(99), [], {}, [[]], [0] * 9, [0] * 1024, [0] * 1025, {"a": 1}, {1: 2}]
OTHERS += [["pixels", "<u2", [8, 8]], [["A", "<f8", [2**20] * 3]], msgpack.ExtType(5, b"code"), msgpack.Timestamp(1, 1)]
DEEP = [code * depth + b"\xc0" for code in (b"\x91", b"\x81\xa1a") for depth in (3, 40, 300, 600, 20_000)]
HUGE = [bytes([code]) + b"\xff" * 4 for code in (0xC6, 0xC9, 0xDB, 0xDD, 0xDF)] + [b"\xc1", b"\xdc\x03\xe8" * 2000]
VALUES = [*map(_packed, NUMBERS + TEXTS + OTHERS)] * 20 + DEEP + HUGE  # not right where it is put, or nowhere

# What a stream is made of in `streams`: read-outs of all quadrants, and what else a source may say.
STREAM: list[Message] = [START, *(frame(sequence, q.id) for sequence in range(12) for q in START.quadrants)]
ANSWERS: list[Message] = [Gap(stream="test", first=3, last=5, quadrant=1, reason="lost"), End(stream="test", frames=48)]


def cases(seed: int, messages: Sequence[Message]) -> Iterator[Parts]:
    """Yield the parts of one hostile message after the other, made of the valid ones: the same for the same seed."""
    rng = Random(seed)
    good = [[bytes(part) for part in encode(message)] for message in messages]
    while True:
        parts = list(rng.choice(good))
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            parts = rng.choice(DAMAGES)(rng, parts, good)
        yield parts


def outcome(parts: Parts) -> Message | BadMessageError:
    """Return what decoding gives: a message that travels on as it is, or the error, one line of a known fault.

    Anything else is an exception.
    """
    try:
        message = decode(parts)
    except BadMessageError as fault:
        text = str(fault)
        if not (
            fault.fault in FAULTS and text.startswith(f"{fault.fault}: ") and text.isprintable() and len(text) < 400
        ):
            raise AssertionError(f"not one line of a known fault: {text[:400]!r}") from fault
        return fault
    sent = _bytes(message)
    if _bytes(decode(sent)) != sent:
        raise AssertionError(f"{type(message).__name__} is another one when it is sent again")
    return message


def streams(seed: int) -> Iterator[list[Message]]:
    """Yield whole streams of the quick configuration, with hostile messages that can be read anywhere in them."""
    rng = Random(seed)
    start, *frames = STREAM
    hostile = (found for parts in cases(seed, [*STREAM, *ANSWERS]) if isinstance(found := outcome(parts), Message))
    while True:
        messages = [start, *frames, ANSWERS[1]]
        for _ in range(rng.choice((1, 2, 8))):
            messages.insert(rng.randrange(len(messages) + 1), next(hostile))
        yield messages


def survive(stage: Stage, messages: Iterable[Message]) -> Counter[str]:
    """Give a stream to `receive`; return what came out by kind. What it gives travels on, or it is an exception."""
    given: Counter[str] = Counter()
    for message in messages:
        try:
            for found in stage.process(message):
                decode(_bytes(found))
                given[type(found).__name__] += 1
        except ConfigError:
            if not isinstance(message, Start):
                raise
            given["refused"] += 1
    return given


def _bytes(message: Message) -> Parts:
    return [bytes(part) for part in encode(message)]


def _flip(rng: Random, parts: Parts, good: Sequence[Parts]) -> Parts:
    """Turn bits over in one part."""
    k = _part(rng, parts)
    damaged = bytearray(parts[k])
    for _ in range(min(len(damaged), rng.choice((1, 1, 2, 8)))):
        damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
    return [*parts[:k], bytes(damaged), *parts[k + 1 :]]


def _splice(rng: Random, parts: Parts, good: Sequence[Parts]) -> Parts:
    """Put bytes of another message, of chance or of a hostile value in the place of some."""
    k = _part(rng, parts)
    part, place, cut = parts[k], rng.randrange(len(parts[k]) + 1), rng.choice((0, 0, 1, 4, 40))
    other = rng.choice(rng.choice(good))
    begin = rng.randrange(len(other) + 1)
    piece = rng.choice((b"", other[begin : begin + rng.randrange(40)], rng.randbytes(rng.randrange(9)), _value(rng)))
    return [*parts[:k], part[:place] + piece + part[place + cut :], *parts[k + 1 :]]


def _resize(rng: Random, parts: Parts, good: Sequence[Parts]) -> Parts:
    """Cut one part short, or let it go on."""
    k = _part(rng, parts)
    part = parts[k]
    longer = (part + bytes(1), part + part, part + rng.randbytes(rng.randrange(99)), part[1:])
    return [*parts[:k], rng.choice((part[: rng.randrange(len(part) + 1)], *longer)), *parts[k + 1 :]]


def _reorder(rng: Random, parts: Parts, good: Sequence[Parts]) -> Parts:
    """Leave parts out, double them, mix them with those of others."""
    k = _part(rng, parts)
    other = rng.choice(good)
    extra = rng.choice((b"", parts[k], rng.choice(other), rng.randbytes(8)))
    return rng.choice(
        (
            [*parts[:k], *parts[k + 1 :]],
            [*parts[:k], extra, *parts[k:]],
            [*parts, *[extra] * rng.choice((1, 20))],
            [*parts[:1], *other[1:]],
            [*other[:1], *parts[1:]],
            parts[::-1],
        )
    )


def _change(rng: Random, parts: Parts, good: Sequence[Parts]) -> Parts:
    """Put something else in the place of one value of the header, at any depth."""
    header = _header(parts)
    if header is None:
        return parts
    branch, key = _walk(rng, header)
    value = branch[key]
    if type(value) is int and rng.random() < 0.3:
        branch[key] = max(-(2**63), min(value + rng.choice((-1, 1, 256, -(2**16), 2**32)), 2**64 - 1))
    else:
        branch[key] = PLACE
    return _repacked(rng, header, parts)


def _rekey(rng: Random, parts: Parts, good: Sequence[Parts]) -> Parts:
    """Take a key out of the header, name it otherwise, add one, or give one twice."""
    header = _header(parts)
    if not isinstance(header, dict) or not header:
        return parts
    key = rng.choice(list(header))
    what = rng.randrange(4)
    if what == 3 and parts[0][0] & 0xF0 == 0x80 and parts[0][0] < 0x8F:
        return [bytes([parts[0][0] + 1]) + parts[0][1:] + _packed(key) + _value(rng), *parts[1:]]
    if what == 3 and parts[0][0] == 0xDE:
        size = int.from_bytes(parts[0][1:3]) + 1
        return [b"\xde" + size.to_bytes(2) + parts[0][3:] + _packed(key) + _value(rng), *parts[1:]]
    if what != 2:
        value = header.pop(key)
    if what:
        header[rng.choice((PLACE, "kind", "arrays", "x", 7, ""))] = value if what == 1 else rng.choice(NUMBERS)
    return _repacked(rng, header, parts)


def _noise(rng: Random, parts: Parts, good: Sequence[Parts]) -> Parts:
    """Send bytes of chance, or the header of nothing."""
    if rng.random() < 0.5:
        return [rng.randbytes(rng.choice((0, 1, 9, 99))) for _ in range(rng.choice((0, 1, 2, 6)))]
    return [_value(rng), *parts[1:]]


Damage = Callable[[Random, Parts, Sequence[Parts]], Parts]
DAMAGES: list[Damage] = [_flip, _splice, _resize, _reorder, _noise, _rekey] + [_change] * 6


def _part(rng: Random, parts: Parts) -> int:
    """Choose a part, the header as often as all others; none are made one."""
    if not parts:
        parts.append(b"")
    return 0 if rng.random() < 0.5 else rng.randrange(len(parts))


def _value(rng: Random) -> bytes:
    return rng.choice(VALUES)


def _header(parts: Parts) -> Any:
    """Return the header as a tree that can be changed; None if it is damaged already."""
    try:
        tree = msgpack.unpackb(parts[0], strict_map_key=False, unicode_errors="surrogateescape")
        return tree if isinstance(tree, (dict, list)) and tree else None
    except (ValueError, IndexError, TypeError, msgpack.UnpackException):
        return None


def _repacked(rng: Random, header: Any, parts: Parts) -> Parts:
    """Return the parts with this header, a hostile value where PLACE is."""
    try:
        return [_packed(header).replace(_packed(PLACE), _value(rng)), *parts[1:]]
    except ValueError:  # deeper than can be packed
        return parts


def _walk(rng: Random, tree: Any) -> tuple[Any, Any]:
    """Choose a place in a tree: a list or map, and the index or key in it."""
    while True:
        key = rng.choice(list(tree) if isinstance(tree, dict) else range(len(tree)))
        if not isinstance(tree[key], (list, dict)) or not tree[key] or rng.random() < 0.2:
            return tree, key
        tree = tree[key]
