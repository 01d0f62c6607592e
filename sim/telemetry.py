"""Frames of known truth as the stream sees them: Start, Frame..., End."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from config.load import digest
from config.schema import Config
from sim.bad_pixels import tabulate
from sim.charge import CHARGE, Deposit, Source, join
from sim.check import require
from sim.detector import Detector, Imperfections
from sim.seeds import Seeds
from stream.messages import End, Frame, Message, Quadrant, Start

STREAM = "sim"
PIXEL = np.dtype(  # truth: what one photon or primary left in one pixel, before it is transferred (CTI)
    [
        ("frame", "<i8"),
        ("quadrant", "<u1"),
        ("x", "<i2"),
        ("y", "<i2"),
        ("kind", "<u1"),  # sim.charge.XRAY or PARTICLE
        ("owner", "<i4"),  # number of the photon or primary in its read-out
        ("electrons", "<f4"),
    ]
)
LEAST_ELECTRONS = 1.0  # less is not noted: a seventh of the noise
TRUTH_EVERY = 256  # read-outs whose truth is written at a time


class Writer(Protocol):
    """What takes a recording: `stream.transport.recording.RecordingWriter`."""

    def write(self, frame: Frame) -> None:
        """Append a frame."""
        ...

    def write_truth(self, name: str, table: NDArray[Any]) -> None:
        """Append rows to a table."""
        ...


class Telemetry:
    """A camera in front of its sources. Any read-out can be asked for, in any order, any number of times."""

    def __init__(
        self,
        config: Config,
        sources: Sequence[Source] = (),
        model: Imperfections | None = None,
        seeds: Seeds | None = None,
    ) -> None:
        """Draw the camera. No sources: a dark camera. Raises ConfigError for a camera that cannot be simulated."""
        self.seeds = seeds or Seeds(0)
        self.sources = tuple(sources)
        self.detector = Detector(config.detector, model or Imperfections(), self.seeds)
        self.start = _start(config, self.detector, self.seeds)

    def messages(self, readouts: int, first: int = 0) -> Iterator[Message]:
        """Yield Start, the frames of read-outs first .. first + readouts - 1 quadrant by quadrant, End."""
        _check_range(readouts, first)
        yield self.start
        for readout in range(first, first + readouts):
            yield from self.frames(readout)
        yield End(stream=STREAM, frames=readouts * len(self.start.quadrants))

    def frames(self, readout: int) -> list[Frame]:
        """Return the frames of one read-out, one for each quadrant; pixels (rows, columns) uint16 ADU."""
        return self.read(readout, self.deposits(readout))

    def read(self, readout: int, deposits: Sequence[Deposit]) -> list[Frame]:
        """Return the frames of one read-out in which the sources left these deposits."""
        charges = join([deposit.charges for deposit in deposits], CHARGE)
        return [self._frame(readout, q.id, charges[charges["quadrant"] == q.id]) for q in self.start.quadrants]

    def deposits(self, readout: int) -> list[Deposit]:
        """Return what each source leaves in one read-out."""
        layout = self.detector.layout
        return [s.expose(readout, layout, self.seeds.signal(readout, i)) for i, s in enumerate(self.sources)]

    def truth(self, readouts: int, first: int = 0) -> dict[str, NDArray[Any]]:
        """Return the truth tables of these read-outs (made again, without frames), by name; no rows where nothing was.

        `pixels` (PIXEL) holds the owners of every pixel; of the sources here come `photons` (PHOTON), `particles`
        (PRIMARY_IN_FRAME) and `track_pixels` (TRACK_PIXEL).
        """
        _check_range(readouts, first)
        return tabulate_truth((readout, self.deposits(readout)) for readout in range(first, first + readouts))

    def bad_pixels(self) -> NDArray[Any]:
        """Return the bad pixels of the camera, BAD_PIXEL rows with the read-out from which they are bad."""
        return tabulate(self.detector.model.bad_pixels, self.start.frame_time_ns)

    def _frame(self, readout: int, quadrant: int, charges: NDArray[Any]) -> Frame:
        pixels = self.detector.read(readout, quadrant, charges)
        time_ns = readout * self.start.frame_time_ns
        return Frame(stream=STREAM, sequence=readout, time_ns=time_ns, quadrant=quadrant, pixels=pixels)


def dark(config: Config, model: Imperfections | None = None, seeds: Seeds | None = None) -> Telemetry:
    """Return the same camera without signal, in a run of its own: its noise is not that of the observation."""
    seeds = seeds or Seeds(0)
    return Telemetry(config, (), model, Seeds(seeds.seed, seeds.run + 1))


def record(
    telemetry: Telemetry, readouts: int, writer: Writer, progress: Callable[[int], object] = lambda done: None
) -> None:
    """Write the frames of read-outs 0 .. readouts - 1 and their truth (also table `bad_pixels`).

    `progress` is called with the number of read-outs done. Raises what the writer raises.
    """
    _check_range(readouts, 0)
    writer.write_truth("bad_pixels", telemetry.bad_pixels())
    for first in range(0, readouts, TRUTH_EVERY):
        noted: list[tuple[int, list[Deposit]]] = []
        for readout in range(first, min(first + TRUTH_EVERY, readouts)):
            noted.append((readout, telemetry.deposits(readout)))
            for frame in telemetry.read(*noted[-1]):
                writer.write(frame)
            progress(readout + 1)
        for name, table in tabulate_truth(noted).items():
            writer.write_truth(name, table)


def tabulate_truth(readouts: Iterable[tuple[int, Sequence[Deposit]]]) -> dict[str, NDArray[Any]]:
    """Return the truth tables of read-outs and what was left in them, by name; see `Telemetry.truth`."""
    tables: dict[str, list[NDArray[Any]]] = {}
    for readout, deposits in readouts:
        for deposit in deposits:
            for name, table in deposit.truth.items():
                tables.setdefault(name, []).append(table)
            tables.setdefault("pixels", []).append(_owners(readout, deposit))
    return {name: np.concatenate(parts) for name, parts in tables.items()}


def _owners(readout: int, deposit: Deposit) -> NDArray[Any]:
    charges = deposit.charges[deposit.charges["electrons"] >= LEAST_ELECTRONS]
    pixels = np.empty(charges.size, PIXEL)
    pixels["frame"], pixels["kind"] = readout, deposit.kind
    for name in ("quadrant", "x", "y", "owner", "electrons"):
        pixels[name] = charges[name]
    return pixels


def _start(config: Config, detector: Detector, seeds: Seeds) -> Start:
    layout = config.detector
    size = {"columns": layout.columns, "rows": layout.rows}
    frame_time_ns = round(layout.frame_time_s * 1e9)
    return Start(
        stream=STREAM,
        run_id=f"sim-{seeds.seed}-{seeds.run}",
        quadrants=tuple(
            Quadrant(id=q.id, origin_x_px=q.origin_x_px, origin_y_px=q.origin_y_px, **size) for q in layout.quadrants
        ),
        frame_time_ns=frame_time_ns,
        live_time_ns=frame_time_ns,
        gain_ev=layout.gain_ev_per_adu,
        saturation=detector.top_adu,
        telescope=layout.telescope,
        instrument=layout.instrument,
        target="SIMULATED",
        config_digest=digest(config),
    )


def _check_range(readouts: int, first: int) -> None:
    require("simulation", (readouts >= 0, "readouts >= 0"), (first >= 0, "first >= 0"))
