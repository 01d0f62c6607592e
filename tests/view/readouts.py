"""Read-outs of known content, as the tap tells of them."""

import numpy as np

from stream.messages import EVENT, READOUT, TRACK, EventList, Reason
from stream.transport.tap import passed_of

KEPT, SCREENED, CUT = 0, int(Reason.SCREEN), int(Reason.PATTERN | Reason.MIP)


def read_out(sequence, events=(), tracks=(), captured=0):
    """Return a read-out; events: (quadrant, x, y, keV, pattern, reason), tracks: (quadrant, x, y, angle, length)."""
    rows = np.zeros(len(events), EVENT)
    rows["frame"], rows["p_particle"] = sequence, np.nan
    for row, (quadrant, x, y, kev, pattern, reason) in zip(rows, events, strict=True):
        row["quadrant"], row["x"], row["y"], row["energy_ev"] = quadrant, x, y, 1e3 * kev
        row["pattern"], row["reason"] = pattern, reason
    found = np.zeros(len(tracks), TRACK)
    found["frame"] = sequence
    for row, (quadrant, x, y, angle, length) in zip(found, tracks, strict=True):
        row["quadrant"], row["mean_x"], row["mean_y"], row["energy_ev"] = quadrant, x, y, 40_000
        along, across = length**2 / 12, 1 / 12
        c, s = np.cos(angle), np.sin(angle)
        row["var_x"], row["var_y"] = along * c**2 + across * s**2, along * s**2 + across * c**2
        row["cov_xy"] = (along - across) * c * s
    readouts = np.zeros(4, READOUT)
    readouts["frame"], readouts["quadrant"] = sequence, range(4)
    readouts["hits"], readouts["common_mode"] = 10, [0.1, 0.2, 0.3, 0.4]
    trace = (captured,) if captured else ()
    return EventList(
        stream="test", sequence=sequence, time_ns=sequence * 5_000_000, events=rows, tracks=found, readouts=readouts,
        trace=trace,
    )  # fmt: skip


def passed(*lists, missed=0):
    return passed_of(list(lists), missed)
