"""What was seen at the tap since the stream began: images, spectra, rates. Filled by one thread, read by others."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stream.messages import PATTERN_INVALID, Product, Reason, Start

Rows = NDArray[Any]
KINDS: Final = ("xrays", "rejected", "tracks")
EDGES_KEV: Final = (0.0, 0.3, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 15.0, float("inf"))
SPECTRUM_KEV: Final = np.linspace(0, 15, 201)
SIDE: Final = 256  # pixels of an image along its longer side, at most
MINUTES: Final = 2  # of rates that are kept
ALONG: Final = 24  # places at which a track is drawn into the image
HELD: Final = 60  # products, 6 s of them: a frame is shown with what was decided of it
PATTERNS: Final = ("single", "double", "triple", "quad", "other")
_PATTERN: Final = np.array([0, *[1] * 4, *[2] * 4, *[3] * 4, 4])  # place in PATTERNS of patterns 0 to 13
_SCREENED: Final = int(Reason.SCREEN)
_CUTS: Final = int(Reason.PATTERN | Reason.OUTER_RING)  # what screening takes the place of


@dataclass(slots=True)
class Second:
    """Counts of one second of wall time."""

    at: int
    lists: int = 0
    found: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(KINDS), np.int64))
    common_mode: dict[int, float] = field(default_factory=dict)  # by quadrant, ADU, the newest
    hits: dict[int, float] = field(default_factory=dict)  # by quadrant, mean a frame


@dataclass(frozen=True, slots=True)
class Camera:
    """Where the quadrants lie, and how large a pixel of the images is."""

    origins: NDArray[np.int32]  # (256, 2)
    left: int
    bottom: int
    width: int  # pixels of the focal plane
    height: int
    bin_px: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of an image."""
        return -(-self.height // self.bin_px), -(-self.width // self.bin_px)


def camera_of(start: Start) -> Camera:
    """Return where the quadrants of a stream lie."""
    origins = np.zeros((256, 2), np.int32)
    for q in start.quadrants:
        origins[q.id] = q.origin_x_px, q.origin_y_px
    left, bottom = min(q.origin_x_px for q in start.quadrants), min(q.origin_y_px for q in start.quadrants)
    width = max(q.origin_x_px + q.columns for q in start.quadrants) - left
    height = max(q.origin_y_px + q.rows for q in start.quadrants) - bottom
    return Camera(origins, left, bottom, width, height, max(1, -(-max(width, height) // SIDE)))


class Sight:
    """Adds up the products "passed" of one stream; a new stream begins anew.

    cuts: whether events of other patterns than single to quad would be rejected without screening.
    """

    def __init__(self, cuts: bool = True, clock: Callable[[], float] = time.monotonic) -> None:
        self._cuts, self._clock, self._lock = cuts, clock, Lock()
        self.start: Start | None = None
        self.ended_at: float | None = None
        self._open(None)

    def open(self, start: Start) -> None:
        """Begin anew, unless the stream is the one that is open."""
        with self._lock:
            if self.start is None or (start.stream, start.run_id) != (self.start.stream, self.start.run_id):
                self._open(start)
            self.ended_at = None

    def end(self) -> None:
        """Take note that the stream has ended."""
        with self._lock:
            self.ended_at = self._clock()

    def _open(self, start: Start | None) -> None:
        self.start, self._camera = start, camera_of(start) if start else None
        shape = self._camera.shape if self._camera else (0, 0)
        self._images = np.zeros((len(KINDS), len(EDGES_KEV) - 1, *shape), np.uint32)
        self._spectra = np.zeros((3, len(SPECTRUM_KEV) - 1), np.int64)  # kept, kept without screening, rejected
        self._patterns = np.zeros(len(PATTERNS), np.int64)
        self._reasons = np.zeros(16, np.int64)
        self._seconds: deque[Second] = deque(maxlen=60 * MINUTES)
        self._held: deque[Product] = deque(maxlen=HELD)
        self._lists = self._missed = 0
        self._newest: tuple[int, float, int] | None = None  # read-out, when it was told, when captured (monotonic ns)
        self.ended_at = None

    def add(self, product: Product) -> None:
        """Add what has passed. Events of quadrants that the stream does not have are left out."""
        with self._lock:
            if self._camera is None:
                return
            known = [q.id for q in self.start.quadrants] if self.start else []
            events, tracks = (product.tables[name] for name in ("EVENTS", "TRACKS"))
            events, tracks = (rows[np.isin(rows["quadrant"], known)] for rows in (events, tracks))
            self._lists += int(product.header["LISTS"])
            self._missed += int(product.header["MISSED"])
            self._held.append(product)
            self._add_events(events)
            self._add_tracks(tracks)
            self._add_second(product, events, tracks)
            self._newest = product.sequence, self._clock(), int(product.header["CAPTURED"])

    def _add_events(self, events: Rows) -> None:
        assert self._camera is not None
        kept, energy = events["reason"] == 0, events["energy_ev"] * 1e-3
        place = self._camera.origins[events["quadrant"]] + np.stack([events["x"], events["y"]], axis=1)
        self._draw(np.where(kept, 0, 1), energy, place)
        others = events["reason"] & ~np.uint16(_SCREENED | _CUTS)
        before = (others == 0) & ((events["pattern"] < PATTERN_INVALID) | (not self._cuts))
        for row, chosen in zip(self._spectra, (kept, before, ~kept), strict=True):
            row += np.histogram(energy[chosen], SPECTRUM_KEV)[0]
        of = _PATTERN[np.minimum(events["pattern"][kept], PATTERN_INVALID)]
        self._patterns += np.bincount(of, minlength=len(PATTERNS))
        bits = (events["reason"][:, None] >> np.arange(16)) & 1
        self._reasons += bits.sum(axis=0, dtype=np.int64)

    def _add_tracks(self, tracks: Rows) -> None:
        assert self._camera is not None
        if not len(tracks):
            return
        ends = segments(tracks, self._camera.origins)
        along = np.linspace(0, 1, ALONG)[:, None]
        at = np.floor(ends[:, None, :2] * (1 - along) + ends[:, None, 2:] * along).astype(np.int64)
        at = np.concatenate([np.repeat(np.arange(len(tracks)), ALONG)[:, None], self._cells(at.reshape(-1, 2))], axis=1)
        once = np.unique(at, axis=0)  # a track counts once in each pixel
        energy = tracks["energy_ev"][once[:, 0]] * 1e-3
        self._count(np.full(len(once), 2), energy, once[:, 1:])

    def _draw(self, kind: Rows, energy_kev: Rows, place: Rows) -> None:
        self._count(kind, energy_kev, self._cells(place))

    def _cells(self, place: Rows) -> Rows:
        """Return column and row in the image of pixels of the focal plane, (n, 2)."""
        assert self._camera is not None
        rows, columns = self._camera.shape
        cells = (place - (self._camera.left, self._camera.bottom)) // self._camera.bin_px
        return np.clip(cells, 0, (columns - 1, rows - 1))

    def _count(self, kind: Rows, energy_kev: Rows, cells: Rows) -> None:
        band = np.clip(np.searchsorted(EDGES_KEV, energy_kev, side="right") - 1, 0, len(EDGES_KEV) - 2)
        np.add.at(self._images, (kind, band, cells[:, 1], cells[:, 0]), 1)

    def _add_second(self, product: Product, events: Rows, tracks: Rows) -> None:
        now, readouts = int(self._clock()), product.tables["READOUTS"]
        if not self._seconds or self._seconds[-1].at != now:
            self._seconds.append(Second(now))
        second = self._seconds[-1]
        second.lists += int(product.header["LISTS"])
        kept = int(np.count_nonzero(events["reason"] == 0))
        second.found += (kept, len(events) - kept, len(tracks))
        for number in np.unique(readouts["quadrant"]):
            mine = readouts[readouts["quadrant"] == number]
            second.common_mode[int(number)] = float(mine["common_mode"].mean())
            second.hits[int(number)] = float(mine["hits"].mean())

    def image(self, kind: str, low: int, high: int) -> NDArray[np.uint32]:
        """Return the counts of a kind between two of EDGES_KEV, by their numbers, (rows, columns)."""
        with self._lock:
            found: NDArray[np.uint32] = self._images[KINDS.index(kind), low:high].sum(axis=0, dtype=np.uint32)
            return found

    def decided(self, sequence: int) -> tuple[Rows, Rows] | None:
        """Return events and tracks of a read-out; None if it has not been told of."""
        with self._lock:
            for product in reversed(self._held):
                if int(product.header["FIRST"]) <= sequence <= product.sequence:
                    return tuple(
                        rows[rows["frame"] == sequence] for rows in (product.tables["EVENTS"], product.tables["TRACKS"])
                    )
        return None

    def told(self, now_ns: int) -> dict[str, Any]:
        """Return all of it but the images, for JSON. now_ns: monotonic."""
        with self._lock:
            start, camera = self.start, self._camera
            if start is None or camera is None:
                return {"open": False}
            number, told_at, captured = self._newest or (-1, None, 0)
            return {
                "open": self.ended_at is None,
                "stream": start.stream,
                "run": start.run_id,
                "camera": f"{start.telescope} {start.instrument}",
                "target": start.target,
                "configuration": start.config_digest,
                "maps": {str(key): version for key, version in start.map_versions.items()},
                "frame_time_ms": start.frame_time_ns * 1e-6,
                "plane": [camera.left, camera.bottom, camera.shape[1] * camera.bin_px, camera.shape[0] * camera.bin_px],
                "image_shape": camera.shape,
                "quadrants": [[q.origin_x_px, q.origin_y_px, q.columns, q.rows] for q in start.quadrants],
                "newest": number,
                "age_s": None if told_at is None else round(self._clock() - told_at, 3),
                "lag_s": round((now_ns - captured) * 1e-9, 3) if captured else None,
                "lists": self._lists,
                "missed": self._missed,
                "spectra": {
                    name: row.tolist() for name, row in zip(("kept", "before", "rejected"), self._spectra, strict=True)
                },
                "patterns": dict(zip(PATTERNS, self._patterns.tolist(), strict=True)),
                "reasons": {str(r.name).lower(): int(self._reasons[int(r).bit_length() - 1]) for r in Reason},
                "rates": self._rates(start.frame_time_ns * 1e-9),
            }

    def _rates(self, frame_time_s: float) -> dict[str, Any]:
        """Return columns: age of each second in s (below 0), counts/s of each kind, fraction rejected, by quadrant."""
        now = self._clock()
        seconds = [second for second in self._seconds if second.lists and now - second.at < 60 * MINUTES]
        whole = seconds[:-1] if seconds and now - seconds[-1].at < 1 else seconds
        found = np.array([second.found / (second.lists * frame_time_s) for second in whole]).reshape(-1, len(KINDS))
        events = found[:, 0] + found[:, 1]
        with np.errstate(invalid="ignore"):
            fraction = np.where(events > 0, found[:, 1] / np.maximum(events, 1e-9), 0.0)
        quadrants = sorted({number for second in whole for number in second.common_mode})
        columns: dict[str, Any] = {"age": [round(second.at + 0.5 - now, 2) for second in whole]}
        columns |= {kind: np.round(found[:, k], 2).tolist() for k, kind in enumerate(KINDS)}
        columns["fraction"] = np.round(fraction, 4).tolist()
        columns["readouts"] = [second.lists for second in whole]
        for name in ("common_mode", "hits"):
            columns[name] = {
                str(number): [_short(getattr(second, name).get(number)) for second in whole] for number in quadrants
            }
        return columns


def segments(tracks: Rows, origins: NDArray[np.int32]) -> NDArray[np.float64]:
    """Return the two ends of each track in the focal plane, (n, 4): x, y, x, y in pixels.

    A straight line of length L has a variance of L^2 / 12 along itself.
    """
    middle = origins[tracks["quadrant"]] + np.stack([tracks["mean_x"], tracks["mean_y"]], axis=1) + 0.5
    a, b, c = (tracks[name].astype(np.float64) for name in ("var_x", "var_y", "cov_xy"))
    largest = (a + b) / 2 + np.sqrt(((a - b) / 2) ** 2 + c**2)
    angle = 0.5 * np.arctan2(2 * c, a - b)
    half = np.sqrt(12 * largest)[:, None] / 2 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return np.concatenate([middle - half, middle + half], axis=1)


def _short(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else round(value, 3)
