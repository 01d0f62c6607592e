"""A field on disk: the event list as the stream writes its own (FITS), and beside it what is true of it (HDF5)."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
from numpy.typing import NDArray

from config.errors import ConfigError
from sim.check import folder_for
from sim.sources.field import EVENT, TRUTH, Field
from stream.messages import Product
from stream.transport import hdf5
from stream.transport.eventmerge import write_product

FORMAT: Final = "raysieve field"
PHOTON = np.dtype([("time", "<f8"), ("x", "<f4"), ("y", "<f4"), ("energy_ev", "<f4"), ("source", "<i4")])
FRAME_NS: Final = 5_000_000  # of the WFI
MJDREF: Final = 57388  # 2016-01-01 TT
_EVENTS: Final = np.dtype(
    [
        ("TIME", "<f8"),
        ("FRAME", "<i8"),
        ("QUADRANT", "<u1"),
        ("RAWX", "<i2"),
        ("RAWY", "<i2"),
        ("SUBX", "<f4"),
        ("SUBY", "<f4"),
        ("DETX", "<f4"),
        ("DETY", "<f4"),
        ("PHA", "<i4"),
        ("PI", "<i4"),
        ("ENERGY", "<f4"),
        ("PATTERN", "<u1"),
        ("FLAG", "<i4"),
    ]
)
_GTI: Final = np.dtype([("START", "<f8"), ("STOP", "<f8"), ("START_NS", "<i8"), ("STOP_NS", "<i8")])


def write_event_list(field: Field, path: Path, response: tuple[str, str] = ("", "")) -> None:
    """Write the events as an event list. response: names of RMF and ARF. Raises LinkError if the disk refuses.

    All are singles; PI is the channel of the response. TIME is the middle of a read-out of 5 ms.
    """
    folder_for(path)
    write_product(product_of(field, response), path)


def product_of(field: Field, response: tuple[str, str] = ("", "")) -> Product:
    """Return the events as the product that a recorder writes: tables EVENTS and GTI."""
    frames = max(round(field.setup.exposure_s * 1e9 / FRAME_NS), 1)
    stop_ns = frames * FRAME_NS
    gti = np.array([(0.0, stop_ns / 1e9, 0, stop_ns)], _GTI)
    header = _header(field, frames, response)
    return Product(
        stream="sim", kind="events", sequence=0, time_ns=0, header=header, tables={"EVENTS": _table(field), "GTI": gti}
    )


def _table(field: Field) -> NDArray[Any]:
    events = field.events
    table = np.zeros(len(events), _EVENTS)
    frame = np.minimum((events["time"] * 1e9 // FRAME_NS).astype(np.int64), 2**62)
    table["FRAME"], table["TIME"] = frame, (frame + 0.5) * (FRAME_NS / 1e9)
    for axis, name in (("x", "X"), ("y", "Y")):
        whole = np.rint(events[axis])
        table[f"RAW{name}"], table[f"SUB{name}"], table[f"DET{name}"] = whole, events[axis] - whole, events[axis]
    table["ENERGY"], table["PI"] = events["energy_ev"], events["channel"]
    table["PHA"] = np.rint(events["energy_ev"] / 3.65)
    return table


def _header(field: Field, frames: int, response: tuple[str, str]) -> dict[str, str | int | float | bool]:
    camera, bounds = field.camera, field.camera.response
    width = float(np.median(bounds.e_max_kev - bounds.e_min_kev)) * 1000
    return {
        "TELESCOP": "ATHENA" if camera.name == "WFI" else "SIMULATED",
        "INSTRUME": camera.name,
        "OBS_ID": f"field-{field.seed}-{field.run}",
        "OBJECT": f"l={field.setup.l_deg:g} b={field.setup.b_deg:g}",
        "STREAM": "sim",
        "MJDREFI": MJDREF,
        "MJDREFF": 0.0,
        "FRAME_NS": FRAME_NS,
        "LIVE_NS": FRAME_NS,
        "PIXTYPE": "REAL",
        "GAIN_EV": 3.65,
        "SATURAT": 65535.0,
        "NQUADS": 1,
        "Q00X0": 0,
        "Q00Y0": 0,
        "Q00NX": camera.columns,
        "Q00NY": camera.rows,
        "PICHANS": int(bounds.channel[-1]) + 1,
        "PI_EV": round(width, 3),
        "RESPFILE": Path(response[0]).name or "NONE",
        "ANCRFILE": Path(response[1]).name or "NONE",
        "ROLL": 0,
        "TSTARTNS": 0,
        "TSTOPNS": frames * FRAME_NS,
        "NREAD00": frames,
        "NREADOUT": frames,
        **dict.fromkeys(("NOVERFLW", "NDEAD", "NLATE", "NREPEAT", "NGAPREAD", "NDISCARD"), 0),
    }


class FieldFile(hdf5.NewFile):
    """Writes the truth of a field: tables truth, origin (EVENT), photons (PHOTON); maps diffuse and exposure."""

    def __init__(self, path: Path) -> None:
        """Raises ConfigError or LinkError where the file cannot be written."""
        folder_for(path)
        super().__init__(path, FORMAT)

    def write(self, field: Field) -> None:
        """Write everything. Raises LinkError if the disk refuses."""
        about = asdict(field.setup) | {"seed": field.seed, "run": field.run, "too_bright": field.too_bright}
        camera = {name: getattr(field.camera, name) for name in ("name", "arcsec_per_px", "psf", "fwhm_arcsec")}
        maps = {"diffuse": field.diffuse(), "exposure": field.exposure()}
        tables = {"truth": field.truth, "origin": field.events, "photons": photons_of(field)}
        with self.writing():
            hdf5.write_text(self.file, "about", json.dumps(about | {"camera": camera}, default=dict))
            for name, table in (tables | maps).items():
                chunks = (min(max(len(table), 1), 4096), *table.shape[1:])
                self.file.create_dataset(name, data=table, chunks=chunks, maxshape=table.shape, **hdf5.filters())


def photons_of(field: Field) -> NDArray[Any]:
    """Return the X-rays, rising by time, as a camera's silicon meets them: not what particles made."""
    real = field.events[field.events["source"] >= -2]
    table = np.zeros(len(real), PHOTON)
    table["energy_ev"] = real["photon_ev"]
    for name in ("time", "x", "y", "source"):
        table[name] = real[name]
    return table


def read_photons(path: Path) -> NDArray[Any]:
    """Return the table `photons` of a field, (n,) PHOTON rising by time. Raises ConfigError for another file."""
    return _read(path, "photons", PHOTON)


def read_truth(path: Path) -> NDArray[Any]:
    """Return the table `truth` of a field, (n,) TRUTH. Raises ConfigError for another file."""
    return _read(path, "truth", TRUTH)


def read_origin(path: Path) -> NDArray[Any]:
    """Return the events of a field with their origin, (m,) EVENT. Raises ConfigError for another file."""
    return _read(path, "origin", EVENT)


def _read(path: Path, name: str, dtype: np.dtype[Any]) -> NDArray[Any]:
    file: h5py.File = hdf5.open_file(Path(path), (FORMAT,))
    try:
        with file:
            table: NDArray[Any] = hdf5.dataset(file, name, dtype, (None,))[()]
    except hdf5.FAULTS as fault:
        raise ConfigError(f"field {path}: {hdf5.reason(fault)}") from None
    return table
