"""EventList -> EventList: particles that look like X-rays are rejected by what else is in the read-out."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from config.schema import Config
from config.schema import Screen as Section
from stream.infer import rule_of
from stream.judges.islands import Islands
from stream.judges.windows import Windows
from stream.messages import EVENT, READOUT, WINDOW, EventList, Flag, Message, Reason, Start, empty
from stream.tables import joined

NEVER = int(Reason.MIP | Reason.IN_TRACK | Reason.BAD_PIXEL)  # no candidates: rejected whatever a model says
REPLACED = int(Reason.PATTERN | Reason.OUTER_RING)  # by the model: Poliszczuk et al. 2024, section 3.3


class Judge(Protocol):
    """Says how probably particles made the candidates of some read-outs."""

    @property
    def about(self) -> Mapping[str, str]:
        """What it runs, and where."""
        ...

    @property
    def failed(self) -> bool:
        """Whether the provider that it began with has failed, and another does its work."""
        ...

    def open(self, start: Start) -> None:
        """Take note of a new stream."""
        ...

    def judge(
        self, lists: Sequence[EventList], chosen: Sequence[NDArray[np.int64]]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return for the chosen rows of each list's events, list after list, p_particle (n,) and p_class (n, 4).

        NaN where it has no answer. `lists`: at least one.
        """
        ...


class Screen:
    """Judges the candidates of `screen.batch_readouts` lists together: events of the band, whatever their pattern.

    What is judged is rejected by P_PARTICLE alone, and no more by pattern or outer ring. Candidates over
    `max_candidates`, and those without a score, are marked UNSCREENED and stay as they were. Every event, list and gap
    is given on, in order; a list waits for no more than the rest of its batch. Without a model everything passes.
    """

    name = "screen"

    def __init__(self, config: Config) -> None:
        """Raises ModelError for models that cannot be used."""
        self._section = config.screen
        self._judge = open_judge(config.screen) if config.screen.model else None
        self._opened = False
        self._held: list[EventList] = []
        self.counters: Counter[str] = Counter()
        if self._judge is not None:
            _, self._threshold = rule_of(config.screen)

    @property
    def about(self) -> dict[str, str]:
        """What it runs, where, and what it rejects; empty without a model."""
        if self._judge is None:
            return {}
        rule = f"p_particle > {self._threshold:.4g}, at most {self._section.max_lost_xray_fraction:g} of the X-rays"
        return {**self._judge.about, "rejects": rule}

    def process(self, message: Message) -> Iterable[Message]:
        """EventList: hold it until its batch is full. Anything else: give what is held, then pass it."""
        if self._judge is None:
            return (message,)
        if isinstance(message, EventList) and self._opened:
            self._held.append(message)
            return self.flush() if len(self._held) >= self._section.batch_readouts else ()
        given = [*self.flush(), message]
        if isinstance(message, Start):
            self._judge.open(message)
            self._opened = True
        return given

    def flush(self) -> Iterable[Message]:
        """Judge and give what is held."""
        held, self._held = self._held, []
        return self._screen(self._judge, held) if held and self._judge is not None else []

    def _screen(self, judge: Judge, held: Sequence[EventList]) -> list[EventList]:
        candidates = [self._candidates(one) for one in held]
        chosen, left = [], self._section.max_candidates
        for rows in candidates:
            chosen.append(rows[:left])
            left -= chosen[-1].size
        p_particle, p_class = judge.judge(held, chosen)
        if judge.failed:
            self.counters["provider failed"] = 1
        ends = np.cumsum([rows.size for rows in chosen])[:-1]
        scores = zip(np.split(p_particle, ends), np.split(p_class, ends), strict=True)
        return [self._decide(*parts) for parts in zip(held, candidates, scores, strict=True)]

    def _candidates(self, one: EventList) -> NDArray[np.int64]:
        energy = one.events["energy_ev"]
        band = (energy >= self._section.energy_min_ev) & (energy < self._section.energy_max_ev)
        return np.flatnonzero(band & ((one.events["reason"] & NEVER) == 0))

    def _decide(
        self, one: EventList, rows: NDArray[np.int64], scores: tuple[NDArray[np.float32], NDArray[np.float32]]
    ) -> EventList:
        """Return a list with the scores of its first candidates, and what follows from them."""
        events, readouts = joined([one.events], EVENT), joined([one.readouts], READOUT)
        p_particle, p_class = scores
        known = np.zeros(rows.size, bool)
        known[: p_particle.size] = np.isfinite(p_particle)
        judged, left, found = rows[known], rows[~known], known[: p_particle.size]
        events["p_particle"] = events["p_class"] = np.nan
        events["p_particle"][judged], events["p_class"][judged] = p_particle[found], p_class[found]
        rejected = p_particle[found].astype(np.float64) > self._threshold
        events["reason"][judged] &= np.uint16(~REPLACED & 0xFFFF)
        events["reason"][judged[rejected]] |= np.uint16(Reason.SCREEN)
        events["flag"][left] |= np.uint16(Flag.UNSCREENED)
        by_quadrant = np.bincount(events["quadrant"][events["reason"] != 0], minlength=256)
        readouts["rejected"] = by_quadrant[readouts["quadrant"]]
        for reason, number in (
            ("judged", judged.size),
            ("not a number", p_particle.size - judged.size),
            ("unscreened", rows.size - p_particle.size),
        ):
            if number:
                self.counters[reason] += number
        return replace(one, events=events, readouts=readouts, windows=empty(WINDOW))


def open_judge(section: Section) -> Judge:
    """Return what judges as `screen.look` says. Raises ModelError for models that cannot be used."""
    if section.look == "windows":
        return Windows(section)
    return Islands(section)
