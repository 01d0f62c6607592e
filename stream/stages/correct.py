"""Frame -> CorrectedFrame: offset, common mode, hits; maps that follow the detector; hot and flickering pixels."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from config.schema import Config
from stream.errors import ConfigError
from stream.kernels.follow import count_hits, find_flickering, follow_rows
from stream.kernels.hits import NEVER, find_hits, find_hits_in_image
from stream.kernels.rows import round_offset, sift_rows
from stream.messages import (
    BAD_PIXEL,
    FLICKERING,
    HOT,
    CorrectedFrame,
    Frame,
    Maps,
    Message,
    Quadrant,
    Quality,
    Start,
    empty,
)
from stream.thresholds import Thresholds

NEW_BAD_PER_FRAME = 1000
NOISE_SHIFT = 12  # the noise follows 16 times slower than the offset: its relative error is that of 8192 samples
REFRESH_FRAMES = 1000  # thresholds in sigma are taken anew from the noise map


@dataclass(slots=True)
class _Chip:
    """The running state of one quadrant."""

    offset: NDArray[np.int32]
    variance: NDArray[np.float32]
    noise: NDArray[np.float32]
    bad: NDArray[np.uint8]
    threshold: NDArray[np.uint16]
    floor: NDArray[np.uint16]  # no more than the smallest threshold of each row
    low: NDArray[np.uint16]  # the offset as `round_offset` splits it
    rest: NDArray[np.int32]
    common_mode: NDArray[np.float32]
    window_q8: int  # what counts as noise for the common mode, 1/256 ADU
    streak: NDArray[np.uint8]
    last: NDArray[np.int32]
    hits: NDArray[np.uint16]
    known_bad: NDArray[np.void]  # of the map file, given with the first frame
    number: int = 0


class Correct:
    """Frame -> CorrectedFrame.

    Holds one set of maps per quadrant; a frame's own signal never leaves it corrected twice: the maps travel beside
    the untouched pixels. Float frames hold signal already and only have their hits found.
    """

    name = "correct"

    def __init__(self, config: Config, maps: Mapping[int, Maps] | None = None) -> None:
        self._config = config.correct
        self._thresholds = Thresholds(config.reconstruct)
        self._maps = dict(maps or {})
        self._start: Start | None = None
        self._chips: dict[int, _Chip] = {}
        self._hits = np.empty((config.reconstruct.max_hits, 2), np.int16)
        self._new = np.empty((NEW_BAD_PER_FRAME, 2), np.int16)
        self._warm_up()

    def process(self, message: Message) -> Iterable[Message]:
        """Start: take up its geometry. Frame: correct it. The rest passes."""
        if isinstance(message, Start):
            yield self._open(message)
        elif isinstance(message, Frame):
            yield self._correct(message)
        else:
            yield message

    def flush(self) -> Iterable[Message]:
        """Nothing is held back."""
        return ()

    def _open(self, start: Start) -> Start:
        self._start = start
        self._chips = {quadrant.id: self._build(start, quadrant) for quadrant in start.quadrants}
        used = {q.id: self._maps[q.id].version for q in start.quadrants if q.id in self._maps}
        return replace(start, map_versions=used)

    def _build(self, start: Start, quadrant: Quadrant) -> _Chip:
        shape = (quadrant.rows, quadrant.columns)
        whole = np.dtype(start.pixel_dtype).kind == "u"
        maps = self._maps.get(quadrant.id)
        if maps is None and whole:
            raise ConfigError(
                f"quadrant {quadrant.id}: no offset map for frames in ADU; "
                "make one (`raysieve calibrate-dark`) and name it in correct.maps"
            )
        if maps is not None and maps.offset.shape != shape:
            raise ConfigError(f"quadrant {quadrant.id}: maps are {maps.offset.shape}, frames are {shape}")
        offset = maps.offset if maps is not None else np.zeros(shape, np.float32)
        noise = maps.noise if maps is not None else np.zeros(shape, np.float32)
        bad = maps.bad.copy() if maps is not None else np.zeros(shape, np.uint8)
        event = self._thresholds.event(start, quadrant.id, noise)
        threshold = np.where(bad > 0, NEVER, np.clip(event, 1, NEVER)).astype(np.uint16)
        quiet = noise[bad == 0]
        level = float(np.median(quiet)) if quiet.size else 1.0
        offset_q8 = np.rint(offset * np.float32(256)).astype(np.int32) if whole else np.empty((0, 0), np.int32)
        low, rest = np.empty(offset_q8.shape, np.uint16), np.empty(len(offset_q8), np.int32)
        round_offset(offset_q8, 0, 1, low, rest)
        return _Chip(
            offset=offset_q8,
            variance=np.square(noise),
            noise=noise.copy(),
            bad=bad,
            threshold=threshold,
            floor=threshold.min(axis=1),
            low=low,
            rest=rest,
            common_mode=np.zeros(quadrant.rows, np.float32),
            window_q8=max(256, int(256 * self._config.clip_sigma * level)),
            streak=np.zeros(shape, np.uint8),
            last=np.full(shape, -9, np.int32),
            hits=np.zeros(shape, np.uint16),
            known_bad=_tabulate(quadrant.id, np.argwhere(bad), bad[bad > 0], (-1, 0)),
        )

    def _correct(self, frame: Frame) -> CorrectedFrame:
        chip = self._chips[frame.quadrant]
        chip.number = chip.number % 2**30 + 1  # far from the end of an int32; one streak is cut in 62 days
        found, quality = self._adu(frame, chip) if frame.pixels.dtype.kind == "u" else self._image(frame, chip)
        seen = self._hits[:found] if found >= 0 else self._hits  # also of a frame with too many: hot pixels may be why
        new_bad = self._watch(frame, chip, seen) if self._config.find_bad else empty(BAD_PIXEL)
        if found < 0:
            found, quality = 0, quality | Quality.OVERFLOW
        hits = self._hits[:found].copy()
        if len(new_bad):  # masked from this frame on: no event may be made of them
            hits = hits[chip.bad[hits[:, 0], hits[:, 1]] == 0]
        if len(chip.known_bad):
            chip.known_bad["frame"], chip.known_bad["time_ns"] = frame.sequence, frame.time_ns
            new_bad, chip.known_bad = np.concatenate([chip.known_bad, new_bad]), empty(BAD_PIXEL)
        return CorrectedFrame(
            frame=replace(frame, quality=int(frame.quality | quality)) if quality else frame,
            offset=chip.offset,
            common_mode=chip.common_mode,
            noise=chip.noise,
            bad=chip.bad,
            hits=hits,
            new_bad=new_bad,
        )

    def _adu(self, frame: Frame, chip: _Chip) -> tuple[int, int]:
        quality = 0
        if self._config.common_mode == "row":
            # A fresh array: read-outs that wait for their other quadrants keep theirs.
            chip.common_mode = np.empty_like(chip.common_mode)
            limits = (np.int32(chip.window_q8), np.int32(256 * self._config.common_mode_limit_adu))
            maps = (chip.offset, chip.threshold, chip.low, chip.rest, chip.floor)
            found, lost = sift_rows(frame.pixels, maps, limits, chip.common_mode, self._hits)
            quality = Quality.COMMON_MODE if lost else 0
            if 2 * lost > len(chip.common_mode):
                return 0, quality | Quality.DEAD
        else:
            found = find_hits(frame.pixels, chip.offset, chip.common_mode, chip.threshold, self._hits)
        if self._config.track:
            every = self._config.track_every
            rule = (self._config.clip_sigma, self._config.track_shift, 2.0**-NOISE_SHIFT)
            rows = (chip.number % every, every)
            follow_rows(frame.pixels, chip.offset, chip.variance, chip.common_mode, chip.threshold, *rows, rule)
            round_offset(chip.offset, *rows, chip.low, chip.rest)
            if chip.number % REFRESH_FRAMES == 0:
                self._refresh(frame.quadrant, chip)
        return int(found), quality

    def _image(self, frame: Frame, chip: _Chip) -> tuple[int, int]:
        assert self._start is not None
        event = self._thresholds.constant_event(self._start, frame.quadrant)
        found, holes = find_hits_in_image(frame.pixels, np.float32(event), self._hits)
        if found > 0:  # masked pixels do not trigger
            hits = self._hits[:found][chip.bad[self._hits[:found, 0], self._hits[:found, 1]] == 0]
            found = len(hits)
            self._hits[:found] = hits
        return int(found), Quality.NOT_A_NUMBER if holes else 0

    def _refresh(self, quadrant: int, chip: _Chip) -> None:
        assert self._start is not None
        chip.noise = np.sqrt(chip.variance)
        event = self._thresholds.event(self._start, quadrant, chip.noise)
        chip.threshold = np.where(chip.bad > 0, NEVER, np.clip(event, 1, NEVER)).astype(np.uint16)
        chip.floor = chip.threshold.min(axis=1)

    def _watch(self, frame: Frame, chip: _Chip, hits: NDArray[np.int16]) -> NDArray[np.void]:
        config = self._config
        count = count_hits(hits, np.int32(chip.number), chip.streak, chip.last, chip.hits, config.hot_frames, self._new)
        new_bad = self._mask(frame, chip, self._new[:count], HOT)
        if chip.number % config.flicker_window_frames == 0:
            count = find_flickering(chip.hits, np.uint16(config.flicker_hits), self._new)
            new_bad = np.concatenate([new_bad, self._mask(frame, chip, self._new[:count], FLICKERING)])
            chip.hits[:] = 0
        return new_bad

    def _mask(self, frame: Frame, chip: _Chip, places: NDArray[np.int16], kind: int) -> NDArray[np.void]:
        if len(places) == 0:
            return empty(BAD_PIXEL)
        places = places[chip.bad[places[:, 0], places[:, 1]] == 0]
        chip.bad[places[:, 0], places[:, 1]] = kind
        chip.threshold[places[:, 0], places[:, 1]] = NEVER
        return _tabulate(frame.quadrant, places, kind, (frame.sequence, frame.time_ns))

    def _warm_up(self) -> None:
        """Compile every kernel on a small frame of each kind, so that the first real one meets its deadline."""
        pixels = np.full((8, 8), 100, np.uint16)
        pixels.flags.writeable = False  # as frames from a socket are
        offset, one = np.full((8, 8), 25_600, np.int32), np.ones((8, 8), np.float32)
        common, thr = np.zeros(8, np.float32), np.full((8, 8), 50, np.uint16)
        low, rest, floor = np.empty((8, 8), np.uint16), np.empty(8, np.int32), thr[0].copy()
        round_offset(offset, 0, 1, low, rest)
        sift_rows(pixels, (offset, thr, low, rest, floor), (np.int32(1000), np.int32(9999)), common, self._hits)
        find_hits(pixels, offset, common, thr, self._hits)
        follow_rows(pixels, offset, one, common, thr, 0, 1, (4.0, 8, 2.0**-NOISE_SHIFT))
        image = one.copy()
        image.flags.writeable = False
        find_hits_in_image(image, np.float32(5), self._hits)
        last, seen = np.zeros((8, 8), np.int32), np.zeros((8, 8), np.uint16)
        count_hits(self._hits[:0], np.int32(1), np.zeros((8, 8), np.uint8), last, seen, 8, self._new)
        find_flickering(seen, np.uint16(3), self._new)


def _tabulate(quadrant: int, places: NDArray[np.integer], kind: object, since: tuple[int, int]) -> NDArray[np.void]:
    """Return BAD_PIXEL rows of places (n, 2): row, column."""
    rows = np.zeros(len(places), BAD_PIXEL)
    rows["quadrant"], rows["kind"] = quadrant, kind
    rows["y"], rows["x"] = places[:, 0], places[:, 1]
    rows["frame"], rows["time_ns"] = since
    return rows
