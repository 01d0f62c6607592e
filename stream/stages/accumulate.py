"""Product "events" -> Product "images": what an observation has seen, by energy band, with its exposure."""

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from config.schema import Config
from stream.kernels.images import bin_means, count_events, exposed
from stream.messages import End, Message, Product, Start

Table = NDArray[Any]
Card = str | int | float | bool

KEPT = np.dtype(
    [
        ("TIME", "<f8"),  # s, as in the event list
        ("X", "<f4"),  # focal plane, pixels of the camera, centres at integers
        ("Y", "<f4"),
        ("ENERGY", "<f4"),  # eV
        ("PI", "<i4"),
    ]
)
MOST_BINS = 100_000  # of a light curve, wider ones then: a clock that leaps must not take all memory
PASSED_ON = (
    "FOLDER",
    "TELESCOP",
    "INSTRUME",
    "OBS_ID",
    "OBJECT",
    "STREAM",
    "MJDREFI",
    "MJDREFF",
    "CONFSHA",
    "PICHANS",
    "PI_EV",
    "NOPLACE",
    *(f"{key}{axis}S" for key in ("CTYPE", "CRPIX", "CRVAL", "CDELT") for axis in (1, 2)),  # of lists with sky columns
)


@dataclass(frozen=True, slots=True)
class Camera:
    """Where the quadrants lie in the image."""

    places: Mapping[int, tuple[int, int, int, int]]  # quadrant -> x0, y0, columns, rows, pixels of the camera

    @classmethod
    def of(cls, header: Mapping[str, Card]) -> "Camera":
        """Return the camera of an event list, from its cards Q00X0 ... (none: an empty one)."""
        ids = [q for q in range(100) if f"Q{q:02d}X0" in header]
        return cls({q: tuple(int(header[f"Q{q:02d}{end}"]) for end in ("X0", "Y0", "NX", "NY")) for q in ids})  # type: ignore[misc]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns that hold all quadrants."""
        places = self.places.values()
        return max((y + rows for _, y, _, rows in places), default=1), max((x + n for x, _, n, _ in places), default=1)


@dataclass(frozen=True, slots=True)
class Block:
    """What is kept of one product."""

    number: int  # interval of the run, the first of several
    intervals: int
    stop_ns: int
    events: Table  # KEPT
    live_s: Mapping[int, float]  # by quadrant
    gti: Table  # START, STOP, s


class Accumulate:
    """Keeps the events of an observation, or its newest `accumulate.window_s`, and gives images of them.

    A product "images" is given `accumulate.every_s` of detector time after the last one, and at the end. Its exposure
    is that of the very intervals whose events it holds, so one that was lost on the way shortens it; the cards NINTERV
    and MISSING count them, from the first interval of the run on. A pixel found bad has no exposure from that interval
    on. Everything else passes.
    """

    name = "accumulate"

    def __init__(self, config: Config) -> None:
        self._section = config.accumulate
        self.counters: Counter[str] = Counter()
        self._open()

    def process(self, message: Message) -> Iterable[Message]:
        """Product "events": keep it, give images when they are due. Start and End close what was open, and pass."""
        if isinstance(message, Product) and message.kind == "events":
            return self._take(message)
        if isinstance(message, Start | End):
            return [*self.flush(), message]
        return (message,)

    def flush(self) -> Iterable[Message]:
        """Give the images of what has come since the last ones; the observation is over."""
        rest = [self._give()] if self._fresh else []
        self._open()
        return rest

    def _open(self) -> None:
        self._blocks: deque[Block] = deque()
        self._bad: dict[tuple[int, int, int], int] = {}  # quadrant, x, y -> interval from which on
        self._header: Mapping[str, Card] = {}
        self._camera = Camera({})
        self._left: NDArray[np.float32] | None = None
        self._fresh = False
        self._due_ns: int | None = None
        self._stream = ""
        self._sequence = 0
        self._seen = set[int]()  # numbers of the intervals that came

    def _take(self, product: Product) -> Sequence[Message]:
        if product.header.get("ANEW"):  # all that was seen, and what was missed, comes again
            self._open()
        if not self._header:
            self._header, self._camera, self._stream = product.header, Camera.of(product.header), product.stream
            self._due_ns = product.time_ns + round(self._section.every_s * 1e9)
        number = int(product.header.get("INTERVAL", product.sequence))
        several = range(number, number + int(product.header.get("INTERVALS", 1)))
        if not self._seen.isdisjoint(several):
            self.counters["interval twice"] += 1
            return ()
        self._seen.update(several)
        gti = product.tables["GTI"]
        stop_ns = int(gti["STOP_NS"].max()) if len(gti) else product.time_ns
        for row in product.tables.get("BADPIX", ()):  # not in lists of other origin
            self._bad.setdefault((int(row["QUADRANT"]), int(row["RAWX"]), int(row["RAWY"])), number)
        live_s = {q: float(product.header[f"NREAD{q:02d}"]) * self._live_s() for q in self._camera.places}
        block = Block(number, len(several), stop_ns, _kept(product.tables["EVENTS"]), live_s, gti[["START", "STOP"]])
        self._blocks.append(block)
        self._fresh = True
        self._forget_old(stop_ns)
        assert self._due_ns is not None
        if stop_ns < self._due_ns or product.header.get("RECALLED"):  # the next one tells of both
            return ()
        self._due_ns = stop_ns + round(self._section.every_s * 1e9)
        return (self._give(),)

    def _live_s(self) -> float:
        return float(self._header["LIVE_NS"]) * 1e-9

    def _frame_s(self) -> float:
        return float(self._header["FRAME_NS"]) * 1e-9

    def _forget_old(self, now_ns: int) -> None:
        window_ns = round(self._section.window_s * 1e9)
        held = sum(len(block.events) for block in self._blocks)
        while len(self._blocks) > 1 and (
            held > self._section.max_events or (window_ns and self._blocks[0].stop_ns <= now_ns - window_ns)
        ):
            gone = self._blocks.popleft()
            held -= len(gone.events)

    def _give(self) -> Product:
        self._fresh = False
        self._sequence += 1
        blocks, numbers = self._blocks, [block.number for block in self._blocks]
        missing = max(self._seen) + 1 - len(self._seen)  # those of a run count from 0
        self.counters["intervals missing"] = missing
        events = np.concatenate([block.events for block in blocks])
        gti = np.concatenate([block.gti for block in blocks])
        exposure = self._exposure()
        live = [sum(block.live_s[q] for block in blocks) for q in self._camera.places]
        header: dict[str, Card] = {key: self._header[key] for key in PASSED_ON if key in self._header}
        header |= {
            "NINTERV": sum(block.intervals for block in blocks),
            "MISSING": missing,
            "OLDEST": min(numbers),
            "NEWEST": max(block.number + block.intervals - 1 for block in blocks),
            "TSTART": float(gti["START"].min()) if len(gti) else 0.0,
            "TSTOP": float(gti["STOP"].max()) if len(gti) else 0.0,
            "ONTIME": float((gti["STOP"] - gti["START"]).sum()),
            "EXPOSURE": float(np.mean(live)) if live else 0.0,
            "BIN_PX": self._section.bin_px,
            "VIGNET": bool(self._section.vignetting),
        }
        tables = {
            "IMAGES": self._images(events),
            "EXPOSURE": np.array([(exposure,)], [("EXPOSURE", "<f4", exposure.shape)]),
            "LIGHTCURVE": self._light_curve(events, gti, header),
            "EVENTS": events,
            "GTI": gti,
        }
        return Product(
            stream=self._stream,
            kind="images",
            sequence=self._sequence,
            time_ns=blocks[-1].stop_ns,
            header=header,
            tables=tables,
        )

    def _images(self, events: Table) -> Table:
        bands = self._section.bands_ev
        counts = count_events(
            events["X"], events["Y"], events["ENERGY"], np.array(bands), self._camera.shape, self._section.bin_px
        )
        images = np.empty(len(bands), [("BAND_LO", "<f8"), ("BAND_HI", "<f8"), ("COUNTS", "<i4", counts.shape[1:])])
        images["BAND_LO"], images["BAND_HI"] = np.array(bands).T
        images["COUNTS"] = counts
        return images

    def _exposure(self) -> NDArray[np.float32]:
        """Return the exposure of each image pixel, s, (rows, columns): the mean over the camera's pixels in it."""
        exposure = np.zeros(self._camera.shape, np.float32)
        for q, (x0, y0, columns, rows) in self._camera.places.items():
            exposure[y0 : y0 + rows, x0 : x0 + columns] = sum(block.live_s[q] for block in self._blocks)
        for (q, x, y), number in self._bad.items():
            if q in self._camera.places:
                x0, y0 = self._camera.places[q][:2]
                exposure[y0 + y, x0 + x] = sum(b.live_s[q] for b in self._blocks if b.number < number)
        if self._section.vignetting:
            exposure *= self._vignetting()
        return bin_means(exposure, self._section.bin_px)

    def _vignetting(self) -> NDArray[np.float32]:
        """Return the share of the area on axis that is left, at each pixel of the camera, (rows, columns)."""
        if self._left is None:
            (x, y), (angle, left) = self._section.axis_px, np.array(self._section.vignetting).T
            rows, columns = self._camera.shape
            away_px = np.hypot(np.arange(columns)[None] - x, np.arange(rows)[:, None] - y)
            self._left = np.interp(away_px * self._section.arcsec_per_px / 60, angle, left).astype(np.float32)
        return self._left

    def _light_curve(self, events: Table, gti: Table, header: Mapping[str, Card]) -> Table:
        """Return the light curve of the whole camera: rate of all bands, counts of each, exposed part of each bin."""
        bands, begin, end = self._section.bands_ev, float(header["TSTART"]), float(header["TSTOP"])
        width = max(self._section.light_curve_s, (end - begin) / MOST_BINS)
        edges = begin + width * np.arange(max(1, int(np.ceil((end - begin) / width))) + 1)
        columns = [("TIME", "<f8"), ("RATE", "<f4"), ("ERROR", "<f4"), ("FRACEXP", "<f4")]
        table = np.empty(len(edges) - 1, [*columns, ("COUNTS", "<i4", (len(bands),))])
        table["TIME"] = edges[:-1] + width / 2
        for k, (low, high) in enumerate(bands):
            inside = (events["ENERGY"] >= low) & (events["ENERGY"] < high)
            table["COUNTS"][:, k] = np.histogram(events["TIME"][inside], edges)[0]
        table["FRACEXP"] = exposed(edges, gti["START"], gti["STOP"]) / width * self._live_s() / self._frame_s()
        all_bands = table["COUNTS"].sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):  # no exposure, no rate: NaN
            table["RATE"] = np.where(table["FRACEXP"] > 0, all_bands / (width * table["FRACEXP"]), np.nan)
            table["ERROR"] = np.where(table["FRACEXP"] > 0, np.sqrt(all_bands) / (width * table["FRACEXP"]), np.nan)
        return table


def _kept(events: Table) -> Table:
    kept = np.empty(len(events), KEPT)
    for name, source in (("TIME", "TIME"), ("X", "DETX"), ("Y", "DETY"), ("ENERGY", "ENERGY"), ("PI", "PI")):
        kept[name] = events[source]
    return kept
