"""Small IDL save files, written by hand: what readers of them are tested with."""

import struct

import numpy as np


def text(value):
    raw = value.encode()
    return struct.pack(">i", len(raw)) + raw + b"\0" * (-len(raw) % 4)


def variable(name, value):
    """Return the body of a record with a double, or an array of doubles in one or two dimensions."""
    array = np.asarray(value, ">f8")
    body = text(name.upper())
    if array.ndim == 0:
        return body + struct.pack(">iii", 5, 0, 7) + array.tobytes()
    dims = [*array.shape[::-1], *[1] * (8 - array.ndim)]
    head = struct.pack(">iiiiiii", 8, 0, array.nbytes, array.size, array.ndim, 0, 0)
    return (
        body + struct.pack(">ii", 5, 4) + head + struct.pack(">9i", 8, *dims) + struct.pack(">i", 7) + array.tobytes()
    )


def write_idl(path, **variables):
    """Write a save file of numbers."""
    out = b"SR\x00\x04"
    for name, value in variables.items():
        body = variable(name, value)
        out += struct.pack(">IIII", 2, len(out) + 16 + len(body), 0, 0) + body
    path.write_bytes(out + struct.pack(">IIII", 6, 0, 0, 0))
    return path
