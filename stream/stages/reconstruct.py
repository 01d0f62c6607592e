"""CorrectedFrame -> EventList: events and particle tracks of each quadrant, joined to read-outs."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from config.schema import Config
from config.schema import Reconstruct as Section
from stream.kernels.events import ALL_CORNERS, ENCLOSED_CORNERS, NO_CORNERS, POSITIONS, Rules, find_events
from stream.kernels.islands import find_tracks, measure_distances
from stream.kernels.pattern import grade_table, pattern_table
from stream.kernels.windows import cut_windows, place_windows
from stream.messages import (
    BAD_PIXEL,
    EVENT,
    READOUT,
    TRACK,
    WINDOW,
    WINDOW_SIDE,
    CorrectedFrame,
    End,
    EventList,
    Flag,
    Gap,
    Message,
    Quality,
    Reason,
    Start,
    empty,
)
from stream.tables import joined
from stream.thresholds import Thresholds

TRACKS_PER_FRAME = 4_000
MARK = np.dtype(np.int32)  # (n, 3): x and y in the focal plane of a pixel of a track, 1 if it is a MIP pixel
SATURATED, FLAG_SATURATED = int(Quality.SATURATED), int(Flag.SATURATED)
UNUSABLE = int(Quality.OVERFLOW | Quality.DEAD)
WINDOWS_PER_FRAME = 1_000
WINDOW_MARGIN = 16  # pixels that an event has around it in a window that it shares, at least
REFRESH_FRAMES = 1000  # split thresholds in sigma are taken anew from the noise map


@dataclass(slots=True)
class _ReadOut:
    """The quadrants of one read-out that have come."""

    time_ns: int
    trace: tuple[int, ...]
    quality: int = 0
    quadrants: set[int] = field(default_factory=set)
    events: list[NDArray[np.void]] = field(default_factory=list)
    tracks: list[NDArray[np.void]] = field(default_factory=list)
    marks: list[NDArray[np.int32]] = field(default_factory=list)
    readouts: list[tuple[float, ...]] = field(default_factory=list)  # rows of READOUT
    bad_pixels: list[NDArray[np.void]] = field(default_factory=list)
    windows: list[NDArray[np.void]] = field(default_factory=list)


class Reconstruct:
    """CorrectedFrame -> EventList, one per read-out and in order.

    A read-out is given when all its quadrants are there, or when `join_window_frames` later ones have begun: then it
    carries MISSING_QUADRANT. A quadrant that comes after that makes an EventList of its own, marked LATE.
    """

    name = "reconstruct"

    def __init__(self, config: Config) -> None:
        self._config, self._screen = config.reconstruct, config.screen
        self._thresholds = Thresholds(config.reconstruct)
        self._start: Start | None = None
        self._rules = _rules(self._config, Start(stream="", run_id="", quadrants=(), frame_time_ns=1, live_time_ns=1))
        self._events = np.zeros(self._config.max_events, EVENT)
        self._events["p_particle"] = self._events["p_class"] = np.nan
        self._places = np.empty((WINDOWS_PER_FRAME, 2), np.int16)
        self._tracks = np.zeros(TRACKS_PER_FRAME, TRACK)
        self._marks = np.empty((16 * self._config.max_hits, 3), MARK)
        self._origins = np.zeros((256, 2), np.int32)
        self._rejected = np.zeros(256, np.int32)
        self._open_readouts: dict[int, _ReadOut] = {}
        self._given = -1
        self._warm_up()

    def process(self, message: Message) -> Iterable[Message]:
        """CorrectedFrame: find its events, give every read-out that is complete. The rest passes."""
        if isinstance(message, CorrectedFrame):
            yield from self._take(message)
            return
        if isinstance(message, Start):
            yield from self.flush()
            self._open(message)
        elif isinstance(message, End):
            yield from self.flush()
        yield message

    def flush(self) -> Iterable[Message]:
        """Give the read-outs that still wait for a quadrant."""
        for sequence in sorted(self._open_readouts):
            yield self._give(sequence)

    def _open(self, start: Start) -> None:
        self._start = start
        self._quadrants = {quadrant.id: quadrant for quadrant in start.quadrants}
        self._rules = _rules(self._config, start)
        self._split: dict[int, NDArray[np.float32]] = {}
        self._seen = {q.id: np.zeros((q.rows, q.columns), np.uint8) for q in start.quadrants}
        self._stack = np.empty((max(q.rows * q.columns for q in start.quadrants), 2), np.int16)
        for q in start.quadrants:
            self._origins[q.id] = q.origin_x_px, q.origin_y_px
        self._counts = dict.fromkeys(self._quadrants, 0)
        self._given = -1

    def _take(self, corrected: CorrectedFrame) -> Iterable[Message]:
        frame = corrected.frame
        late = frame.sequence <= self._given
        readout = self._open_readouts.setdefault(
            frame.sequence, _ReadOut(frame.time_ns, frame.trace, Quality.LATE if late else 0)
        )
        quality = self._find(corrected, readout)
        if quality & UNUSABLE:  # no event of it can be trusted
            reason = "overflow" if quality & Quality.OVERFLOW else "dead"
            number = frame.sequence
            yield Gap(stream=frame.stream, first=number, last=number, quadrant=frame.quadrant, reason=reason)
        readout.quadrants.add(frame.quadrant)
        if late or len(readout.quadrants) == len(self._quadrants):
            yield from self._give_up_to(frame.sequence)
        elif len(self._open_readouts) > self._config.join_window_frames:
            yield from self._give_up_to(min(self._open_readouts))

    def _find(self, corrected: CorrectedFrame, readout: _ReadOut) -> int:
        """Find events and tracks of one frame; returns its QUALITY."""
        frame, quadrant = corrected.frame, self._quadrants[corrected.frame.quadrant]
        signal = (frame.pixels, corrected.offset, corrected.common_mode, corrected.bad, self._split_of(corrected))
        stamp = (frame.sequence, frame.time_ns, frame.source_frame, quadrant.id)
        place = (*stamp, quadrant.origin_x_px, quadrant.origin_y_px)
        found = filled = tracks = flags = 0
        if len(corrected.hits):
            found, flags = find_events(*signal, corrected.hits, self._rules, place, self._events)
            gain = self._rules.gain_ev
            rule = (self._config.track_pixels, np.float32(self._config.track_peak_ev / gain), gain)
            scratch = (self._seen[quadrant.id], self._stack, self._tracks, self._marks)
            tracks, filled = find_tracks(*signal, corrected.hits, rule, place, *scratch)
        quality = int(frame.quality) | (SATURATED if flags & FLAG_SATURATED else 0)
        if found < 0 or tracks == TRACKS_PER_FRAME:
            quality |= Quality.OVERFLOW
            found = tracks = filled = 0
        common = float(np.add.reduce(corrected.common_mode)) / len(corrected.common_mode)
        row = (*stamp, quality, len(corrected.hits), found, 0, tracks, common)
        readout.quality |= quality
        readout.readouts.append(row)
        readout.events.append(joined([self._events[:found]], EVENT))
        if self._screen.model and self._screen.look == "windows":
            readout.windows.append(self._cut(corrected, self._events[:found]))
        if tracks:
            readout.tracks.append(joined([self._tracks[:tracks]], TRACK))
            readout.marks.append(self._marks[:filled].copy())
        if len(corrected.new_bad):
            readout.bad_pixels.append(corrected.new_bad)
        return int(quality)

    def _cut(self, corrected: CorrectedFrame, events: NDArray[Any]) -> NDArray[Any]:
        """Return the windows around the candidates among the events of a frame, or all of it in windows."""
        shape = corrected.frame.pixels.shape
        if self._screen.tiling:
            every = [np.arange(0, length, WINDOW_SIDE, dtype=np.int16) for length in shape]
            places = np.stack(np.meshgrid(every[1], every[0]), axis=-1).reshape(-1, 2)
        else:
            energy = events["energy_ev"]
            chosen = events[(energy >= self._screen.energy_min_ev) & (energy < self._screen.energy_max_ev)]
            at = chosen["x"].astype(np.int64), chosen["y"].astype(np.int64)
            places = self._places[: place_windows(*at, shape, WINDOW_SIDE, WINDOW_MARGIN, self._places)]
        windows = np.empty(len(places), WINDOW)
        windows["quadrant"] = corrected.frame.quadrant
        windows["left"], windows["bottom"] = places.T
        signal = (corrected.frame.pixels, corrected.offset, corrected.common_mode, corrected.bad)
        cut_windows(*signal, self._rules.gain_ev, places, windows["energy_ev"])
        return windows

    def _split_of(self, corrected: CorrectedFrame) -> NDArray[np.float32]:
        assert self._start is not None
        number = corrected.frame.quadrant
        if number not in self._split or (
            self._config.split_threshold_sigma is not None and self._counts[number] % REFRESH_FRAMES == 0
        ):
            self._split[number] = self._thresholds.split(self._start, corrected.noise)
        self._counts[number] += 1
        return self._split[number]

    def _give_up_to(self, sequence: int) -> Iterable[EventList]:
        for number in sorted(n for n in self._open_readouts if n <= sequence):
            yield self._give(number)

    def _give(self, sequence: int) -> EventList:
        assert self._start is not None
        readout = self._open_readouts.pop(sequence)
        self._given = max(self._given, sequence)
        if len(readout.quadrants) < len(self._quadrants):
            readout.quality |= Quality.MISSING_QUADRANT
        events = joined(readout.events, EVENT)
        marks = np.concatenate(readout.marks) if readout.marks else np.empty((0, 3), MARK)
        readouts = np.array(readout.readouts, READOUT)
        measure_distances(events, self._origins, marks, self._rules.reject, self._rejected)
        readouts["rejected"] = self._rejected[readouts["quadrant"]]
        return EventList(
            stream=self._start.stream,
            sequence=sequence,
            time_ns=readout.time_ns,
            quality=int(readout.quality),
            events=events,
            tracks=joined(readout.tracks, TRACK),
            readouts=readouts,
            bad_pixels=joined(readout.bad_pixels, BAD_PIXEL),
            windows=joined(readout.windows, WINDOW),
            trace=readout.trace,
        )

    def _warm_up(self) -> None:
        """Compile every kernel on a small frame of each kind, so that the first real one meets its deadline."""
        one, bad = np.ones((8, 8), np.float32), np.zeros((8, 8), np.uint8)
        hits = np.zeros((0, 2), np.int16)
        for pixels, offset in (
            (np.zeros((8, 8), np.uint16), np.zeros((8, 8), np.int32)),
            (np.zeros((8, 8), np.float32), np.empty((0, 0), np.int32)),
        ):
            pixels.flags.writeable = False  # as frames from a socket are
            signal = (pixels, offset, one[0], bad, one)
            place = (0, 0, 0, 0, 0, 0)
            find_events(*signal, hits, self._rules, place, self._events)
            rule = (5, np.float32(1), self._rules.gain_ev)
            stack = np.empty((64, 2), np.int16)
            find_tracks(*signal, hits, rule, place, bad, stack, self._tracks, self._marks)
            cut_windows(*signal[:4], self._rules.gain_ev, self._places[:0], np.empty(0, WINDOW)["energy_ev"])
        place_windows(np.empty(0, np.int64), np.empty(0, np.int64), (8, 8), 8, 0, self._places)
        measure_distances(empty(EVENT), self._origins, self._marks[:0], 0, self._rejected)


def _corners(section: Section) -> NDArray[np.uint8]:
    """Return for each neighbour mask which corners are summed, (256,) uint8."""
    if section.sum_corner_grades is None:
        return np.full(256, ALL_CORNERS, np.uint8)
    grades = grade_table(section.grades.masks, section.grades.otherwise)
    enclosed = np.isin(grades, section.sum_corner_grades)
    return np.where(enclosed, ENCLOSED_CORNERS, NO_CORNERS).astype(np.uint8)


def _rules(section: Section, start: Start) -> Rules:
    """Translate the configuration for the kernels; numbers of fixed type, so that Numba compiles once."""
    whole = np.dtype(start.pixel_dtype).kind == "u"
    share = np.linspace(0, 0.5, POSITIONS)
    with np.errstate(divide="ignore"):
        position = np.clip(0.5 + section.charge_cloud_px * ndtri(share), 0, 0.5)
    loss = section.charge_loss
    columns = [loss.single_ev, loss.double_ev, loss.triple_ev, loss.quad_ev] if loss else [[]] * 4
    reject = 0
    for name in section.reject:
        reject |= int(Reason[name.upper()])
    return Rules(
        patterns=pattern_table(),
        grades=grade_table(section.grades.masks, section.grades.otherwise),
        position=position.astype(np.float32),
        loss_at_ev=np.array(loss.energy_ev if loss else [], np.float32),
        loss_ev=np.array(columns, np.float32).reshape(4, -1),
        gain_ev=float(start.gain_ev),
        pha_per_unit=1.0 if whole else float(start.gain_ev),
        pi_channel_ev=float(section.pi_channel_ev),
        pi_channels=int(section.pi_channels),
        mip_ev=float(section.mip_threshold_ev),
        saturation=float(start.saturation),
        blank=float(start.blank) if start.blank >= 0 else float("nan"),
        sum_radius=section.sum_window // 2,
        corners=_corners(section),
        border=int(section.border_px),
        outer_ring_invalidates=bool(section.outer_ring_invalidates),
        reject=reject,
    )
