"""Product "detections" of a window of time -> Product "alerts": what flares, and what is new."""

from collections import Counter
from collections.abc import Iterable

import numpy as np

from config.alert import Alert as Section
from stream.lat.bands import DETECTION
from stream.lat.catalogue import Catalogue
from stream.lat.flare import FLARE, TRANSIENT, find_alerts, header_of
from stream.messages import Message, Product

TABLE = "DETECTIONS"


class Alert:
    """Compares every window with a catalogue; gives "alerts" (table ALERTS, header of the window) after it if any.

    Everything passes. Counted: windows, flares, transients, and products "detections" whose table is another.
    """

    name = "alert"

    def __init__(self, section: Section, catalogue: Catalogue) -> None:
        self._section, self._catalogue = section, catalogue
        self.counters: Counter[str] = Counter()
        find_alerts(np.zeros(0, DETECTION), catalogue.rows, section)

    @property
    def about(self) -> dict[str, str]:
        """What it compares with."""
        return {"catalogue": f"{self._catalogue.title}, {len(self._catalogue):,} sources"}

    def process(self, message: Message) -> Iterable[Message]:
        """Product "detections": pass it, then give what is remarkable in it."""
        if not isinstance(message, Product) or message.kind != "detections":
            return (message,)
        found = message.tables.get(TABLE)
        if found is None or not set(DETECTION.names or ()) <= set(found.dtype.names or ()):
            self.counters["no detections in it"] += 1
            return (message,)
        alerts = find_alerts(found, self._catalogue.rows, self._section)
        self.counters["windows"] += 1
        self.counters["flares"] += int(np.sum(alerts["kind"] == FLARE))
        self.counters["transients"] += int(np.sum(alerts["kind"] == TRANSIENT))
        if not len(alerts):
            return (message,)
        header = {**message.header, **header_of(self._section, self._catalogue.title), "NALERTS": len(alerts)}
        told = Product(
            stream=message.stream,
            kind="alerts",
            sequence=message.sequence,
            time_ns=message.time_ns,
            header=header,
            tables={"ALERTS": alerts},
            quality=message.quality,
        )
        return message, told

    def flush(self) -> Iterable[Message]:
        """Nothing is held back."""
        return ()
