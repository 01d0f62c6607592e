"""What travels: frozen messages of numbers and arrays. Detector time is integer nanoseconds since MJDREF."""

import hashlib
from dataclasses import dataclass, field
from enum import IntFlag
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Quality(IntFlag):
    """What is wrong with a frame (bits of `quality`); 0 is good."""

    MISSING_QUADRANT = 1  # the read-out was joined without all of its quadrants
    LATE = 2  # came after its gap had been declared, or its read-out had been closed
    NOT_A_NUMBER = 4  # NaN or infinite pixels, treated as pixels without data
    SATURATED = 8  # pixels at the end of the ADC range
    OVERFLOW = 16  # more hits than a frame can hold: its events are not used
    COMMON_MODE = 32  # a row whose common mode could not be found
    REPEATED_EXPOSURE = 64  # more islands of an exposure already given: adds no livetime
    DEAD = 128  # most rows have no common mode (stuck, saturated, not read): its events are not used


class Flag(IntFlag):
    """What to know about an event (bits of FLAG); 0 is clean."""

    BORDER = 1  # the 5x5 window leaves the quadrant
    BAD_NEIGHBOUR = 2  # a bad or blank pixel in the 3x3 window
    BAD_OUTER = 4  # a bad or blank pixel in the outer ring of the 5x5 window
    SATURATED = 8  # a pixel of the 3x3 window at the end of the ADC range
    IN_TRACK = 16  # the centre belongs to a particle track
    PILE_UP = 32  # the outer ring holds signal: two photons or a particle may be summed
    UNSCREENED = 64  # a candidate that screening had no time for, or that its model could not judge


class Reason(IntFlag):
    """Why an event is in REJECTED (bits of REASON)."""

    PATTERN = 1  # not a single, double, triple or quad
    OUTER_RING = 2  # a split event with signal in the outer ring of its 5x5 window
    MIP = 4  # summed energy at or above the MIP threshold
    IN_TRACK = 8  # centre on a particle track
    BAD_PIXEL = 16  # a bad pixel in the 3x3 window
    SCREEN = 32  # screening takes it for a particle


PATTERN_INVALID = 13

EVENT = np.dtype(
    [
        ("frame", "<i8"),  # number of the read-out
        ("time_ns", "<i8"),
        ("source_frame", "<i8"),  # the source's own frame number, -1 if it has none
        ("quadrant", "<u1"),
        ("pattern", "<u1"),  # 0 single, 1-4 double, 5-8 triple, 9-12 quad, 13 invalid
        ("neighbours", "<u1"),  # FLTGRADE bits of the 3x3 window: 1 2 4 / 8 . 16 / 32 64 128 from low y
        ("vfaint", "<u1"),  # a pixel of the outer ring is above the split threshold
        ("x", "<i2"),  # column and row of the centre in the quadrant, from 0
        ("y", "<i2"),
        ("grade", "<i2"),  # the mission's
        ("pixels", "<i2"),  # pixels in the sum
        ("flag", "<u2"),
        ("reason", "<u2"),
        ("sub_x", "<f4"),  # position in the pixel, -0.5..0.5
        ("sub_y", "<f4"),
        ("focal_x", "<f4"),  # focal plane, in pixels, with the real gaps
        ("focal_y", "<f4"),
        ("signal", "<f4"),  # sum of the pixels at or above split, in the frame's unit
        ("energy_ev", "<f4"),  # with gain and charge-loss correction
        ("pha", "<i4"),
        ("pi", "<i4"),
        ("track_distance", "<f4"),  # pixels to the nearest track or MIP pixel of the read-out; -1: none
        ("mip_distance", "<f4"),
        ("p_particle", "<f4"),  # that a particle made it, as `screen` says; NaN: not screened
        ("p_class", "<f4", (4,)),  # its window is empty, X-ray only, particle only, mixed; NaN: no such model
        ("island", "<f4", (25,)),  # 5x5 pixel values, row by row from low y, in the frame's unit; NaN: no data
    ]
)

TRACK = np.dtype(
    [
        ("frame", "<i8"),
        ("time_ns", "<i8"),
        ("source_frame", "<i8"),
        ("quadrant", "<u1"),
        ("pixels", "<i4"),
        ("x", "<f4"),  # signal-weighted centre in the quadrant
        ("y", "<f4"),
        ("x_min", "<i2"),
        ("x_max", "<i2"),
        ("y_min", "<i2"),
        ("y_max", "<i2"),
        ("energy_ev", "<f4"),
        ("peak_ev", "<f4"),  # the brightest pixel
        ("mean_x", "<f4"),  # centre of its pixels, unweighted: lies towards the end where the charge spread more
        ("mean_y", "<f4"),
        ("var_x", "<f4"),  # of its pixels, unweighted, pixels^2
        ("var_y", "<f4"),
        ("cov_xy", "<f4"),
    ]
)

WINDOW_SIDE = 64
WINDOW = np.dtype(  # a square of a frame with candidates for screening
    [
        ("quadrant", "<u1"),
        ("left", "<i2"),  # column and row of its first pixel
        ("bottom", "<i2"),
        ("energy_ev", "<f4", (WINDOW_SIDE, WINDOW_SIDE)),
    ]
)

READOUT = np.dtype(  # one row for each quadrant of a read-out that was processed
    [
        ("frame", "<i8"),
        ("time_ns", "<i8"),
        ("source_frame", "<i8"),
        ("quadrant", "<u1"),
        ("quality", "<u2"),
        ("hits", "<i4"),  # pixels above the event threshold
        ("events", "<i4"),
        ("rejected", "<i4"),
        ("tracks", "<i4"),
        ("common_mode", "<f4"),  # mean over the rows, ADU
    ]
)

BAD_PIXEL = np.dtype(
    [("quadrant", "<u1"), ("x", "<i2"), ("y", "<i2"), ("kind", "<i2"), ("frame", "<i8"), ("time_ns", "<i8")]
)
HOT, FLICKERING, DEAD = 1, 2, 3  # `kind` of a bad pixel, as XMM-Newton numbers them


def empty(dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return a table of no rows."""
    return np.empty(0, dtype)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quadrant:
    """Where one quadrant (or chip) sits, and how its source numbers its pixels."""

    id: int  # 0..255
    columns: int
    rows: int
    origin_x_px: int = 0  # pixel (0, 0) in the focal plane, real gaps included
    origin_y_px: int = 0
    source_chip: int = -1  # the source's number of this chip
    source_x: int = 0  # the source's coordinates of pixel (0, 0)
    source_y: int = 0
    segment_columns: int = 0  # > 0: the source counts one chip per so many columns


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Opens a stream: everything that holds for all of its frames."""

    stream: str
    run_id: str
    quadrants: tuple[Quadrant, ...]
    frame_time_ns: int  # from one read-out to the next
    live_time_ns: int  # of it, sensitive
    pixel_dtype: str = "<u2"  # "<u2" (ADU) or "<f4" (any unit)
    gain_ev: float = 1.0  # eV per unit of a pixel
    saturation: float = 65535.0  # end of the ADC range, pixel units
    blank: int = -1  # pixel value that means "no data" (integer frames); -1: none
    sequence_bits: int = 0  # width of the source's frame counter; 0: it never wraps
    mjdref: tuple[int, float] = (51544, 0.00074287037037037)  # 2000-01-01 00:00:00 UTC in TT
    telescope: str = "SIMULATED"
    instrument: str = "NONE"
    target: str = ""
    map_versions: dict[int, str] = field(default_factory=dict)  # quadrant -> version
    config_digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One read-out of one quadrant. `pixels` (rows, columns), uint16 ADU or float32."""

    stream: str
    sequence: int  # the source's counter as sent; unwrapped after `receive`
    time_ns: int
    quadrant: int
    pixels: NDArray[Any]
    source_frame: int = -1
    quality: int = 0
    trace: tuple[int, ...] = ()  # monotonic ns at capture, receive, ...: for latencies only


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectedFrame:
    """A frame with what is needed to read its signal; never leaves the process.

    Signal of a pixel = pixels - offset / 256 - common_mode[row], in the frame's unit; nothing is copied. The maps are
    the stage's own running ones: what takes this message reads them before the next frame of the quadrant comes.
    """

    frame: Frame
    offset: NDArray[np.int32]  # (rows, columns), 1/256 of the frame's unit; empty: pixels hold signal already
    common_mode: NDArray[np.float32]  # (rows,), the frame's unit
    noise: NDArray[np.float32]  # (rows, columns), rms, the frame's unit
    bad: NDArray[np.uint8]  # (rows, columns), 0 good, else the kind
    hits: NDArray[np.int16]  # (n, 2), row and column of the pixels above the event threshold
    new_bad: NDArray[Any]  # BAD_PIXEL rows found since the last frame of this quadrant


@dataclass(frozen=True, slots=True, kw_only=True)
class Maps:
    """Calibration of one quadrant, from a dark run. Arrays (rows, columns), in the frame's unit."""

    quadrant: int
    offset: NDArray[np.float32]  # mean without signal
    noise: NDArray[np.float32]  # rms without signal
    bad: NDArray[np.uint8]  # 0 good, HOT, FLICKERING or DEAD
    version: str


def version_of(offset: NDArray[np.float32], noise: NDArray[np.float32], bad: NDArray[np.uint8]) -> str:
    """Return the version of maps: 12 hexadecimal digits of the SHA-256 of the three arrays, in this order."""
    return hashlib.sha256(offset.tobytes() + noise.tobytes() + bad.tobytes()).hexdigest()[:12]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventList:
    """What one read-out held, all quadrants."""

    stream: str
    sequence: int
    time_ns: int
    quality: int = 0
    events: NDArray[Any] = field(default_factory=lambda: empty(EVENT))  # EVENT, valid and rejected
    tracks: NDArray[Any] = field(default_factory=lambda: empty(TRACK))
    readouts: NDArray[Any] = field(default_factory=lambda: empty(READOUT))
    bad_pixels: NDArray[Any] = field(default_factory=lambda: empty(BAD_PIXEL))
    windows: NDArray[Any] = field(default_factory=lambda: empty(WINDOW))  # only for a screen that looks at pixels
    trace: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """Tables for a file or a viewer: accumulated over an interval of detector time."""

    stream: str
    kind: str
    sequence: int
    time_ns: int
    header: dict[str, str | int | float | bool]
    tables: dict[str, NDArray[Any]]
    quality: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Read-outs `first`..`last` of a quadrant (-1: of all) are not in the stream, and why."""

    stream: str
    first: int
    last: int
    quadrant: int
    reason: str  # lost, shape, damaged, overflow, dead, start


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """Closes a stream.

    frames: how many the source sent; last: number of the newest read-out that the sender has given; -1: unknown.
    """

    stream: str
    frames: int = -1
    last: int = -1


Message = Start | Frame | CorrectedFrame | EventList | Product | Gap | End
