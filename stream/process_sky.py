"""The process of the sky: what its stages need from files, and where their products go."""

import time
from collections import Counter
from pathlib import Path
from typing import Final

from config.lat import AccumulateSky as Section
from config.lat import Lat
from stream.errors import LinkError
from stream.lat.associate import associate
from stream.lat.catalogue import Catalogue
from stream.messages import End, Message, Product
from stream.stage import Stage
from stream.stages.accumulate_sky import SkyProduct
from stream.stages.classify_sky import classes_in
from stream.transport.fitsfile import disk_faults
from stream.transport.gcn import write_notices
from stream.transport.lat_catalogue import read_catalogue
from stream.transport.lat_diffuse import read_diffuse
from stream.transport.lat_publish import Found, publish
from stream.transport.lat_response import instrument_of
from stream.transport.sky_files import read_sky, write_sky, write_window
from stream.wiring import Given, build_sky, sky_rows

FOLDER: Final = "sky"
LEAST_S: Final = 30.0  # wall time from one snapshot to the next: at full speed, six hours of the sky pass in 10 ms


def stages_of(config: Lat, out: Path, *, anew: bool) -> list[Stage]:
    """Build the stages of the process; they go on with what lies in OUT. anew: that is removed first.

    Raises ConfigError for files that cannot be read.
    """
    snapshot = snapshot_of(out)
    if anew:
        snapshot.unlink(missing_ok=True)
    iem, iso = (Path(name) if name else None for name in (config.localise.iem, config.localise.iso))
    given = Given(
        instrument_of(config.accumulate_sky.irfs),
        read_diffuse(iem, iso),
        read_catalogue(Path(config.catalogue)) if config.catalogue else None,
        read_sky(snapshot),
    )
    return [build_sky(row.stage, config, given) for row in sky_rows(config)]


def snapshot_of(out: Path) -> Path:
    """Return where all that was counted is kept."""
    return out / FOLDER / "counted.h5"


def sink_of(config: Lat, out: Path) -> "SkySink":
    """Return where the products of a configuration go."""
    catalogue = read_catalogue(Path(config.catalogue)) if config.catalogue else None
    return SkySink(out, config.accumulate_sky, catalogue)


class SkySink:
    """Writes what the process of the sky gives into OUT/sky, each product in the place of the last.

    "sky": WINDOW.fits, and all that was counted; "detections": WINDOW/catalogue.fits and others, associated with a
    catalogue if there is one; "alerts": alerts/*.json, one for each. At full speed not every product "sky" is written,
    but the last of a stream always is. A disk that refuses costs the product, counted as `not_written`: the next one
    holds all of it again. Other messages are not for it.
    """

    def __init__(self, out: Path, section: Section, catalogue: Catalogue | None = None) -> None:
        """Make the folder. Raises LinkError if the disk refuses."""
        self._folder, self._section, self._catalogue = out / FOLDER, section, catalogue
        self.counters: Counter[str] = Counter()
        self._last: SkyProduct | None = None  # not yet written
        self._written_at = self._kept_at = -float("inf")  # wall time of the last files, of the last snapshot
        self._kept_ns: int | None = None  # detector time of it
        self._snapshot = snapshot_of(out)
        with disk_faults(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)

    def send(self, message: Message) -> None:
        """Write a product when it is time to."""
        if isinstance(message, End):
            self._finish()
        if isinstance(message, Product) and message.kind in ("detections", "alerts"):
            self._publish(message)
        if not isinstance(message, SkyProduct):
            return
        self._last, now = message, time.monotonic()
        self._kept_ns = message.time_ns if self._kept_ns is None else self._kept_ns
        if now - self._written_at >= self._section.write_every_s:
            self._write(message, mission=False)
        due = message.time_ns - self._kept_ns >= self._section.snapshot_s * 1e9
        if due and now - self._kept_at >= LEAST_S:
            self._keep(message)

    def close(self) -> None:
        """Write what has not been written."""
        self._finish()

    def _finish(self) -> None:
        if self._last is not None:
            last, self._last = self._last, None
            self._write(last, mission=True)
            self._keep(last)

    def _write(self, product: SkyProduct, *, mission: bool) -> None:
        """Write the files of the windows. mission: also that of the mission, which takes seconds."""
        try:
            for name, window in product.windows.items():
                if name != "mission" or mission:
                    write_window(self._folder / f"{name}.fits", window, product.exposure(name), product.header)
            self.counters["written"] += 1
        except LinkError:
            self.counters["not_written"] += 1
        self._written_at = time.monotonic()

    def _publish(self, product: Product) -> None:
        """Write detections or alerts."""
        try:
            if product.kind == "alerts":
                write_notices(product, self._folder / "alerts")
                return
            folder, rows = self._folder / str(product.header["WINDOW"]), product.tables["DETECTIONS"]
            told = associate(rows, self._catalogue.rows) if self._catalogue is not None else None
            with disk_faults(folder):
                folder.mkdir(parents=True, exist_ok=True)
            publish(folder, Found(rows, self._catalogue, told, classes_in(product)), product.header)
        except LinkError:
            self.counters["not_written"] += 1

    def _keep(self, product: SkyProduct) -> None:
        try:
            write_sky(self._snapshot, product.sky)
            self._kept_ns = product.time_ns
        except LinkError:
            self.counters["not_written"] += 1
        self._kept_at = time.monotonic()
