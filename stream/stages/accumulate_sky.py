"""Product "photons" -> Product "sky": the counts of the whole sky and their exposure, in windows of time."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from config.lat import AccumulateSky as Section
from stream.lat.bands import CHANNELS
from stream.lat.cube import MISSION, YEAR_S, Sky, Window
from stream.lat.exposure import Exposure, survey
from stream.lat.instrument import Instrument
from stream.lat.photons import GTI, PHOTON, POINTING
from stream.messages import End, Message, Product, Start

Table = NDArray[Any]
Card = str | int | float | bool
NEEDED = {"PHOTONS": PHOTON, "GTI": GTI}
WINDOW = np.dtype(
    [
        ("NAME", "S16"),
        ("START", "<f8"),  # MET, s
        ("STOP", "<f8"),
        ("ONTIME", "<f8"),  # good time, s
        ("LIVETIME", "<f8"),  # s; NaN: not known, and there is no exposure
        ("PHOTONS", "<i8", (CHANNELS,)),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SkyProduct(Product):
    """Product "sky" with the maps themselves, by reference: it never leaves the process. Table WINDOWS: WINDOW rows.

    windows: by name, with "mission". What they hold is read before the next message of the stream comes.
    """

    sky: Sky
    windows: Mapping[str, Window]
    instrument: Instrument
    even: bool  # exposure of an even survey, as the configuration says
    _known: dict[str, Exposure | None] = field(default_factory=dict)

    def exposure(self, name: str = MISSION) -> Exposure | None:
        """Return the exposure of a window; None if it is not known."""
        if name not in self._known:
            window = self.windows[name]
            self._known[name] = (
                survey(self.instrument, window.ontime_s / YEAR_S) if self.even else window.exposure(self.instrument)
            )
        return self._known[name]


class AccumulateSky:
    """Keeps the counts of the sky, and gives a product "sky" when `every_s` of detector time are over, and at the end.

    Streams follow each other: the mission goes on. Time that came before is not counted again, so that what was lost
    can be sent once more. Counted: `batches`, `photons`, and what was left out, by reason; `batches_missing` of the
    stream, `without_pointing`: products "sky" whose mission has no exposure. Everything else passes.
    """

    name = "accumulate_sky"

    def __init__(self, section: Section, instrument: Instrument, sky: Sky | None = None) -> None:
        """sky: what an earlier process has counted."""
        self._section, self._instrument = section, instrument
        self._sky = sky or Sky()
        self.counters: Counter[str] = Counter()
        self._run, self._seen, self._newest, self._stream = "", set[int](), -1, ""
        self._sequence = 0
        self._due_s = self._next(self._sky.newest_s)
        self._fresh = False
        _warm_up(instrument)

    @property
    def about(self) -> dict[str, str]:
        """What exposures are made with."""
        how = "of an even survey" if self._section.exposure == "survey" else "by pointing"
        return {"exposure": how, "responses": self._instrument.about}

    def process(self, message: Message) -> Iterable[Message]:
        """Product "photons": count it, give the sky when it is due. Start and End pass; before the End, the sky."""
        if isinstance(message, Product) and message.kind == "photons":
            return self._take(message)
        if isinstance(message, Start | End):
            return [*self.flush(), message]
        return (message,)

    def flush(self) -> Iterable[Message]:
        """Give the sky with what has come since the last product."""
        return [self._give()] if self._fresh else []

    def _next(self, time_s: float) -> float:
        return float(np.floor(time_s / self._section.every_s) + 1) * self._section.every_s

    def _take(self, product: Product) -> Iterable[Message]:
        given = product.tables
        begin, end = (product.header.get(key) for key in ("TSTART", "TSTOP"))
        whole = all(name in given and given[name].dtype == dtype for name, dtype in NEEDED.items())
        if not whole or not isinstance(begin, float) or not isinstance(end, float) or not 0 <= begin <= end:
            self.counters["no_photons_in_it"] += 1
            return ()
        self._note(product)
        first = not self._sky.newest_s
        pointing = given.get("POINTING")
        if pointing is not None and pointing.dtype != POINTING:
            self.counters["no_pointing_in_it"] += 1
            pointing = None
        self.counters += self._sky.add(given["PHOTONS"], given["GTI"], pointing, begin, end)
        self.counters["batches"] += 1
        self._fresh = True
        if first:
            self._due_s = self._next(begin)
        if end < self._due_s:
            return ()
        self._due_s = self._next(end)
        return (self._give(),)

    def _note(self, product: Product) -> None:
        """Know which batches of the stream are missing."""
        run = str(product.header.get("OBS_ID", product.stream))
        if run != self._run:
            self._run, self._seen, self._newest, self._stream = run, set(), -1, product.stream
        self._seen.add(product.sequence)
        self._newest = max(self._newest, product.sequence)
        self.counters["batches_missing"] = self._newest + 1 - len(self._seen)  # they count from 0

    def _give(self) -> SkyProduct:
        self._fresh = False
        self._sequence += 1
        windows, even = self._sky.windows(), self._section.exposure == "survey"
        mission = windows[MISSION]
        known = even or mission.live is not None
        self.counters["without_pointing"] += not known
        header: dict[str, Card] = {"TELESCOP": "GLAST", "INSTRUME": "LAT", "OBS_ID": self._run}
        header |= {"TSTART": mission.start_s, "TSTOP": mission.stop_s, "ONTIME": mission.ontime_s}
        header |= {"NPHOTONS": self.counters["photons"], "MISSING": self.counters["batches_missing"]}
        header |= {"NOPOINT": self._sky.unpointed_s, "IRFS": self._instrument.about}
        header["EXPOSURE"] = self.about["exposure"] if known else "none: good time without pointing (FT2)"
        rows = np.empty(len(windows), WINDOW)
        for row, window in zip(rows, windows.values(), strict=True):
            live = np.nan if window.live is None else window.live.live_s
            row["NAME"], row["START"], row["STOP"] = window.name, window.start_s, window.stop_s
            row["ONTIME"], row["LIVETIME"], row["PHOTONS"] = window.ontime_s, live, window.totals()
        return SkyProduct(
            stream=self._stream,
            kind="sky",
            sequence=self._sequence,
            time_ns=round(mission.stop_s * 1e9),
            header=header,
            tables={"WINDOWS": rows},
            sky=self._sky,
            windows=windows,
            instrument=self._instrument,
            even=even,
        )


def _warm_up(instrument: Instrument) -> None:
    """Count a photon and look somewhere for a second, so that all is compiled."""
    sky, pointing = Sky(), np.zeros(1, POINTING)
    pointing["STOP"], pointing["LIVETIME"] = 1.0, 1.0
    photon = np.array([(0.0, 0.0, 1000.0, 0, 0.5, 0.0)], PHOTON)
    sky.add(photon, np.array([(0.0, 1.0)], GTI), pointing, 0.0, 1.0)
    sky.windows()[MISSION].exposure(instrument)
