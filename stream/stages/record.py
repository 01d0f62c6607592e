"""EventList -> Product "events": the tables and header of an event list, one product per interval of detector time."""

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from config.schema import Config, Screen
from stream.infer import card_of, rule_of
from stream.ledger import Ledger, Past
from stream.messages import (
    BAD_PIXEL,
    EVENT,
    READOUT,
    TRACK,
    End,
    EventList,
    Gap,
    Message,
    Product,
    Quality,
    Start,
    empty,
)
from stream.tables import (
    BADPIX,
    FRAMES,
    P_CLASS,
    P_PARTICLE,
    TRACKS,
    Columns,
    Table,
    adds_livetime,
    event_table,
    gap_table,
    gti_table,
    in_order,
    pick,
    readout_key,
    renamed,
    usable,
)

Card = str | int | float | bool

MAX_HELD_GAPS = 20_000
MAX_HELD_BYTES = 256 * 2**20
"""Above, an interval is given in pieces: memory stays bounded whatever the rate or the clock does."""
_LIST_BYTES = 1024  # what an empty list takes
IN_FLIGHT = "in_flight"  # reason of a gap: accepted, and lost with a process that died
PATIENCE = 2048  # lists that come after a later one, until a read-out is declared lost
"""A link gives in turn what a dead sender has left in it and what its successor sends: 400 lists wait on each side (the
table), and what the kernel holds. How far the numbers have gone on meanwhile says nothing: many may be lost."""


class Record:
    """Collects event lists; rows by frame, then quadrant; TIME is the middle of the frame (TIMEPIXR 0.5).

    The product of an interval is given with the first list after it; a late list goes into the interval that is open
    when it comes. `header["ROLL"]` counts the files, by `record.roll_s` and `roll_bytes`. `Start` and `End` pass; every
    run gives at least one product, its tables empty if nothing came. Before a `Start`, a list leaves as a gap.

    Each read-out of a quadrant is recorded once or is in GAPS: what came before is dropped and counted, what neither
    comes nor is declared by the stages before is a gap "in_flight".
    """

    name = "record"

    def __init__(self, config: Config) -> None:
        """Raises ModelError for a screening model without a card."""
        self._config = config
        self._past: dict[str, Past] = {}
        self._settings = _settings(config) | _screening(config.screen)
        self._scores = _scores(config.screen)
        self._interval_ns = max(1, round(config.record.interval_s * 1e9))
        self._roll_ns = max(1, round(config.record.roll_s * 1e9))
        self._start: Start | None = None
        self._roll = 0
        self._sequence = 0
        self.counters: Counter[str] = Counter()
        self.balance: Counter[str] = Counter()  # of all runs: read-outs due, recorded, lost; recorded before

    def go_on(self, past: Mapping[str, Past]) -> None:
        """Take note of what another process has recorded of runs, by run id; a run of such an id goes on there."""
        self._past = dict(past)

    @property
    def place(self) -> dict[str, int]:
        """The first read-out of the open stream: one that takes over may find none of it on the disk."""
        first = self._ledger.first if self._start is not None else None
        return {} if first is None else {"first": first}

    @place.setter
    def place(self, place: dict[str, int]) -> None:
        if self._start is not None and "first" in place:
            self._ledger.begin(place["first"])

    def process(self, message: Message) -> Iterable[Message]:
        """Take one message; give a product when its interval is over."""
        if isinstance(message, EventList):
            return self._take(message)
        if isinstance(message, Gap) and self._start is not None:
            self._gaps += self._ledger.lose(message)
            return (self._give(self._start),) if len(self._gaps) >= MAX_HELD_GAPS else ()
        if isinstance(message, Start):
            before = self.flush()
            self._open(message)
            return [*before, message]
        if isinstance(message, End):
            return [*self.flush(), message]
        return (message,)

    def flush(self) -> Iterable[Message]:
        """Give what is held; the run is over."""
        if self._start is None:
            return []
        self._gaps += self._ledger.missing(self._start.stream, IN_FLIGHT)
        rest = [self._give(self._start)] if self._readouts or self._gaps or not self._given else []
        self.balance.update(self._ledger.balance())
        self._start = None
        return rest

    def _open(self, start: Start) -> None:
        self._start = start
        self._roll += 1
        self._given = 0
        self._ledger = Ledger(q.id for q in start.quadrants)
        self._begin_ns: int | None = None  # of the interval
        self._came = 0  # lists
        self._newest: deque[tuple[int, int]] = deque()  # now and then: lists that had come, and the newest read-out
        self._file_begin_ns: int | None = None
        self._file_bytes = 0
        self._rolled = False
        self._all_bad = empty(BAD_PIXEL)  # of the stream: every file has them all
        self._known = np.empty((0, 2), np.int64)  # frame and time of read-outs, to give a gap its time
        self._forget()
        if past := self._past.pop(start.run_id, None):
            self._ledger, self._roll, self._given = past.ledger, past.roll, past.given
            self._all_bad, self._known = past.bad_pixels, past.known
            self.balance["before"] += past.ledger.balance()["recorded"]

    def _forget(self) -> None:
        self._events: list[Table] = []
        self._tracks: list[Table] = []
        self._readouts: list[Table] = []
        self._bad_pixels: list[Table] = []
        self._gaps: list[Gap] = []
        self._quality = 0
        self._held_bytes = 0

    def _take(self, message: EventList) -> Sequence[Message]:
        if self._start is None:
            self.counters["before start"] += len(message.readouts)
            first = message.sequence
            return (Gap(stream=message.stream, first=first, last=first, quadrant=-1, reason="start"),)
        message = self._unrecorded(message)
        self._came += 1
        if self._came % 64 == 0:
            self._newest.append((self._came, self._ledger.newest))
        given: list[Message] = []
        if self._begin_ns is None:
            self._begin_ns = message.time_ns
        passed = (message.time_ns - self._begin_ns) // self._interval_ns
        if passed > 0 or self._held_bytes > MAX_HELD_BYTES:
            given.append(self._give(self._start))
            self._begin_ns += max(0, passed) * self._interval_ns
        self._events.append(message.events)
        self._tracks.append(message.tracks)
        self._readouts.append(_marked(message))
        self._bad_pixels.append(message.bad_pixels)
        if len(message.bad_pixels):
            self._all_bad = np.concatenate([self._all_bad, message.bad_pixels])
        self._quality |= message.quality
        self._held_bytes += _LIST_BYTES + message.events.nbytes + message.tracks.nbytes + message.readouts.nbytes
        return given

    def _unrecorded(self, message: EventList) -> EventList:
        """Return a list without the read-outs that are recorded already."""
        rows = message.readouts
        repeated = (rows["quality"] & Quality.REPEATED_EXPOSURE) != 0  # more islands of the same read-out
        new = self._ledger.record(rows["quadrant"], rows["frame"])
        if repeated.any():
            self.counters["repeated exposure"] += int((repeated & ~new).sum())
            new |= repeated
        if new.all():
            return message
        self.counters["recorded before"] += int((~new).sum())
        old = readout_key(rows[~new])
        events, tracks = (pick(t, ~np.isin(readout_key(t), old)) for t in (message.events, message.tracks))
        return replace(message, readouts=pick(rows, new), events=events, tracks=tracks)

    def _give(self, start: Start) -> Product:
        self._gaps += self._overdue(start)
        tables, counts = self._tables(start)
        begin_ns = self._begin_ns or 0
        self._choose_file(begin_ns, sum(table.nbytes for table in tables.values()))
        if self._rolled:
            self._rolled = False
            tables["BADPIX"] = renamed(in_order([self._all_bad], BAD_PIXEL), BADPIX, start.frame_time_ns // 2)
        header = {"ROLL": self._roll, "INTERVAL": self._given, **_identity(start), **self._settings, **counts}
        product = Product(
            stream=start.stream,
            kind="events",
            sequence=self._sequence,
            time_ns=begin_ns,
            header=header,
            tables=tables,
            quality=self._quality,
        )
        self._given += 1
        self._sequence += 1
        self._forget()
        return product

    def _overdue(self, start: Start) -> Sequence[Gap]:
        """Return as gaps what is missing before the read-out that was the newest `PATIENCE` lists ago."""
        number = -1
        while self._newest and self._newest[0][0] <= self._came - PATIENCE:
            _, number = self._newest.popleft()
        return self._ledger.missing(start.stream, IN_FLIGHT, until=number)

    def _choose_file(self, begin_ns: int, new_bytes: int) -> None:
        if self._file_begin_ns is None:
            self._file_begin_ns = begin_ns
        over_time = begin_ns - self._file_begin_ns >= self._roll_ns
        over_size = self._file_bytes > 0 and self._file_bytes + new_bytes > self._config.record.roll_bytes
        if over_time or over_size:
            self._roll += 1
            self._rolled = True
            self._file_begin_ns = begin_ns
            self._file_bytes = 0
        self._file_bytes += new_bytes

    def _tables(self, start: Start) -> tuple[dict[str, Table], dict[str, Card]]:
        events = in_order(self._events, EVENT)
        readouts = in_order(self._readouts, READOUT)
        overflow = readout_key(readouts[~usable(readouts)])
        used = pick(events, ~np.isin(readout_key(events), overflow)) if len(overflow) else events
        if len(readouts):
            self._known = np.stack([readouts["frame"], readouts["time_ns"]], axis=1)
        half, island, scores = start.frame_time_ns // 2, self._config.record.island, self._scores
        tables = {
            "EVENTS": event_table(pick(used, used["reason"] == 0), start, island, rejected=False, scores=scores),
            "GTI": gti_table(readouts, start.frame_time_ns),
            "REJECTED": event_table(pick(used, used["reason"] != 0), start, island, rejected=True, scores=scores),
            "TRACKS": renamed(in_order(self._tracks, TRACK), TRACKS, half),
            "FRAMES": renamed(readouts, FRAMES, half),
            "GAPS": gap_table(self._gaps, self._known, start.frame_time_ns),
            "BADPIX": renamed(in_order(self._bad_pixels, BAD_PIXEL), BADPIX, half),
        }
        self._known = self._known[-1:]
        not_used = len(events) - len(used)
        if not_used:
            self.counters["events of overflowed frames"] += not_used
        return tables, {**_counts(readouts, self._gaps, start), "NDISCARD": not_used}


def _marked(message: EventList) -> Table:
    """Rows of the read-out, with what is known of it only as a whole."""
    whole = message.quality & (Quality.LATE | Quality.MISSING_QUADRANT)
    if not whole:
        return message.readouts
    rows = message.readouts.copy()
    rows["quality"] |= np.uint16(whole)
    return rows


def _identity(start: Start) -> dict[str, Card]:
    """Cards that hold for the whole run."""
    cards: dict[str, Card] = {
        "TELESCOP": start.telescope,
        "INSTRUME": start.instrument,
        "OBS_ID": start.run_id,
        "OBJECT": start.target,
        "STREAM": start.stream,
        "MJDREFI": start.mjdref[0],
        "MJDREFF": start.mjdref[1],
        "FRAME_NS": start.frame_time_ns,
        "LIVE_NS": start.live_time_ns,
        "PIXTYPE": "ADU" if np.dtype(start.pixel_dtype).kind == "u" else "REAL",
        "GAIN_EV": start.gain_ev,
        "SATURAT": start.saturation,
        "CONFSHA": start.config_digest,
        "NQUADS": len(start.quadrants),
    }
    for q in start.quadrants:
        for end, value in (("X0", q.origin_x_px), ("Y0", q.origin_y_px), ("NX", q.columns), ("NY", q.rows)):
            cards[f"Q{q.id:02d}{end}"] = value
    return cards | {f"MAPV{quadrant:02d}": version for quadrant, version in start.map_versions.items()}


def _settings(config: Config) -> dict[str, Card]:
    """Cards from the configuration that a reader of the list needs."""
    section = config.reconstruct
    cards: dict[str, Card] = {
        "PICHANS": section.pi_channels,
        "PI_EV": section.pi_channel_ev,
        "MIP_EV": section.mip_threshold_ev,
    }
    for kind, card in (("event", "EVT"), ("split", "SPL")):
        for unit in ("ev", "adu", "sigma"):
            value = getattr(section, f"{kind}_threshold_{unit}")
            if value is not None:
                cards |= {f"{card}_THR": value, f"{card}_UNIT": "eV" if unit == "ev" else unit}
    return cards


def _screening(section: Screen) -> dict[str, Card]:
    """Cards of what screens, by which rule, and where it was asked to run; none without screening."""
    if not section.model:
        return {}
    model, threshold = card_of(section.model), rule_of(section)[1]
    cards: dict[str, Card] = {
        "SCREEN": model.model.stem,
        "SCR_SHA": model.digest,
        "SCR_THR": threshold,
        "SCR_LOST": section.max_lost_xray_fraction,
        "SCR_PROV": section.provider,
    }
    if section.forest:
        forest = card_of(section.forest)
        cards |= {"SCRTREES": forest.model.stem, "SCRT_SHA": forest.digest}
    return cards


def _scores(section: Screen) -> Columns:
    """Return the columns that screening fills."""
    if not section.model:
        return {}
    return {**P_PARTICLE, **P_CLASS} if section.look == "windows" else P_PARTICLE


def _counts(readouts: Table, gaps: Iterable[Gap], start: Start) -> dict[str, Card]:
    """Cards that add up over the products of a file, and the time (ns) from the first to the last read-out."""
    live = np.bincount(readouts["quadrant"][adds_livetime(readouts)], minlength=256)
    times = readouts["time_ns"]
    cards: dict[str, Card] = {f"NREAD{q.id:02d}": int(live[q.id]) for q in start.quadrants}
    cards["NREADOUT"] = len(readouts)
    for card, bit in (
        ("NOVERFLW", Quality.OVERFLOW),
        ("NDEAD", Quality.DEAD),
        ("NDEAD", Quality.DEAD),
        ("NLATE", Quality.LATE),
        ("NREPEAT", Quality.REPEATED_EXPOSURE),
    ):
        cards[card] = int(np.count_nonzero(readouts["quality"] & bit))
    quadrants = len(start.quadrants)
    cards["NGAPREAD"] = sum((g.last - g.first + 1) * (quadrants if g.quadrant < 0 else 1) for g in gaps)
    cards["TSTARTNS"] = int(times.min()) if len(times) else 0
    cards["TSTOPNS"] = int(times.max()) + start.frame_time_ns if len(times) else 0
    return cards
