"""The counts of the whole sky while photons arrive: those of the mission, of its years, and of sliding windows of time.

Maps are HEALPix, RING, galactic, each band at its own resolution, front and back apart (`bands`). What a window holds
is what came: its good time and its exposure are those of the very photons in it.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stream.kernels.photons import KEPT, NO_BAND, NO_NUMBER, ZENITH, add_photons, place_photons
from stream.lat.bands import BANDS, CHANNELS, EDGES_MEV, GRIDS, NSIDE, TYPES, ZENITH_DEG, channels_of
from stream.lat.exposure import Exposure
from stream.lat.instrument import Instrument
from stream.lat.livetime import ROWS, Livetime, in_good_time
from stream.lat.photons import BLOCK_S, GTI, POINTING, Table, inside, joined, overlap_s, within, without

NSIDES: Final = tuple(nside for nside, _ in GRIDS)
WINDOWS: Final = {"six_hours": 1, "day": 4, "week": 28, "month": 120}  # in blocks; and "mission", all there is
MISSION: Final = "mission"
YEAR_NSIDE: Final = 256  # of the yearly maps: what the classes are judged by
YEARS_FROM_S: Final = 239_557_417.0  # MET of 2008-08-04 15:43:36 UTC, the begin of the survey and of 4FGL's years
YEAR_S: Final = 31_557_600.0
MOST_PHOTONS: Final = 20_000_000  # in the windows, 5 bytes each: a month of the real sky has 0.8 million
POINTED: Final = 0.999  # of the good time must have a pointing, or there is no exposure

_GRID: Final = [0] * CHANNELS  # of each channel, and its row there
_ROW: Final = [0] * CHANNELS
_ROWS_OF: Final = np.full((len(GRIDS), CHANNELS + 1), -1, np.int8)  # rows of the channels in each grid; at last, of -1
for _grid, (_, _bands) in enumerate(GRIDS):
    for _row, _channel in enumerate(channels_of(_bands)):
        _GRID[_channel], _ROW[_channel], _ROWS_OF[_grid, _channel] = _grid, _row, _row
# Large pixels collect many photons (Vela: 30,000 in ten years in one of 0.46 degrees), small ones do not.
_TYPE: Final = tuple(np.uint32 if nside <= 512 else np.uint16 for nside in NSIDES)

Pixels = NDArray[np.uint32]


def new_maps(types: Iterable[Any] = _TYPE) -> list[NDArray[Any]]:
    """Return empty maps, (channels of the grid, 12 nside^2) for each of GRIDS."""
    return [
        np.zeros((_GRID.count(k), 12 * nside**2), kind)
        for k, (nside, kind) in enumerate(zip(NSIDES, types, strict=True))
    ]


def count_into(maps: list[NDArray[Any]], channel: NDArray[np.int8], pixel: Pixels) -> int:
    """Count photons in maps; return how many found their pixel full."""
    full = 0
    for grid, rows in zip(maps, _ROWS_OF, strict=True):
        full += int(add_photons(rows[channel], pixel, grid, int(np.iinfo(grid.dtype).max)))
    return full


@dataclass(slots=True)
class Block:
    """What came of six hours."""

    channel: list[NDArray[np.int8]] = field(default_factory=list)
    pixel: list[Pixels] = field(default_factory=list)
    pointing: list[Table] = field(default_factory=list)  # POINTING, livetime within the GTI
    unpointed_s: float = 0.0  # of the good time, without a pointing
    photons: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """The counts of a span of time. Its maps are given when they are asked for; those of the mission are the stream's.

    live: None if the pointing is not known in all of its good time: there is no exposure then.
    """

    name: str
    start_s: float
    stop_s: float
    gti: Table
    live: Livetime | None
    _channel: NDArray[np.int8] = field(default_factory=lambda: np.empty(0, np.int8))
    _pixel: Pixels = field(default_factory=lambda: np.empty(0, np.uint32))
    _maps: list[NDArray[Any]] | None = None
    _totals: NDArray[np.int64] | None = None

    @property
    def ontime_s(self) -> float:
        """Good time, s."""
        return float((self.gti["STOP"] - self.gti["START"]).sum())

    def maps(self) -> list[NDArray[Any]]:
        """Return counts (channels of the grid, 12 nside^2) for each of GRIDS; not to be written to."""
        if self._maps is not None:
            return self._maps
        maps = new_maps([np.uint16] * len(NSIDES))
        count_into(maps, self._channel, self._pixel)
        return maps

    def counts(self, channel: int) -> NDArray[Any]:
        """Return the map of a channel, (12 nside^2,)."""
        if self._maps is not None:
            return np.asarray(self._maps[_GRID[channel]][_ROW[channel]])
        counts = np.zeros((1, 12 * NSIDE[channel // len(TYPES)] ** 2), np.uint16)
        add_photons(np.where(self._channel == channel, 0, -1).astype(np.int8), self._pixel, counts, 65_535)
        return counts[0]

    def listed(self, channel: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the pixels of a channel that have photons, rising, and how many."""
        if self._maps is not None:
            row = self._maps[_GRID[channel]][_ROW[channel]]
            pixels = np.flatnonzero(row)
            return pixels, row[pixels].astype(np.int64)
        pixels, number = np.unique(self._pixel[self._channel == channel], return_counts=True)
        return pixels.astype(np.int64), number

    def totals(self) -> NDArray[np.int64]:
        """Return how many photons each channel has, (CHANNELS,)."""
        return np.bincount(self._channel, minlength=CHANNELS) if self._totals is None else self._totals

    def exposure(self, instrument: Instrument) -> Exposure | None:
        """Return the exposure; None if it is not known."""
        return None if self.live is None else self.live.exposure(instrument, f"{self.name} by FT2")


class Sky:
    """Counts photons as they come. Times may come in any order; what came already is not counted again."""

    def __init__(self) -> None:
        """Nothing has come."""
        self.maps = new_maps()
        self.totals: NDArray[np.int64] = np.zeros(CHANNELS, np.int64)
        self.years: dict[int, NDArray[np.uint16]] = {}  # from 0; (BANDS, 12 YEAR_NSIDE^2)
        self.years_s: dict[int, float] = {}  # good time of each
        self.blocks: dict[int, Block] = {}
        self.live = Livetime()
        self.gti = self.covered = np.empty(0, GTI)
        self.unpointed_s = 0.0
        self._pending: list[Table] = []  # pointing that is not yet in `live`, and good time not yet in `gti`
        self._pending_gti: list[Table] = []
        self._rolling = {name: Rolling() for name in WINDOWS}

    @property
    def newest_s(self) -> float:
        """How far the stream has come; 0: it has not begun."""
        return float(self.covered["STOP"][-1]) if len(self.covered) else 0.0

    def add(self, photons: Table, gti: Table, pointing: Table | None, start_s: float, stop_s: float) -> Counter[str]:
        """Count PHOTON rows of [start, stop) and its good time; return what became of them.

        photons counted; of the rest: twice (their time has come before), outside_gti, no_band, zenith, no_numbers,
        full (pixels). unordered: came after a later one; they do count.
        """
        told = Counter(photons=0, unordered=int((np.diff(photons["TIME"]) < 0).sum()))
        if start_s >= self.newest_s:  # as it should be
            fresh, known = gti, np.zeros(len(photons), bool)
        else:
            fresh = without(gti, self.covered["START"], self.covered["STOP"])
            known = _came(self.covered, photons["TIME"])
        good = ~known & inside(fresh, photons["TIME"])
        told["twice"], told["outside_gti"] = int(known.sum()), int((~good & ~known).sum())
        self.covered = joined([self.covered, np.array([(start_s, stop_s)], GTI)])
        self._count(photons if good.all() else photons[good], told)
        self._expose(fresh, pointing)
        self._forget(told)
        return Counter({name: number for name, number in told.items() if number})

    def _count(self, photons: Table, told: Counter[str]) -> None:
        channel, pixel = np.empty(len(photons), np.int8), np.empty(len(photons), np.uint32)
        coarse, edges = np.empty(len(photons), np.uint32), np.array(EDGES_MEV)
        what = place_photons(photons, edges, np.array(ZENITH_DEG), np.array(NSIDE), YEAR_NSIDE, channel, pixel, coarse)
        told["photons"] = int(what[KEPT])
        for name, place in (("no_band", NO_BAND), ("zenith", ZENITH), ("no_numbers", NO_NUMBER)):
            told[name] = int(what[place])
        self.totals += np.bincount(channel.astype(np.int64) + 1, minlength=CHANNELS + 1)[1:]
        told["full"] = count_into(self.maps, channel, pixel)
        band = channel // np.int8(len(TYPES))  # -1 stays below 0
        for year, part in _split(photons["TIME"], YEARS_FROM_S, YEAR_S):
            if year not in self.years:
                self.years[year] = np.zeros((BANDS, 12 * YEAR_NSIDE**2), np.uint16)
            told["full"] += int(add_photons(band[part], coarse[part], self.years[year], 65_535))
        for number, part in _split(photons["TIME"], 0.0, BLOCK_S):
            block, kept = self.blocks.setdefault(number, Block()), channel[part] >= 0
            block.channel.append(channel[part][kept])
            block.pixel.append(pixel[part][kept])
            block.photons += int(kept.sum())

    def _expose(self, gti: Table, pointing: Table | None) -> None:
        given = np.empty(0, POINTING) if pointing is None else pointing
        for number, part in _split(gti["START"], 0.0, BLOCK_S):
            block, good = self.blocks.setdefault(number, Block()), gti[part]
            rows = in_good_time(given, good)
            good_s = float((good["STOP"] - good["START"]).sum())
            unpointed_s = max(0.0, good_s - float(overlap_s(good, given["START"], given["STOP"]).sum()))
            block.pointing.append(rows)
            block.unpointed_s += unpointed_s
            self.unpointed_s += unpointed_s
            self._pending.append(rows)
            year = int((good["START"][0] - YEARS_FROM_S) // YEAR_S)
            self.years_s[year] = self.years_s.get(year, 0.0) + good_s
            self._pending_gti.append(good)
        if sum(map(len, self._pending)) > ROWS or len(self._pending_gti) > ROWS:
            self.settle()

    def settle(self) -> None:
        """Bring livetime and good time of the mission up to date."""
        if self._pending_gti:
            self.live.add(np.concatenate(self._pending))
            self.gti = joined([self.gti, *self._pending_gti])
            self._pending, self._pending_gti = [], []

    def _forget(self, told: Counter[str]) -> None:
        """Let blocks go that are in no window any more."""
        if not self.blocks:
            return
        newest, held = max(self.blocks), sum(block.photons for block in self.blocks.values())
        for number in sorted(self.blocks):
            crowded = held > MOST_PHOTONS and number < newest
            if number > newest - max(WINDOWS.values()) and not crowded:
                break
            told["blocks_dropped"] += crowded
            held -= self.blocks.pop(number).photons

    def windows(self) -> dict[str, Window]:
        """Return the windows that end now, and the mission."""
        newest = int(np.ceil(self.newest_s / BLOCK_S)) - 1
        self.settle()
        found = {name: self._window(name, range(newest - n + 1, newest + 1)) for name, n in WINDOWS.items()}
        good_s = float((self.gti["STOP"] - self.gti["START"]).sum())
        live = self.live if good_s and self.unpointed_s <= (1 - POINTED) * good_s else None
        begin = float(self.covered["START"][0]) if len(self.covered) else 0.0
        found[MISSION] = Window(
            MISSION, begin, self.newest_s, self.gti, live, _maps=self.maps, _totals=self.totals.copy()
        )
        return found

    def _window(self, name: str, numbers: range) -> Window:
        held = {number: self.blocks[number] for number in numbers if number in self.blocks}
        blocks = held.values()
        start_s, stop_s = numbers[0] * BLOCK_S, (numbers[-1] + 1) * BLOCK_S
        first, last = np.searchsorted(self.gti["STOP"], start_s, "right"), np.searchsorted(self.gti["START"], stop_s)
        gti = within(self.gti[first:last], start_s, stop_s)
        good_s = float((gti["STOP"] - gti["START"]).sum())
        known = good_s > 0 and sum(block.unpointed_s for block in blocks) <= (1 - POINTED) * good_s
        live = self._rolling[name].to(held) if known else None
        channel = np.concatenate([np.empty(0, np.int8), *(part for block in blocks for part in block.channel)])
        pixel = np.concatenate([np.empty(0, np.uint32), *(part for block in blocks for part in block.pixel)])
        return Window(name, start_s, stop_s, gti, live, channel, pixel)


class Rolling:
    """The livetime of a window that slides: what comes is added, what goes is taken away."""

    def __init__(self) -> None:
        """An empty window."""
        self._live = Livetime()
        self._held: dict[int, list[Table]] = {}

    def to(self, blocks: Mapping[int, Block]) -> Livetime:
        """Return the livetime of these blocks; the same object every time."""
        new = {number: list(block.pointing) for number, block in blocks.items()}
        gone = [part for number, parts in self._held.items() if number not in new for part in parts]
        more = [part for number, parts in new.items() for part in parts[len(self._held.get(number, ())) :]]
        if sum(map(len, gone)) + sum(map(len, more)) > sum(len(part) for parts in new.values() for part in parts):
            self._live, gone, more = Livetime(), [], [part for parts in new.values() for part in parts]
        for parts, sign in ((more, 1), (gone, -1)):
            if parts:
                self._live.add(np.concatenate(parts), sign)
        self._held = new
        return self._live


def _came(covered: Table, time_s: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which times lie in intervals [start, stop)."""
    if not len(covered):
        return np.zeros(len(time_s), bool)
    row = np.searchsorted(covered["START"], time_s, side="right") - 1
    return (row >= 0) & (time_s < covered["STOP"][row])


def _split(time_s: NDArray[np.float64], zero_s: float, step_s: float) -> Iterable[tuple[int, Any]]:
    """Yield the steps of time in which these lie, and which of them do."""
    step = np.floor((time_s - zero_s) / step_s)
    if len(step) and step.min() == step.max():
        yield int(step[0]), slice(None)
        return
    for number in np.unique(step):
        yield int(number), step == number
