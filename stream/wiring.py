"""THE TABLE: which stages there are, in the order of the data, and how they are connected."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from config.lat import Lat
from config.load import AnyConfig
from config.schema import Config, Links, is_loopback
from stream.errors import ConfigError
from stream.messages import Maps
from stream.stage import Stage
from stream.transport.wire import Limits

if TYPE_CHECKING:  # every command reads the table; these load half a second of packages for maps of the sky
    from stream.crosscal.watch import Watch
    from stream.imaging.regions import Regions
    from stream.lat.catalogue import Catalogue
    from stream.lat.cube import Sky
    from stream.lat.instrument import Instrument
    from stream.lat.sky import Diffuse
    from stream.spectra.response import Response

PHOTON_BYTES = 16 << 20  # of a table in a message of photons: six times what `transport/photons` sends
Policy = Literal["block", "shed", "newest", "skip"]
"""What happens when a queue is full. block: the sender waits, nothing is lost; shed: the reader drops the oldest
read-outs, whole and counted, so that the sender never waits; newest: nothing is queued, who asks is told what passes
next; skip: the sender goes on without, counted, and what is skipped has no exposure."""


class Row(NamedTuple):
    """One stage. A stage without a link takes its messages from the stage above, in the same process."""

    stage: str
    takes: str
    gives: str
    rate_hz: float  # messages in per second at 5 ms and four quadrants
    process: str
    link: str = ""  # the ZeroMQ queue that feeds it
    queue: int = 0  # messages that it holds on each side
    when_full: Policy | Literal[""] = ""


# fmt: off
TABLE = (
    Row("receive",     "Frame",          "Frame, Gap",     800, "detect", "frames", 64,  "block"),
    Row("correct",     "Frame",          "CorrectedFrame", 800, "detect"),
    Row("reconstruct", "CorrectedFrame", "EventList",      800, "detect"),
    Row("screen",      "EventList",      "EventList",      200, "screen", "events", 400, "block"),
    Row("record",      "EventList",      "Product",        200, "record", "screened", 400, "block"),
)
# Beside the way of the frames: fed with what is on the disk already. It may fail, recording goes on.
ASIDE = (
    Row("accumulate",  "Product",    "Product",        0.1, "sources", "products", 16, "skip"),
    Row("classify",    "Product",    "Product",        0.1, "sources"),
)
# Photons of Fermi-LAT, a table of its own. One process: the maps are too large to travel. A message is six hours.
SKY = (
    Row("accumulate_sky", "photons", "sky",        4.6e-5, "sky", "photons", 16, "block"),
    Row("localise",       "sky",     "detections", 4.6e-5, "sky"),
    Row("classify_sky",   "detections", "detections", 4.6e-5, "sky"),
    Row("alert",          "detections", "alerts",  4.6e-5, "sky"),
)
# Spectra of coronae, in files (`raysieve coronae`): the network, of each at once; the chains of `analyse` come after.
SPECTRA = (Row("classify_corona", "spectra", "coronae", 100, "coronae"),)
# Temperatures of the same sources by two telescopes, in tables (`raysieve monitor-calibration`).
CALIBRATION = (Row("monitor_calibration", "fits", "calibration", 1e-4, "calibration"),)
# Told to whoever looks on (`raysieve glimpse`, `raysieve view`), who is in no process of the daemon.
TAP = Row("glimpse",   "EventList",      "",               200, "",       "tap", 4,      "newest")
PIXELS = Row("view",   "CorrectedFrame", "",               800, "",       "pixels", 2,   "newest")
# fmt: on


def build(
    stage: str,
    config: Config,
    maps: Mapping[int, Maps] | None = None,
    response: "Response | None" = None,
    regions: "Regions | None" = None,
) -> Stage:
    """Build one stage of the table from the configuration; built means ready. response, regions: of `classify`."""
    if stage == "receive":
        from stream.stages.receive import Receive

        return Receive(config)
    if stage == "correct":
        from stream.stages.correct import Correct

        return Correct(config, maps)
    if stage == "reconstruct":
        from stream.stages.reconstruct import Reconstruct

        return Reconstruct(config)
    if stage == "screen":
        from stream.stages.screen import Screen

        return Screen(config)
    if stage == "record":
        from stream.stages.record import Record

        return Record(config)
    if stage == "accumulate":
        from stream.stages.accumulate import Accumulate

        return Accumulate(config)
    if stage == "classify":
        from stream.stages.classify import Classify

        return Classify(config, response, regions)
    raise ValueError(f"no stage {stage!r} in the table")


class Given(NamedTuple):
    """What the stages of SKY need from files."""

    instrument: "Instrument"
    diffuse: "Diffuse"
    catalogue: "Catalogue | None" = None
    sky: "Sky | None" = None  # what an earlier process has counted


def sky_rows(config: Lat) -> list[Row]:
    """Return the rows of SKY that a configuration asks for.

    localise with windows; classify_sky with the mission among them, and a model; alert with a catalogue, too.
    """
    from stream.lat.cube import MISSION

    asked = {"accumulate_sky": True, "localise": bool(config.localise.windows)}
    asked["classify_sky"] = MISSION in config.localise.windows and bool(config.classify_sky.model)
    asked["alert"] = asked["localise"] and bool(config.catalogue)
    return [row for row in SKY if asked[row.stage]]


def build_sky(stage: str, config: Lat, given: Given) -> Stage:
    """Build one stage of the table SKY. Alerts need a catalogue."""
    if stage == "accumulate_sky":
        from stream.stages.accumulate_sky import AccumulateSky

        return AccumulateSky(config.accumulate_sky, given.instrument, given.sky)
    if stage == "localise":
        from stream.stages.localise import Localise

        return Localise(config.localise, given.instrument, given.diffuse)
    if stage == "classify_sky":
        from stream.stages.classify_sky import ClassifySky

        return ClassifySky(config.classify_sky, given.instrument, given.diffuse)
    if stage == "alert" and given.catalogue is not None:
        from stream.stages.alert import Alert

        return Alert(config.alert, given.catalogue)
    raise ValueError(f"no stage {stage!r} in the table")


def build_corona(model: str = "", seed: int = 0) -> Stage:
    """Build the stage of SPECTRA; model: shipped name or ONNX file; "": those shipped, each for its grid."""
    from stream.stages.classify_corona import ClassifyCorona

    return ClassifyCorona(model, seed)


def build_calibration(watch: "Watch") -> Stage:
    """Build the stage of CALIBRATION. Raises ModelError, ConfigError."""
    from stream.stages.monitor_calibration import MonitorCalibration

    return MonitorCalibration(watch)


def build_all(config: Config, maps: Mapping[int, Maps] | None = None) -> list[Stage]:
    """Build all stages of the table, chained in one process."""
    return [build(row.stage, config, maps) for row in TABLE]


def processes(config: AnyConfig | None = None) -> list[str]:
    """Return the processes of the table in the order of the data; without a configuration, of a camera."""
    return list(dict.fromkeys(row.process for row in (SKY if isinstance(config, Lat) else TABLE)))


def aside(config: AnyConfig) -> list[str]:
    """Return the processes beside the way of the frames that a configuration asks for."""
    if isinstance(config, Lat):
        return []
    return list(dict.fromkeys(row.process for row in ASIDE)) if config.accumulate.every_s else []


def rows_of(process: str) -> list[Row]:
    """Return the rows of one process in the order of the data; the first one is fed by a link."""
    return [row for row in (*TABLE, *ASIDE, *SKY) if row.process == process]


def link_after(process: str) -> Row | None:
    """Return the row whose link takes what a process gives; None for the last process."""
    names = processes()
    place = names.index(process) + 1
    return rows_of(names[place])[0] if place < len(names) else None


def policy_of(row: Row, links: Links) -> str:
    """Return what happens when the queue of a row is full: as the table says, but frames may be shed when told to."""
    return links.frames_when_full if row is TABLE[0] else row.when_full


def url_of(link: str, links: Links) -> str:
    """Return the address of a link: a socket file of the user, or a port on the configured host.

    Only the first link is open to other machines, and those between processes of which `links.hosts` says so. Raises
    ConfigError for a host of a link that there is not.
    """
    inside = [row.link for row in TABLE if row.link]
    names = [*inside, TAP.link, *(row.link for row in ASIDE if row.link), PIXELS.link]
    if unknown := ", ".join(sorted(set(links.hosts) - set(inside[1:]))):
        raise ConfigError(f"links.hosts: no link {unknown} between processes; expected {' or '.join(inside[1:])}")
    if links.transport == "tcp":
        place = 0 if link == SKY[0].link else names.index(link)  # each table begins at the first port
        host = links.host if place == 0 or is_loopback(links.host) else "127.0.0.1"
        host = links.hosts.get(link, host)
        return f"tcp://{host}:{links.first_port + place}"
    folder = links.directory or str(Path(os.environ.get("XDG_RUNTIME_DIR", f"/tmp/user-{os.getuid()}")) / "raysieve")
    return f"ipc://{Path(folder).absolute() / link}.sock"


def limits_of(link: str, config: AnyConfig) -> Limits:
    """Return the largest message that a link takes; ZeroMQ takes memory for it before its sender has shown a key.

    So the first link takes frames of four times the camera's pixels, and no tables: who is set up for another camera
    learns it from the Start. That of photons takes tables, and no frames.
    """
    if isinstance(config, Lat):
        return Limits.of_products(PHOTON_BYTES)
    if link != TABLE[0].link:
        return Limits()
    return Limits.of_frames(max(1 << 20, 4 * 4 * config.detector.rows * config.detector.columns))
